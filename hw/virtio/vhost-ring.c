/*
 * A virtqueue that is lent to somebody else.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost-ring.h"

#include "virtio-internal.h"

/* Whether the driver wants to hear of it the borrower has found out. */
static void ring_called(void *opaque)
{
    VhostRing *r = opaque;
    VirtioBusState *vbus = r->vq->vdev->vbus;

    vbus->ops->notify(vbus, VIRTIO_ISR_VRING);
}

int vhost_ring_init(VhostRing *r)
{
    int ret;

    *r = (VhostRing) { .call.fd = -1 };
    ret = event_notifier_init(&r->call);
    if (ret < 0) {
        r->call.fd = -1;
    }
    return ret;
}

void vhost_ring_cleanup(VhostRing *r)
{
    g_assert(!r->vq);
    if (r->call.fd >= 0) {
        event_notifier_cleanup(&r->call);
        r->call.fd = -1;
    }
}

int vhost_ring_begin(VhostRing *r, VirtQueue *vq)
{
    VirtioBusState *vbus = vq->vdev->vbus;
    EventNotifier *e;

    g_assert(!r->vq && vq->active && !vq->ring.in_flight);
    r->vq = vq;
    e = vbus->ops->direct_begin ? vbus->ops->direct_begin(vbus, vq) : NULL;
    r->direct = e;
    r->call_fd = e ? e->fd : r->call.fd;
    return r->call_fd;
}

int vhost_ring_kick_fd(const VhostRing *r)
{
    return r->vq->host_notifier.fd;
}

void vhost_ring_lend(VhostRing *r)
{
    virtio_queue_watch(r->vq, false);
    r->source = event_notifier_add_handler(&r->call, virtio_get_context(r->vq->vdev),
                                           ring_called, r);
}

static void ring_take_back(VhostRing *r, bool go_on)
{
    g_source_destroy(r->source);
    g_clear_pointer(&r->source, g_source_unref);
    r->vq->ring.signalled_valid = false;
    /* A last word that nobody has listened to. */
    if (event_notifier_test_and_clear(&r->call)) {
        ring_called(r);
    }
    if (go_on) {
        virtio_queue_watch(r->vq, true);
        virtio_queue_kick(r->vq);
    }
}

void vhost_ring_end(VhostRing *r, bool go_on)
{
    if (!r->vq) {
        return;
    }
    if (r->direct) {
        VirtioBusState *vbus = r->vq->vdev->vbus;

        r->direct = false;
        vbus->ops->direct_end(vbus, r->vq);
    }
    if (r->source) {
        ring_take_back(r, go_on);
    }
    r->vq = NULL;
}

void vhost_ring_set_position(VhostRing *r, uint16_t avail)
{
    VirtRing *ring = &r->vq->ring;

    ring->last_avail = ring->avail_seen = ring->used_idx = avail;
}
