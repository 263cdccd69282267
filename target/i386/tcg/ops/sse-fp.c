/*
 * Floating-point vector instructions on the host's vector unit, with the
 * guest's MXCSR loaded.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/ops/sse.h"

static inline __m128 gps(const XMMReg *r) { return _mm_loadu_ps(r->s); }
static inline __m128d gpd(const XMMReg *r) { return _mm_loadu_pd(r->d); }
static inline void pps(XMMReg *r, __m128 v) { _mm_storeu_ps(r->s, v); }
static inline void ppd(XMMReg *r, __m128d v) { _mm_storeu_pd(r->d, v); }
static inline __m128i gi(const XMMReg *r)
{
    return _mm_loadu_si128((const __m128i *)r);
}
static inline void pi(XMMReg *r, __m128i v)
{
    _mm_storeu_si128((__m128i *)r, v);
}

#define DEF(name) void sse_##name(XMMReg *d, const XMMReg *s, unsigned imm)
/*
 * Written out, as a compiler may swap the operands of additions and
 * multiplications, and of two NaNs the first is the result.
 */
#define ARITH1(n, t, type, load, get, put) \
    DEF(n##t) \
    { \
        type a = get(d), b = load; \
        __asm__ volatile(#n #t " %1, %0" : "+x"(a) : "x"(b)); \
        put(d, a); \
    }
#define ARITH(n) \
    ARITH1(n, ps, __m128, gps(s), gps, pps) \
    ARITH1(n, pd, __m128d, gpd(s), gpd, ppd) \
    ARITH1(n, ss, __m128, _mm_load_ss(s->s), gps, pps) \
    ARITH1(n, sd, __m128d, _mm_load_sd(s->d), gpd, ppd)
ARITH(add) ARITH(mul) ARITH(sub) ARITH(min) ARITH(div) ARITH(max)

DEF(sqrtps) { pps(d, _mm_sqrt_ps(gps(s))); }
DEF(sqrtpd) { ppd(d, _mm_sqrt_pd(gpd(s))); }
DEF(sqrtss) { d->s[0] = _mm_cvtss_f32(_mm_sqrt_ss(_mm_load_ss(s->s))); }
DEF(sqrtsd)
{
    ppd(d, _mm_sqrt_sd(gpd(d), _mm_load_sd(s->d)));
}
DEF(rsqrtps) { pps(d, _mm_rsqrt_ps(gps(s))); }
DEF(rsqrtss) { d->s[0] = _mm_cvtss_f32(_mm_rsqrt_ss(_mm_load_ss(s->s))); }
DEF(rcpps) { pps(d, _mm_rcp_ps(gps(s))); }
DEF(rcpss) { d->s[0] = _mm_cvtss_f32(_mm_rcp_ss(_mm_load_ss(s->s))); }

DEF(cvtps2pd)
{
    ppd(d, _mm_cvtps_pd(_mm_castsi128_ps(_mm_loadl_epi64((const __m128i *)s))));
}
DEF(cvtpd2ps) { pps(d, _mm_cvtpd_ps(gpd(s))); }
DEF(cvtss2sd) { ppd(d, _mm_cvtss_sd(gpd(d), _mm_load_ss(s->s))); }
DEF(cvtsd2ss) { pps(d, _mm_cvtsd_ss(gps(d), _mm_load_sd(s->d))); }
DEF(cvtdq2ps) { pps(d, _mm_cvtepi32_ps(gi(s))); }
DEF(cvtps2dq) { pi(d, _mm_cvtps_epi32(gps(s))); }
DEF(cvttps2dq) { pi(d, _mm_cvttps_epi32(gps(s))); }
DEF(cvttpd2dq) { pi(d, _mm_cvttpd_epi32(gpd(s))); }
DEF(cvtpd2dq) { pi(d, _mm_cvtpd_epi32(gpd(s))); }
DEF(cvtdq2pd) { ppd(d, _mm_cvtepi32_pd(_mm_loadl_epi64((const __m128i *)s))); }

DEF(haddps) { pps(d, _mm_hadd_ps(gps(d), gps(s))); }
DEF(haddpd) { ppd(d, _mm_hadd_pd(gpd(d), gpd(s))); }
DEF(hsubps) { pps(d, _mm_hsub_ps(gps(d), gps(s))); }
DEF(hsubpd) { ppd(d, _mm_hsub_pd(gpd(d), gpd(s))); }
DEF(addsubps) { pps(d, _mm_addsub_ps(gps(d), gps(s))); }
DEF(addsubpd) { ppd(d, _mm_addsub_pd(gpd(d), gpd(s))); }

#define CMP(t, get_d, get_s, put) \
DEF(cmp##t) \
{ \
    switch (imm & 7) { \
    case 0: put(d, _mm_cmpeq_##t(get_d(d), get_s)); break; \
    case 1: put(d, _mm_cmplt_##t(get_d(d), get_s)); break; \
    case 2: put(d, _mm_cmple_##t(get_d(d), get_s)); break; \
    case 3: put(d, _mm_cmpunord_##t(get_d(d), get_s)); break; \
    case 4: put(d, _mm_cmpneq_##t(get_d(d), get_s)); break; \
    case 5: put(d, _mm_cmpnlt_##t(get_d(d), get_s)); break; \
    case 6: put(d, _mm_cmpnle_##t(get_d(d), get_s)); break; \
    default: put(d, _mm_cmpord_##t(get_d(d), get_s)); break; \
    } \
}
CMP(ps, gps, gps(s), pps)
CMP(pd, gpd, gpd(s), ppd)
CMP(ss, gps, _mm_load_ss(s->s), pps)
CMP(sd, gpd, _mm_load_sd(s->d), ppd)

/* AVX has 32 predicates, and so has the host if that is offered. */
#define EIGHT(X, t, n) X(t, n##0) X(t, n##1) X(t, n##2) X(t, n##3) X(t, n##4) X(t, n##5) \
                       X(t, n##6) X(t, n##7)
#define PREDICATE(t, n) \
    case n: \
        __asm__ volatile("vcmp" #t " $" #n ", %1, %0, %0" : "+x"(a) : "x"(b)); \
        break;
#define VCMP(t, type, load, get, put) \
DEF(vcmp##t) \
{ \
    type a = get(d), b = load; \
    switch (imm & 31) { \
    EIGHT(PREDICATE, t, 0) EIGHT(PREDICATE, t, 01) EIGHT(PREDICATE, t, 02) \
    EIGHT(PREDICATE, t, 03) \
    } \
    put(d, a); \
}
VCMP(ps, __m128, gps(s), gps, pps)
VCMP(pd, __m128d, gpd(s), gpd, ppd)
VCMP(ss, __m128, _mm_load_ss(s->s), gps, pps)
VCMP(sd, __m128d, _mm_load_sd(s->d), gpd, ppd)

#define ROUND(t, expr, put) \
DEF(round##t) \
{ \
    switch (imm & 15) { \
    case 0: put(d, expr(0)); break; \
    case 1: put(d, expr(1)); break; \
    case 2: put(d, expr(2)); break; \
    case 3: put(d, expr(3)); break; \
    case 8: put(d, expr(8)); break; \
    case 9: put(d, expr(9)); break; \
    case 10: put(d, expr(10)); break; \
    case 11: put(d, expr(11)); break; \
    case 4: case 5: case 6: case 7: put(d, expr(4)); break; \
    default: put(d, expr(12)); break; \
    } \
}
#define R_PS(m) _mm_round_ps(gps(s), m)
#define R_PD(m) _mm_round_pd(gpd(s), m)
#define R_SCALAR_D(m) _mm_round_sd(gpd(d), _mm_load_sd(s->d), m)
#define R_SCALAR_S(m) _mm_round_ss(gps(d), _mm_load_ss(s->s), m)
ROUND(ps, R_PS, pps)
ROUND(pd, R_PD, ppd)
ROUND(ss, R_SCALAR_S, pps)
ROUND(sd, R_SCALAR_D, ppd)

/*
 * The immediate picks products and places. What it leaves out is made zero
 * around the host's instruction, which knows which of several NaNs goes where:
 * processors differ in that.
 */
DEF(dpps)
{
    const __m128i bits = _mm_setr_epi32(1, 2, 4, 8), none = _mm_setzero_si128();
    __m128i in = _mm_and_si128(_mm_set1_epi32(imm >> 4), bits);
    __m128i out = _mm_and_si128(_mm_set1_epi32(imm), bits);
    __m128 drop = _mm_castsi128_ps(_mm_cmpeq_epi32(in, none));
    __m128 a = _mm_andnot_ps(drop, gps(d)), b = _mm_andnot_ps(drop, gps(s));

    __asm__ volatile("dpps $0xff, %1, %0" : "+x"(a) : "x"(b));
    drop = _mm_castsi128_ps(_mm_cmpeq_epi32(out, none));
    pps(d, _mm_andnot_ps(drop, a));
}

DEF(dppd)
{
    const __m128i bits = _mm_set_epi64x(2, 1), none = _mm_setzero_si128();
    __m128i in = _mm_and_si128(_mm_set1_epi64x(imm >> 4), bits);
    __m128i out = _mm_and_si128(_mm_set1_epi64x(imm), bits);
    __m128d drop = _mm_castsi128_pd(_mm_cmpeq_epi64(in, none));
    __m128d a = _mm_andnot_pd(drop, gpd(d)), b = _mm_andnot_pd(drop, gpd(s));

    __asm__ volatile("dppd $0xff, %1, %0" : "+x"(a) : "x"(b));
    drop = _mm_castsi128_pd(_mm_cmpeq_epi64(out, none));
    ppd(d, _mm_andnot_pd(drop, a));
}
