/*
 * x87 instructions with memory operands, the environment, and the way into all
 * of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/ops/x87-stack.h"

static void load_mem(TCGCPU *c, const X86Op *op, X87Mem kind)
{
    uint8_t m[16];
    FPReg r = { 0 };
    uint16_t sw;

    tcg_load_bytes(c, ea(c, op), m, x87_mem_bytes[kind]);
    sw = x87_load(kind, m, &r);
    x87_push(c, &r, sw);
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
        if (x87_compare(c, fn, &b, false, sw) && fn == X87_COMP_) {
            pop(c);
        }
    } else {
        x87_binary(c, fn, &b, false, 0, sw);
    }
}

static void store_mem(TCGCPU *c, const X86Op *op, X87Mem kind, bool chop,
                      bool and_pop)
{
    uint64_t addr = ea(c, op);
    uint8_t m[16] = { 0 };
    uint16_t sw = FS_IE | FS_SF;

    if (empty(c, 0)) {
        x87_store(kind, c->fpuc, chop, &x87_indefinite, m);
    } else {
        sw = x87_store(kind, c->fpuc, chop, st(c, 0), m);
    }
    /* After an unmasked exception memory is not even looked at. */
    if (sw & ~c->fpuc & (FS_IE | FS_DE | FS_OE | FS_UE)) {
        x87_flags(c, sw);
        return;
    }
    tcg_probe_write(c, addr, x87_mem_bytes[kind]);
    x87_flags(c, sw);
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
    x87_flags(c, c->fpus & FS_C1);
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
    x87_fninit(c);
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
            x87_fninit(c);
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
    g_assert(ok);                 /* the decoder knows which there are */
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
