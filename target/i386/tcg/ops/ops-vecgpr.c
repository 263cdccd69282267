/*
 * Vector instructions that meet general registers, flags or MMX registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/ops/vex.h"

/* MOVD, MOVQ with general registers; id 1: from XMM. */
OP(op_vec_movd)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2;

    VEC_CHECK(c, op);
    if (op->id) {
        rm_set(c, op, c->xmm[op->reg].q[0], size);
    } else {
        uint64_t v = rm_get(c, op, size);
        c->xmm[op->reg].q[0] = v;
        c->xmm[op->reg].q[1] = 0;
        vec_clear_upper(c, op, op->reg);
    }
    NEXT;
}

unsigned vec_movmsk(const XMMReg *s, unsigned id)
{
    switch (id) {
    case 0: return _mm_movemask_ps(_mm_loadu_ps(s->s));
    case 1: return _mm_movemask_pd(_mm_loadu_pd(s->d));
    default: return _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)s));
    }
}

/* id 0: MOVMSKPS, 1: MOVMSKPD, 2: PMOVMSKB, 3: PMOVMSKB of MMX. */
OP(op_vec_movmsk)
{
    unsigned r = 0, i;

    if (op->id == 3) {
        mmx_begin(c, op);
        mmx_touch(c);
        for (i = 0; i < 8; i++) {
            r |= ((c->fpregs[op->rm & 7].mantissa >> (8 * i + 7)) & 1) << i;
        }
        c->regs[op->reg] = r;
        NEXT;
    }
    VEC_CHECK(c, op);
    c->regs[op->reg] = vec_movmsk(&c->xmm[op->rm], op->id);
    NEXT;
}

static uint64_t to_gpr(const X86Op *op, uint64_t v)
{
    bool wide = op->flags & OF_REXW;
    XMMReg x = { .q = { v, 0 } };
    __m128 s = _mm_load_ss(x.s);
    __m128d d = _mm_load_sd(x.d);

    switch (op->id) {
    case 4: return wide ? (uint64_t)_mm_cvttss_si64(s) : (uint32_t)_mm_cvttss_si32(s);
    case 5: return wide ? (uint64_t)_mm_cvtss_si64(s) : (uint32_t)_mm_cvtss_si32(s);
    case 6: return wide ? (uint64_t)_mm_cvttsd_si64(d) : (uint32_t)_mm_cvttsd_si32(d);
    default: return wide ? (uint64_t)_mm_cvtsd_si64(d) : (uint32_t)_mm_cvtsd_si32(d);
    }
}

static void from_gpr(const X86Op *op, XMMReg *d, uint64_t v)
{
    bool wide = op->flags & OF_REXW;

    if (op->id == 0) {
        __m128 z = _mm_setzero_ps();
        d->s[0] = _mm_cvtss_f32(wide ? _mm_cvtsi64_ss(z, v) :
                                _mm_cvtsi32_ss(z, (int32_t)v));
    } else {
        __m128d z = _mm_setzero_pd();
        d->d[0] = _mm_cvtsd_f64(wide ? _mm_cvtsi64_sd(z, v) :
                                _mm_cvtsi32_sd(z, (int32_t)v));
    }
}

/* CVTSI2SS (0), CVTSI2SD (1), CVTTSS2SI (4), CVTSS2SI, CVTTSD2SI, CVTSD2SI. */
OP(op_cvt_gpr)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2;
    uint64_t v;

    VEC_CHECK(c, op);
    if (op->id < 4) {
        v = rm_get(c, op, size);
    } else if (op->flags & OF_MEM) {
        v = op->id < 6 ? ld32(c, op, ea(c, op)) : ld64(c, op, ea(c, op));
    } else {
        v = c->xmm[op->rm].q[0];
    }
    if (unlikely(c->sse_checked)) {
        c->mxcsr |= _mm_getcsr() & 0x3f;
        vec_fp_begin(c);
    }
    c->vec_res = *vec_first(c, op);
    if (op->id < 4) {
        from_gpr(op, &c->vec_res, v);
    } else {
        v = to_gpr(op, v);
    }
    if (unlikely(c->sse_checked)) {
        vec_fp_end(c, op);
    }
    if (op->id < 4) {
        c->xmm[op->reg] = c->vec_res;
        vec_clear_upper(c, op, op->reg);
    } else {
        c->regs[op->reg] = v;
    }
    NEXT;
}

/* UCOMISS (0), UCOMISD (1), COMISS (2), COMISD (3). */
OP(op_comis)
{
    bool dbl = op->id & 1, quiet = op->id < 2;
    int lt, eq, un;

    VEC_CHECK(c, op);
    if (op->flags & OF_MEM) {
        c->vec_tmp.q[0] = dbl ? ld64(c, op, ea(c, op)) : ld32(c, op, ea(c, op));
    } else {
        c->vec_tmp.q[0] = c->xmm[op->rm].q[0];
    }
    if (unlikely(c->sse_checked)) {
        c->mxcsr |= _mm_getcsr() & 0x3f;
        vec_fp_begin(c);
    }
    if (dbl) {
        __m128d a = _mm_load_sd(c->xmm[op->reg].d), b = _mm_load_sd(c->vec_tmp.d);
        un = _mm_movemask_pd(_mm_cmpunord_sd(a, b)) & 1;
        lt = quiet ? _mm_ucomilt_sd(a, b) : _mm_comilt_sd(a, b);
        eq = quiet ? _mm_ucomieq_sd(a, b) : _mm_comieq_sd(a, b);
    } else {
        __m128 a = _mm_load_ss(c->xmm[op->reg].s), b = _mm_load_ss(c->vec_tmp.s);
        un = _mm_movemask_ps(_mm_cmpunord_ss(a, b)) & 1;
        lt = quiet ? _mm_ucomilt_ss(a, b) : _mm_comilt_ss(a, b);
        eq = quiet ? _mm_ucomieq_ss(a, b) : _mm_comieq_ss(a, b);
    }
    if (unlikely(c->sse_checked)) {
        vec_fp_end(c, op);
    }
    lf_set(c, un ? CC_Z | CC_P | CC_C : eq ? CC_Z : lt ? CC_C : 0);
    NEXT;
}

/* PINSRW (id 1), PINSRB (0), PINSRD/Q (2); 3: PINSRW of MMX. */
OP(op_pinsr)
{
    unsigned i = (uint8_t)op->imm, size = op->id == 2 && (op->flags & OF_REXW) ? 3 :
                 op->id == 3 ? 1 : op->id;
    uint64_t v;

    if (op->id == 3) {
        mmx_begin(c, op);
    } else {
        VEC_CHECK(c, op);
    }
    v = op->flags & OF_MEM ? ld_size(c, op, ea(c, op), size) : c->regs[op->rm];
    if (op->flags & OF_VEX) {
        c->xmm[op->reg] = c->xmm[vex_v(op)];
        vec_clear_upper(c, op, op->reg);
    }
    switch (op->id) {
    case 0: c->xmm[op->reg].b[i & 15] = v; break;
    case 1: c->xmm[op->reg].w[i & 7] = v; break;
    case 3: {
        uint64_t m = c->fpregs[op->reg & 7].mantissa;

        m &= ~((uint64_t)0xffff << (16 * (i & 3)));
        mmx_set(c, op->reg & 7, m | (uint64_t)(uint16_t)v << (16 * (i & 3)));
        break;
    }
    default:
        if (size == 3) {
            c->xmm[op->reg].q[i & 1] = v;
        } else {
            c->xmm[op->reg].l[i & 3] = v;
        }
        break;
    }
    NEXT;
}

/* PEXTRB (0), PEXTRW (1), PEXTRD/Q (2), EXTRACTPS (5) to r/m; 4: 0F C5, to reg;
 * 3: 0F C5 of MMX. */
OP(op_pextr)
{
    unsigned i = (uint8_t)op->imm;
    unsigned size = op->id == 2 && (op->flags & OF_REXW) ? 3 :
                    op->id == 5 ? 2 : op->id;
    uint64_t v;

    if (op->id == 3) {
        mmx_begin(c, op);
        mmx_touch(c);
        c->regs[op->reg] = (uint16_t)(c->fpregs[op->rm & 7].mantissa >> (16 * (i & 3)));
        NEXT;
    }
    VEC_CHECK(c, op);
    switch (op->id) {
    case 4: c->regs[op->reg] = c->xmm[op->rm].w[i & 7]; NEXT;
    case 0: v = c->xmm[op->reg].b[i & 15]; break;
    case 1: v = c->xmm[op->reg].w[i & 7]; break;
    default:
        v = size == 3 ? c->xmm[op->reg].q[i & 1] : c->xmm[op->reg].l[i & 3];
        break;
    }
    if (op->flags & OF_MEM) {
        st_size(c, op, ea(c, op), v, size);
    } else {
        c->regs[op->rm] = v;
    }
    NEXT;
}

/* PBLENDVB (1), BLENDVPS (4), BLENDVPD (8): id is the element's size. */
OP(op_blendv)
{
    const XMMReg *s;
    XMMReg *d = &c->xmm[op->reg];
    XMMReg m;

    VEC_CHECK(c, op);
    s = vec_source16(c, op);
    m = c->xmm[0];
    for (unsigned i = 0; i < 16; i++) {
        unsigned top = i | (op->id - 1);

        if (m.b[top] & 0x80) {
            d->b[i] = s->b[i];
        }
    }
    NEXT;
}

OP(op_ptest)
{
    const XMMReg *s, *d = &c->xmm[op->reg];

    VEC_CHECK(c, op);
    s = vec_source16(c, op);
    lf_set(c, (!(s->q[0] & d->q[0]) && !(s->q[1] & d->q[1]) ? CC_Z : 0) |
              (!(s->q[0] & ~d->q[0]) && !(s->q[1] & ~d->q[1]) ? CC_C : 0));
    NEXT;
}

OP(op_insertps)
{
    unsigned imm = (uint8_t)op->imm;
    XMMReg *d = &c->xmm[op->reg];
    uint32_t v;

    VEC_CHECK(c, op);
    v = op->flags & OF_MEM ? ld32(c, op, ea(c, op)) : c->xmm[op->rm].l[imm >> 6];
    *d = *vec_first(c, op);
    vec_clear_upper(c, op, op->reg);
    d->l[(imm >> 4) & 3] = v;
    for (unsigned i = 0; i < 4; i++) {
        if ((imm >> i) & 1) {
            d->l[i] = 0;
        }
    }
    NEXT;
}

/* MASKMOVDQU (0) and MASKMOVQ (1): bytes to DS:rDI. */
OP(op_maskmov)
{
    unsigned n = op->id ? 8 : 16;
    XMMReg s, m;
    uint64_t a;

    if (op->id) {
        mmx_begin(c, op);
        mmx_touch(c);
        s.q[0] = c->fpregs[op->reg & 7].mantissa;
        m.q[0] = c->fpregs[op->rm & 7].mantissa;
    } else {
        VEC_CHECK(c, op);
        s = c->xmm[op->reg];
        m = c->xmm[op->rm];
    }
    sync_eip(c, op);
    a = c->regs[R_EDI];
    a = op->flags & OF_A32 ? (uint32_t)a : a;
    a = tcg_seg_lin(c, op->seg, a, n, true);
    for (unsigned i = 0; i < n; i++) {
        if (m.b[i] & 0x80) {
            tcg_probe_write(c, a + i, 1);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        if (m.b[i] & 0x80) {
            st8(c, op, a + i, s.b[i]);
        }
    }
    return op + 1;
}

OP(op_movnti)
{
    st_size(c, op, ea(c, op), c->regs[op->reg], op->flags & OF_REXW ? 3 : 2);
    NEXT;
}

/* MOVQ2DQ (0), MOVDQ2Q (1). */
OP(op_movq2dq)
{
    VEC_CHECK(c, op);
    mmx_begin(c, op);
    if (op->id) {
        mmx_set(c, op->reg & 7, c->xmm[op->rm].q[0]);
    } else {
        c->xmm[op->reg].q[0] = c->fpregs[op->rm & 7].mantissa;
        c->xmm[op->reg].q[1] = 0;
        mmx_touch(c);
    }
    NEXT;
}

/*
 * CVTPI2PS (0), CVTPI2PD (1), CVTTPS2PI (2), CVTPS2PI (3), CVTTPD2PI (4),
 * CVTPD2PI (5): between XMM and MMX.
 */
OP(op_cvt_mmx)
{
    XMMReg *r = &c->vec_res, *t = &c->vec_tmp;

    VEC_CHECK(c, op);
    if (op->id != 1 || !(op->flags & OF_MEM)) {
        mmx_begin(c, op);
    }
    if (op->id < 2) {
        t->q[0] = mmx_source(c, op);
        t->q[1] = 0;
    } else if (op->id < 4) {
        t->q[0] = op->flags & OF_MEM ? ld64(c, op, ea(c, op)) :
                  c->xmm[op->rm].q[0];
        t->q[1] = 0;
    } else {
        *t = *vec_source16(c, op);
    }
    if (unlikely(c->sse_checked)) {
        c->mxcsr |= _mm_getcsr() & 0x3f;
        vec_fp_begin(c);
    }
    __m128i i = _mm_loadu_si128((__m128i *)t);
    switch (op->id) {
    case 0: _mm_storeu_ps(r->s, _mm_cvtepi32_ps(i)); break;
    case 1: _mm_storeu_pd(r->d, _mm_cvtepi32_pd(i)); break;
    case 2: i = _mm_cvttps_epi32(_mm_castsi128_ps(i)); break;
    case 3: i = _mm_cvtps_epi32(_mm_castsi128_ps(i)); break;
    case 4: i = _mm_cvttpd_epi32(_mm_castsi128_pd(i)); break;
    default: i = _mm_cvtpd_epi32(_mm_castsi128_pd(i)); break;
    }
    if (op->id >= 2) {
        _mm_storeu_si128((__m128i *)r, i);
    }
    if (unlikely(c->sse_checked)) {
        vec_fp_end(c, op);
    }
    if (op->id == 0) {
        c->xmm[op->reg].q[0] = r->q[0];
    } else if (op->id == 1) {
        c->xmm[op->reg] = *r;
        if (op->flags & OF_MEM) {
            NEXT;
        }
    } else {
        mmx_set(c, op->reg & 7, r->q[0]);
        NEXT;
    }
    mmx_touch(c);
    NEXT;
}

/* PCMPESTRM, PCMPESTRI, PCMPISTRM, PCMPISTRI (id 0-3): SDM 2B, 4.1 --------- */

static int element(const XMMReg *r, unsigned imm, unsigned i)
{
    switch (imm & 3) {
    case 0: return r->b[i];
    case 1: return r->w[i];
    case 2: return (int8_t)r->b[i];
    default: return (int16_t)r->w[i];
    }
}

static unsigned str_length(TCGCPU *c, const X86Op *op, const XMMReg *r,
                           unsigned reg, unsigned imm)
{
    unsigned max = imm & 1 ? 8 : 16, n = 0;

    if (op->id >= 2) {
        while (n < max && element(r, imm, n) != 0) {
            n++;
        }
        return n;
    }
    int64_t v = op->flags & OF_REXW ? (int64_t)c->regs[reg] :
                (int32_t)c->regs[reg];
    if (v < 0) {
        v = v == INT64_MIN ? (int64_t)max : -v;
    }
    return v > (int64_t)max ? max : (unsigned)v;
}

/* IntRes1: a is the first operand (la valid elements), b the second. */
static unsigned str_aggregate(const XMMReg *a, unsigned la, const XMMReg *b,
                              unsigned lb, unsigned imm)
{
    unsigned max = imm & 1 ? 8 : 16, res = 0, i, j;

    for (j = 0; j < max; j++) {
        bool bit = false;

        switch ((imm >> 2) & 3) {
        case 0:                     /* equal any */
            for (i = 0; i < la && j < lb; i++) {
                bit |= element(a, imm, i) == element(b, imm, j);
            }
            break;
        case 1:                     /* ranges */
            for (i = 0; i + 1 < la && j < lb; i += 2) {
                bit |= element(b, imm, j) >= element(a, imm, i) &&
                       element(b, imm, j) <= element(a, imm, i + 1);
            }
            break;
        case 2:                     /* equal each */
            bit = j < la && j < lb ? element(a, imm, j) == element(b, imm, j) :
                  j >= la && j >= lb;
            break;
        default:                    /* equal ordered */
            bit = true;
            for (i = 0; i < la && i + j < max && bit; i++) {
                bit = i + j < lb && element(a, imm, i) == element(b, imm, i + j);
            }
            break;
        }
        res |= (unsigned)bit << j;
    }
    return res;
}

static void str_mask(XMMReg *d, unsigned res, unsigned imm)
{
    d->q[0] = d->q[1] = 0;
    if (!(imm & 0x40)) {
        d->w[0] = res;
        return;
    }
    for (unsigned i = 0; i < 16; i++) {
        d->b[i] = (res >> (imm & 1 ? i / 2 : i)) & 1 ? 0xff : 0;
    }
}

OP(op_pcmpstr)
{
    unsigned imm = (uint8_t)op->imm, max = imm & 1 ? 8 : 16, la, lb, res;
    XMMReg a, b;

    VEC_CHECK(c, op);
    a = c->xmm[op->reg];
    if (op->flags & OF_MEM) {
        vec_load16(c, op, ea(c, op), &c->vec_tmp);
        b = c->vec_tmp;
    } else {
        b = c->xmm[op->rm];
    }
    la = str_length(c, op, &a, R_EAX, imm);
    lb = str_length(c, op, &b, R_EDX, imm);
    res = str_aggregate(&a, la, &b, lb, imm);
    if (imm & 0x10) {
        res ^= imm & 0x20 ? (1u << lb) - 1 : (1u << max) - 1;
    }
    if (op->id & 1) {
        c->regs[R_ECX] = !res ? max : imm & 0x40 ? 31u - __builtin_clz(res) :
                         (unsigned)__builtin_ctz(res);
    } else {
        str_mask(&c->xmm[0], res, imm);
        vec_clear_upper(c, op, 0);
    }
    lf_set(c, (res ? CC_C : 0) | (lb < max ? CC_Z : 0) |
              (la < max ? CC_S : 0) | (res & 1 ? CC_O : 0));
    return op + 1;
}
