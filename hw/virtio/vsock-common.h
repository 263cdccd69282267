/*
 * What the socket devices have in common (virtio 1.2, section 5.10).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VSOCK_COMMON_H
#define HW_VIRTIO_VSOCK_COMMON_H

#include "hw/virtio/virtio.h"

#define VSOCK_QUEUE_SIZE 128

/* Indices; events are the device's own, whoever moves the packets. */
enum { VSOCK_RX, VSOCK_TX, VSOCK_EVENT, VSOCK_QUEUES };

/* Check a guest's address: guest-cid=. */
bool vsock_check_cid(uint64_t cid, Error **errp);

/*
 * Tell the driver, by the queue of events, that all connections are gone. False: it has no buffer
 * there now. The device's loop.
 */
bool vsock_send_reset(VirtIODevice *vdev, VirtQueue *vq);

#endif
