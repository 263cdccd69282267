/*
 * The interpreter's loop: interrupts, single steps, blocks, and the nesting of
 * exceptions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/log.h"
#include "target/i386/apic.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

OP(op_dead)
{
    uint64_t eip = c->regs[R_PAGE] + op->off;

    EXIT_TO(op->flags & OF_C64 ? eip : (uint32_t)eip);
}

/* Falls out of the block: at the end of the page, or it was too long. */
OP(op_block_end)
{
    if (op->flags & OF_INPAGE) {
        TAKE_BRANCH(op);
    }
    JUMP_TO(next_eip(c, op));
}

OP(op_ud)
{
    sync_eip(c, op);
    tcg_raise(c, EXCP_UD);
}

OP(op_gp0)
{
    sync_eip(c, op);
    tcg_raise_err(c, EXCP_GP, 0);
}

static bool contributory(int v)
{
    return v == EXCP_DE || (v >= EXCP_TS && v <= EXCP_GP);
}

/*
 * What was raised, combined with what was under delivery (SDM 3A, table
 * "Conditions for Generating a Double Fault").
 */
static void deliver_raised(TCGCPU *c)
{
    int first = c->delivering, v = c->excp;
    bool trap = v == EXCP_DB && c->excp_err;

    if (c->rmw_exclusive) {
        c->rmw_exclusive = false;
        tcg_exclusive_end(c);
    }
    atomic_fetch_and(&c->poll, ~(unsigned)POLL_STEP);
    if (v < 0) {
        return;                 /* tcg_restart() */
    }
    c->debug.hits = 0;          /* in DR6 by now, or lost: the instruction faulted */
    if (first == EXCP_DF) {
        c->shutdown = true;
        return;
    }
    if (first >= 0 && ((contributory(first) && contributory(v)) ||
                       (first == EXCP_PF &&
                        (contributory(v) || v == EXCP_PF)))) {
        v = EXCP_DF;
        c->excp_has_err = true;
        c->excp_err = 0;
    }
    qemu_log_mask(LOG_INT, "cpu %u: exception %d error %x at %04x:%016" PRIx64
                  " cr2 %016" PRIx64 " cpl %u\n", c->index, v, c->excp_err,
                  c->segs[R_CS].selector, c->eip, c->cr2, c->cpl);
    c->delivering = v;
    tcg_interrupt(c, v, trap ? INT_TRAP : INT_FAULT, c->excp_has_err,
                  c->excp_err, c->eip);
    c->delivering = -1;
    c->halted = false;
}

static void deliver_external(TCGCPU *c, unsigned vector)
{
    qemu_log_mask(LOG_INT, "cpu %u: interrupt %u at %016" PRIx64 "\n",
                  c->index, vector, c->eip);
    c->halted = false;
    c->delivering = EXCP_NMI;       /* benign, also where the vector is an exception's */
    tcg_interrupt(c, vector, INT_EXTERNAL, false, 0, c->eip);
    c->delivering = -1;
}

/* Its causes are in the past: masks and flags do not count any more. */
static void deliver_under_way(TCGCPU *c)
{
    TCGEvent e = c->under_way;

    c->under_way.kind = TCG_EVENT_NONE;
    c->irq_waiting = true;
    if (e.kind != TCG_EVENT_EXCEPTION) {
        deliver_external(c, e.vector);
        return;
    }
    c->halted = false;
    c->delivering = e.vector;
    tcg_interrupt(c, e.vector, INT_FAULT, e.has_err, e.err, c->eip);
    c->delivering = -1;
}

/* NMI and interrupts that can be taken now. */
static void take_interrupts(TCGCPU *c)
{
    int v;

    atomic_fetch_and(&c->poll, ~(unsigned)POLL_IRQ);
    if (c->under_way.kind != TCG_EVENT_NONE) {
        deliver_under_way(c);
        return;
    }
    if (c->halted && atomic_exchange(&c->pv_unhalted, false)) {
        c->halted = false;
    }
    if (c->steal_time_msr & 1) {
        c->pv_ops->steal_update(c);
    }
    if (!c->nmi_masked && atomic_load(&c->nmi_pending)) {
        atomic_fetch_sub(&c->nmi_pending, 1);
        c->nmi_masked = true;
        c->irq_waiting = true;
        deliver_external(c, EXCP_NMI);
        return;
    }
    if (!c->apic || !apic_has_interrupt(c->apic)) {
        c->irq_waiting = false;
        return;
    }
    c->irq_waiting = true;
    if (c->eflags & IF_MASK) {
        v = apic_get_interrupt(c->apic);
        if (v >= 0) {
            deliver_external(c, v);
        }
    }
}

/*
 * What the instruction that was run has earned: a trap for TF, as it was before
 * (POPF and IRET that clear it are traced, handlers and SYSCALL are not), and for
 * breakpoints. MOV SS leaves these to the next instruction, which gets one trap for both;
 * for TF only what that one does counts. A second MOV SS in a row puts nothing off.
 */
static void debug_traps(TCGCPU *c, bool tf, OpFn *fn, bool after_mov_ss)
{
    bool step = tf && ((c->eflags & TF_MASK) || fn == op_popf || fn == op_iret);

    if (after_mov_ss && c->ss_shadow) {
        c->shadow = c->ss_shadow = false;
    }
    if (!c->ss_shadow && (step || c->debug.hits)) {
        tcg_raise_debug(c, step ? DR6_BS : 0, true);
    }
}

/* One instruction undisturbed: after STI and MOV SS, with TF set, or debugged. */
static void run_single(TCGCPU *c)
{
    bool tf = c->eflags & TF_MASK, after_mov_ss = c->ss_shadow, repeated;
    uint64_t eip = c->eip;
    const X86Op *op;
    OpFn *fn;

    if (c->debug.hits && !after_mov_ss) {
        tcg_raise_debug(c, 0, true);        /* a delivery pushed to a watched stack */
    }
    tcg_debug_before(c);
    c->shadow = c->ss_shadow = false;
    op = tcg_single_find(c);
    fn = op->fn;
    if (qemu_loglevel_mask(LOG_EXEC | LOG_IN_ASM)) {
        tcg_debug_trace(c, op);
    }
    repeated = op->flags & (OF_REP | OF_REPNE);
    atomic_fetch_or(&c->poll, POLL_STEP);
    while (op) {
        op = op->fn(c, op);
    }
    atomic_fetch_and(&c->poll, ~(unsigned)POLL_STEP);
    /* Between two elements: a breakpoint there has been seen. */
    c->debug.resume |= c->debug.slow && repeated && c->eip == eip;
    debug_traps(c, tf, fn, after_mov_ss);
    if (c->irq_waiting && (c->eflags & IF_MASK) && !c->shadow) {
        tcg_poll_set(c, POLL_IRQ);
    }
}

/* True: leave tcg_run() with *why. */
static bool polled(TCGCPU *c, TCGExit *why)
{
    unsigned poll = atomic_load(&c->poll);

    if (poll & POLL_EXIT) {
        *why = TCG_EXIT_REQUEST;
        return true;
    }
    if (poll & POLL_EXCLUSIVE) {
        atomic_fetch_and(&c->poll, ~(unsigned)POLL_EXCLUSIVE);
        tcg_run_end(c);
        tcg_run_begin(c);
    }
    /* A debugger's step must not end up in a handler. */
    if ((poll & POLL_IRQ) && !c->shadow && (c->halted || !c->debug.want.single_step)) {
        take_interrupts(c);
    }
    return false;
}

TCGExit tcg_run(TCGCPU *c)
{
    TCGExit why = TCG_EXIT_REQUEST;
    const X86Op *op;

    if (sigsetjmp(c->jmp, 0)) {
        deliver_raised(c);
    }
    for (;;) {
        if (c->shutdown) {
            return TCG_EXIT_SHUTDOWN;
        }
        if (atomic_load_explicit(&c->poll, memory_order_relaxed) &&
            polled(c, &why)) {
            return why;
        }
        if (unlikely(c->debug.int3) || (unlikely(c->debug.slow) && tcg_debug_stops(c))) {
            return TCG_EXIT_DEBUG;
        }
        if (c->halted) {
            return TCG_EXIT_HALT;
        }
        if (c->shadow || (c->eflags & TF_MASK) || c->debug.slow) {
            run_single(c);
            continue;
        }
        c->stat_lookups++;
        op = tcg_block_find(c);
        while (op) {
            op = op->fn(c, op);
        }
    }
}
