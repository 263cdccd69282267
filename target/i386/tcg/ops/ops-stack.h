/*
 * Pushing and popping, for all instructions that do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_OPS_STACK_H
#define TARGET_I386_TCG_OPS_STACK_H

#include "target/i386/tcg/ops/ops.h"

/* Stack of 1 << size bytes. SP is only changed once the access is done. */
static inline uint64_t stack_addr(TCGCPU *c, const X86Op *op, uint64_t sp, unsigned size,
                                  bool write)
{
    if (likely(op->flags & OF_C64)) {
        return sp;
    }
    sync_eip(c, op);
    return tcg_seg_lin(c, R_SS, c->stack32 ? (uint32_t)sp : (uint16_t)sp, 1u << size,
                       write);
}

static inline void set_sp(TCGCPU *c, const X86Op *op, uint64_t sp)
{
    if (likely(op->flags & OF_C64)) {
        c->regs[R_ESP] = sp;
    } else if (c->stack32) {
        c->regs[R_ESP] = (uint32_t)sp;
    } else {
        RSET16(R_ESP, sp);
    }
}

static inline void push_val(TCGCPU *c, const X86Op *op, uint64_t v, unsigned size)
{
    uint64_t sp = c->regs[R_ESP] - (1u << size);

    st_size(c, op, stack_addr(c, op, sp, size, true), v, size);
    set_sp(c, op, sp);
}

/* The value on top of the stack; the caller then moves SP. */
static inline uint64_t stack_top(TCGCPU *c, const X86Op *op, unsigned size)
{
    return ld_size(c, op, stack_addr(c, op, c->regs[R_ESP], size, false),
                   size);
}

#endif
