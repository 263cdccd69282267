/*
 * Instructions that only exist outside 64-bit code: decimal adjustment,
 * BOUND, ARPL, INTO, LES and LDS.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

static void decimal(TCGCPU *c, bool sub)
{
    uint8_t al = c->regs[R_EAX], old = al;
    unsigned cf = lf_cf(c), af = 0, ncf = 0;

    if ((al & 15) > 9 || lf_af(c)) {
        ncf = cf || (sub ? al < 6 : al > 0xf9);
        al = sub ? al - 6 : al + 6;
        af = CC_A;
    }
    if (old > 0x99 || cf) {
        al = sub ? al - 0x60 : al + 0x60;
        ncf = 1;
    }
    RSET8(0, al);
    SET_LOGIC(8, al);
    lf_set(c, (lf_get(c) & ~(CC_C | CC_A)) | ncf | af);
}

OP(op_daa) { decimal(c, false); NEXT; }
OP(op_das) { decimal(c, true); NEXT; }

static void ascii(TCGCPU *c, int d)
{
    uint32_t fl = lf_get(c) & ~(CC_C | CC_A);

    if ((c->regs[R_EAX] & 15) > 9 || lf_af(c)) {
        RSET16(R_EAX, (uint16_t)c->regs[R_EAX] + d * 0x106);
        fl |= CC_C | CC_A;
    }
    RSET8(0, c->regs[R_EAX] & 15);
    lf_set(c, fl);
}

OP(op_aaa) { ascii(c, 1); NEXT; }
OP(op_aas) { ascii(c, -1); NEXT; }

OP(op_aam)
{
    uint8_t al = c->regs[R_EAX], b = op->imm;

    if (b == 0) {
        sync_eip(c, op);
        tcg_raise(c, EXCP_DE);
    }
    RSET16(R_EAX, (al / b) << 8 | al % b);
    SET_LOGIC(8, (uint8_t)(al % b));
    NEXT;
}

OP(op_aad)
{
    uint8_t v = (uint8_t)c->regs[R_EAX] + RB8(1) * (uint8_t)op->imm;

    RSET16(R_EAX, v);
    SET_LOGIC(8, v);
    NEXT;
}

OP(op_salc)
{
    RSET8(0, lf_cf(c) ? 0xff : 0);
    NEXT;
}

OP(op_bound)
{
    uint64_t addr = ea(c, op);
    int64_t i = sext(reg_get(c, op->reg, op->size), op->size);
    int64_t lo = sext(ld_size(c, op, addr, op->size), op->size);
    int64_t hi = sext(ld_size(c, op, addr + (1u << op->size), op->size),
                      op->size);

    if (i < lo || i > hi) {
        sync_eip(c, op);
        tcg_raise(c, EXCP_BR);
    }
    NEXT;
}

OP(op_arpl)
{
    uint16_t d, s = c->regs[op->reg];
    bool less;

    sync_eip(c, op);
    if (!tcg_protected(c)) {
        tcg_raise(c, EXCP_UD);
    }
    d = rm_get(c, op, 1);
    less = (d & 3) < (s & 3);
    if (less) {
        rm_set(c, op, (d & ~3u) | (s & 3), 1);
    }
    lf_set(c, (lf_get(c) & ~CC_Z) | (less ? CC_Z : 0));
    NEXT;
}

OP(op_into)
{
    if (lf_of(c)) {
        sync_eip(c, op);
        tcg_soft_int(c, EXCP_OF, next_eip(c, op));
        return NULL;
    }
    NEXT;
}

/* id: the segment register of LES, LDS, LSS, LFS, LGS. */
OP(op_les)
{
    uint64_t addr = ea(c, op), off = ld_size(c, op, addr, op->size);
    uint16_t sel = ld16(c, op, addr + (1u << op->size));

    sync_eip(c, op);
    tcg_load_seg(c, op->id, sel);
    reg_set(c, op->reg, off, op->size);
    EXIT_NEXT;
}
