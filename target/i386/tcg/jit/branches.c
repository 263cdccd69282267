/*
 * Templates of near branches and of the stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

#define RSP jit_host(R_ESP)

/* The stack ---------------------------------------------------------------- */

/* A new word on the stack, which RSP does not show yet. */
static HostMem new_word(Tr *t)
{
    return jit_word(t, R_ESP, -8, true);
}

static void move_rsp(Tr *t, int by)
{
    emit_rm(&t->e, 3, I_LEA, RSP, MEM(RSP, by));
}

void jit_push(Tr *t, const X86Op *op)
{
    HostMem m = new_word(t);

    emit_rm(&t->e, 3, I_STORE, jit_get(t, op->rm, T2), m);
    move_rsp(t, -8);
}

void jit_push_imm(Tr *t, const X86Op *op)
{
    emit_rm(&t->e, 3, I_MOV_IMM, 0, new_word(t));
    emit32(&t->e, op->imm);
    move_rsp(t, -8);
}

void jit_pop(Tr *t, const X86Op *op)
{
    unsigned d = jit_dest(t, op->rm, 3, T2);

    emit_rm(&t->e, 3, I_LOAD, d, jit_word(t, R_ESP, 0, false));
    if (op->rm != R_ESP) {
        move_rsp(t, 8);
    }
    jit_put(t, op->rm, d);
}

void jit_leave(Tr *t, const X86Op *op)
{
    unsigned rbp = jit_host(R_EBP);

    emit_rm(&t->e, 3, I_LOAD, T0, jit_word(t, R_EBP, 0, false));
    emit_rm(&t->e, 3, I_LEA, RSP, MEM(rbp, 8));
    emit_rr(&t->e, 3, I_STORE, T0, rbp);
}

/* Branches ----------------------------------------------------------------- */

void jit_jcc(Tr *t, const X86Op *op)
{
    jit_need_flags(t);
    if (jit_loop_branch(t, op->id & 15)) {
        return;
    }
    jit_stub(t, STUB_TAKEN, emit_jcc(&t->e, op->id & 15), !t->now.saved)->keep = t->now.again;
}

void jit_jmp(Tr *t, const X86Op *op)
{
    jit_part_with_flags(t, &t->b->ops[t->i]);
    jit_go_direct(t, t->i, STUB_AT);
}

/* CALL's: the address behind it. T2 changes. */
static void push_return(Tr *t, const X86Op *op)
{
    HostMem m = new_word(t);

    emit_rm(&t->e, 3, I_LOAD, T2, CPU_REG(R_PAGE));
    emit_rm(&t->e, 3, I_LEA, T2, MEM(T2, op->off + op->len));
    emit_rm(&t->e, 3, I_STORE, T2, m);
    move_rsp(t, -8);
}

void jit_call(Tr *t, const X86Op *op)
{
    push_return(t, op);
    jit_go_direct(t, t->i, STUB_EIP);
}

void jit_ret(Tr *t, const X86Op *op)
{
    emit_rm(&t->e, 3, I_LOAD, T0, jit_word(t, R_ESP, 0, false));
    jit_hash_target(t, STUB_AT);
    jit_take_target(t, STUB_AT);
    move_rsp(t, 8 + (uint16_t)op->imm);
    jit_enter_block(t);
}

/* The target of an indirect branch to T0. */
static void indirect_target(Tr *t, const X86Op *op)
{
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, 3, I_LOAD, T0, jit_operand(t, op, 3, false, false));
    } else {
        jit_clobber_flags(t);
        emit_rr(&t->e, 3, I_STORE, jit_get(t, op->rm, T2), T0);
    }
}

void jit_jmp_rm(Tr *t, const X86Op *op)
{
    indirect_target(t, op);
    jit_hash_target(t, STUB_AT);
    jit_take_target(t, STUB_AT);
    jit_enter_block(t);
}

/* Where the target is known to be an address before anything is pushed: else #GP. */
void jit_call_rm(Tr *t, const X86Op *op)
{
    indirect_target(t, op);
    jit_hash_target(t, STUB_AT);
    emit_rm(&t->e, 3, I_STORE, T2, CPU_FIELD(jit_tmp));
    push_return(t, op);
    emit_rm(&t->e, 3, I_LOAD, T2, CPU_FIELD(jit_tmp));
    jit_take_target(t, STUB_TMP);
    jit_enter_block(t);
}
