/*
 * The virtio socket device (virtio 1.2, section 5.10) in user space; hw/virtio/vsock.h says what
 * its connections are for the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <string.h>

#include "hw/virtio/vsock-common.h"
#include "hw/virtio/vsock.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define VSOCK_TURN       64     /* packets before the loop does something else */

typedef struct VirtIOVsock {
    VirtIODevice vdev;
    /* Properties. */
    uint64_t guest_cid;
    char *uds_path;

    VirtQueue *vq[VSOCK_QUEUES];
    VsockHost host;
    bool transport_reset;       /* the driver has yet to be told that connections are gone */
} VirtIOVsock;

/* To the guest ---------------------------------------------------------------- */

static bool send_packet(VirtIOVsock *s, VirtQueueElement *elem)
{
    struct virtio_vsock_hdr hdr;
    struct iovec data[16];
    unsigned n = iov_slice(data, G_N_ELEMENTS(data), elem->in_sg, elem->in_num, sizeof(hdr),
                           SIZE_MAX);

    if (!vsock_host_next(&s->host, &hdr, data, n, iov_size(data, n))) {
        return false;
    }
    iov_from_buf(elem->in_sg, elem->in_num, 0, &hdr, sizeof(hdr));
    virtqueue_push(s->vq[VSOCK_RX], elem, sizeof(hdr) + hdr.len);
    return true;
}

/* As many packets as there are, and room for them; more in another turn. */
static void deliver(void *opaque)
{
    VirtIOVsock *s = opaque;
    VirtQueue *vq = s->vq[VSOCK_RX];
    unsigned sent = 0;

    while (vsock_host_pending(&s->host)) {
        VirtQueueElement *elem = sent < VSOCK_TURN ? virtqueue_pop(vq) : NULL;

        if (!elem) {
            break;
        }
        if (elem->out_num || elem->in_len <= sizeof(struct virtio_vsock_hdr)) {
            virtio_error(&s->vdev, "a buffer for packets is too small or not for writing");
            virtqueue_detach(vq, elem);
            return;
        }
        if (!send_packet(s, elem)) {
            virtqueue_unpop(vq, elem);
            break;
        }
        sent++;
    }
    if (sent) {
        virtio_notify(vq);
    }
    if (sent == VSOCK_TURN) {
        virtio_queue_kick(vq);
    }
}

/* The guest has buffers again: packets of its own that had to wait for that can be taken. */
static void vsock_handle_rx(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);
    bool was_full = vsock_host_full(&s->host);

    deliver(s);
    if (was_full && !vsock_host_full(&s->host)) {
        virtio_queue_kick(s->vq[VSOCK_TX]);
    }
}

/* From the guest -------------------------------------------------------------- */

/* Less than a header says nothing; data that is not there breaks the connection. */
static void take_packet(VirtIOVsock *s, VirtQueueElement *elem)
{
    struct virtio_vsock_hdr hdr;
    size_t room;

    if (iov_to_buf(elem->out_sg, elem->out_num, 0, &hdr, sizeof(hdr)) < sizeof(hdr)) {
        return;
    }
    iov_discard_front(&elem->out_sg, &elem->out_num, sizeof(hdr));
    room = iov_size(elem->out_sg, elem->out_num);
    if (hdr.op != VIRTIO_VSOCK_OP_RW) {
        hdr.len = 0;
    } else if (hdr.len > room) {
        hdr.op = VIRTIO_VSOCK_OP_INVALID;
        hdr.len = 0;
    }
    iov_discard_back(elem->out_sg, &elem->out_num, room - hdr.len);
    vsock_host_receive(&s->host, &hdr, elem->out_sg, elem->out_num);
}

static void vsock_handle_tx(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);
    VirtQueueElement *elem;
    unsigned taken = 0;

    /* Section 5.10.6.1.2: also while the guest takes nothing, up to a limit. */
    while (taken < VSOCK_TURN && !vsock_host_full(&s->host) && (elem = virtqueue_pop(vq))) {
        take_packet(s, elem);
        virtqueue_push(vq, elem, 0);
        taken++;
    }
    if (taken) {
        virtio_notify(vq);
    }
    if (taken == VSOCK_TURN) {
        virtio_queue_kick(vq);
    }
    deliver(s);
}

/* Events ---------------------------------------------------------------------- */

static void vsock_handle_event(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);

    if (s->transport_reset) {
        s->transport_reset = !vsock_send_reset(vdev, vq);
    }
}

/* Life ------------------------------------------------------------------------ */

static void vsock_get_config(VirtIODevice *vdev, void *data)
{
    ((struct virtio_vsock_config *)data)->guest_cid = downcast(vdev, VirtIOVsock, vdev)->guest_cid;
}

static uint64_t vsock_get_features(VirtIODevice *vdev, bool modern)
{
    return 0;       /* without any: stream sockets (section 5.10.3.2) */
}

static void vsock_start(VirtIODevice *vdev)
{
    vsock_host_start(&downcast(vdev, VirtIOVsock, vdev)->host, virtio_get_context(vdev));
}

static void vsock_stop(VirtIODevice *vdev)
{
    vsock_host_stop(&downcast(vdev, VirtIOVsock, vdev)->host);
}

static void vsock_reset(VirtIODevice *vdev)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);

    vsock_host_reset(&s->host);
    s->transport_reset = false;
}

/* Packets are lost: no connection is what its ends believe (section 5.10.6.7). */
static void vsock_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);

    if (vq != s->vq[VSOCK_EVENT]) {
        vsock_host_reset(&s->host);
        s->transport_reset = true;
    }
}

static bool vsock_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOVsock *s = downcast(vdev, VirtIOVsock, vdev);
    static VirtIOHandleOutput *const handlers[VSOCK_QUEUES] = {
        vsock_handle_rx, vsock_handle_tx, vsock_handle_event,
    };

    if (!s->uds_path) {
        error_setg(errp, "uds-path property not set");
        return false;
    }
    s->host.guest_cid = s->guest_cid;
    s->host.wake = deliver;
    s->host.opaque = s;
    if (!vsock_check_cid(s->guest_cid, errp) || !vsock_host_init(&s->host, s->uds_path, errp)) {
        return false;
    }
    vdev->config_len = sizeof(struct virtio_vsock_config);
    for (unsigned i = 0; i < VSOCK_QUEUES; i++) {
        s->vq[i] = virtio_add_queue(vdev, VSOCK_QUEUE_SIZE, sizeof(VirtQueueElement),
                                    handlers[i]);
    }
    return true;
}

static void vsock_unrealize(VirtIODevice *vdev)
{
    vsock_host_cleanup(&downcast(vdev, VirtIOVsock, vdev)->host);
}

static const Property vsock_props[] = {
    DEFINE_PROP_UINT64("guest-cid", VirtIOVsock, guest_cid, "0", "the guest's address, 3 or more"),
    DEFINE_PROP_STRING("uds-path", VirtIOVsock, uds_path, NULL,
                       "UNIX socket that leads to the guest; PATH_PORT is where the guest leads"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIOVsock, vq, "the core's");
STATE_NOT(VirtIOVsock, host, "connections of the host's: they end, and the driver is told");
STATE_NOT(VirtIOVsock, transport_reset, "the driver is told in any case");

/* Section 5.10.6.7: connections are gone, and the address may be another one. */
static bool vsock_post_load(void *obj, Error **errp)
{
    VirtIOVsock *s = obj;

    vsock_host_reset(&s->host);
    s->transport_reset = true;
    return true;
}

static const StateDesc vsock_state = { .version = 1, .post_load = vsock_post_load };

static const VirtioDeviceClass virtio_vsock_class = {
    .dc = {
        .oc = {
            .name = "virtio-vsock-device",
            .desc = "sockets between guest and host, by UNIX sockets",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOVsock),
            .props = vsock_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&vsock_state),
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
DEFINE_CLASS(virtio_vsock, &virtio_vsock_class.dc.oc);
