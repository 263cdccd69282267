/*
 * AES, PCLMULQDQ and SHA by the host's instructions; only offered where it has them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <immintrin.h>

#include "target/i386/tcg/ops/crypto.h"
#include "target/i386/tcg/ops/vec.h"
#include "target/i386/tcg/sys/system.h"

static inline __m128i get(const XMMReg *r)
{
    return _mm_loadu_si128((const __m128i *)r);
}

static inline void put(XMMReg *r, __m128i v)
{
    _mm_storeu_si128((__m128i *)r, v);
}

#define DEF(name) void sse_##name(XMMReg *d, const XMMReg *s, unsigned imm)
/* The instruction with a and b; text has an immediate or none. */
#define RUN(text) __asm__(text " %1, %0" : "+x"(a) : "x"(b))
#define PLAIN(name) \
DEF(name) \
{ \
    __m128i a = get(d), b = get(s); \
    RUN(#name); \
    put(d, a); \
}
PLAIN(aesimc) PLAIN(aesenc) PLAIN(aesenclast) PLAIN(aesdec) PLAIN(aesdeclast)
PLAIN(sha1nexte) PLAIN(sha1msg1) PLAIN(sha1msg2) PLAIN(sha256msg1) PLAIN(sha256msg2)

/* The round's constant is XORed to two of the words. */
DEF(aeskeygenassist)
{
    __m128i a = get(d), b = get(s);

    RUN("aeskeygenassist $0,");
    put(d, a);
    d->l[1] ^= imm;
    d->l[3] ^= imm;
}

DEF(pclmulqdq)
{
    __m128i a = get(d), b = get(s);

    switch (imm & 0x11) {
    case 0x00: RUN("pclmulqdq $0x00,"); break;
    case 0x01: RUN("pclmulqdq $0x01,"); break;
    case 0x10: RUN("pclmulqdq $0x10,"); break;
    default: RUN("pclmulqdq $0x11,"); break;
    }
    put(d, a);
}

DEF(sha1rnds4)
{
    __m128i a = get(d), b = get(s);

    switch (imm & 3) {
    case 0: RUN("sha1rnds4 $0,"); break;
    case 1: RUN("sha1rnds4 $1,"); break;
    case 2: RUN("sha1rnds4 $2,"); break;
    default: RUN("sha1rnds4 $3,"); break;
    }
    put(d, a);
}

static const struct {
    SSEFn *fn;
    uint16_t feature;
} crypto[] = {
#define ROW(name, feature) [CRYPTO_##name] = { sse_##name, X86_FEATURE_##feature },
    CRYPTO_LIST(ROW)
};

static SLOW_PATH void run_crypto(TCGCPU *c, const X86Op *op)
{
    const XMMReg *s = vec_source16(c, op);

    crypto[op->id].fn(&c->xmm[op->reg], s, (uint8_t)op->imm);
}

OP(op_crypto)
{
    if (!tcg_has(c, crypto[op->id].feature)) {
        return op_ud(c, op);
    }
    VEC_CHECK(c, op);
    run_crypto(c, op);
    NEXT;
}

/* With two words of the message in XMM0. */
OP(op_sha256rnds2)
{
    __m128i a, b, words;

    if (!tcg_has(c, X86_FEATURE_SHA_NI)) {
        return op_ud(c, op);
    }
    VEC_CHECK(c, op);
    b = get(vec_source16(c, op));
    a = get(&c->xmm[op->reg]);
    words = get(&c->xmm[0]);
    __asm__("sha256rnds2 %%xmm0, %1, %0" : "+x"(a) : "x"(b), "Yz"(words));
    put(&c->xmm[op->reg], a);
    NEXT;
}
