/*
 * FMA and conversions of half precision, on the host's units; only offered where it has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/ops/sse.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

/* Of one lane: the operands as in the instruction, as NaNs are chosen by their places. */
typedef void FMAFn(XMMReg *a, const XMMReg *b, const XMMReg *c);

#define DEF(name, order, t) \
static void name##order##t(XMMReg *a, const XMMReg *b, const XMMReg *c) \
{ \
    __m128 r = _mm_loadu_ps(a->s), second = _mm_loadu_ps(b->s), third = _mm_loadu_ps(c->s); \
    __asm__ volatile(#name #order #t " %2, %1, %0" : "+x"(r) : "x"(second), "x"(third)); \
    _mm_storeu_ps(a->s, r); \
}
#define DEF_ORDERS(name, t) DEF(name, 132, t) DEF(name, 213, t) DEF(name, 231, t)
#define DEF_PACKED(name) DEF_ORDERS(name, ps) DEF_ORDERS(name, pd)
#define DEF_ALL(name) DEF_PACKED(name) DEF_ORDERS(name, ss) DEF_ORDERS(name, sd)
DEF_PACKED(vfmaddsub) DEF_PACKED(vfmsubadd)
DEF_ALL(vfmadd) DEF_ALL(vfmsub) DEF_ALL(vfnmadd) DEF_ALL(vfnmsub)

/* By the opcode's digits, the second from 6, the first from 9, and by W. */
#define ORDERS(name, t) { { name##132##t##s, name##132##t##d }, \
                          { name##213##t##s, name##213##t##d }, \
                          { name##231##t##s, name##231##t##d } }
static FMAFn *const fns[10][3][2] = {
    ORDERS(vfmaddsub, p), ORDERS(vfmsubadd, p), ORDERS(vfmadd, p), ORDERS(vfmadd, s),
    ORDERS(vfmsub, p), ORDERS(vfmsub, s), ORDERS(vfnmadd, p), ORDERS(vfnmadd, s),
    ORDERS(vfnmsub, p), ORDERS(vfnmsub, s),
};

static void begin(TCGCPU *c)
{
    if (unlikely(c->sse_checked)) {
        c->mxcsr |= _mm_getcsr() & 0x3f;
        vec_fp_begin(c);
    }
}

static void end(TCGCPU *c, const X86Op *op)
{
    if (unlikely(c->sse_checked)) {
        vec_fp_end(c, op);
    }
}

static SLOW_PATH void run_fma(TCGCPU *c, const X86Op *op)
{
    FMAFn *fn = fns[(op->id & 15) - 6][(op->id >> 4) - 9][(op->flags & OF_REXW) != 0];
    YMMReg a, b, s;

    vex_source(c, op, &s);
    vex_get(c, op->reg, &a);
    vex_get(c, vex_v(op), &b);
    begin(c);
    fn(&a.x[0], &b.x[0], &s.x[0]);
    if (op->flags & OF_L) {
        fn(&a.x[1], &b.x[1], &s.x[1]);
    }
    end(c, op);
    vex_put(c, op, op->reg, &a);
}

/* id: the opcode. */
OP(op_vfma)
{
    VEX_CHECK(c, op);
    run_fma(c, op);
    NEXT;
}

/* F16C --------------------------------------------------------------------- */

/* 4 numbers, from 8 bytes. */
void sse_vcvtph2ps(XMMReg *d, const XMMReg *s, unsigned imm)
{
    __m128 r = _mm_loadu_ps(s->s);

    __asm__ volatile("vcvtph2ps %0, %0" : "+x"(r));
    _mm_storeu_ps(d->s, r);
}

/* imm: the rounding, or (bit 2) as MXCSR has it. */
static void to_half(XMMReg *v, unsigned imm)
{
    __m128 r = _mm_loadu_ps(v->s);

    switch (imm & 7) {
#define ROUNDING(n) \
    case n: __asm__ volatile("vcvtps2ph $" #n ", %0, %0" : "+x"(r)); break;
    ROUNDING(0) ROUNDING(1) ROUNDING(2) ROUNDING(3)
    default: __asm__ volatile("vcvtps2ph $4, %0, %0" : "+x"(r)); break;
    }
    _mm_storeu_ps(v->s, r);
}

/* Its exceptions come before those of the store, and the flags stay when that faults. */
static SLOW_PATH void cvtps2ph(TCGCPU *c, const X86Op *op)
{
    YMMReg v;

    vex_get(c, op->reg, &v);
    begin(c);
    to_half(&v.x[0], op->imm);
    if (op->flags & OF_L) {
        to_half(&v.x[1], op->imm);
        v.x[0].q[1] = v.x[1].q[0];
    }
    end(c, op);
    if (!(op->flags & OF_MEM)) {
        c->xmm[op->rm] = v.x[0];
        c->ymmh[op->rm] = (XMMReg) { 0 };
    } else if (op->flags & OF_L) {
        vec_store16(c, op, ea(c, op), &v.x[0]);
    } else {
        st64(c, op, ea(c, op), v.x[0].q[0]);
    }
}

OP(op_vcvtps2ph)
{
    VEX_CHECK(c, op);
    cvtps2ph(c, op);
    NEXT;
}
