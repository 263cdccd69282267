/*
 * Roms: where they may go, what a reset writes, and what files are refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/loader.h"
#include "qemu/cutils.h"

#define RAM_SIZE 0x10000

/* A machine with nothing but RAM at 0 and at 1 MiB. */
typedef struct Fixture {
    MachineState ms;
    MemoryRegion low, high;
    uint8_t *ram;
} Fixture;

static void setup(Fixture *f, gconstpointer data)
{
    MachineState *ms = &f->ms;

    f->ram = g_malloc(2 * RAM_SIZE);
    memset(f->ram, 0xee, 2 * RAM_SIZE);
    memory_region_init(&ms->system_memory, "system", UINT64_MAX);
    address_space_init(&ms->memory, &ms->system_memory, "memory", false);
    memory_region_init_ram_ptr(&f->low, "low", RAM_SIZE, f->ram);
    memory_region_init_ram_ptr(&f->high, "high", RAM_SIZE, f->ram + RAM_SIZE);
    memory_region_add_subregion(&ms->system_memory, 0, &f->low);
    memory_region_add_subregion(&ms->system_memory, MiB, &f->high);
    g_assert_true(address_space_seal(&ms->memory, NULL));
}

static void teardown(Fixture *f, gconstpointer data)
{
    rom_free_all(&f->ms);
    address_space_destroy(&f->ms.memory);
    g_free(f->ram);
}

/* A rom that is filled with text, as far as it goes. */
static bool add_text(Fixture *f, const char *text, uint64_t size, hwaddr addr)
{
    g_autoptr(Error) err = NULL;
    uint8_t *buf = rom_add(&f->ms, text, addr, size, &err);

    g_assert_cmpint(buf != NULL, ==, err == NULL);
    if (buf) {
        memcpy(buf, text, MIN(strlen(text), size));
    }
    return buf != NULL;
}

static bool add_file(Fixture *f, const char *name, int fd, RomSegment seg)
{
    RomSource *source = rom_source_new(fd);
    bool ok = rom_add_file(&f->ms, name, source, &seg, NULL);

    rom_source_unref(source);       /* the rom has its own */
    return ok;
}

static int memfd_with(const void *data, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(qemu_write_full(fd, data, len), ==, 0);
    return fd;
}

static void test_buffer(Fixture *f, gconstpointer data)
{
    g_assert_true(add_text(f, "abcd", 8, 0x100));
    /* Nothing is written before the first reset. */
    g_assert_cmphex(f->ram[0x100], ==, 0xee);
    g_assert_true(rom_reset_all(&f->ms, false));
    g_assert_cmpmem(f->ram + 0x100, 8, "abcd\0\0\0\0", 8);
    g_assert_cmphex(f->ram[0xff], ==, 0xee);
    g_assert_cmphex(f->ram[0x108], ==, 0xee);

    /* What the guest did to it is undone. */
    memset(f->ram + 0x100, 'x', 9);
    g_assert_true(rom_reset_all(&f->ms, false));
    g_assert_cmpmem(f->ram + 0x100, 9, "abcd\0\0\0\0x", 9);
}

/* The buffer of a rom is zero until it is filled, and may be filled at any time. */
static void test_zeros(Fixture *f, gconstpointer data)
{
    uint8_t *buf = rom_add(&f->ms, "zeros", 0x200, 16, NULL);

    g_assert_true(rom_reset_all(&f->ms, false));
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(f->ram[0x200 + i], ==, 0);
    }
    buf[15] = 7;
    g_assert_true(rom_reset_all(&f->ms, false));
    g_assert_cmphex(f->ram[0x20f], ==, 7);
}

static void test_file(Fixture *f, gconstpointer data)
{
    int fd = memfd_with("0123456789", 10);

    g_assert_true(add_file(f, "file", fd, (RomSegment) { 3, 5, 7, MiB + 1 }));
    g_assert_true(rom_reset_all(&f->ms, false));
    g_assert_cmpmem(f->ram + RAM_SIZE + 1, 8, "34567\0\0\xee", 8);
    memset(f->ram + RAM_SIZE, 0xee, 16);
    g_assert_true(rom_reset_all(&f->ms, true));
    /* The caller says that what follows is zero already. */
    g_assert_cmpmem(f->ram + RAM_SIZE + 1, 8, "34567\xee\xee\xee", 8);
}

static void test_file_shrinks(Fixture *f, gconstpointer data)
{
    int fd = memfd_with("0123456789", 10);

    g_assert_true(add_file(f, "file", fd, (RomSegment) { 0, 10, 10, 0 }));
    g_assert_cmpint(ftruncate(fd, 4), ==, 0);
    g_assert_false(rom_reset_all(&f->ms, false));
}

/* A bad descriptor is a host error, told and survived. */
static void test_file_unreadable(Fixture *f, gconstpointer data)
{
    int fds[2];

    g_assert_cmpint(pipe(fds), ==, 0);
    g_assert_true(add_file(f, "pipe", fds[0], (RomSegment) { 0, 1, 1, 0 }));
    g_assert_false(rom_reset_all(&f->ms, false));
    close(fds[1]);
}

/* One made for each reset: open() is called once for both of its roms. */
static unsigned opened, freed;

static int open_again(RomSource *s)
{
    opened++;
    return memfd_with("0123456789", 10);
}

static void count_free(RomSource *s)
{
    freed++;
}

static void test_source(Fixture *f, gconstpointer data)
{
    RomSource s = { open_again, count_free, memfd_with("0123456789", 10), 1 };
    RomSegment a = { 0, 2, 2, 0x100 }, b = { 8, 2, 2, 0x200 }, none = { 0, 2, 2, 0x201 };

    opened = freed = 0;
    g_assert_true(rom_add_file(&f->ms, "a", &s, &a, NULL));
    g_assert_true(rom_add_file(&f->ms, "b", &s, &b, NULL));
    g_assert_false(rom_add_file(&f->ms, "overlaps", &s, &none, NULL));
    rom_source_unref(&s);
    for (unsigned i = 0; i < 2; i++) {
        g_assert_true(rom_reset_all(&f->ms, false));
        g_assert_cmpuint(opened, ==, i);
        g_assert_cmpint(s.fd, ==, -1);
        g_assert_cmpmem(f->ram + 0x200, 2, "89", 2);
    }
    rom_free_all(&f->ms);
    g_assert_cmpuint(freed, ==, 1);
}

static void test_ranges(Fixture *f, gconstpointer data)
{
    g_assert_false(add_text(f, "none", 4, 0x20000));        /* no RAM */
    g_assert_false(add_text(f, "past", 4, RAM_SIZE - 3));   /* over the end */
    g_assert_true(add_text(f, "last", 4, RAM_SIZE - 4));
    g_assert_false(add_text(f, "wrap", 4, UINT64_MAX - 1));
    g_assert_false(add_text(f, "huge", UINT64_MAX, 16));
    g_assert_false(add_text(f, "", 0, 0x100));              /* nothing */
    /* data > memory */
    g_assert_false(add_file(f, "long", memfd_with("abcd", 4), (RomSegment) { 0, 4, 3, 0x100 }));
}

static void test_overlaps(Fixture *f, gconstpointer data)
{
    g_assert_true(add_text(f, "mid", 0x100, 0x1000));
    g_assert_false(add_text(f, "same", 0x100, 0x1000));
    g_assert_false(add_text(f, "head", 0x100, 0xf01));
    g_assert_false(add_text(f, "tail", 0x100, 0x10ff));
    g_assert_false(add_text(f, "inside", 0x10, 0x1010));
    g_assert_false(add_text(f, "around", 0x1000, 0x800));
    g_assert_true(add_text(f, "before", 0x100, 0xf00));
    g_assert_true(add_text(f, "after", 0x100, 0x1100));
}

static void note_addr(const Rom *rom, void *opaque)
{
    hwaddr *last = opaque;

    g_assert_cmphex(rom->seg.addr, >, *last);
    *last = rom->seg.addr;
}

static void test_order(Fixture *f, gconstpointer data)
{
    static const hwaddr addrs[] = { 0x500, 0x100, 0x900, 0x300, 0x700 };
    hwaddr last = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(addrs); i++) {
        g_assert_true(add_text(f, "r", 1, addrs[i]));
    }
    rom_foreach(&f->ms, note_addr, &last);
    g_assert_cmphex(last, ==, 0x900);
}

static void test_open(void)
{
    g_autofree char *dir = g_dir_make_tmp("test-loader-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "file", NULL);
    g_autofree char *fifo = g_build_filename(dir, "fifo", NULL);
    uint64_t size = 0;
    int fd;

    g_assert_true(g_file_set_contents(file, "hello", 5, NULL));
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);

    fd = load_file_open(file, &size);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(size, ==, 5);
    close(fd);
    g_assert_cmpint(load_file_open(dir, &size), ==, -EISDIR);
    g_assert_cmpint(load_file_open(fifo, &size), ==, -EINVAL);
    g_assert_cmpint(load_file_open("/dev/zero", &size), ==, -EINVAL);
    g_unlink(file);
    g_assert_cmpint(load_file_open(file, &size), ==, -ENOENT);
    g_unlink(fifo);
    g_rmdir(dir);
}

#define ADD(name, fn) \
    g_test_add("/loader/" name, Fixture, NULL, setup, fn, teardown)

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    ADD("buffer", test_buffer);
    ADD("zeros", test_zeros);
    ADD("file", test_file);
    ADD("file-shrinks", test_file_shrinks);
    ADD("file-unreadable", test_file_unreadable);
    ADD("source", test_source);
    ADD("ranges", test_ranges);
    ADD("overlaps", test_overlaps);
    ADD("order", test_order);
    g_test_add_func("/loader/open", test_open);
    return g_test_run();
}
