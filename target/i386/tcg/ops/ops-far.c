/*
 * Far transfers: JMP, CALL, RET between segments, IRET, SYSCALL and SYSENTER
 * with their returns.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/ops-stack.h"
#include "target/i386/tcg/decode/optabs.h"
#include "target/i386/tcg/sys/system.h"

static bool real_mode(const TCGCPU *c)
{
    return !(c->cr0 & CR0_PE);
}

static void set_real_cs(TCGCPU *c, uint16_t sel)
{
    c->segs[R_CS].selector = sel;
    c->segs[R_CS].base = (uint32_t)sel << 4;
    tcg_update_mode(c);
}

/* The descriptor that a far JMP or CALL names; true: a system one, maybe a gate. */
static bool far_descriptor(TCGCPU *c, uint16_t sel, uint64_t *d)
{
    if (!(sel & ~3u)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (!tcg_read_desc(c, sel, d, NULL)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    return !desc_is_segment(*d);
}

/* Check the code segment d, the target of a far JMP or CALL. */
static void far_target(TCGCPU *c, uint16_t sel, uint64_t d, uint64_t off)
{
    unsigned dpl = desc_dpl(d), rpl = sel & 3;

    if (!desc_is_code(d) ||
        (desc_is_conforming(d) ? dpl > c->cpl : rpl > c->cpl || dpl != c->cpl)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if ((c->efer & EFER_LMA) && desc_is_long(d) && desc_is_big(d)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(d)) {
        tcg_raise_err(c, EXCP_NP, sel & ~3u);
    }
    tcg_check_target(c, d, off, 0);
}

static const X86Op *jmp_far(TCGCPU *c, const X86Op *op, uint16_t sel, uint64_t off)
{
    uint64_t d;

    if (!tcg_protected(c)) {
        set_real_cs(c, sel);
        EXIT_TO(off);
    }
    if (far_descriptor(c, sel, &d)) {
        tcg_far_gate(c, sel, d, false, next_eip(c, op));
        return NULL;
    }
    far_target(c, sel, d, off);
    tcg_set_cs(c, sel, d, c->cpl);
    EXIT_TO(off);
}

static const X86Op *call_far(TCGCPU *c, const X86Op *op, uint16_t sel,
                             uint64_t off)
{
    uint64_t d = 0, sp = c->regs[R_ESP], n = 1u << op->size;

    if (tcg_protected(c)) {
        if (far_descriptor(c, sel, &d)) {
            tcg_far_gate(c, sel, d, true, next_eip(c, op));
            return NULL;
        }
        far_target(c, sel, d, off);
    }
    st_size(c, op, stack_addr(c, op, sp - n, op->size, true),
            c->segs[R_CS].selector, op->size);
    st_size(c, op, stack_addr(c, op, sp - 2 * n, op->size, true),
            next_eip(c, op), op->size);
    if (tcg_protected(c)) {
        tcg_set_cs(c, sel, d, c->cpl);
    } else {
        set_real_cs(c, sel);
    }
    set_sp(c, op, sp - 2 * n);
    EXIT_TO(off);
}

OP(op_jmp_far)
{
    sync_eip(c, op);
    return jmp_far(c, op, (uint16_t)op->disp, op->size == 1 ? (uint16_t)op->imm :
                   (uint32_t)op->imm);
}

OP(op_call_far)
{
    sync_eip(c, op);
    return call_far(c, op, (uint16_t)op->disp, op->size == 1 ? (uint16_t)op->imm :
                    (uint32_t)op->imm);
}

OP(op_jmp_far_m)
{
    uint64_t a = ea(c, op), off = ld_size(c, op, a, op->size);
    uint16_t sel = ld16(c, op, a + (1u << op->size));

    sync_eip(c, op);
    return jmp_far(c, op, sel, off);
}

OP(op_call_far_m)
{
    uint64_t a = ea(c, op), off = ld_size(c, op, a, op->size);
    uint16_t sel = ld16(c, op, a + (1u << op->size));

    sync_eip(c, op);
    return call_far(c, op, sel, off);
}

/* The code segment that RETF or IRET goes back to. */
static uint64_t return_cs(TCGCPU *c, uint16_t sel)
{
    unsigned dpl, rpl = sel & 3;
    uint64_t d;

    if (!(sel & ~3u)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (!tcg_read_desc(c, sel, &d, NULL) || rpl < c->cpl) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    dpl = desc_dpl(d);
    if (!desc_is_code(d) || (desc_is_conforming(d) ? dpl > rpl : dpl != rpl) ||
        ((c->efer & EFER_LMA) && desc_is_long(d) && desc_is_big(d))) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(d)) {
        tcg_raise_err(c, EXCP_NP, sel & ~3u);
    }
    return d;
}

/* The stack segment that goes with it; desc 0: a null selector, allowed. */
static uint64_t return_ss(TCGCPU *c, uint16_t sel, unsigned rpl, bool to64)
{
    uint64_t d;

    if (!(sel & ~3u)) {
        if (!to64 || rpl == 3 || (sel & 3) != rpl) {
            tcg_raise_err(c, EXCP_GP, 0);
        }
        return 0;
    }
    if (!tcg_read_desc(c, sel, &d, NULL) || (sel & 3) != rpl ||
        desc_dpl(d) != rpl || !desc_is_writable(d)) {
        tcg_raise_err(c, EXCP_GP, sel & ~3u);
    }
    if (!desc_present(d)) {
        tcg_raise_err(c, EXCP_SS, sel & ~3u);
    }
    return tcg_mark_accessed(c, sel, d);
}

static void set_ss(TCGCPU *c, uint16_t sel, uint64_t d)
{
    if (d) {
        tcg_desc_to_cache(sel, d, &c->segs[R_SS]);
        tcg_update_mode(c);
    } else {
        tcg_set_flat_ss(c, sel, sel & 3);
    }
}

/* One value of a frame on the stack. */
static uint64_t frame_get(TCGCPU *c, const X86Op *op, unsigned i)
{
    return ld_size(c, op, stack_addr(c, op, c->regs[R_ESP] + ((uint64_t)i << op->size),
                                     op->size, false), op->size);
}

/*
 * Go to a protected-mode frame's CS:EIP; with has_ss its stack too, which a change of
 * privilege always has. release: bytes of parameters, on the stacks of both rings.
 */
static void far_return(TCGCPU *c, const X86Op *op, unsigned slots, bool has_ss,
                       unsigned release)
{
    uint64_t eip = frame_get(c, op, 0), sp = 0, cs_desc, ss_desc = 0;
    uint16_t cs = frame_get(c, op, 1), ss = 0;
    unsigned rpl = cs & 3, at = slots;
    bool to64, outer;

    cs_desc = return_cs(c, cs);
    to64 = (c->efer & EFER_LMA) && desc_is_long(cs_desc);
    outer = rpl != c->cpl;
    if (outer || has_ss) {
        uint64_t base = c->regs[R_ESP] + release;

        sp = ld_size(c, op, stack_addr(c, op, base + ((uint64_t)at << op->size),
                                       op->size, false), op->size);
        ss = ld_size(c, op, stack_addr(c, op, base + ((uint64_t)(at + 1) << op->size),
                                       op->size, false), op->size);
        sp += release;
        ss_desc = return_ss(c, ss, rpl, to64);
    }
    eip = to64 ? eip : op->size == 1 ? (uint16_t)eip : (uint32_t)eip;
    tcg_check_target(c, cs_desc, eip, 0);
    tcg_set_cs(c, cs, cs_desc, rpl);
    set_sp(c, op, c->regs[R_ESP] + ((uint64_t)slots << op->size) + release);
    if (outer || has_ss) {
        set_ss(c, ss, ss_desc);
        if (to64) {
            c->regs[R_ESP] = sp;
        } else if (c->stack32) {
            c->regs[R_ESP] = (uint32_t)sp;
        } else {
            /* Bits 31 to 16 are the inner stack's still: Linux's espfix is about that. */
            c->regs[R_ESP] = (c->regs[R_ESP] & 0xffff0000) | (uint16_t)sp;
        }
        if (outer) {
            tcg_drop_segs(c);
        }
    }
    c->eip = eip;
}

OP(op_retf)
{
    sync_eip(c, op);
    if (!tcg_protected(c)) {
        uint64_t eip = frame_get(c, op, 0);
        uint16_t cs = frame_get(c, op, 1);

        set_sp(c, op, c->regs[R_ESP] + (2u << op->size) + (uint16_t)op->imm);
        set_real_cs(c, cs);
        EXIT_TO(eip);
    }
    far_return(c, op, 2, false, (uint16_t)op->imm);
    return NULL;
}

/* Which flags IRET may change. */
static uint64_t iret_mask(const TCGCPU *c, const X86Op *op, unsigned old_cpl)
{
    uint64_t mask = CC_ALL | TF_MASK | DF_MASK | NT_MASK | RF_MASK | AC_MASK |
               ID_MASK;

    if (old_cpl == 0) {
        mask |= IOPL_MASK | VIF_MASK | VIP_MASK;
    }
    if (real_mode(c) || old_cpl <= (c->eflags & IOPL_MASK) >> 12) {
        mask |= IF_MASK | (real_mode(c) ? IOPL_MASK : 0);
    }
    return op->size == 1 ? mask & 0xffff : mask;
}

/* Of real and virtual-8086 mode: IP, CS and FLAGS, no check. */
static void iret_real(TCGCPU *c, const X86Op *op)
{
    uint64_t eip = frame_get(c, op, 0);
    uint16_t cs = frame_get(c, op, 1);

    set_sp(c, op, c->regs[R_ESP] + (3u << op->size));
    set_real_cs(c, cs);
    c->eip = eip;
}

/* All but the flags, of the values popped: fl. True: those have been taken, too. */
static bool iret_frame(TCGCPU *c, const X86Op *op, uint64_t fl)
{
    if (!tcg_protected(c)) {
        iret_real(c, op);
        return false;
    }
    if (!(c->efer & EFER_LMA) && (fl & VM_MASK) && c->cpl == 0 && op->size == 2) {
        tcg_vm86_enter(c);
        return true;
    }
    far_return(c, op, 3, op->flags & OF_C64, 0);    /* 64-bit code always pops SS:RSP */
    return false;
}

/* To c->eip, with new flags: by way of the loop where they let something happen. */
#define GO_ON_AT_EIP do { \
        if (irq_window(c) || (c->eflags & TF_MASK)) { \
            return NULL; \
        } \
        JUMP_TO(c->eip); \
    } while (0)

/* What waited for IRET: NMIs, interrupts that IF kept out. */
static void iret_done(TCGCPU *c)
{
    if (c->nmi_masked) {
        c->nmi_masked = false;
        if (atomic_load(&c->nmi_pending)) {
            atomic_store(&c->nmi_pending, 1);
            tcg_poll_set(c, POLL_IRQ);
        }
    }
    tcg_update_mode(c);
}

/* NT is set: back to the task that called this one. */
static void iret_task(TCGCPU *c, const X86Op *op)
{
    TaskSwitch s = { .why = TASK_IRET, .eip = next_eip(c, op) };

    if (c->efer & EFER_LMA) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    s.sel = tcg_task_link(c);
    s.eflags = cpu_get_eflags(c) & ~RF_MASK;
    tcg_task_switch(c, &s);
}

OP(op_iret)
{
    uint64_t fl, mask, old;

    sync_eip(c, op);
    if (tcg_protected(c) && (c->eflags & NT_MASK)) {
        iret_task(c, op);
        iret_done(c);
        GO_ON_AT_EIP;
    }
    tcg_vm86_need_iopl(c);
    fl = frame_get(c, op, 2);
    old = cpu_get_eflags(c);
    mask = iret_mask(c, op, c->cpl);
    if (!iret_frame(c, op, fl)) {
        cpu_set_eflags(c, ((fl & mask) | (old & ~mask)) & ~(uint64_t)RF_MASK);
    }
    c->debug.resume = c->debug.slow && (fl & mask & RF_MASK);
    iret_done(c);
    GO_ON_AT_EIP;
}

OP(op_syscall)
{
    sync_eip(c, op);
    if (!(c->efer & EFER_SCE) || real_mode(c)) {
        tcg_raise(c, EXCP_UD);
    }
    if (c->efer & EFER_LMA) {
        c->regs[R_ECX] = next_eip(c, op);
        c->regs[R_R11] = cpu_get_eflags(c) & ~(uint64_t)RF_MASK;
        c->eip = op->flags & OF_C64 ? c->lstar : c->cstar;
        cpu_set_eflags(c, c->regs[R_R11] & ~c->fmask);
    } else {
        c->regs[R_ECX] = (uint32_t)next_eip(c, op);
        c->eip = (uint32_t)c->star;
        c->eflags &= ~(uint64_t)(IF_MASK | VM_MASK | RF_MASK);
    }
    tcg_set_flat_ss(c, ((c->star >> 32) & 0xfffc) + 8, 0);
    tcg_set_flat_cs(c, (c->star >> 32) & 0xfffc, 0, c->efer & EFER_LMA);
    JUMP_TO(c->eip);
}

OP(op_sysret)
{
    unsigned sel = (c->star >> 48) & 0xffff;
    bool to64 = op->flags & OF_REXW, leave;
    uint64_t rip = c->regs[R_ECX];

    sync_eip(c, op);
    if (!(c->efer & EFER_SCE) || real_mode(c)) {
        tcg_raise(c, EXCP_UD);
    }
    if (c->cpl != 0 || (to64 && !tcg_canonical(rip))) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    if (c->efer & EFER_LMA) {
        cpu_set_eflags(c, c->regs[R_R11] & 0x3c7fd7);
    } else {
        c->eflags |= IF_MASK;
    }
    tcg_set_flat_ss(c, (sel + 8) | 3, 3);
    tcg_set_flat_cs(c, (sel + (to64 ? 16 : 0)) | 3, 3, to64);
    c->eip = to64 ? rip : (uint32_t)rip;
    leave = irq_window(c);
    if ((c->efer & EFER_LMA) && (c->eflags & TF_MASK)) {
        tcg_raise_debug(c, DR6_BS, true);       /* at once, unlike after POPF and IRET */
    }
    if (leave) {
        return NULL;
    }
    JUMP_TO(c->eip);
}

OP(op_sysenter)
{
    sync_eip(c, op);
    if (c->efer & EFER_LMA) {
        tcg_raise(c, EXCP_UD);      /* as AMD processors in long mode */
    }
    if (real_mode(c) || !(c->sysenter_cs & 0xfffc)) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    c->eflags &= ~(uint64_t)(IF_MASK | VM_MASK | RF_MASK);
    c->regs[R_ESP] = (uint32_t)c->sysenter_esp;
    tcg_set_flat_ss(c, (c->sysenter_cs & 0xfffc) + 8, 0);
    tcg_set_flat_cs(c, c->sysenter_cs & 0xfffc, 0, false);
    EXIT_TO((uint32_t)c->sysenter_eip);
}

OP(op_sysexit)
{
    uint32_t sel = c->sysenter_cs & 0xfffc;

    sync_eip(c, op);
    if (c->efer & EFER_LMA) {
        tcg_raise(c, EXCP_UD);
    }
    if (real_mode(c) || !sel || c->cpl) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    c->regs[R_ESP] = (uint32_t)c->regs[R_ECX];
    c->eip = (uint32_t)c->regs[R_EDX];
    tcg_set_flat_ss(c, (sel + 24) | 3, 3);
    tcg_set_flat_cs(c, (sel + 16) | 3, 3, false);
    return NULL;
}
