/*
 * Drivers of queues, split and packed, that do what an input says (virtio 1.2, sections 2.7, 2.8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "exec/memory.h"
#include "fuzz-guest.h"
#include "qemu/cutils.h"

#define CHAIN_MAX 8
/* Longest wait for a request that a thread of the device works at. */
#define WORKER_US 2000

/* Of both formats. */
typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;              /* packed: the buffer's number, which comes back */
} Desc;

static MachineState *ms;

void guest_init(MachineState *machine)
{
    ms = machine;
}

uint8_t *guest_ram(hwaddr addr, hwaddr len)
{
    return address_space_map(&ms->memory, addr, len);
}

void guest_write(Guest *g, unsigned reg, uint32_t value)
{
    uint64_t val = value;

    address_space_rw_locked(&ms->memory, g->base + reg, &val, 4, true);
}

uint32_t guest_read(Guest *g, unsigned reg)
{
    uint64_t value = 0;

    address_space_rw_locked(&ms->memory, g->base + reg, &value, 4, false);
    return value;
}

/* Layout ------------------------------------------------------------------- */

static hwaddr desc_at(unsigned q)
{
    return QUEUES + q * QUEUE_SPACE;
}

/* Packed: the driver's event suppression. */
static hwaddr avail_at(const Guest *g, unsigned q)
{
    return desc_at(q) + 16 * g->ring[q].num;
}

/* Packed: the device's event suppression. */
static hwaddr used_at(const Guest *g, unsigned q)
{
    return QEMU_ALIGN_UP(avail_at(g, q) + 6 + 2 * g->ring[q].num, 4096);
}

static void put_desc(const Guest *g, hwaddr table, unsigned at, const Desc *d)
{
    if (g->packed) {
        *(struct vring_packed_desc *)guest_ram(table + 16 * at, 16) =
            (struct vring_packed_desc) { d->addr, d->len, d->next, d->flags };
    } else {
        *(struct vring_desc *)guest_ram(table + 16 * at, 16) =
            (struct vring_desc) { d->addr, d->len, d->flags, d->next };
    }
}

/* Start -------------------------------------------------------------------- */

static void set_up_queue(Guest *g, unsigned q, unsigned num)
{
    guest_write(g, 0x30, q);
    num = MIN(num, guest_read(g, 0x34));
    g->ring[q] = (Ring) { .num = num };
    if (!num) {
        return;
    }
    memset(guest_ram(desc_at(q), QUEUE_SPACE), 0, QUEUE_SPACE);
    guest_write(g, 0x38, num);
    if (g->legacy) {
        guest_write(g, 0x3c, 4096);
        guest_write(g, 0x40, desc_at(q) / 4096);
        return;
    }
    guest_write(g, 0x80, desc_at(q));
    guest_write(g, 0x90, avail_at(g, q));
    guest_write(g, 0xa0, used_at(g, q));
    guest_write(g, 0x44, 1);
}

void step_start(Guest *g)
{
    unsigned how = take(g, 1);
    uint64_t features = how & 1 ? take(g, 8) : ~0ull;
    unsigned num = how & 2 ? 1u << (how >> 5) : QUEUE_MAX;

    features |= 1ull << VIRTIO_F_RING_PACKED;
    features ^= g->packed ? 0 : 1ull << VIRTIO_F_RING_PACKED;
    guest_write(g, 0x70, 0);
    guest_write(g, 0x70, 3);
    if (g->legacy) {
        guest_write(g, 0x28, 4096);
    }
    for (unsigned i = 0; i < 2; i++) {
        uint32_t offered = (guest_write(g, 0x14, i), guest_read(g, 0x10));

        guest_write(g, 0x24, i);
        guest_write(g, 0x20, offered & (uint32_t)(features >> (32 * i)));
    }
    guest_write(g, 0x70, how & 4 ? 7 : 11);
    for (unsigned q = 0; q < NR_QUEUES; q++) {
        set_up_queue(g, q, num);
    }
    guest_write(g, 0x70, how & 8 ? 3 : 15);
}

/* Chains ------------------------------------------------------------------- */

/* The buffer of a descriptor with what the input has for it. */
static Desc take_buffer(Guest *g, unsigned q, unsigned flags)
{
    Desc d = { .addr = g->buffer, .flags = flags & 1 ? VRING_DESC_F_WRITE : 0 };
    uint8_t head[BUFFER_MAX];
    const uint8_t *data = head;
    size_t len;

    if (flags & 128 && g->head) {
        len = g->head(g, q, head);
    } else {
        len = take(g, 1);
        data = fuzz_take_bytes(&g->in, &len);
    }
    d.len = flags & 2 ? take(g, 2) % 0x2000 : flags & 4 ? take(g, 4) : len;
    if (flags & 8) {
        d.addr = take(g, 8);
    }
    memcpy(guest_ram(g->buffer, 256), data, len);
    g->buffer += QEMU_ALIGN_UP(MAX(len, MIN(d.len, 0x2000u)), 16) + (flags >> 4 & 1);
    if (g->buffer > BUFFERS_END - 0x2000) {
        g->buffer = BUFFERS;
    }
    return d;
}

static void publish_split(Guest *g, unsigned q, const Desc *chain, unsigned n)
{
    Ring *r = &g->ring[q];
    struct vring_avail *avail = (void *)guest_ram(avail_at(g, q), 6 + 2 * r->num);

    for (unsigned i = 0; i < n; i++) {
        Desc d = chain[i];

        d.next = (r->next + d.next) % r->num;
        put_desc(g, desc_at(q), (r->next + i) % r->num, &d);
    }
    avail->ring[r->avail++ % r->num] = r->next;
    avail->idx = r->avail;
    r->next = (r->next + n) % r->num;
}

/* The first descriptor last: until then there is nothing. */
static void publish_packed(Guest *g, unsigned q, const Desc *chain, unsigned n)
{
    Ring *r = &g->ring[q];

    for (unsigned i = n; i-- > 0;) {
        unsigned at = r->next + i;
        Desc d = chain[i];

        d.next = r->next;
        d.flags |= at & r->num ? 1u << VRING_PACKED_DESC_F_USED : 1u << VRING_PACKED_DESC_F_AVAIL;
        put_desc(g, desc_at(q), at % r->num, &d);
    }
    r->last = r->next;
    r->next += n;
}

/* What the chain's entries say goes into a table; the chain is the one that says where. */
static unsigned make_indirect(Guest *g, Desc *chain, unsigned n)
{
    hwaddr table = QEMU_ALIGN_UP(g->buffer, 16);

    for (unsigned i = 0; i < n; i++) {
        put_desc(g, table, i, &chain[i]);
    }
    g->buffer = table + 16 * CHAIN_MAX;
    chain[0] = (Desc) { table, 16 * n, VRING_DESC_F_INDIRECT, 0 };
    return 1;
}

void step_chain(Guest *g)
{
    unsigned how = take(g, 1), q = how % NR_QUEUES, n = 1 + (how >> 3) % CHAIN_MAX;
    Desc chain[CHAIN_MAX];

    if (!g->ring[q].num) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        unsigned flags = take(g, 1);

        chain[i] = take_buffer(g, q, flags);
        chain[i].next = flags & 32 ? take(g, 1) : (i + 1) % CHAIN_MAX;
        chain[i].flags |= i + 1 < n ? VRING_DESC_F_NEXT : 0;
        chain[i].flags ^= flags & 64 ? VRING_DESC_F_INDIRECT : 0;
    }
    if (how & 64) {
        n = make_indirect(g, chain, n);
    }
    if (g->packed) {
        publish_packed(g, q, chain, n);
    } else {
        publish_split(g, q, chain, n);
    }
    g->kick = q;
    if (!(how & 128)) {
        step_kick(g);
    }
}

/* Has the last chain come back? */
static bool all_used(const Guest *g)
{
    const Ring *r = &g->ring[g->kick];
    hwaddr table = desc_at(g->kick);

    if (!r->num || guest_read((Guest *)g, 0x70) & VIRTIO_CONFIG_S_NEEDS_RESET) {
        return true;
    }
    if (g->packed) {
        const struct vring_packed_desc *d = (void *)guest_ram(table + 16 * (r->last % r->num), 16);
        unsigned flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

        return (flags >> VRING_PACKED_DESC_F_AVAIL & 1) == (flags >> VRING_PACKED_DESC_F_USED & 1);
    }
    return __atomic_load_n((uint16_t *)(void *)guest_ram(used_at(g, g->kick) + 2, 2),
                           __ATOMIC_ACQUIRE) == r->avail;
}

void step_kick(Guest *g)
{
    gint64 end = g_get_monotonic_time() + WORKER_US;

    guest_write(g, 0x50, g->kick);
    fuzz_settle();
    while (g->workers && !all_used(g) && g_get_monotonic_time() < end) {
        g_usleep(20);
        fuzz_settle();
    }
}
