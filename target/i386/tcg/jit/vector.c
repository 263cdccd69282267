/*
 * Templates of vector instructions: the same ones, with the same registers.
 *
 * A block loads an XMM register when it first needs it and stores what it has changed when it is
 * left, and around calls. Whether SSE is there, and all its exceptions masked, is looked at once
 * a block: what could change that ends it. The host's MXCSR is the guest's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"
#include "target/i386/tcg/ops/vex.h"

#define XMM(n) C_AT(offsetof(TCGCPU, xmm) + (n) * sizeof(XMMReg))

/* Registers ---------------------------------------------------------------- */

void jit_load_vec(Tr *t, unsigned which)
{
    for (unsigned n = 0; n < 16; n++) {
        if (which >> n & 1) {
            emit_rm(&t->e, 2, I_MOVAPS, n, XMM(n));
        }
    }
}

void jit_store_vec(Tr *t, unsigned which)
{
    for (unsigned n = 0; n < 16; n++) {
        if (which >> n & 1) {
            emit_rm(&t->e, 2, I_MOVAPS_STORE, n, XMM(n));
        }
    }
}

void jit_settle_vec(Tr *t)
{
    jit_store_vec(t, t->now.vec_dirty);
    t->now.vec_dirty = 0;
}

/* The register is about to be read. */
static unsigned use(Tr *t, unsigned n)
{
    if (!(t->now.vec_valid >> n & 1)) {
        jit_load_vec(t, 1u << n);
        t->now.vec_valid |= 1u << n;
    }
    return n;
}

/* It has been written. */
static void wrote(Tr *t, unsigned n)
{
    t->now.vec_valid |= 1u << n;
    t->now.vec_dirty |= 1u << n;
}

/* Before anything of the op happens. */
static void begin(Tr *t)
{
    if (!t->now.vec_checked) {
        jit_clobber_flags(t);
        emit_alu_mem_imm(&t->e, 1, ALU_CMP, CPU_FIELD(vec_off), 0);
        jit_stub(t, STUB_AT, emit_jcc(&t->e, H_NZ), false);
        t->now.vec_checked = true;
    }
}

/* An operand in memory; aligned: it has to be, or #GP. */
static HostMem memory(Tr *t, const X86Op *op, unsigned size, bool write, bool aligned)
{
    unsigned first = t->nr_stubs;
    HostMem m = jit_operand(t, op, size, write, false);

    while (first < t->nr_stubs) {
        t->stubs[first++].aligned = aligned;
    }
    return m;
}

/* xmm = f(xmm, xmm/mem) ---------------------------------------------------- */

/* arg: the opcode; size: of the operand in memory. */
void jit_vec(Tr *t, const X86Op *op)
{
    const Template *tm = t->templates[t->i];

    begin(t);
    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, tm->size, false, tm->size == 4);

        emit_rm(&t->e, 2, tm->arg, use(t, op->reg), m);
    } else {
        use(t, op->rm);
        emit_rr(&t->e, 2, tm->arg, use(t, op->reg), op->rm);
    }
    if (tm->attr & TA_IMM8) {
        emit8(&t->e, op->imm);
    }
    wrote(t, op->reg);
}

/* By an immediate: groups 71 to 73, id = opcode << 4 | digit. */
void jit_vec_shift(Tr *t, const X86Op *op)
{
    begin(t);
    emit_rr(&t->e, 2, 0x660f00 | op->id >> 4, op->id & 15, use(t, op->rm));
    emit8(&t->e, op->imm);
    wrote(t, op->rm);
}

/* Moves -------------------------------------------------------------------- */

/* id 1: must be aligned. */
void jit_mov16_ld(Tr *t, const X86Op *op)
{
    begin(t);
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, 2, 0x0f10, op->reg, memory(t, op, 4, false, op->id));
    } else {
        emit_rr(&t->e, 2, I_MOVAPS, op->reg, use(t, op->rm));
    }
    wrote(t, op->reg);
}

void jit_mov16_st(Tr *t, const X86Op *op)
{
    begin(t);
    use(t, op->reg);
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, 2, 0x0f11, op->reg, memory(t, op, 4, true, op->id));
    } else {
        emit_rr(&t->e, 2, I_MOVAPS, op->rm, op->reg);
        wrote(t, op->rm);
    }
}

/* MOVSS, MOVSD from memory; id: the prefix. */
void jit_movs_ld(Tr *t, const X86Op *op)
{
    bool single = op->id == 2;

    begin(t);
    emit_rm(&t->e, 2, single ? 0xf30f10 : 0xf20f10, op->reg,
            memory(t, op, single ? 2 : 3, false, false));
    wrote(t, op->reg);
}

/* Of 4 (id 4), the low 8 (8, 10) or the high 8 bytes (9); to a register MOVQ clears the rest. */
void jit_vec_store(Tr *t, const X86Op *op)
{
    uint32_t opcode = op->id == 4 ? 0xf30f11 : op->id == 9 ? 0x0f17 : 0x0f13;

    begin(t);
    use(t, op->reg);
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, 2, opcode, op->reg, memory(t, op, op->id == 4 ? 2 : 3, true, false));
        return;
    }
    opcode = op->id == 4 ? 0xf30f10 : op->id == 10 ? 0xf30f7e : 0xf20f10;
    emit_rr(&t->e, 2, opcode, use(t, op->rm), op->reg);
    wrote(t, op->rm);
}

/* With general registers --------------------------------------------------- */

/* MOVD, MOVQ; id 1: from XMM. */
void jit_vec_movd(Tr *t, const X86Op *op)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2, r;
    uint32_t opcode = op->id ? 0x660f7e : 0x660f6e;

    begin(t);
    if (op->id) {
        use(t, op->reg);
    }
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, size, opcode, op->reg, memory(t, op, size, op->id, false));
    } else {
        r = op->id ? jit_dest(t, op->rm, size, T2) : jit_get(t, op->rm, T2);
        emit_rr(&t->e, size, opcode, op->reg, r);
        if (op->id) {
            jit_put(t, op->rm, r);
        }
    }
    if (!op->id) {
        wrote(t, op->reg);
    }
}

/* id 0: MOVMSKPS, 1: MOVMSKPD, 2: PMOVMSKB. */
void jit_vec_movmsk(Tr *t, const X86Op *op)
{
    static const uint32_t opcode[] = { 0x0f50, 0x660f50, 0x660fd7 };
    unsigned d;

    begin(t);
    d = jit_dest(t, op->reg, 3, T2);
    emit_rr(&t->e, 2, opcode[op->id], d, use(t, op->rm));
    jit_put(t, op->reg, d);
}

/* CVTSI2SS (id 0), CVTSI2SD (1); to integers: 4 and 5 of floats, 6 and 7 of doubles. */
void jit_vec_cvt(Tr *t, const X86Op *op)
{
    unsigned size = op->flags & OF_REXW ? 3 : 2, d;
    bool to = op->id >= 4, wide = to ? op->id >= 6 : op->id;
    uint32_t opcode = (wide ? 0xf20f2a : 0xf30f2a) + (to ? 2 + (op->id & 1) : 0);
    HostMem m = { 0 };

    begin(t);
    if (op->flags & OF_MEM) {
        m = memory(t, op, to ? (wide ? 3 : 2) : size, false, false);
    }
    if (!to) {
        use(t, op->reg);
        wrote(t, op->reg);
    } else if (!(op->flags & OF_MEM)) {
        use(t, op->rm);
    }
    d = to ? jit_dest(t, op->reg, 3, T2) : op->reg;
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, size, opcode, d, m);
    } else {
        emit_rr(&t->e, size, opcode, d, to ? op->rm : jit_get(t, op->rm, T0));
    }
    if (to) {
        jit_put(t, op->reg, d);
    }
}

/* id 0 UCOMISS, 1 UCOMISD, 2 COMISS, 3 COMISD. */
void jit_vec_comis(Tr *t, const X86Op *op)
{
    uint32_t opcode = (op->id & 1 ? 0x660f2e : 0x0f2e) + op->id / 2;

    begin(t);
    if (op->flags & OF_MEM) {
        HostMem m = memory(t, op, op->id & 1 ? 3 : 2, false, false);

        emit_rm(&t->e, 2, opcode, use(t, op->reg), m);
    } else {
        use(t, op->rm);
        emit_rr(&t->e, 2, opcode, use(t, op->reg), op->rm);
    }
    jit_wrote_flags(t);
}

/* With VEX ----------------------------------------------------------------- */

/* The upper halves of registers stay in c. */
static HostMem upper(unsigned n, unsigned at)
{
    return C_AT(offsetof(TCGCPU, ymmh) + n * sizeof(XMMReg) + at);
}

static void check_vex(Tr *t, unsigned need)
{
    if (need & ~t->now.vex_checked) {
        jit_clobber_flags(t);
        emit_alu_mem_imm(&t->e, 0, ALU_TEST, CPU_FIELD(vex_on), need);
        jit_stub(t, STUB_AT, emit_jcc(&t->e, H_Z), false);
        t->now.vex_checked |= need;
    }
}

static void begin_vex(Tr *t, const X86Op *op)
{
    check_vex(t, op->imm >> VEX_NEED_SHIFT);
}

void jit_begin_vec(Tr *t, bool sse, unsigned vex)
{
    if (sse) {
        begin(t);
    }
    for (unsigned need = 1; need <= vex; need <<= 1) {
        check_vex(t, need & vex);
    }
}

/* 16 bytes by T2. */
static void copy(Tr *t, HostMem to, HostMem from)
{
    for (unsigned i = 0; i < 2; i++, to.disp += 8, from.disp += 8) {
        emit_rm(&t->e, 3, I_LOAD, T2, from);
        emit_rm(&t->e, 3, I_STORE, T2, to);
    }
}

/* What a register has been given: the lower half is there; the upper is at from, or 0. */
static void wrote_both(Tr *t, const X86Op *op, unsigned n, HostMem from)
{
    if (op->flags & OF_L) {
        copy(t, upper(n, 0), from);
    } else {
        for (unsigned at = 0; at < 16; at += 8) {
            emit_rm(&t->e, 3, I_MOV_IMM, 0, upper(n, at));
            emit32(&t->e, 0);
        }
    }
    wrote(t, n);
}

/* VMOVUPS and its kin; id 1: must be aligned. */
void jit_vex_load(Tr *t, const X86Op *op)
{
    HostMem from;

    begin_vex(t, op);
    if (op->flags & OF_MEM) {
        from = memory(t, op, op->size, false, op->id);
        emit_rm(&t->e, 2, 0x0f10, op->reg, from);
        from.disp += 16;
    } else {
        emit_rr(&t->e, 2, I_MOVAPS, op->reg, use(t, op->rm));
        from = upper(op->rm, 0);
    }
    wrote_both(t, op, op->reg, from);
}

void jit_vex_store(Tr *t, const X86Op *op)
{
    HostMem to;

    begin_vex(t, op);
    use(t, op->reg);
    if (!(op->flags & OF_MEM)) {
        emit_rr(&t->e, 2, I_MOVAPS, op->rm, op->reg);
        wrote_both(t, op, op->rm, upper(op->reg, 0));
        return;
    }
    to = memory(t, op, op->size, true, op->id);
    emit_rm(&t->e, 2, 0x0f11, op->reg, to);
    if (op->flags & OF_L) {
        to.disp += 16;
        copy(t, to, upper(op->reg, 0));
    }
}

void jit_vzeroupper(Tr *t, const X86Op *op)
{
    begin_vex(t, op);
    jit_link(t, emit_call(&t->e), t->jit->zero_upper);
}
