/*
 * Branches by way of the jump cache: indirect ones, and those to other pages.
 *
 * Tags say which generation of translations an entry is good for. Kernels' half of the address
 * space and the lower one have generations of their own, out of one sequence: so an entry's tag
 * is only ever the present one of the half that its address is in. Code mostly branches within
 * the half in which it has been translated, and compares with that; who does not, and who finds
 * something else where a direct branch's target has been, looks once more, out of line.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

/* An entry's field, T2 being three times its index. */
_Static_assert(sizeof(JumpEntry) == 8 * 3, "JumpEntry");
#define FIELD(field) ((HostMem) { H_C, T2, 3, \
    (int32_t)(offsetof(TCGCPU, jc) + offsetof(JumpEntry, field)) - C_BIAS })
/* Of the entry for an address that is known. */
#define FIELD_OF(lin_, field) \
    C_AT(offsetof(TCGCPU, jc) + jump_hash(lin_) * sizeof(JumpEntry) + offsetof(JumpEntry, field))

/* The index for the address in T0, times three, to T2. */
static void emit_hash(Emit *e)
{
    emit_rr(e, 2, 0x69, T2, T0);
    emit_imm(e, 2, (int32_t)JC_FACTOR);
    emit_rr(e, 2, I_SHIFT_IMM, 5, T2);
    emit8(e, 32 - JC_BITS);
    emit_rm(e, 2, I_LEA, T2, (HostMem) { T2, T2, 1, 0 });
}

/* T0, an address, and op: where code goes on. */
static void emit_take(Emit *e, HostMem op)
{
    emit_alu_imm(e, 3, ALU_AND, T0, -(int32_t)TCG_PAGE_SIZE);
    emit_rm(e, 3, I_STORE, T0, CPU_REG(R_PAGE));
    emit_rm(e, 3, I_LOAD, T0, op);
}

static HostMem current_tag(uint64_t lin)
{
    return C_AT(offsetof(TCGCPU, jc_tag) + 8 * (lin >> 63));
}

/* Look once more, with T0 from address, and if it is there go on at found. */
static void find_stub(Tr *t, int out, uint8_t *from, HostMem address)
{
    Stub *s = jit_stub(t, out, from, false);

    s->find = true;
    s->address = address;
}

/* The stubs made since: they go on here. */
static void found_here(Tr *t, unsigned first)
{
    for (unsigned k = first; k < t->nr_stubs; k++) {
        t->stubs[k].found = t->stubs[k].find ? t->e.p : NULL;
    }
}

void jit_hash_target(Tr *t, int out)
{
    emit_hash(&t->e);
    emit_rm(&t->e, 3, I_CMP | 2, T0, FIELD(lin));
    jit_stub(t, out, emit_jcc(&t->e, H_NZ), false);
}

void jit_take_target(Tr *t, int out)
{
    unsigned first = t->nr_stubs;
    Emit *e = &t->e;

    emit_alu_mem_imm(e, 2, ALU_CMP, CPU_FIELD(poll), 0);
    jit_stub(t, out, emit_jcc(e, H_NZ), false);
    emit_rm(e, 3, I_LOAD, T0, current_tag(t->c->regs[R_PAGE]));
    emit_rm(e, 3, I_CMP | 2, T0, FIELD(tag));
    find_stub(t, out, emit_jcc(e, H_NZ), FIELD(lin));
    emit_rm(e, 3, I_LOAD, T0, FIELD(lin));
    emit_take(e, FIELD(op));
    found_here(t, first);
}

void jit_find_known(Tr *t, const X86Op *op, int out)
{
    uint64_t lin = t->c->regs[R_PAGE] + op->off + op->len + op->imm;
    unsigned first = t->nr_stubs;
    Emit *e = &t->e;

    if (op->imm < 0) {
        emit_alu_mem_imm(e, 2, ALU_CMP, CPU_FIELD(poll), 0);
        jit_stub(t, out, emit_jcc(e, H_NZ), false);
    }
    emit_rm(e, 3, I_CMP | 2, T0, FIELD_OF(lin, lin));
    find_stub(t, out, emit_jcc(e, H_NZ), MEM(T0, 0));
    emit_rm(e, 3, I_LOAD, T2, current_tag(lin));
    emit_rm(e, 3, I_CMP | 2, T2, FIELD_OF(lin, tag));
    jit_stub(t, out, emit_jcc(e, H_NZ), false);
    emit_take(e, FIELD_OF(lin, op));
    found_here(t, first);
}

void jit_find_again(Tr *t, const Stub *s)
{
    if (s->address.base != T0) {
        emit_rm(&t->e, 3, I_LOAD, T0, s->address);
    }
    jit_link(t, emit_call(&t->e), t->jit->find_target);
    emit_link(&t->e, emit_jcc(&t->e, H_Z), s->found);
}

void jit_load_target(Tr *t)
{
    emit_rm(&t->e, 3, I_LOAD, T2, CPU_FIELD(jit_tmp));
    emit_rm(&t->e, 3, I_LOAD, T0, FIELD(lin));
}

void jit_emit_find_target(Emit *e)
{
    uint8_t *miss[2];

    emit_hash(e);
    emit_rm(e, 3, I_CMP | 2, T0, FIELD(lin));
    miss[0] = emit_jcc(e, H_NZ);
    emit_rr(e, 3, I_SHIFT_IMM, 5, T0);
    emit8(e, 63);
    emit_rm(e, 3, I_LOAD, T0, (HostMem) { H_C, T0, 3,
            (int32_t)offsetof(TCGCPU, jc_tag) - C_BIAS });
    emit_rm(e, 3, I_CMP | 2, T0, FIELD(tag));
    miss[1] = emit_jcc(e, H_NZ);
    emit_rm(e, 3, I_LOAD, T0, FIELD(lin));
    emit_take(e, FIELD(op));
    emit_rr(e, 3, I_CMP, T0, T0);
    emit_here(e, miss[0]);
    emit_here(e, miss[1]);
    emit8(e, 0xc3);
}
