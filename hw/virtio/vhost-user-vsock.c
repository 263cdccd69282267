/*
 * vhost-user-vsock-device: sockets between guest and host, served by another process
 * (virtio 1.2, section 5.10).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_vsock.h>
#include <string.h>

#include "hw/virtio/vhost-user.h"
#include "hw/virtio/vsock-common.h"

typedef struct VhostUserVSock {
    VhostUserDevice d;
    VirtQueue *event_vq;
    bool lost;                  /* the driver has not been told yet that connections are gone */
} VhostUserVSock;

/* Section 5.10.6.7: another back end knows no connection of the one before. */
static void vsock_tell_reset(VhostUserVSock *s)
{
    if (s->lost) {
        s->lost = !vsock_send_reset(&s->d.vdev, s->event_vq);
    }
}

static void vsock_handle_event(VirtIODevice *vdev, VirtQueue *vq)
{
    vsock_tell_reset(downcast(vdev, VhostUserVSock, d.vdev));
}

static void vsock_link(VirtIODevice *vdev, bool up)
{
    VhostUserVSock *s = downcast(vdev, VhostUserVSock, d.vdev);

    s->lost |= up && virtio_driver_ok(vdev);
    vsock_tell_reset(s);
}

static void vsock_reset(VirtIODevice *vdev)
{
    downcast(vdev, VhostUserVSock, d.vdev)->lost = false;
    vhost_user_device_reset(vdev);
}

static void vsock_get_config(VirtIODevice *vdev, void *config)
{
    memcpy(config, vhost_user_config(downcast(vdev, VhostUserVSock, d.vdev)->d.vu),
           vdev->config_len);
}

static uint64_t vsock_get_features(VirtIODevice *vdev, bool modern)
{
    return vhost_user_features(downcast(vdev, VhostUserVSock, d.vdev)->d.vu) &
           1ull << VIRTIO_VSOCK_F_SEQPACKET;
}

static bool vsock_realize(VirtIODevice *vdev, Error **errp)
{
    VhostUserVSock *s = downcast(vdev, VhostUserVSock, d.vdev);
    VhostUserConfig cfg = {
        .nr_queues = VSOCK_EVENT, .queue_size = VSOCK_QUEUE_SIZE,
        .config_len = sizeof(struct virtio_vsock_config), .link = vsock_link,
    };

    vdev->config_len = cfg.config_len;
    if (!vhost_user_device_realize(&s->d, &cfg, errp)) {
        return false;
    }
    s->event_vq = virtio_add_queue(vdev, VSOCK_QUEUE_SIZE, sizeof(VirtQueueElement),
                                   vsock_handle_event);
    return true;
}

static const Property vsock_props[] = {
    DEFINE_VHOST_USER_PROPS(VhostUserVSock),
    DEFINE_PROP_END
};

static const VirtioDeviceClass vhost_user_vsock_class = {
    .dc = {
        .oc = {
            .name = "vhost-user-vsock-device",
            .desc = "sockets between guest and host, served by a vhost-user back end",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VhostUserVSock),
            .props = vsock_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = VIRTIO_ID_VSOCK,
    .realize = vsock_realize,
    .unrealize = vhost_user_device_unrealize,
    .get_features = vsock_get_features,
    .get_config = vsock_get_config,
    .start = vhost_user_device_start,
    .stop = vhost_user_device_stop,
    .reset = vsock_reset,
};
DEFINE_CLASS(vhost_user_vsock, &vhost_user_vsock_class.dc.oc);
