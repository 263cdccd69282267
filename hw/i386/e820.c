/*
 * The guest's memory map.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot.h"

static unsigned add_row(E820Entry *map, unsigned n, uint64_t start,
                        uint64_t end, uint32_t type)
{
    if (start >= end) {
        return n;
    }
    map[n] = (E820Entry) { .addr = start, .size = end - start, .type = type };
    return n + 1;
}

unsigned x86_build_e820(uint64_t ram_size, E820Entry map[E820_MAX])
{
    uint64_t low_end = MIN(ram_size, MICROVM_LOWMEM_END);
    unsigned n = 0;

    n = add_row(map, n, 0, MIN(low_end, MPTABLE_START), E820_RAM);
    n = add_row(map, n, MPTABLE_START, HIMEM_START, E820_RESERVED);
    n = add_row(map, n, HIMEM_START, low_end, E820_RAM);
    n = add_row(map, n, MICROVM_HIGHMEM_START,
                MICROVM_HIGHMEM_START + (ram_size - low_end), E820_RAM);
    return n;
}
