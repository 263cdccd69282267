/*
 * Between the two formats of virtqueues.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTQUEUE_INTERNAL_H
#define HW_VIRTIO_VIRTQUEUE_INTERNAL_H

#include "qemu/trace.h"
#include "virtio-internal.h"

/* The chain being built by virtqueue_pop(). */
typedef struct ChainWalk {
    VirtQueue *vq;
    VirtQueueElement *elem;
    struct iovec *iov;          /* vq->regs.num entries */
    unsigned num;               /* of them in use */
} ChainWalk;

/*
 * The guest may write to what we read: each field is loaded once, and the
 * compiler must not load it again.
 */
static inline uint16_t guest_load16(const void *p)
{
    return __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
}

static inline void guest_store16(void *p, uint16_t val)
{
    __atomic_store_n((uint16_t *)p, val, __ATOMIC_RELAXED);
}

/* What both formats have -------------------------------------------------------- */

/* An element of the pool with nothing in it; walk is where its buffers go. */
static inline VirtQueueElement *virtqueue_element_get(VirtQueue *vq, ChainWalk *walk)
{
    VirtQueueElement *elem = vq->ring.free_list;

    if (elem) {
        vq->ring.free_list = elem->next_free;
    } else {
        g_assert(vq->ring.nr_slots < vq->max_size);
        elem = (void *)(vq->pool + vq->ring.nr_slots++ * vq->slot_size);
        elem->vq = vq;
    }
    elem->out_num = elem->in_num = 0;
    elem->out_len = elem->in_len = 0;
    *walk = (ChainWalk) { vq, elem, (struct iovec *)((uint8_t *)elem + vq->elem_size), 0 };
    return elem;
}

static inline void virtqueue_element_put(VirtQueue *vq, VirtQueueElement *elem)
{
    elem->next_free = vq->ring.free_list;
    vq->ring.free_list = elem;
}

/* All its buffers are there: it is in flight. */
static inline void virtqueue_element_ready(ChainWalk *walk, unsigned head, bool again)
{
    VirtQueueElement *elem = walk->elem;
    VirtQueue *vq = walk->vq;

    elem->out_sg = walk->iov;
    elem->in_sg = walk->iov + elem->out_num;
    elem->head = head;
    elem->in_flight = true;
    elem->again = again;
    elem->turn = vq->ring.popped++;
    vq->ring.in_flight++;
    trace(virtqueue_pop, "%s queue %u head %u out %u in %u", qdev_name(&vq->vdev->dev),
          vq->index, head, elem->out_num, elem->in_num);
}

/* Append a buffer; false with virtio_error(). */
bool virtqueue_chain_add(ChainWalk *walk, uint64_t addr, uint32_t len, bool write);

/* virtqueue-packed.c, -packed-state.c: what the functions without the prefix do there --------- */

/* Whether a device that wants to offer packed queues can; else errp is set. */
bool virtqueue_packed_check(const VirtIODevice *vdev, Error **errp);
/* Make and free what only packed queues need. */
void virtqueue_packed_init(VirtQueue *vq);
void virtqueue_packed_cleanup(VirtQueue *vq);
bool virtqueue_packed_map(VirtQueue *vq);
/* What was in flight where the machine was saved goes. */
void virtqueue_packed_forget(VirtQueue *vq);
bool virtqueue_packed_has_avail(VirtQueue *vq);
void *virtqueue_packed_pop(VirtQueue *vq);
/* The element is no longer in flight. */
void virtqueue_packed_unpop(VirtQueue *vq, const VirtQueueElement *elem);
void virtqueue_packed_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t len,
                           unsigned ahead);
void virtqueue_packed_flush(VirtQueue *vq, unsigned count);
bool virtqueue_packed_wants_interrupt(VirtQueue *vq);
void virtqueue_packed_set_notification(VirtQueue *vq, bool enable);
/* What is in flight goes into a saved machine, and comes from there: false with errp set. */
void virtqueue_packed_save(const VirtQueue *vq, GByteArray *out);
bool virtqueue_packed_load(VirtQueue *vq, const uint8_t *data, uint32_t len, Error **errp);

#endif
