/*
 * Raising, out of an instruction and back into tcg_run(), and having a CPU look up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/sys/system.h"

void tcg_raise(TCGCPU *c, int vector)
{
    c->excp = vector;
    c->excp_has_err = false;
    c->excp_err = 0;
    siglongjmp(c->jmp, 1);
}

void tcg_raise_err(TCGCPU *c, int vector, uint32_t error)
{
    c->excp = vector;
    c->excp_has_err = true;
    c->excp_err = error;
    siglongjmp(c->jmp, 1);
}

void tcg_restart(TCGCPU *c)
{
    c->excp = -1;
    siglongjmp(c->jmp, 1);
}

void tcg_poll_set(TCGCPU *c, unsigned bits)
{
    atomic_fetch_or(&c->poll, bits);
}
