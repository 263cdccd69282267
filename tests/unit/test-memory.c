/*
 * The region tree, its flat form, dispatch and the door to RAM.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "exec/dirty-log.h"
#include "exec/memory.h"
#include "qemu/main-loop.h"

typedef struct Dev {
    MemoryRegion mr;
    hwaddr addr;
    unsigned size;
    uint64_t data;
    unsigned reads, writes;
} Dev;

static uint64_t dev_read(void *opaque, hwaddr addr, unsigned size)
{
    Dev *d = opaque;

    d->addr = addr;
    d->size = size;
    d->reads++;
    return 0x1122334455667788ULL >> (addr % 8 * 8);
}

static void dev_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    Dev *d = opaque;

    d->addr = addr;
    d->size = size;
    d->data = data;
    d->writes++;
}

static const MemoryRegionOps any_ops = { .read = dev_read, .write = dev_write };
static const MemoryRegionOps lockless_ops = {
    .read = dev_read, .write = dev_write, .lockless = true,
};
static const MemoryRegionOps word_ops = {
    .read = dev_read, .write = dev_write,
    .valid = { .min_access_size = 4, .max_access_size = 4 },
};
static const MemoryRegionOps byte_impl_ops = {
    .read = dev_read, .write = dev_write, .impl = { .max_access_size = 1 },
};

typedef struct Fixture {
    AddressSpace as;
    MemoryRegion root, ram, low, high;
    uint8_t *host;
    Dev a, b, over;
} Fixture;

#define RAM_SIZE 0x4000u

static void setup(Fixture *f, gconstpointer data)
{
    memset(f, 0, sizeof(*f));
    f->host = g_malloc0(RAM_SIZE);
    memory_region_init(&f->root, "root", UINT64_MAX);
    memory_region_init_ram_ptr(&f->ram, "ram", RAM_SIZE, f->host);
    memory_region_init_alias(&f->low, "low", &f->ram, 0, 0x3000);
    memory_region_init_alias(&f->high, "high", &f->ram, 0x3000, 0x1000);
    memory_region_add_subregion(&f->root, 0, &f->low);
    memory_region_add_subregion(&f->root, 0x100000000ULL, &f->high);
    memory_region_init_io(&f->a.mr, &any_ops, &f->a, "a", 0x200);
    memory_region_add_subregion(&f->root, 0xd0000000, &f->a.mr);
    memory_region_init_io(&f->b.mr, &word_ops, &f->b, "b", 0x200);
    memory_region_add_subregion(&f->root, 0xd0000200, &f->b.mr);
    /* Lies over the middle of a. */
    memory_region_init_io(&f->over.mr, &byte_impl_ops, &f->over, "over", 0x10);
    memory_region_add_subregion_overlap(&f->root, 0xd0000100, &f->over.mr, 1);
    address_space_init(&f->as, &f->root, "memory", false);
    g_assert_true(address_space_seal(&f->as, NULL));
}

static void teardown(Fixture *f, gconstpointer data)
{
    address_space_destroy(&f->as);
    g_free(f->host);
}

static void test_flat(Fixture *f, gconstpointer data)
{
    static const struct { hwaddr start; uint64_t size; hwaddr offset; } want[] = {
        { 0, 0x3000, 0 },
        { 0xd0000000, 0x100, 0 }, { 0xd0000100, 0x10, 0 }, { 0xd0000110, 0xf0, 0x110 },
        { 0xd0000200, 0x200, 0 },
        { 0x100000000ULL, 0x1000, 0x3000 },
    };

    g_assert_cmpuint(f->as.nr_ranges, ==, G_N_ELEMENTS(want));
    for (unsigned i = 0; i < f->as.nr_ranges; i++) {
        g_assert_cmphex(f->as.ranges[i].start, ==, want[i].start);
        g_assert_cmphex(f->as.ranges[i].size, ==, want[i].size);
        g_assert_cmphex(f->as.ranges[i].offset, ==, want[i].offset);
    }
    g_assert_null(address_space_lookup(&f->as, 0x3000));
    g_assert_true(address_space_lookup(&f->as, 0xd000010f)->mr == &f->over.mr);
    g_assert_true(address_space_lookup(&f->as, 0xd0000110)->mr == &f->a.mr);
    g_assert_null(address_space_lookup(&f->as, UINT64_MAX));
}

static void test_map(Fixture *f, gconstpointer data)
{
    static const struct { hwaddr addr; uint64_t len; int64_t offset; } cases[] = {
        { 0, 1, 0 }, { 0x2fff, 1, 0x2fff }, { 0, 0x3000, 0 },
        { 0x100000000ULL, 0x1000, 0x3000 }, { 0x100000fffULL, 1, 0x3fff },
        { 0, 0, -1 }, { 0x2fff, 2, -1 }, { 0x3000, 1, -1 }, { 0, 0x3001, -1 },
        { 0xd0000000, 4, -1 }, { 0x100000fffULL, 2, -1 }, { 0xffffffffULL, 2, -1 },
        { UINT64_MAX, 1, -1 }, { UINT64_MAX, 2, -1 }, { 1, UINT64_MAX, -1 },
        { 0x10, UINT64_MAX - 8, -1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        void *p = address_space_map(&f->as, cases[i].addr, cases[i].len);

        g_assert_true(p == (cases[i].offset < 0 ? NULL : f->host + cases[i].offset));
    }
}

static void test_dispatch(Fixture *f, gconstpointer data)
{
    uint64_t v = 0;

    g_assert_true(address_space_rw(&f->as, 0xd0000002, &v, 2, false));
    g_assert_cmphex(v, ==, 0x5566);
    g_assert_cmphex(f->a.addr, ==, 2);
    v = 0xabcdef;
    g_assert_true(address_space_rw(&f->as, 0xd0000110, &v, 4, true));
    g_assert_cmphex(f->a.addr, ==, 0x110);
    g_assert_cmphex(f->a.data, ==, 0xabcdef);
    /* Wrong size, unaligned, across the end: never reach the device. */
    for (unsigned size = 1; size <= 8; size *= 2) {
        unsigned before = f->b.reads;

        v = ~0ULL;
        g_assert_true(address_space_rw(&f->as, 0xd0000200, &v, size, false) == (size == 4));
        g_assert_cmpuint(f->b.reads, ==, before + (size == 4));
        if (size != 4) {
            g_assert_cmphex(v, ==, 0);
        }
    }
    g_assert_false(address_space_rw(&f->as, 0xd0000201, &v, 4, false));
    g_assert_false(address_space_rw(&f->as, 0xd00003fe, &v, 4, true));
    /* Split into bytes by what the device implements. */
    f->over.reads = 0;
    g_assert_true(address_space_rw(&f->as, 0xd0000104, &v, 4, false));
    g_assert_cmphex(v, ==, 0x11223344);
    g_assert_cmpuint(f->over.reads, ==, 4);
    /* RAM and nothing. */
    v = 0x1234;
    g_assert_true(address_space_rw(&f->as, 0x10, &v, 2, true));
    g_assert_cmphex(f->host[0x11], ==, 0x12);
    g_assert_false(address_space_rw(&f->as, 0xe0000000, &v, 4, false));
    g_assert_cmphex(v, ==, 0);
}

static void test_copy(Fixture *f, gconstpointer data)
{
    uint8_t buf[0x20];

    memset(buf, 0x5a, sizeof(buf));
    g_assert_true(address_space_write(&f->as, 0x2fe0, buf, 0x20));
    g_assert_false(address_space_write(&f->as, 0x2fe1, buf, 0x20));
    g_assert_true(address_space_read(&f->as, 0x2fe0, buf, 0x20));
    g_assert_false(address_space_read(&f->as, 0xd0000000, buf, 1));
}

typedef struct Recorder {
    MemoryListener listener;
    unsigned regions, adds, dels, flushes;
    hwaddr last;
    MemoryRegionCoalesced coalesced;
} Recorder;

static bool on_region(MemoryListener *l, const FlatRange *range, Error **errp)
{
    ((Recorder *)l)->regions++;
    ((Recorder *)l)->coalesced = range->mr->coalesced;
    return true;
}

static void on_flush(MemoryListener *l)
{
    ((Recorder *)l)->flushes++;
}

static int on_eventfd(MemoryListener *l, hwaddr addr, const MemoryRegionIoeventfd *fd)
{
    ((Recorder *)l)->adds++;
    ((Recorder *)l)->last = addr;
    return 0;
}

static void on_eventfd_del(MemoryListener *l, hwaddr addr, const MemoryRegionIoeventfd *fd)
{
    ((Recorder *)l)->dels++;
}

static void test_eventfd(void)
{
    AddressSpace as;
    MemoryRegion root;
    Dev d = { 0 };
    Recorder r = {
        .listener = { .region_add = on_region, .eventfd_add = on_eventfd,
                      .eventfd_del = on_eventfd_del },
    };
    EventNotifier e, e2;
    MemoryRegionIoeventfd early = { .addr = 0x50, .size = 4, .match_data = true, .e = &e };
    MemoryRegionIoeventfd late = { .addr = 0x50, .size = 4, .match_data = true, .data = 1,
                                   .e = &e2 };
    uint64_t v = 0;

    g_assert_cmpint(event_notifier_init(&e), ==, 0);
    g_assert_cmpint(event_notifier_init(&e2), ==, 0);
    memory_region_init(&root, "root", UINT64_MAX);
    memory_region_init_io(&d.mr, &lockless_ops, &d, "d", 0x200);
    memory_region_add_subregion(&root, 0x1000, &d.mr);
    address_space_init(&as, &root, "memory", false);
    address_space_add_listener(&as, &r.listener);
    g_assert_cmpint(memory_region_add_eventfd(&as, &d.mr, &early), ==, 0);
    g_assert_cmpuint(r.adds, ==, 0);
    g_assert_true(address_space_seal(&as, NULL));
    g_assert_cmpuint(r.regions, ==, 1);
    g_assert_cmpuint(r.adds, ==, 1);
    g_assert_cmphex(r.last, ==, 0x1050);
    g_assert_cmpint(memory_region_add_eventfd(&as, &d.mr, &late), ==, 0);
    g_assert_cmpuint(r.adds, ==, 2);

    /* Without help from a kernel, writes reach the region's own handler. */
    address_space_rw(&as, 0x1050, &v, 4, true);
    g_assert_false(event_notifier_test_and_clear(&e));
    g_assert_false(event_notifier_test_and_clear(&e2));
    g_assert_cmpuint(d.writes, ==, 1);

    memory_region_del_eventfd(&as, &d.mr, &early);
    g_assert_cmpuint(r.dels, ==, 1);
    v = 0;
    address_space_rw(&as, 0x1050, &v, 4, true);
    g_assert_false(event_notifier_test_and_clear(&e));
    g_assert_cmpuint(d.writes, ==, 2);
    address_space_destroy(&as);
    event_notifier_cleanup(&e);
    event_notifier_cleanup(&e2);
}

static void test_coalesced(void)
{
    static const MemoryRegionOps ops = { .lockless = true };
    AddressSpace as;
    MemoryRegion root, mr;
    Recorder r = { .listener = { .region_add = on_region, .flush_coalesced = on_flush } };
    MemoryListener deaf = { 0 };

    memory_region_init(&root, "root", UINT64_MAX);
    memory_region_init_io(&mr, &ops, NULL, "mr", 0x200);
    memory_region_set_coalesced(&mr, 0x64, 4);
    memory_region_add_subregion(&root, 0x1000, &mr);
    address_space_init(&as, &root, "memory", false);
    address_space_add_listener(&as, &deaf);
    address_space_add_listener(&as, &r.listener);
    g_assert_true(address_space_seal(&as, NULL));
    g_assert_cmphex(r.coalesced.offset, ==, 0x64);
    g_assert_cmphex(r.coalesced.len, ==, 4);
    g_assert_cmpuint(r.flushes, ==, 0);
    address_space_flush_coalesced(&as);
    g_assert_cmpuint(r.flushes, ==, 1);
    address_space_destroy(&as);
}

static void test_ports(void)
{
    AddressSpace as;
    MemoryRegion root;
    Dev d = { 0 };
    uint64_t v = 0;

    memory_region_init(&root, "io", 0x10000);
    memory_region_init_io(&d.mr, &byte_impl_ops, &d, "d", 8);
    memory_region_add_subregion(&root, 0x3f8, &d.mr);
    address_space_init(&as, &root, "I/O", true);
    g_assert_true(address_space_seal(&as, NULL));
    g_assert_false(address_space_rw(&as, 0x2f8, &v, 1, false));
    g_assert_cmphex(v, ==, 0xff);
    g_assert_false(address_space_rw(&as, 0x2f8, &v, 4, false));
    g_assert_cmphex(v, ==, 0xffffffff);
    /* The last register and what is not there behind it. */
    g_assert_true(address_space_rw_locked(&as, 0x3ff, &v, 2, false));
    g_assert_cmphex(v, ==, 0xff11);
    address_space_destroy(&as);
}

/* What is marked, merged and taken; ranges across words, beyond RAM, of no RAM. */
static void test_dirty_log(void)
{
    static DirtyLog *log;       /* it is never freed */
    uint8_t *ram = g_malloc(200 * DIRTY_PAGE);
    uint64_t words[4], merged[3] = { 1ull << 63, 3, 1ull << 63 };

    log = dirty_log_new(ram, 200 * DIRTY_PAGE);
    dirty_log_mark(log, ram + DIRTY_PAGE - 1, 2);
    dirty_log_mark(log, ram + 60 * DIRTY_PAGE, 70 * DIRTY_PAGE);
    dirty_log_mark(log, ram + 199 * DIRTY_PAGE, 7 * DIRTY_PAGE);
    dirty_log_mark(log, ram + 200 * DIRTY_PAGE, 1);
    dirty_log_mark(log, ram - 1, 1);
    dirty_log_mark(log, NULL, DIRTY_PAGE);
    dirty_log_mark(log, ram + 5 * DIRTY_PAGE, 0);
    g_assert_cmpuint(dirty_log_take(log, words), ==, 73);
    g_assert_cmphex(words[0], ==, 0xf000000000000003);
    g_assert_cmphex(words[1], ==, UINT64_MAX);
    g_assert_cmphex(words[2], ==, 3);
    g_assert_cmphex(words[3], ==, 0x80);
    g_assert_cmpuint(dirty_log_take(log, words), ==, 0);
    /* From a page on that begins no word; bits behind the last do not count. */
    dirty_log_merge(log, 37, merged, 129);
    g_assert_cmpuint(dirty_log_take(log, words), ==, 3);
    g_assert_cmphex(words[1], ==, 1ull << 36 | 3ull << 37);
    g_free(ram);
}

/* Writes through the address space are marked while there is a log. */
static void test_dirty_writes(Fixture *f, gconstpointer opaque)
{
    static DirtyLog *log;
    uint64_t words[1], value = 7;

    log = dirty_log_new(f->host, RAM_SIZE);
    address_space_write(&f->as, 0x1000, "x", 1);
    address_space_set_dirty_log(&f->as, log);
    address_space_write(&f->as, 0xffe, "1234", 4);
    address_space_rw(&f->as, 0x1ff8, &value, 8, true);
    address_space_rw(&f->as, 0x2000, &value, 8, false);
    g_assert_cmpuint(dirty_log_take(log, words), ==, 2);
    g_assert_cmphex(words[0], ==, 3);
    address_space_set_dirty_log(&f->as, NULL);
    address_space_write(&f->as, 0, "x", 1);
    g_assert_cmpuint(dirty_log_take(log, words), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) g_test_add(name, Fixture, NULL, setup, fn, teardown)
    ADD("/memory/flat", test_flat);
    ADD("/memory/map", test_map);
    ADD("/memory/dispatch", test_dispatch);
    ADD("/memory/copy", test_copy);
    ADD("/memory/dirty-writes", test_dirty_writes);
    g_test_add_func("/memory/dirty-log", test_dirty_log);
    g_test_add_func("/memory/eventfd", test_eventfd);
    g_test_add_func("/memory/coalesced", test_coalesced);
    g_test_add_func("/memory/ports", test_ports);
    return g_test_run();
}
