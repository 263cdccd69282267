/*
 * The software CPU's side of hw/i386/apic.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include "target/i386/apic.h"
#include "target/i386/tcg/mem/mmu.h"

/* APIC to CPU: any thread -------------------------------------------------- */

static void cpu_interrupt(void *opaque)
{
    tcg_poll_set(opaque, POLL_IRQ);
    tcg_wake(opaque);
}

static void cpu_nmi(void *opaque)
{
    TCGCPU *c = opaque;

    nmi_latch(&c->nmi_pending);
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

static const TCGPVOps pv_ops = {
    .hypercall = tcg_hypercall,
    .steal_update = tcg_steal_update,
    .set_preempted = tcg_set_preempted,
};

void tcg_connect_apic(TCGCPU *c, X86CPU *cpu)
{
    APICFeatures features = {
        .phys_bits = TCG_PHYS_BITS,
        .x2apic = tcg_has(c, X86_FEATURE_X2APIC),
        .tsc_deadline = tcg_has(c, X86_FEATURE_TSC_DEADLINE),
        .tsc_hz = tcg_tsc_khz() * 1000,
    };

    if (cpu->apic) {
        c->apic = cpu->apic;
        c->pv_ops = &pv_ops;
        apic_connect_cpu(cpu->apic, &cpu_ops, c, &features);
    }
}
