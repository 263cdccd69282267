/*
 * Bits of general registers: BMI1, BMI2, LZCNT, ADX, and MOVBE.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/ops/vex.h"
#include "target/i386/tcg/sys/system.h"

/* The feature, and where VEX is an encoding, or #UD. */
#define NEED(feature) do { \
        if (unlikely(!tcg_has(c, X86_FEATURE_##feature)) || \
            unlikely((op->flags & OF_VEX) && !(op->flags & OF_C64) && !tcg_protected(c))) { \
            return op_ud(c, op); \
        } \
    } while (0)

/* SF and ZF by a result, CF; the others are 0, or undefined. */
static inline void bit_flags(TCGCPU *c, uint64_t r, unsigned size, unsigned cf)
{
    lf_set_co(c, sext(r, size), cf, 0);
}

OP(op_andn)
{
    uint64_t b, r;

    NEED(BMI1);
    b = rm_get(c, op, op->size);
    r = ~c->regs[vex_v(op)] & b;
    reg_set(c, op->reg, r, op->size);
    bit_flags(c, r, op->size, 0);
    NEXT;
}

/* BLSR (id 1), BLSMSK (2), BLSI (3). */
OP(op_bls)
{
    uint64_t a, r;

    NEED(BMI1);
    a = rm_get(c, op, op->size);
    r = op->id == 1 ? a & (a - 1) : op->id == 2 ? a ^ (a - 1) : a & -a;
    reg_set(c, vex_v(op), r, op->size);
    bit_flags(c, r, op->size, op->id == 3 ? a != 0 : a == 0);
    NEXT;
}

OP(op_bextr)
{
    unsigned start, n;
    uint64_t a, how;

    NEED(BMI1);
    a = rm_get(c, op, op->size);
    how = c->regs[vex_v(op)];
    start = how & 0xff;
    n = (how >> 8) & 0xff;
    a = start < 64 ? a >> start : 0;
    a = n < 64 ? a & (((uint64_t)1 << n) - 1) : a;
    reg_set(c, op->reg, a, op->size);
    bit_flags(c, a, op->size, 0);
    NEXT;
}

OP(op_bzhi)
{
    unsigned n, bits = 8u << op->size;
    uint64_t a;

    NEED(BMI2);
    a = rm_get(c, op, op->size);
    n = (uint8_t)c->regs[vex_v(op)];
    a = n < bits ? a & (((uint64_t)1 << n) - 1) : a;
    reg_set(c, op->reg, a, op->size);
    bit_flags(c, a, op->size, n >= bits);
    NEXT;
}

static uint64_t deposit(uint64_t a, uint64_t mask)
{
    uint64_t r = 0;

    for (; mask; mask &= mask - 1, a >>= 1) {
        r |= a & 1 ? mask & -mask : 0;
    }
    return r;
}

static uint64_t extract(uint64_t a, uint64_t mask)
{
    uint64_t r = 0;

    for (unsigned n = 0; mask; mask &= mask - 1, n++) {
        r |= (uint64_t)((a & mask & -mask) != 0) << n;
    }
    return r;
}

/* PDEP (id 0), PEXT (1). */
OP(op_pdep)
{
    uint64_t mask, a;

    NEED(BMI2);
    mask = rm_get(c, op, op->size);
    a = reg_get(c, vex_v(op), op->size);
    reg_set(c, op->reg, op->id ? extract(a, mask) : deposit(a, mask), op->size);
    NEXT;
}

/* The upper half is written last: both may go to one register. */
OP(op_mulx)
{
    unsigned bits = 8u << op->size;
    unsigned __int128 r;

    NEED(BMI2);
    r = (unsigned __int128)rm_get(c, op, op->size) * reg_get(c, R_EDX, op->size);
    reg_set(c, vex_v(op), (uint64_t)r, op->size);
    reg_set(c, op->reg, (uint64_t)(r >> bits), op->size);
    NEXT;
}

OP(op_rorx)
{
    unsigned bits = 8u << op->size, n = (uint8_t)op->imm & (bits - 1);
    uint64_t a;

    NEED(BMI2);
    a = rm_get(c, op, op->size);
    a = n ? a >> n | a << (bits - n) : a;
    reg_set(c, op->reg, a, op->size);
    NEXT;
}

/* SHLX (id 1), SARX (2), SHRX (3): by the mandatory prefix. */
OP(op_shiftx)
{
    unsigned n;
    uint64_t a;

    NEED(BMI2);
    a = rm_get(c, op, op->size);
    n = c->regs[vex_v(op)] & (op->size == 3 ? 63 : 31);
    a = op->id == 1 ? a << n : op->id == 2 ? (uint64_t)(sext(a, op->size) >> n) : a >> n;
    reg_set(c, op->reg, a, op->size);
    NEXT;
}

/* TZCNT (id 0), LZCNT (1); where they are not offered, BSF and BSR. */
OP(op_count_zeros)
{
    unsigned bits = 8u << op->size, n;
    uint64_t a;

    if (!(op->id ? tcg_has(c, X86_FEATURE_ABM) : tcg_has(c, X86_FEATURE_BMI1))) {
        TAIL op_bitscan(c, op);
    }
    a = rm_get(c, op, op->size);
    n = !a ? bits : op->id ? bits - 64 + __builtin_clzll(a) : (unsigned)__builtin_ctzll(a);
    reg_set(c, op->reg, n, op->size);
    lf_set(c, (n == 0 ? CC_Z : 0) | (n == bits ? CC_C : 0));
    NEXT;
}

/* ADCX (id 0), ADOX (1): with CF or OF, and no other flag. 66 is part of ADCX. */
OP(op_adx)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2, cf = lf_cf(c), of = lf_of(c), out;
    unsigned __int128 r;

    NEED(ADX);
    r = (unsigned __int128)rm_get(c, op, size) + reg_get(c, op->reg, size) + (op->id ? of : cf);
    reg_set(c, op->reg, (uint64_t)r, size);
    out = (unsigned)(r >> (8u << size));
    lf_set_only_co(c, op->id ? cf : out, op->id ? out : of);
    NEXT;
}

/* To a register (id 0) or to memory (1). */
OP(op_movbe)
{
    uint64_t v;

    NEED(MOVBE);
    v = op->id ? reg_get(c, op->reg, op->size) : ld_size(c, op, ea(c, op), op->size);
    v = __builtin_bswap64(v) >> (64 - (8u << op->size));
    if (op->id) {
        st_size(c, op, ea(c, op), v, op->size);
    } else {
        reg_set(c, op->reg, v, op->size);
    }
    NEXT;
}
