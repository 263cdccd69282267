/*
 * Shifts, rotates, bit tests and scans, multiplication and division.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"

/* Flags of a shift by n != 0 (masked): SF, ZF, PF of r; CF; OF as for n = 1. */
static inline void shift_flags(TCGCPU *c, uint64_t r, unsigned size, unsigned cf,
                        unsigned of)
{
    lf_set_co(c, sext(r, size), cf, of);
}

static uint64_t do_rotate(TCGCPU *c, unsigned which, uint64_t a, unsigned n,
                          unsigned size)
{
    unsigned bits = 8u << size, k = n & (bits - 1);
    uint64_t r = a;

    if (which == 0) {
        r = k ? (a << k) | (a >> (bits - k)) : a;
        r &= size_mask(size);
        lf_set_only_co(c, r & 1, (r & 1) ^ ((r >> (bits - 1)) & 1));
    } else {
        r = k ? (a >> k) | (a << (bits - k)) : a;
        r &= size_mask(size);
        lf_set_only_co(c, (r >> (bits - 1)) & 1,
                       ((r >> (bits - 1)) ^ (r >> (bits - 2))) & 1);
    }
    return r;
}

static uint64_t do_rcl(TCGCPU *c, uint64_t a, unsigned n, unsigned size)
{
    unsigned bits = 8u << size, k = n % (bits + 1), cf = lf_cf(c);
    unsigned __int128 w = ((unsigned __int128)cf << bits) | a;
    unsigned __int128 r = k ? (w << k) | (w >> (bits + 1 - k)) : w;
    uint64_t v = (uint64_t)r & size_mask(size);

    cf = (r >> bits) & 1;
    lf_set_only_co(c, cf, cf ^ ((v >> (bits - 1)) & 1));
    return v;
}

static uint64_t do_rcr(TCGCPU *c, uint64_t a, unsigned n, unsigned size)
{
    unsigned bits = 8u << size, k = n % (bits + 1), cf = lf_cf(c);
    unsigned __int128 w = ((unsigned __int128)cf << bits) | a;
    unsigned __int128 r = k ? (w >> k) | (w << (bits + 1 - k)) : w;
    uint64_t v = (uint64_t)r & size_mask(size);

    lf_set_only_co(c, (unsigned)(r >> bits) & 1,
                   ((v >> (bits - 1)) ^ (v >> (bits - 2))) & 1);
    return v;
}

static inline uint64_t do_shl(TCGCPU *c, uint64_t a, unsigned n, unsigned size)
{
    unsigned bits = 8u << size, cf;
    uint64_t r;

    r = n < 64 ? (a << n) & size_mask(size) : 0;
    cf = n <= bits ? (a >> (bits - n)) & 1 : 0;
    shift_flags(c, r, size, cf, cf ^ ((r >> (bits - 1)) & 1));
    return r;
}

static inline uint64_t do_shr(TCGCPU *c, uint64_t a, unsigned n, unsigned size)
{
    unsigned bits = 8u << size;
    uint64_t r = a >> n;

    shift_flags(c, r, size, (a >> (n - 1)) & 1,
                n == 1 ? (a >> (bits - 1)) & 1 : 0);
    return r;
}

static inline uint64_t do_sar(TCGCPU *c, uint64_t a, unsigned n, unsigned size)
{
    int64_t s = sext(a, size);
    uint64_t r = (uint64_t)(s >> n) & size_mask(size);

    shift_flags(c, r, size, (s >> (n - 1)) & 1, 0);
    return r;
}

/* which: ModRM.reg of the shift group. n is not 0 and masked. */
static uint64_t do_shift(TCGCPU *c, unsigned which, uint64_t a, unsigned n,
                         unsigned size)
{
    switch (which) {
    case 0:
    case 1: return do_rotate(c, which, a, n, size);
    case 2: return do_rcl(c, a, n, size);
    case 3: return do_rcr(c, a, n, size);
    case 5: return do_shr(c, a, n, size);
    case 7: return do_sar(c, a, n, size);
    default: return do_shl(c, a, n, size);
    }
}

static inline void shift_by(TCGCPU *c, const X86Op *op, unsigned n)
{
    n &= op->size == 3 ? 63 : 31;
    if (op->flags & OF_MEM) {
        uint64_t a = ea(c, op);
        /* The write access is checked even if nothing changes. */
        union { un8 b; un16 w; un32 l; un64 q; } *p;
        uint64_t v;

        switch (op->size) {
        case 0: p = (void *)rmw8(c, op, a); v = p->b.v; break;
        case 1: p = (void *)rmw16(c, op, a); v = p->w.v; break;
        case 2: p = (void *)rmw32(c, op, a); v = p->l.v; break;
        default: p = (void *)rmw64(c, op, a); v = p->q.v; break;
        }
        if (n) {
            v = do_shift(c, op->id, v, n, op->size);
            switch (op->size) {
            case 0: p->b.v = v; break;
            case 1: p->w.v = v; break;
            case 2: p->l.v = v; break;
            default: p->q.v = v; break;
            }
        }
        rmw_end(c, p);
    } else if (n) {
        uint64_t v = reg_get(c, op->rm, op->size);

        reg_set(c, op->rm, do_shift(c, op->id, v, n, op->size), op->size);
    } else if (op->size == 2) {
        RSET32(op->rm, c->regs[op->rm]);
    }
}

OP(op_shift_cl) { shift_by(c, op, (uint8_t)c->regs[R_ECX]); NEXT; }
OP(op_shift_i) { shift_by(c, op, (uint8_t)op->imm); NEXT; }

/* The common ones: 32- and 64-bit register by immediate. */
#define FAST_SHIFT(N, MASK) \
SOP(shl_i##N) \
{ \
    unsigned n = op->imm & MASK; \
    uint##N##_t a = RGET##N(op->rm), r; \
    if (n) { \
        r = a << n; \
        unsigned cf = (a >> (N - n)) & 1; \
        lf_set_co(c, (int##N##_t)r, cf, cf ^ (r >> (N - 1))); \
        a = r; \
    } \
    RSET##N(op->rm, a); \
    NEXT; \
} \
SOP(shr_i##N) \
{ \
    unsigned n = op->imm & MASK; \
    uint##N##_t a = RGET##N(op->rm), r; \
    if (n) { \
        r = a >> n; \
        lf_set_co(c, (int##N##_t)r, (a >> (n - 1)) & 1, \
                  n == 1 ? a >> (N - 1) : 0); \
        a = r; \
    } \
    RSET##N(op->rm, a); \
    NEXT; \
} \
SOP(sar_i##N) \
{ \
    unsigned n = op->imm & MASK; \
    int##N##_t a = RGET##N(op->rm), r; \
    if (n) { \
        r = a >> n; \
        lf_set_co(c, r, (a >> (n - 1)) & 1, 0); \
        a = r; \
    } \
    RSET##N(op->rm, a); \
    NEXT; \
}
#define FAST_ROTATE(N, MASK) \
SOP(rol_i##N) \
{ \
    unsigned n = op->imm & MASK; \
    uint##N##_t r = RGET##N(op->rm); \
    if (n) { \
        r = r << n | r >> (N - n); \
        lf_set_only_co(c, r & 1, (r ^ (r >> (N - 1))) & 1); \
    } \
    RSET##N(op->rm, r); \
    NEXT; \
} \
SOP(ror_i##N) \
{ \
    unsigned n = op->imm & MASK; \
    uint##N##_t r = RGET##N(op->rm); \
    if (n) { \
        r = r >> n | r << (N - n); \
        lf_set_only_co(c, r >> (N - 1), ((r >> (N - 1)) ^ (r >> (N - 2))) & 1); \
    } \
    RSET##N(op->rm, r); \
    NEXT; \
}
FAST_SHIFT(32, 31)
FAST_SHIFT(64, 63)
FAST_ROTATE(32, 31)
FAST_ROTATE(64, 63)
#define SHIFT_TAB(name) \
    { op_shift_i, op_shift_i, name##_i32, name##_i64, \
      op_shift_i, op_shift_i, op_shift_i, op_shift_i }
OpTab tab_rol_i = SHIFT_TAB(rol);
OpTab tab_ror_i = SHIFT_TAB(ror);
OpTab tab_shl_i = SHIFT_TAB(shl);
OpTab tab_shr_i = SHIFT_TAB(shr);
OpTab tab_sar_i = SHIFT_TAB(sar);

#define SHIFT_CL(name, N, MASK, expr) \
SOP(name##_cl##N) \
{ \
    unsigned n = (uint8_t)c->regs[R_ECX] & MASK; \
    uint##N##_t a = RGET##N(op->rm); \
    if (n) { \
        a = expr; \
    } \
    RSET##N(op->rm, a); \
    NEXT; \
}
#define SHIFTS_CL(N, MASK) \
    SHIFT_CL(shl, N, MASK, do_shl(c, a, n, N == 64 ? 3 : 2)) \
    SHIFT_CL(shr, N, MASK, do_shr(c, a, n, N == 64 ? 3 : 2)) \
    SHIFT_CL(sar, N, MASK, do_sar(c, a, n, N == 64 ? 3 : 2))
SHIFTS_CL(32, 31)
SHIFTS_CL(64, 63)
#define SHIFT_CL_TAB(name) \
    { op_shift_cl, op_shift_cl, name##_cl32, name##_cl64, \
      op_shift_cl, op_shift_cl, op_shift_cl, op_shift_cl }
OpTab tab_shl_cl = SHIFT_CL_TAB(shl);
OpTab tab_shr_cl = SHIFT_CL_TAB(shr);
OpTab tab_sar_cl = SHIFT_CL_TAB(sar);

/* SHLD (id bit 0 clear) and SHRD, by immediate or by CL (id bit 1). */
OP(op_shld)
{
    unsigned size = op->size, bits = 8u << size;
    unsigned n = (op->id & 2 ? (uint8_t)c->regs[R_ECX] : (uint8_t)op->imm) &
                 (size == 3 ? 63 : 31);
    uint64_t addr = op->flags & OF_MEM ? ea(c, op) : 0;
    uint64_t b = reg_get(c, op->reg, size), a, r;
    unsigned cf;

    if (op->flags & OF_MEM) {
        sync_eip(c, op);
        tcg_probe_write(c, addr, bits / 8);
        a = ld_size(c, op, addr, size);
    } else {
        a = reg_get(c, op->rm, size);
    }
    r = a;
    if (n) {
        /* 16 bits by more than 16: processors wrap round; CF undefined. */
        unsigned __int128 w;
        if (op->id & 1) {
            w = (size == 1 ? (unsigned __int128)a << 32 : 0) |
                ((unsigned __int128)b << bits) | a;
            r = (uint64_t)(w >> n) & size_mask(size);
            cf = (w >> (n - 1)) & 1;
        } else if (size == 1) {
            w = (unsigned __int128)a << 32 | (uint64_t)b << 16 | a;
            r = (uint16_t)(w >> (32 - n));
            cf = (w >> (48 - n)) & 1;
        } else {
            w = ((unsigned __int128)a << bits) | b;
            r = (uint64_t)(w >> (bits - n)) & size_mask(size);
            cf = (w >> (2 * bits - n)) & 1;
        }
        shift_flags(c, r, size, cf,
                    ((a ^ r) >> (bits - 1)) & 1);
    }
    if (op->flags & OF_MEM) {
        st_size(c, op, addr, r, size);
    } else if (n || size == 2) {
        reg_set(c, op->rm, r, size);
    }
    NEXT;
}

static uint64_t bit_apply(unsigned which, uint64_t v, uint64_t bit)
{
    switch (which) {
    case 1: return v | bit;
    case 2: return v & ~bit;
    case 3: return v ^ bit;
    default: return v;
    }
}

/* BT BTS BTR BTC (id & 3); id & 4: the bit number is an immediate. */
OP(op_bt)
{
    unsigned size = op->size, bits = 8u << size;
    int64_t n = op->id & 4 ? op->imm : sext(reg_get(c, op->reg, size), size);
    uint64_t bit = (uint64_t)1 << (n & (bits - 1)), v, addr;

    if (!(op->flags & OF_MEM)) {
        v = reg_get(c, op->rm, size);
        if (op->id & 3) {
            reg_set(c, op->rm, bit_apply(op->id & 3, v, bit), size);
        }
        lf_set_cf(c, (v & bit) != 0);
        NEXT;
    }
    addr = ea(c, op);
    if (!(op->id & 4)) {
        addr += (uint64_t)(n >> (3 + size)) * (bits / 8);
        if (op->flags & OF_A32 && op->flags & OF_C64) {
            addr = (uint32_t)addr;
        }
    }
    if (!(op->id & 3)) {
        v = ld_size(c, op, addr, size);
        lf_set_cf(c, (v & bit) != 0);
        NEXT;
    }
    if (size == 3) {
        un64 *p = atomic_rmw64(c, op, addr);
        v = p->v;
        while (!__atomic_compare_exchange_n((uint64_t *)p, &v,
                    bit_apply(op->id & 3, v, bit), false,
                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        rmw_end(c, p);
    } else if (size == 2) {
        un32 *p = atomic_rmw32(c, op, addr);
        uint32_t w = p->v;
        while (!__atomic_compare_exchange_n((uint32_t *)p, &w,
                    (uint32_t)bit_apply(op->id & 3, w, bit), false,
                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        v = w;
        rmw_end(c, p);
    } else {
        un16 *p = atomic_rmw16(c, op, addr);
        uint16_t w = p->v;
        while (!__atomic_compare_exchange_n((uint16_t *)p, &w,
                    (uint16_t)bit_apply(op->id & 3, w, bit), false,
                    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
        }
        v = w;
        rmw_end(c, p);
    }
    lf_set_cf(c, (v & bit) != 0);
    NEXT;
}

/* BSF (id 0), BSR (1). Source 0 leaves the destination as it is. */
OP(op_bitscan)
{
    uint64_t v = rm_get(c, op, op->size), r;
    uint32_t fl = lf_get(c) & ~CC_Z;

    if (v == 0) {
        lf_set(c, fl | CC_Z);
        NEXT;
    }
    r = op->id ? 63 - __builtin_clzll(v) : __builtin_ctzll(v);
    reg_set(c, op->reg, r, op->size);
    lf_set(c, fl);
    NEXT;
}

OP(op_popcnt)
{
    uint64_t v = rm_get(c, op, op->size);

    reg_set(c, op->reg, __builtin_popcountll(v), op->size);
    lf_set(c, v ? 0 : CC_Z);
    NEXT;
}

/* CRC32 r, r/m: polynomial 0x11EDC6F41, bits reflected (SDM 2A). */
OP(op_crc32)
{
    unsigned n = op->id ? 0 : op->size, i;
    uint64_t v = rm_get(c, op, n);
    uint32_t crc = (uint32_t)c->regs[op->reg];

    for (i = 0; i < (8u << n); i++) {
        uint32_t bit = (crc ^ (uint32_t)v) & 1;
        crc = (crc >> 1) ^ (bit ? 0x82f63b78u : 0);
        v >>= 1;
    }
    c->regs[op->reg] = crc;
    NEXT;
}

/* MUL: rDX:rAX = rAX * r/m. */
OP(op_mul)
{
    uint64_t b = rm_get(c, op, op->size), a = reg_get(c, R_EAX, op->size);
    unsigned __int128 r = (unsigned __int128)a * b;
    unsigned bits = 8u << op->size;
    uint64_t hi;

    if (op->size == 0) {
        RSET16(R_EAX, (uint64_t)r);
        hi = (uint64_t)r >> 8;
    } else {
        hi = (uint64_t)(r >> bits);
        reg_set(c, R_EAX, (uint64_t)r, op->size);
        reg_set(c, R_EDX, hi, op->size);
    }
    lf_set_co(c, sext((uint64_t)r, op->size), hi != 0, hi != 0);
    NEXT;
}

OP(op_imul1)
{
    __int128 r = (__int128)sext(rm_get(c, op, op->size), op->size) *
                 sext(reg_get(c, R_EAX, op->size), op->size);
    bool over = r != sext((uint64_t)r, op->size);

    if (op->size == 0) {
        RSET16(R_EAX, (uint64_t)r);
    } else {
        reg_set(c, R_EAX, (uint64_t)r, op->size);
        reg_set(c, R_EDX, (uint64_t)(r >> (8u << op->size)), op->size);
    }
    lf_set_co(c, sext((uint64_t)r, op->size), over, over);
    NEXT;
}

/* Two- and three-operand IMUL. */
#define IMUL_FORMS(N, WIDE) \
SOP(imul_re_r##N) \
{ \
    WIDE r = (WIDE)(int##N##_t)RGET##N(op->reg) * (int##N##_t)RGET##N(op->rm); \
    bool over = r != (int##N##_t)r; \
    RSET##N(op->reg, r); \
    lf_set_co(c, (int##N##_t)r, over, over); \
    NEXT; \
} \
SOP(imul_re_m##N) \
{ \
    int##N##_t b = ld##N(c, op, ea(c, op)); \
    WIDE r = (WIDE)(int##N##_t)RGET##N(op->reg) * b; \
    bool over = r != (int##N##_t)r; \
    RSET##N(op->reg, r); \
    lf_set_co(c, (int##N##_t)r, over, over); \
    NEXT; \
} \
SOP(imul_rei_r##N) \
{ \
    WIDE r = (WIDE)(int##N##_t)RGET##N(op->rm) * (int##N##_t)op->imm; \
    bool over = r != (int##N##_t)r; \
    RSET##N(op->reg, r); \
    lf_set_co(c, (int##N##_t)r, over, over); \
    NEXT; \
} \
SOP(imul_rei_m##N) \
{ \
    int##N##_t b = ld##N(c, op, ea(c, op)); \
    WIDE r = (WIDE)b * (int##N##_t)op->imm; \
    bool over = r != (int##N##_t)r; \
    RSET##N(op->reg, r); \
    lf_set_co(c, (int##N##_t)r, over, over); \
    NEXT; \
}
IMUL_FORMS(16, int32_t)
IMUL_FORMS(32, int64_t)
IMUL_FORMS(64, __int128)
OpTab tab_imul_re = { NULL, imul_re_r16, imul_re_r32, imul_re_r64,
                      NULL, imul_re_m16, imul_re_m32, imul_re_m64 };
OpTab tab_imul_rei = { NULL, imul_rei_r16, imul_rei_r32, imul_rei_r64,
                       NULL, imul_rei_m16, imul_rei_m32, imul_rei_m64 };

OP(op_div)
{
    unsigned size = op->size, bits = 8u << size;
    uint64_t d = rm_get(c, op, size);
    unsigned __int128 n, q;

    sync_eip(c, op);
    n = size == 0 ? (unsigned __int128)(uint16_t)c->regs[R_EAX] :
        ((unsigned __int128)reg_get(c, R_EDX, size) << bits) |
        reg_get(c, R_EAX, size);
    if (d == 0) {
        tcg_raise(c, EXCP_DE);
    }
    if (size == 3 && c->regs[R_EDX] == 0) {
        uint64_t a = c->regs[R_EAX];
        c->regs[R_EAX] = a / d;
        c->regs[R_EDX] = a % d;
        NEXT;
    }
    q = n / d;
    if (q > size_mask(size)) {
        tcg_raise(c, EXCP_DE);
    }
    if (size == 0) {
        RSET16(R_EAX, (uint64_t)q | (uint64_t)(n % d) << 8);
    } else {
        reg_set(c, R_EAX, (uint64_t)q, size);
        reg_set(c, R_EDX, (uint64_t)(n % d), size);
    }
    NEXT;
}

OP(op_idiv)
{
    unsigned size = op->size, bits = 8u << size;
    int64_t d = sext(rm_get(c, op, size), size);
    __int128 n, q, r;

    sync_eip(c, op);
    n = size == 0 ? (__int128)(int16_t)c->regs[R_EAX] :
        (__int128)(((unsigned __int128)(__int128)sext(c->regs[R_EDX], size)
                    << bits) | reg_get(c, R_EAX, size));
    /* The one quotient that does not fit 128 bits. */
    if (d == 0 || (d == -1 && n == (__int128)((unsigned __int128)1 << 127))) {
        tcg_raise(c, EXCP_DE);
    }
    q = n / d;
    r = n % d;
    if (q != sext((uint64_t)q, size)) {
        tcg_raise(c, EXCP_DE);
    }
    if (size == 0) {
        RSET16(R_EAX, (uint8_t)q | (uint64_t)(uint8_t)r << 8);
    } else {
        reg_set(c, R_EAX, (uint64_t)q, size);
        reg_set(c, R_EDX, (uint64_t)r, size);
    }
    NEXT;
}
