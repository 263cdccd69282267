/*
 * The virtio-mmio transport's registers, in both versions, used and abused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/cutils.h"
#include "hw/virtio/virtio-mmio-internal.h"
#include "virtio-harness.h"

#define IND (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVT (1ull << VIRTIO_RING_F_EVENT_IDX)
#define RESET_F (1ull << VT_F_RING_RESET)

#define START(want) \
    VTDevice *d; \
    VT *t = vt_new_device(legacy, &d); \
    VTRing *r = vt_start(t, want, 16); \
    assert_good_request(t, r)

static void assert_good_request(VT *t, VTRing *r)
{
    VTBuf buf = { 0x20000, 16, true };
    const struct vring_used_elem *used;

    vt_add(r, &buf, 1);
    vt_kick(t, r);
    used = vt_used(r);
    g_assert_nonnull(used);
    g_assert_cmpuint(used->len, ==, 16);
}

static void assert_silent(VT *t, VTRing *r)
{
    VTBuf buf = { 0x20000, 16, true };

    vt_add(r, &buf, 1);
    vt_kick(t, r);
    g_assert_null(vt_used(r));
    g_assert_cmpuint(r->used->idx, ==, 0);
}

static void test_identity(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);

    g_assert_cmphex(vt_rd(t, VT_MAGIC), ==, 0x74726976);
    g_assert_cmphex(vt_rd(t, VT_VERSION), ==, legacy ? 1 : 2);
    g_assert_cmphex(vt_rd(t, VT_DEVICE_ID), ==, 42);
    vt_free(t);
}

/* An empty transport says so and swallows the rest. */
static void test_empty(gconstpointer legacy)
{
    VT *t = vt_new(legacy != NULL);

    g_assert_true(address_space_seal(&t->ms->memory, NULL));
    g_assert_cmphex(vt_rd(t, VT_MAGIC), ==, 0x74726976);
    g_assert_cmphex(vt_rd(t, VT_DEVICE_ID), ==, 0);
    for (unsigned reg = 0; reg < 0x200; reg++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            if (reg + size <= 0x200) {
                vt_wr_sized(t, reg, UINT64_MAX, size);
                vt_rd_sized(t, reg, size);
            }
        }
    }
    vt_free(t);
}

/* M01 */
static void test_queue_num(gconstpointer legacy)
{
    static const uint32_t bad[] = { 0, 32, 17, 7, 0xffffffff, 0x10000, 0x10010,
                                    2048, 0x80000000 };
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        vt_negotiate(t, 0);
        g_assert_cmpuint(vt_rd(t, VT_QUEUE_NUM_MAX), ==, 16);
        vt_wr(t, VT_QUEUE_SEL, 0);
        vt_wr(t, VT_QUEUE_NUM, bad[i]);
        g_assert_cmpuint(virtio_queue_size(d->vq[0]), ==, 16);
        vt_wr(t, VT_QUEUE_NUM, 4);
        vt_wr(t, VT_QUEUE_NUM, bad[i]);
        g_assert_cmpuint(virtio_queue_size(d->vq[0]), ==, 4);
    }
    assert_good_request(t, vt_start(t, 0, 4));
    vt_free(t);
}

/* M02, M03: only legacy has these registers. */
static void test_legacy_layout(gconstpointer legacy)
{
    static const uint32_t align[] = { 0, 3, 0x80000001, 1, 2, 0xffffffff };
    static const uint32_t page[] = { 0, 3, 0x80000000, 4096, 1 };
    static const uint32_t pfn[] = { 1, 0xffffffff, 0x100 };
    VTDevice *d;
    VT *t = vt_new_device(GINT_TO_POINTER(1), &d);

    for (unsigned a = 0; a < G_N_ELEMENTS(align); a++) {
        for (unsigned p = 0; p < G_N_ELEMENTS(page); p++) {
            for (unsigned f = 0; f < G_N_ELEMENTS(pfn); f++) {
                vt_negotiate(t, 0);
                g_assert_cmphex(vt_rd(t, VT_QUEUE_PFN), ==, 0);
                vt_wr(t, VT_GUEST_PAGE_SIZE, page[p]);
                vt_wr(t, VT_QUEUE_ALIGN, align[a]);
                vt_wr(t, VT_QUEUE_PFN, pfn[f]);
                vt_wr(t, VT_QUEUE_ALIGN, align[a] + 1);
                vt_wr(t, VT_QUEUE_NUM, 8);
                vt_driver_ok(t);
                vt_wr(t, VT_QUEUE_NOTIFY, 0);
                vt_poll(t);
                g_assert_cmpuint(d->popped, ==, 0);
            }
        }
    }
    assert_good_request(t, vt_start(t, 0, 16));
    /* A zero takes the queue away. */
    vt_wr(t, VT_QUEUE_PFN, 0);
    g_assert_cmphex(vt_rd(t, VT_QUEUE_PFN), ==, 0);
    g_assert_false(virtio_queue_live(d->vq[0]));
    vt_free(t);
}

/* M04 */
static void test_queue_sel(gconstpointer legacy)
{
    static const uint32_t sel[] = { 3, 1024, 0xffff, 0xffffffff, 0x80000000 };
    static const unsigned regs[] = { VT_QUEUE_NUM_MAX, VT_QUEUE_NUM,
        VT_QUEUE_ALIGN, VT_QUEUE_PFN, VT_QUEUE_READY, VT_DESC, VT_DESC + 4,
        VT_AVAIL, VT_USED, VT_QUEUE_RESET };

    START(IND);
    for (unsigned s = 0; s < G_N_ELEMENTS(sel); s++) {
        vt_wr(t, VT_QUEUE_SEL, sel[s]);
        for (unsigned i = 0; i < G_N_ELEMENTS(regs); i++) {
            g_assert_cmphex(vt_rd(t, regs[i]), ==, 0);
            vt_wr(t, regs[i], 1);
            g_assert_cmphex(vt_rd(t, regs[i]), ==, 0);
        }
    }
    assert_good_request(t, r);
    vt_free(t);
}

/* M06 */
static void test_locked_registers(gconstpointer legacy)
{
    START(IND);
    vt_wr(t, VT_QUEUE_SEL, 0);
    vt_wr(t, VT_QUEUE_NUM, 2);
    vt_wr(t, VT_QUEUE_ALIGN, 64);
    vt_wr(t, VT_DESC, 0xdead0000);
    vt_wr(t, VT_AVAIL + 4, 0xdead);
    vt_wr(t, VT_USED, 0xdead0000);
    vt_wr(t, VT_DRIVER_FEATURES, 0);
    vt_wr(t, VT_STATUS, 3);                 /* bits do not go away */
    assert_good_request(t, r);
    vt_free(t);
}

/* M08, M10: widths, directions, alignments; control registers take 4 bytes. */
static void test_widths(gconstpointer legacy)
{
    START(IND);
    for (unsigned reg = 0; reg < 0x100; reg++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            if (size == 4 && reg % 4 == 0) {
                continue;
            }
            g_assert_cmphex(vt_rd_sized(t, reg, size), ==, 0);
            vt_wr_sized(t, reg, UINT64_MAX, size);
            vt_wr_sized(t, reg, 0, size);
        }
    }
    assert_good_request(t, r);
    /* Read-only and write-only ones. */
    vt_wr(t, VT_MAGIC, 1);
    vt_wr(t, VT_VERSION, 1);
    vt_wr(t, VT_DEVICE_ID, 1);
    vt_wr(t, VT_QUEUE_NUM_MAX, 1);
    vt_wr(t, VT_ISR, 1);
    vt_wr(t, VT_GENERATION, 1);
    g_assert_cmphex(vt_rd(t, VT_DRIVER_FEATURES), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_QUEUE_SEL), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_QUEUE_NOTIFY), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_ACK), ==, 0);
    assert_good_request(t, r);
    vt_free(t);
}

/* Every register, every value: whatever happens, a reset repairs it. */
static void test_fuzz_registers(gconstpointer legacy)
{
    GRand *rnd = g_rand_new_with_seed(1);

    START(IND | EVT);
    for (int i = 0; i < 30000; i++) {
        unsigned reg = g_rand_int_range(rnd, 0, 0x40) * 4;
        uint32_t val = g_rand_int(rnd) >> g_rand_int_range(rnd, 0, 32);

        vt_wr(t, reg, g_rand_boolean(rnd) ? val : 1u << (val & 31));
        vt_rd(t, reg);
        if (i % 64 == 0) {
            vt_poll(t);
        }
    }
    g_rand_free(rnd);
    assert_good_request(t, vt_start(t, IND, 16));
    vt_free(t);
}

/* M09 */
static void test_config(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);

    vt_wr(t, VT_STATUS, 3);         /* 2.5.2: readable before FEATURES_OK */
    for (unsigned off = 0; off < 0x100; off++) {
        for (unsigned size = 1; size <= 8 && off + size <= 0x100; size *= 2) {
            uint64_t all = size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;
            uint64_t val = vt_rd_sized(t, VT_CONFIG + off, size);

            if (off + size > 13) {
                g_assert_cmphex(val, ==, all);
                vt_wr_sized(t, VT_CONFIG + off, 0, size);
            } else if (off + size <= 8) {
                g_assert_cmphex(val, ==, d->config >> off * 8 & all);
                vt_wr_sized(t, VT_CONFIG + off, val, size);
            }
        }
    }
    g_assert_cmphex(vt_rd_sized(t, VT_CONFIG, 8), ==, 0x1122334455667788);
    vt_wr_sized(t, VT_CONFIG + 3, 0xaa, 1);
    g_assert_cmphex(d->config, ==, 0x11223344aa667788);
    vt_free(t);
}

static void test_config_generation(gconstpointer legacy)
{
    START(IND);
    uint32_t gen = vt_rd(t, VT_GENERATION);

    vt_wr(t, VT_ACK, 3);
    virtio_notify_config(&d->vdev);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 2);
    g_assert_cmpint(t->irq_level, ==, 1);
    g_assert_cmphex(vt_rd(t, VT_GENERATION), !=, gen);
    vt_wr(t, VT_ACK, 2);
    g_assert_cmpint(t->irq_level, ==, 0);
    /* Not told before DRIVER_OK. */
    vt_wr(t, VT_STATUS, 0);
    virtio_notify_config(&d->vdev);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    assert_good_request(t, vt_start(t, 0, 16));
    vt_free(t);
}

/* M12 */
static void test_features(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(NULL, &d);
    uint64_t bad[] = { 1ull << 32 | 1, 1ull << 63 | 1ull << 32, 0, 1u << 3,
                       1ull << 32 | 1u << 5 };
    uint64_t ring = 1ull << 28 | 1ull << 29 | 1ull << 40;

    g_assert_cmphex(vt_offered(t), ==, 1ull << 32 | ring | 1u << 3 | 1u << 5);
    vt_wr(t, VT_DEVICE_FEATURES_SEL, 2);
    g_assert_cmphex(vt_rd(t, VT_DEVICE_FEATURES), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        vt_wr(t, VT_STATUS, 0);
        vt_wr(t, VT_STATUS, 3);
        vt_wr(t, VT_DRIVER_FEATURES_SEL, 0);
        vt_wr(t, VT_DRIVER_FEATURES, bad[i]);
        vt_wr(t, VT_DRIVER_FEATURES_SEL, 1);
        vt_wr(t, VT_DRIVER_FEATURES, bad[i] >> 32);
        vt_wr(t, VT_STATUS, 11);
        g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 3);
    }
    /* Words that do not exist. */
    vt_wr(t, VT_STATUS, 0);
    vt_wr(t, VT_STATUS, 3);
    vt_wr(t, VT_DRIVER_FEATURES_SEL, 1);
    vt_wr(t, VT_DRIVER_FEATURES, 1);
    vt_wr(t, VT_DRIVER_FEATURES_SEL, 7);
    vt_wr(t, VT_DRIVER_FEATURES, 4);
    vt_wr(t, VT_STATUS, 11);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 3);
    /* 2.2.2: the same again and again. */
    for (int i = 0; i < 100; i++) {
        assert_good_request(t, vt_start(t, UINT64_MAX, 16));
        g_assert_cmphex(d->vdev.features, ==, vt_offered(t));
    }
    vt_free(t);
}

static void test_legacy_features(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(GINT_TO_POINTER(1), &d);

    vt_wr(t, VT_DEVICE_FEATURES_SEL, 1);
    g_assert_cmphex(vt_rd(t, VT_DEVICE_FEATURES), ==, 0);
    g_assert_cmphex(vt_offered(t), ==, 0x38000028);
    assert_good_request(t, vt_start(t, UINT32_MAX, 16));
    g_assert_cmphex(d->vdev.features, ==, 0x38000028);
    vt_free(t);
}

/* M14 */
static void test_status(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);
    VTRing *r;

    /* DRIVER_OK without FEATURES_OK. */
    vt_negotiate(t, 0);
    vt_wr(t, VT_STATUS, 0);
    r = vt_setup_queue(t, 0, 16);
    if (!legacy) {
        vt_wr(t, VT_STATUS, 4);
        g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
        assert_silent(t, r);
    }
    /* Reserved bits and NEEDS_RESET are not the driver's. */
    vt_wr(t, VT_STATUS, 0x70);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
    /* FAILED | DRIVER_OK: no use of the queue. */
    vt_wr(t, VT_STATUS, 0);
    r = vt_setup_queue(t, 0, 16);
    vt_wr(t, VT_STATUS, 0xff);
    assert_silent(t, r);
    assert_good_request(t, vt_start(t, 0, 16));
    vt_free(t);
}

/* M16, 2.1.2 */
static void test_kick_early(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);
    VTRing *r;

    vt_negotiate(t, 0);
    r = vt_setup_queue(t, 0, 16);
    assert_silent(t, r);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    /* What waited is served once the driver is ready. */
    vt_driver_ok(t);
    g_assert_nonnull(vt_used(r));
    assert_good_request(t, r);
    vt_wr(t, VT_STATUS, 0x80 | vt_rd(t, VT_STATUS));
    r->used->idx = r->last_used = 0;
    assert_silent(t, r);
    vt_wr(t, VT_STATUS, 0);
    assert_silent(t, r);
    vt_free(t);
}

static void test_kick_nonsense(gconstpointer legacy)
{
    START(IND);
    vt_wr(t, VT_QUEUE_NOTIFY, 0xffff);
    vt_wr(t, VT_QUEUE_NOTIFY, 3);
    vt_wr(t, VT_QUEUE_NOTIFY, 1);           /* not set up */
    vt_wr(t, VT_QUEUE_NOTIFY, 0x10000);
    vt_poll(t);
    g_assert_cmphex(vt_rd(t, VT_STATUS) & 0x40, ==, 0);
    assert_good_request(t, r);
    vt_free(t);
}

/* An accelerator that delivers an acknowledgement when it is asked to. */
typedef struct LateAck {
    MemoryListener listener;
    VT *t;
    bool pending;
} LateAck;

static void late_ack(MemoryListener *listener)
{
    LateAck *late = (LateAck *)listener;

    if (late->pending) {
        late->pending = false;
        vt_wr(late->t, VT_ACK, 1);
    }
}

/* What was acknowledged, if only on its way, does not swallow the next interrupt. */
static void test_late_ack(gconstpointer legacy)
{
    LateAck late = { .listener = { .flush_coalesced = late_ack } };
    unsigned edges;

    START(IND);
    late.t = t;
    g_ptr_array_add(t->ms->memory.listeners, &late.listener);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    late.pending = true;
    edges = t->irq_edges;
    assert_good_request(t, r);
    g_assert_false(late.pending);
    g_assert_cmpuint(t->irq_edges, ==, edges + 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    /* Parts of the register do nothing: the machine lock may not be taken for them. */
    vt_wr_sized(t, VT_ACK, 1, 1);
    vt_wr_sized(t, VT_ACK + 2, 1, 2);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    g_ptr_array_remove(t->ms->memory.listeners, &late.listener);
    vt_free(t);
}

/* A worker that interrupts by itself: the status follows the used index. */
static void test_direct(gconstpointer legacy)
{
    VirtioBusState *vbus;
    VirtIOMMIOProxy *p;

    START(IND);
    vbus = d->vdev.vbus;
    p = container_of(vbus, VirtIOMMIOProxy, vbus);
    g_assert_null(vbus->ops->direct_begin(vbus, d->vq[0]));
    p->irqfd = true;
    g_assert_cmpint(event_notifier_init(&p->irq_notifier), ==, 0);
    g_assert_true(vbus->ops->direct_begin(vbus, d->vq[0]) == &p->irq_notifier);
    /* What was pending before. */
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    vt_wr(t, VT_ACK, 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    r->used->idx++;
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    /* It came after the guest looked: not acknowledged with the other. */
    r->used->idx++;
    vt_wr(t, VT_ACK, 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    virtio_notify_config(&d->vdev);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 3);
    vt_wr(t, VT_ACK, 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 2);
    vt_wr(t, VT_ACK, 2);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    /* The last ones are announced when the worker goes. */
    r->used->idx++;
    event_notifier_test_and_clear(&p->irq_notifier);
    vbus->ops->direct_end(vbus, d->vq[0]);
    g_assert_true(event_notifier_test_and_clear(&p->irq_notifier));
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    vt_wr(t, VT_ACK, 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    event_notifier_cleanup(&p->irq_notifier);
    p->irqfd = false;
    vt_free(t);
}

static int attached;

static int fake_attach(void *opaque, int n, EventNotifier *e)
{
    return attached++ ? -EBUSY : 0;
}

static void fake_detach(void *opaque, int n, EventNotifier *e)
{
    attached--;
}

/* A device that interrupts often gets an eventfd for it, others do not. */
static void test_eventfd(gconstpointer legacy)
{
    static const IRQOps ops = { .attach = fake_attach, .detach = fake_detach };
    unsigned edges, before = 0;
    VirtIOMMIOProxy *p;

    START(IND);
    p = container_of(d->vdev.vbus, VirtIOMMIOProxy, vbus);
    p->slot.irq.ops = &ops;
    for (; !attached; before++) {
        edges = t->irq_edges;
        vt_wr(t, VT_ACK, 1);
        virtio_notify_config(&d->vdev);
        vt_wr(t, VT_ACK, 2);
        g_assert_cmpuint(t->irq_edges, ==, edges + !attached);
    }
    g_assert_cmpuint(before, >, 100);
    g_assert_cmpuint(before, <, 1000);
    g_assert_true(event_notifier_test_and_clear(&p->irq_notifier));
    edges = t->irq_edges;
    assert_good_request(t, r);
    g_assert_true(event_notifier_test_and_clear(&p->irq_notifier));
    g_assert_cmpuint(t->irq_edges, ==, edges);
    g_assert_cmpint(attached, ==, 1);
    p->vbus.ops->unplugged(&p->vbus);
    g_assert_cmpint(attached, ==, 0);
    vt_free(t);
}

/* 4.2.2.1: status bits from event to acknowledgement, one at a time. */
static void test_interrupt(gconstpointer legacy)
{
    unsigned edges;

    START(IND);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 1);
    virtio_notify_config(&d->vdev);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 3);
    edges = t->irq_edges;
    /* What is left makes a new edge: the controller may look for edges. */
    vt_wr(t, VT_ACK, 1);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 2);
    g_assert_cmpint(t->irq_level, ==, 1);
    g_assert_cmpuint(t->irq_edges, ==, edges + 1);
    vt_wr(t, VT_ACK, 1);
    g_assert_cmpuint(t->irq_edges, ==, edges + 1);
    vt_wr(t, VT_ACK, 0xfffffffe);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    g_assert_cmpint(t->irq_level, ==, 0);
    vt_free(t);
}

/* A reset clears InterruptStatus and every QueueReady. */
static void test_reset(gconstpointer legacy)
{
    START(IND);
    unsigned ready = legacy ? VT_QUEUE_PFN : VT_QUEUE_READY;

    virtio_notify_config(&d->vdev);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 3);
    g_assert_cmphex(vt_rd(t, ready), !=, 0);
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmphex(vt_rd(t, VT_ISR), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
    g_assert_cmphex(vt_rd(t, ready), ==, 0);
    g_assert_cmpint(t->irq_level, ==, 0);
    g_assert_cmpuint(d->started, ==, 1);
    g_assert_cmpuint(d->stopped, ==, 1);
    r = vt_start(t, 0, 8);
    assert_good_request(t, r);
    /* The machine's reset does the same. */
    qdev_reset_all(t->ms);
    g_assert_cmphex(vt_rd(t, VT_STATUS), ==, 0);
    g_assert_cmphex(vt_rd(t, ready), ==, 0);
    assert_good_request(t, vt_start(t, 0, 16));
    vt_free(t);
}

/* QueueReady 0 under load: rings are left alone. */
static void test_queue_unready(gconstpointer legacy)
{
    START(IND);
    vt_wr(t, VT_QUEUE_SEL, 0);
    vt_wr(t, VT_QUEUE_READY, 0);
    g_assert_cmphex(vt_rd(t, VT_QUEUE_READY), ==, 0);
    r->used->idx = r->last_used = 0;
    assert_silent(t, r);
    /* Made ready again: it starts over with what it was told. */
    r->avail->idx = 0;
    vt_wr(t, VT_QUEUE_READY, 1);
    assert_good_request(t, r);
    vt_free(t);
}

/* 2.6.1 */
static void test_queue_reset(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(legacy, &d);
    VTRing *r, *other;

    for (int agreed = 0; agreed < 2; agreed++) {
        vt_negotiate(t, agreed ? RESET_F : 0);
        r = vt_setup_queue(t, 0, 8);
        other = vt_setup_queue(t, 1, 16);
        vt_driver_ok(t);
        assert_good_request(t, r);
        assert_good_request(t, other);
        vt_wr(t, VT_QUEUE_SEL, 0);
        vt_wr(t, VT_QUEUE_RESET, 1);
        g_assert_cmphex(vt_rd(t, VT_QUEUE_RESET), ==, 0);
        g_assert_cmphex(vt_rd(t, VT_QUEUE_READY), ==, !agreed);
        if (agreed) {
            r->used->idx = r->last_used = 0;
            assert_silent(t, r);
            g_assert_cmpuint(virtio_queue_size(d->vq[0]), ==, 16);
            r = vt_setup_queue(t, 0, 4);
        }
        assert_good_request(t, r);
        assert_good_request(t, other);
    }
    vt_free(t);
}

static void test_shm(gconstpointer legacy)
{
    VTDevice *d;
    VT *t = vt_new_device(NULL, &d);

    for (int i = 0; i < 16; i += 4) {
        g_assert_cmphex(vt_rd(t, VT_SHM_LEN + i), ==, UINT32_MAX);
    }
    d->has_shm = true;
    vt_wr(t, VT_SHM_SEL, 0);
    g_assert_cmphex(vt_rd(t, VT_SHM_LEN), ==, UINT32_MAX);
    vt_wr(t, VT_SHM_SEL, 1);
    g_assert_cmphex(vt_rd(t, VT_SHM_LEN), ==, 0);
    g_assert_cmphex(vt_rd(t, VT_SHM_LEN + 4), ==, 0x77);
    g_assert_cmphex(vt_rd(t, VT_SHM_BASE), ==, 0x6789a000);
    g_assert_cmphex(vt_rd(t, VT_SHM_BASE + 4), ==, 0x12345);
    vt_free(t);
}

/* While the machine is stopped the rings are left alone. */
static void test_vm_stop(gconstpointer legacy)
{
    VTBuf buf = { 0x20000, 16, true };

    START(IND);
    vm_stop(t->ms, RUN_STATE_PAUSED);
    g_assert_cmpuint(d->stopped, ==, 1);
    vt_add(r, &buf, 1);
    vt_kick(t, r);
    g_assert_null(vt_used(r));
    vm_start(t->ms);
    vt_poll(t);
    g_assert_nonnull(vt_used(r));
    assert_good_request(t, r);
    vt_free(t);
}

static void test_cmdline(gconstpointer legacy)
{
#define DEVICE " virtio_mmio.device=512@0xd0000000:5"
    static const struct {
        const char *before, *after;
    } rows[] = {
        { "x", "x" DEVICE }, { "", DEVICE }, { "x -- y", "x" DEVICE " -- y" },
        { "x --", "x" DEVICE " --" }, { "-- y", DEVICE " -- y" }, { "--", DEVICE " --" },
        { "x --y z-- --", "x --y z--" DEVICE " --" },
        { "a=\"b -- c\" d", "a=\"b -- c\" d" DEVICE },
    };
    VTDevice *d;
    VT *t = vt_new_device(NULL, &d);

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(GString) text = g_string_new(rows[i].before);

        virtio_mmio_append_cmdline(t->ms, text);
        g_assert_cmpstr(text->str, ==, rows[i].after);
    }
    vt_free(t);
}

/* Eight transports, lowest first; a ninth device finds none. */
static void test_slots(gconstpointer legacy)
{
    VT *t = vt_new(false);
    g_autoptr(GString) text = g_string_new("");
    g_autofree char *msg = NULL;

    for (unsigned i = 1; i < 8; i++) {
        VirtioMMIOSlot slot = { i, VT_MMIO_BASE + i * 0x200, 5 + i, { NULL } };
        g_assert_true(virtio_mmio_create(t->ms, &slot, NULL));
    }
    for (unsigned i = 0; i < 8; i++) {
        DeviceState *dev = qdev_new(&vt_device_class.dc, NULL);
        BusState *bus = qbus_find(t->ms, "virtio-bus", NULL, "x", NULL);

        g_assert_cmpint(bus->name[strlen("virtio-mmio-bus.")], ==, '0' + i);
        g_assert_true(qdev_realize(dev, t->ms, bus, NULL));
        if (i == 1) {
            virtio_mmio_append_cmdline(t->ms, text);
        }
    }
    g_assert_cmpstr(text->str, ==, " virtio_mmio.device=512@0xd0000000:5"
                    " virtio_mmio.device=512@0xd0000200:6");
    msg = vt_plug_error(t, &vt_device_class.dc, "");
    g_assert_cmpstr(msg, ==, "no room for device "
                    "'virtio-test-device': all 8 transports are in use");
    vt_free(t);
}

/* 2.9: kicks say the position, too; and those of drivers that have not agreed to it do not. */
static void test_notification_data(gconstpointer legacy)
{
    VT *t = vt_new(legacy != NULL);
    VTDevice *d;
    VTRing *r;

    vt_plug(t, &vt_device_class.dc, "notification_data=on");
    d = (VTDevice *)t->vdev;
    for (unsigned agreed = 0; agreed < 2; agreed++) {
        r = vt_start(t, (uint64_t)agreed << 38, 16);
        g_assert_cmphex(vt_offered(t) >> 38 & 1, ==, 1);
        d->kicked = 0;
        vt_add(r, &(VTBuf) { 0x40000, 16, true }, 1);
        vt_wr(t, VT_QUEUE_NOTIFY, 0x80070000);
        vt_poll(t);
        g_assert_cmpuint(d->kicked, ==, agreed);
        vt_wr(t, VT_QUEUE_NOTIFY, 0xffffffff);
        vt_kick(t, r);
        g_assert_nonnull(vt_used(r));
    }
    vt_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/virtio-mmio/identity", test_identity);
    vt_add_test("/virtio-mmio/empty", test_empty);
    vt_add_test("/virtio-mmio/m01-queue-num", test_queue_num);
    vt_add_modern_test("/virtio-mmio/m02-m03-legacy-layout", test_legacy_layout);
    vt_add_test("/virtio-mmio/m04-queue-sel", test_queue_sel);
    vt_add_test("/virtio-mmio/m06-locked-registers", test_locked_registers);
    vt_add_test("/virtio-mmio/m08-m10-widths", test_widths);
    vt_add_test("/virtio-mmio/fuzz-registers", test_fuzz_registers);
    vt_add_test("/virtio-mmio/m09-config", test_config);
    vt_add_modern_test("/virtio-mmio/config-generation", test_config_generation);
    vt_add_modern_test("/virtio-mmio/m12-features", test_features);
    vt_add_modern_test("/virtio-mmio/legacy-features", test_legacy_features);
    vt_add_test("/virtio-mmio/m14-status", test_status);
    vt_add_test("/virtio-mmio/m16-kick-early", test_kick_early);
    vt_add_test("/virtio-mmio/kick-nonsense", test_kick_nonsense);
    vt_add_test("/virtio-mmio/interrupt", test_interrupt);
    vt_add_test("/virtio-mmio/late-ack", test_late_ack);
    vt_add_test("/virtio-mmio/direct", test_direct);
    vt_add_test("/virtio-mmio/eventfd", test_eventfd);
    vt_add_test("/virtio-mmio/reset", test_reset);
    vt_add_modern_test("/virtio-mmio/queue-unready", test_queue_unready);
    vt_add_modern_test("/virtio-mmio/queue-reset", test_queue_reset);
    vt_add_modern_test("/virtio-mmio/shm", test_shm);
    vt_add_test("/virtio-mmio/vm-stop", test_vm_stop);
    vt_add_modern_test("/virtio-mmio/cmdline", test_cmdline);
    vt_add_modern_test("/virtio-mmio/slots", test_slots);
    vt_add_modern_test("/virtio-mmio/notification-data", test_notification_data);
    return g_test_run();
}
