/*
 * Ports and memory that is not RAM: who may, and the way to the devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/apic.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

/* The I/O permission bitmap of the TSS: SDM 1, 19.5.2. */
void tcg_check_io(TCGCPU *c, unsigned port, unsigned size)
{
    unsigned base, bits;

    if (!(c->cr0 & CR0_PE) ||
        (!(c->eflags & VM_MASK) && c->cpl <= (c->eflags & IOPL_MASK) >> 12)) {
        return;
    }
    if ((c->tr.attr & 0xd) != 9 || c->tr.limit < 0x67) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    base = tcg_load_sys(c, c->tr.base + 0x66, 2);
    if (base + port / 8 + 1 > c->tr.limit) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    bits = tcg_load_sys(c, c->tr.base + base + port / 8, 2);
    if ((bits >> (port & 7)) & ((1u << size) - 1)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

/* A device may have asked its own CPU to stop: nobody else tells it. */
static void look_at_exit(TCGCPU *c)
{
    if (c->cs && atomic_load_explicit(&c->cs->exit_request,
                                      memory_order_relaxed)) {
        tcg_poll_set(c, POLL_EXIT);
    }
}

uint64_t tcg_in(TCGCPU *c, unsigned port, unsigned size)
{
    uint64_t v = 0;

    tcg_debug_io(c, port, size);
    address_space_rw(c->io, port, &v, size, false);
    look_at_exit(c);
    return v;
}

void tcg_out(TCGCPU *c, unsigned port, uint64_t v, unsigned size)
{
    tcg_debug_io(c, port, size);
    address_space_rw(c->io, port, &v, size, true);
    look_at_exit(c);
}

uint64_t tcg_io_read(TCGCPU *c, uint64_t pa, unsigned size)
{
    uint64_t v = 0;

    if (pa >> TCG_PAGE_BITS == c->apic_page) {
        return apic_mmio_read(c->apic, pa & 0xfff, size);
    }
    address_space_rw(c->mem, pa, &v, size, false);
    return v;
}

void tcg_io_write(TCGCPU *c, uint64_t pa, uint64_t v, unsigned size)
{
    if (pa >> TCG_PAGE_BITS == c->apic_page) {
        apic_mmio_write(c->apic, pa & 0xfff, v, size);
    } else {
        address_space_rw(c->mem, pa, &v, size, true);
        look_at_exit(c);
    }
}
