/*
 * x87 instructions: the register stack, exceptions, control and environment
 * (SDM 1, chapter 8).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/ops/x87-stack.h"

/* Gather flags; true if an unmasked one says that nothing is to be stored. */
bool x87_flags(TCGCPU *c, uint16_t sw)
{
    bool stop = sw & ~c->fpuc & (FS_IE | FS_DE | FS_ZE);

    if (stop) {
        /* The operation does not take place; C1 tells of the stack alone. */
        sw &= FS_IE | FS_DE | FS_ZE | FS_SF | (sw & FS_SF ? FS_C1 : 0);
    }
    c->fpus = (c->fpus & ~FS_C1) | (sw & (0x7f | FS_C1));
    if (c->fpus & ~c->fpuc & 0x3f) {
        c->fpus |= FS_ES | FS_B;
    }
    return stop;
}

/* Stack fault; up: overflow. True if it is unmasked. */
/* Stack fault; up: overflow. True if it is unmasked. */
static bool x87_stack_fault(TCGCPU *c, bool up)
{
    return x87_flags(c, FS_IE | FS_SF | (up ? FS_C1 : 0));
}

/* Push v; flags have been seen to. */
static void push_reg(TCGCPU *c, const FPReg *v)
{
    set_top(c, top(c) - 1);
    c->fptag |= 1u << top(c);
    *st(c, 0) = *v;
}

void x87_push(TCGCPU *c, const FPReg *v, uint16_t sw)
{
    if (!empty(c, 7)) {
        if (!x87_stack_fault(c, true)) {
            push_reg(c, &x87_indefinite);
        }
        return;
    }
    /* A denormal is loaded even if that is not masked. */
    x87_flags(c, sw);
    if (!(sw & ~c->fpuc & FS_IE)) {
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
bool x87_binary(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                   unsigned dst, uint16_t before)
{
    FPReg r = { 0 }, unused = { 0 };
    uint16_t sw;

    if (empty(c, 0) || b_empty) {
        if (x87_stack_fault(c, false)) {
            return false;
        }
        set_reg(c, dst, &x87_indefinite);
        return true;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), b, &r, &unused);
    sw = with_source(c, sw, before);
    if (x87_flags(c, sw)) {
        return false;
    }
    set_reg(c, dst, &r);
    return true;
}

/* Conditions of a comparison in the status word; true if to be popped. */
bool x87_compare(TCGCPU *c, X87Fn fn, const FPReg *b, bool b_empty,
                    uint16_t before)
{
    FPReg r, unused;
    uint16_t sw;
    bool stop;

    if (empty(c, 0) || b_empty) {
        stop = x87_stack_fault(c, false);
        c->fpus |= FS_C0 | FS_C2 | FS_C3;
        return !stop;
    }
    sw = with_source(c, x87_compute(fn, c->fpuc, st(c, 0), b, &r, &unused),
                     before);
    stop = x87_flags(c, sw & 0x3f);
    c->fpus = (c->fpus & ~FS_CC) | (sw & (FS_C0 | FS_C2 | FS_C3));
    return !stop;
}

/* FCOMI and FUCOMI: the same in EFLAGS. */
static bool compare_eflags(TCGCPU *c, X87Fn fn, unsigned i)
{
    bool bad = empty(c, 0) || empty(c, i);
    uint16_t old = c->fpus;
    bool ok = x87_compare(c, fn, st(c, i), empty(c, i), 0);
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
        if (!x87_stack_fault(c, false)) {
            set_reg(c, 0, &x87_indefinite);
        }
        return;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), &zero, &r, &unused);
    if (fn == X87_SIN || fn == X87_COS) {
        c->fpus = (c->fpus & ~FS_C2) | (sw & FS_C2);
    }
    if (!x87_flags(c, sw)) {
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
        if (!x87_stack_fault(c, !empty(c, 0))) {
            set_reg(c, 0, &x87_indefinite);
            push_reg(c, &x87_indefinite);
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
    if (!x87_flags(c, sw)) {
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
        if (!x87_stack_fault(c, false)) {
            set_reg(c, 0, &x87_indefinite);
        }
        return;
    }
    sw = x87_compute(fn, c->fpuc, st(c, 0), st(c, 1), &r, &unused);
    if (x87_flags(c, sw)) {
        return;
    }
    set_reg(c, 0, &r);
    if (!is_nan(&r)) {      /* else C0 and C3 stay as they are */
        c->fpus = (c->fpus & ~FS_CC) | (sw & FS_CC);
    }
}

/* Result to ST1, then pop: FYL2X, FYL2XP1, FPATAN. */
static void pop_into(TCGCPU *c, X87Fn fn)
{
    if (x87_binary(c, fn, st(c, 1), empty(c, 1), 1, 0)) {
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
    x87_push(c, &v, 0);
}

static void sign_op(TCGCPU *c, bool abs)
{
    if (empty(c, 0)) {
        if (!x87_stack_fault(c, false)) {
            set_reg(c, 0, &x87_indefinite);
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
        if (x87_stack_fault(c, false)) {
            return;
        }
        if (empty(c, 0)) {
            set_reg(c, 0, &x87_indefinite);
        }
        if (empty(c, i)) {
            set_reg(c, i, &x87_indefinite);
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
        if (x87_stack_fault(c, false)) {
            return false;
        }
        v = x87_indefinite;
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
        if (x87_stack_fault(c, false)) {
            return;
        }
        v = x87_indefinite;
        push_reg(c, &v);
        return;
    }
    x87_push(c, &v, 0);
}

/* D9 D8+i, FSTP but for stack faults: an empty register is popped and not stored. */
static void move_to(TCGCPU *c, unsigned i)
{
    if (!empty(c, 0)) {
        set_reg(c, i, st(c, 0));
    }
    c->fpus &= ~FS_C1;
    pop(c);
}

/* FCMOVcc: n 0-3 B E BE U; not: the opposite. */
static void fcmov(TCGCPU *c, unsigned n, bool not, unsigned i)
{
    static const uint8_t cc[4] = { 2, 4, 6, 10 };

    if (empty(c, 0) || empty(c, i)) {
        /* Whatever the condition is. */
        if (!x87_stack_fault(c, false)) {
            set_reg(c, 0, &x87_indefinite);
        }
        return;
    }
    if (cond_eval(c, cc[n]) != not) {
        *st(c, 0) = *st(c, i);
    }
}

void x87_fninit(TCGCPU *c)
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
        x87_compare(c, X87_TST, &zero, false, 0);
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
    case 0x3d: x87_binary(c, X87_SCALE, st(c, 1), empty(c, 1), 0, 0); return true;
    case 0x3e: unary(c, X87_SIN); return true;
    case 0x3f: unary(c, X87_COS); return true;
    default: return false;
    }
}

/* Arithmetic between ST0 and ST(i): D8, DC, DE. */
static void arith_reg(TCGCPU *c, unsigned fn, unsigned i, bool to_sti, bool and_pop)
{
    if (fn == X87_COM || fn == X87_COMP_) {
        if (x87_compare(c, fn, st(c, i), empty(c, i), 0) && fn == X87_COMP_) {
            pop(c);
            if (and_pop) {
                pop(c);
            }
        }
        return;
    }
    if (x87_binary(c, fn, st(c, i), empty(c, i), to_sti ? i : 0, 0) && and_pop) {
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
    case 4: x87_compare(c, X87_UCOM, st(c, i), empty(c, i), 0); return true;
    case 5:
        if (x87_compare(c, X87_UCOM, st(c, i), empty(c, i), 0)) {
            pop(c);
        }
        return true;
    default: return false;
    }
}

/* Opcodes that no manual names any more: FFREEP, FXCH, FSTP. */
static bool df_reg(TCGCPU *c, unsigned reg, unsigned i)
{
    switch (reg) {
    case 0:
        c->fptag &= ~(1u << phys(c, i));
        c->fpus &= ~FS_C1;
        pop(c);
        return true;
    case 1: exchange(c, i); return true;
    case 2:
    case 3:
        if (copy_to(c, i)) {
            pop(c);
        }
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
bool x87_register(TCGCPU *c, unsigned opc, unsigned n)
{
    unsigned reg = n >> 3, i = n & 7;

    switch (opc) {
    case 0: arith_reg(c, reg, i, false, false); return true;
    case 1:
        if (reg == 0) {
            fld_sti(c, i);
        } else if (reg == 1) {
            exchange(c, i);
        } else if (reg == 3) {
            move_to(c, i);
        } else {
            return d9_reg(c, n);
        }
        return true;
    case 2:
        if (reg < 4) {
            fcmov(c, reg, false, i);
        } else if (n == 0x29) {                     /* FUCOMPP */
            if (x87_compare(c, X87_UCOM, st(c, 1), empty(c, 1), 0)) {
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
        if (reg == 3 && i != 1) {
            return false;
        }
        if (reg == 2) {
            arith_reg(c, 3, i, false, false);       /* FCOMP by another name */
            return true;
        }
        arith_reg(c, reg, i, true, true);
        return true;
    default: return df_reg(c, reg, i);
    }
}
