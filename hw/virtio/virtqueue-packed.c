/*
 * Packed virtqueues (virtio 1.2, section 2.8): one ring of descriptors, which the driver makes
 * available and the device overwrites with used ones.
 *
 * Positions run on, as in split queues: their lower bits are a place in the ring, and the number
 * of rounds is odd or even as the wrap counter is 0 or 1. A chain that is in flight may be
 * overwritten by one that was returned before it, so what it said is copied.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "virtqueue-internal.h"

#define F_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define F_USED  (1u << VRING_PACKED_DESC_F_USED)

/* Places ---------------------------------------------------------------------- */

static unsigned place(const VirtQueue *vq, uint16_t pos)
{
    return pos & (vq->regs.num - 1);
}

/* The wrap counter there: 1 in the first round. */
static bool wrap(const VirtQueue *vq, uint16_t pos)
{
    return !(pos & vq->regs.num);
}

/* As the event suppression structures have it (2.8.10). */
static uint16_t off_wrap(const VirtQueue *vq, uint16_t pos)
{
    return place(vq, pos) | wrap(vq, pos) << VRING_PACKED_EVENT_F_WRAP_CTR;
}

static struct vring_packed_desc load_desc(const void *p)
{
    struct vring_packed_desc desc;

    memcpy(&desc, p, sizeof(desc));
    __asm__ volatile("" ::: "memory");
    return desc;
}

bool virtqueue_packed_check(const VirtIODevice *vdev, Error **errp)
{
    return true;
}

/* Copies ------------------------------------------------------------------------ */

/* Room for copies of a queue full of chains, each as long as it can be. */
static size_t copies_size(const VirtQueue *vq)
{
    return (size_t)vq->max_size * vq->max_size * sizeof(VirtPackedCopy);
}

/* Pages cost nothing before a request first uses them. */
void virtqueue_packed_init(VirtQueue *vq)
{
    vq->copies = mmap(NULL, copies_size(vq), PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (vq->copies == MAP_FAILED) {
        g_error("cannot allocate %zu bytes for a virtqueue", copies_size(vq));
    }
    vq->filled = g_new(VirtPackedUsed, vq->max_size);
}

void virtqueue_packed_cleanup(VirtQueue *vq)
{
    if (vq->copies) {
        munmap(vq->copies, copies_size(vq));
        g_free(vq->filled);
    }
}

VirtPackedCopy *virtqueue_packed_copies(const VirtQueue *vq, const VirtQueueElement *elem)
{
    size_t slot = ((const uint8_t *)elem - vq->pool) / vq->slot_size;

    return vq->copies + slot * vq->max_size;
}

void virtqueue_packed_forget(VirtQueue *vq)
{
    VirtRing *r = &vq->ring;

    for (unsigned i = 0; i < r->nr_records; i++) {
        g_free(r->records[i].bufs);
    }
    g_clear_pointer(&r->records, g_free);
    r->nr_records = 0;
}

bool virtqueue_packed_map(VirtQueue *vq)
{
    const AddressSpace *as = vq->vdev->as;
    const VirtQueueRegs *regs = &vq->regs;
    VirtRing *r = &vq->ring;

    /* Section 2.8.10.1: alignments 16, 4 and 4. */
    if (regs->desc % 16 || regs->avail % 4 || regs->used % 4) {
        virtio_error(vq->vdev, "queue %u: rings are not aligned", vq->index);
        return false;
    }
    r->packed_desc = address_space_map(as, regs->desc, 16ull * regs->num);
    r->driver_event = address_space_map(as, regs->avail, sizeof(*r->driver_event));
    r->device_event = address_space_map(as, regs->used, sizeof(*r->device_event));
    if (!r->packed_desc || !r->driver_event || !r->device_event) {
        virtio_error(vq->vdev, "queue %u: rings are not in RAM", vq->index);
        return false;
    }
    return true;
}

/* Popping -------------------------------------------------------------------------- */

static bool is_available(const VirtQueue *vq, unsigned flags, uint16_t pos)
{
    bool w = wrap(vq, pos);

    return !!(flags & F_AVAIL) == w && !!(flags & F_USED) != w;
}

bool virtqueue_packed_has_avail(VirtQueue *vq)
{
    VirtRing *r = &vq->ring;
    uint16_t pos = r->last_avail;

    if (r->event_told) {
        /* The wish for a kick before the look; pairs with the driver's full barrier. */
        atomic_thread_fence(memory_order_seq_cst);
        r->event_told = false;
    }
    /* Acquire: the descriptor, and those that follow, before its flags. */
    return is_available(vq, __atomic_load_n(&r->packed_desc[place(vq, pos)].flags,
                                            __ATOMIC_ACQUIRE), pos);
}

static bool add(ChainWalk *walk, uint64_t addr, uint32_t len, bool write)
{
    unsigned n = walk->num;

    if (!virtqueue_chain_add(walk, addr, len, write)) {
        return false;
    }
    virtqueue_packed_copies(walk->vq, walk->elem)[n] = (VirtPackedCopy) { addr, len, write };
    return true;
}

/* Section 2.8.7: all of the table's entries are the chain; only WRITE of their flags counts. */
static bool add_indirect(ChainWalk *walk, const struct vring_packed_desc *outer)
{
    VirtQueue *vq = walk->vq;
    const struct vring_packed_desc *table;
    unsigned n = outer->len / sizeof(*table);

    if (!vq->ring.indirect || walk->num || (outer->flags & VRING_DESC_F_NEXT)) {
        virtio_error(vq->vdev, "queue %u: misplaced indirect descriptor", vq->index);
        return false;
    }
    if (!n || outer->len % sizeof(*table) || n > vq->regs.num) {
        virtio_error(vq->vdev, "queue %u: bad size %u of an indirect table", vq->index,
                     outer->len);
        return false;
    }
    table = address_space_map_ro(vq->vdev->as, outer->addr, outer->len);
    if (!table) {
        virtio_error(vq->vdev, "queue %u: indirect table is not in RAM", vq->index);
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        struct vring_packed_desc desc = load_desc(&table[i]);

        if (!add(walk, desc.addr, desc.len, desc.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
    }
    return true;
}

/* The chain that begins at the next position: *id is that of its last descriptor. */
static bool walk_ring(ChainWalk *walk, uint16_t *id)
{
    VirtQueue *vq = walk->vq;
    uint16_t pos = vq->ring.last_avail, out = pos - vq->ring.used_idx;
    struct vring_packed_desc desc;
    unsigned n = 0;

    do {
        if (out + n >= vq->regs.num) {
            virtio_error(vq->vdev, "queue %u: descriptor chain is longer than the room in the "
                         "queue", vq->index);
            return false;
        }
        desc = load_desc(&vq->ring.packed_desc[place(vq, pos + n++)]);
        if (desc.flags & VRING_DESC_F_INDIRECT ? !add_indirect(walk, &desc)
            : !add(walk, desc.addr, desc.len, desc.flags & VRING_DESC_F_WRITE)) {
            return false;
        }
    } while (desc.flags & VRING_DESC_F_NEXT);
    *id = desc.id;
    walk->elem->ndescs = n;
    return true;
}

/* One that was taken where the machine was saved. */
static bool walk_record(ChainWalk *walk, const VirtPackedRecord *record)
{
    for (unsigned i = 0; i < record->n; i++) {
        const VirtPackedCopy *buf = &record->bufs[i];

        if (!add(walk, buf->addr, buf->len, buf->write)) {
            return false;
        }
    }
    walk->elem->ndescs = record->ndescs;
    return true;
}

void *virtqueue_packed_pop(VirtQueue *vq)
{
    VirtRing *r = &vq->ring;
    ChainWalk walk;
    bool again = r->nr_again;
    uint16_t id = again ? r->records[r->nr_again - 1].id : 0;
    VirtQueueElement *elem;

    /* All places are in flight: there are as many elements as places, and no more. */
    if (!again && (uint16_t)(r->last_avail - r->used_idx) >= vq->regs.num) {
        virtio_error(vq->vdev, "queue %u: a descriptor in flight is made available", vq->index);
        return NULL;
    }
    elem = virtqueue_element_get(vq, &walk);
    if (again ? !walk_record(&walk, &r->records[r->nr_again - 1]) : !walk_ring(&walk, &id)) {
        virtqueue_element_put(vq, elem);
        return NULL;
    }
    elem->nr_bufs = walk.num;
    elem->id = id;
    virtqueue_element_ready(&walk, 0, again);
    if (again) {
        r->nr_again--;
    } else {
        /* avail_seen goes with it: nobody knows of more before the next look. */
        r->avail_seen = r->last_avail += elem->ndescs;
    }
    if (r->event_idx && r->notification) {
        guest_store16(&r->device_event->off_wrap, off_wrap(vq, r->last_avail));
        r->event_told = true;
    }
    return elem;
}

void virtqueue_packed_unpop(VirtQueue *vq, const VirtQueueElement *elem)
{
    VirtRing *r = &vq->ring;

    if (elem->again) {
        r->nr_again++;          /* its record is still there */
    } else {
        r->avail_seen = r->last_avail -= elem->ndescs;
    }
}

/* Pushing -------------------------------------------------------------------------- */

void virtqueue_packed_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t len,
                           unsigned ahead)
{
    /* Where a fill goes is known when those before it are: virtqueue_packed_flush(). */
    vq->filled[ahead] = (VirtPackedUsed) { elem->id, elem->ndescs, len };
}

static void write_used(VirtQueue *vq, const VirtPackedUsed *used, uint16_t pos)
{
    struct vring_packed_desc *desc = &vq->ring.packed_desc[place(vq, pos)];
    uint16_t flags = (wrap(vq, pos) ? F_AVAIL | F_USED : 0) |
                     (used->len ? VRING_DESC_F_WRITE : 0);

    desc->id = used->id;
    desc->len = used->len;
    /* Release: the rest of it, and the data, before the flags. */
    __atomic_store_n(&desc->flags, flags, __ATOMIC_RELEASE);
}

/* The first is written last: the driver sees all or none. */
void virtqueue_packed_flush(VirtQueue *vq, unsigned count)
{
    VirtRing *r = &vq->ring;
    uint16_t first = r->used_idx, old = first, pos = first + vq->filled[0].ndescs;

    for (unsigned i = 1; i < count; i++) {
        write_used(vq, &vq->filled[i], pos);
        pos += vq->filled[i].ndescs;
    }
    write_used(vq, &vq->filled[0], first);
    r->used_idx = pos;
    /* As in virtqueue_flush(). */
    if ((uint16_t)(pos - r->signalled_used) < (uint16_t)(pos - old)) {
        r->signalled_valid = false;
    }
}

/* Notifications ---------------------------------------------------------------------- */

/* The position that the driver's event names, in the round that is now or the one before. */
static uint16_t event_position(const VirtQueue *vq, uint16_t event)
{
    uint16_t now = vq->ring.used_idx;
    uint16_t pos = (now & ~(vq->regs.num - 1)) + (event & (vq->regs.num - 1));

    return wrap(vq, now) == !!(event >> VRING_PACKED_EVENT_F_WRAP_CTR) ? pos
                                                                    : pos - vq->regs.num;
}

bool virtqueue_packed_wants_interrupt(VirtQueue *vq)
{
    VirtRing *r = &vq->ring;
    uint16_t old = r->signalled_used, flags, event;
    bool valid = r->signalled_valid;

    /* Used descriptors before the driver's wish; pairs with its full barrier. */
    atomic_thread_fence(memory_order_seq_cst);
    /* Acquire: off_wrap is what was written before the flags. */
    flags = __atomic_load_n(&r->driver_event->flags, __ATOMIC_ACQUIRE);
    event = guest_load16(&r->driver_event->off_wrap);
    r->signalled_used = r->used_idx;
    r->signalled_valid = true;
    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE) {
        return false;
    }
    return flags != VRING_PACKED_EVENT_FLAG_DESC || !r->event_idx || !valid ||
           vring_need_event(event_position(vq, event), r->used_idx, old);
}

void virtqueue_packed_set_notification(VirtQueue *vq, bool enable)
{
    VirtRing *r = &vq->ring;

    if (enable && r->event_idx) {
        guest_store16(&r->device_event->off_wrap, off_wrap(vq, r->last_avail));
    }
    /* Release: off_wrap before what makes it valid. */
    __atomic_store_n(&r->device_event->flags,
                     !enable ? VRING_PACKED_EVENT_FLAG_DISABLE
                     : r->event_idx ? VRING_PACKED_EVENT_FLAG_DESC
                                    : VRING_PACKED_EVENT_FLAG_ENABLE, __ATOMIC_RELEASE);
}
