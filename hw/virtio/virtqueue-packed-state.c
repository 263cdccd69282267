/*
 * Packed virtqueues in a saved machine: the requests that were in flight.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/le.h"
#include "virtqueue-internal.h"

/* Packed: id, places in the ring, buffers; then of each its address, length, and direction. */
static void put_record(GByteArray *out, uint16_t id, uint16_t ndescs, const VirtPackedCopy *bufs,
                       uint32_t n)
{
    append_le(out, id, 2);
    append_le(out, ndescs, 2);
    append_le(out, n, 4);
    for (uint32_t i = 0; i < n; i++) {
        append_le(out, bufs[i].addr, 8);
        append_le(out, bufs[i].len, 4);
        append_le(out, bufs[i].write, 4);
    }
}

void virtqueue_packed_save(const VirtQueue *vq, GByteArray *out)
{
    g_autoptr(GByteArray) data = g_byte_array_new();

    for (unsigned i = 0; i < vq->ring.nr_again; i++) {
        const VirtPackedRecord *r = &vq->ring.records[i];

        put_record(data, r->id, r->ndescs, r->bufs, r->n);
    }
    for (unsigned i = 0; i < vq->ring.nr_slots; i++) {
        const VirtQueueElement *elem = (const void *)(vq->pool + i * vq->slot_size);

        if (elem->in_flight) {
            put_record(data, elem->id, elem->ndescs, virtqueue_packed_copies(vq, elem),
                       elem->nr_bufs);
        }
    }
    state_put_bytes(out, "in-flight", data->data, data->len);
}

/* One record from *data on; false: it is none. */
static bool take_record(VirtQueue *vq, const uint8_t **data, uint32_t *left)
{
    VirtRing *ring = &vq->ring;
    VirtPackedRecord *r = &ring->records[ring->nr_records];
    const uint8_t *p = *data;
    uint32_t n = *left >= 8 ? ld_le(p + 4, 4) : 0;

    if (!n || !ld_le(p + 2, 2) || n > vq->regs.num || *left - 8 < n * 16) {
        return false;
    }
    *r = (VirtPackedRecord) { ld_le(p, 2), ld_le(p + 2, 2), n, g_new(VirtPackedCopy, n) };
    ring->nr_again = ++ring->nr_records;
    p += 8;
    for (uint32_t i = 0; i < n; i++, p += 16) {
        r->bufs[i] = (VirtPackedCopy) { ld_le(p, 8), ld_le(p + 8, 4), ld_le(p + 12, 4) & 1 };
    }
    *left -= p - *data;
    *data = p;
    return true;
}

/*
 * All places between the positions are taken by the requests that are in flight; but for a device
 * that has given up on its driver, and on requests: it looks at the ring no more until it is reset.
 */
bool virtqueue_packed_load(VirtQueue *vq, const uint8_t *data, uint32_t len, Error **errp)
{
    VirtRing *ring = &vq->ring;
    uint16_t out = ring->last_avail - ring->used_idx;
    unsigned places = 0;

    ring->records = g_new0(VirtPackedRecord, vq->regs.num);
    while (len && out <= vq->regs.num && places < out) {
        if (!take_record(vq, &data, &len)) {
            break;
        }
        places += ring->records[ring->nr_records - 1].ndescs;
    }
    if (len || (places != out && !virtio_is_broken(vq->vdev))) {
        error_setg(errp, "queue %u has impossible requests", vq->index);
        return false;
    }
    return true;
}
