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

enum { TSS16 = 1, GATE_CALL16 = 4, GATE_TASK = 5, TSS32 = 9, GATE_CALL = 12 };

static unsigned dpl_of(uint64_t desc)
{
    return (desc >> 45) & 3;
}

static bool present(uint64_t desc)
{
    return (desc >> 47) & 1;
}

static void read_gate(TCGCPU *c, uint16_t sel, uint64_t lo, GateCall *g)
{
    bool lm = c->efer & EFER_LMA;
    unsigned type = (lo >> 40) & 31;
    uint64_t hi = 0;

    if (type != GATE_CALL && (lm || type != GATE_CALL16)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (dpl_of(lo) < c->cpl || dpl_of(lo) < (sel & 3)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!present(lo)) {
        tcg_raise_err(c, EXCP_NP, sel & ~3u);
    }
    if (lm && (!tcg_read_desc(c, sel, &lo, &hi) || ((hi >> 40) & 31))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    g->sel = lo >> 16;
    g->off = (lo & 0xffff) | (type == GATE_CALL ? (lo >> 32) & 0xffff0000u : 0) | hi << 32;
    g->count = lm ? 0 : (lo >> 32) & 31;
    g->size = lm ? 3 : type == GATE_CALL ? 2 : 1;
}

/* The code segment behind the gate; jmp: it must not change the privilege. */
static void read_target(TCGCPU *c, GateCall *g, bool jmp)
{
    unsigned type, err = g->sel & ~3u;

    if (!err || !tcg_read_desc(c, g->sel, &g->desc, NULL)) {
        tcg_raise_err(c, EXCP_GP, err);
    }
    type = (g->desc >> 40) & 31;
    g->cpl = dpl_of(g->desc);
    if ((type & 0x18) != 0x18 || g->cpl > c->cpl ||
        (jmp && !(type & 4) && g->cpl != c->cpl) ||
        ((c->efer & EFER_LMA) && ((g->desc >> 53) & 3) != 1)) {
        tcg_raise_err(c, EXCP_GP, err);
    }
    if (!present(g->desc)) {
        tcg_raise_err(c, EXCP_NP, err);
    }
    tcg_check_target(c, g->desc, g->off, 0);
    if (jmp || (type & 4)) {
        g->cpl = c->cpl;
    }
}

static uint64_t tss_field(TCGCPU *c, unsigned off, unsigned size)
{
    if (off + size - 1 > c->tr.limit) {
        tcg_raise_err(c, EXCP_TS, c->tr.selector & ~3u);
    }
    return tcg_load_sys(c, c->tr.base + off, size);
}

/* The inner stack outside long mode: SS:ESP of the TSS. */
static void inner_stack(TCGCPU *c, GateCall *g)
{
    bool tss32 = (c->tr.attr & 0xd) == 9;
    unsigned off = tss32 ? 4 + g->cpl * 8 : 2 + g->cpl * 4;
    uint64_t d;
    uint16_t sel;

    g->sp = tss_field(c, off, tss32 ? 4 : 2);
    sel = tss_field(c, off + (tss32 ? 4 : 2), 2);
    if (!(sel & ~3u) || !tcg_read_desc(c, sel, &d, NULL) || (sel & 3) != g->cpl ||
        dpl_of(d) != g->cpl || ((d >> 40) & 0x1a) != 0x12) {
        tcg_raise_err(c, EXCP_TS, sel & ~3u);
    }
    if (!present(d)) {
        tcg_raise_err(c, EXCP_SS, sel & ~3u);
    }
    tcg_desc_to_cache(sel, tcg_mark_accessed(c, sel, d), &g->ss);
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
        g->sp = tss_field(c, 4 + g->cpl * 8, 8);
    } else if (inner) {
        inner_stack(c, g);
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
    unsigned type = (desc >> 40) & 31;
    TaskSwitch s = {
        .why = call ? TASK_CALL : TASK_JMP, .sel = sel, .eip = next,
        .eflags = cpu_get_eflags(c) & ~RF_MASK,
    };

    if ((c->efer & EFER_LMA) || (type != GATE_TASK && type != TSS16 && type != TSS32)) {
        return false;
    }
    if (dpl_of(desc) < c->cpl || dpl_of(desc) < (sel & 3)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (type == GATE_TASK) {
        if (!present(desc)) {
            tcg_raise_err(c, EXCP_NP, sel & ~3u);
        }
        s.sel = desc >> 16;
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
