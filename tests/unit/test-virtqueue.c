/*
 * Split rings against drivers that lie. Names begin with the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/virtio/virtio-internal.h"
#include "qemu/cutils.h"
#include "virtio-harness.h"

#define IND (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVT (1ull << VIRTIO_RING_F_EVENT_IDX)
#define OUT_ADDR 0x10000
#define IN_ADDR  0x20000
#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

/* One request that reads 4 bytes and writes 16. */
static void assert_good_request(VT *t, VTRing *r)
{
    VTBuf bufs[] = { { OUT_ADDR, 4, false }, { IN_ADDR, 16, true } };
    const struct vring_used_elem *used;
    unsigned head;

    memcpy(t->ram + OUT_ADDR, "\1\2\3\4", 4);
    memset(t->ram + IN_ADDR, 0xee, 17);
    head = vt_add(r, bufs, 2);
    vt_kick(t, r);
    used = vt_used(r);
    g_assert_nonnull(used);
    g_assert_cmpuint(used->id, ==, head);
    g_assert_cmpuint(used->len, ==, 16);
    g_assert_null(vt_used(r));
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(t->ram[IN_ADDR + i], ==, 10);
    }
    g_assert_cmphex(t->ram[IN_ADDR + 16], ==, 0xee);
}

/* The device asks for a reset, has used nothing, and works after the reset. */
static void assert_refused(VT *t, VTRing *r)
{
    vt_kick(t, r);
    vt_assert_needs_reset(t);
    g_assert_null(vt_used(r));
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    g_assert_cmpint(t->irq_level, ==, 0);
    assert_good_request(t, vt_start(t, IND | EVT, 16));
}

/* Where one bad chain at descriptor 0 is all that a case needs. */
#define START(want) \
    VTDevice *d; \
    VT *t = vt_new_device(legacy, &d); \
    VTRing *r = vt_start(t, want, 16); \
    assert_good_request(t, r)

#define REFUSED(head) do { \
        vt_avail(r, head); \
        assert_refused(t, r); \
        g_assert_cmpuint(d->popped, ==, 2); \
    } while (0)

static void test_good(gconstpointer legacy)
{
    START(IND | EVT);
    for (int i = 0; i < 100; i++) {
        assert_good_request(t, r);
    }
    vt_free(t);
}

/* Q01 */
static void test_loop(gconstpointer legacy)
{
    START(IND);
    vt_desc(r, 0, OUT_ADDR, 4, N, 1);
    vt_desc(r, 1, OUT_ADDR, 4, N, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_self_loop(gconstpointer legacy)
{
    START(IND);
    vt_desc(r, 5, OUT_ADDR, 4, N, 5);
    REFUSED(5);
    vt_free(t);
}

/* Q03 */
static void test_full_chain(gconstpointer legacy)
{
    START(0);
    for (int i = 0; i < 16; i++) {
        vt_desc(r, i, OUT_ADDR + i, 1, i < 15 ? N : 0, i + 1);
    }
    vt_avail(r, 0);
    vt_kick(t, r);
    g_assert_nonnull(vt_used(r));
    g_assert_cmpuint(d->popped, ==, 2);
    vt_free(t);
}

static void test_chain_too_long(gconstpointer legacy)
{
    START(0);
    for (int i = 0; i < 16; i++) {
        vt_desc(r, i, OUT_ADDR + i, 1, N, (i + 1) % 16);
    }
    REFUSED(3);
    vt_free(t);
}

/* Q04 */
static void test_next_beyond(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, OUT_ADDR, 4, N, 16);
    REFUSED(0);
    vt_free(t);
}

static void test_next_ffff(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, OUT_ADDR, 4, N, 0xffff);
    REFUSED(0);
    vt_free(t);
}

static void test_head_beyond(gconstpointer legacy)
{
    START(0);
    REFUSED(0xffff);
    vt_free(t);
}

/* Q06 */
static void test_avail_jump(gconstpointer legacy)
{
    START(0);
    r->avail->idx += 17;
    assert_refused(t, r);
    vt_free(t);
}

static void test_avail_back(gconstpointer legacy)
{
    START(0);
    r->avail->idx -= 1;
    assert_refused(t, r);
    g_assert_cmpuint(d->popped, ==, 2);
    vt_free(t);
}

/* Q07: more made available while the device answers nothing. */
static void test_flood(gconstpointer legacy)
{
    START(0);
    d->hold = true;
    for (int i = 0; i < 16; i++) {
        vt_desc(r, i, OUT_ADDR, 4, 0, 0);
        vt_avail(r, i);
    }
    vt_kick(t, r);
    g_assert_cmpuint(d->nr_held, ==, 16);
    vt_avail(r, 3);
    d->hold = false;
    assert_refused(t, r);
    vt_free(t);
}

/* Q08 */
static void test_head_twice(gconstpointer legacy)
{
    START(0);
    d->hold = true;
    vt_desc(r, 7, OUT_ADDR, 4, 0, 0);
    vt_avail(r, 7);
    vt_kick(t, r);
    g_assert_cmpuint(d->nr_held, ==, 1);
    vt_avail(r, 7);
    d->hold = false;
    assert_refused(t, r);
    vt_free(t);
}

/* A late answer of a request that a reset took away goes nowhere. */
static void test_push_after_reset(gconstpointer legacy)
{
    VirtQueueElement *elem;

    START(0);
    d->hold = true;
    vt_desc(r, 7, OUT_ADDR, 4, 0, 0);
    vt_avail(r, 7);
    vt_kick(t, r);
    elem = d->held[0];
    vt_wr(t, VT_STATUS, 0);
    virtqueue_push(elem->vq, elem, 0);
    virtio_notify(elem->vq);
    g_assert_null(vt_used(r));
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    d->hold = false;
    r = vt_start(t, 0, 16);
    virtqueue_push(elem->vq, elem, 0);
    assert_good_request(t, r);
    vt_free(t);
}

/* Q09 */
static void test_zero_length(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, OUT_ADDR, 0, 0, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_zero_address(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, 0, 0, 0, 0);
    REFUSED(0);
    vt_free(t);
}

/* Q10, Q12: an address that is not all RAM. */
static void refuse_buffer(gconstpointer legacy, uint64_t addr, uint32_t len)
{
    for (int write = 0; write < 2; write++) {
        START(0);
        vt_desc(r, 0, addr, len, write ? W : 0, 0);
        REFUSED(0);
        g_assert_cmpuint(t->io_accesses, ==, 0);
        vt_free(t);
    }
}

static void test_beyond_ram(gconstpointer legacy)
{
    refuse_buffer(legacy, VT_HIGH_BASE + VT_HIGH_SIZE, 1);
}

static void test_hole(gconstpointer legacy)
{
    refuse_buffer(legacy, 0xc0000000, 4096);
}

static void test_across_end(gconstpointer legacy)
{
    refuse_buffer(legacy, VT_RAM_SIZE - 1, 2);
    refuse_buffer(legacy, VT_HIGH_BASE + VT_HIGH_SIZE - 1, 2);
}

static void test_wraps(gconstpointer legacy)
{
    refuse_buffer(legacy, UINT64_MAX - 7, 0x1000);
    refuse_buffer(legacy, OUT_ADDR, 0xffffffff);
}

static void test_own_registers(gconstpointer legacy)
{
    refuse_buffer(legacy, VT_MMIO_BASE, 0x200);
}

static void test_other_registers(gconstpointer legacy)
{
    refuse_buffer(legacy, VT_IO_BASE, 16);
}

/* Good: RAM above 4 GiB, and the last byte. */
static void test_high_ram(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, VT_HIGH_BASE + VT_HIGH_SIZE - 1, 1, W, 0);
    vt_avail(r, 0);
    vt_kick(t, r);
    g_assert_nonnull(vt_used(r));
    vt_free(t);
}

/* Q14, Q15: indirect tables. The table stands at 0x30000. */
static struct vring_desc *table(VT *t)
{
    return (void *)(t->ram + 0x30000);
}

static void test_indirect(gconstpointer legacy)
{
    START(IND);
    /* WRITE on the outer descriptor means nothing (2.7.5.3.2). */
    for (int i = 0; i < 16; i++) {
        table(t)[i] = (struct vring_desc) { IN_ADDR + i, 1, W | N, i + 1 };
    }
    table(t)[15].flags = W;
    vt_desc(r, 2, 0x30000, 16 * 16, I | W, 0);
    vt_avail(r, 2);
    vt_kick(t, r);
    g_assert_cmpuint(vt_used(r)->len, ==, 16);
    /* A chain that ends in a table. */
    vt_desc(r, 4, OUT_ADDR, 4, N, 9);
    vt_desc(r, 9, 0x30000, 16, I, 0);
    table(t)[0].flags = W;
    vt_avail(r, 4);
    vt_kick(t, r);
    g_assert_cmpuint(vt_used(r)->len, ==, 1);
    assert_good_request(t, r);
    vt_free(t);
}

static void refuse_table(gconstpointer legacy, uint64_t addr, uint32_t len)
{
    START(IND);
    for (int i = 0; i < 64; i++) {
        table(t)[i] = (struct vring_desc) { OUT_ADDR, 1, N, i + 1 };
    }
    vt_desc(r, 0, addr, len, I, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_indirect_sizes(gconstpointer legacy)
{
    refuse_table(legacy, 0x30000, 17);
    refuse_table(legacy, 0x30000, 0);
    refuse_table(legacy, 0x30000, 15);
    refuse_table(legacy, 0x30000, 0xfffffff0);
    refuse_table(legacy, 0x30000, 17 * 16);
}

static void test_indirect_places(gconstpointer legacy)
{
    refuse_table(legacy, VT_RAM_SIZE - 16, 32);
    refuse_table(legacy, 0xc0000000, 32);
    refuse_table(legacy, VT_IO_BASE, 32);
    refuse_table(legacy, UINT64_MAX - 15, 32);
}

static void test_indirect_next(gconstpointer legacy)
{
    START(IND);
    table(t)[0] = (struct vring_desc) { OUT_ADDR, 1, N, 2 };
    vt_desc(r, 0, 0x30000, 32, I, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_indirect_loop(gconstpointer legacy)
{
    START(IND);
    table(t)[0] = (struct vring_desc) { OUT_ADDR, 1, N, 1 };
    table(t)[1] = (struct vring_desc) { OUT_ADDR, 1, N, 0 };
    vt_desc(r, 0, 0x30000, 32, I, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_indirect_unagreed(gconstpointer legacy)
{
    START(0);
    table(t)[0] = (struct vring_desc) { OUT_ADDR, 1, 0, 0 };
    vt_desc(r, 0, 0x30000, 16, I, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_indirect_nested(gconstpointer legacy)
{
    START(IND);
    table(t)[0] = (struct vring_desc) { 0x30000, 16, I, 0 };
    vt_desc(r, 0, 0x30000, 16, I, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_indirect_and_next(gconstpointer legacy)
{
    START(IND);
    table(t)[0] = (struct vring_desc) { OUT_ADDR, 1, 0, 0 };
    vt_desc(r, 0, 0x30000, 16, I | N, 1);
    vt_desc(r, 1, OUT_ADDR, 1, 0, 0);
    REFUSED(0);
    vt_free(t);
}

/* The table and the chain before it count together. */
static void test_indirect_total(gconstpointer legacy)
{
    START(IND);
    for (int i = 0; i < 16; i++) {
        table(t)[i] = (struct vring_desc) { OUT_ADDR, 1, i < 15 ? N : 0, i + 1 };
    }
    vt_desc(r, 0, OUT_ADDR, 1, N, 1);
    vt_desc(r, 1, 0x30000, 256, I, 0);
    REFUSED(0);
    vt_free(t);
}

/* Q16 */
static void test_order(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, IN_ADDR, 4, W | N, 1);
    vt_desc(r, 1, OUT_ADDR, 4, 0, 0);
    REFUSED(0);
    vt_free(t);
}

static void test_flag_bits(gconstpointer legacy)
{
    START(0);
    vt_desc(r, 0, OUT_ADDR, 4, 0xfff8, 0xffff);
    vt_avail(r, 0);
    vt_kick(t, r);
    g_assert_nonnull(vt_used(r));
    vt_free(t);
}

/* Q17: another CPU rewrites descriptors while the device reads them. */
typedef struct Flipper {
    struct vring_desc *desc;
    bool stop;
} Flipper;

static void *flip(void *opaque)
{
    static const uint64_t addrs[] = { OUT_ADDR, 0xc0000000, VT_RAM_SIZE - 8,
                                      VT_IO_BASE, 0x30000, UINT64_MAX };
    static const uint32_t lens[] = { 16, 0xffffffff, 8, 0, 32, 256 };
    Flipper *f = opaque;

    for (unsigned i = 0; !__atomic_load_n(&f->stop, __ATOMIC_RELAXED); i++) {
        volatile struct vring_desc *desc = &f->desc[i % 4];

        desc->addr = addrs[i % 6];
        desc->len = lens[i / 3 % 6];
        desc->flags = i / 7 % 8;
        desc->next = i / 5 % 20;
        /* Let some good ones pass. */
        if (i % 3) {
            desc->flags = 0;
            desc->addr = OUT_ADDR;
            desc->len = 16;
        }
    }
    return NULL;
}

static void test_toctou(gconstpointer legacy)
{
    gint64 begin = g_get_monotonic_time(), now = begin;
    Flipper f = { 0 };
    unsigned resets = 0;

    START(IND);
    /* On a busy machine the other thread may not run for a while. */
    while (now < begin + G_USEC_PER_SEC / 4 ||
           (!resets && now < begin + 60 * G_USEC_PER_SEC)) {
        GThread *thread;

        r = vt_start(t, IND, 16);
        f.desc = r->desc;
        f.stop = false;
        thread = g_thread_new("flip", flip, &f);
        for (int i = 0; i < 1000 && !(vt_rd(t, VT_STATUS) & 0x40); i++) {
            vt_avail(r, i % 4);
            vt_kick(t, r);
        }
        f.stop = true;
        g_thread_join(thread);
        resets += !!(vt_rd(t, VT_STATUS) & 0x40);
        now = g_get_monotonic_time();
    }
    g_assert_cmpuint(resets, >, 0);
    assert_good_request(t, vt_start(t, IND, 16));
    vt_free(t);
}

/* Q19: the device writes into its own rings. Nothing is required but to live. */
static void test_overlap(gconstpointer legacy)
{
    START(IND | EVT);
    hwaddr targets[] = { r->desc_addr, r->avail_addr, r->used_addr };

    for (int i = 0; i < 3; i++) {
        r = vt_start(t, IND | EVT, 16);
        targets[0] = r->desc_addr;
        targets[1] = r->avail_addr;
        targets[2] = r->used_addr;
        t->ram[OUT_ADDR] = 0xff;
        vt_desc(r, 0, OUT_ADDR, 1, N, 1);
        vt_desc(r, 1, targets[i], 30, W, 0);
        vt_avail(r, 0);
        vt_kick(t, r);
        vt_kick(t, r);
    }
    assert_good_request(t, vt_start(t, IND | EVT, 16));
    vt_free(t);
}

static void test_rings_on_rings(gconstpointer legacy)
{
    START(IND | EVT);
    vt_negotiate(t, IND | EVT);
    r = vt_layout_queue(t, 0, 16);
    r->used_addr = r->avail_addr = QEMU_ALIGN_UP(r->desc_addr + 8, 4);
    vt_tell_queue(t, r);
    vt_driver_ok(t);
    for (int i = 0; i < 64; i++) {
        t->ram[r->desc_addr + i] = i;
        vt_kick(t, r);
    }
    assert_good_request(t, vt_start(t, IND | EVT, 16));
    vt_free(t);
}

/* Rings that are not RAM: refused at the start, not used. */
static void refuse_rings(gconstpointer legacy, hwaddr desc, hwaddr avail,
                         hwaddr used)
{
    START(0);
    vt_negotiate(t, 0);
    r = vt_layout_queue(t, 0, 16);
    r->desc_addr = desc ? desc : r->desc_addr;
    r->avail_addr = avail ? avail : r->avail_addr;
    r->used_addr = used ? used : r->used_addr;
    vt_tell_queue(t, r);
    vt_driver_ok(t);
    vt_assert_needs_reset(t);
    assert_good_request(t, vt_start(t, 0, 16));
    vt_free(t);
}

static void test_bad_rings(gconstpointer legacy)
{
    refuse_rings(legacy, 0xc0000000, 0, 0);
    refuse_rings(legacy, 0, VT_RAM_SIZE - 8, 0);
    refuse_rings(legacy, 0, 0, VT_MMIO_BASE);
    refuse_rings(legacy, 0, 0, UINT64_MAX - 3);
    refuse_rings(legacy, 0x100008, 0, 0);
    refuse_rings(legacy, 0, 0x100001, 0);
    refuse_rings(legacy, 0, 0, 0x100002);
}

/* Q22, 2.7.7.2: interrupts with EVENT_IDX, over the wrap of the index. */
static void test_event_idx(gconstpointer legacy)
{
    unsigned expect = 0, edges;

    START(EVT);
    vt_wr(t, VT_ACK, 3);
    edges = t->irq_edges;
    for (unsigned i = 0; i < 70000; i++) {
        uint16_t want = r->used->idx + (i % 3);

        /* flags are ignored; an interrupt when used->idx passes want. */
        r->avail->flags = i & 1;
        r->avail->ring[r->num] = want;
        vt_desc(r, 0, OUT_ADDR, 1, 0, 0);
        vt_avail(r, 0);
        vt_kick(t, r);
        g_assert_nonnull(vt_used(r));
        expect += i % 3 == 0;
        g_assert_cmpuint(t->irq_edges - edges, ==, expect);
        g_assert_cmphex(vt_rd(t, VT_ISR), ==, i % 3 == 0);
        vt_wr(t, VT_ACK, 1);
        g_assert_cmphex(r->used->flags, ==, 0);
        /* It asks for the very next kick. */
        g_assert_cmphex(*(uint16_t *)&r->used->ring[16], ==, r->avail->idx);
    }
    vt_free(t);
}

/* A driver on another CPU, some requests ahead of the device. */
typedef struct Racer {
    VTRing *r;
    unsigned kick, done, lost;      /* atomic */
    unsigned rounds;                /* that the device found no kick in; atomic */
} Racer;

#define RACE_REQUESTS 150000

/* Both sides look often, and let the other run where there is one CPU. */
static void look_again(unsigned *looks)
{
    if (++*looks % 1024 == 0) {
        g_thread_yield();
    }
}

/* The device sleeps, but there are requests of which it has not heard. */
static bool kick_is_lost(Racer *race, uint16_t used)
{
    unsigned rounds = __atomic_load_n(&race->rounds, __ATOMIC_SEQ_CST), looks = 0;

    while (__atomic_load_n(&race->rounds, __ATOMIC_SEQ_CST) - rounds < 2 &&
           __atomic_load_n(&race->r->used->idx, __ATOMIC_ACQUIRE) == used) {
        look_again(&looks);
    }
    return __atomic_load_n(&race->r->used->idx, __ATOMIC_ACQUIRE) == used;
}

static gpointer race_driver(gpointer opaque)
{
    Racer *race = opaque;
    VTRing *r = race->r;
    const uint16_t *event = (uint16_t *)&r->used->ring[r->num];

    for (unsigned i = 0; i < RACE_REQUESTS && !race->lost; i++) {
        uint16_t used;

        while (used = __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE),
               (uint16_t)(i - used) >= 2 + i % 3 && !race->lost) {
            race->lost = kick_is_lost(race, used);
        }
        vt_avail(r, i % r->num);
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        if (vring_need_event(__atomic_load_n(event, __ATOMIC_RELAXED), i + 1, i)) {
            __atomic_store_n(&race->kick, 1, __ATOMIC_SEQ_CST);
        }
        for (volatile unsigned pause = 0; pause < i % 37; pause++) {
            continue;
        }
    }
    __atomic_store_n(&race->done, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* A device that leaves kicks on while it takes requests off misses none. */
static void test_event_race(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);
    Racer race = { .r = vt_start(t, EVT, 16) };
    VirtQueueElement *elem;
    unsigned looks = 0;
    GThread *driver;

    for (unsigned i = 0; i < 16; i++) {
        vt_desc(race.r, i, IN_ADDR, 16, W, 0);
    }
    virtio_queue_set_notification(d->vq[0], true);
    driver = g_thread_new("driver", race_driver, &race);
    while (!__atomic_load_n(&race.done, __ATOMIC_SEQ_CST)) {
        if (!__atomic_exchange_n(&race.kick, 0, __ATOMIC_SEQ_CST)) {
            __atomic_add_fetch(&race.rounds, 1, __ATOMIC_SEQ_CST);
            look_again(&looks);
            continue;
        }
        while ((elem = virtqueue_pop(d->vq[0]))) {
            virtqueue_push(d->vq[0], elem, 0);
        }
    }
    g_thread_join(driver);
    g_assert_cmpuint(race.lost, ==, 0);
    vt_free(t);
}

static void test_no_event_idx(gconstpointer legacy)
{
    START(0);
    for (unsigned i = 0; i < 8; i++) {
        vt_wr(t, VT_ACK, 3);
        r->avail->flags = i & 1;
        r->avail->ring[r->num] = 0x7777;        /* ignored */
        vt_desc(r, 0, OUT_ADDR, 1, 0, 0);
        vt_avail(r, 0);
        vt_kick(t, r);
        g_assert_nonnull(vt_used(r));
        g_assert_cmphex(vt_rd(t, VT_ISR), ==, !(i & 1));
        g_assert_cmphex(r->used->flags & ~1, ==, 0);
    }
    vt_free(t);
}

/* Q23: indices wrap at 65536. */
static void test_index_wrap(gconstpointer legacy)
{
    START(IND);
    for (unsigned i = 0; i < 66000; i++) {
        vt_desc(r, i % 16, OUT_ADDR, 1, 0, 0);
        vt_avail(r, i % 16);
        vt_kick(t, r);
        g_assert_cmpuint(vt_used(r)->id, ==, i % 16);
    }
    vt_free(t);
}

/* Q24: a reset forgets what is under way, old rings stay as they are. */
static void test_reset_in_flight(gconstpointer legacy)
{
    g_autofree void *before = NULL;
    VTRing old;

    START(IND);
    d->hold = true;
    for (int i = 0; i < 16; i++) {
        vt_desc(r, i, IN_ADDR, 16, W, 0);
        vt_avail(r, i);
    }
    vt_kick(t, r);
    g_assert_cmpuint(d->nr_held, ==, 16);
    old = *r;
    before = g_memdup2(t->ram + old.desc_addr, 0x2000);
    d->hold = false;
    r = vt_start(t, IND, 16);
    assert_good_request(t, r);
    g_assert_cmpint(memcmp(before, t->ram + old.desc_addr, 0x2000), ==, 0);
    vt_free(t);
}

/* Answers in another order than requests. */
static void test_out_of_order(gconstpointer legacy)
{
    START(IND);
    d->hold = true;
    for (int i = 0; i < 8; i++) {
        vt_desc(r, i, IN_ADDR + 16 * i, 16, W, 0);
        vt_avail(r, i);
    }
    vt_kick(t, r);
    vt_device_complete(d, 5);
    g_assert_cmpuint(vt_used(r)->id, ==, 5);
    vt_device_complete(d, 0);
    g_assert_cmpuint(vt_used(r)->id, ==, 0);
    vt_device_complete_all(d);
    for (int i = 0; i < 6; i++) {
        g_assert_nonnull(vt_used(r));
    }
    g_assert_null(vt_used(r));
    d->hold = false;
    assert_good_request(t, r);
    vt_free(t);
}

/* The transport's end as a saved machine has it, and back; false: refused. */
static bool load_bus(VTDevice *d, const uint8_t *data, size_t len)
{
    g_autofree uint8_t *copy = g_memdup2(data, len);
    StateReader in = { .p = copy, .left = len };
    Error *err = NULL;
    bool ok = virtio_bus_info.load(d->vdev.vbus, "vbus", &in, &err);

    g_assert(ok == !err);
    error_free(err);
    return ok && !in.left;
}

/* Saved with requests under way: where it is loaded they are popped again, before all others. */
static void test_saved_in_flight(gconstpointer legacy)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    unsigned ids = 0;

    START(IND);
    d->hold = true;
    for (int i = 0; i < 8; i++) {
        vt_desc(r, i, IN_ADDR + 16 * i, 16, W, 0);
        vt_avail(r, i);
    }
    vt_kick(t, r);
    vt_device_complete(d, 5);
    vt_device_complete(d, 0);
    g_assert_cmpuint(vt_used(r)->id, ==, 5);
    g_assert_cmpuint(vt_used(r)->id, ==, 0);
    vm_stop(t->ms, RUN_STATE_PAUSED);
    virtio_bus_info.save(d->vdev.vbus, "vbus", saved);
    d->nr_held = 0;
    d->hold = false;
    /* Whatever stands there: loaded or refused. */
    for (guint i = 0; i < saved->len; i++) {
        saved->data[i] ^= 1u << i % 8;
        load_bus(d, saved->data, saved->len);
        load_bus(d, saved->data, i);
        saved->data[i] ^= 1u << i % 8;
    }
    g_assert_true(load_bus(d, saved->data, saved->len));
    vm_start(t->ms);
    vt_poll(t);
    for (int i = 0; i < 6; i++) {
        const struct vring_used_elem *used = vt_used(r);

        g_assert_nonnull(used);
        ids |= 1u << used->id;
    }
    g_assert_cmphex(ids, ==, 0xde);
    g_assert_null(vt_used(r));
    assert_good_request(t, r);
    vt_free(t);
}

/* 2.7.10.2 */
static void test_spurious_kicks(gconstpointer legacy)
{
    START(IND);
    vt_wr(t, VT_ACK, 3);
    for (int i = 0; i < 20000; i++) {
        vt_kick(t, r);
    }
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    assert_good_request(t, r);
    vt_free(t);
}

/* 2.7.5.1: only device-writable bytes and the used ring change. */
static void test_writes_only_there(gconstpointer legacy)
{
    g_autofree uint8_t *before = NULL;

    START(IND);
    vt_desc(r, 0, OUT_ADDR, 64, N, 1);
    vt_desc(r, 1, IN_ADDR, 64, W, 0);
    vt_avail(r, 0);
    before = g_memdup2(t->ram, VT_RAM_SIZE);
    vt_kick(t, r);
    memcpy(before + IN_ADDR, t->ram + IN_ADDR, 64);
    memcpy(before + r->used_addr, t->ram + r->used_addr, 6 + 8 * 16);
    g_assert_cmpint(memcmp(before, t->ram, VT_RAM_SIZE), ==, 0);
    vt_free(t);
}

/* 1024 entries, chains of 1024. */
static void test_large_queue(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);
    VTRing *r;

    vt_negotiate(t, IND);
    r = vt_setup_queue(t, 2, 1024);
    vt_driver_ok(t);
    d->hold = true;
    for (int i = 0; i < 1024; i++) {
        vt_desc(r, i, IN_ADDR, 1, W, 0);
        vt_avail(r, i);
    }
    vt_kick(t, r);
    g_assert_cmpuint(d->nr_held, ==, 1024);
    vt_device_complete_all(d);
    for (int i = 0; i < 1024; i++) {
        g_assert_cmpuint(vt_used(r)->id, ==, 1023 - i);
    }
    d->hold = false;
    for (int i = 0; i < 1024; i++) {
        table(t)[i] = (struct vring_desc) { IN_ADDR + i, 1, i < 1023 ? W | N : W,
                                            i + 1 };
    }
    vt_desc(r, 77, 0x30000, 1024 * 16, I, 0);
    vt_avail(r, 77);
    vt_kick(t, r);
    g_assert_cmpuint(vt_used(r)->len, ==, 1024);
    vt_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/virtqueue/good", test_good);
    vt_add_test("/virtqueue/q01-loop", test_loop);
    vt_add_test("/virtqueue/q01-self-loop", test_self_loop);
    vt_add_test("/virtqueue/q03-full-chain", test_full_chain);
    vt_add_test("/virtqueue/q03-too-long", test_chain_too_long);
    vt_add_test("/virtqueue/q04-next-beyond", test_next_beyond);
    vt_add_test("/virtqueue/q04-next-ffff", test_next_ffff);
    vt_add_test("/virtqueue/q04-head-beyond", test_head_beyond);
    vt_add_test("/virtqueue/q06-avail-jump", test_avail_jump);
    vt_add_test("/virtqueue/q06-avail-back", test_avail_back);
    vt_add_test("/virtqueue/q07-flood", test_flood);
    vt_add_test("/virtqueue/q08-head-twice", test_head_twice);
    vt_add_test("/virtqueue/q08-push-after-reset", test_push_after_reset);
    vt_add_test("/virtqueue/q09-zero-length", test_zero_length);
    vt_add_test("/virtqueue/q09-zero-address", test_zero_address);
    vt_add_test("/virtqueue/q10-beyond-ram", test_beyond_ram);
    vt_add_test("/virtqueue/q10-hole", test_hole);
    vt_add_test("/virtqueue/q10-across-end", test_across_end);
    vt_add_test("/virtqueue/q10-wraps", test_wraps);
    vt_add_test("/virtqueue/q10-high-ram", test_high_ram);
    vt_add_test("/virtqueue/q12-own-registers", test_own_registers);
    vt_add_test("/virtqueue/q12-other-registers", test_other_registers);
    vt_add_test("/virtqueue/q14-indirect", test_indirect);
    vt_add_test("/virtqueue/q14-sizes", test_indirect_sizes);
    vt_add_test("/virtqueue/q14-places", test_indirect_places);
    vt_add_test("/virtqueue/q14-next", test_indirect_next);
    vt_add_test("/virtqueue/q14-loop", test_indirect_loop);
    vt_add_test("/virtqueue/q14-total", test_indirect_total);
    vt_add_test("/virtqueue/q15-not-agreed", test_indirect_unagreed);
    vt_add_test("/virtqueue/q15-nested", test_indirect_nested);
    vt_add_test("/virtqueue/q15-and-next", test_indirect_and_next);
    vt_add_test("/virtqueue/q16-order", test_order);
    vt_add_test("/virtqueue/q16-flag-bits", test_flag_bits);
    vt_add_test("/virtqueue/q17-toctou", test_toctou);
    vt_add_test("/virtqueue/q19-overlap", test_overlap);
    vt_add_modern_test("/virtqueue/q19-rings-on-rings", test_rings_on_rings);
    vt_add_modern_test("/virtqueue/q19-bad-rings", test_bad_rings);
    vt_add_test("/virtqueue/q22-event-idx", test_event_idx);
    vt_add_modern_test("/virtqueue/q22-race", test_event_race);
    vt_add_test("/virtqueue/q22-no-event-idx", test_no_event_idx);
    vt_add_test("/virtqueue/q23-index-wrap", test_index_wrap);
    vt_add_test("/virtqueue/q24-reset-in-flight", test_reset_in_flight);
    vt_add_test("/virtqueue/out-of-order", test_out_of_order);
    vt_add_test("/virtqueue/saved-in-flight", test_saved_in_flight);
    vt_add_test("/virtqueue/spurious-kicks", test_spurious_kicks);
    vt_add_test("/virtqueue/writes-only-there", test_writes_only_there);
    vt_add_test("/virtqueue/large-queue", test_large_queue);
    return g_test_run();
}
