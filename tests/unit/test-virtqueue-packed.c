/*
 * Packed virtqueues (virtio 1.2, section 2.8), with a driver that behaves and one that lies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/virtio/virtio-internal.h"
#include "virtio-harness.h"

#define NUM     16
#define RING    0x100000
#define DRIVER  0x101000
#define DEVICE  0x102000
#define TABLE   0x103000
#define DATA    0x200000
#define F_PACKED (1ull << VIRTIO_F_RING_PACKED)
#define F_INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT (1ull << VIRTIO_RING_F_EVENT_IDX)
#define N VRING_DESC_F_NEXT
#define W VRING_DESC_F_WRITE
#define I VRING_DESC_F_INDIRECT

/* The driver's side. */
typedef struct Driver {
    VT *t;
    VTDevice *d;
    struct vring_packed_desc *ring;
    struct vring_packed_desc_event *driver, *device;
    uint16_t avail, used;       /* run on; 16 divides 65536 */
    unsigned places[65536];     /* of the chain with that id */
} Driver;

static uint16_t flags_at(uint16_t pos, bool used)
{
    bool wrap = !(pos & NUM);

    return (wrap ? 1u << VRING_PACKED_DESC_F_AVAIL : 0) |
           (wrap == used ? 1u << VRING_PACKED_DESC_F_USED : 0);
}

static void begin(Driver *p, uint64_t features)
{
    VT *t = p->t;

    memset(t->ram + RING, 0, DATA - RING);
    p->avail = p->used = 0;
    vt_negotiate(t, F_PACKED | features);
    vt_wr(t, VT_QUEUE_SEL, 0);
    vt_wr(t, VT_QUEUE_NUM, NUM);
    vt_wr(t, VT_DESC, RING);
    vt_wr(t, VT_AVAIL, DRIVER);
    vt_wr(t, VT_USED, DEVICE);
    vt_wr(t, VT_QUEUE_READY, 1);
    vt_driver_ok(t);
}

static Driver *driver_new(uint64_t features)
{
    Driver *p = g_new0(Driver, 1);

    p->t = vt_new(false);
    vt_plug(p->t, &vt_device_class.dc, "packed=on");
    p->d = (VTDevice *)p->t->vdev;
    p->ring = (void *)(p->t->ram + RING);
    p->driver = (void *)(p->t->ram + DRIVER);
    p->device = (void *)(p->t->ram + DEVICE);
    begin(p, features);
    return p;
}

static void driver_free(Driver *p)
{
    vt_free(p->t);
    g_free(p);
}

/* A chain of n descriptors as they are given; the first one's flags last. */
static void put(Driver *p, const struct vring_packed_desc *desc, unsigned n, uint16_t id)
{
    uint16_t head = 0;

    for (unsigned i = 0; i < n; i++) {
        struct vring_packed_desc *to = &p->ring[(p->avail + i) % NUM];
        uint16_t flags = desc[i].flags | flags_at(p->avail + i, false);

        to->addr = desc[i].addr;
        to->len = desc[i].len;
        to->id = i + 1 == n ? id : 0xbad;
        if (i) {
            to->flags = flags;
        } else {
            head = flags;
        }
    }
    __atomic_store_n(&p->ring[p->avail % NUM].flags, head, __ATOMIC_RELEASE);
    p->avail += n;
    p->places[id] = n;
}

static void kick(Driver *p)
{
    vt_wr(p->t, VT_QUEUE_NOTIFY, 0);
    vt_poll(p->t);
}

/* The next used descriptor; false: there is none. */
static bool get(Driver *p, uint16_t *id, uint32_t *len)
{
    const struct vring_packed_desc *desc = &p->ring[p->used % NUM];
    uint16_t flags = __atomic_load_n(&desc->flags, __ATOMIC_ACQUIRE);
    uint16_t both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;

    if ((flags & both) != flags_at(p->used, true)) {
        return false;
    }
    *id = desc->id;
    *len = desc->len;
    g_assert_cmphex(flags & ~both, ==, *len ? W : 0);
    p->used += p->places[*id];
    return true;
}

/* What the test device answers with: a byte sum. */
static void request(Driver *p, uint16_t id, unsigned readable, unsigned writable)
{
    struct vring_packed_desc desc[NUM];
    unsigned n = readable + writable;

    for (unsigned i = 0; i < n; i++) {
        desc[i] = (struct vring_packed_desc) {
            .addr = DATA + id * 4096 + i * 64, .len = i + 1,
            .flags = (i + 1 < n ? N : 0) | (i >= readable ? W : 0),
        };
        memset(p->t->ram + desc[i].addr, i < readable ? id : 0xee, i + 1);
    }
    put(p, desc, n, id);
}

static void check_answer(Driver *p, uint16_t id, unsigned readable, unsigned writable)
{
    uint8_t sum = id * (readable * (readable + 1) / 2);

    for (unsigned i = readable; i < readable + writable; i++) {
        g_assert_cmphex(p->t->ram[DATA + id * 4096 + i * 64], ==, sum);
    }
}

static void test_good(gconstpointer legacy)
{
    static const uint64_t features[] = { 0, F_EVENT, F_INDIRECT, F_EVENT | F_INDIRECT };

    for (size_t f = 0; f < G_N_ELEMENTS(features); f++) {
        Driver *p = driver_new(features[f]);

        g_assert_cmphex(vt_offered(p->t) & F_PACKED, ==, F_PACKED);
        for (unsigned i = 0; i < 70000; i++) {
            unsigned readable = 1 + i % 3, writable = i % 4;
            uint16_t id, want = i % 7 * 99;
            uint32_t len;

            request(p, want, readable, writable);
            kick(p);
            g_assert_true(get(p, &id, &len));
            g_assert_cmpuint(id, ==, want);
            g_assert_cmpuint(len, ==, writable * (2 * readable + writable + 1) / 2);
            check_answer(p, id, readable, writable);
            i += i > 200 ? 36 : 0;
        }
        g_assert_cmphex(vt_rd(p->t, VT_STATUS) & 0x40, ==, 0);
        driver_free(p);
    }
}

/* A full ring, returned from its end: what is in flight is overwritten by what is not. */
static void test_out_of_order(gconstpointer legacy)
{
    Driver *p = driver_new(0);

    p->d->hold = true;
    for (unsigned round = 0; round < 50; round++) {
        uint16_t id;
        uint32_t len;

        for (unsigned i = 0; i < 5; i++) {
            request(p, i, 2, 1);
        }
        kick(p);
        g_assert_cmpuint(p->d->nr_held, ==, 5);
        vt_device_complete_all(p->d);
        for (int i = 4; i >= 0; i--) {
            g_assert_true(get(p, &id, &len));
            g_assert_cmpint(id, ==, i);
            check_answer(p, id, 2, 1);
        }
        g_assert_false(get(p, &id, &len));
    }
    driver_free(p);
}

static void test_indirect(gconstpointer legacy)
{
    Driver *p = driver_new(F_INDIRECT);
    struct vring_packed_desc *table = (void *)(p->t->ram + TABLE + 8);  /* not aligned */
    uint16_t id;
    uint32_t len;

    /* Its flags but WRITE, and its ids, mean nothing. */
    for (unsigned i = 0; i < NUM; i++) {
        struct vring_packed_desc entry = { DATA + i * 64, i + 1, 0x7777,
                                           (i < 8 ? 0 : W) | 0xfff8 | N };

        memcpy(&table[i], &entry, sizeof(entry));
        memset(p->t->ram + DATA + i * 64, 1, i + 1);
    }
    for (unsigned i = 0; i < 100; i++) {
        put(p, &(struct vring_packed_desc) { TABLE + 8, NUM * 16, 0, I | (i % 2 ? W : 0) }, 1, i);
        kick(p);
        g_assert_true(get(p, &id, &len));
        g_assert_cmpuint(id, ==, i);
        g_assert_cmpuint(len, ==, 9 + 10 + 11 + 12 + 13 + 14 + 15 + 16);
        g_assert_cmphex(p->t->ram[DATA + 8 * 64], ==, 36);
    }
    driver_free(p);
}

/* Interrupts: always, never, and at a position. */
static void test_interrupts(gconstpointer legacy)
{
    Driver *p = driver_new(F_EVENT);
    uint16_t id;
    uint32_t len;
    unsigned told = 0;

    p->driver->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
    for (unsigned i = 0; i < 40; i++) {
        request(p, 1, 1, 1);
        kick(p);
        g_assert_true(get(p, &id, &len));
    }
    g_assert_cmphex(vt_rd(p->t, VT_ISR), ==, 0);
    p->driver->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
    request(p, 1, 1, 1);
    kick(p);
    g_assert_true(get(p, &id, &len));
    g_assert_cmphex(vt_rd(p->t, VT_ISR), ==, 1);
    vt_wr(p->t, VT_ACK, 1);
    /* Every tenth request of two descriptors, through all rounds of the ring. */
    p->driver->flags = VRING_PACKED_EVENT_FLAG_DESC;
    for (unsigned i = 0; i < 1000; i++) {
        if (i % 10 == 0) {
            uint16_t at = p->used + 2;      /* the second request from here */

            p->driver->off_wrap = at % NUM | (at & NUM ? 0 : 0x8000);
        }
        request(p, 1, 1, 1);
        kick(p);
        g_assert_true(get(p, &id, &len));
        if (vt_rd(p->t, VT_ISR)) {
            g_assert_cmpuint(i % 10, ==, 1);
            vt_wr(p->t, VT_ACK, 1);
            told++;
        }
    }
    g_assert_cmpuint(told, ==, 100);
    driver_free(p);
}

/* What the device says about kicks: none while it looks, then from the next position on. */
static void test_kicks(gconstpointer legacy)
{
    Driver *p = driver_new(F_EVENT);
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < 100; i++) {
        request(p, 1, 2, 1);
        kick(p);
        g_assert_true(get(p, &id, &len));
        g_assert_cmphex(p->device->flags, ==, VRING_PACKED_EVENT_FLAG_DESC);
        g_assert_cmphex(p->device->off_wrap, ==, p->avail % NUM | (p->avail & NUM ? 0 : 0x8000));
    }
    driver_free(p);
    p = driver_new(0);
    request(p, 1, 2, 1);
    kick(p);
    g_assert_cmphex(p->device->flags, ==, VRING_PACKED_EVENT_FLAG_ENABLE);
    driver_free(p);
}

/* Drivers that lie ------------------------------------------------------------------- */

typedef struct Lie {
    struct vring_packed_desc desc[3];
    unsigned n;
    struct vring_packed_desc table;
    uint64_t features;
} Lie;

static void test_lies(gconstpointer legacy)
{
    static const Lie lies[] = {
        { { { DATA, 0, 0, 0 } }, 1 },                               /* empty */
        { { { VT_RAM_SIZE, 16, 0, 0 } }, 1 },                       /* beyond RAM */
        { { { VT_RAM_SIZE - 1, 2, 0, W } }, 1 },
        { { { UINT64_MAX - 7, 16, 0, W } }, 1 },
        { { { VT_IO_BASE, 16, 0, W } }, 1 },                        /* registers */
        { { { VT_MMIO_BASE, 16, 0, 0 } }, 1 },
        { { { DATA, 16, 0, W | N }, { DATA, 16, 0, 0 } }, 2 },      /* readable after writable */
        { { { TABLE, 16, 0, I } }, 1, { DATA, 16, 0, 0 }, 0 },      /* not agreed */
        { { { TABLE, 16, 0, I | N }, { DATA, 1, 0, 0 } }, 2, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { DATA, 16, 0, N }, { TABLE, 16, 0, I } }, 2, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { TABLE, 0, 0, I } }, 1, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { TABLE, 17, 0, I } }, 1, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { TABLE, 0xfffffff0, 0, I } }, 1, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { TABLE, 16 * (NUM + 1), 0, I } }, 1, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { VT_RAM_SIZE - 16, 32, 0, I } }, 1, { DATA, 16, 0, 0 }, F_INDIRECT },
        { { { TABLE, 16, 0, I } }, 1, { DATA, 0, 0, 0 }, F_INDIRECT },
    };
    Driver *p = driver_new(0);
    uint16_t id;
    uint32_t len;

    for (size_t i = 0; i < G_N_ELEMENTS(lies); i++) {
        begin(p, lies[i].features);
        memcpy(p->t->ram + TABLE, &lies[i].table, 16);
        put(p, lies[i].desc, lies[i].n, 1);
        kick(p);
        vt_assert_needs_reset(p->t);
        g_assert_false(get(p, &id, &len));
        begin(p, lies[i].features);
        request(p, 5, 1, 1);
        kick(p);
        g_assert_true(get(p, &id, &len));
    }
    driver_free(p);
}

/* Chains without an end, and those that begin in others that are in flight. */
static void test_loops(gconstpointer legacy)
{
    struct vring_packed_desc loop[NUM];
    Driver *p = driver_new(0);
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < NUM; i++) {
        loop[i] = (struct vring_packed_desc) { DATA, 16, 0, N };
    }
    put(p, loop, NUM, 1);
    kick(p);
    vt_assert_needs_reset(p->t);
    begin(p, 0);
    loop[NUM - 1].flags = 0;            /* all of the ring is one chain: that is good */
    put(p, loop, NUM, 1);
    kick(p);
    g_assert_true(get(p, &id, &len));
    p->d->hold = true;
    request(p, 1, 6, 4);
    kick(p);
    for (unsigned i = 0; i < 6; i++) {
        loop[i].flags = N;
    }
    loop[6].flags = 0;
    put(p, loop, 7, 2);                 /* the last is one of the first request's */
    kick(p);
    vt_assert_needs_reset(p->t);
    driver_free(p);
}

/* A driver that makes available again what it has not got back: at most a ring's worth. */
static void test_greedy(gconstpointer legacy)
{
    Driver *p = driver_new(0);

    p->d->hold = true;
    for (unsigned i = 0; i < 3 * NUM; i++) {
        put(p, &(struct vring_packed_desc) { DATA, 16, 0, W }, 1, 1);
        kick(p);
        g_assert_cmpuint(p->d->nr_held, <=, NUM);
    }
    vt_assert_needs_reset(p->t);
    driver_free(p);
}

static void test_places(gconstpointer legacy)
{
    static const uint64_t bad[][3] = {
        { RING + 8, DRIVER, DEVICE }, { RING, DRIVER + 2, DEVICE }, { RING, DRIVER, DEVICE + 1 },
        { VT_RAM_SIZE - 16, DRIVER, DEVICE }, { RING, VT_RAM_SIZE, DEVICE },
        { RING, DRIVER, VT_MMIO_BASE },
    };
    Driver *p = driver_new(0);

    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        vt_negotiate(p->t, F_PACKED);
        vt_wr(p->t, VT_QUEUE_SEL, 0);
        vt_wr(p->t, VT_QUEUE_NUM, NUM);
        vt_wr(p->t, VT_DESC, bad[i][0]);
        vt_wr(p->t, VT_AVAIL, bad[i][1]);
        vt_wr(p->t, VT_USED, bad[i][2]);
        vt_wr(p->t, VT_QUEUE_READY, 1);
        vt_driver_ok(p->t);
        vt_assert_needs_reset(p->t);
    }
    driver_free(p);
}

/* A driver that wants split queues gets them; without the option nobody is offered others. */
static void test_choice(gconstpointer legacy)
{
    Driver *p = driver_new(0);
    VTRing *r = vt_start(p->t, 0, NUM);
    VTDevice *d;
    VT *t;

    vt_add(r, &(VTBuf) { DATA, 16, true }, 1);
    vt_kick(p->t, r);
    g_assert_nonnull(vt_used(r));
    driver_free(p);
    t = vt_new_device(NULL, &d);
    g_assert_cmphex(vt_offered(t) & F_PACKED, ==, 0);
    vt_free(t);
}

/* Saving ------------------------------------------------------------------------------- */

static bool load(Driver *p, const GByteArray *saved, Error **errp)
{
    StateReader in = { saved->data, saved->len };

    return virtio_bus_info.load(p->d->vdev.vbus, "vbus", &in, errp) &&
           state_check_end(&in, errp);
}

/* Requests in flight, one of them overwritten by another's end, end in another machine. */
static void test_saved(gconstpointer legacy)
{
    g_autoptr(GByteArray) saved = g_byte_array_new();
    Driver *p = driver_new(F_EVENT), *q = driver_new(F_EVENT);
    uint16_t id;
    uint32_t len;

    for (unsigned i = 0; i < 25; i++) {
        request(p, 1, 1, 1);
        kick(p);
        g_assert_true(get(p, &id, &len));
    }
    p->d->hold = true;
    for (unsigned i = 0; i < 4; i++) {
        request(p, i, 2, 1);
    }
    kick(p);
    vt_device_complete(p->d, 3);
    g_assert_true(get(p, &id, &len));
    vm_stop(p->t->ms, RUN_STATE_PAUSED);
    virtio_bus_info.save(p->d->vdev.vbus, "vbus", saved);
    vm_stop(q->t->ms, RUN_STATE_PAUSED);
    memcpy(q->t->ram, p->t->ram, VT_RAM_SIZE);
    memcpy(q->places, p->places, sizeof(p->places));
    q->avail = p->avail;
    q->used = p->used;
    g_assert_true(load(q, saved, NULL));
    q->d->vdev.status |= 15;
    q->d->hold = true;
    vm_start(q->t->ms);
    vt_poll(q->t);
    g_assert_cmpuint(q->d->nr_held, ==, 3);
    /* And once more, before they end. */
    vm_stop(q->t->ms, RUN_STATE_PAUSED);
    g_byte_array_set_size(saved, 0);
    virtio_bus_info.save(q->d->vdev.vbus, "vbus", saved);
    q->d->nr_held = 0;
    g_assert_true(load(q, saved, NULL));
    q->d->nr_held = 0;
    vm_start(q->t->ms);
    vt_poll(q->t);
    vt_device_complete_all(q->d);
    for (unsigned i = 0; i < 3; i++) {
        g_assert_true(get(q, &id, &len));
        check_answer(q, id, 2, 1);
    }
    q->d->hold = false;
    request(q, 9, 1, 1);
    kick(q);
    g_assert_true(get(q, &id, &len));
    g_assert_cmpuint(id, ==, 9);
    /* Every byte of it may be another. */
    vm_stop(q->t->ms, RUN_STATE_PAUSED);
    for (unsigned i = 0; i < saved->len; i++) {
        saved->data[i] ^= 0x5a;
        load(q, saved, NULL);
        vm_start(q->t->ms);
        vt_poll(q->t);
        vm_stop(q->t->ms, RUN_STATE_PAUSED);
        saved->data[i] ^= 0x5a;
    }
    driver_free(p);
    driver_free(q);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_modern_test("/packed/good", test_good);
    vt_add_modern_test("/packed/out-of-order", test_out_of_order);
    vt_add_modern_test("/packed/indirect", test_indirect);
    vt_add_modern_test("/packed/interrupts", test_interrupts);
    vt_add_modern_test("/packed/kicks", test_kicks);
    vt_add_modern_test("/packed/lies", test_lies);
    vt_add_modern_test("/packed/loops", test_loops);
    vt_add_modern_test("/packed/greedy", test_greedy);
    vt_add_modern_test("/packed/places", test_places);
    vt_add_modern_test("/packed/choice", test_choice);
    vt_add_modern_test("/packed/saved", test_saved);
    return g_test_run();
}
