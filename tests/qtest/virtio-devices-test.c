/*
 * Every virtio device of the shipped program against what the specification demands of
 * all devices, and every queue of theirs against drivers that lie. Version 1 and 2.
 *
 * Sections are virtio 1.2's; the numbers of hostile cases are those of test-virtqueue.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_ring.h>
#include <string.h>

#include "libqtest.h"

#define BASE(slot)  (0xd0000000ull + (slot) * 0x200)
#define RAM_SIZE    (16u << 20)
#define QUEUE_NUM   16
/* Memory of queue q of a device: descriptors, available ring; used ring a page on. */
#define RING(slot, q)   (0x100000 + (slot) * 0x40000 + (q) * 0x4000)
#define AVAIL(ring)     ((ring) + 16 * QUEUE_NUM)
#define USED(ring)      ((ring) + 0x1000)
#define TABLE(ring)     ((ring) + 0x2000)
#define DATA(ring)      ((ring) + 0x3000)

enum { DEVICE_ID = 0x08, DEVICE_FEATURES = 0x10,
       DEVICE_FEATURES_SEL = 0x14, DRIVER_FEATURES = 0x20, DRIVER_FEATURES_SEL = 0x24,
       GUEST_PAGE_SIZE = 0x28, QUEUE_SEL = 0x30, QUEUE_NUM_MAX = 0x34, QUEUE_NUM_REG = 0x38,
       QUEUE_ALIGN = 0x3c, QUEUE_PFN = 0x40, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50,
       ISR = 0x60, ISR_ACK = 0x64, STATUS = 0x70, QUEUE_DESC = 0x80, QUEUE_AVAIL = 0x90,
       QUEUE_USED = 0xa0, SHM_SEL = 0xac, SHM_LEN = 0xb0, CONFIG = 0x100 };

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 0x40 };

#define F_INDIRECT      (1u << VIRTIO_RING_F_INDIRECT_DESC)
#define F_TRANSPORT     (3ull << 28 | 1ull << 32 | 1ull << 40)  /* rings, VERSION_1, RING_RESET */

typedef struct TestDevice {
    const char *name, *options;
    unsigned id, queues;
    unsigned eager;         /* queues that are looked at when kicked: a bit each */
    unsigned good;          /* the queue of the good request */
    uint64_t features;      /* that the specification knows and we may offer */
    uint32_t want;          /* word 0, besides the ring's */
} TestDevice;

static const TestDevice devices[] = {
    { "blk", "-device virtio-blk-device,drive=d -drive if=none,id=d,driver=null-co,size=1M",
      2, 1, 0x1, 0, 0x7e54, 0 },
    { "net", "-device virtio-net-device,netdev=n -netdev user,id=n,restrict=on",
      1, 3, 0x6, 1, 1ull << 63 | 0xffffafull, 1u << 17 },
    { "console", "-device virtio-serial-device,max_ports=2 -device virtconsole,chardev=c "
      "-chardev null,id=c", 3, 6, 0x2a, 1, 0x7, 1u << 1 },
    { "scsi", "-device virtio-scsi-device -device scsi-cd", 8, 3, 0x5, 2, 0x6, 0 },
    { "tablet", "-device virtio-tablet-device", 18, 2, 0x2, 1, 0, 0 },
    { "rng", "-device virtio-rng-device", 4, 1, 0x1, 0, 0, 0 },
};
#define NR_DEVICES G_N_ELEMENTS(devices)
#define RNG_SLOT (NR_DEVICES - 1)

typedef struct Driver {
    QTestState *s;
    bool legacy;
    uint16_t avail[NR_DEVICES][6];
} Driver;

static uint32_t rd(Driver *d, unsigned slot, unsigned reg)
{
    return qtest_readl(d->s, BASE(slot) + reg);
}

static void wr(Driver *d, unsigned slot, unsigned reg, uint32_t val)
{
    qtest_writel(d->s, BASE(slot) + reg, val);
}

static Driver *driver_new(const void *legacy)
{
    Driver *d = g_new0(Driver, 1);
    g_autoptr(GString) args = g_string_new("-M microvm -m 16M -nodefaults");

    d->legacy = legacy != NULL;
    g_string_append_printf(args, " -global virtio-mmio.force-legacy=%s",
                           d->legacy ? "on" : "off");
    for (unsigned i = 0; i < NR_DEVICES; i++) {
        g_string_append_printf(args, " %s", devices[i].options);
    }
    d->s = qtest_init(args->str);
    return d;
}

static void driver_free(Driver *d)
{
    g_autofree char *answer = qtest_qmp(d->s, "{ 'execute': 'query-status' }");

    g_assert_nonnull(strstr(answer, "running"));
    qtest_quit(d->s);
    g_free(d);
}

/* Entries of a queue; the entropy device has few. */
static unsigned queue_num(unsigned slot)
{
    return slot == RNG_SLOT ? 8 : QUEUE_NUM;
}

/* The driver's steps -------------------------------------------------------- */

static uint64_t offered(Driver *d, unsigned slot)
{
    uint64_t f;

    wr(d, slot, DEVICE_FEATURES_SEL, 1);
    f = (uint64_t)rd(d, slot, DEVICE_FEATURES) << 32;
    wr(d, slot, DEVICE_FEATURES_SEL, 0);
    return f | rd(d, slot, DEVICE_FEATURES);
}

static void negotiate(Driver *d, unsigned slot, uint32_t word0)
{
    wr(d, slot, STATUS, 0);
    wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER);
    wr(d, slot, DRIVER_FEATURES_SEL, 0);
    wr(d, slot, DRIVER_FEATURES, word0 & (uint32_t)offered(d, slot));
    if (!d->legacy) {
        wr(d, slot, DRIVER_FEATURES_SEL, 1);
        wr(d, slot, DRIVER_FEATURES, 1);
        wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
        g_assert_cmphex(rd(d, slot, STATUS), ==, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    }
}

static void set_address(Driver *d, unsigned slot, unsigned reg, uint64_t addr)
{
    wr(d, slot, reg, addr);
    wr(d, slot, reg + 4, addr >> 32);
}

static void setup_queue(Driver *d, unsigned slot, unsigned q)
{
    uint64_t ring = RING(slot, q);

    qtest_memset(d->s, ring, 0, 0x4000);
    d->avail[slot][q] = 0;
    wr(d, slot, QUEUE_SEL, q);
    g_assert_cmpuint(rd(d, slot, QUEUE_NUM_MAX), >=, queue_num(slot));
    wr(d, slot, QUEUE_NUM_REG, queue_num(slot));
    if (d->legacy) {
        wr(d, slot, GUEST_PAGE_SIZE, 4096);
        wr(d, slot, QUEUE_ALIGN, 4096);
        wr(d, slot, QUEUE_PFN, ring / 4096);
        return;
    }
    set_address(d, slot, QUEUE_DESC, ring);
    set_address(d, slot, QUEUE_AVAIL, AVAIL(ring));
    set_address(d, slot, QUEUE_USED, USED(ring));
    wr(d, slot, QUEUE_READY, 1);
    g_assert_cmpuint(rd(d, slot, QUEUE_READY), ==, 1);
}

static void setup_queues(Driver *d, unsigned slot)
{
    for (unsigned q = 0; q < devices[slot].queues; q++) {
        setup_queue(d, slot, q);
    }
}

static void start(Driver *d, unsigned slot, uint32_t word0)
{
    negotiate(d, slot, word0 | devices[slot].want);
    setup_queues(d, slot);
    wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER | (d->legacy ? 0 : FEATURES_OK) | DRIVER_OK);
}

/* In version 1 it begins where the descriptors end. */
static uint64_t avail_ring(Driver *d, unsigned slot, unsigned q)
{
    return d->legacy ? RING(slot, q) + 16 * queue_num(slot) : AVAIL(RING(slot, q));
}

static void put_desc(Driver *d, uint64_t at, uint64_t addr, uint32_t len, uint16_t flags,
                     uint16_t next)
{
    struct vring_desc desc = { addr, len, flags, next };

    qtest_memwrite(d->s, at, &desc, sizeof(desc));
}

static void publish(Driver *d, unsigned slot, unsigned q, uint16_t head, uint16_t count)
{
    uint64_t ring = avail_ring(d, slot, q);
    uint16_t *idx = &d->avail[slot][q];

    qtest_writew(d->s, ring + 4 + 2 * (*idx % queue_num(slot)), head);
    *idx += count;
    qtest_writew(d->s, ring + 2, *idx);
}

static void kick(Driver *d, unsigned slot, unsigned q)
{
    wr(d, slot, QUEUE_NOTIFY, q);
}

static uint16_t used_idx(Driver *d, unsigned slot, unsigned q)
{
    return qtest_readw(d->s, USED(RING(slot, q)) + 2);
}

#define WAIT_FOR(cond) do { \
        gint64 wait_end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC; \
        while (!(cond)) { \
            g_assert_cmpint(g_get_monotonic_time(), <, wait_end); \
        } \
    } while (0)

/* A request that each device must serve, once it is started. */
static void good_request(Driver *d, unsigned slot)
{
    static const uint8_t frame[12 + 60] = { [12] = 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    unsigned q = devices[slot].good;
    uint64_t ring = RING(slot, q), data = DATA(ring);
    uint16_t before = used_idx(d, slot, q);
    uint8_t table[16 * 3], after[16 * 3];

    qtest_memset(d->s, data, 0, 0x800);
    switch (devices[slot].id) {
    case 1:
        qtest_memwrite(d->s, data, frame, sizeof(frame));
        put_desc(d, ring, data, sizeof(frame), 0, 0);
        break;
    case 2:
        put_desc(d, ring, data, 16, VRING_DESC_F_NEXT, 1);
        put_desc(d, ring + 16, data + 512, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
        put_desc(d, ring + 32, data + 1024, 1, VRING_DESC_F_WRITE, 0);
        qtest_writeb(d->s, data + 1024, 0xee);
        break;
    case 8:                     /* TEST UNIT READY */
        qtest_writeb(d->s, data, 1);
        put_desc(d, ring, data, 19 + 32, VRING_DESC_F_NEXT, 1);
        put_desc(d, ring + 16, data + 512, 12 + 96, VRING_DESC_F_WRITE, 0);
        break;
    case 3:
        put_desc(d, ring, data, 4, 0, 0);
        break;
    default:
        put_desc(d, ring, data, 16, VRING_DESC_F_WRITE, 0);
        break;
    }
    qtest_memread(d->s, ring, table, sizeof(table));
    publish(d, slot, q, 0, 1);
    kick(d, slot, q);
    WAIT_FOR(used_idx(d, slot, q) == (uint16_t)(before + 1));
    g_assert_cmphex(rd(d, slot, STATUS) & NEEDS_RESET, ==, 0);
    g_assert_cmphex(rd(d, slot, ISR) & 1, ==, 1);
    /* 2.7.5.1: the descriptor table is not the device's to write. */
    qtest_memread(d->s, ring, after, sizeof(after));
    g_assert_cmpmem(table, sizeof(table), after, sizeof(after));
    if (devices[slot].id == 2) {
        g_assert_cmphex(qtest_readb(d->s, data + 1024), ==, 0);
    }
    wr(d, slot, ISR_ACK, 3);
}

/* What all devices owe ------------------------------------------------------ */

/* 2.2.2, 6.2: only bits that the specification knows; the same after each reset. */
static void test_features(const void *legacy)
{
    Driver *d = driver_new(legacy);

    for (unsigned slot = 0; slot < NR_DEVICES; slot++) {
        uint64_t f = offered(d, slot);
        uint64_t known = devices[slot].features | F_TRANSPORT;

        g_assert_cmpuint(rd(d, slot, DEVICE_ID), ==, devices[slot].id);
        if (legacy) {
            /* NOTIFY_ON_EMPTY and ANY_LAYOUT, for old drivers. */
            known |= 1u << 24 | 1u << 27;
            g_assert_cmphex(f >> 32, ==, 0);
        } else {
            g_assert_cmphex(f >> 32 & 1, ==, 1);
        }
        g_assert_cmphex(f & ~known, ==, 0);
        for (unsigned i = 0; i < 100; i++) {
            negotiate(d, slot, UINT32_MAX);
            g_assert_cmphex(offered(d, slot), ==, f);
        }
        start(d, slot, UINT32_MAX & ~(1u << VIRTIO_RING_F_EVENT_IDX));
        good_request(d, slot);
    }
    driver_free(d);
}

/* 2.2.2: a bit that was not offered is not accepted. */
static void test_unoffered(const void *legacy)
{
    Driver *d = driver_new(legacy);

    for (unsigned slot = 0; slot < NR_DEVICES; slot++) {
        for (unsigned bit = 0; bit < 64; bit++) {
            if (offered(d, slot) >> bit & 1) {
                continue;
            }
            wr(d, slot, STATUS, 0);
            wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER);
            wr(d, slot, DRIVER_FEATURES_SEL, 1);
            wr(d, slot, DRIVER_FEATURES, 1 | (bit >= 32 ? 1u << (bit - 32) : 0));
            wr(d, slot, DRIVER_FEATURES_SEL, 0);
            wr(d, slot, DRIVER_FEATURES, bit < 32 ? 1u << bit : 0);
            wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
            g_assert_cmphex(rd(d, slot, STATUS) & FEATURES_OK, ==, 0);
        }
        start(d, slot, 0);
        good_request(d, slot);
    }
    driver_free(d);
}

/* 2.1.2, 2.4.1: nothing is consumed before DRIVER_OK, nor after a reset. */
static void test_not_yet(const void *legacy)
{
    Driver *d = driver_new(legacy);

    for (unsigned slot = 0; slot < NR_DEVICES; slot++) {
        unsigned q = devices[slot].good;

        negotiate(d, slot, devices[slot].want);
        setup_queues(d, slot);
        put_desc(d, RING(slot, q), DATA(RING(slot, q)), 16, 0, 0);
        publish(d, slot, q, 0, 1);
        for (unsigned n = 0; n < devices[slot].queues + 2; n++) {
            kick(d, slot, n);
        }
        /* Another device's request is served: the loop has gone round. */
        start(d, slot ? 0 : RNG_SLOT, 0);
        good_request(d, slot ? 0 : RNG_SLOT);
        g_assert_cmpuint(used_idx(d, slot, q), ==, 0);
        g_assert_cmphex(rd(d, slot, ISR), ==, 0);
        wr(d, slot, STATUS, 0);
        g_assert_cmphex(rd(d, slot, STATUS), ==, 0);
        kick(d, slot, q);
        for (unsigned n = 0; n < devices[slot].queues; n++) {
            wr(d, slot, QUEUE_SEL, n);
            g_assert_cmphex(rd(d, slot, legacy ? QUEUE_PFN : QUEUE_READY), ==, 0);
        }
        g_assert_cmpuint(used_idx(d, slot, q), ==, 0);
        start(d, slot, 0);
        good_request(d, slot);
    }
    driver_free(d);
}

/* 2.5.2, 4.2.2: configuration at every offset and width; queues that there are not. */
static void test_config(const void *legacy)
{
    Driver *d = driver_new(legacy);

    for (unsigned slot = 0; slot < NR_DEVICES; slot++) {
        wr(d, slot, STATUS, 0);
        wr(d, slot, STATUS, ACKNOWLEDGE | DRIVER);
        for (unsigned off = CONFIG; off < 0x200; off++) {
            qtest_readb(d->s, BASE(slot) + off);
            qtest_readw(d->s, BASE(slot) + off);
            qtest_readl(d->s, BASE(slot) + off);
            qtest_readq(d->s, BASE(slot) + (off & ~7u));
        }
        g_assert_cmphex(qtest_readb(d->s, BASE(slot) + 0x1ff), ==, 0xff);
        for (unsigned n = 0; n < 3; n++) {
            static const uint32_t none[] = { 1024, 0xffff, 0xffffffff };

            wr(d, slot, QUEUE_SEL, none[n]);
            g_assert_cmphex(rd(d, slot, QUEUE_NUM_MAX), ==, 0);
            wr(d, slot, QUEUE_NUM_REG, 8);
            wr(d, slot, legacy ? QUEUE_PFN : QUEUE_READY, 1);
            g_assert_cmphex(rd(d, slot, legacy ? QUEUE_PFN : QUEUE_READY), ==, 0);
        }
        for (unsigned n = 0; n < 4 && !legacy; n++) {
            wr(d, slot, SHM_SEL, n);
            g_assert_cmphex(rd(d, slot, SHM_LEN), ==, UINT32_MAX);
            g_assert_cmphex(rd(d, slot, SHM_LEN + 4), ==, UINT32_MAX);
        }
        start(d, slot, 0);
        for (unsigned n = 0; n < 1000; n++) {
            kick(d, slot, n % (devices[slot].queues + 1));  /* 2.7.10.2 */
        }
        good_request(d, slot);
    }
    driver_free(d);
}

/* Drivers that lie ----------------------------------------------------------- */

typedef struct Lie {
    const char *name;
    struct vring_desc desc[2];
    uint16_t head, count;
    bool no_indirect;           /* the feature is not negotiated */
    struct vring_desc table;    /* first entry of the indirect table */
} Lie;

#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT
/* Replaced by the queue's own places. */
#define BUFFER  0xdeadbeef0000ull
#define TABLE_  0xdeadbeef1000ull
#define OWN     0xdeadbeef2000ull

static const Lie lies[] = {
    { "q01-loop", { { BUFFER, 16, N, 1 }, { BUFFER, 16, N, 0 } }, 0, 1 },
    { "q01-self", { { BUFFER, 16, N, 0 } }, 0, 1 },
    { "q04-next-999", { { BUFFER, 16, N, 999 } }, 0, 1 },
    { "q04-next-ffff", { { BUFFER, 16, N, 0xffff } }, 0, 1 },
    { "q04-head", { { BUFFER, 16, 0, 0 } }, 0xffff, 1 },
    { "q06-jump", { { BUFFER, 16, 0, 0 } }, 0, 0x8000 },
    { "q06-back", { { BUFFER, 16, 0, 0 } }, 0, 0xffff },
    { "q09-empty", { { BUFFER, 0, 0, 0 } }, 0, 1 },
    { "q10-beyond", { { RAM_SIZE, 16, 0, 0 } }, 0, 1 },
    { "q10-hole", { { 0xc0000000, 16, W, 0 } }, 0, 1 },
    { "q10-last", { { RAM_SIZE - 1, 2, W, 0 } }, 0, 1 },
    { "q10-wrap", { { UINT64_MAX - 7, 16, W, 0 } }, 0, 1 },
    { "q12-own", { { OWN, 64, W, 0 } }, 0, 1 },
    { "q12-other", { { 0xd0000e00, 64, W, 0 } }, 0, 1 },
    { "q12-ioapic", { { 0xfec00000, 16, W, 0 } }, 0, 1 },
    { "q12-lapic", { { 0xfee00000, 16, W, 0 } }, 0, 1 },
    { "q14-17", { { TABLE_, 17, I, 0 } }, 0, 1, false, { BUFFER, 16, 0, 0 } },
    { "q14-0", { { TABLE_, 0, I, 0 } }, 0, 1 },
    { "q14-huge", { { TABLE_, 0xfffffff0, I, 0 } }, 0, 1, false, { BUFFER, 16, 0, 0 } },
    { "q14-queue", { { TABLE_, 16 * 17, I, 0 } }, 0, 1, false, { BUFFER, 16, 0, 0 } },
    { "q14-end", { { RAM_SIZE - 16, 32, I, 0 } }, 0, 1 },
    { "q15-unagreed", { { TABLE_, 16, I, 0 } }, 0, 1, true, { BUFFER, 16, 0, 0 } },
    { "q15-nested", { { TABLE_, 16, I, 0 } }, 0, 1, false, { TABLE_, 16, I, 0 } },
    { "q15-next", { { TABLE_, 16, I | N, 1 }, { BUFFER, 16, 0, 0 } }, 0, 1, false,
      { BUFFER, 16, 0, 0 } },
    { "q16-order", { { BUFFER, 16, W | N, 1 }, { BUFFER, 16, 0, 0 } }, 0, 1 },
};

static uint64_t place(uint64_t addr, unsigned slot, unsigned q)
{
    return addr == BUFFER ? DATA(RING(slot, q)) : addr == TABLE_ ? TABLE(RING(slot, q)) :
           addr == OWN ? BASE(slot) : addr;
}

static void tell_lie(Driver *d, unsigned slot, unsigned q, const Lie *lie)
{
    uint64_t ring = RING(slot, q);

    start(d, slot, lie->no_indirect ? 0 : F_INDIRECT);
    for (unsigned i = 0; i < 2; i++) {
        const struct vring_desc *desc = &lie->desc[i];

        put_desc(d, ring + 16 * i, place(desc->addr, slot, q), desc->len, desc->flags,
                 desc->next);
    }
    put_desc(d, TABLE(ring), place(lie->table.addr, slot, q), lie->table.len, lie->table.flags,
             lie->table.next);
    publish(d, slot, q, lie->head, lie->count);
    kick(d, slot, q);
}

static void check_lie(Driver *d, unsigned slot, unsigned q, const Lie *lie)
{
    tell_lie(d, slot, q, lie);
    if (devices[slot].eager >> q & 1) {
        WAIT_FOR(rd(d, slot, STATUS) & NEEDS_RESET);
        g_assert_cmphex(rd(d, slot, ISR) & 2, ==, 2);
        g_assert_cmpuint(used_idx(d, slot, q), ==, 0);
        /* Its other queues are not used any more. */
        publish(d, slot, devices[slot].good, 0, 1);
        kick(d, slot, devices[slot].good);
    }
    /* The others go on; after a reset so does this one. */
    if (slot != RNG_SLOT) {
        good_request(d, RNG_SLOT);
    }
    g_assert_cmpuint(used_idx(d, slot, devices[slot].good), ==, 0);
    start(d, slot, 0);
    good_request(d, slot);
}

static void test_lies(const void *legacy)
{
    Driver *d = driver_new(legacy);

    start(d, RNG_SLOT, 0);
    for (unsigned slot = 0; slot < NR_DEVICES; slot++) {
        for (unsigned q = 0; q < devices[slot].queues; q++) {
            for (unsigned i = 0; i < G_N_ELEMENTS(lies); i++) {
                g_test_message("%s queue %u: %s", devices[slot].name, q, lies[i].name);
                check_lie(d, slot, q, &lies[i]);
            }
        }
    }
    driver_free(d);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*fn)(const void *); } tests[] = {
        { "features", test_features }, { "not-yet", test_not_yet }, { "config", test_config },
        { "lies", test_lies },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *modern = g_strdup_printf("/virtio-devices/%s/modern", tests[i].name);
        g_autofree char *legacy = g_strdup_printf("/virtio-devices/%s/legacy", tests[i].name);

        g_test_add_data_func(modern, NULL, tests[i].fn);
        g_test_add_data_func(legacy, "", tests[i].fn);
    }
    g_test_add_data_func("/virtio-devices/unoffered/modern", NULL, test_unoffered);
    return g_test_run();
}
