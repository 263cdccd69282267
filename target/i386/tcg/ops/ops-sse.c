/*
 * Running vector instructions: operands, alignment, exceptions; moves, MMX.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/ops/fpu.h"
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/ops/sse.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

#define V0F(op, pfx, name, n, at) \
    [SSE_ID(0, pfx, op)] = { sse_##name, n, at, 0 },
#define V38(op, pfx, name, n, at) \
    [SSE_ID(1, pfx, op)] = { sse_##name, n, at, 0 },
#define V3A(op, pfx, name, n, at) \
    [SSE_ID(2, pfx, op)] = { sse_##name, n, at, 0 },
#define W0F(op, name, n, how) [SSE_ID(0, 1, op)] = { sse_##name, n, 0, how },
#define W38(op, name, n, how) [SSE_ID(1, 1, op)] = { sse_##name, n, 0, how },
static const SSEDesc sse_descs[SSE_COUNT] = {
#include "target/i386/tcg/decode/sse-list.h"
};
#undef V0F
#undef V38
#undef V3A
#undef W0F
#undef W38

void vec_load16(TCGCPU *c, const X86Op *op, uint64_t a, void *buf)
{
    TLBEntry *e = tlb_entry(c, a);

    if (likely(e->r == tlb_tag(c, a, 16))) {
        memcpy(buf, (void *)(a + e->addend), 16);
        return;
    }
    sync_eip(c, op);
    tcg_load_bytes(c, a, buf, 16);
}

void vec_store16(TCGCPU *c, const X86Op *op, uint64_t a, const void *buf)
{
    TLBEntry *e = tlb_entry(c, a);

    if (likely(e->w == tlb_tag(c, a, 16))) {
        memcpy((void *)(a + e->addend), buf, 16);
        return;
    }
    sync_eip(c, op);
    tcg_store_bytes(c, a, buf, 16);
}

static void vec_need_aligned(TCGCPU *c, const X86Op *op, uint64_t a)
{
    if (unlikely(a & 15)) {
        sync_eip(c, op);
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

/* The r/m operand: a register, or bytes of memory in c->vec_tmp. */
static inline __attribute__((always_inline))
const XMMReg *source(TCGCPU *c, const X86Op *op, unsigned bytes)
{
    uint64_t a;

    if (!(op->flags & OF_MEM)) {
        return &c->xmm[op->rm];
    }
    a = ea(c, op);
    switch (bytes) {
    case 2: c->vec_tmp.w[0] = ld16(c, op, a); break;
    case 4: c->vec_tmp.l[0] = ld32(c, op, a); break;
    case 8: c->vec_tmp.q[0] = ld64(c, op, a); break;
    default:
        vec_need_aligned(c, op, a);
        vec_load16(c, op, a, &c->vec_tmp);
        break;
    }
    return &c->vec_tmp;
}

const XMMReg *vec_source16(TCGCPU *c, const X86Op *op)
{
    return source(c, op, 16);
}

/*
 * An exception is unmasked: compute into a copy, look at the flags, and only
 * then keep the result or raise #XM.
 */
void vec_fp_begin(TCGCPU *c)
{
    _mm_setcsr(_mm_getcsr() & ~0x3fu);
}

void vec_fp_end(TCGCPU *c, const X86Op *op)
{
    uint32_t fl = _mm_getcsr() & 0x3f;

    /* Invalid, denormal, zero divide are seen before the operation. */
    uint32_t raised = fl & ~(c->mxcsr >> 7) & 0x3f;

    if (raised & 7) {
        fl &= 7;
    }
    c->mxcsr |= fl;
    if (raised) {
        /* The host must not gather what was not reported. */
        _mm_setcsr((_mm_getcsr() & ~0x3fu));
        sync_eip(c, op);
        tcg_raise(c, c->cr4 & CR4_OSXMMEXCPT ? EXCP_XM : EXCP_UD);
    }
}

static SLOW_PATH void run_checked(TCGCPU *c, const X86Op *op, SSEFn *fn,
                                  const XMMReg *s)
{
    c->mxcsr |= _mm_getcsr() & 0x3f;
    c->vec_res = c->xmm[op->reg];
    vec_fp_begin(c);
    fn(&c->vec_res, s, (uint8_t)op->imm);
    vec_fp_end(c, op);
    c->xmm[op->reg] = c->vec_res;
}

/* fn stands for itself: calls are direct, in every build. */
#define RUN_SSE(fn, bytes, attr) do { \
        const XMMReg *s_; \
        VEC_CHECK(c, op); \
        s_ = source(c, op, bytes); \
        if (unlikely(((attr) & V_FP) && c->sse_checked)) { \
            run_checked(c, op, fn, s_); \
        } else { \
            fn(&c->xmm[op->reg], s_, (attr) & V_IB ? (uint8_t)op->imm : op->flags & OF_MEM); \
        } \
        NEXT; \
    } while (0)

/* A function for each row of the list. */
#define V0F(op_, pfx, name, n, at) \
    OP(SSE_OP(0, pfx, op_)) { RUN_SSE(sse_##name, n, at); }
#define V38(op_, pfx, name, n, at) \
    OP(SSE_OP(1, pfx, op_)) { RUN_SSE(sse_##name, n, at); }
#define V3A(op_, pfx, name, n, at) \
    OP(SSE_OP(2, pfx, op_)) { RUN_SSE(sse_##name, n, at); }
#define W0F(op_, name, n, how) \
    OP(SSE_OP(0, 1, op_)) { RUN_SSE(sse_##name, n, 0); }
#define W38(op_, name, n, how) \
    OP(SSE_OP(1, 1, op_)) { RUN_SSE(sse_##name, n, 0); }
#include "target/i386/tcg/decode/sse-list.h"

/* Moves of whole registers ------------------------------------------------- */

static OP(op_mova_rr)
{
    VEC_CHECK(c, op);
    c->xmm[op->reg] = c->xmm[op->rm];
    NEXT;
}

static OP(op_mova_rv)
{
    VEC_CHECK(c, op);
    c->xmm[op->rm] = c->xmm[op->reg];
    NEXT;
}

/* id 1: must be aligned. */
OP(op_mov16_ld)
{
    uint64_t a;

    VEC_CHECK(c, op);
    a = ea(c, op);
    if (op->id) {
        vec_need_aligned(c, op, a);
    }
    vec_load16(c, op, a, &c->xmm[op->reg]);
    NEXT;
}

OP(op_mov16_st)
{
    uint64_t a;

    VEC_CHECK(c, op);
    a = ea(c, op);
    if (op->id) {
        vec_need_aligned(c, op, a);
    }
    vec_store16(c, op, a, &c->xmm[op->reg]);
    NEXT;
}

#define BOTH4(r, m) { r, r, r, r, m, m, m, m }
OpFn *const tab_mov16_ld[8] = BOTH4(op_mova_rr, op_mov16_ld);
OpFn *const tab_mov16_st[8] = BOTH4(op_mova_rv, op_mov16_st);

/* MOVSS and MOVSD from memory clear the rest; id: opcode's prefix. */
static OP(op_movs_ld)
{
    XMMReg *d = &c->xmm[op->reg];
    uint64_t v;

    VEC_CHECK(c, op);
    v = op->id == 2 ? ld32(c, op, ea(c, op)) : ld64(c, op, ea(c, op));
    d->q[0] = v;
    d->q[1] = 0;
    NEXT;
}
OpFn *const tab_movss_ld[8] = BOTH4(SSE_OP(0, 2, 0x10), op_movs_ld);
OpFn *const tab_movsd_ld[8] = BOTH4(SSE_OP(0, 3, 0x10), op_movs_ld);

/* Stores of 4 (id 4), the low 8 (8) or the high 8 bytes (9). */
OP(op_sse_store)
{
    const XMMReg *s = &c->xmm[op->reg];

    VEC_CHECK(c, op);
    if (!(op->flags & OF_MEM)) {
        XMMReg *d = &c->xmm[op->rm];

        if (op->id == 4) {
            d->l[0] = s->l[0];
        } else {
            d->q[0] = s->q[0];
            if (op->id == 10) {     /* MOVQ clears the upper half */
                d->q[1] = 0;
                vec_clear_upper(c, op, op->rm);
            }
        }
        NEXT;
    }
    if (op->id == 4) {
        st32(c, op, ea(c, op), s->l[0]);
    } else {
        st64(c, op, ea(c, op), op->id == 9 ? s->q[1] : s->q[0]);
    }
    NEXT;
}

/* Immediate shifts, groups 71 to 73: id = opcode << 4 | reg ---------------- */

void vec_shift_imm(XMMReg *d, unsigned id, unsigned n)
{
    XMMReg cnt = { .q = { n, 0 } };

    switch (id) {
    case 0x712: sse_psrlw(d, &cnt, 0); break;
    case 0x714: sse_psraw(d, &cnt, 0); break;
    case 0x716: sse_psllw(d, &cnt, 0); break;
    case 0x722: sse_psrld(d, &cnt, 0); break;
    case 0x724: sse_psrad(d, &cnt, 0); break;
    case 0x726: sse_pslld(d, &cnt, 0); break;
    case 0x732: sse_psrlq(d, &cnt, 0); break;
    case 0x736: sse_psllq(d, &cnt, 0); break;
    default: {
        uint8_t v[48] = { 0 };

        n = n < 16 ? n : 16;
        if (id == 0x733) {          /* PSRLDQ */
            memcpy(v, d, 16);
            memcpy(d, v + n, 16);
        } else {                    /* PSLLDQ */
            memcpy(v + 16, d, 16);
            memcpy(d, v + 16 - n, 16);
        }
    }
    }
}

OP(op_vec_shift_imm)
{
    if (op->flags & OF_OP16) {
        VEC_CHECK(c, op);
        vec_shift_imm(&c->xmm[op->rm], op->id, (uint8_t)op->imm);
    } else {
        XMMReg *t = &c->vec_tmp;

        mmx_begin(c, op);
        t->q[0] = c->fpregs[op->rm & 7].mantissa;
        t->q[1] = 0;
        vec_shift_imm(t, op->id, (uint8_t)op->imm);
        mmx_set(c, op->rm & 7, t->q[0]);
    }
    NEXT;
}

/* MMX ---------------------------------------------------------------------- */

void mmx_begin(TCGCPU *c, const X86Op *op)
{
    sync_eip(c, op);
    if (c->cr0 & CR0_EM) {
        tcg_raise(c, EXCP_UD);
    }
    if (c->cr0 & CR0_TS) {
        tcg_raise(c, EXCP_NM);
    }
    if (c->fpus & 0x80) {
        tcg_raise(c, EXCP_MF);
    }
}

/* Every MMX instruction but EMMS: TOP is 0 and all registers are valid. */
void mmx_touch(TCGCPU *c)
{
    c->fpus &= ~0x3800u;
    c->fptag = 0xff;
}

void mmx_set(TCGCPU *c, unsigned r, uint64_t v)
{
    mmx_touch(c);
    c->fpregs[r].mantissa = v;
    c->fpregs[r].exponent = 0xffff;
}

uint64_t mmx_source(TCGCPU *c, const X86Op *op)
{
    return op->flags & OF_MEM ? ld64(c, op, ea(c, op)) :
           c->fpregs[op->rm & 7].mantissa;
}

static SLOW_PATH void run_mmx(TCGCPU *c, const X86Op *op)
{
    const SSEDesc *f = &sse_descs[op->id];
    XMMReg *d = &c->vec_res, *s = &c->vec_tmp;
    uint64_t v;

    mmx_begin(c, op);
    v = mmx_source(c, op);
    s->q[0] = v;
    s->q[1] = 0;
    d->q[0] = c->fpregs[op->reg].mantissa;
    d->q[1] = 0;
    switch (f->mmx) {
    case MMX_PACK:          /* the result's low half comes from d alone */
        d->q[1] = v;
        f->fn(d, d, 0);
        break;
    case MMX_HIGH:          /* the upper 32 bits, where 128 bits have the upper 64 */
        d->q[1] = d->q[0] >> 32;
        s->q[1] = v >> 32;
        f->fn(d, s, 0);
        break;
    case MMX_SHUF:          /* indices have 3 bits */
        s->q[0] &= 0x8787878787878787ull;
        f->fn(d, s, 0);
        break;
    default:
        f->fn(d, s, 0);
        break;
    }
    mmx_set(c, op->reg, d->q[0]);
}

OP(op_mmx)
{
    run_mmx(c, op);
    NEXT;
}

OP(op_emms)
{
    mmx_begin(c, op);
    c->fptag = 0;
    c->fpus &= ~0x3800u;
    NEXT;
}

/* MOVD, MOVQ between MMX and general registers or memory; id 1: store. */
OP(op_mmx_movd)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2;

    mmx_begin(c, op);
    if (op->id) {
        rm_set(c, op, c->fpregs[op->reg].mantissa, size);
        mmx_touch(c);
    } else {
        uint64_t v = rm_get(c, op, size);
        mmx_set(c, op->reg, v);
    }
    NEXT;
}

/* MOVQ mm, mm/m64 (id 0), the store (1); PSHUFW (2). */
OP(op_mmx_mov)
{
    uint64_t v;

    mmx_begin(c, op);
    if (op->id == 1) {
        v = c->fpregs[op->reg].mantissa;
        if (op->flags & OF_MEM) {
            st64(c, op, ea(c, op), v);
            mmx_touch(c);
        } else {
            mmx_set(c, op->rm & 7, v);
        }
        NEXT;
    }
    v = mmx_source(c, op);
    if (op->id == 2) {
        uint64_t r = 0;

        for (unsigned i = 0; i < 4; i++) {
            r |= ((v >> (16 * ((op->imm >> (2 * i)) & 3))) & 0xffff) << (16 * i);
        }
        v = r;
    }
    mmx_set(c, op->reg, v);
    NEXT;
}

/* PALIGNR mm. */
OP(op_mmx_palignr)
{
    unsigned n = (uint8_t)op->imm * 8;
    unsigned __int128 w;
    uint64_t s;

    mmx_begin(c, op);
    s = mmx_source(c, op);
    w = (unsigned __int128)c->fpregs[op->reg].mantissa << 64 | s;
    mmx_set(c, op->reg, n < 128 ? (uint64_t)(w >> n) : 0);
    NEXT;
}
