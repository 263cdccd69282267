/*
 * From bytes to a block's instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_BLOCK_DECODE_H
#define TARGET_I386_TCG_BLOCK_DECODE_H

#include "target/i386/tcg/tcg-cpu.h"

#define TCG_BLOCK_OPS 32        /* instructions of a block at most */
#define TCG_ID_END 0xffff       /* X86Op.id of the op that ends one */

/* The linear address of c->eip; #GP beyond the limit of the code segment. */
static inline uint64_t tcg_code_address(TCGCPU *c)
{
    uint64_t lin = c->eip + c->segs[R_CS].base;

    if (c->code_size == CODE64) {
        return lin;
    }
    if (c->eip > c->segs[R_CS].limit) {
        tcg_raise_err(c, EXCP_GP, 0);
    }
    return (uint32_t)lin;
}

/* The op behind a block's nr ops; off: where the code goes on. */
void tcg_op_end_init(X86Op *op, unsigned off, unsigned nr, X86CodeSize mode);
/*
 * Decode from host (the page's bytes) at off, up to the page's end: how many ops, without the
 * end; *end: the offset behind them.
 */
unsigned tcg_decode_run(const uint8_t *host, unsigned off, X86CodeSize mode,
                        X86Op *ops, unsigned *end);
/*
 * The instruction at c->eip lies across two pages (or is not in RAM): its bytes
 * one after the other. *page2: the second page, or TCG_NO_PAGE. Raises.
 */
void tcg_decode_crossing(TCGCPU *c, uint64_t lin, X86Op *op,
                         uint64_t *page2, const uint8_t **host2);
/* Decode what begins at off of one page and ends in another: 1, or 0 if it does not. */
unsigned tcg_decode_pair(const uint8_t *host, const uint8_t *host2, unsigned off,
                         X86CodeSize mode, X86Op *op, unsigned *end);

#endif
