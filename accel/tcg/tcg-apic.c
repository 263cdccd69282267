/*
 * The software CPU's side of hw/i386/apic.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include "hw/i386/apic.h"
#include "target/i386/tcg/mmu.h"

/* ---- APIC to CPU: any thread ---- */

static void cpu_interrupt(void *opaque)
{
    tcg_poll_set(opaque, POLL_IRQ);
    tcg_wake(opaque);
}

static void cpu_nmi(void *opaque)
{
    TCGCPU *c = opaque;

    atomic_store(&c->nmi_pending, true);
    cpu_interrupt(c);
}

static void cpu_event(TCGCPU *c)
{
    tcg_poll_set(c, POLL_EXIT);
    tcg_wake(c);
}

static void cpu_init(void *opaque)
{
    TCGCPU *c = opaque;

    /* A start-up IPI that came before is forgotten. */
    atomic_store(&c->sipi_pending, -1);
    atomic_store(&c->init_pending, true);
    cpu_event(c);
}

static void cpu_sipi(void *opaque, uint8_t vector)
{
    TCGCPU *c = opaque;

    atomic_store(&c->sipi_pending, vector);
    cpu_event(c);
}

static uint64_t cpu_read_tsc(void *opaque)
{
    return tcg_tsc(opaque);
}

static const APICCPUOps cpu_ops = {
    .interrupt = cpu_interrupt,
    .nmi = cpu_nmi,
    .init = cpu_init,
    .sipi = cpu_sipi,
    .read_tsc = cpu_read_tsc,
};

/* ---- CPU to APIC: its own thread ---- */

static bool has_interrupt(void *apic)
{
    return apic_has_interrupt(apic);
}

static int get_interrupt(void *apic)
{
    return apic_get_interrupt(apic);
}

static uint64_t mmio_read(void *apic, uint32_t offset, unsigned size)
{
    return apic_mmio_read(apic, offset, size);
}

static void mmio_write(void *apic, uint32_t offset, uint64_t v, unsigned size)
{
    apic_mmio_write(apic, offset, v, size);
}

static bool msr_read(TCGCPU *c, uint32_t msr, uint64_t *v)
{
    return apic_msr_read(c->apic, msr, v);
}

static void update_base(TCGCPU *c)
{
    uint64_t page = apic_mmio_page(c->apic);

    c->apic_page = page == UINT64_MAX ? page : page >> TCG_PAGE_BITS;
    c->apic_base = apic_get_base(c->apic);
    tcg_tlb_flush_all(c);
}

static bool msr_write(TCGCPU *c, uint32_t msr, uint64_t v)
{
    if (!apic_msr_write(c->apic, msr, v)) {
        return false;
    }
    if (msr == MSR_IA32_APICBASE) {
        update_base(c);
    }
    return true;
}

static uint8_t get_cr8(void *apic)
{
    return apic_get_cr8(apic);
}

static void set_cr8(void *apic, uint8_t v)
{
    apic_set_cr8(apic, v);
}

static void pv_eoi(TCGCPU *c, uint64_t msr)
{
    apic_set_pv_eoi(c->apic, msr & 1 ?
                    address_space_map(c->mem, msr & ~3ull, 4) : NULL);
}

static void tsc_changed(void *apic)
{
    apic_tsc_changed(apic);
}

static const TCGApicOps apic_ops = {
    .has_interrupt = has_interrupt,
    .get_interrupt = get_interrupt,
    .mmio_read = mmio_read,
    .mmio_write = mmio_write,
    .msr_read = msr_read,
    .msr_write = msr_write,
    .get_cr8 = get_cr8,
    .set_cr8 = set_cr8,
    .pv_eoi = pv_eoi,
    .tsc_changed = tsc_changed,
    .hypercall = tcg_hypercall,
    .steal_update = tcg_steal_update,
    .set_preempted = tcg_set_preempted,
};

void tcg_connect_apic(TCGCPU *c, X86CPU *cpu)
{
    APICFeatures features = {
        .phys_bits = TCG_PHYS_BITS,
        .x2apic = tcg_has(c, 1, 2, 21),
        .tsc_deadline = tcg_has(c, 1, 2, 24),
        .tsc_hz = tcg_tsc_khz() * 1000,
    };

    if (cpu->apic) {
        c->apic = cpu->apic;
        c->apic_ops = &apic_ops;
        apic_connect_cpu(cpu->apic, &cpu_ops, c, &features);
    }
}
