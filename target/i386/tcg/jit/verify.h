/*
 * x-verify as the translator sees it: what is told to verify.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_VERIFY_H
#define TARGET_I386_TCG_JIT_VERIFY_H

#include "target/i386/tcg/jit/jit-int.h"

/* In a translated block's first op: runs it, beside the interpreter. */
OpFn tcg_verify_block;
/* Translated code has the interpreter do op, one of a block's pairs; it has been done. */
void tcg_verify_call(TCGCPU *c, const X86Op *op);
void tcg_verify_return(TCGCPU *c, const X86Op *op);
/* Into op's partner of the pair: is it translated, which flags it writes, leaves undefined. */
void tcg_verify_describe(const Template *tm, const X86Op *op, X86Op *stop);

#endif
