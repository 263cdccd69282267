/*
 * Templates of near branches and of the stack.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/jit-int.h"
#include "target/i386/tcg/jit/templates.h"

#define RSP jit_host(R_ESP)

/* The stack ---------------------------------------------------------------- */

/* T0: the host's address of a new word on the stack, which RSP does not show yet. */
static void push_address(Tr *t)
{
    jit_clobber_flags(t);
    emit_rm(&t->e, 3, I_LEA, T0, MEM(RSP, -8));
    jit_translate(t, R_ESP, 3, true);
}

/* Of the word that a register of the guest's points to. */
static void word_address(Tr *t, unsigned g)
{
    jit_clobber_flags(t);
    emit_rr(&t->e, 3, I_STORE, jit_host(g), T0);
    jit_translate(t, g, 3, false);
}

static void move_rsp(Tr *t, int by)
{
    emit_rm(&t->e, 3, I_LEA, RSP, MEM(RSP, by));
}

void jit_push(Tr *t, const X86Op *op)
{
    push_address(t);
    emit_rm(&t->e, 3, I_STORE, jit_get(t, op->rm, T2), MEM(T0, 0));
    move_rsp(t, -8);
}

void jit_push_imm(Tr *t, const X86Op *op)
{
    push_address(t);
    emit_rm(&t->e, 3, I_MOV_IMM, 0, MEM(T0, 0));
    emit32(&t->e, op->imm);
    move_rsp(t, -8);
}

void jit_pop(Tr *t, const X86Op *op)
{
    unsigned d = jit_dest(t, op->rm, 3, T2);

    word_address(t, R_ESP);
    move_rsp(t, 8);
    emit_rm(&t->e, 3, I_LOAD, d, MEM(T0, 0));
    jit_put(t, op->rm, d);
}

void jit_leave(Tr *t, const X86Op *op)
{
    unsigned rbp = jit_host(R_EBP);

    word_address(t, R_EBP);
    emit_rm(&t->e, 3, I_LEA, RSP, MEM(rbp, 8));
    emit_rm(&t->e, 3, I_LOAD, rbp, MEM(T0, 0));
}

/* Branches ----------------------------------------------------------------- */

void jit_jcc(Tr *t, const X86Op *op)
{
    jit_need_flags(t);
    jit_stub(t, STUB_TAKEN, emit_jcc(&t->e, op->id & 15), !t->saved)->keep = t->again;
}

void jit_jmp(Tr *t, const X86Op *op)
{
    jit_clobber_flags(t);
    jit_go_direct(t, t->i, STUB_AT);
}

/* T2: the address behind op, to the word at T0; T2 changes. */
static void push_return(Tr *t, const X86Op *op)
{
    emit_rm(&t->e, 3, I_LOAD, T2, CPU_REG(R_PAGE));
    emit_rm(&t->e, 3, I_LEA, T2, MEM(T2, op->off + op->len));
    emit_rm(&t->e, 3, I_STORE, T2, MEM(T0, 0));
    move_rsp(t, -8);
}

void jit_call(Tr *t, const X86Op *op)
{
    push_address(t);
    push_return(t, op);
    jit_go_direct(t, t->i, STUB_EIP);
}

void jit_ret(Tr *t, const X86Op *op)
{
    word_address(t, R_ESP);
    emit_rm(&t->e, 3, I_LOAD, T0, MEM(T0, 0));
    jit_find_target(t, STUB_AT);
    move_rsp(t, 8 + (uint16_t)op->imm);
    jit_enter_block(t);
}

/* The target of an indirect branch to T0. */
static void indirect_target(Tr *t, const X86Op *op)
{
    if (op->flags & OF_MEM) {
        emit_rm(&t->e, 3, I_LOAD, T0, MEM(jit_operand(t, op, 3, false, false), 0));
    } else {
        jit_clobber_flags(t);
        emit_rr(&t->e, 3, I_STORE, jit_get(t, op->rm, T2), T0);
    }
}

void jit_jmp_rm(Tr *t, const X86Op *op)
{
    indirect_target(t, op);
    jit_find_target(t, STUB_AT);
    jit_enter_block(t);
}

/* The target is no address: #GP, and nothing has been pushed. */
static void check_canonical(Tr *t)
{
    Emit *e = &t->e;

    emit_rr(e, 3, I_STORE, T0, T2);
    emit_rr(e, 3, I_SHIFT_IMM, 4, T2);
    emit8(e, 16);
    emit_rr(e, 3, I_SHIFT_IMM, 7, T2);
    emit8(e, 16);
    emit_rr(e, 3, I_CMP, T0, T2);
    jit_stub(t, STUB_AT, emit_jcc(e, H_NZ), false);
}

void jit_call_rm(Tr *t, const X86Op *op)
{
    indirect_target(t, op);
    check_canonical(t);
    emit_rm(&t->e, 3, I_STORE, T0, CPU_FIELD(jit_tmp));
    push_address(t);
    push_return(t, op);
    emit_rm(&t->e, 3, I_LOAD, T0, CPU_FIELD(jit_tmp));
    jit_find_target(t, STUB_TMP);
    jit_enter_block(t);
}
