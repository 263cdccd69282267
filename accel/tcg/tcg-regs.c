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
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/mem/mmu.h"

/* Fields of the same name and type on both sides. */
#define COMMON_FIELDS(X) \
    X(ldt) X(tr) X(gdt) X(idt) X(efer) X(xcr0) X(star) X(lstar) X(cstar) \
    X(fmask) X(kernel_gs_base) X(sysenter_cs) X(sysenter_esp) \
    X(sysenter_eip) X(pat) X(tsc_adjust) X(tsc_aux) X(misc_enable) \
    X(spec_ctrl) X(wall_clock_msr) X(system_time_msr) X(steal_time_msr) \
    X(pv_eoi_en_msr) X(poll_control_msr) X(fpuc) X(fpus) X(fptag) X(fpop) \
    X(fpcs) X(fpds) X(fpip) X(fpdp) X(mxcsr) X(nmi_masked)

/* Upper halves and PKRU, in XSAVE's standard form (SDM 1, 13.4). */
static void get_beyond_sse(const TCGCPU *c, CPUX86State *env)
{
    uint64_t components = tcg_xcr0_mask(c) & (XCR0_AVX | XCR0_PKRU);
    uint8_t *area;

    if (!components) {
        return;
    }
    if (env->xsave_size != XSAVE_END) {
        g_free(env->xsave_area);
        env->xsave_area = g_malloc0(XSAVE_END);
        env->xsave_size = XSAVE_END;
    }
    area = env->xsave_area;
    memcpy(area + XSAVE_HEADER, &components, 8);
    memcpy(area + XSAVE_AVX, c->ymmh, sizeof(c->ymmh));
    memcpy(area + XSAVE_PKRU, &c->pkru, sizeof(c->pkru));
}

/* An area may be KVM's, which is longer. */
static void put_beyond_sse(TCGCPU *c, const CPUX86State *env)
{
    const uint8_t *area = env->xsave_area;
    uint64_t components = 0;

    memset(c->ymmh, 0, sizeof(c->ymmh));
    c->pkru = 0;
    if (env->xsave_size >= XSAVE_END) {
        memcpy(&components, area + XSAVE_HEADER, sizeof(components));
        components &= tcg_xcr0_mask(c);
    }
    if (components & XCR0_AVX) {
        memcpy(c->ymmh, area + XSAVE_AVX, sizeof(c->ymmh));
    }
    if (components & XCR0_PKRU) {
        memcpy(&c->pkru, area + XSAVE_PKRU, sizeof(c->pkru));
    }
}

/* An event that KVM has begun to deliver. The instruction of INT n and its kin is still ahead. */
static TCGEvent event_under_way(const CPUX86State *env)
{
    if (env->interrupt_injected && !env->interrupt_soft) {
        return (TCGEvent) { .kind = TCG_EVENT_INTERRUPT, .vector = env->interrupt_nr };
    }
    if (env->nmi_injected) {
        return (TCGEvent) { .kind = TCG_EVENT_NMI, .vector = EXCP_NMI };
    }
    if ((env->exception_injected || env->exception_pending) && env->exception_nr < 32 &&
        env->exception_nr != EXCP_BP && env->exception_nr != EXCP_OF) {
        return (TCGEvent) {
            .kind = TCG_EVENT_EXCEPTION, .vector = env->exception_nr,
            .has_err = env->has_error_code, .err = env->error_code,
        };
    }
    return (TCGEvent) { .kind = TCG_EVENT_NONE };
}

static void get_event(const TCGCPU *c, CPUX86State *env)
{
    const TCGEvent *e = &c->under_way;

    env->interrupt_injected = e->kind == TCG_EVENT_INTERRUPT;
    env->interrupt_nr = e->vector;
    env->interrupt_soft = false;
    env->nmi_injected = e->kind == TCG_EVENT_NMI;
    env->exception_injected = e->kind == TCG_EVENT_EXCEPTION;
    env->exception_pending = false;
    env->exception_nr = e->vector;
    env->has_error_code = e->has_err;
    env->error_code = e->err;
}

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
    get_beyond_sse(c, env);
    env->eip = c->eip;
    env->eflags = cpu_get_eflags(c);
    env->cr[0] = c->cr0;
    env->cr[2] = c->cr2;
    env->cr[3] = c->cr3;
    env->cr[4] = c->cr4;
    env->cr8 = c->apic ? apic_get_cr8(c->apic) : 0;
    env->apic_base = c->apic ? apic_get_base(c->apic) : c->apic_base;
    env->tsc_clock = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    env->tsc = tcg_ticks(c, env->tsc_clock) + (uint64_t)c->tsc_offset;
    get_event(c, env);
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
        c->tsc_offset = (int64_t)(env->tsc - tcg_ticks(c, env->tsc_clock));
        c->under_way = env->put_level == X86_PUT_LOADED ? event_under_way(env) : (TCGEvent) { 0 };
    }
}

/* Who keeps the local APIC elsewhere may have noted a start-up IPI that way. */
static void settle_start(CPUX86State *env)
{
    if (env->mp_state == X86_MP_SIPI_RECEIVED) {
        env->mp_state = X86_MP_INIT_RECEIVED;
        env->has_sipi = true;
    }
}

bool tcg_put_registers(CPUState *cpu)
{
    TCGCPU *c = tcg_cpu(cpu);
    CPUX86State *env = &x86_cpu(cpu)->env;

    settle_start(env);
#define PUT(f) c->f = env->f;
    COMMON_FIELDS(PUT)
#undef PUT
    memcpy(c->regs, env->regs, sizeof(env->regs));
    memcpy(c->segs, env->segs, sizeof(env->segs));
    memcpy(c->dr, env->dr, sizeof(env->dr));
    memcpy(c->fpregs, env->fpregs, sizeof(env->fpregs));
    memcpy(c->xmm, env->xmm, sizeof(env->xmm));
    put_beyond_sse(c, env);
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
