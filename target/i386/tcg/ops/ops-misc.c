/*
 * Flag instructions, ports, CPUID, time, HLT, PAUSE, software interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sched.h>
#include <sys/random.h>

#include "target/i386/cpuid.h"
#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

#define PAUSES_TO_YIELD 64

OP(op_cmc) { lf_set_cf(c, !lf_cf(c)); NEXT; }
OP(op_clc) { lf_set_cf(c, 0); NEXT; }
OP(op_stc) { lf_set_cf(c, 1); NEXT; }
OP(op_cld) { c->df = 1; NEXT; }
OP(op_std) { c->df = -1; NEXT; }

static void need_iopl(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    if (c->cpl > (c->eflags & IOPL_MASK) >> 12) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

OP(op_cli)
{
    need_iopl(c, op);
    c->eflags &= ~(uint64_t)IF_MASK;
    NEXT;
}

OP(op_sti)
{
    need_iopl(c, op);
    if (!(c->eflags & IF_MASK)) {
        c->eflags |= IF_MASK;
        /* Within a block nothing comes between this and the next instruction. */
        if (irq_window(c) || op[1].fn == op_block_end || op[1].fn == op_dead) {
            c->shadow = true;
            EXIT_NEXT;
        }
    }
    NEXT;
}

OP(op_hlt)
{
    sync_eip(c, op);
    if (c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    c->halted = true;
    /* Whatever is pending now ends it at once. */
    tcg_poll_set(c, POLL_IRQ);
    EXIT_NEXT;
}

/* A spinning CPU lets others have the host's core. */
OP(op_pause)
{
    if (++c->spins >= PAUSES_TO_YIELD) {
        c->spins = 0;
        sched_yield();
    }
    NEXT;
}

static SLOW_PATH void cpuid(TCGCPU *c)
{
    uint32_t out[4], leaf = c->regs[R_EAX];

    x86_cpuid_lookup(c->cpuid, leaf, (uint32_t)c->regs[R_ECX], out);
    if (leaf == 0xd && (uint32_t)c->regs[R_ECX] < 2) {
        /* Sizes for what is enabled. */
        out[1] = !out[0] ? 0 : (uint32_t)c->regs[R_ECX] ? tcg_xsavec_size(c->xcr0) :
                 tcg_xsave_size(c->xcr0);
    }
    if (leaf == 7 && !(uint32_t)c->regs[R_ECX]) {
        out[2] |= c->cr4 & CR4_PKE ? 1u << 4 : 0;       /* OSPKE */
    }
    if (leaf == 1) {
        /* OSXSAVE and APIC show the state, not the feature. */
        out[2] &= ~(1u << 27);
        out[2] |= c->cr4 & CR4_OSXSAVE ? 1u << 27 : 0;
        if (!(c->apic_base & APICBASE_ENABLE)) {
            out[3] &= ~(1u << 9);
        }
    }
    c->regs[R_EAX] = out[0];
    c->regs[R_EBX] = out[1];
    c->regs[R_ECX] = out[2];
    c->regs[R_EDX] = out[3];
}

OP(op_cpuid)
{
    cpuid(c);
    JUMP_TO(next_eip(c, op));     /* serialising */
}

static void check_tsd(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    if ((c->cr4 & CR4_TSD) && c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

OP(op_rdtsc)
{
    uint64_t v;

    check_tsd(c, op);
    v = tcg_tsc(c);
    c->regs[R_EAX] = (uint32_t)v;
    c->regs[R_EDX] = v >> 32;
    NEXT;
}

OP(op_rdtscp)
{
    uint64_t v;

    if (!tcg_has(c, X86_FEATURE_RDTSCP)) {
        return op_ud(c, op);
    }
    check_tsd(c, op);
    v = tcg_tsc(c);
    c->regs[R_EAX] = (uint32_t)v;
    c->regs[R_EDX] = v >> 32;
    c->regs[R_ECX] = (uint32_t)c->tsc_aux;
    NEXT;
}

static OP(op_rdpid)
{
    if (!tcg_has(c, X86_FEATURE_RDPID)) {
        return op_ud(c, op);
    }
    reg_set(c, op->rm, (uint32_t)c->tsc_aux, 2);
    NEXT;
}

static SLOW_PATH void draw(TCGCPU *c, const X86Op *op)
{
    uint64_t v = 0;
    bool ok = getrandom(&v, sizeof(v), GRND_NONBLOCK) == sizeof(v);

    reg_set(c, op->rm, ok ? v : 0, op->size);
    lf_set(c, ok ? CC_C : 0);
}

/* id 0: RDRAND, 1: RDSEED, or RDPID with F3. */
OP(op_rdrand)
{
    if (op->flags & OF_REP) {
        if (op->id) {
            TAIL op_rdpid(c, op);
        }
        return op_ud(c, op);
    }
    if (!(op->id ? tcg_has(c, X86_FEATURE_RDSEED) : tcg_has(c, X86_FEATURE_RDRAND))) {
        return op_ud(c, op);
    }
    draw(c, op);
    NEXT;
}

/* id & 1: write; id & 2: GS. */
OP(op_fsgsbase)
{
    SegmentCache *s = &c->segs[op->id & 2 ? R_GS : R_FS];

    if (!(c->cr4 & CR4_FSGSBASE) || !(op->flags & OF_C64)) {
        return op_ud(c, op);
    }
    sync_eip(c, op);
    if (op->id & 1) {
        uint64_t v = reg_get(c, op->rm, op->size);
        if (!tcg_canonical(v)) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        s->base = v;
    } else {
        reg_set(c, op->rm, s->base, op->size);
    }
    NEXT;
}

OP(op_rdpmc)
{
    return op_gp0(c, op);       /* no counters */
}

OP(op_wbinvd)
{
    sync_eip(c, op);
    if (c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    NEXT;
}

/* MFENCE and its kin; id 5 and 7 with memory operands are elsewhere, 6 is XSAVEOPT with one. */
OP(op_fence)
{
    if (op->flags & OF_MEM) {
        TAIL op_xsaveopt(c, op);
    }
    atomic_thread_fence(memory_order_seq_cst);
    NEXT;
}

OP(op_clflush)
{
    if (op->flags & OF_MEM) {
        if ((op->flags & OF_OP16) && !tcg_has(c, X86_FEATURE_CLFLUSHOPT)) {
            return op_ud(c, op);
        }
        ld8(c, op, ea(c, op));
        NEXT;
    }
    TAIL op_fence(c, op);
}

OP(op_monitor)
{
    return op_ud(c, op);
}

/* Ports -------------------------------------------------------------------- */

/* id 1: the port is an immediate. */
OP(op_in)
{
    unsigned port = op->id ? (uint8_t)op->imm : (uint16_t)c->regs[R_EDX];

    sync_eip(c, op);
    tcg_check_io(c, port, 1u << op->size);
    reg_set(c, R_EAX, tcg_in(c, port, 1u << op->size), op->size);
    /* The device may want this CPU out of guest code: look at poll. */
    JUMP_TO(next_eip(c, op));
}

OP(op_out)
{
    unsigned port = op->id ? (uint8_t)op->imm : (uint16_t)c->regs[R_EDX];

    sync_eip(c, op);
    tcg_check_io(c, port, 1u << op->size);
    tcg_out(c, port, reg_get(c, R_EAX, op->size), 1u << op->size);
    JUMP_TO(next_eip(c, op));
}

/* Software interrupts ------------------------------------------------------ */

OP(op_int3)
{
    sync_eip(c, op);
    if (unlikely(c->debug.want.enabled) && c->debug.int3_pass != c->eip) {
        c->debug.int3 = true;       /* perhaps the debugger's */
        return NULL;
    }
    c->debug.int3_pass = ~(uint64_t)0;
    tcg_soft_int(c, EXCP_BP, next_eip(c, op));
    return NULL;
}

OP(op_int)
{
    sync_eip(c, op);
    tcg_vm86_need_iopl(c);
    tcg_soft_int(c, (uint8_t)op->imm, next_eip(c, op));
    return NULL;
}

/* #DB by itself: takes along what a MOV SS before it has left pending. */
OP(op_int1)
{
    sync_eip(c, op);
    tcg_debug_note(c, c->debug.hits);
    tcg_interrupt(c, EXCP_DB, INT_TRAP, false, 0, next_eip(c, op));
    return NULL;
}
