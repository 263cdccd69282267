/*
 * Delivery of exceptions and interrupts through the IDT (SDM 3A, chapter 6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/sys/system.h"

/* A delivery under way. */
typedef struct Delivery {
    unsigned vector;
    IntKind kind;
    bool has_err;
    uint32_t err;
    uint64_t eip;
    uint64_t eflags;            /* to be pushed */
    uint32_t ext;               /* EXT bit of error codes */
    unsigned cpl;               /* of the handler */
    uint64_t sp;
    uint64_t stack_mask;
    const SegmentCache *ss;     /* NULL: in long mode */
    uint32_t ss_error;          /* of #SS, beyond its limit */
    unsigned size;              /* of a stack slot */
} Delivery;

static void push(TCGCPU *c, Delivery *d, uint64_t v)
{
    d->sp = (d->sp - d->size) & d->stack_mask;
    if (d->ss && !tcg_in_limit(d->ss, d->sp, d->size)) {
        tcg_raise_err(c, EXCP_SS, d->ss_error);
    }
    tcg_store_stack(c, d->cpl, (d->ss ? d->ss->base : 0) + d->sp, v, d->size);
}

G_NORETURN static void idt_fault(TCGCPU *c, Delivery *d)
{
    tcg_raise_err(c, EXCP_GP, d->vector * 8 + 2 + d->ext);
}

static void check_gate(TCGCPU *c, Delivery *d, uint64_t gate)
{
    if (d->kind == INT_SOFT && desc_dpl(gate) < c->cpl) {
        idt_fault(c, d);
    }
    if (!desc_present(gate)) {
        tcg_raise_err(c, EXCP_NP, d->vector * 8 + 2 + d->ext);
    }
}

/* The code segment of a gate; sets d->cpl. */
static void gate_cs(TCGCPU *c, Delivery *d, uint16_t sel, uint64_t *desc)
{
    unsigned dpl;

    if (!(sel & ~3u)) {
        tcg_raise_err(c, EXCP_GP, d->ext);
    }
    if (!tcg_read_desc(c, sel, desc, NULL)) {
        tcg_raise_err(c, EXCP_GP, (sel & ~3u) + d->ext);
    }
    dpl = desc_dpl(*desc);
    if (!desc_is_code(*desc) || dpl > c->cpl) {
        tcg_raise_err(c, EXCP_GP, (sel & ~3u) + d->ext);
    }
    if (!desc_present(*desc)) {
        tcg_raise_err(c, EXCP_NP, (sel & ~3u) + d->ext);
    }
    if ((c->efer & EFER_LMA) && (!desc_is_long(*desc) || desc_is_big(*desc))) {
        tcg_raise_err(c, EXCP_GP, (sel & ~3u) + d->ext);
    }
    d->cpl = desc_is_conforming(*desc) ? c->cpl : dpl;
}

static void enter_handler(TCGCPU *c, bool interrupt_gate, uint64_t eip)
{
    uint64_t clear = TF_MASK | NT_MASK | RF_MASK | VM_MASK;

    c->eflags &= ~(clear | (interrupt_gate ? IF_MASK : 0));
    c->eip = eip;
    c->shadow = c->ss_shadow = false;
    c->debug.resume = false;
}

static void interrupt_long(TCGCPU *c, Delivery *d)
{
    uint64_t lo, hi, desc, old_sp = c->regs[R_ESP], eip;
    unsigned type, ist, old_ss = c->segs[R_SS].selector;
    uint16_t sel;
    bool outer;

    if (d->vector * 16 + 15 > c->idt.limit) {
        idt_fault(c, d);
    }
    lo = tcg_load_sys(c, c->idt.base + d->vector * 16, 8);
    hi = tcg_load_sys(c, c->idt.base + d->vector * 16 + 8, 8);
    type = desc_type(lo);
    if (type != GATE_INTERRUPT && type != GATE_TRAP) {
        idt_fault(c, d);
    }
    check_gate(c, d, lo);
    sel = desc_gate_selector(lo);
    gate_cs(c, d, sel, &desc);
    eip = desc_gate_offset(lo, hi);
    tcg_check_target(c, desc, eip, d->ext);
    outer = d->cpl < c->cpl;
    ist = (lo >> 32) & 7;
    if (ist) {
        d->sp = tcg_tss_read(c, 28 + ist * 8, 8, d->ext);
    } else if (outer) {
        d->sp = tcg_tss_read(c, 4 + d->cpl * 8, 8, d->ext);
    } else {
        d->sp = old_sp;
    }
    d->sp &= ~(uint64_t)15;
    d->stack_mask = ~(uint64_t)0;
    d->size = 8;
    push(c, d, old_ss);
    push(c, d, old_sp);
    push(c, d, d->eflags);
    push(c, d, c->segs[R_CS].selector);
    push(c, d, d->eip);
    if (d->has_err) {
        push(c, d, d->err);
    }
    tcg_set_cs(c, sel, desc, d->cpl);
    if (outer) {
        tcg_set_flat_ss(c, d->cpl, d->cpl);
    }
    c->regs[R_ESP] = d->sp;
    enter_handler(c, type == GATE_INTERRUPT, eip);
}

/* What the handler's IRET pops; of virtual-8086 mode all segments. */
static void push_frame(TCGCPU *c, Delivery *d, bool vm86, bool outer)
{
    if (vm86) {
        push(c, d, c->segs[R_GS].selector);
        push(c, d, c->segs[R_FS].selector);
        push(c, d, c->segs[R_DS].selector);
        push(c, d, c->segs[R_ES].selector);
    }
    if (outer) {
        push(c, d, c->segs[R_SS].selector);
        push(c, d, c->regs[R_ESP]);
    }
    push(c, d, d->eflags);
    push(c, d, c->segs[R_CS].selector);
    push(c, d, d->eip);
    if (d->has_err) {
        push(c, d, d->err);
    }
}

static void interrupt_task(TCGCPU *c, const Delivery *d, uint16_t sel)
{
    TaskSwitch s = {
        .why = TASK_INT, .sel = sel, .eip = d->eip, .eflags = d->eflags, .external = d->ext,
        .has_err = d->has_err, .err = d->err,
    };

    tcg_task_switch(c, &s);
}

static void interrupt_protected(TCGCPU *c, Delivery *d)
{
    SegmentCache ss = c->segs[R_SS];
    uint64_t gate, desc, old_sp = c->regs[R_ESP], eip;
    bool vm86 = c->eflags & VM_MASK, outer;
    unsigned type;
    uint16_t sel;

    if (d->vector * 8 + 7 > c->idt.limit) {
        idt_fault(c, d);
    }
    gate = tcg_load_sys(c, c->idt.base + d->vector * 8, 8);
    type = desc_type(gate);
    if ((type & ~9u) != 6 && type != GATE_TASK) {       /* 6, 7, 14, 15 */
        idt_fault(c, d);
    }
    check_gate(c, d, gate);
    sel = desc_gate_selector(gate);
    if (type == GATE_TASK) {
        interrupt_task(c, d, sel);
        return;
    }
    gate_cs(c, d, sel, &desc);
    if (vm86 && d->cpl) {
        tcg_raise_err(c, EXCP_GP, (sel & ~3u) + d->ext);
    }
    eip = desc_gate_offset(gate, 0);
    tcg_check_target(c, desc, eip, d->ext);
    outer = d->cpl < c->cpl;
    d->size = type & 8 ? 4 : 2;
    d->sp = old_sp;
    d->ss_error = d->ext;
    if (outer) {
        d->sp = tcg_inner_stack(c, d->cpl, d->ext, &ss);
        d->ss_error = (ss.selector & ~3u) + d->ext;
    } else if (!(ss.attr & DESC_P)) {   /* a task that could not load its own */
        tcg_raise_err(c, EXCP_SS, d->ext);
    }
    d->stack_mask = ss.attr & DESC_DB ? 0xffffffffu : 0xffff;
    d->sp &= d->stack_mask;
    d->ss = &ss;
    push_frame(c, d, vm86, outer);
    tcg_set_cs(c, sel, desc, d->cpl);
    if (vm86) {
        tcg_vm86_leave(c);
    }
    c->segs[R_SS] = ss;
    tcg_update_mode(c);
    c->regs[R_ESP] = (old_sp & ~d->stack_mask) | d->sp;
    enter_handler(c, !(type & 1), eip);
}

static void interrupt_real(TCGCPU *c, Delivery *d)
{
    uint32_t vec;

    if (d->vector * 4 + 3 > c->idt.limit) {
        idt_fault(c, d);
    }
    vec = tcg_load_sys(c, c->idt.base + d->vector * 4, 4);
    d->sp = c->regs[R_ESP] & 0xffff;
    d->stack_mask = 0xffff;
    d->ss = &c->segs[R_SS];
    d->size = 2;
    push(c, d, d->eflags);
    push(c, d, c->segs[R_CS].selector);
    push(c, d, d->eip);
    c->regs[R_ESP] = (c->regs[R_ESP] & ~0xffffull) | d->sp;
    c->segs[R_CS].selector = vec >> 16;
    c->segs[R_CS].base = (vec >> 16) << 4;
    c->eflags &= ~(uint64_t)AC_MASK;
    enter_handler(c, true, vec & 0xffff);
    tcg_update_mode(c);
}

void tcg_interrupt(TCGCPU *c, unsigned vector, IntKind kind, bool has_err,
                   uint32_t err, uint64_t eip)
{
    Delivery d = {
        .vector = vector, .kind = kind, .has_err = has_err, .err = err,
        .eip = eip, .ext = kind == INT_SOFT ? 0 : 1,
        .eflags = cpu_get_eflags(c) & ~(uint64_t)RF_MASK,
    };

    if (kind == INT_FAULT || c->debug.resume) {
        d.eflags |= RF_MASK;
    }
    c->fault_seg = R_DS;        /* of the tables; pushes are the stack's */
    if (c->efer & EFER_LMA) {
        interrupt_long(c, &d);
    } else if (c->cr0 & CR0_PE) {
        interrupt_protected(c, &d);
    } else {
        interrupt_real(c, &d);
    }
}

void tcg_soft_int(TCGCPU *c, unsigned vector, uint64_t next)
{
    tcg_interrupt(c, vector, INT_SOFT, false, 0, next);
}
