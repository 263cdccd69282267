/*
 * The x87 register stack, as the files with its instructions share it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_X87_STACK_H
#define TARGET_I386_TCG_X87_STACK_H

#include "target/i386/tcg/tcg-cpu.h"
#include "target/i386/tcg/ops/x87.h"

enum {
    FS_IE = 1, FS_DE = 2, FS_ZE = 4, FS_OE = 8, FS_UE = 0x10, FS_SF = 0x40, FS_ES = 0x80,
    FS_C0 = 0x100,
    FS_C1 = 0x200, FS_C2 = 0x400, FS_C3 = 0x4000, FS_B = 0x8000,
    FS_CC = FS_C0 | FS_C1 | FS_C2 | FS_C3,
};

static const FPReg x87_indefinite = { 0xc000000000000000ull, 0xffff };

static inline unsigned top(const TCGCPU *c)
{
    return (c->fpus >> 11) & 7;
}

static inline unsigned phys(const TCGCPU *c, unsigned i)
{
    return (top(c) + i) & 7;
}

static inline FPReg *st(TCGCPU *c, unsigned i)
{
    return &c->fpregs[phys(c, i)];
}

static inline bool empty(const TCGCPU *c, unsigned i)
{
    return !((c->fptag >> phys(c, i)) & 1);
}

static inline void set_top(TCGCPU *c, unsigned t)
{
    c->fpus = (c->fpus & ~0x3800u) | (t & 7) << 11;
}

static inline void pop(TCGCPU *c)
{
    c->fptag &= ~(1u << top(c));
    set_top(c, top(c) + 1);
}

/* Gather flags; true if an unmasked one says that nothing is to be stored. */
bool x87_flags(TCGCPU *c, uint16_t sw);
/* Push v, which came with the flags sw. */
void x87_push(TCGCPU *c, const FPReg *v, uint16_t sw);
/* See ops-x87.c: ST(dst) = fn(ST0, b), and comparisons; true: may pop. */
bool x87_binary(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                unsigned dst, uint16_t before);
bool x87_compare(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                 uint16_t before);
void x87_fninit(TCGCPU *c);
/* The register forms; n: the low six bits of ModRM. False: there is none. */
bool x87_register(TCGCPU *c, unsigned opc, unsigned n);

#endif
