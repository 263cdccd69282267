/*
 * What a debugger wants of a vCPU of the software CPU: AccelClass.set_debug().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_DEBUG_H
#define TARGET_I386_TCG_DEBUG_H

#include "sysemu/debug.h"

typedef struct TCGCPU TCGCPU;

typedef struct TCGDebug {
    CPUDebug want;
    bool slow;              /* one instruction at a time: something to look for */
    bool watching;          /* some of want.hw are watchpoints */
    bool stepped;           /* an instruction has been run since set_debug() */
    bool int3;              /* an INT3 was met and not executed */
    uint64_t int3_pass;     /* RIP of one that is the guest's own */
    CPUDebugEvent event;
} TCGDebug;

/*
 * Look for these from the next instruction on, and forget all decoded code: the
 * debugger may have written INT3s. The CPU is paused; any thread.
 */
void tcg_debug_set(TCGCPU *c, const CPUDebug *debug);
/*
 * In tcg_run(), while c->debug.slow: true when the CPU must stop before the
 * instruction at c->eip, with c->debug.event filled in.
 */
bool tcg_debug_stops(TCGCPU *c);
/* Whether an access to the page of va must be seen: no TLB entry for it. */
bool tcg_debug_watches(const TCGCPU *c, uint64_t va);
/* An access of n bytes at va, in such a page or not. */
void tcg_debug_accessed(TCGCPU *c, uint64_t va, unsigned n, bool write);

#endif
