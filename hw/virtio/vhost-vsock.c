/*
 * The virtio socket device on the host's kernel: programs of the host reach the guest by AF_VSOCK.
 *
 * The kernel's worker serves the queues of packets; events are ours.
 *
 * System calls: close fcntl ioctl open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_vsock.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "hw/virtio/vsock-common.h"
#include "qemu/fd-param.h"
#include "qemu/fdset.h"

/* What we offer the guest whatever the worker is. */
#define NEED_FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
                       1ull << VIRTIO_RING_F_INDIRECT_DESC)

typedef struct VHostVsock {
    VirtIODevice vdev;
    /* Properties. */
    uint64_t guest_cid;
    char *vhostfd;
    OnOffAuto seqpacket;

    int fd;
    VhostDev vhost;
    bool transport_reset;       /* the driver has yet to be told that connections are gone */
} VHostVsock;

/* Queues --------------------------------------------------------------------------- */

/* The worker serves them; where it does not, packets stay where they are. */
static void vsock_handle_packets(VirtIODevice *vdev, VirtQueue *vq)
{
}

static void vsock_handle_event(VirtIODevice *vdev, VirtQueue *vq)
{
    VHostVsock *s = downcast(vdev, VHostVsock, vdev);

    if (s->transport_reset) {
        s->transport_reset = !vsock_send_reset(vdev, vq);
    }
}

static int set_running(VHostVsock *s, int on)
{
    return ioctl(s->fd, VHOST_VSOCK_SET_RUNNING, &on) < 0 ? -errno : 0;
}

static void vsock_start(VirtIODevice *vdev)
{
    VHostVsock *s = downcast(vdev, VHostVsock, vdev);
    int ret;

    if (!virtio_queue_live(virtio_get_queue(vdev, 0)) ||
        !virtio_queue_live(virtio_get_queue(vdev, 1))) {
        return;
    }
    ret = vhost_dev_start(&s->vhost, 0, 2, 0);
    if (ret == 0) {
        ret = set_running(s, 1);
    }
    if (ret < 0) {
        vhost_dev_stop(&s->vhost, true);
        virtio_error(vdev, "vhost-vsock cannot start: %s", strerror(-ret));
    }
}

static void vsock_stop(VirtIODevice *vdev)
{
    VHostVsock *s = downcast(vdev, VHostVsock, vdev);

    if (s->vhost.running) {
        set_running(s, 0);
        vhost_dev_stop(&s->vhost, false);
    }
}

/* Packets are lost: no connection is what its ends believe (virtio 1.2, section 5.10.6.7). */
static void vsock_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    downcast(vdev, VHostVsock, vdev)->transport_reset |= virtio_queue_index(vq) != VSOCK_EVENT;
}

static void vsock_reset(VirtIODevice *vdev)
{
    downcast(vdev, VHostVsock, vdev)->transport_reset = false;
}

/* Configuration ---------------------------------------------------------------------- */

static void vsock_get_config(VirtIODevice *vdev, void *data)
{
    ((struct virtio_vsock_config *)data)->guest_cid = downcast(vdev, VHostVsock, vdev)->guest_cid;
}

static uint64_t vsock_get_features(VirtIODevice *vdev, bool modern)
{
    const VHostVsock *s = downcast(vdev, const VHostVsock, vdev);

    return s->seqpacket == ON_OFF_AUTO_OFF ? 0 :
        s->vhost.features & 1ull << VIRTIO_VSOCK_F_SEQPACKET;
}

/* Life --------------------------------------------------------------------------------- */

static int open_worker(const char *vhostfd, Error **errp)
{
    int fd = vhostfd ? fd_param_open(vhostfd, NULL)
                     : qemu_open("/dev/vhost-vsock", O_RDWR | O_CLOEXEC, 0);

    if (!vhostfd && fd < 0) {
        error_setg_errno(errp, errno, "vhost-vsock: failed to open vhost device '%s'",
                         "/dev/vhost-vsock");
    } else if (vhostfd && (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)) {
        error_setg(errp, "vhost-vsock: unable to parse vhostfd: '%s' is no open file descriptor",
                   vhostfd);
        return -1;
    }
    return fd;
}

static bool init_worker(VHostVsock *s, Error **errp)
{
    if (!vhost_dev_init(&s->vhost, &s->vdev, s->fd, NEED_FEATURES, errp)) {
        return false;
    }
    if (s->seqpacket == ON_OFF_AUTO_ON &&
        !(s->vhost.features >> VIRTIO_VSOCK_F_SEQPACKET & 1)) {
        error_setg(errp, "vhost-vsock: seqpacket=on: this host's kernel has no such sockets");
    } else if (ioctl(s->fd, VHOST_VSOCK_SET_GUEST_CID, &s->guest_cid) < 0) {
        error_setg_errno(errp, errno, "vhost-vsock: unable to set guest cid");
    } else {
        return true;
    }
    vhost_dev_cleanup(&s->vhost);
    return false;
}

static bool vsock_realize(VirtIODevice *vdev, Error **errp)
{
    VHostVsock *s = downcast(vdev, VHostVsock, vdev);

    if (!vsock_check_cid(s->guest_cid, errp)) {
        return false;
    }
    s->fd = open_worker(s->vhostfd, errp);
    if (s->fd < 0) {
        return false;
    }
    if (!init_worker(s, errp)) {
        close(s->fd);
        return false;
    }
    vdev->config_len = sizeof(struct virtio_vsock_config);
    virtio_add_queue(vdev, VSOCK_QUEUE_SIZE, sizeof(VirtQueueElement), vsock_handle_packets);
    virtio_add_queue(vdev, VSOCK_QUEUE_SIZE, sizeof(VirtQueueElement), vsock_handle_packets);
    virtio_add_queue(vdev, VSOCK_QUEUE_SIZE, sizeof(VirtQueueElement), vsock_handle_event);
    return true;
}

static void vsock_unrealize(VirtIODevice *vdev)
{
    VHostVsock *s = downcast(vdev, VHostVsock, vdev);

    vhost_dev_cleanup(&s->vhost);
    close(s->fd);
}

static const Property vsock_props[] = {
    DEFINE_PROP_UINT64("guest-cid", VHostVsock, guest_cid, "0", "the guest's address, 3 or more"),
    DEFINE_PROP_STRING("vhostfd", VHostVsock, vhostfd, NULL,
                       "inherited descriptor of /dev/vhost-vsock"),
    DEFINE_PROP_ON_OFF_AUTO("seqpacket", VHostVsock, seqpacket, "auto",
                            "offer SOCK_SEQPACKET; auto: if the host's kernel has it"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass vhost_vsock_class = {
    .dc = {
        .oc = {
            .name = "vhost-vsock-device",
            .desc = "sockets between guest and host, by the host's kernel",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VHostVsock),
            .props = vsock_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = VIRTIO_ID_VSOCK,
    .in_order = true,
    .realize = vsock_realize,
    .unrealize = vsock_unrealize,
    .get_features = vsock_get_features,
    .get_config = vsock_get_config,
    .start = vsock_start,
    .stop = vsock_stop,
    .reset = vsock_reset,
    .queue_reset = vsock_queue_reset,
};
DEFINE_CLASS(vhost_vsock, &vhost_vsock_class.dc.oc);
