/*
 * Virtqueues: taking descriptor chains apart and returning them. What packed ones do in another
 * way than split ones is in virtqueue-packed.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "exec/dirty-log.h"
#include "virtqueue-internal.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "qemu/trace.h"

#define BITS_PER_LONG (8 * sizeof(long))
/* Queues full of requests between two looks at the rest of the world. */
#define MAX_BATCHES 8

/* Indirect tables need no alignment, hence no plain loads. */
static inline struct vring_desc guest_load_desc(const void *p)
{
    struct vring_desc desc;

    memcpy(&desc, p, sizeof(desc));
    __asm__ volatile("" ::: "memory");
    return desc;
}

/* The driver asks for an interrupt at this used index (EVENT_IDX). */
static inline uint16_t *vq_used_event(VirtQueue *vq)
{
    return &vq->ring.avail->ring[vq->regs.num];
}

/* We ask for a kick at this available index (EVENT_IDX). */
static inline uint16_t *vq_avail_event(VirtQueue *vq)
{
    return (uint16_t *)&vq->ring.used->ring[vq->regs.num];
}

static inline bool head_test(const VirtQueue *vq, unsigned head)
{
    return vq->ring.heads[head / BITS_PER_LONG] >> (head % BITS_PER_LONG) & 1;
}

static inline void head_set(VirtQueue *vq, unsigned head, bool in_flight)
{
    unsigned long *word = &vq->ring.heads[head / BITS_PER_LONG];
    unsigned long bit = 1ul << (head % BITS_PER_LONG);

    *word = in_flight ? *word | bit : *word & ~bit;
}

/* Life --------------------------------------------------------------------- */

VirtQueue *virtqueue_new(VirtIODevice *vdev, unsigned index, unsigned size,
                         size_t elem_size)
{
    VirtQueue *vq = g_new0(VirtQueue, 1);

    g_assert(size >= 2 && size <= VIRTQUEUE_MAX_SIZE && !(size & (size - 1)));
    g_assert(elem_size >= sizeof(VirtQueueElement));
    vq->vdev = vdev;
    vq->index = index;
    vq->max_size = size;
    vq->elem_size = QEMU_ALIGN_UP(elem_size, 16);
    vq->slot_size = QEMU_ALIGN_UP(vq->elem_size + size * sizeof(struct iovec),
                                  64);
    /* Pages cost nothing before a request first uses them. */
    vq->pool = mmap(NULL, vq->slot_size * size, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vq->pool == MAP_FAILED) {
        g_error("cannot allocate %zu bytes for a virtqueue",
                vq->slot_size * size);
    }
    if (vdev->prop_packed) {
        virtqueue_packed_init(vq);
    }
    vq->host_notifier.fd = -1;
    virtqueue_reset(vq);
    return vq;
}

void virtqueue_free(VirtQueue *vq)
{
    g_assert(!vq->active && !vq->watched);
    munmap(vq->pool, vq->slot_size * vq->max_size);
    if (vq->host_notifier.fd >= 0) {
        event_notifier_cleanup(&vq->host_notifier);
    }
    g_free(vq->ring.again);
    virtqueue_packed_forget(vq);
    virtqueue_packed_cleanup(vq);
    g_free(vq);
}

void virtqueue_forget(VirtQueue *vq)
{
    g_assert(!vq->active);
    g_free(vq->ring.again);
    virtqueue_packed_forget(vq);
    for (unsigned i = 0; i < vq->ring.nr_slots; i++) {
        VirtQueueElement *elem = (void *)(vq->pool + i * vq->slot_size);
        elem->in_flight = false;    /* a late push of it does nothing */
    }
    vq->ring = (VirtRing) { .notification = true };
}

void virtqueue_reset(VirtQueue *vq)
{
    virtqueue_forget(vq);
    vq->regs = (VirtQueueRegs) { .num = vq->max_size };
}

bool virtqueue_map(VirtQueue *vq)
{
    const AddressSpace *as = vq->vdev->as;
    const VirtQueueRegs *regs = &vq->regs;
    VirtRing *r = &vq->ring;

    r->event_idx = virtio_has_feature(vq->vdev, VIRTIO_RING_F_EVENT_IDX);
    r->indirect = virtio_has_feature(vq->vdev, VIRTIO_RING_F_INDIRECT_DESC);
    r->packed = virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED);
    r->in_order = virtio_has_feature(vq->vdev, VIRTIO_FEATURE_IN_ORDER);
    if (r->packed) {
        return virtqueue_packed_map(vq);
    }
    /* Section 2.7: alignments 16, 2 and 4; the last word is for EVENT_IDX. */
    if (regs->desc % 16 || regs->avail % 2 || regs->used % 4) {
        virtio_error(vq->vdev, "queue %u: rings are not aligned", vq->index);
        return false;
    }
    r->desc = address_space_map(as, regs->desc, 16ull * regs->num);
    r->avail = address_space_map(as, regs->avail, 6 + 2ull * regs->num);
    r->used = address_space_map(as, regs->used, 6 + 8ull * regs->num);
    if (!r->desc || !r->avail || !r->used) {
        virtio_error(vq->vdev, "queue %u: rings are not in RAM", vq->index);
        return false;
    }
    return true;
}

unsigned virtio_queue_index(const VirtQueue *vq)
{
    return vq->index;
}

unsigned virtio_queue_max_size(const VirtQueue *vq)
{
    return vq->max_size;
}

unsigned virtio_queue_size(const VirtQueue *vq)
{
    return vq->regs.num;
}

bool virtio_queue_live(const VirtQueue *vq)
{
    return vq->active && !virtio_is_broken(vq->vdev);
}

unsigned virtqueue_in_flight(const VirtQueue *vq)
{
    return vq->ring.in_flight;
}

/* Elements ----------------------------------------------------------------- */

/* The element is no longer in flight. False if it was not. */
static bool element_release(VirtQueue *vq, VirtQueueElement *elem)
{
    if (!elem->in_flight) {
        return false;
    }
    if (address_space_dirty_log(vq->vdev->as) && vq->active) {
        virtqueue_log_buffers(vq, elem);
    }
    elem->in_flight = false;
    head_set(vq, elem->head, false);
    vq->ring.in_flight--;
    virtqueue_element_put(vq, elem);
    return true;
}

/* Popping ------------------------------------------------------------------ */

/* Read avail->idx: we have served all that we knew of. */
static bool vq_look(VirtQueue *vq)
{
    uint16_t count;

    if (vq->ring.packed) {
        return virtqueue_packed_has_avail(vq);
    }
    if (vq->ring.event_told) {
        /* The wish for a kick before the look; pairs with the driver's full barrier. */
        atomic_thread_fence(memory_order_seq_cst);
        vq->ring.event_told = false;
    }
    /* Acquire: entries before the index; pairs with the driver's release. */
    vq->ring.avail_seen = __atomic_load_n(&vq->ring.avail->idx, __ATOMIC_ACQUIRE);
    count = vq->ring.avail_seen - vq->ring.last_avail;
    if (count + vq->ring.in_flight + vq->ring.nr_again > vq->regs.num) {
        virtio_error(vq->vdev, "queue %u: available index moved from %u to %u "
                     "with %u requests in flight", vq->index, vq->ring.last_avail,
                     vq->ring.avail_seen, vq->ring.in_flight);
        vq->ring.avail_seen = vq->ring.last_avail;
        return false;
    }
    return count != 0;
}

static inline bool vq_has_avail(VirtQueue *vq)
{
    return vq->ring.avail_seen != vq->ring.last_avail || vq->ring.nr_again || vq_look(vq);
}

bool virtqueue_chain_add(ChainWalk *walk, uint64_t addr, uint32_t len, bool write)
{
    VirtQueue *vq = walk->vq;
    VirtQueueElement *elem = walk->elem;
    const void *host;

    if (walk->num == vq->regs.num) {
        virtio_error(vq->vdev, "queue %u: descriptor chain is longer than the "
                     "queue", vq->index);
        return false;
    }
    if (!write && elem->in_num) {
        virtio_error(vq->vdev, "queue %u: readable descriptor after a writable "
                     "one", vq->index);
        return false;
    }
    host = write ? address_space_map(vq->vdev->as, addr, len) :
                   address_space_map_ro(vq->vdev->as, addr, len);
    if (!host) {
        virtio_error(vq->vdev, "queue %u: buffer 0x%llx+0x%x is empty or not in "
                     "RAM", vq->index, (unsigned long long)addr, len);
        return false;
    }
    walk->iov[walk->num].iov_base = (void *)host;
    walk->iov[walk->num].iov_len = len;
    walk->num++;
    if (write) {
        elem->in_num++;
        elem->in_len += len;
    } else {
        elem->out_num++;
        elem->out_len += len;
    }
    return true;
}

static bool chain_add(ChainWalk *walk, const struct vring_desc *desc)
{
    return virtqueue_chain_add(walk, desc->addr, desc->len, desc->flags & VRING_DESC_F_WRITE);
}

/* Section 2.7.5.3: a table of descriptors elsewhere ends the chain. */
static bool chain_add_indirect(ChainWalk *walk, const struct vring_desc *outer)
{
    VirtQueue *vq = walk->vq;
    unsigned max = outer->len / sizeof(struct vring_desc);
    const struct vring_desc *table;
    struct vring_desc desc;
    unsigned i = 0;

    if (!vq->ring.indirect || (outer->flags & VRING_DESC_F_NEXT)) {
        virtio_error(vq->vdev, "queue %u: misplaced indirect descriptor",
                     vq->index);
        return false;
    }
    if (!max || outer->len % sizeof(struct vring_desc) || max > vq->regs.num) {
        virtio_error(vq->vdev, "queue %u: bad size %u of an indirect table",
                     vq->index, outer->len);
        return false;
    }
    table = address_space_map_ro(vq->vdev->as, outer->addr, outer->len);
    if (!table) {
        virtio_error(vq->vdev, "queue %u: indirect table is not in RAM",
                     vq->index);
        return false;
    }
    for (;;) {
        desc = guest_load_desc(&table[i]);
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            virtio_error(vq->vdev, "queue %u: nested indirect descriptor",
                         vq->index);
            return false;
        }
        if (!chain_add(walk, &desc)) {
            return false;
        }
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        i = desc.next;
        if (i >= max) {
            virtio_error(vq->vdev, "queue %u: next descriptor %u of %u in an "
                         "indirect table", vq->index, i, max);
            return false;
        }
    }
}

/* Follow the chain that starts at head. chain_add() bounds its length. */
static bool chain_walk(ChainWalk *walk, unsigned head)
{
    VirtQueue *vq = walk->vq;
    unsigned i = head;

    for (;;) {
        struct vring_desc desc;

        if (i >= vq->regs.num) {
            virtio_error(vq->vdev, "queue %u: descriptor %u does not exist",
                         vq->index, i);
            return false;
        }
        desc = guest_load_desc(&vq->ring.desc[i]);
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            return chain_add_indirect(walk, &desc);
        }
        if (!chain_add(walk, &desc)) {
            return false;
        }
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            return true;
        }
        i = desc.next;
    }
}

/* The head of the next request; again: one that was taken where the machine was saved. */
static unsigned next_head(VirtQueue *vq, bool *again)
{
    VirtRing *r = &vq->ring;

    *again = r->nr_again;
    return *again ? r->again[r->nr_again - 1]
                  : guest_load16(&r->avail->ring[r->last_avail & (vq->regs.num - 1)]);
}

void *virtqueue_pop(VirtQueue *vq)
{
    ChainWalk walk;
    VirtQueueElement *elem;
    unsigned head;
    bool again;

    if (!virtio_queue_live(vq) || !vq_has_avail(vq)) {
        return NULL;
    }
    if (vq->ring.packed) {
        return virtqueue_packed_pop(vq);
    }
    head = next_head(vq, &again);
    if (head >= vq->regs.num || head_test(vq, head)) {
        virtio_error(vq->vdev, "queue %u: available entry %u %s", vq->index,
                     head, head >= vq->regs.num ? "does not exist" : "is in use");
        return NULL;
    }
    elem = virtqueue_element_get(vq, &walk);
    if (!chain_walk(&walk, head)) {
        virtqueue_element_put(vq, elem);
        return NULL;
    }
    virtqueue_element_ready(&walk, head, again);
    head_set(vq, head, true);
    if (again) {
        vq->ring.nr_again--;
    } else {
        vq->ring.last_avail++;
    }
    if (vq->ring.event_idx && vq->ring.notification) {
        guest_store16(vq_avail_event(vq), vq->ring.last_avail);
        vq->ring.event_told = true;
    }
    return elem;
}

void virtqueue_unpop(VirtQueue *vq, VirtQueueElement *elem)
{
    if (!element_release(vq, elem)) {
        return;
    }
    vq->ring.popped--;
    if (vq->ring.packed) {
        virtqueue_packed_unpop(vq, elem);
    } else if (!elem->again) {
        vq->ring.last_avail--;
    } else {
        vq->ring.again[vq->ring.nr_again++] = elem->head;
    }
}

void virtqueue_detach(VirtQueue *vq, VirtQueueElement *elem)
{
    element_release(vq, elem);
}

bool virtio_queue_empty(VirtQueue *vq)
{
    return !virtio_queue_live(vq) || !vq_has_avail(vq);
}

/* Pushing ------------------------------------------------------------------ */

static void fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t len, unsigned ahead)
{
    struct vring_used_elem *entry;

    /* A class that says in_order is. */
    g_assert(!vq->ring.in_order || elem->turn == vq->ring.returned);
    vq->ring.returned++;
    trace(virtqueue_fill, "%s queue %u head %u len %u", qdev_name(&vq->vdev->dev), vq->index,
          elem->head, len);
    if (vq->ring.packed) {
        virtqueue_packed_fill(vq, elem, len, ahead);
        return;
    }
    entry = &vq->ring.used->ring[(vq->ring.used_idx + ahead) & (vq->regs.num - 1)];
    entry->id = elem->head;
    entry->len = len;
}

static void publish(VirtQueue *vq, unsigned count)
{
    uint16_t old = vq->ring.used_idx;
    uint16_t new = old + count;

    if (vq->ring.packed) {
        virtqueue_packed_flush(vq, count);
        return;
    }
    vq->ring.used_idx = new;
    /* Release: entries and data before the index; pairs with the driver's load. */
    __atomic_store_n(&vq->ring.used->idx, new, __ATOMIC_RELEASE);
    /* The index went round past the last notification: its event is stale. */
    if ((uint16_t)(new - vq->ring.signalled_used) < (uint16_t)(new - old)) {
        vq->ring.signalled_valid = false;
    }
}

void virtqueue_fill(VirtQueue *vq, VirtQueueElement *elem, uint32_t len,
                    unsigned ahead)
{
    if (element_release(vq, elem) && virtio_queue_live(vq)) {
        fill(vq, elem, len, ahead);
    }
}

void virtqueue_flush(VirtQueue *vq, unsigned count)
{
    if (virtio_queue_live(vq) && count) {
        publish(vq, count);
    }
}

void virtqueue_push(VirtQueue *vq, VirtQueueElement *elem, uint32_t len)
{
    if (element_release(vq, elem) && virtio_queue_live(vq)) {
        fill(vq, elem, len, 0);
        publish(vq, 1);
    }
}

/* Notifications ------------------------------------------------------------ */

/* Section 2.7.7.2. */
static bool vq_wants_interrupt(VirtQueue *vq)
{
    uint16_t old = vq->ring.signalled_used;
    bool valid = vq->ring.signalled_valid;

    if (vq->ring.packed) {
        return virtqueue_packed_wants_interrupt(vq);
    }
    /* Used index before event or flags; pairs with the driver's full barrier. */
    atomic_thread_fence(memory_order_seq_cst);
    if (!vq->ring.event_idx) {
        return !(guest_load16(&vq->ring.avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
    }
    vq->ring.signalled_used = vq->ring.used_idx;
    vq->ring.signalled_valid = true;
    return !valid || vring_need_event(guest_load16(vq_used_event(vq)),
                                      vq->ring.used_idx, old);
}

void virtio_notify(VirtQueue *vq)
{
    if (virtio_queue_live(vq) && vq_wants_interrupt(vq)) {
        VirtioBusState *vbus = vq->vdev->vbus;

        trace(virtio_notify, "%s queue %u", qdev_name(&vq->vdev->dev), vq->index);
        vbus->ops->notify(vbus, VIRTIO_ISR_VRING);
    }
}

void virtio_queue_set_notification(VirtQueue *vq, bool enable)
{
    vq->ring.notification = enable;
    vq->ring.event_told = false;
    if (!virtio_queue_live(vq)) {
        return;
    }
    if (vq->ring.packed) {
        virtqueue_packed_set_notification(vq, enable);
    } else if (!vq->ring.event_idx) {
        guest_store16(&vq->ring.used->flags, enable ? 0 : VRING_USED_F_NO_NOTIFY);
    } else if (enable) {
        guest_store16(vq_avail_event(vq), vq->ring.last_avail);
    }
    if (enable) {
        /* Wish before the caller's look; pairs with the driver's full barrier. */
        atomic_thread_fence(memory_order_seq_cst);
    }
}

bool virtio_queue_serve(VirtQueue *vq, VirtIOHandleOutput *batch)
{
    virtio_queue_set_notification(vq, false);
    for (unsigned i = 0; i < MAX_BATCHES; i++) {
        batch(vq->vdev, vq);
        if (virtio_queue_empty(vq)) {
            virtio_queue_set_notification(vq, true);
            if (virtio_queue_empty(vq)) {
                return true;
            }
            virtio_queue_set_notification(vq, false);
        }
    }
    return false;
}
