/*
 * What the socket devices have in common (virtio 1.2, section 5.10).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vsock-common.h"

#include <linux/virtio_vsock.h>

#include "qemu/iov.h"

bool vsock_check_cid(uint64_t cid, Error **errp)
{
    if (cid <= 2) {
        error_setg(errp, "guest-cid property must be greater than 2");
    } else if (cid > UINT32_MAX) {
        error_setg(errp, "guest-cid property must be a 32-bit number");
    } else if (cid == UINT32_MAX) {
        error_setg(errp, "guest-cid %u is reserved", UINT32_MAX);
    } else {
        return true;
    }
    return false;
}

bool vsock_send_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    struct virtio_vsock_event event = { .id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET };
    VirtQueueElement *elem = virtqueue_pop(vq);

    if (!elem) {
        return false;
    }
    if (iov_from_buf(elem->in_sg, elem->in_num, 0, &event, sizeof(event)) < sizeof(event)) {
        virtio_error(vdev, "a buffer for events is too small");
        virtqueue_detach(vq, elem);
        return false;
    }
    virtqueue_push(vq, elem, sizeof(event));
    virtio_notify(vq);
    return true;
}
