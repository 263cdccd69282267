/*
 * Near branches: JMP, Jcc, CALL, RET, LOOP, JCXZ.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/ops/ops-stack.h"
#include "target/i386/tcg/decode/optabs.h"

/* RIP as the operand size cuts it. */
static inline uint64_t cut_eip(const X86Op *op, uint64_t eip)
{
    if (likely(op->size == 3)) {
        return eip;
    }
    return op->size == 1 ? (uint16_t)eip : (uint32_t)eip;
}

const X86Op *tcg_branch_slow(TCGCPU *c, const X86Op *op)
{
    uint64_t eip = cut_eip(op, next_eip(c, op) + (int64_t)op->imm);

    if (atomic_load_explicit(&c->poll, memory_order_relaxed)) {
        EXIT_TO(eip);
    }
    if ((op->flags & OF_INPAGE) && op->fn != op_dead) {
        c->eip = eip;
        tcg_block_link(c, op, eip);
        return NULL;
    }
    JUMP_TO(eip);
}

OP(op_jmp_rel)
{
    TAKE_BRANCH(op);
}

#define JCC(cc, name, expr) \
SOP(jcc_##name) \
{ \
    if (expr) { \
        TAKE_BRANCH(op); \
    } \
    NEXT; \
}
JCC(0, o, cond_o(c))
JCC(1, no, !cond_o(c))
JCC(2, b, cond_b(c))
JCC(3, nb, !cond_b(c))
JCC(4, z, cond_z(c))
JCC(5, nz, !cond_z(c))
JCC(6, be, cond_be(c))
JCC(7, a, !cond_be(c))
JCC(8, s, cond_s(c))
JCC(9, ns, !cond_s(c))
JCC(10, p, cond_p(c))
JCC(11, np, !cond_p(c))
JCC(12, l, cond_l(c))
JCC(13, ge, !cond_l(c))
JCC(14, le, cond_le(c))
JCC(15, g, !cond_le(c))

OpFn *const tab_jcc[16] = {
    jcc_o, jcc_no, jcc_b, jcc_nb, jcc_z, jcc_nz, jcc_be, jcc_a,
    jcc_s, jcc_ns, jcc_p, jcc_np, jcc_l, jcc_ge, jcc_le, jcc_g,
};

OP(op_call_rel)
{
    push_val(c, op, next_eip(c, op), op->size);
    TAKE_BRANCH(op);
}

/*
 * An indirect branch to what the jump cache does not have. To what is no address it
 * faults itself; drop is what to take off RSP then.
 */
static const X86Op *missed(TCGCPU *c, const X86Op *op, uint64_t eip, int64_t drop)
{
    if ((op->flags & OF_C64) && !tcg_canonical(eip)) {
        c->regs[R_ESP] -= drop;
        return op_gp0(c, op);
    }
    EXIT_TO(eip);
}

const X86Op *tcg_ret_missed(TCGCPU *c, const X86Op *op, uint64_t eip)
{
    return missed(c, op, eip, (1 << op->size) + (uint16_t)op->imm);
}

OP(op_ret)
{
    uint64_t eip = stack_top(c, op, op->size);
    const X86Op *target;

    set_sp(c, op, c->regs[R_ESP] + (1u << op->size) + (uint16_t)op->imm);
    if (!jump_find(c, eip, &target)) {
        return tcg_ret_missed(c, op, eip);
    }
    GO(target);
}

OP(op_jmp_rm)
{
    uint64_t eip = rm_get(c, op, op->size);
    const X86Op *target;

    if (!jump_find(c, eip, &target)) {
        return missed(c, op, eip, 0);
    }
    GO(target);
}

OP(op_call_rm)
{
    uint64_t eip = rm_get(c, op, op->size);
    const X86Op *target;

    push_val(c, op, next_eip(c, op), op->size);
    if (!jump_find(c, eip, &target)) {
        return missed(c, op, eip, -(1 << op->size));
    }
    GO(target);
}

/* The count register by address size: rCX after subtracting n. */
static uint64_t count_sub(TCGCPU *c, const X86Op *op, unsigned n)
{
    if (op->flags & OF_A16) {
        RSET16(R_ECX, c->regs[R_ECX] - n);
        return (uint16_t)c->regs[R_ECX];
    }
    if (op->flags & OF_A32) {
        /* JECXZ (n = 0) writes nothing. */
        if (n) {
            RSET32(R_ECX, c->regs[R_ECX] - n);
        }
        return (uint32_t)c->regs[R_ECX];
    }
    c->regs[R_ECX] -= n;
    return c->regs[R_ECX];
}

/* id 0: LOOPNE, 1: LOOPE, 2: LOOP. */
OP(op_loop)
{
    bool go = count_sub(c, op, 1) != 0;

    if (op->id < 2) {
        go = go && cond_z(c) == (op->id == 1);
    }
    if (go) {
        TAKE_BRANCH(op);
    }
    NEXT;
}

OP(op_jcxz)
{
    if (count_sub(c, op, 0) == 0) {
        TAKE_BRANCH(op);
    }
    NEXT;
}
