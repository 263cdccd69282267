/*
 * Functions for the common forms of instructions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_OPS_FAST_H
#define TARGET_I386_TCG_OPS_FAST_H

#include "target/i386/tcg/decode/insn.h"

/* Before the first block is made; any number of times, not at the same time. */
void tcg_fast_init(void);
/* Put shorter functions into the n ops of a block, as decoded. */
void tcg_fast_choose(X86Op *ops, unsigned n);

#endif
