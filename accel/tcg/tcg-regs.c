/*
 * Registers of the software CPU to and from the architectural state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "tcg-int.h"

#include "target/i386/apic.h"
#include "qemu/timer.h"
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mmu.h"

/* Fields of the same name and type on both sides. */
#define COMMON_FIELDS(X) \
    X(ldt) X(tr) X(gdt) X(idt) X(efer) X(xcr0) X(star) X(lstar) X(cstar) \
    X(fmask) X(kernel_gs_base) X(sysenter_cs) X(sysenter_esp) \
    X(sysenter_eip) X(pat) X(tsc_adjust) X(tsc_aux) X(misc_enable) \
    X(spec_ctrl) X(wall_clock_msr) X(system_time_msr) X(steal_time_msr) \
    X(pv_eoi_en_msr) X(poll_control_msr) X(fpuc) X(fpus) X(fptag) X(fpop) \
    X(fpcs) X(fpds) X(fpip) X(fpdp) X(mxcsr) X(nmi_masked)

void tcg_get_registers(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);
    CPUX86State *env = &x86_cpu(cpu)->env;

#define GET(f) env->f = c->f;
    COMMON_FIELDS(GET)
#undef GET
    memcpy(env->regs, c->regs, sizeof(env->regs));
    memcpy(env->segs, c->segs, sizeof(env->segs));
    memcpy(env->dr, c->dr, sizeof(env->dr));
    memcpy(env->fpregs, c->fpregs, sizeof(env->fpregs));
    memcpy(env->xmm, c->xmm, sizeof(env->xmm));
    env->eip = c->eip;
    env->eflags = cpu_get_eflags(c);
    env->cr[0] = c->cr0;
    env->cr[2] = c->cr2;
    env->cr[3] = c->cr3;
    env->cr[4] = c->cr4;
    env->cr8 = c->apic ? apic_get_cr8(c->apic) : 0;
    env->apic_base = c->apic ? apic_get_base(c->apic) : c->apic_base;
    env->tsc_clock = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    env->tsc = (uint64_t)env->tsc_clock + (uint64_t)c->tsc_offset;
    env->interrupt_shadow = c->ss_shadow ? X86_SHADOW_MOV_SS : c->shadow ? X86_SHADOW_STI : 0;
    env->nmi_pending = atomic_load(&c->nmi_pending);
    env->init_pending = atomic_load(&c->init_pending);
    env->has_sipi = atomic_load(&c->sipi_pending) >= 0;
    env->sipi_vector = env->has_sipi ? atomic_load(&c->sipi_pending) : 0;
    env->pv_unhalted = atomic_load(&c->pv_unhalted);
    env->mp_state = c->mp_state == X86_MP_RUNNABLE && c->halted ?
                    X86_MP_HALTED : c->mp_state;
}

/* What other threads may send at any time: X86PutLevel. */
static void put_events(TCGCPU *c, const CPUX86State *env)
{
    if (env->put_level >= X86_PUT_INIT) {
        atomic_store(&c->nmi_pending, env->nmi_pending);
        c->debug.hits = 0;
    }
    if (env->put_level >= X86_PUT_RESET) {
        atomic_store(&c->init_pending, env->init_pending);
        atomic_store(&c->sipi_pending, env->has_sipi ? env->sipi_vector : -1);
        atomic_store(&c->pv_unhalted, env->pv_unhalted);
        c->tsc_offset = (int64_t)env->tsc - env->tsc_clock;
    }
}

bool tcg_put_registers(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);
    CPUX86State *env = &x86_cpu(cpu)->env;

#define PUT(f) c->f = env->f;
    COMMON_FIELDS(PUT)
#undef PUT
    memcpy(c->regs, env->regs, sizeof(env->regs));
    memcpy(c->segs, env->segs, sizeof(env->segs));
    memcpy(c->dr, env->dr, sizeof(env->dr));
    memcpy(c->fpregs, env->fpregs, sizeof(env->fpregs));
    memcpy(c->xmm, env->xmm, sizeof(env->xmm));
    c->regs[R_ZERO] = 0;
    c->eip = env->eip;
    cpu_set_eflags(c, env->eflags);
    c->cr0 = env->cr[0];
    c->cr2 = env->cr[2];
    c->cr3 = env->cr[3];
    c->cr4 = env->cr[4];
    c->apic_base = env->apic_base;
    c->shadow = env->interrupt_shadow != 0;
    c->ss_shadow = env->interrupt_shadow & X86_SHADOW_MOV_SS;
    put_events(c, env);
    if (env->put_level == X86_PUT_LOADED) {
        tcg_msrs_loaded(c);
    }
    env->put_level = X86_PUT_CHANGED;
    c->mp_state = env->mp_state == X86_MP_HALTED ? X86_MP_RUNNABLE :
                  env->mp_state;
    c->halted = env->mp_state == X86_MP_HALTED;
    /* Where the code segment is real or flat, CPL is that of the stack. */
    c->cpl = env->cr[0] & CR0_PE ?
             (env->segs[R_SS].attr >> DESC_DPL_SHIFT) & 3 : 0;
    c->delivering = -1;
    c->shutdown = false;
    c->irq_waiting = true;
    tcg_poll_set(c, POLL_IRQ);
    if (c->apic) {
        c->apic_page = apic_mmio_page(c->apic) >> 12;
        if (apic_mmio_page(c->apic) == UINT64_MAX) {
            c->apic_page = ~(uint64_t)0;
        }
    }
    tcg_debug_update(c);        /* and the translations go */
    return true;
}
