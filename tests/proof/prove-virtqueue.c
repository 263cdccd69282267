/*
 * Proof: descriptor chains of a hostile guest, which changes the rings while they are read. Queues
 * of 2 and 4 entries, any contents, indirect tables of any size; memory that is there or not:
 * nothing outside of the rings, the table and the request is touched, and every walk ends.
 * Eva: 0 6
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>

#include "__fc_builtin.h"

#define MAP_NORESERVE 0
#define __atomic_load_n(p, order)        (*(volatile __typeof__(*(p)) *)(p))
#define __atomic_store_n(p, value, order) (*(volatile __typeof__(*(p)) *)(p) = (value))

#include "hw/virtio/virtqueue.c"

#define MAX 4

static struct vring_desc ring_desc[MAX], table[MAX];
static uint16_t ring_avail[3 + MAX];
static uint8_t memory[16];
static struct {
    VirtQueueElement elem;
    struct iovec iov[MAX];
} slot;
static AddressSpace as;
static VirtIODevice vdev;
static VirtQueue vq;
static unsigned num, head;
static struct vring_desc outer;     /* its length: 0, then it is not known */

/*
 * A piece of RAM that long, or none. Tables are read, buffers only named. The end of a table's
 * memory is the table's where its length is known to the proof, that of the longest otherwise.
 */
const void *address_space_map_ro(const AddressSpace *space, hwaddr addr, uint64_t len)
{
    if (!len || Frama_C_interval(0, 1)) {
        return NULL;
    }
    Frama_C_make_unknown((char *)table, sizeof(table));
    return outer.len ? (uint8_t *)table + sizeof(table) - outer.len
                     : (uint8_t *)(table + MAX - num);
}

void *address_space_map(const AddressSpace *space, hwaddr addr, uint64_t len)
{
    return len && Frama_C_interval(0, 1) ? memory : NULL;
}

void virtio_error(VirtIODevice *dev, const char *fmt, ...)
{
}

int main(void)
{
    ChainWalk walk = { .vq = &vq, .elem = &slot.elem, .iov = slot.iov };

    num = 2u << Frama_C_interval(0, 1);
    /*@ split num; */
    Frama_C_make_unknown((char *)ring_desc, sizeof(ring_desc));
    Frama_C_make_unknown((char *)ring_avail, sizeof(ring_avail));
    vdev.as = &as;
    vq.vdev = &vdev;
    vq.regs.num = vq.max_size = num;
    vq.ring.desc = ring_desc + MAX - num;
    vq.ring.indirect = Frama_C_interval(0, 1);
    if (Frama_C_interval(0, 1)) {
        head = Frama_C_unsigned_int_interval(0, UINT32_MAX);
        chain_walk(&walk, head);
    } else {
        outer.flags = Frama_C_unsigned_short_interval(0, UINT16_MAX);
        outer.len = 16 * Frama_C_interval(1, MAX + 1) + Frama_C_interval(0, 1);
        /*@ split outer.len; */
        chain_add_indirect(&walk, &outer);
    }
    return 0;
}
