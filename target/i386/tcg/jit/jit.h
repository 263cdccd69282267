/*
 * The translator: 64-bit code that is executed often becomes host code.
 *
 * A translated block is entered as its first op's function, and leaves as every function of an
 * op may: with the op to go on with, or with NULL and c->eip set. What it has no template for
 * the interpreter's functions do.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_JIT_H
#define TARGET_I386_TCG_JIT_H

#include "target/i386/tcg/block.h"

#define JIT_BLOCK_BYTES (64 * 1024u)        /* code and pairs of a block take no more */

typedef struct TCGJitConfig {
    size_t size;                /* bytes of code memory, at most: TCGState.arena_size */
    unsigned threshold;         /* a block's executions before it is translated */
    bool verify;                /* x-verify */
    int perf_map;               /* a file for perf's map, to be closed by us; or -1 */
} TCGJitConfig;

/*
 * Memory for code, mapped twice: no address is ever writable and executable. NULL: the host
 * does not allow it (*why: a static text), or the translator is not compiled in.
 */
TCGJit *tcg_jit_new(const TCGJitConfig *config, const char **why);
void tcg_jit_free(TCGJit *jit);

/*
 * With x-verify: c, before it first runs, is one whose translated blocks are interpreted, too. A
 * difference ends the process with a report on stderr. c->verify is g_aligned_free()'s.
 */
void tcg_jit_verify(TCGCPU *c);

/* block.c, with the lock: a block has been made; has died; all are forgotten. */
void tcg_jit_block_made(TCGJit *jit, TCGBlock *b);
void tcg_jit_block_killed(TCGJit *jit, TCGBlock *b);
void tcg_jit_forget(TCGJit *jit);
/* Is there no room for another block's code? */
bool tcg_jit_is_full(const TCGJit *jit);
/* Bytes of code that there are. */
size_t tcg_jit_used(const TCGJit *jit);

/* Where in translated code something is: an instruction, or the block's first for "out of line". */
typedef struct TCGJitPlace {
    const TCGBlock *b;          /* NULL: in what all blocks share */
    unsigned off;               /* of the instruction in its page */
    const char *name;           /* of the row in rows.c */
} TCGJitPlace;

/*
 * For reports of crashes, so without a lock, and as safe in a signal handler as anything is that
 * looks at data which may be wrong. False: no translated code is at this address.
 */
bool tcg_jit_find(const TCGState *s, uintptr_t address, TCGJitPlace *place);

/* Lines for "info jit"; caller frees. */
char *tcg_jit_info(const TCGJit *jit);

#endif
