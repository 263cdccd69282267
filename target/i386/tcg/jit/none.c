/*
 * In place of the translator, where it is not compiled in.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/jit/jit.h"

TCGJit *tcg_jit_new(const TCGJitConfig *config, const char **why)
{
    *why = "this program was built without it";
    return NULL;
}

/* Nobody has one. */
void tcg_jit_verify(TCGCPU *c)
{
}

void tcg_jit_free(TCGJit *jit)
{
}

void tcg_jit_block_made(TCGJit *jit, TCGBlock *b)
{
}

void tcg_jit_block_killed(TCGJit *jit, TCGBlock *b)
{
}

void tcg_jit_forget(TCGJit *jit)
{
}

bool tcg_jit_is_full(const TCGJit *jit)
{
    return false;
}

size_t tcg_jit_used(const TCGJit *jit)
{
    return 0;
}

bool tcg_jit_find(const TCGState *s, uintptr_t address, TCGJitPlace *place)
{
    return false;
}

char *tcg_jit_info(const TCGJit *jit)
{
    return NULL;
}
