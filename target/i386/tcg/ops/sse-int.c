/*
 * Integer vector instructions on the host's vector unit.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>
#include <string.h>

#include "target/i386/tcg/ops/sse.h"

static inline __m128i get(const XMMReg *r)
{
    return _mm_loadu_si128((const __m128i *)r);
}

static inline void put(XMMReg *r, __m128i v)
{
    _mm_storeu_si128((__m128i *)r, v);
}

#define DEF(name) void sse_##name(XMMReg *d, const XMMReg *s, unsigned imm)
#define I2(name, intrin) DEF(name) { put(d, intrin(get(d), get(s))); }
#define I1(name, intrin) DEF(name) { put(d, intrin(get(s))); }

I2(punpcklbw, _mm_unpacklo_epi8) I2(punpcklwd, _mm_unpacklo_epi16)
I2(punpckldq, _mm_unpacklo_epi32) I2(punpcklqdq, _mm_unpacklo_epi64)
I2(punpckhbw, _mm_unpackhi_epi8) I2(punpckhwd, _mm_unpackhi_epi16)
I2(punpckhdq, _mm_unpackhi_epi32) I2(punpckhqdq, _mm_unpackhi_epi64)
I2(packsswb, _mm_packs_epi16) I2(packuswb, _mm_packus_epi16)
I2(packssdw, _mm_packs_epi32) I2(packusdw, _mm_packus_epi32)
I2(pcmpgtb, _mm_cmpgt_epi8) I2(pcmpgtw, _mm_cmpgt_epi16)
I2(pcmpgtd, _mm_cmpgt_epi32) I2(pcmpgtq, _mm_cmpgt_epi64)
I2(pcmpeqb, _mm_cmpeq_epi8) I2(pcmpeqw, _mm_cmpeq_epi16)
I2(pcmpeqd, _mm_cmpeq_epi32) I2(pcmpeqq, _mm_cmpeq_epi64)
I2(psrlw, _mm_srl_epi16) I2(psrld, _mm_srl_epi32) I2(psrlq, _mm_srl_epi64)
I2(psraw, _mm_sra_epi16) I2(psrad, _mm_sra_epi32)
I2(psllw, _mm_sll_epi16) I2(pslld, _mm_sll_epi32) I2(psllq, _mm_sll_epi64)
I2(paddb, _mm_add_epi8) I2(paddw, _mm_add_epi16) I2(paddd, _mm_add_epi32)
I2(paddq, _mm_add_epi64) I2(psubb, _mm_sub_epi8) I2(psubw, _mm_sub_epi16)
I2(psubd, _mm_sub_epi32) I2(psubq, _mm_sub_epi64)
I2(paddsb, _mm_adds_epi8) I2(paddsw, _mm_adds_epi16)
I2(paddusb, _mm_adds_epu8) I2(paddusw, _mm_adds_epu16)
I2(psubsb, _mm_subs_epi8) I2(psubsw, _mm_subs_epi16)
I2(psubusb, _mm_subs_epu8) I2(psubusw, _mm_subs_epu16)
I2(pmullw, _mm_mullo_epi16) I2(pmulld, _mm_mullo_epi32)
I2(pmulhw, _mm_mulhi_epi16) I2(pmulhuw, _mm_mulhi_epu16)
I2(pmulhrsw, _mm_mulhrs_epi16) I2(pmuludq, _mm_mul_epu32)
I2(pmuldq, _mm_mul_epi32) I2(pmaddwd, _mm_madd_epi16)
I2(pmaddubsw, _mm_maddubs_epi16) I2(psadbw, _mm_sad_epu8)
I2(pminub, _mm_min_epu8) I2(pmaxub, _mm_max_epu8) I2(pminsw, _mm_min_epi16)
I2(pmaxsw, _mm_max_epi16) I2(pminsb, _mm_min_epi8) I2(pminsd, _mm_min_epi32)
I2(pminuw, _mm_min_epu16) I2(pminud, _mm_min_epu32)
I2(pmaxsb, _mm_max_epi8) I2(pmaxsd, _mm_max_epi32)
I2(pmaxuw, _mm_max_epu16) I2(pmaxud, _mm_max_epu32)
I2(pavgb, _mm_avg_epu8) I2(pavgw, _mm_avg_epu16)
I2(pand, _mm_and_si128) I2(pandn, _mm_andnot_si128) I2(por, _mm_or_si128)
I2(pxor, _mm_xor_si128) I2(pshufb, _mm_shuffle_epi8)
I2(phaddw, _mm_hadd_epi16) I2(phaddd, _mm_hadd_epi32)
I2(phaddsw, _mm_hadds_epi16) I2(phsubw, _mm_hsub_epi16)
I2(phsubd, _mm_hsub_epi32) I2(phsubsw, _mm_hsubs_epi16)
I2(psignb, _mm_sign_epi8) I2(psignw, _mm_sign_epi16) I2(psignd, _mm_sign_epi32)
I1(pabsb, _mm_abs_epi8) I1(pabsw, _mm_abs_epi16) I1(pabsd, _mm_abs_epi32)
I1(pmovsxbw, _mm_cvtepi8_epi16) I1(pmovsxbd, _mm_cvtepi8_epi32)
I1(pmovsxbq, _mm_cvtepi8_epi64) I1(pmovsxwd, _mm_cvtepi16_epi32)
I1(pmovsxwq, _mm_cvtepi16_epi64) I1(pmovsxdq, _mm_cvtepi32_epi64)
I1(pmovzxbw, _mm_cvtepu8_epi16) I1(pmovzxbd, _mm_cvtepu8_epi32)
I1(pmovzxbq, _mm_cvtepu8_epi64) I1(pmovzxwd, _mm_cvtepu16_epi32)
I1(pmovzxwq, _mm_cvtepu16_epi64) I1(pmovzxdq, _mm_cvtepu32_epi64)
I1(phminposuw, _mm_minpos_epu16)

DEF(movdqa_rr) { *d = *s; }
DEF(movss_rr) { d->l[0] = s->l[0]; }
DEF(movsd_rr) { d->q[0] = s->q[0]; }
DEF(movq_rr) { uint64_t v = s->q[0]; d->q[0] = v; d->q[1] = 0; }

/* Register form: MOVHLPS; sse.c reads 8 bytes only from memory. */
DEF(movlps) { d->q[0] = imm & SSE_MEM ? s->q[0] : s->q[1]; }
DEF(movlpd) { d->q[0] = s->q[0]; }
DEF(movhps) { d->q[1] = s->q[0]; }
DEF(movhpd) { d->q[1] = s->q[0]; }

DEF(movsldup)
{
    uint32_t a = s->l[0], b = s->l[2];

    d->l[0] = d->l[1] = a;
    d->l[2] = d->l[3] = b;
}

DEF(movshdup)
{
    uint32_t a = s->l[1], b = s->l[3];

    d->l[0] = d->l[1] = a;
    d->l[2] = d->l[3] = b;
}

DEF(movddup) { uint64_t v = s->q[0]; d->q[0] = d->q[1] = v; }
I2(unpcklps, _mm_unpacklo_epi32) I2(unpcklpd, _mm_unpacklo_epi64)
I2(unpckhps, _mm_unpackhi_epi32) I2(unpckhpd, _mm_unpackhi_epi64)

DEF(pshufd)
{
    XMMReg v = *s;

    for (unsigned i = 0; i < 4; i++) {
        d->l[i] = v.l[(imm >> (2 * i)) & 3];
    }
}

DEF(pshuflw)
{
    XMMReg v = *s;

    *d = v;
    for (unsigned i = 0; i < 4; i++) {
        d->w[i] = v.w[(imm >> (2 * i)) & 3];
    }
}

DEF(pshufhw)
{
    XMMReg v = *s;

    *d = v;
    for (unsigned i = 0; i < 4; i++) {
        d->w[4 + i] = v.w[4 + ((imm >> (2 * i)) & 3)];
    }
}

DEF(shufps)
{
    XMMReg a = *d, b = *s;

    d->l[0] = a.l[imm & 3];
    d->l[1] = a.l[(imm >> 2) & 3];
    d->l[2] = b.l[(imm >> 4) & 3];
    d->l[3] = b.l[(imm >> 6) & 3];
}

DEF(shufpd)
{
    XMMReg a = *d, b = *s;

    d->q[0] = a.q[imm & 1];
    d->q[1] = b.q[(imm >> 1) & 1];
}

DEF(blendps)
{
    for (unsigned i = 0; i < 4; i++) {
        d->l[i] = (imm >> i) & 1 ? s->l[i] : d->l[i];
    }
}

DEF(blendpd)
{
    for (unsigned i = 0; i < 2; i++) {
        d->q[i] = (imm >> i) & 1 ? s->q[i] : d->q[i];
    }
}

DEF(pblendw)
{
    for (unsigned i = 0; i < 8; i++) {
        d->w[i] = (imm >> i) & 1 ? s->w[i] : d->w[i];
    }
}

DEF(palignr)
{
    uint8_t v[64] = { 0 };

    memcpy(v, s, 16);
    memcpy(v + 16, d, 16);
    memcpy(d, v + (imm < 32 ? imm : 32), 16);
}

/* AVX: each element picks its own. */
DEF(vpermilps)
{
    XMMReg a = *d;

    for (unsigned i = 0; i < 4; i++) {
        d->l[i] = a.l[s->l[i] & 3];
    }
}

DEF(vpermilpd)
{
    XMMReg a = *d;

    for (unsigned i = 0; i < 2; i++) {
        d->q[i] = a.q[s->q[i] >> 1 & 1];
    }
}

DEF(vpermilpd_i)
{
    XMMReg a = *s;

    d->q[0] = a.q[imm & 1];
    d->q[1] = a.q[imm >> 1 & 1];
}

/* AVX2: by a count for each element; of 64 bits with W. */
#define VARIABLE(name, expr32, expr64) \
DEF(name) \
{ \
    for (unsigned i = 0; imm & SSE_W && i < 2; i++) { \
        uint64_t a = d->q[i], n = s->q[i]; \
        d->q[i] = expr64; \
    } \
    for (unsigned i = 0; !(imm & SSE_W) && i < 4; i++) { \
        uint32_t a = d->l[i], n = s->l[i]; \
        d->l[i] = expr32; \
    } \
}
VARIABLE(vpsrlv, n < 32 ? a >> n : 0, n < 64 ? a >> n : 0)
VARIABLE(vpsllv, n < 32 ? a << n : 0, n < 64 ? a << n : 0)
DEF(vpsrav)
{
    for (unsigned i = 0; i < 4; i++) {
        d->l[i] = (uint32_t)((int32_t)d->l[i] >> (s->l[i] < 32 ? s->l[i] : 31));
    }
}

DEF(mpsadbw)
{
    XMMReg a = *d, b = *s;
    unsigned ao = imm & 4, bo = (imm & 3) * 4;

    for (unsigned i = 0; i < 8; i++) {
        unsigned sum = 0;

        for (unsigned j = 0; j < 4; j++) {
            int v = a.b[ao + i + j] - b.b[bo + j];
            sum += v < 0 ? -v : v;
        }
        d->w[i] = sum;
    }
}
