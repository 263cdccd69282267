/*
 * Templates of integer instructions: the same instruction on the host, with its registers and
 * with memory by way of the TLB.
 *
 * Operands in memory are translated before anything else is done. Of the scratch registers T2
 * is free for values then.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

/* Opcodes of byte operands are one less. */
#define SIZED(opcode, size) ((opcode) - ((size) == 0))
#define RAX jit_host(R_EAX)

/* The guest's registers that op names. */
static unsigned reg_of(const X86Op *op)
{
    return op->size ? op->reg : op->reg >> 3;
}

static unsigned rm_of(const X86Op *op)
{
    return op->size ? op->rm : op->rm >> 3;
}

/* The scratch register that an operand in memory leaves. */
#define FREE(m) ((m).base == T0 ? T2 : T0)

/* An operand in memory of op's size. */
static HostMem memory(Tr *t, const X86Op *op, bool write, bool flags)
{
    return jit_operand(t, op, op->size, write, flags);
}

static void want_flags(Tr *t)
{
    if (jit_wants_flags(t)) {
        jit_need_flags(t);
    }
}

/* Two operands ------------------------------------------------------------- */

static bool writes(unsigned alu)
{
    return alu != ALU_CMP && alu != ALU_TEST;
}

static uint32_t alu_opcode(unsigned alu, unsigned size)
{
    return SIZED(alu == ALU_TEST ? I_TEST : alu << 3 | 1, size);
}

void jit_alu_er(Tr *t, const X86Op *op)
{
    unsigned alu = t->templates[t->i]->arg, s, d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, writes(alu), jit_wants_flags(t));

        s = jit_get(t, reg_of(op), FREE(m));
        emit_rm(&t->e, op->size, alu_opcode(alu, op->size), s, m);
    } else {
        want_flags(t);
        s = jit_get(t, reg_of(op), T2);
        d = jit_get(t, rm_of(op), T0);
        emit_rr(&t->e, op->size, alu_opcode(alu, op->size), s, d);
        if (writes(alu)) {
            jit_put(t, rm_of(op), d);
        }
    }
    jit_wrote_flags(t);
}

void jit_alu_re(Tr *t, const X86Op *op)
{
    unsigned alu = t->templates[t->i]->arg, d;
    uint32_t opcode = alu_opcode(alu, op->size) | (alu == ALU_TEST ? 0 : 2);

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, false, jit_wants_flags(t));

        d = jit_get(t, reg_of(op), FREE(m));
        emit_rm(&t->e, op->size, opcode, d, m);
    } else {
        want_flags(t);
        d = jit_get(t, reg_of(op), T2);
        emit_rr(&t->e, op->size, opcode, d, jit_get(t, rm_of(op), T0));
    }
    if (writes(alu)) {
        jit_put(t, reg_of(op), d);
    }
    jit_wrote_flags(t);
}

void jit_alu_ei(Tr *t, const X86Op *op)
{
    unsigned alu = t->templates[t->i]->arg, d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, writes(alu), jit_wants_flags(t));

        emit_alu_mem_imm(&t->e, op->size, alu, m, op->imm);
    } else {
        want_flags(t);
        d = jit_get(t, rm_of(op), T0);
        emit_alu_imm(&t->e, op->size, alu, d, op->imm);
        if (writes(alu)) {
            jit_put(t, rm_of(op), d);
        }
    }
    jit_wrote_flags(t);
}

/* Moves -------------------------------------------------------------------- */

void jit_mov_er(Tr *t, const X86Op *op)
{
    uint32_t opcode = SIZED(I_STORE, op->size);
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, true, false);

        emit_rm(&t->e, op->size, opcode, jit_get(t, reg_of(op), T2), m);
    } else {
        d = jit_dest(t, rm_of(op), op->size, T2);
        emit_rr(&t->e, op->size, opcode, jit_get(t, reg_of(op), T0), d);
        jit_put(t, rm_of(op), d);
    }
}

void jit_mov_re(Tr *t, const X86Op *op)
{
    uint32_t opcode = SIZED(I_LOAD, op->size);
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, false, false);

        d = jit_dest(t, reg_of(op), op->size, T2);
        emit_rm(&t->e, op->size, opcode, d, m);
    } else {
        d = jit_dest(t, reg_of(op), op->size, T2);
        emit_rr(&t->e, op->size, opcode, d, jit_get(t, rm_of(op), T0));
    }
    jit_put(t, reg_of(op), d);
}

void jit_mov_ei(Tr *t, const X86Op *op)
{
    uint32_t opcode = SIZED(I_MOV_IMM, op->size);
    unsigned d;

    if (op->flags & OF_MEM) {
        emit_rm(&t->e, op->size, opcode, 0, memory(t, op, true, false));
        emit_imm(&t->e, op->size, op->imm);
    } else {
        d = jit_dest(t, rm_of(op), op->size, T2);
        emit_rr(&t->e, op->size, opcode, 0, d);
        emit_imm(&t->e, op->size, op->imm);
        jit_put(t, rm_of(op), d);
    }
}

void jit_mov_iv64(Tr *t, const X86Op *op)
{
    unsigned d = jit_dest(t, op->rm, 3, T2);

    emit_mov_imm64(&t->e, d, op->disp);
    jit_put(t, op->rm, d);
}

/* MOVZX and MOVSX of AH, CH, DH, BH: in RAX, as these go with few registers. */
static void extend_high(Tr *t, const X86Op *op, uint32_t opcode)
{
    unsigned d;

    emit_rr(&t->e, 3, I_STORE, jit_get(t, op->rm >> 3, T0), T0);
    emit8(&t->e, 0x0f);
    emit8(&t->e, opcode);
    emit8(&t->e, 0xc4);                         /* EAX, AH */
    d = jit_dest(t, op->reg, op->size, T2);
    if (op->size == 3) {
        emit_rr(&t->e, 3, 0x63, d, T0);
    } else {
        emit_rr(&t->e, op->size, I_STORE, T0, d);
    }
    jit_put(t, op->reg, d);
}

/* arg: the opcode; of bytes with TA_RMBYTE, else of 16 bits, or 32 for 0x63. */
void jit_extend(Tr *t, const X86Op *op)
{
    const Template *tm = t->templates[t->i];
    bool byte = tm->attr & TA_RMBYTE;
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = jit_operand(t, op, byte ? 0 : tm->arg == 0x63 ? 2 : 1, false, false);

        d = jit_dest(t, op->reg, op->size, T2);
        emit_rm(&t->e, op->size, tm->arg, d, m);
    } else if (byte && (op->rm & 1)) {
        extend_high(t, op, tm->arg);
        return;
    } else {
        unsigned s = jit_get(t, byte ? op->rm >> 3 : op->rm, T0);

        d = jit_dest(t, op->reg, op->size, T2);
        emit_rr(&t->e, op->size, tm->arg, d, s);
    }
    jit_put(t, op->reg, d);
}

void jit_lea(Tr *t, const X86Op *op)
{
    unsigned base = op->base == R_ZERO ? H_NONE : jit_get(t, op->base, T0);
    unsigned index = op->index == R_ZERO ? H_NONE : jit_get(t, op->index, T2);
    unsigned d = jit_dest(t, op->reg, op->size, T2);

    emit_rm(&t->e, op->size, I_LEA, d, (HostMem) { base, index, op->scale, (int32_t)op->disp });
    jit_put(t, op->reg, d);
}

void jit_xchg(Tr *t, const X86Op *op)
{
    unsigned a = jit_get(t, rm_of(op), T0), b = jit_get(t, reg_of(op), T2);

    emit_rr(&t->e, op->size, SIZED(0x87, op->size), b, a);
    if (op->size == 2 && a == b) {
        emit_rr(&t->e, 2, I_STORE, a, a);       /* the upper half becomes 0 */
    }
    jit_put(t, rm_of(op), a);
    jit_put(t, reg_of(op), b);
}

void jit_bswap(Tr *t, const X86Op *op)
{
    unsigned d = jit_get(t, op->rm, T2);

    emit8(&t->e, 0x40 | (op->size == 3) << 3 | d >> 3);
    emit8(&t->e, 0x0f);
    emit8(&t->e, 0xc8 | (d & 7));
    jit_put(t, op->rm, d);
}

/* CBW, CWDE, CDQE. */
void jit_cbw(Tr *t, const X86Op *op)
{
    static const uint32_t opcode[] = { 0, 0x0fbe, 0x0fbf, 0x63 };

    emit_rr(&t->e, op->size, opcode[op->size], RAX, RAX);
}

/* CWD, CDQ, CQO. */
void jit_cwd(Tr *t, const X86Op *op)
{
    emit_rr(&t->e, 3, I_STORE, RAX, H_RAX);
    emit8(&t->e, op->size == 1 ? 0x66 : op->size == 2 ? 0x40 : 0x48);
    emit8(&t->e, 0x99);
}

void jit_nop(Tr *t, const X86Op *op)
{
}

/* arg: the opcode of CLC, STC, CMC. */
void jit_carry(Tr *t, const X86Op *op)
{
    want_flags(t);
    emit8(&t->e, t->templates[t->i]->arg);
    jit_wrote_flags(t);
}

/* One operand -------------------------------------------------------------- */

/* An instruction /digit on r/m, which it writes. */
static void unary(Tr *t, const X86Op *op, uint32_t opcode, unsigned digit, bool flags)
{
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, op->size, opcode, digit, memory(t, op, true, flags));
    } else {
        unsigned d;

        if (flags) {
            jit_need_flags(t);
        }
        d = jit_get(t, rm_of(op), T2);
        emit_rr(&t->e, op->size, opcode, digit, d);
        jit_put(t, rm_of(op), d);
    }
}

/* arg: the digit; INC, DEC. */
void jit_incdec(Tr *t, const X86Op *op)
{
    unary(t, op, SIZED(I_INCDEC, op->size), t->templates[t->i]->arg, jit_wants_flags(t));
    jit_wrote_flags(t);
}

void jit_not(Tr *t, const X86Op *op)
{
    unary(t, op, SIZED(I_UNARY, op->size), 2, false);
}

void jit_neg(Tr *t, const X86Op *op)
{
    unary(t, op, SIZED(I_UNARY, op->size), 3, jit_wants_flags(t));
    jit_wrote_flags(t);
}

/* Shifts ------------------------------------------------------------------- */

/*
 * The immediate comes last, and may not be in the way of jit_put(): so registers are done
 * here and not by unary().
 */
void jit_shift_imm(Tr *t, const X86Op *op)
{
    uint32_t opcode = SIZED(I_SHIFT_IMM, op->size);
    unsigned digit = op->id == 6 ? 4 : op->id, d;

    if (op->flags & OF_MEM) {
        emit_rm(&t->e, op->size, opcode, digit, memory(t, op, true, jit_wants_flags(t)));
        emit8(&t->e, op->imm);
    } else {
        want_flags(t);
        d = jit_get(t, rm_of(op), T2);
        emit_rr(&t->e, op->size, opcode, digit, d);
        emit8(&t->e, op->imm);
        jit_put(t, rm_of(op), d);
    }
    jit_wrote_flags(t);
}

void jit_shift_cl(Tr *t, const X86Op *op)
{
    unary(t, op, SIZED(I_SHIFT_CL, op->size), op->id == 6 ? 4 : op->id, jit_wants_flags(t));
    jit_wrote_flags(t);
}

/* SHLD and SHRD (id bit 0), by an immediate or CL (bit 1). */
void jit_shld(Tr *t, const X86Op *op)
{
    unsigned s, d;

    want_flags(t);
    s = jit_get(t, op->reg, T0);
    d = jit_get(t, op->rm, T2);
    emit_rr(&t->e, op->size, 0x0fa4 | (op->id & 1) << 3 | op->id >> 1, s, d);
    if (!(op->id & 2)) {
        emit8(&t->e, op->imm);
    }
    if (op->size == 2) {
        emit_rr(&t->e, 2, I_STORE, d, d);
    }
    jit_put(t, op->rm, d);
    jit_wrote_flags(t);
}

/* Bits --------------------------------------------------------------------- */

/* BT BTS BTR BTC (id & 3); id & 4: by an immediate. */
void jit_bt(Tr *t, const X86Op *op)
{
    unsigned which = op->id & 3, s, d;

    want_flags(t);
    d = jit_get(t, op->rm, T2);
    if (op->id & 4) {
        emit_rr(&t->e, op->size, I_BT_IMM, 4 | which, d);
        emit8(&t->e, op->imm);
    } else {
        s = jit_get(t, op->reg, T0);
        emit_rr(&t->e, op->size, 0x0fa3 | which << 3, s, d);
    }
    if (which) {
        jit_put(t, op->rm, d);
    }
    jit_wrote_flags(t);
}

/* arg: the opcode. reg = f(r/m), where reg may stay as it is. */
static void from_rm(Tr *t, const X86Op *op, uint32_t opcode)
{
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, false, jit_wants_flags(t));

        d = jit_get(t, op->reg, FREE(m));
        emit_rm(&t->e, op->size, opcode, d, m);
    } else {
        want_flags(t);
        d = jit_get(t, op->reg, T2);
        emit_rr(&t->e, op->size, opcode, d, jit_get(t, op->rm, T0));
    }
    jit_put(t, op->reg, d);
}

void jit_bitscan(Tr *t, const X86Op *op)
{
    from_rm(t, op, op->id ? 0x0fbd : 0x0fbc);
    jit_wrote_flags(t);
}

void jit_popcnt(Tr *t, const X86Op *op)
{
    from_rm(t, op, 0xf30fb8);
    jit_wrote_flags(t);
}

void jit_imul(Tr *t, const X86Op *op)
{
    from_rm(t, op, 0x0faf);
    jit_wrote_flags(t);
}

void jit_imul_imm(Tr *t, const X86Op *op)
{
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, false, jit_wants_flags(t));

        d = jit_dest(t, op->reg, 3, FREE(m));
        emit_rm(&t->e, op->size, 0x69, d, m);
    } else {
        want_flags(t);
        d = jit_dest(t, op->reg, 3, T2);
        emit_rr(&t->e, op->size, 0x69, d, jit_get(t, op->rm, T0));
    }
    emit_imm(&t->e, op->size, op->imm);
    jit_put(t, op->reg, d);
    jit_wrote_flags(t);
}

/* The r/m operand in a register, with the flags where they are wanted. */
static unsigned value(Tr *t, const X86Op *op, bool flags)
{
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, op->size, I_LOAD, T2, memory(t, op, false, flags));
        return T2;
    }
    if (flags) {
        jit_need_flags(t);
    }
    return jit_get(t, op->rm, T2);
}

/* F7 /digit with the host's RAX in place of the guest's; RDX is itself. */
static void wide(Tr *t, const X86Op *op, unsigned digit, unsigned s)
{
    emit_rr(&t->e, 3, I_STORE, RAX, H_RAX);
    emit_rr(&t->e, op->size, I_UNARY, digit, s);
    emit_rr(&t->e, op->size, I_STORE, H_RAX, RAX);
}

/* arg: the digit; MUL, IMUL. */
void jit_mul(Tr *t, const X86Op *op)
{
    unsigned s = value(t, op, jit_wants_flags(t));

    wide(t, op, t->templates[t->i]->arg, s);
    jit_wrote_flags(t);
}

/* The quotient fits if the dividend's upper half is less than the divisor. Flags stay. */
void jit_div(Tr *t, const X86Op *op)
{
    unsigned s;

    jit_clobber_flags(t);
    s = value(t, op, false);
    emit_rr(&t->e, op->size, I_CMP, s, H_RDX);
    jit_stub(t, STUB_CALL, emit_jcc(&t->e, H_NB), false);
    wide(t, op, 6, s);
}

/* It fits if the dividend is no longer than the divisor, which is neither 0 nor -1. */
void jit_idiv(Tr *t, const X86Op *op)
{
    Emit *e = &t->e;
    unsigned s;

    jit_clobber_flags(t);
    s = value(t, op, false);
    emit_rr(e, 3, I_STORE, RAX, T0);
    emit_rr(e, op->size, I_SHIFT_IMM, 7, T0);
    emit8(e, (8 << op->size) - 1);
    emit_rr(e, op->size, I_CMP, T0, H_RDX);
    jit_stub(t, STUB_CALL, emit_jcc(e, H_NZ), false);
    emit_rm(e, 3, I_LEA, T0, MEM(s, 1));
    emit_alu_imm(e, op->size, ALU_CMP, T0, 1);
    jit_stub(t, STUB_CALL, emit_jcc(e, H_BE), false);
    wide(t, op, 7, s);
}

/* Conditions --------------------------------------------------------------- */

void jit_setcc(Tr *t, const X86Op *op)
{
    unsigned d;

    jit_need_flags(t);
    d = jit_get(t, rm_of(op), T2);
    emit_rr(&t->e, 0, I_SETCC | op->id, 0, d);
    jit_put(t, rm_of(op), d);
}

void jit_cmov(Tr *t, const X86Op *op)
{
    uint32_t opcode = I_CMOV | op->id;
    unsigned d;

    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, false, true);

        d = jit_get(t, op->reg, FREE(m));
        emit_rm(&t->e, op->size, opcode, d, m);
    } else {
        jit_need_flags(t);
        d = jit_get(t, op->reg, T2);
        emit_rr(&t->e, op->size, opcode, d, jit_get(t, op->rm, T0));
    }
    jit_put(t, op->reg, d);
}
