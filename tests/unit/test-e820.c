/*
 * The guest's memory map for RAM sizes around every border.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot.h"
#include "qemu/cutils.h"

static void expect(uint64_t ram, const E820Entry *want, unsigned n)
{
    E820Entry map[E820_MAX];

    g_assert_cmpuint(x86_build_e820(ram, map), ==, n);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(map[i].addr, ==, want[i].addr);
        g_assert_cmphex(map[i].size, ==, want[i].size);
        g_assert_cmpuint(map[i].type, ==, want[i].type);
    }
}

static void test_maps(void)
{
    static const E820Entry m64[] = {
        { 0, 0x9e000, 1 }, { 0x9e000, 0x62000, 2 },
        { 0x100000, 63 * MiB, 1 },
    };
    static const E820Entry g3[] = {
        { 0, 0x9e000, 1 }, { 0x9e000, 0x62000, 2 },
        { 0x100000, 3 * GiB - MiB, 1 },
    };
    static const E820Entry g5[] = {
        { 0, 0x9e000, 1 }, { 0x9e000, 0x62000, 2 },
        { 0x100000, 3 * GiB - MiB, 1 }, { 4 * GiB, 2 * GiB, 1 },
    };
    static const E820Entry g3_and_a_page[] = {
        { 0, 0x9e000, 1 }, { 0x9e000, 0x62000, 2 },
        { 0x100000, 3 * GiB - MiB, 1 }, { 4 * GiB, 4096, 1 },
    };

    expect(64 * MiB, m64, G_N_ELEMENTS(m64));
    expect(3 * GiB, g3, G_N_ELEMENTS(g3));
    expect(5 * GiB, g5, G_N_ELEMENTS(g5));
    expect(3 * GiB + 4096, g3_and_a_page, G_N_ELEMENTS(g3_and_a_page));
    expect(MiB, m64, 2);
}

/* Sorted, no overlaps, all RAM but the reserved part accounted for. */
static void check_map(uint64_t ram)
{
    E820Entry map[E820_MAX];
    unsigned n = x86_build_e820(ram, map);
    uint64_t sum = 0, last = 0;

    g_assert_cmpuint(n, <=, E820_MAX);
    for (unsigned i = 0; i < n; i++) {
        g_assert_cmphex(map[i].addr, >=, last);
        g_assert_cmphex(map[i].size, >, 0);
        last = map[i].addr + map[i].size;
        if (map[i].type == E820_RAM) {
            sum += map[i].size;
            g_assert_false(map[i].addr < MICROVM_HIGHMEM_START &&
                           last > MICROVM_LOWMEM_END);
            g_assert_false(map[i].addr < EBDA_END && last > MPTABLE_START);
        }
    }
    g_assert_cmphex(sum + HIMEM_START - MPTABLE_START, ==, ram);
}

static void test_invariants(void)
{
    for (unsigned shift = 20; shift < 46; shift++) {
        check_map(1ULL << shift);
        check_map((1ULL << shift) + 4096);
        check_map((1ULL << shift) + (1ULL << (shift - 1)));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/e820/maps", test_maps);
    g_test_add_func("/e820/invariants", test_invariants);
    return g_test_run();
}
