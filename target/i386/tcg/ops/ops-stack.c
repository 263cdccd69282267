/*
 * Stack instructions: PUSH, POP, PUSHF, POPF, ENTER, LEAVE; LAHF and SAHF.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops-stack.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

OP(op_push_r64)
{
    uint64_t sp = c->regs[R_ESP] - 8;

    st64(c, op, sp, c->regs[op->rm]);
    c->regs[R_ESP] = sp;
    NEXT;
}

OP(op_pop_r64)
{
    uint64_t v = ld64(c, op, c->regs[R_ESP]);

    c->regs[R_ESP] += 8;
    c->regs[op->rm] = v;
    NEXT;
}

OP(op_push_r)
{
    push_val(c, op, reg_get(c, op->rm, op->size), op->size);
    NEXT;
}

OP(op_pop_r)
{
    uint64_t v = stack_top(c, op, op->size);

    set_sp(c, op, c->regs[R_ESP] + (1u << op->size));
    reg_set(c, op->rm, v, op->size);
    NEXT;
}

OP(op_push_imm)
{
    push_val(c, op, (int64_t)op->imm, op->size);
    NEXT;
}

OP(op_push_rm)
{
    push_val(c, op, rm_get(c, op, op->size), op->size);
    NEXT;
}

/* The address is computed with SP already moved; nothing changes on a fault. */
OP(op_pop_rm)
{
    uint64_t v = stack_top(c, op, op->size), sp = c->regs[R_ESP], addr, nsp;

    set_sp(c, op, sp + (1u << op->size));
    if (op->flags & OF_MEM) {
        nsp = c->regs[R_ESP];
        addr = op->flags & OF_EASLOW ? 0 : ea(c, op);
        if (op->flags & OF_EASLOW) {
            uint64_t off = tcg_ea_offset(c, op);
            c->regs[R_ESP] = sp;
            sync_eip(c, op);
            addr = tcg_seg_lin(c, op->seg, off, 1u << op->size, true);
        }
        c->regs[R_ESP] = sp;
        st_size(c, op, addr, v, op->size);
        c->regs[R_ESP] = nsp;
    } else {
        reg_set(c, op->rm, v, op->size);
    }
    NEXT;
}

OP(op_pushf)
{
    uint64_t fl = cpu_get_eflags(c) & ~(uint64_t)(RF_MASK | VM_MASK);

    sync_eip(c, op);
    tcg_vm86_need_iopl(c);
    push_val(c, op, fl, op->size);
    NEXT;
}

OP(op_popf)
{
    uint64_t v, old = cpu_get_eflags(c), mask;

    sync_eip(c, op);
    tcg_vm86_need_iopl(c);
    v = stack_top(c, op, op->size);
    mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | AC_MASK | ID_MASK;
    if (c->cpl == 0) {
        mask |= IOPL_MASK;
    }
    if (c->cpl <= (old & IOPL_MASK) >> 12) {
        mask |= IF_MASK;
    }
    if (op->size == 1) {
        mask &= 0xffff;
    }
    set_sp(c, op, c->regs[R_ESP] + (1u << op->size));
    cpu_set_eflags(c, (v & mask) | (old & ~mask & ~(uint64_t)RF_MASK));
    if ((old ^ c->eflags) & AC_MASK) {
        tcg_update_mode(c);
        EXIT_NEXT;
    }
    if (irq_window(c) || (c->eflags & TF_MASK)) {
        EXIT_NEXT;
    }
    NEXT;
}

OP(op_lahf)
{
    RB8(1) = lf_get(c) | 2;
    NEXT;
}

OP(op_sahf)
{
    lf_set(c, (lf_get(c) & CC_O) | (RB8(1) & (CC_ALL & 0xff)));
    NEXT;
}

/* ENTER imm16, imm8. */
OP(op_enter)
{
    unsigned size = op->size, n = 1u << size, level = (op->imm >> 16) & 31, i;
    uint64_t sp = c->regs[R_ESP], bp = c->regs[R_EBP], frame;

    sync_eip(c, op);
    sp -= n;
    st_size(c, op, stack_addr(c, op, sp, size, true), bp, size);
    frame = sp;
    for (i = 1; i < level; i++) {
        uint64_t v;

        bp -= n;
        v = ld_size(c, op, stack_addr(c, op, bp, size, false), size);
        sp -= n;
        st_size(c, op, stack_addr(c, op, sp, size, true), v, size);
    }
    if (level) {
        sp -= n;
        st_size(c, op, stack_addr(c, op, sp, size, true), frame, size);
    }
    sp -= (uint16_t)op->imm;
    /* A write at the new top must be possible. */
    tcg_probe_write(c, stack_addr(c, op, sp, size, true), n);
    set_sp(c, op, sp);
    reg_set(c, R_EBP, frame, size);
    NEXT;
}

OP(op_leave)
{
    uint64_t bp = c->regs[R_EBP];
    uint64_t v = ld_size(c, op, stack_addr(c, op, bp, op->size, false), op->size);

    set_sp(c, op, bp + (1u << op->size));
    reg_set(c, R_EBP, v, op->size);
    NEXT;
}

/* id: segment register. */
OP(op_push_seg)
{
    push_val(c, op, c->segs[op->id].selector, op->size);
    NEXT;
}

OP(op_pop_seg)
{
    uint64_t v = stack_top(c, op, op->size);

    sync_eip(c, op);
    tcg_load_seg(c, op->id, (uint16_t)v);
    set_sp(c, op, c->regs[R_ESP] + (1u << op->size));
    if (op->id == R_SS) {
        c->shadow = c->ss_shadow = true;
    }
    EXIT_NEXT;
}

/* PUSHA and POPA; the value of SP on the stack is skipped. */
OP(op_pusha)
{
    unsigned i, n = 1u << op->size;
    uint64_t sp = c->regs[R_ESP];

    for (i = 0; i < 8; i++) {
        uint64_t a = sp - (i + 1) * n;

        st_size(c, op, stack_addr(c, op, a, op->size, true), c->regs[i],
                op->size);
    }
    set_sp(c, op, sp - 8 * n);
    NEXT;
}

OP(op_popa)
{
    unsigned i, n = 1u << op->size;
    uint64_t v[8], sp = c->regs[R_ESP];

    for (i = 0; i < 8; i++) {
        v[i] = ld_size(c, op, stack_addr(c, op, sp + i * n, op->size, false),
                       op->size);
    }
    for (i = 0; i < 8; i++) {
        if (7 - i != R_ESP) {
            reg_set(c, 7 - i, v[i], op->size);
        }
    }
    set_sp(c, op, sp + 8 * n);
    return op + 1;
}
