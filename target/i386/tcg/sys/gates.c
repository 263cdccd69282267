/*
 * Far CALL and JMP through call gates (SDM 3A, 5.8.3; APM 2, 4.10), and to tasks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/sys/system.h"

/* A CALL under way: the gate's contents, and the stack that takes the frame. */
typedef struct GateCall {
    uint16_t sel;               /* of the code */
    uint64_t off, desc;
    unsigned count;             /* parameters to copy */
    unsigned size;              /* log2 of a stack slot */
    unsigned cpl;               /* there */
    SegmentCache ss;
    uint64_t sp, mask;
} GateCall;

static void read_gate(TCGCPU *c, uint16_t sel, uint64_t lo, GateCall *g)
{
    bool lm = c->efer & EFER_LMA;
    unsigned type = desc_type(lo);
    uint64_t hi = 0;

    if (type != GATE_CALL && (lm || type != GATE_CALL16)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (desc_dpl(lo) < c->cpl || desc_dpl(lo) < (sel & 3)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(lo)) {
        tcg_raise_err(c, EXCP_NP, sel & ~3u);
    }
    if (lm && (!tcg_read_desc(c, sel, &lo, &hi) || desc_type(hi))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    g->sel = desc_gate_selector(lo);
    g->off = desc_gate_offset(lo, hi);
    g->count = lm ? 0 : (lo >> 32) & 31;
    g->size = lm ? 3 : type == GATE_CALL ? 2 : 1;
}

/* The code segment behind the gate; jmp: it must not change the privilege. */
static void read_target(TCGCPU *c, GateCall *g, bool jmp)
{
    unsigned err = g->sel & ~3u;

    if (!err || !tcg_read_desc(c, g->sel, &g->desc, NULL)) {
        tcg_raise_err(c, EXCP_GP, err);
    }
    g->cpl = desc_dpl(g->desc);
    if (!desc_is_code(g->desc) || g->cpl > c->cpl ||
        (jmp && !desc_is_conforming(g->desc) && g->cpl != c->cpl) ||
        ((c->efer & EFER_LMA) && (!desc_is_long(g->desc) || desc_is_big(g->desc)))) {
        tcg_raise_err(c, EXCP_GP, err);
    }
    if (!desc_present(g->desc)) {
        tcg_raise_err(c, EXCP_NP, err);
    }
    tcg_check_target(c, g->desc, g->off, 0);
    if (jmp || desc_is_conforming(g->desc)) {
        g->cpl = c->cpl;
    }
}

static void push(TCGCPU *c, GateCall *g, uint64_t v)
{
    unsigned bytes = 1u << g->size;
    uint64_t sp = (g->sp - bytes) & g->mask;

    if (!(c->efer & EFER_LMA) && !tcg_in_limit(&g->ss, sp, bytes)) {
        tcg_raise_err(c, EXCP_SS, g->cpl < c->cpl ? g->ss.selector & ~3u : 0);
    }
    g->sp = sp;
    tcg_store_stack(c, g->cpl, g->ss.base + sp, v, bytes);
}

/* SS:SP of the caller and the parameters on top of it, on the inner stack. */
static void push_outer(TCGCPU *c, GateCall *g)
{
    uint64_t old = c->regs[R_ESP], n = 1u << g->size;
    uint64_t old_mask = c->stack32 ? 0xffffffffu : 0xffff;

    push(c, g, c->segs[R_SS].selector);
    push(c, g, old);
    for (unsigned i = g->count; i-- > 0;) {
        uint64_t a = tcg_seg_lin(c, R_SS, (old + i * n) & old_mask, n, false);

        push(c, g, tcg_load_slow(c, a, n));
    }
}

static void call(TCGCPU *c, GateCall *g, uint64_t ret)
{
    bool inner = g->cpl < c->cpl, lm = c->efer & EFER_LMA;

    g->ss = c->segs[R_SS];
    g->sp = c->regs[R_ESP];
    if (inner && lm) {
        g->sp = tcg_tss_read(c, 4 + g->cpl * 8, 8, 0);
    } else if (inner) {
        g->sp = tcg_inner_stack(c, g->cpl, 0, &g->ss);
    }
    g->mask = lm ? ~(uint64_t)0 : g->ss.attr & DESC_DB ? 0xffffffffu : 0xffff;
    g->ss.base = lm ? 0 : g->ss.base;
    if (inner) {
        push_outer(c, g);
    }
    push(c, g, c->segs[R_CS].selector);
    push(c, g, ret);
    tcg_set_cs(c, g->sel, g->desc, g->cpl);
    c->regs[R_ESP] = (c->regs[R_ESP] & ~g->mask) | (g->sp & g->mask);
    if (inner && lm) {
        tcg_set_flat_ss(c, g->cpl, g->cpl);
    } else if (inner) {
        c->segs[R_SS] = g->ss;
        tcg_update_mode(c);
    }
}

/* Is desc a task gate or a TSS that may be used? Then the task is switched. */
static bool far_task(TCGCPU *c, uint16_t sel, uint64_t desc, bool call, uint64_t next)
{
    unsigned type = desc_type(desc);
    TaskSwitch s = {
        .why = call ? TASK_CALL : TASK_JMP, .sel = sel, .eip = next,
        .eflags = cpu_get_eflags(c) & ~RF_MASK,
    };

    if ((c->efer & EFER_LMA) || (type != GATE_TASK && type != TYPE_TSS16 && type != TYPE_TSS)) {
        return false;
    }
    if (desc_dpl(desc) < c->cpl || desc_dpl(desc) < (sel & 3)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (type == GATE_TASK) {
        if (!desc_present(desc)) {
            tcg_raise_err(c, EXCP_NP, sel & ~3u);
        }
        s.sel = desc_gate_selector(desc);
    }
    tcg_task_switch(c, &s);
    return true;
}

void tcg_far_gate(TCGCPU *c, uint16_t sel, uint64_t desc, bool is_call, uint64_t next)
{
    GateCall g = { 0 };

    if (far_task(c, sel, desc, is_call, next)) {
        return;
    }
    read_gate(c, sel, desc, &g);
    read_target(c, &g, !is_call);
    if (is_call) {
        call(c, &g, next);
    } else {
        tcg_set_cs(c, g.sel, g.desc, g.cpl);
    }
    c->eip = g.off;
}
