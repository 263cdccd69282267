/*
 * A virtqueue that is lent to somebody else: a worker in the host's kernel, or a back end in
 * another process.
 *
 * Whoever serves it listens to the kicks itself and interrupts the guest itself where the
 * transport has an eventfd for that; else it signals another one, from which the device's loop
 * makes the interrupt. Everything here is called in that loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_RING_H
#define HW_VIRTIO_VHOST_RING_H

#include "hw/virtio/virtio.h"
#include "qemu/event_notifier.h"

/* Fields private to vhost-ring.c, but vq and call_fd. */
typedef struct VhostRing {
    VirtQueue *vq;              /* NULL: none is lent */
    EventNotifier call;         /* buffers were used; if not direct */
    bool direct;                /* the transport's eventfd instead */
    int call_fd;                /* that it signals, of either kind */
    GSource *source;            /* listens to call; NULL: not lent yet */
} VhostRing;

/* Open the eventfd: 0 or negative errno. cleanup() is harmless after a failed init. */
int vhost_ring_init(VhostRing *r);
void vhost_ring_cleanup(VhostRing *r);

/* Prepare to lend vq, which is live: the descriptor to be signalled when buffers were used. */
int vhost_ring_begin(VhostRing *r, VirtQueue *vq);
/* What the borrower is told once: its kicks. */
int vhost_ring_kick_fd(const VhostRing *r);
/* From now on it is lent: our handler is not called. */
void vhost_ring_lend(VhostRing *r);
/*
 * Nobody else touches it any more. go_on: our handler serves it from now on; otherwise the
 * device is about to stop. Harmless when nothing is lent.
 */
void vhost_ring_end(VhostRing *r, bool go_on);
/* Where the borrower stopped: it has returned all buffers before this available index. */
void vhost_ring_set_position(VhostRing *r, uint16_t avail);

#endif
