/*
 * Virtqueues: what devices have written, for a machine that is migrated while it runs.
 *
 * A request's buffers are found once more when it is returned: only then all of it is written. In
 * a split queue the driver has not touched the descriptors until then; one that changes them all
 * the same loses contents of its own memory. The rings are written all the time, so they count
 * when the device stops.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "exec/dirty-log.h"
#include "virtio-internal.h"

typedef struct Table {
    const struct vring_desc *desc;
    unsigned num;
} Table;

static struct vring_desc load_desc(const struct vring_desc *p)
{
    struct vring_desc desc;

    memcpy(&desc, p, sizeof(desc));
    __asm__ volatile("" ::: "memory");
    return desc;
}

/* Mark what is writable, from entry i on; an indirect table is given back in *inner. */
static void log_table(VirtQueue *vq, const Table *t, unsigned i, Table *inner)
{
    const AddressSpace *as = vq->vdev->as;

    for (unsigned n = 0; n < t->num && i < t->num; n++) {
        struct vring_desc desc = load_desc(&t->desc[i]);

        if (inner && (desc.flags & VRING_DESC_F_INDIRECT)) {
            inner->desc = address_space_map_ro(as, desc.addr, desc.len);
            inner->num = inner->desc ? desc.len / sizeof(desc) : 0;
        } else if (desc.flags & VRING_DESC_F_WRITE) {
            address_space_wrote(as, address_space_map(as, desc.addr, desc.len), desc.len);
        }
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            return;
        }
        i = desc.next;
    }
}

static void log_split(VirtQueue *vq, unsigned head)
{
    Table ring = { .desc = vq->ring.desc, .num = vq->regs.num }, inner = { 0 };

    log_table(vq, &ring, head, &inner);
    inner.num = MIN(inner.num, vq->regs.num);
    log_table(vq, &inner, 0, NULL);
}

static void log_packed(VirtQueue *vq, const VirtQueueElement *elem)
{
    const VirtPackedCopy *bufs = virtqueue_packed_copies(vq, elem);
    const AddressSpace *as = vq->vdev->as;

    for (unsigned i = 0; i < elem->nr_bufs; i++) {
        if (bufs[i].write) {
            address_space_wrote(as, address_space_map(as, bufs[i].addr, bufs[i].len),
                                bufs[i].len);
        }
    }
}

void virtqueue_log_buffers(VirtQueue *vq, const VirtQueueElement *elem)
{
    if (vq->ring.packed) {
        log_packed(vq, elem);
    } else {
        log_split(vq, elem->head);
    }
}

void virtqueue_log_all(VirtQueue *vq)
{
    const AddressSpace *as = vq->vdev->as;
    const VirtRing *r = &vq->ring;

    if (!address_space_dirty_log(as)) {
        return;
    }
    if (r->packed) {
        address_space_wrote(as, r->packed_desc, 16ull * vq->regs.num);
        address_space_wrote(as, r->device_event, sizeof(*r->device_event));
    } else {
        address_space_wrote(as, r->used, 6 + 8ull * vq->regs.num);
    }
    for (unsigned i = 0; i < r->nr_slots; i++) {
        const VirtQueueElement *elem = (void *)(vq->pool + i * vq->slot_size);

        if (elem->in_flight) {
            virtqueue_log_buffers(vq, elem);
        }
    }
}
