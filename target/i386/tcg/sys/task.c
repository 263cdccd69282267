/*
 * Hardware tasks (SDM 3A, chapter 7): far JMP and CALL to task state segments and task
 * gates, task gates in the IDT, IRET with NT set. Long mode has none of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

#define TSS_BUSY        2u          /* in the type */
#define TASK_FLAGS      0x3f7fd5u   /* what EFLAGS take from a TSS */
#define DR7_LOCAL       0x155u      /* breakpoints of one task: L0-L3, LE */
#define DR6_BT          0x8000u

/* Where a TSS has what: that of the 80286, and that of the 80386. */
typedef struct TSSLayout {
    uint8_t size;           /* of EIP, EFLAGS and registers */
    uint8_t eip, eflags, regs, segs, nr_segs, ldt;
    uint8_t min_limit;
} TSSLayout;

static const TSSLayout layout16 = {
    .size = 2, .eip = 0x0e, .eflags = 0x10, .regs = 0x12, .segs = 0x22, .nr_segs = 4,
    .ldt = 0x2a, .min_limit = 0x2b,
};
static const TSSLayout layout32 = {
    .size = 4, .eip = 0x20, .eflags = 0x24, .regs = 0x28, .segs = 0x48, .nr_segs = 6,
    .ldt = 0x60, .min_limit = 0x67,
};
#define TSS_CR3     0x1c            /* of layout32 */
#define TSS_TRAP    0x64

/* What the new task brings along. */
typedef struct NewTask {
    const TSSLayout *layout;
    SegmentCache tr;
    uint32_t cr3, eip, eflags;
    uint32_t regs[8];
    uint16_t segs[6], ldt;
    bool trap;              /* #DB before its first instruction */
} NewTask;

static const TSSLayout *layout_of(unsigned type)
{
    return type & 8 ? &layout32 : &layout16;
}

static void set_busy(TCGCPU *c, uint16_t sel, bool busy)
{
    uint64_t at = c->gdt.base + (sel & ~7u) + 5;
    unsigned byte = tcg_load_sys(c, at, 1);

    tcg_store_sys(c, at, busy ? byte | TSS_BUSY : byte & ~TSS_BUSY, 1);
}

/* The old task ------------------------------------------------------------- */

static void save(TCGCPU *c, const TSSLayout *l, uint32_t eip, uint32_t eflags)
{
    uint64_t base = c->tr.base;

    tcg_store_sys(c, base + l->eip, eip, l->size);
    tcg_store_sys(c, base + l->eflags, eflags, l->size);
    for (unsigned i = 0; i < 8; i++) {
        tcg_store_sys(c, base + l->regs + i * l->size, c->regs[i], l->size);
    }
    for (unsigned i = 0; i < l->nr_segs; i++) {
        tcg_store_sys(c, base + l->segs + i * l->size, c->segs[i].selector, 2);
    }
}

/* The new one -------------------------------------------------------------- */

static void load(TCGCPU *c, NewTask *t)
{
    const TSSLayout *l = t->layout;
    uint64_t base = t->tr.base;

    t->eip = tcg_load_sys(c, base + l->eip, l->size);
    t->eflags = tcg_load_sys(c, base + l->eflags, l->size);
    for (unsigned i = 0; i < 8; i++) {
        t->regs[i] = tcg_load_sys(c, base + l->regs + i * l->size, l->size);
    }
    for (unsigned i = 0; i < l->nr_segs; i++) {
        t->segs[i] = tcg_load_sys(c, base + l->segs + i * l->size, 2);
    }
    t->ldt = tcg_load_sys(c, base + l->ldt, 2);
    if (l == &layout32) {
        t->cr3 = tcg_load_sys(c, base + TSS_CR3, 4);
        t->trap = tcg_load_sys(c, base + TSS_TRAP, 2) & 1;
    }
}

/* Selectors without descriptors: what faults from here on is the new task's. */
static void take_over(TCGCPU *c, const NewTask *t)
{
    c->tr = t->tr;
    c->cr0 |= CR0_TS;
    if (t->layout == &layout32 && (c->cr0 & CR0_PG)) {
        tcg_tlb_set_cr3(c, t->cr3, false);
    }
    for (unsigned i = 0; i < 8; i++) {
        c->regs[i] = t->regs[i];
    }
    for (unsigned i = 0; i < 6; i++) {
        c->segs[i] = (SegmentCache) { .selector = t->segs[i] };
    }
    c->ldt = (SegmentCache) { .selector = t->ldt };
    c->eip = t->eip;
    cpu_set_eflags(c, (t->eflags & TASK_FLAGS) | 2);
    c->shadow = c->ss_shadow = false;
    if ((t->eflags & IF_MASK) && c->irq_waiting) {
        tcg_poll_set(c, POLL_IRQ);
    }
    if (c->dr[7] & DR7_LOCAL) {
        c->dr[7] &= ~(uint64_t)DR7_LOCAL;
        tcg_debug_update(c);
    }
    c->debug.resume = c->debug.slow && (t->eflags & RF_MASK);
}

G_NORETURN static void bad_segment(TCGCPU *c, int vector, uint16_t sel, bool external)
{
    tcg_raise_err(c, vector, (sel & ~3u) + external);
}

static void load_ldt(TCGCPU *c, bool external)
{
    uint16_t sel = c->ldt.selector;
    uint64_t d;

    if (!(sel & ~3u)) {
        return;
    }
    if ((sel & 4) || !tcg_read_desc(c, sel, &d, NULL) || desc_type(d) != TYPE_LDT ||
        !desc_present(d)) {
        bad_segment(c, EXCP_TS, sel, external);
    }
    tcg_desc_to_cache(sel, d, &c->ldt);
}

static void load_cs(TCGCPU *c, bool external)
{
    uint16_t sel = c->segs[R_CS].selector;
    unsigned rpl = sel & 3;
    uint64_t d;

    if (!(sel & ~3u) || !tcg_read_desc(c, sel, &d, NULL)) {
        bad_segment(c, EXCP_TS, sel, external);
    }
    if (!desc_is_code(d) ||
        (desc_is_conforming(d) ? desc_dpl(d) > rpl : desc_dpl(d) != rpl)) {
        bad_segment(c, EXCP_TS, sel, external);
    }
    if (!desc_present(d)) {
        bad_segment(c, EXCP_NP, sel, external);
    }
    tcg_set_cs(c, sel, d, rpl);
}

/* SS and the data segments, whose faults a task switch calls by another name. */
static void load_data(TCGCPU *c, unsigned seg, bool external)
{
    uint16_t sel = c->segs[seg].selector;
    unsigned rpl = sel & 3;
    uint64_t d;
    bool good;

    if (!(sel & ~3u) && seg != R_SS) {
        return;
    }
    if (!(sel & ~3u) || !tcg_read_desc(c, sel, &d, NULL)) {
        bad_segment(c, EXCP_TS, sel, external);
    }
    if (seg == R_SS) {
        good = desc_is_writable(d) && desc_dpl(d) == c->cpl && rpl == c->cpl;
    } else {
        good = desc_is_readable(d) &&
               (desc_is_conforming(d) || desc_dpl(d) >= MAX(c->cpl, rpl));
    }
    if (!good) {
        bad_segment(c, EXCP_TS, sel, external);
    }
    if (!desc_present(d)) {
        bad_segment(c, seg == R_SS ? EXCP_SS : EXCP_NP, sel, external);
    }
    tcg_load_seg(c, seg, sel);
}

static void load_segments(TCGCPU *c, bool external)
{
    static const uint8_t data[] = { R_SS, R_ES, R_DS, R_FS, R_GS };

    c->cpl = c->eflags & VM_MASK ? 3 : c->segs[R_CS].selector & 3;
    load_ldt(c, external);
    if (c->eflags & VM_MASK) {
        for (unsigned i = 0; i < 6; i++) {
            tcg_vm86_load_seg(c, i, c->segs[i].selector);
        }
        tcg_update_mode(c);
        return;
    }
    load_cs(c, external);
    for (unsigned i = 0; i < G_N_ELEMENTS(data); i++) {
        load_data(c, data[i], external);
    }
}

static void push_error(TCGCPU *c, const TSSLayout *l, uint32_t error)
{
    uint64_t mask = c->stack32 ? 0xffffffffu : 0xffff;
    uint64_t sp = (c->regs[R_ESP] - l->size) & mask;

    tcg_store_sys(c, tcg_seg_lin(c, R_SS, sp, l->size, true), error, l->size);
    c->regs[R_ESP] = (c->regs[R_ESP] & ~mask) | sp;
}

/* The TSS that sel names must be there and large enough; #GP or #NP, then #TS. */
static void find_tss(TCGCPU *c, const TaskSwitch *s, NewTask *t)
{
    int vector = s->why == TASK_IRET ? EXCP_TS : EXCP_GP;
    unsigned type;
    uint64_t d;

    if ((s->sel & 4) || !(s->sel & ~3u) || !tcg_read_desc(c, s->sel, &d, NULL)) {
        bad_segment(c, vector, s->sel, s->external);
    }
    type = desc_type(d);
    if ((type & ~8u) != (s->why == TASK_IRET ? TYPE_TSS16_BUSY : TYPE_TSS16)) {
        bad_segment(c, vector, s->sel, s->external);
    }
    if (!desc_present(d)) {
        bad_segment(c, EXCP_NP, s->sel, s->external);
    }
    t->layout = layout_of(type);
    tcg_desc_to_cache(s->sel, d, &t->tr);
    t->tr.attr |= TSS_BUSY;
    if (t->tr.limit < t->layout->min_limit) {
        bad_segment(c, EXCP_TS, s->sel, s->external);
    }
}

void tcg_task_switch(TCGCPU *c, const TaskSwitch *s)
{
    const TSSLayout *old = layout_of(c->tr.attr & DESC_TYPE_MASK);
    bool nested = s->why == TASK_CALL || s->why == TASK_INT;
    uint32_t eflags = s->eflags & ~(s->why == TASK_IRET ? NT_MASK : 0);
    uint16_t old_sel = c->tr.selector;
    NewTask t = { 0 };

    find_tss(c, s, &t);
    load(c, &t);
    save(c, old, s->eip, eflags);
    if (!nested) {
        set_busy(c, old_sel, false);
    }
    if (s->why != TASK_IRET) {
        set_busy(c, s->sel, true);
    }
    if (nested) {
        tcg_store_sys(c, t.tr.base, old_sel, 2);
        t.eflags |= NT_MASK;
    }
    take_over(c, &t);
    load_segments(c, s->external);
    if (s->has_err) {
        push_error(c, t.layout, s->err);
    }
    if (!(c->eflags & VM_MASK) && c->eip > c->segs[R_CS].limit) {
        tcg_raise_err(c, EXCP_GP, s->external);
    }
    if (t.trap) {
        tcg_raise_debug(c, DR6_BT, true);
    }
}

uint16_t tcg_task_link(TCGCPU *c)
{
    return tcg_load_sys(c, c->tr.base, 2);
}

/* Stacks of inner rings ---------------------------------------------------- */

uint64_t tcg_tss_read(TCGCPU *c, unsigned off, unsigned size, uint32_t ext)
{
    if (off + size - 1 > c->tr.limit) {
        tcg_raise_err(c, EXCP_TS, (c->tr.selector & ~3u) + ext);
    }
    return tcg_load_sys(c, c->tr.base + off, size);
}

uint64_t tcg_inner_stack(TCGCPU *c, unsigned cpl, uint32_t ext, SegmentCache *ss)
{
    bool tss32 = (c->tr.attr & 0xd) == TYPE_TSS;
    unsigned off = tss32 ? 4 + cpl * 8 : 2 + cpl * 4;
    uint64_t sp = tcg_tss_read(c, off, tss32 ? 4 : 2, ext), d;
    uint16_t sel = tcg_tss_read(c, off + (tss32 ? 4 : 2), 2, ext);

    if (!(sel & ~3u) || !tcg_read_desc(c, sel, &d, NULL) || (sel & 3) != cpl ||
        desc_dpl(d) != cpl || !desc_is_writable(d)) {
        tcg_raise_err(c, EXCP_TS, (sel & ~3u) + ext);
    }
    if (!desc_present(d)) {
        tcg_raise_err(c, EXCP_SS, (sel & ~3u) + ext);
    }
    tcg_desc_to_cache(sel, tcg_mark_accessed(c, sel, d), ss);
    return sp;
}
