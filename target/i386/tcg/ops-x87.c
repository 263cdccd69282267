/*
 * x87 instructions: the register stack, exceptions, control and environment
 * (SDM 1, chapter 8). Results of unmasked overflow and underflow are those of
 * the masked case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/tcg/ops.h"
#include "target/i386/tcg/x87.h"

enum {
    FS_IE = 1, FS_DE = 2, FS_ZE = 4, FS_SF = 0x40, FS_ES = 0x80, FS_C0 = 0x100,
    FS_C1 = 0x200, FS_C2 = 0x400, FS_C3 = 0x4000, FS_B = 0x8000,
    FS_CC = FS_C0 | FS_C1 | FS_C2 | FS_C3,
};

static const FPReg indefinite = { 0xc000000000000000ull, 0xffff };

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

static void set_top(TCGCPU *c, unsigned t)
{
    c->fpus = (c->fpus & ~0x3800u) | (t & 7) << 11;
}

static void pop(TCGCPU *c)
{
    c->fptag &= ~(1u << top(c));
    set_top(c, top(c) + 1);
}

/* Gather flags; true if an unmasked one says that nothing is to be stored. */
static bool flags(TCGCPU *c, uint16_t sw)
{
    c->fpus = (c->fpus & ~FS_C1) | (sw & (0x7f | FS_C1));
    if (c->fpus & ~c->fpuc & 0x3f) {
        c->fpus |= FS_ES | FS_B;
    }
    return sw & ~c->fpuc & (FS_IE | FS_DE | FS_ZE);
}

/* Stack fault; up: overflow. True if it is unmasked. */
static bool stack_fault(TCGCPU *c, bool up)
{
    return flags(c, FS_IE | FS_SF | (up ? FS_C1 : 0));
}

/* Push v; flags have been seen to. */
static void push_reg(TCGCPU *c, const FPReg *v)
{
    set_top(c, top(c) - 1);
    c->fptag |= 1u << top(c);
    *st(c, 0) = *v;
}

static void push_checked(TCGCPU *c, const FPReg *v, uint16_t sw)
{
    if (!empty(c, 7)) {
        if (!stack_fault(c, true)) {
            push_reg(c, &indefinite);
        }
        return;
    }
    if (!flags(c, sw)) {
        push_reg(c, v);
    }
}

static void set_reg(TCGCPU *c, unsigned i, const FPReg *v)
{
    *st(c, i) = *v;
    c->fptag |= 1u << phys(c, i);
}

static bool is_nan(const FPReg *r)
{
    return (r->exponent & 0x7fff) == 0x7fff && (r->mantissa << 1) != 0;
}

/*
 * Flags of an operation whose memory operand had flags of its own: a denormal
 * is not reported with a NaN, nor with what ranks higher (SDM 1, 8.6).
 */
static uint16_t with_source(const TCGCPU *c, uint16_t sw, uint16_t before)
{
    const FPReg *a = &c->fpregs[phys(c, 0)];

    if (is_nan(a) || ((sw | before) & (FS_IE | FS_ZE))) {
        before &= ~FS_DE;
        if (before & FS_IE) {
            sw &= ~FS_DE;
        }
    }
    return sw | before;
}

/*
 * dst = fn(ST0, b). b_empty: the other operand is an empty register. True when
 * the result was stored, so that pops may follow.
 */
static bool binary(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                   unsigned dst, uint16_t before)
{
    FPReg r = { 0 }, unused = { 0 };
    uint16_t sw;

    if (empty(c, 0) || b_empty) {
        if (stack_fault(c, false)) {
            return false;
        }
        set_reg(c, dst, &indefinite);
        return true;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), b, &r, &unused);
    sw = with_source(c, sw, before);
    if (flags(c, sw)) {
        return false;
    }
    set_reg(c, dst, &r);
    return true;
}

/* Conditions of a comparison in the status word; true if to be popped. */
static bool compare(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                    uint16_t before)
{
    FPReg r, unused;
    uint16_t sw;
    bool stop;

    if (empty(c, 0) || b_empty) {
        stop = stack_fault(c, false);
        c->fpus |= FS_C0 | FS_C2 | FS_C3;
        return !stop;
    }
    sw = with_source(c, x87_compute(fn, c->fpuc, st(c, 0), b, &r, &unused),
                     before);
    stop = flags(c, sw & 0x3f);
    c->fpus = (c->fpus & ~FS_CC) | (sw & (FS_C0 | FS_C2 | FS_C3));
    return !stop;
}

/* FCOMI and FUCOMI: the same in EFLAGS. */
static bool compare_eflags(TCGCPU *c, X87Fn fn, unsigned i)
{
    bool bad = empty(c, 0) || empty(c, i);
    uint16_t old = c->fpus;
    bool ok = compare(c, fn, st(c, i), empty(c, i), 0);
    uint16_t cond = c->fpus;

    /* The conditions are as before; C1 tells of a stack fault only. */
    c->fpus = (c->fpus & ~FS_CC) | (old & FS_CC);
    if (bad) {
        c->fpus &= ~FS_C1;
    }
    lf_set(c, (cond & FS_C0 ? CC_C : 0) | (cond & FS_C2 ? CC_P : 0) |
              (cond & FS_C3 ? CC_Z : 0));
    return ok;
}

/* One operand, one result in its place. */
static void unary(TCGCPU *c, X87Fn fn)
{
    FPReg r = { 0 }, zero = { 0 }, unused;
    uint16_t sw;

    if (fn == X87_SIN || fn == X87_COS) {
        c->fpus &= ~FS_C2;
    }
    if (empty(c, 0)) {
        if (!stack_fault(c, false)) {
            set_reg(c, 0, &indefinite);
        }
        return;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), &zero, &r, &unused);
    if (fn == X87_SIN || fn == X87_COS) {
        c->fpus = (c->fpus & ~FS_C2) | (sw & FS_C2);
    }
    if (!flags(c, sw)) {
        set_reg(c, 0, &r);
    }
}

/* FPTAN, FSINCOS, FXTRACT. */
static void push_second(TCGCPU *c, X87Fn fn)
{
    FPReg r = { 0 }, r2 = { 0 };
    uint16_t sw;

    if (fn != X87_XTRACT) {
        c->fpus &= ~FS_C2;
    }
    if (empty(c, 0) || !empty(c, 7)) {
        if (!stack_fault(c, !empty(c, 0))) {
            set_reg(c, 0, &indefinite);
            push_reg(c, &indefinite);
        }
        return;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), st(c, 0), &r, &r2);
    if (fn != X87_XTRACT) {
        c->fpus = (c->fpus & ~FS_C2) | (sw & FS_C2);
        if (sw & FS_C2) {
            c->fpus &= ~FS_C1;
            return;             /* out of range: nothing is done */
        }
    }
    if (!flags(c, sw)) {
        set_reg(c, 0, &r);
        push_reg(c, &r2);
    }
}

/* FPREM and FPREM1 give quotient bits in the conditions. */
static void remainder_op(TCGCPU *c, X87Fn fn)
{
    FPReg r = { 0 }, unused;
    uint16_t sw;

    c->fpus &= ~FS_C2;
    if (empty(c, 0) || empty(c, 1)) {
        if (!stack_fault(c, false)) {
            set_reg(c, 0, &indefinite);
        }
        return;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), st(c, 1), &r, &unused);
    if (!flags(c, sw)) {
        set_reg(c, 0, &r);
    }
    if (!is_nan(&r)) {      /* else C0 and C3 stay as they are */
        c->fpus = (c->fpus & ~FS_CC) | (sw & FS_CC);
    }
}

/* Result to ST1, then pop: FYL2X, FYL2XP1, FPATAN. */
static void pop_into(TCGCPU *c, X87Fn fn)
{
    if (binary(c, fn, st(c, 1), empty(c, 1), 1, 0)) {
        pop(c);
    }
}

static void constant(TCGCPU *c, unsigned n)
{
    static const FPReg table[7] = {
        { 0x8000000000000000ull, 0x3fff }, { 0xd49a784bcd1b8afeull, 0x4000 },
        { 0xb8aa3b295c17f0bcull, 0x3fff }, { 0xc90fdaa22168c235ull, 0x4000 },
        { 0x9a209a84fbcff799ull, 0x3ffd }, { 0xb17217f7d1cf79acull, 0x3ffe },
        { 0, 0 },
    };
    FPReg v = table[n];
    unsigned rc = (c->fpuc >> 10) & 3;

    /* The tabulated values are rounded to nearest; some by direction too. */
    if (n == 1 && rc == 2) {
        v.mantissa++;                   /* log2(10) */
    } else if (n >= 2 && n <= 5 && (rc == 1 || rc == 3)) {
        v.mantissa--;                   /* these had been rounded up */
    }
    push_checked(c, &v, 0);
}

static void sign_op(TCGCPU *c, bool abs)
{
    if (empty(c, 0)) {
        if (!stack_fault(c, false)) {
            set_reg(c, 0, &indefinite);
        }
        return;
    }
    c->fpus &= ~FS_C1;
    st(c, 0)->exponent = abs ? st(c, 0)->exponent & 0x7fff :
                         st(c, 0)->exponent ^ 0x8000;
}

static void examine(TCGCPU *c)
{
    FPReg r, unused;
    uint16_t sw;

    if (empty(c, 0)) {
        c->fpus = (c->fpus & ~FS_CC) | FS_C3 | FS_C0 |
                  (st(c, 0)->exponent & 0x8000 ? FS_C1 : 0);
        return;
    }
    sw = x87_compute(X87_XAM, c->fpuc, st(c, 0), st(c, 0), &r, &unused);
    c->fpus = (c->fpus & ~FS_CC) | (sw & FS_CC);
}

static void exchange(TCGCPU *c, unsigned i)
{
    FPReg t;

    if (empty(c, 0) || empty(c, i)) {
        if (stack_fault(c, false)) {
            return;
        }
        if (empty(c, 0)) {
            set_reg(c, 0, &indefinite);
        }
        if (empty(c, i)) {
            set_reg(c, i, &indefinite);
        }
    } else {
        c->fpus &= ~FS_C1;
    }
    t = *st(c, 0);
    *st(c, 0) = *st(c, i);
    *st(c, i) = t;
}

/* FST ST(i). */
static bool copy_to(TCGCPU *c, unsigned i)
{
    FPReg v = *st(c, 0);

    if (empty(c, 0)) {
        if (stack_fault(c, false)) {
            return false;
        }
        v = indefinite;
    } else {
        c->fpus &= ~FS_C1;
    }
    set_reg(c, i, &v);
    return true;
}

static void fld_sti(TCGCPU *c, unsigned i)
{
    FPReg v = *st(c, i);

    if (empty(c, i)) {
        if (stack_fault(c, false)) {
            return;
        }
        v = indefinite;
        push_reg(c, &v);
        return;
    }
    push_checked(c, &v, 0);
}

/* FCMOVcc: n 0-3 B E BE U; not: the opposite. */
static void fcmov(TCGCPU *c, unsigned n, bool not, unsigned i)
{
    static const uint8_t cc[4] = { 2, 4, 6, 10 };

    if (empty(c, 0) || empty(c, i)) {
        /* Whatever the condition is. */
        if (!stack_fault(c, false)) {
            set_reg(c, 0, &indefinite);
        }
        return;
    }
    if (cond_eval(c, cc[n]) != not) {
        *st(c, 0) = *st(c, i);
    }
}

static void fninit(TCGCPU *c)
{
    c->fpuc = 0x37f;
    c->fpus = 0;
    c->fptag = 0;
    c->fpip = c->fpdp = 0;
    c->fpop = c->fpcs = c->fpds = 0;
}

static bool d9_reg(TCGCPU *c, unsigned n)
{
    switch (n) {
    case 0x10: return true;                         /* FNOP */
    case 0x20: sign_op(c, false); return true;
    case 0x21: sign_op(c, true); return true;
    case 0x24: {
        static const FPReg zero;
        compare(c, X87_TST, &zero, false, 0);
        return true;
    }
    case 0x25: examine(c); return true;
    case 0x28: case 0x29: case 0x2a: case 0x2b: case 0x2c: case 0x2d: case 0x2e:
        constant(c, n - 0x28);
        return true;
    case 0x30: unary(c, X87_F2XM1); return true;
    case 0x31: pop_into(c, X87_YL2X); return true;
    case 0x32: push_second(c, X87_TAN); return true;
    case 0x33: pop_into(c, X87_PATAN); return true;
    case 0x34: push_second(c, X87_XTRACT); return true;
    case 0x35: remainder_op(c, X87_PREM1); return true;
    case 0x36: set_top(c, top(c) - 1); c->fpus &= ~FS_C1; return true;
    case 0x37: set_top(c, top(c) + 1); c->fpus &= ~FS_C1; return true;
    case 0x38: remainder_op(c, X87_PREM); return true;
    case 0x39: pop_into(c, X87_YL2XP1); return true;
    case 0x3a: unary(c, X87_SQRT); return true;
    case 0x3b: push_second(c, X87_SINCOS); return true;
    case 0x3c: unary(c, X87_RNDINT); return true;
    case 0x3d: binary(c, X87_SCALE, st(c, 1), empty(c, 1), 0, 0); return true;
    case 0x3e: unary(c, X87_SIN); return true;
    case 0x3f: unary(c, X87_COS); return true;
    default: return false;
    }
}

/* Arithmetic between ST0 and ST(i): D8, DC, DE. */
static void arith_reg(TCGCPU *c, unsigned fn, unsigned i, bool to_sti, bool and_pop)
{
    if (fn == X87_COM || fn == X87_COMP_) {
        if (compare(c, fn, st(c, i), empty(c, i), 0) && fn == X87_COMP_) {
            pop(c);
            if (and_pop) {
                pop(c);
            }
        }
        return;
    }
    if (binary(c, fn, st(c, i), empty(c, i), to_sti ? i : 0, 0) && and_pop) {
        pop(c);
    }
}

static bool dd_reg(TCGCPU *c, unsigned reg, unsigned i)
{
    switch (reg) {
    case 0:
        c->fptag &= ~(1u << phys(c, i));
        c->fpus &= ~FS_C1;
        return true;
    case 1: exchange(c, i); return true;
    case 2: copy_to(c, i); return true;
    case 3:
        if (copy_to(c, i)) {
            pop(c);
        }
        return true;
    case 4: compare(c, X87_UCOM, st(c, i), empty(c, i), 0); return true;
    case 5:
        if (compare(c, X87_UCOM, st(c, i), empty(c, i), 0)) {
            pop(c);
        }
        return true;
    default: return false;
    }
}

static bool df_reg(TCGCPU *c, unsigned reg, unsigned i)
{
    switch (reg) {
    case 0:
        c->fptag &= ~(1u << phys(c, i));
        set_top(c, top(c) + 1);
        return true;
    case 5:
    case 6:
        if (compare_eflags(c, reg == 5 ? X87_UCOM : X87_COM, i)) {
            pop(c);
        }
        return true;
    default: return false;
    }
}

/* False: no such instruction. n: the low six bits of ModRM. */
static bool x87_register(TCGCPU *c, unsigned opc, unsigned n)
{
    unsigned reg = n >> 3, i = n & 7;

    switch (opc) {
    case 0: arith_reg(c, reg, i, false, false); return true;
    case 1:
        if (reg == 0) {
            fld_sti(c, i);
        } else if (reg == 1) {
            exchange(c, i);
        } else {
            return d9_reg(c, n);
        }
        return true;
    case 2:
        if (reg < 4) {
            fcmov(c, reg, false, i);
        } else if (n == 0x29) {                     /* FUCOMPP */
            if (compare(c, X87_UCOM, st(c, 1), empty(c, 1), 0)) {
                pop(c);
                pop(c);
            }
        } else {
            return false;
        }
        return true;
    case 3:
        if (reg < 4) {
            fcmov(c, reg, true, i);
        } else if (reg == 5 || reg == 6) {
            compare_eflags(c, reg == 5 ? X87_UCOM : X87_COM, i);
        } else {
            return n >= 0x20 && n <= 0x24;          /* control: done before */
        }
        return true;
    case 4: arith_reg(c, reg, i, reg != 2 && reg != 3, false); return true;
    case 5: return dd_reg(c, reg, i);
    case 6:
        if ((reg == 3 && i != 1) || reg == 2) {
            return false;
        }
        arith_reg(c, reg, i, true, true);
        return true;
    default: return df_reg(c, reg, i);
    }
}

/* ---- Memory operands ---- */

static void load_mem(TCGCPU *c, const X86Op *op, X87Mem kind)
{
    uint8_t m[16];
    FPReg r = { 0 };
    uint16_t sw;

    tcg_load_bytes(c, ea(c, op), m, x87_mem_bytes[kind]);
    sw = x87_load(kind, m, &r);
    push_checked(c, &r, sw);
}

/*
 * A NaN of 32 or 64 bits as it is: loading would make a signalling one quiet
 * before the operation can choose between two.
 */
static bool load_nan(X87Mem kind, const uint8_t *m, FPReg *r)
{
    uint64_t q = 0, frac;
    bool sign;

    memcpy(&q, m, x87_mem_bytes[kind]);
    if (kind == X87_M32) {
        sign = q >> 31;
        frac = (q & 0x7fffff) << 40;
        q = (q >> 23) & 0xff;
        q = q == 0xff;
    } else if (kind == X87_M64) {
        sign = q >> 63;
        frac = (q & 0xfffffffffffffull) << 11;
        q = ((q >> 52) & 0x7ff) == 0x7ff;
    } else {
        return false;
    }
    r->mantissa = 1ull << 63 | frac;
    r->exponent = 0x7fff | (unsigned)sign << 15;
    return q && frac;
}

static void arith_mem(TCGCPU *c, const X86Op *op, unsigned fn, X87Mem kind)
{
    uint8_t m[16];
    FPReg b = { 0 };
    uint16_t sw;

    tcg_load_bytes(c, ea(c, op), m, x87_mem_bytes[kind]);
    sw = load_nan(kind, m, &b) ? 0 : x87_load(kind, m, &b) & 0x3f;
    if (fn == X87_COM || fn == X87_COMP_) {
        if (compare(c, fn, &b, false, sw) && fn == X87_COMP_) {
            pop(c);
        }
    } else {
        binary(c, fn, &b, false, 0, sw);
    }
}

static void store_mem(TCGCPU *c, const X86Op *op, X87Mem kind, bool chop,
                      bool and_pop)
{
    uint64_t addr = ea(c, op);
    uint8_t m[16] = { 0 };
    const FPReg *v = st(c, 0);
    uint16_t sw;

    tcg_probe_write(c, addr, x87_mem_bytes[kind]);
    if (empty(c, 0)) {
        v = &indefinite;
        if (stack_fault(c, false)) {
            return;
        }
        x87_store(kind, c->fpuc, chop, v, m);
    } else {
        sw = x87_store(kind, c->fpuc, chop, v, m);
        if (flags(c, sw)) {
            return;
        }
    }
    tcg_store_bytes(c, addr, m, x87_mem_bytes[kind]);
    if (and_pop) {
        pop(c);
    }
}

/* The full tag word: 0 valid, 1 zero, 2 special, 3 empty. */
static uint16_t full_tags(const TCGCPU *c)
{
    uint16_t tags = 0;

    for (unsigned i = 0; i < 8; i++) {
        const FPReg *r = &c->fpregs[i];
        unsigned e = r->exponent & 0x7fff, t = 0;

        if (!((c->fptag >> i) & 1)) {
            t = 3;
        } else if (e == 0 && r->mantissa == 0) {
            t = 1;
        } else if (e == 0 || e == 0x7fff || !(r->mantissa >> 63)) {
            t = 2;
        }
        tags |= t << (2 * i);
    }
    return tags;
}

/* FNSTENV's image, 14 or 28 bytes. Returns its size. */
static unsigned env_image(TCGCPU *c, const X86Op *op, uint8_t *m)
{
    uint32_t w[7] = {
        0xffff0000u | c->fpuc, 0xffff0000u | c->fpus, 0xffff0000u | full_tags(c),
        c->fpip, c->fpcs | (uint32_t)c->fpop << 16, c->fpdp, 0xffff0000u | c->fpds,
    };

    if (op->size == 1) {
        for (unsigned i = 0; i < 7; i++) {
            uint16_t h = w[i];
            memcpy(m + 2 * i, &h, 2);
        }
        return 14;
    }
    memcpy(m, w, 28);
    return 28;
}

static unsigned env_load(TCGCPU *c, const X86Op *op, uint64_t addr)
{
    unsigned step = op->size == 1 ? 2 : 4, i;
    uint8_t m[28];
    uint16_t tags;

    tcg_load_bytes(c, addr, m, 7 * step);
    memcpy(&c->fpuc, m, 2);
    memcpy(&c->fpus, m + step, 2);
    memcpy(&tags, m + 2 * step, 2);
    c->fpuc = (c->fpuc & 0x1f7f) | 0x40;
    c->fptag = 0;
    for (i = 0; i < 8; i++) {
        c->fptag |= ((tags >> (2 * i)) & 3) != 3 ? 1u << i : 0;
    }
    c->fpus &= ~(FS_ES | FS_B);
    flags(c, c->fpus & FS_C1);
    if (step == 4) {
        uint32_t v;
        memcpy(&v, m + 12, 4);
        c->fpip = v;
        memcpy(&v, m + 20, 4);
        c->fpdp = v;
    }
    return 7 * step;
}

static void save_all(TCGCPU *c, const X86Op *op)
{
    uint64_t addr = ea(c, op);
    uint8_t m[28 + 80];
    unsigned n = env_image(c, op, m);

    for (unsigned i = 0; i < 8; i++) {
        memcpy(m + n + 10 * i, st(c, i), 10);
    }
    tcg_store_bytes(c, addr, m, n + 80);
    fninit(c);
}

static void restore_all(TCGCPU *c, const X86Op *op)
{
    uint64_t addr = ea(c, op);
    uint8_t m[80];
    unsigned n = op->size == 1 ? 14 : 28;

    tcg_load_bytes(c, addr + n, m, 80);
    env_load(c, op, addr);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(st(c, i), m + 10 * i, 10);
    }
}

static void set_control(TCGCPU *c, uint16_t cw)
{
    c->fpuc = (cw & 0x1f7f) | 0x40;
    c->fpus &= ~(FS_ES | FS_B);
    if (c->fpus & ~c->fpuc & 0x3f) {
        c->fpus |= FS_ES | FS_B;
    }
}

static bool x87_memory(TCGCPU *c, const X86Op *op, unsigned opc, unsigned reg)
{
    switch (opc << 3 | reg) {
    case 010: load_mem(c, op, X87_M32); return true;
    case 012: store_mem(c, op, X87_M32, false, false); return true;
    case 013: store_mem(c, op, X87_M32, false, true); return true;
    case 014: env_load(c, op, ea(c, op)); return true;
    case 015: set_control(c, ld16(c, op, ea(c, op))); return true;
    case 030: load_mem(c, op, X87_I32); return true;
    case 031: store_mem(c, op, X87_I32, true, true); return true;
    case 032: store_mem(c, op, X87_I32, false, false); return true;
    case 033: store_mem(c, op, X87_I32, false, true); return true;
    case 035: load_mem(c, op, X87_M80); return true;
    case 037: store_mem(c, op, X87_M80, false, true); return true;
    case 050: load_mem(c, op, X87_M64); return true;
    case 051: store_mem(c, op, X87_I64, true, true); return true;
    case 052: store_mem(c, op, X87_M64, false, false); return true;
    case 053: store_mem(c, op, X87_M64, false, true); return true;
    case 054: restore_all(c, op); return true;
    case 070: load_mem(c, op, X87_I16); return true;
    case 071: store_mem(c, op, X87_I16, true, true); return true;
    case 072: store_mem(c, op, X87_I16, false, false); return true;
    case 073: store_mem(c, op, X87_I16, false, true); return true;
    case 074: load_mem(c, op, X87_BCD); return true;
    case 075: load_mem(c, op, X87_I64); return true;
    case 076: store_mem(c, op, X87_BCD, false, true); return true;
    case 077: store_mem(c, op, X87_I64, false, true); return true;
    default: break;
    }
    switch (opc) {
    case 0: arith_mem(c, op, reg, X87_M32); return true;
    case 2: arith_mem(c, op, reg, X87_I32); return true;
    case 4: arith_mem(c, op, reg, X87_M64); return true;
    case 6: arith_mem(c, op, reg, X87_I16); return true;
    default: return false;
    }
}

/* Those that do not wait for pending exceptions. True: done. */
static bool x87_control(TCGCPU *c, const X86Op *op, unsigned opc, unsigned reg)
{
    uint8_t m[28];

    if (op->flags & OF_MEM) {
        switch (opc << 3 | reg) {
        case 016: {
            unsigned n = env_image(c, op, m);
            tcg_store_bytes(c, ea(c, op), m, n);
            set_control(c, c->fpuc | 0x3f);
            return true;
        }
        case 017: st16(c, op, ea(c, op), c->fpuc); return true;
        case 056: save_all(c, op); return true;
        case 057: st16(c, op, ea(c, op), c->fpus); return true;
        default: return false;
        }
    }
    if (opc == 3 && reg == 4) {
        if (op->rm == 2) {
            c->fpus &= 0x7f00;
        } else if (op->rm == 3) {
            fninit(c);
        }
        return op->rm <= 4;
    }
    if (opc == 7 && reg == 4 && op->rm == 0) {
        RSET16(R_EAX, c->fpus);
        return true;
    }
    return false;
}

static void check_pending(TCGCPU *c)
{
    if (c->fpus & FS_ES) {
        /* Without CR0.NE the error would go to the PICs: not done. */
        tcg_raise(c, EXCP_MF);
    }
}

OP(op_x87)
{
    unsigned opc = op->id, reg = op->reg & 7;
    bool ok;

    sync_eip(c, op);
    if (unlikely(c->fpu_off)) {
        tcg_fpu_unavailable(c, op);
    }
    if (x87_control(c, op, opc, reg)) {
        return op + 1;
    }
    check_pending(c);
    if (op->flags & OF_MEM) {
        ok = x87_memory(c, op, opc, reg);
    } else {
        ok = x87_register(c, opc, reg << 3 | (op->rm & 7));
    }
    if (!ok) {
        tcg_raise(c, EXCP_UD);
    }
    c->fpip = c->eip;
    return op + 1;
}

OP(op_fwait)
{
    sync_eip(c, op);
    if ((c->cr0 & (CR0_TS | CR0_MP)) == (CR0_TS | CR0_MP)) {
        tcg_raise(c, EXCP_NM);
    }
    check_pending(c);
    NEXT;
}
