/*
 * x87 arithmetic on the host's own x87: operands in, operation, flags out. The
 * host's unit is empty and in its default state before and after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/x87.h"

#include <string.h>

#define CLOBBERS "st", "st(1)", "st(2)", "st(3)", "st(4)", "st(5)", "st(6)", \
                 "st(7)", "memory"

/*
 * Exceptions that cw does not mask wait in the status word; no instruction here
 * but FNCLEX and FNINIT, which forget them, comes before a waiting one.
 */
/* st(0) = a, st(1) = b; the result is on top afterwards. */
#define RUN(insn) \
    __asm__ volatile("fninit\n\tfldcw %[cw]\n\tfldt %[b]\n\tfldt %[a]\n\t" \
                     insn "\n\tfnstsw %[sw]\n\tfnclex\n\tfstpt %[r]\n\tfninit" \
                     : [sw] "=m"(sw), [r] "=m"(*r) \
                     : [cw] "m"(cw), [a] "m"(*a), [b] "m"(*b) : CLOBBERS)
/* Only flags. */
#define TEST(insn) \
    __asm__ volatile("fninit\n\tfldcw %[cw]\n\tfldt %[b]\n\tfldt %[a]\n\t" \
                     insn "\n\tfnstsw %[sw]\n\tfninit" \
                     : [sw] "=m"(sw) \
                     : [cw] "m"(cw), [a] "m"(*a), [b] "m"(*b) : CLOBBERS)
/* Two results: the upper one to r2. */
#define RUN2(insn) \
    __asm__ volatile("fninit\n\tfldcw %[cw]\n\tfldt %[a]\n\t" \
                     insn "\n\tfnstsw %[sw]\n\tfnclex\n\tfstpt %[q]\n\tfstpt %[r]\n\tfninit" \
                     : [sw] "=m"(sw), [r] "=m"(*r), [q] "=m"(*r2) \
                     : [cw] "m"(cw), [a] "m"(*a) : CLOBBERS)

const uint8_t x87_mem_bytes[7] = { 4, 8, 2, 4, 8, 10, 10 };

uint16_t x87_compute(X87Fn fn, uint16_t cw, const FPReg *a, const FPReg *b,
                     FPReg *r, FPReg *r2)
{
    uint16_t sw = 0;

    switch (fn) {
    case X87_ADD: RUN("fadd %%st(1), %%st"); break;
    case X87_MUL: RUN("fmul %%st(1), %%st"); break;
    case X87_SUB: RUN("fsub %%st(1), %%st"); break;
    case X87_SUBR: RUN("fsubr %%st(1), %%st"); break;
    case X87_DIV: RUN("fdiv %%st(1), %%st"); break;
    case X87_DIVR: RUN("fdivr %%st(1), %%st"); break;
    case X87_COM:
    case X87_COMP_: TEST("fcom %%st(1)"); break;
    case X87_UCOM: TEST("fucom %%st(1)"); break;
    case X87_TST: TEST("ftst"); break;
    case X87_XAM: TEST("fxam"); break;
    case X87_F2XM1: RUN("f2xm1"); break;
    case X87_YL2X: RUN("fyl2x"); break;
    case X87_PATAN: RUN("fpatan"); break;
    case X87_PREM1: RUN("fprem1"); break;
    case X87_PREM: RUN("fprem"); break;
    case X87_YL2XP1: RUN("fyl2xp1"); break;
    case X87_SQRT: RUN("fsqrt"); break;
    case X87_RNDINT: RUN("frndint"); break;
    case X87_SCALE: RUN("fscale"); break;
    case X87_SIN: RUN("fsin"); break;
    case X87_COS: RUN("fcos"); break;
    case X87_TAN: RUN2("fptan"); break;
    case X87_SINCOS: RUN2("fsincos"); break;
    case X87_XTRACT: RUN2("fxtract"); break;
    }
    return sw;
}

#define LOAD(insn, T) \
    __asm__ volatile("fninit\n\t" insn " %[m]\n\tfnstsw %[sw]\n\tfstpt %[r]\n\tfninit" \
                     : [sw] "=m"(sw), [r] "=m"(*r) \
                     : [m] "m"(*(const T *)m) : CLOBBERS)

typedef struct Bytes10 { uint8_t b[10]; } Bytes10;

uint16_t x87_load(X87Mem kind, const void *m, FPReg *r)
{
    uint16_t sw = 0;

    switch (kind) {
    case X87_M32: LOAD("flds", uint32_t); break;
    case X87_M64: LOAD("fldl", uint64_t); break;
    case X87_I16: LOAD("filds", uint16_t); break;
    case X87_I32: LOAD("fildl", uint32_t); break;
    case X87_I64: LOAD("fildll", uint64_t); break;
    case X87_BCD: LOAD("fbld", Bytes10); break;
    default: memcpy(r, m, 10); break;
    }
    return sw;
}

#define STORE(insn, T) \
    __asm__ volatile("fninit\n\tfldcw %[cw]\n\tfldt %[a]\n\t" insn \
                     " %[m]\n\tfnstsw %[sw]\n\tfninit" \
                     : [sw] "=m"(sw), [m] "=m"(*(T *)m) \
                     : [cw] "m"(cw), [a] "m"(*a) : CLOBBERS)

uint16_t x87_store(X87Mem kind, uint16_t cw, bool chop, const FPReg *a, void *m)
{
    uint16_t sw = 0;

    cw |= chop ? 0xc00 : 0;
    switch (kind) {
    case X87_M32: STORE("fstps", uint32_t); break;
    case X87_M64: STORE("fstpl", uint64_t); break;
    case X87_I16: STORE("fistps", uint16_t); break;
    case X87_I32: STORE("fistpl", uint32_t); break;
    case X87_I64: STORE("fistpll", uint64_t); break;
    case X87_BCD: STORE("fbstp", Bytes10); break;
    default: memcpy(m, a, 10); break;
    }
    return chop ? sw & ~0x200 : sw;
}
