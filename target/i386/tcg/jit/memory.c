/*
 * Accesses to memory: from a linear address of the guest's to the host's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/templates.h"

/* The effective address of op's memory operand to T0; changes T2 and flags. */
static void address(Tr *t, const X86Op *op)
{
    unsigned base = op->base == R_ZERO ? H_NONE : jit_get(t, op->base, T0);
    unsigned index = op->index == R_ZERO ? H_NONE : jit_get(t, op->index, T2);

    emit_rm(&t->e, 3, I_LEA, T0, (HostMem) { base, index, op->scale, (int32_t)op->disp });
    if (op->flags & OF_EASLOW) {                        /* FS or GS */
        emit_rm(&t->e, 3, I_ADD | 2, T0, C_AT(offsetof(TCGCPU, segs) +
                op->seg * sizeof(SegmentCache) + offsetof(SegmentCache, base)));
    }
}

/* Those that often point to the same page have one of their own, the first ones (C_BIAS) most. */
static unsigned slot_of(unsigned base)
{
    static const uint8_t of_low[8] = {
        [R_ESP] = 1, [R_EBX] = 2, [R_EBP] = 3, [R_EAX] = 4, [R_EDI] = 5, [R_EDX] = 6, [R_ESI] = 7,
        [R_ECX] = 8,
    };

    return base < 8 ? of_low[base] : base < 16 ? 9 + base % 4 : base == R_PAGE ? 13 : 14;
}

#define SLOT_FIELD(slot, field) \
    C_AT(offsetof(TCGCPU, slots) + (slot) * sizeof(TLBSlot) + offsetof(TLBSlot, field))

/* T2, an address: does the slot know the page, and is it aligned? It becomes anything. */
static Stub *compare_page(Tr *t, unsigned base, unsigned size, bool write)
{
    unsigned slot = slot_of(base);
    Emit *e = &t->e;
    Stub *s;

    emit_alu_imm(e, 3, ALU_AND, T2, -(int32_t)TCG_PAGE_SIZE | ((1 << size) - 1));
    emit_rm(e, 3, I_CMP | 2, T2, write ? SLOT_FIELD(slot, w) : SLOT_FIELD(slot, r));
    s = jit_stub(t, STUB_LOOK_UP, emit_jcc(e, H_NZ), false);
    s->slot = slot;
    s->size = size;
    s->write = write;
    return s;
}

/*
 * The host's address of 1 << size bytes at the guest's linear address in T0, to T0: by the slot,
 * or the TLB; if that does not know it, the interpreter does the op, so nothing of it may have
 * happened yet. Changes T2 and the host's flags. base: the register that T0 was made of. Where
 * the slot knows the page and the access is aligned, no more than this.
 */
static void translate(Tr *t, unsigned base, unsigned size, bool write)
{
    Stub *s;

    emit_rr(&t->e, 3, I_STORE, T0, T2);
    s = compare_page(t, base, size, write);
    emit_rm(&t->e, 3, I_ADD | 2, T0, SLOT_FIELD(slot_of(base), addend));
    s->found = t->e.p;
}

/*
 * Is op's index something looked up or cut out of something, as with tables that are accessed
 * at random? Not a counter, as far as can be seen: what has written it last in the block says.
 */
static bool is_random(const Tr *t, const X86Op *op)
{
    bool may = op->scale && op->base != R_ESP && !(t->templates[t->i]->attr & TA_VEC);

    for (unsigned i = t->i; may && i-- > 0;) {
        const X86Op *w = &t->ops[i];
        const Template *tm = t->templates[i];
        bool mem = w->flags & OF_MEM;

        if (!(tm->attr & TA_VEC) && tm->dst == DST_REG && w->size && w->reg == op->index) {
            return mem && (tm->emit == jit_mov_re || tm->emit == jit_extend);
        }
        if (!mem && w->size && w->rm == op->index && tm->emit && tm->dst != DST_NONE) {
            return tm->emit == jit_shift_imm || (tm->emit == jit_alu_ei && tm->arg == ALU_AND);
        }
    }
    return false;
}

/*
 * By the TLB, as a slot would hardly have the page; aligned or not. The difference to T0; changes
 * T2 and flags.
 */
static void translate_random(Tr *t, HostMem m, unsigned size, bool write)
{
    Emit *e = &t->e;
    Stub *s;

    emit_rm(e, 3, I_LEA, T0, m);
    emit_rr(e, 2, I_STORE, T0, T2);
    emit_rr(e, 2, I_SHIFT_IMM, 5, T2);
    emit8(e, TCG_PAGE_BITS - 5);
    emit_alu_imm(e, 2, ALU_AND, T2, (TLB_SIZE - 1) * sizeof(TLBEntry));
    emit_rm(e, 3, I_ADD | 2, T2, CPU_FIELD(tlb));
    emit_rm(e, 3, I_LEA, T0, MEM(T0, (1 << size) - 1));
    emit_alu_imm(e, 3, ALU_AND, T0, -(int32_t)TCG_PAGE_SIZE);
    emit_rm(e, 3, I_ADD | 2, T0, CPU_FIELD(tlb_gen));
    emit_rm(e, 3, I_CMP | 2, T0, MEM(T2, write ? offsetof(TLBEntry, w) : offsetof(TLBEntry, r)));
    s = jit_stub(t, STUB_LOOK_UP, emit_jcc(e, H_NZ), false);
    s->slot = NO_SLOT;
    emit_rm(e, 3, I_LOAD, T0, MEM(T2, offsetof(TLBEntry, addend)));
}

/*
 * The same where registers of the host's make the address: it is not computed for the access, to
 * which the difference between host's and guest's addresses is added. Changes T0, T2 and flags.
 * base: whose slot has the page, probably; NO_SLOT: none.
 */
static HostMem translate_mapped(Tr *t, HostMem m, unsigned base, unsigned size, bool write)
{
    Emit *e = &t->e;
    Stub *s;

    if (base == NO_SLOT) {
        translate_random(t, m, size, write);
    } else {
        emit_rm(e, 3, I_LEA, T2, m);
        s = compare_page(t, base, size, write);
        s->address = m;
        emit_rm(e, 3, I_LOAD, T0, SLOT_FIELD(slot_of(base), addend));
        s->found = e->p;
    }
    if (m.index == H_NONE) {
        m.index = m.base;
    } else {
        emit_rr(e, 3, I_ADD, m.base, T0);
    }
    m.base = T0;
    return m;
}

HostMem jit_word(Tr *t, unsigned g, int disp, bool write)
{
    if (jit_stack_has(t, t->i)) {
        return jit_stack_address(t, disp);
    }
    jit_clobber_flags(t);
    return translate_mapped(t, MEM(jit_host(g), disp), g, 3, write);
}

/* What makes the address is in registers of the host's. */
static bool is_mapped(const X86Op *op, HostMem *m)
{
    bool index = op->index != R_ZERO;

    if ((op->flags & OF_EASLOW) || !jit_mapped(op->base) || (index && !jit_mapped(op->index))) {
        return false;
    }
    *m = (HostMem) { jit_host(op->base), index ? jit_host(op->index) : H_NONE,
                     index ? op->scale : 0, (int32_t)op->disp };
    return true;
}

HostMem jit_operand(Tr *t, const X86Op *op, unsigned size, bool write, bool flags)
{
    HostMem m = MEM(T0, 0);

    if (jit_stack_has(t, t->i)) {
        if (flags) {
            jit_need_flags(t);
        }
        return jit_stack_address(t, (int32_t)op->disp);
    }
    if (flags) {
        jit_settle_flags(t);    /* making them takes what holds the address */
    }
    jit_clobber_flags(t);
    if (is_mapped(op, &m)) {
        m = translate_mapped(t, m, is_random(t, op) ? NO_SLOT : op->base, size, write);
    } else {
        address(t, op);
        translate(t, op->base, size, write);
    }
    if (flags) {
        emit_rr(&t->e, 3, I_STORE, T0, T2);
        jit_fetch_flags(t);
        m.base = T2;
    }
    return m;
}
