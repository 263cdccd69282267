/*
 * Vector instructions with a VEX prefix: lane by lane by what SSE instructions do, moves, and
 * those that are SSE's but for the upper half of the result.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/decode/vex-rules.h"
#include "target/i386/tcg/ops/sse.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"
#include "target/i386/tcg/sys/system.h"

void tcg_vex_unavailable(TCGCPU *c, const X86Op *op)
{
    bool enabled = (c->cr4 & CR4_OSXSAVE) && (c->xcr0 & XCR0_AVX) && tcg_protected(c) &&
                   (c->vex_has & op->imm >> VEX_NEED_SHIFT);

    sync_eip(c, op);
    tcg_raise(c, enabled ? EXCP_NM : EXCP_UD);
}

/* Operands ----------------------------------------------------------------- */

static void load(TCGCPU *c, const X86Op *op, uint64_t a, YMMReg *v)
{
    TLBEntry *e = tlb_entry(c, a);

    switch (op->size) {
    case 0: v->x[0].b[0] = ld8(c, op, a); break;
    case 1: v->x[0].w[0] = ld16(c, op, a); break;
    case 2: v->x[0].l[0] = ld32(c, op, a); break;
    case 3: v->x[0].q[0] = ld64(c, op, a); break;
    case 4: vec_load16(c, op, a, &v->x[0]); break;
    default:
        if (likely(e->r == tlb_tag(c, a, 32))) {
            memcpy(v, (void *)(a + e->addend), 32);
        } else {
            sync_eip(c, op);
            tcg_load_bytes(c, a, v, 32);
        }
        break;
    }
}

static void store(TCGCPU *c, const X86Op *op, uint64_t a, const YMMReg *v)
{
    unsigned bytes = 1u << op->size;
    TLBEntry *e = tlb_entry(c, a);

    if (likely(e->w == tlb_tag(c, a, bytes))) {
        memcpy((void *)(a + e->addend), v, bytes);
    } else {
        sync_eip(c, op);
        tcg_store_bytes(c, a, v, bytes);
    }
}

void vex_get(const TCGCPU *c, unsigned reg, YMMReg *v)
{
    v->x[0] = c->xmm[reg];
    v->x[1] = c->ymmh[reg];
}

void vex_source(TCGCPU *c, const X86Op *op, YMMReg *v)
{
    if (op->flags & OF_MEM) {
        load(c, op, ea(c, op), v);
    } else {
        vex_get(c, op->rm, v);
    }
}

void vex_put(TCGCPU *c, const X86Op *op, unsigned reg, const YMMReg *v)
{
    c->xmm[reg] = v->x[0];
    c->ymmh[reg] = op->flags & OF_L ? v->x[1] : (XMMReg) { 0 };
}

/* Lanes -------------------------------------------------------------------- */

typedef struct Lane {
    SSEFn *fn;
    uint8_t bytes;              /* of the r/m operand */
    uint32_t rules;
} Lane;

#define VL(map, pfx, op, name, bytes, rules) \
    [VEX_ROW(map, pfx, op)] = { sse_##name, bytes, rules },
static const Lane lanes[VEX_LANE_ROWS] = {
#include "target/i386/tcg/decode/vex-list.h"
};
#undef VL

/* Where the second lane's bytes are behind the first's. */
static unsigned lane_distance(const Lane *l)
{
    return l->rules & VX_FIXED ? 0 : l->rules & VX_WHOLE ? 16 : l->bytes;
}

static SLOW_PATH void run_lanes(TCGCPU *c, const X86Op *op)
{
    const Lane *l = &lanes[op->id];
    bool wide = op->flags & OF_L, checked = (l->rules & VX_FP) && c->sse_checked;
    unsigned imm = (uint8_t)op->imm;
    YMMReg s[2], r;             /* a lane of fewer bytes is read as 16 */

    if (!(l->rules & VX_I8)) {
        imm = (op->flags & OF_MEM ? SSE_MEM : 0) | (op->flags & OF_REXW ? SSE_W : 0);
    }
    vex_source(c, op, &s[0]);
    vex_get(c, vex_v(op), &r);
    if (unlikely(checked)) {
        c->mxcsr |= _mm_getcsr() & 0x3f;
        vec_fp_begin(c);
    }
    l->fn(&r.x[0], &s[0].x[0], imm);
    if (wide) {
        const uint8_t *second = (const uint8_t *)s + lane_distance(l);

        l->fn(&r.x[1], (const XMMReg *)second, imm >> VX_LANE_BITS(l->rules));
    }
    if (unlikely(checked)) {
        vec_fp_end(c, op);
    }
    if (wide && (l->rules & VX_NARROW)) {
        r.x[0].q[1] = r.x[1].q[0];
        r.x[1] = (XMMReg) { 0 };
    }
    vex_put(c, op, op->reg, &r);
}

OP(op_vex_lanes)
{
    VEX_CHECK(c, op);
    run_lanes(c, op);
    NEXT;
}

/* Moves -------------------------------------------------------------------- */

static uint64_t address(TCGCPU *c, const X86Op *op)
{
    uint64_t a = ea(c, op);

    if (op->id && (a & ((1u << op->size) - 1))) {
        sync_eip(c, op);
        tcg_raise_err(c, EXCP_GP, 0);
    }
    return a;
}

static SLOW_PATH void move(TCGCPU *c, const X86Op *op, bool to_rm)
{
    YMMReg v;

    if (to_rm) {
        vex_get(c, op->reg, &v);
    }
    if (!(op->flags & OF_MEM)) {
        if (!to_rm) {
            vex_get(c, op->rm, &v);
        }
        vex_put(c, op, to_rm ? op->rm : op->reg, &v);
    } else if (to_rm) {
        store(c, op, address(c, op), &v);
    } else {
        load(c, op, address(c, op), &v);
        vex_put(c, op, op->reg, &v);
    }
}

/* Where a vector that the TLB has is in the host's memory; NULL: slowly. */
static inline uint8_t *direct(TCGCPU *c, const X86Op *op, bool write)
{
    uint64_t a, n = 1u << op->size;
    TLBEntry *e;

    if (!(op->flags & OF_MEM)) {
        return NULL;
    }
    a = ea(c, op);
    e = tlb_entry(c, a);
    if ((write ? e->w : e->r) != tlb_tag(c, a, n) || (op->id && (a & (n - 1)))) {
        return NULL;
    }
    return (uint8_t *)(a + e->addend);
}

/* id 1: must be aligned. */
OP(op_vex_load)
{
    const uint8_t *p;

    VEX_CHECK(c, op);
    p = direct(c, op, false);
    if (unlikely(!p)) {
        move(c, op, false);
        NEXT;
    }
    memcpy(&c->xmm[op->reg], p, 16);
    if (op->flags & OF_L) {
        memcpy(&c->ymmh[op->reg], p + 16, 16);
    } else {
        c->ymmh[op->reg] = (XMMReg) { 0 };
    }
    NEXT;
}

OP(op_vex_store)
{
    uint8_t *p;

    VEX_CHECK(c, op);
    p = direct(c, op, true);
    if (unlikely(!p)) {
        move(c, op, true);
        NEXT;
    }
    memcpy(p, &c->xmm[op->reg], 16);
    if (op->flags & OF_L) {
        memcpy(p + 16, &c->ymmh[op->reg], 16);
    }
    NEXT;
}

/* VMOVSS, VMOVSD (id: bytes) between registers: the rest is that of another. */
static void merge(TCGCPU *c, const X86Op *op, unsigned to, unsigned from)
{
    XMMReg r = c->xmm[vex_v(op)];

    memcpy(&r, &c->xmm[from], op->id);
    c->xmm[to] = r;
    c->ymmh[to] = (XMMReg) { 0 };
}

static SLOW_PATH void move_scalar(TCGCPU *c, const X86Op *op)
{
    uint64_t v;

    if (!(op->flags & OF_MEM)) {
        merge(c, op, op->reg, op->rm);
        return;
    }
    v = ld_size(c, op, ea(c, op), op->size);
    c->xmm[op->reg] = (XMMReg) { .q = { v, 0 } };
    c->ymmh[op->reg] = (XMMReg) { 0 };
}

OP(op_vex_movs)
{
    VEX_CHECK(c, op);
    move_scalar(c, op);
    NEXT;
}

OP(op_vex_movs_st)
{
    VEX_CHECK(c, op);
    if (op->flags & OF_MEM) {
        st_size(c, op, ea(c, op), c->xmm[op->reg].q[0], op->size);
    } else {
        merge(c, op, op->rm, op->reg);
    }
    NEXT;
}

/* VZEROUPPER, VZEROALL. */
OP(op_vzero)
{
    unsigned n = op->flags & OF_C64 ? 16 : 8;

    VEX_CHECK(c, op);
    memset(c->ymmh, 0, n * sizeof(c->ymmh[0]));
    if (op->flags & OF_L) {
        memset(c->xmm, 0, n * sizeof(c->xmm[0]));
    }
    NEXT;
}

/* As with SSE -------------------------------------------------------------- */

#define AS_SSE(name, sse) \
    OP(name) \
    { \
        VEX_CHECK(c, op); \
        TAIL sse(c, op); \
    }
AS_SSE(op_vex_sse_store, op_sse_store)
AS_SSE(op_vex_cvt_gpr, op_cvt_gpr)
AS_SSE(op_vex_comis, op_comis)
AS_SSE(op_vex_movd, op_vec_movd)
AS_SSE(op_vex_pinsr, op_pinsr)
AS_SSE(op_vex_pextr, op_pextr)
AS_SSE(op_vex_insertps, op_insertps)
AS_SSE(op_vex_pcmpstr, op_pcmpstr)
AS_SSE(op_vex_maskmovdqu, op_maskmov)
AS_SSE(op_vex_ldmxcsr, op_ldmxcsr)
AS_SSE(op_vex_stmxcsr, op_stmxcsr)

OP(op_vex_movmsk)
{
    unsigned r, lane = op->id == 0 ? 4 : op->id == 1 ? 2 : 16;

    VEX_CHECK(c, op);
    r = vec_movmsk(&c->xmm[op->rm], op->id);
    if (op->flags & OF_L) {
        r |= vec_movmsk(&c->ymmh[op->rm], op->id) << lane;
    }
    c->regs[op->reg] = r;
    NEXT;
}

static SLOW_PATH void shift_imm(TCGCPU *c, const X86Op *op)
{
    YMMReg r;

    vex_get(c, op->rm, &r);
    vec_shift_imm(&r.x[0], op->id, (uint8_t)op->imm);
    vec_shift_imm(&r.x[1], op->id, (uint8_t)op->imm);
    vex_put(c, op, vex_v(op), &r);
}

OP(op_vex_shift_imm)
{
    VEX_CHECK(c, op);
    shift_imm(c, op);
    NEXT;
}
