/*
 * Virtual-8086 mode without its extensions (SDM 3B, chapter "8086 Emulation"; CPUID has
 * no VME): real-mode segments at CPL 3, and the ways in and out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/ops/flags.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/sys/system.h"

/* Of data that may be read and written, and of code. */
#define VM86_FLAGS 0x3e7fd5u     /* all but RF */
#define VM86_ATTR (DESC_P | 3 << DESC_DPL_SHIFT | DESC_S | 3)

void tcg_vm86_load_seg(TCGCPU *c, unsigned seg, uint16_t sel)
{
    c->segs[seg] = (SegmentCache) {
        .selector = sel, .base = (uint32_t)sel << 4, .limit = 0xffff, .attr = VM86_ATTR,
    };
}

void tcg_vm86_need_iopl(TCGCPU *c)
{
    if ((c->eflags & VM_MASK) && (c->eflags & IOPL_MASK) != IOPL_MASK) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
}

void tcg_vm86_enter(TCGCPU *c)
{
    static const uint8_t order[] = { R_SS, R_ES, R_DS, R_FS, R_GS };
    uint64_t mask = c->stack32 ? 0xffffffffu : 0xffff, sp = c->regs[R_ESP];
    uint64_t frame[9];

    /* EIP, CS, EFLAGS, ESP, and the segments in that order. */
    for (unsigned i = 0; i < G_N_ELEMENTS(frame); i++) {
        uint64_t at = tcg_seg_lin(c, R_SS, (sp + 4 * i) & mask, 4, false);

        frame[i] = tcg_load_slow(c, at, 4);
    }
    cpu_set_eflags(c, frame[2] & VM86_FLAGS);
    c->cpl = 3;
    tcg_vm86_load_seg(c, R_CS, frame[1]);
    for (unsigned i = 0; i < G_N_ELEMENTS(order); i++) {
        tcg_vm86_load_seg(c, order[i], frame[4 + i]);
    }
    c->regs[R_ESP] = (uint32_t)frame[3];
    c->eip = (uint16_t)frame[0];
    tcg_update_mode(c);
}

void tcg_vm86_leave(TCGCPU *c)
{
    static const uint8_t segs[] = { R_ES, R_DS, R_FS, R_GS };

    for (unsigned i = 0; i < G_N_ELEMENTS(segs); i++) {
        c->segs[segs[i]] = (SegmentCache) { 0 };
    }
}
