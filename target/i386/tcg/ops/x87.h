/*
 * x87 arithmetic on the host's own x87.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_X87_H
#define TARGET_I386_TCG_X87_H

#include "target/i386/cpu.h"

typedef enum X87Fn {
    X87_ADD, X87_MUL, X87_COM, X87_COMP_, X87_SUB, X87_SUBR, X87_DIV, X87_DIVR,
    X87_UCOM, X87_TST, X87_XAM, X87_F2XM1, X87_YL2X, X87_PATAN, X87_PREM1,
    X87_PREM, X87_YL2XP1, X87_SQRT, X87_RNDINT, X87_SCALE, X87_SIN, X87_COS,
    X87_TAN, X87_SINCOS, X87_XTRACT,
} X87Fn;

/*
 * Compute fn of a (ST0) and b under control word cw. *r is the result (anything
 * after an unmasked IE, DE or ZE), *r2 what functions with two results push on top.
 * Returns the host's status word: exception flags and conditions.
 */
uint16_t x87_compute(X87Fn fn, uint16_t cw, const FPReg *a, const FPReg *b,
                     FPReg *r, FPReg *r2);

/* Conversions to the register format; kind of memory operand. */
typedef enum X87Mem {
    X87_M32, X87_M64, X87_I16, X87_I32, X87_I64, X87_BCD, X87_M80,
} X87Mem;
/* Bytes of each. */
extern const uint8_t x87_mem_bytes[7];
uint16_t x87_load(X87Mem kind, const void *m, FPReg *r);
/*
 * To memory format; chop: round to zero (FISTTP). Returns the status word. *m is as
 * it was after an unmasked IE, OE or UE.
 */
uint16_t x87_store(X87Mem kind, uint16_t cw, bool chop, const FPReg *a, void *m);

#endif
