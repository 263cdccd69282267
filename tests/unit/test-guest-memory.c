/*
 * Walking the guest's page tables: every mode, large pages, hostile tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "monitor/guest-memory.h"
#include "target/i386/cpu.h"

#define RAM_SIZE    (16u << 20)
#define P           1u
#define PS          0x80u

typedef struct Guest {
    MachineState ms;
    MemoryRegion root, ram;
    X86CPU cpu;
    uint8_t *host;
} Guest;

static Guest *guest_new(void)
{
    Guest *g = g_new0(Guest, 1);

    g->host = g_malloc0(RAM_SIZE);
    memory_region_init(&g->root, "root", UINT64_MAX);
    memory_region_init_ram_ptr(&g->ram, "ram", RAM_SIZE, g->host);
    memory_region_add_subregion(&g->root, 0, &g->ram);
    address_space_init(&g->ms.memory, &g->root, "memory", false);
    g_assert_true(address_space_seal(&g->ms.memory, NULL));
    g->cpu.cs.machine = &g->ms;
    /* The registers here are the newest: nothing is fetched. */
    g->cpu.cs.vcpu_dirty = true;
    g->cpu.env.cr[0] = CR0_PE | CR0_PG;
    g->cpu.env.cr[3] = 0x1000;
    return g;
}

static void guest_free(Guest *g)
{
    address_space_destroy(&g->ms.memory);
    g_free(g->host);
    g_free(g);
}

static void put64(Guest *g, hwaddr table, unsigned index, uint64_t entry)
{
    memcpy(g->host + table + index * 8, &entry, 8);
}

static void put32(Guest *g, hwaddr table, unsigned index, uint32_t entry)
{
    memcpy(g->host + table + index * 4, &entry, 4);
}

static void check(Guest *g, uint64_t vaddr, hwaddr phys, uint64_t left)
{
    GuestPage page;

    g_assert_true(guest_translate(&g->cpu.cs, vaddr, &page));
    g_assert_cmphex(page.phys, ==, phys);
    g_assert_cmphex(page.left, ==, left);
}

static void check_unmapped(Guest *g, uint64_t vaddr)
{
    GuestPage page;

    g_assert_false(guest_translate(&g->cpu.cs, vaddr, &page));
}

/* 0xffffffff80000000: a 4 KiB, a 2 MiB and a 1 GiB page. */
static void map_long(Guest *g)
{
    g->cpu.env.efer = EFER_LMA | EFER_LME;
    g->cpu.env.cr[4] = CR4_PAE;
    put64(g, 0x1000, 511, 0x2000 | P);
    put64(g, 0x2000, 510, 0x3000 | P);
    put64(g, 0x2000, 511, 0x40000000 | PS | P);
    put64(g, 0x3000, 0, 0x4000 | P);
    put64(g, 0x3000, 1, 0x200000 | PS | P);
    put64(g, 0x4000, 5, 0x123000 | P | 1ull << 63);
}

static void test_long(void)
{
    Guest *g = guest_new();

    map_long(g);
    check(g, 0xffffffff80005678, 0x123678, 0x988);
    check(g, 0xffffffff80212345, 0x212345, 0x200000 - 0x12345);
    check(g, 0xffffffffc0000010, 0x40000010, 0x3ffffff0);
    check_unmapped(g, 0xffffffff80006000);
    check_unmapped(g, 0);
    /* Tables outside RAM map nothing. */
    put64(g, 0x1000, 0, 0x7fffffff000 | P);
    check_unmapped(g, 0x1000);
    guest_free(g);
}

static void test_legacy(void)
{
    Guest *g = guest_new();

    /* PAE: the top table has four entries, at any 32 bytes. */
    g->cpu.env.cr[4] = CR4_PAE;
    g->cpu.env.cr[3] = 0x1020;
    put64(g, 0x1020, 3, 0x2000 | P);
    put64(g, 0x2000, 0, 0x400000 | PS | P);
    check(g, 0xc0000123, 0x400123, 0x200000 - 0x123);
    check_unmapped(g, 0x123);
    /* Two levels, with a 4 MiB page above 4 GiB. */
    g->cpu.env.cr[4] = 0;
    g->cpu.env.cr[3] = 0x5000;
    put32(g, 0x5000, 0, 0x6000 | P);
    put32(g, 0x6000, 2, 0x7000 | P);
    put32(g, 0x5000, 1, 0x00c00000 | 1u << 13 | PS | P);
    check(g, 0x2004, 0x7004, 0xffc);
    check(g, 0x400001, 0x100c00001, 0x3fffff);
    /* No paging. */
    g->cpu.env.cr[0] = CR0_PE;
    check(g, 0x12345, 0x12345, 0xcbb);
    guest_free(g);
}

static void test_copy(void)
{
    Guest *g = guest_new();
    uint8_t buf[0x40];

    map_long(g);
    put64(g, 0x4000, 6, 0x200000 | P);
    memset(g->host + 0x123fe0, 'a', 0x20);
    memset(g->host + 0x200000, 'b', 0x20);
    /* Across two pages that lie apart. */
    g_assert_true(guest_virtual_rw(&g->cpu.cs, 0xffffffff80005fe0, buf, 0x40, false));
    g_assert_cmpint(buf[0], ==, 'a');
    g_assert_cmpint(buf[0x3f], ==, 'b');
    memset(buf, 'c', sizeof(buf));
    g_assert_true(guest_virtual_rw(&g->cpu.cs, 0xffffffff80005fe0, buf, 0x40, true));
    g_assert_cmpint(g->host[0x123fff], ==, 'c');
    g_assert_cmpint(g->host[0x20001f], ==, 'c');
    g_assert_false(guest_virtual_rw(&g->cpu.cs, 0xffffffff80006ff0, buf, 0x40, false));
    /* Mapped, but to where no RAM is. */
    g_assert_false(guest_virtual_rw(&g->cpu.cs, 0xffffffffc0000000, buf, 1, false));
    guest_free(g);
}

typedef struct Seen {
    unsigned n;
    uint64_t vaddr[8];
    hwaddr phys[8];
    unsigned stop_at;
} Seen;

static bool note_page(uint64_t vaddr, const GuestPage *page, void *opaque)
{
    Seen *s = opaque;

    if (s->n < G_N_ELEMENTS(s->vaddr)) {
        s->vaddr[s->n] = vaddr;
        s->phys[s->n] = page->phys;
    }
    return ++s->n != s->stop_at;
}

static void test_foreach(void)
{
    Guest *g = guest_new();
    Seen seen = { 0 };

    map_long(g);
    guest_foreach_page(&g->cpu.cs, note_page, &seen);
    g_assert_cmpuint(seen.n, ==, 3);
    g_assert_cmphex(seen.vaddr[0], ==, 0xffffffff80005000);
    g_assert_cmphex(seen.phys[0], ==, 0x123000);
    g_assert_cmphex(seen.vaddr[1], ==, 0xffffffff80200000);
    g_assert_cmphex(seen.vaddr[2], ==, 0xffffffffc0000000);
    seen = (Seen) { .stop_at = 1 };
    guest_foreach_page(&g->cpu.cs, note_page, &seen);
    g_assert_cmpuint(seen.n, ==, 1);
    guest_free(g);
}

/* Every entry points to its own table: 2^36 pages, if it were followed. */
static void test_hostile(void)
{
    Guest *g = guest_new();
    Seen seen = { 0 };

    g->cpu.env.efer = EFER_LMA | EFER_LME;
    for (unsigned i = 0; i < 512; i++) {
        put64(g, 0x1000, i, 0x1000 | P);
    }
    guest_foreach_page(&g->cpu.cs, note_page, &seen);
    g_assert_cmpuint(seen.n, <, 1u << 25);
    g_assert_cmpuint(seen.n, >, 1000);
    guest_free(g);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/guest-memory/long", test_long);
    g_test_add_func("/guest-memory/legacy", test_legacy);
    g_test_add_func("/guest-memory/copy", test_copy);
    g_test_add_func("/guest-memory/foreach", test_foreach);
    g_test_add_func("/guest-memory/hostile", test_hostile);
    return g_test_run();
}
