/*
 * Behind a block's code: what fast paths jump to when they do not apply.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

void jit_call_op(Tr *t, unsigned i)
{
    emit_link(&t->e, emit_lea_rip(&t->e, T0), (const uint8_t *)&t->pairs[2 * i]);
    jit_link(t, emit_call(&t->e), t->jit->run_op);
}

/* What c has to know before others go on: also where only the flags' operands are left. */
static void settle_stub(Tr *t, const Stub *s)
{
    jit_store_vec(t, s->dirty);
    if (s->again >= 0) {
        jit_make_flags(t, s->again);
        jit_save_flags(t);
    }
}

/* The interpreter does all of an op; then the next one's code goes on. */
static void emit_call_stub(Tr *t, const Stub *s)
{
    uint8_t *lost;

    settle_stub(t, s);
    jit_call_op(t, s->i);
    lost = jit_stack_lost(t, s->i);
    jit_load_vec(t, s->valid);
    if (s->native) {
        jit_link(t, emit_call(&t->e), t->jit->get_flags);
    }
    emit_link(&t->e, emit_jmp(&t->e), s->back);
    if (lost) {
        emit_here(&t->e, lost);
        jit_leave_with(t, &t->b->ops[s->i + 1]);
    }
}

/* Not the slot's page: look into the TLB. */
static void look_up(Tr *t, const Stub *s)
{
    Emit *e = &t->e;
    uint8_t *odd = NULL;

    if (s->address.base != T0) {
        emit_rm(e, 3, I_LEA, T0, s->address);
    }
    if (s->aligned) {
        emit_alu_imm(e, 0, ALU_TEST, T0, (1 << s->size) - 1);
        odd = emit_jcc(e, H_NZ);
    }
    emit_rm(e, 3, I_LEA, T2, C_AT(offsetof(TCGCPU, slots) + s->slot * sizeof(TLBSlot)));
    jit_link(t, emit_call(e), t->jit->look_up[s->write][s->size]);
    if (s->address.base == T0) {
        emit_link(e, emit_jcc(e, H_Z), s->found);
    } else {
        uint8_t *miss = emit_jcc(e, H_NZ);

        emit_rr(e, 3, I_STORE, T2, T0);
        emit_link(e, emit_jmp(e), s->found);
        emit_here(e, miss);
    }
    if (odd) {
        emit_here(e, odd);
    }
}

/* What goes elsewhere cannot be called. */
static void emit_look_up_stub(Tr *t, const Stub *s)
{
    if (s->slot != NO_SLOT) {
        look_up(t, s);
    }
    if (t->templates[s->i]->attr & TA_END) {
        settle_stub(t, s);
        jit_leave_with(t, &t->b->ops[s->i]);
    } else {
        emit_call_stub(t, s);
    }
}

/*
 * A branch within the page is taken. Where it leads straight to code that overwrites the flags,
 * they are made again only for the poll word.
 */
static void emit_taken_stub(Tr *t, const Stub *s)
{
    jit_store_vec(t, s->dirty);
    t->native = s->native;
    t->now.saved = !s->native;
    t->now.again = s->keep;
    jit_part_with_flags(t, &t->b->ops[s->i]);
    t->native = false;
    jit_go_direct(t, s->i, STUB_AT);
}

void jit_emit_stub(Tr *t, const Stub *s)
{
    Emit *e = &t->e;

    emit_here(e, s->from);
    if (s->find) {
        jit_find_again(t, s);
    }
    switch (s->kind) {
    case STUB_LOOK_UP:
        emit_look_up_stub(t, s);
        break;
    case STUB_CALL:
        emit_call_stub(t, s);
        break;
    case STUB_TAKEN:
        emit_taken_stub(t, s);
        break;
    case STUB_AT:
        settle_stub(t, s);
        jit_leave_with(t, &t->b->ops[s->i]);
        break;
    case STUB_EIP:
        settle_stub(t, s);
        jit_branch_target(t, &t->ops[s->i]);
        jit_link(t, emit_jmp(e), t->jit->leave_eip);
        break;
    case STUB_TMP:
        settle_stub(t, s);
        jit_load_target(t);
        jit_link(t, emit_jmp(e), t->jit->leave_eip);
        break;
    case STUB_POLL:
        settle_stub(t, s);
        emit_rm(e, 3, I_LOAD, T0, CPU_REG(R_PAGE));
        emit_rm(e, 3, I_LEA, T0, MEM(T0, t->ops[s->i].off));
        jit_link(t, emit_jmp(e), t->jit->leave_eip);
        break;
    case STUB_AROUND:
        jit_loop_around(t);
        break;
    case STUB_STACK:
        jit_stack_look_up(t, s);
        break;
    }
}
