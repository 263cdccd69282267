/*
 * Where the guest's flags are while a block is translated, and which are ever seen.
 *
 * They stay in the host's until something else changes these: a look into the TLB, above all.
 * Then they would have to be stored; but mostly they have been overwritten before anybody looks,
 * and what may look until then (a page fault's handler) is seldom executed. So where the
 * operands of the instruction that made them are still there, nothing is stored: who needs the
 * flags, makes them again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

/* What is seen ------------------------------------------------------------- */

/* Of flags before op i. Who leaves, or faults, shows them all. */
static unsigned live_before(const Tr *t, unsigned i)
{
    const Template *tm = t->templates[i];

    if (!tm || !tm->emit || (tm->attr & TA_BRANCH) || (i && i == t->loop.poll) ||
        (!jit_stack_has(t, i) && ((tm->attr & TA_FAULT) || (t->ops[i].flags & OF_MEM)))) {
        return CC_ALL;
    }
    return (t->live[i] & ~tm->writes) | tm->reads;
}

unsigned jit_find_live_flags(Tr *t)
{
    unsigned live = CC_ALL;

    for (unsigned i = t->n; i-- > 0;) {
        t->live[i] = live;
        live = live_before(t, i);
    }
    return live;
}

bool jit_wants_flags(const Tr *t)
{
    const Template *tm = t->templates[t->i];

    return tm->reads || (t->live[t->i] & ~tm->writes & CC_ALL);
}

/* Making them again -------------------------------------------------------- */

static bool is_logic(unsigned alu)
{
    return alu == ALU_AND || alu == ALU_OR || alu == ALU_XOR;
}

bool jit_can_again(const Tr *t, unsigned i)
{
    const Template *tm = t->templates[i];
    const X86Op *op = &t->ops[i];

    if ((op->flags & OF_MEM) || tm->arg == ALU_ADC || tm->arg == ALU_SBB) {
        return false;
    }
    if (tm->emit == jit_alu_ei) {
        return true;
    }
    return (tm->emit == jit_alu_er || tm->emit == jit_alu_re) &&
           (op->reg != op->rm || is_logic(tm->arg) || tm->arg == ALU_CMP || tm->arg == ALU_TEST);
}

static unsigned number(const X86Op *op, unsigned reg)
{
    return op->size ? reg : reg >> 3;
}

/* alu of dst and what op has as other operand. */
static void alu_again(Tr *t, const X86Op *op, unsigned alu, unsigned dst, unsigned src)
{
    uint32_t opcode = (alu == ALU_TEST ? I_TEST : alu << 3 | 1) - (op->size == 0);

    if (src == H_NONE) {
        emit_alu_imm(&t->e, op->size, alu, dst, op->imm);
    } else {
        emit_rr(&t->e, op->size, opcode, src, dst);
    }
}

void jit_make_flags(Tr *t, int again)
{
    const X86Op *op = &t->ops[again];
    const Template *tm = t->templates[again];
    bool re = tm->emit == jit_alu_re;
    unsigned d = jit_get(t, number(op, re ? op->reg : op->rm), T0), s = H_NONE;

    if (tm->emit != jit_alu_ei && !is_logic(tm->arg)) {
        s = jit_get(t, number(op, re ? op->rm : op->reg), T2);
    }
    switch (tm->arg) {
    case ALU_CMP:
    case ALU_TEST:
        alu_again(t, op, tm->arg, d, s);
        break;
    case ALU_ADD:
    case ALU_SUB:               /* what it was before, and the same thing again */
        if (d != T0) {
            emit_rr(&t->e, 3, I_STORE, d, T0);
        }
        alu_again(t, op, ALU_ADD + ALU_SUB - tm->arg, T0, s);
        alu_again(t, op, tm->arg, T0, s);
        break;
    default:                    /* AND, OR, XOR: only of the result */
        emit_rr(&t->e, op->size, I_TEST - (op->size == 0), d, d);
        break;
    }
}

/* Where they are ----------------------------------------------------------- */

void jit_save_flags(Tr *t)
{
    emit_rr(&t->e, 0, I_SETCC | H_O, 0, H_RAX);
    emit8(&t->e, 0x9f);                                 /* LAHF */
    emit_rm(&t->e, 1, I_STORE, H_RAX, CPU_FIELD(jit_flags));
}

void jit_fetch_flags(Tr *t)
{
    jit_link(t, emit_call(&t->e), t->jit->get_flags);
    t->native = true;
}

void jit_need_flags(Tr *t)
{
    if (t->native) {
        return;
    }
    if (t->now.again < 0) {
        jit_fetch_flags(t);
        return;
    }
    jit_make_flags(t, t->now.again);
    t->native = true;
}

void jit_settle_flags(Tr *t)
{
    if (!t->now.saved) {
        jit_need_flags(t);
        jit_save_flags(t);
        t->now.saved = true;
    }
}

void jit_clobber_flags(Tr *t)
{
    if (t->now.again < 0) {
        jit_settle_flags(t);
    }
    t->native = false;
}

void jit_wrote_flags(Tr *t)
{
    t->spoiled = false;
    /* What nobody will see need not be kept. */
    t->native = t->live[t->i] != 0;
    t->now.saved = !t->native;
    t->now.again = t->native && jit_can_again(t, t->i) ? (int)t->i : -1;
}

/* Does op i write to a register that op again needs? */
static bool spoils(const Tr *t, unsigned i)
{
    const X86Op *op = &t->ops[i], *maker = &t->ops[t->now.again];
    const Template *tm = t->templates[i], *made = t->templates[t->now.again];
    unsigned g, dst = made->emit == jit_alu_re ? maker->reg : maker->rm;

    if (tm->dst == DST_NONE || (tm->dst == DST_RM && (op->flags & OF_MEM))) {
        return false;
    }
    if (tm->dst == DST_ANY) {
        return true;
    }
    g = number(op, tm->dst == DST_REG ? op->reg : op->rm);
    if (made->emit == jit_alu_ei || is_logic(made->arg)) {
        return g == number(maker, dst);
    }
    return g == number(maker, maker->rm) || g == number(maker, maker->reg);
}

void jit_flags_begin_op(Tr *t)
{
    t->spoiled = t->now.again >= 0 && spoils(t, t->i);
    if (!t->spoiled || !(t->live[t->i] & ~t->templates[t->i]->writes)) {
        return;                 /* nobody behind it sees them: they can be made until it is done */
    }
    if (!t->native && !t->now.saved) {
        jit_need_flags(t);
    }
    t->now.saved |= !t->native;
    t->now.again = -1;
    t->spoiled = false;
}

void jit_flags_end_op(Tr *t)
{
    if (t->spoiled) {
        t->now.saved = true;    /* not needed any more */
        t->now.again = -1;
    }
}
