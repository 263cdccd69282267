/*
 * Lazy flags. An arithmetic result is kept sign-extended in lf_res; lf_aux
 * holds what the result does not tell:
 *   bit 63      CF
 *   bit 62      CF ^ OF (the carry into the sign bit)
 *   bit 16      SF is the opposite of lf_res' sign
 *   bits 15:8   parity is that of lf_res ^ these
 *   bit 3       AF
 * ZF is lf_res == 0. This way no condition needs to know which instruction
 * set the flags.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_FLAGS_H
#define TARGET_I386_TCG_FLAGS_H

#include "target/i386/tcg/tcg-cpu.h"

#define AUX_TOP 0xc000000000000000ull
#define CC_ALL (CC_C | CC_P | CC_A | CC_Z | CC_S | CC_O)

static inline unsigned lf_cf(const TCGCPU *c)
{
    return c->lf_aux >> 63;
}

static inline unsigned lf_of(const TCGCPU *c)
{
    return (c->lf_aux ^ (c->lf_aux << 1)) >> 63;
}

static inline unsigned lf_zf(const TCGCPU *c)
{
    return c->lf_res == 0;
}

static inline unsigned lf_sf(const TCGCPU *c)
{
    return (((uint64_t)c->lf_res >> 63) ^ (c->lf_aux >> 16)) & 1;
}

static inline unsigned lf_af(const TCGCPU *c)
{
    return (c->lf_aux >> 3) & 1;
}

static inline unsigned lf_pf(const TCGCPU *c)
{
    return !__builtin_parity((c->lf_res ^ (c->lf_aux >> 8)) & 0xff);
}

/* The six arithmetic flags, as EFLAGS has them. */
static inline uint32_t lf_get(const TCGCPU *c)
{
    return lf_cf(c) | lf_pf(c) << 2 | lf_af(c) << 4 | lf_zf(c) << 6 |
           lf_sf(c) << 7 | lf_of(c) << 11;
}

static inline void lf_set(TCGCPU *c, uint32_t fl)
{
    uint64_t cf = fl & 1, of = (fl >> 11) & 1, sf = (fl >> 7) & 1;
    uint64_t np = !(fl & CC_P), af = (fl >> 4) & 1;

    c->lf_res = fl & CC_Z ? 0 : 0x100;
    c->lf_aux = cf << 63 | (cf ^ of) << 62 | sf << 16 | np << 8 | af << 3;
}

static inline void lf_set_cf(TCGCPU *c, unsigned cf)
{
    uint64_t of = lf_of(c), n = cf;

    c->lf_aux = (c->lf_aux & ~AUX_TOP) | n << 63 | (n ^ of) << 62;
}

/* Result with CF and OF given, AF cleared: shifts, multiplications. */
static inline void lf_set_co(TCGCPU *c, int64_t res, unsigned cf, unsigned of)
{
    c->lf_res = res;
    c->lf_aux = (uint64_t)cf << 63 | (uint64_t)(cf ^ of) << 62;
}

/* Only CF and OF change: rotates. */
static inline void lf_set_only_co(TCGCPU *c, unsigned cf, unsigned of)
{
    c->lf_aux = (c->lf_aux & ~AUX_TOP) | (uint64_t)cf << 63 |
                (uint64_t)(cf ^ of) << 62;
}

/* All of EFLAGS. */
static inline uint64_t cpu_get_eflags(const TCGCPU *c)
{
    return c->eflags | lf_get(c) | (c->df < 0 ? DF_MASK : 0) | 2;
}

static inline void cpu_set_eflags(TCGCPU *c, uint64_t fl)
{
    lf_set(c, fl);
    c->df = fl & DF_MASK ? -1 : 1;
    c->eflags = fl & ~(uint64_t)(CC_ALL | DF_MASK);
}

static inline bool cond_o(const TCGCPU *c) { return lf_of(c); }
static inline bool cond_b(const TCGCPU *c) { return (int64_t)c->lf_aux < 0; }
static inline bool cond_z(const TCGCPU *c) { return c->lf_res == 0; }
static inline bool cond_be(const TCGCPU *c) { return cond_b(c) || cond_z(c); }
static inline bool cond_s(const TCGCPU *c) { return lf_sf(c); }
static inline bool cond_p(const TCGCPU *c) { return lf_pf(c); }
static inline bool cond_l(const TCGCPU *c) { return lf_sf(c) != lf_of(c); }
static inline bool cond_le(const TCGCPU *c) { return cond_z(c) || cond_l(c); }

/* Condition cc of Jcc, SETcc, CMOVcc. */
static inline bool cond_eval(const TCGCPU *c, unsigned cc)
{
    bool v;

    switch (cc >> 1) {
    case 0: v = cond_o(c); break;
    case 1: v = cond_b(c); break;
    case 2: v = cond_z(c); break;
    case 3: v = cond_be(c); break;
    case 4: v = cond_s(c); break;
    case 5: v = cond_p(c); break;
    case 6: v = cond_l(c); break;
    default: v = cond_le(c); break;
    }
    return v ^ (cc & 1);
}

#endif
