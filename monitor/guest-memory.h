/*
 * Guest memory as a CPU's page tables show it, for monitors and debuggers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_GUEST_MEMORY_H
#define MONITOR_GUEST_MEMORY_H

#include "hw/core/cpu.h"

/* One page (or large page) of a CPU's address space. */
typedef struct GuestPage {
    hwaddr phys;            /* of the address asked for */
    uint64_t left;          /* bytes from there to the end of the page */
} GuestPage;

/*
 * Translate a virtual address by the CPU's CR0, CR3, CR4 and EFER (SDM 3A, 4.3
 * to 4.5). The CPU is synchronised first, so hold the machine lock. False when
 * it is not mapped. No access rights are checked, no accessed bit is set.
 */
bool guest_translate(CPUState *cs, uint64_t vaddr, GuestPage *page);

/* Copy from or to virtual memory; false at the first byte that is not RAM. */
bool guest_virtual_rw(CPUState *cs, uint64_t vaddr, void *buf, uint64_t len,
                      bool is_write);

/*
 * Call fn for each mapped page in ascending virtual order, until it returns
 * false. For dumps with the guest's own addresses.
 */
typedef bool GuestPageFn(uint64_t vaddr, const GuestPage *page, void *opaque);
void guest_foreach_page(CPUState *cs, GuestPageFn *fn, void *opaque);

#endif
