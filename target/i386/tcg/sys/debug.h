/*
 * Debugging a vCPU of the software CPU, by a debugger outside
 * (AccelClass.set_debug()) and by the guest's debug registers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_DEBUG_H
#define TARGET_I386_TCG_DEBUG_H

#include <glib.h>

#include "sysemu/debug.h"

typedef struct TCGCPU TCGCPU;
typedef struct X86Op X86Op;

#define DR6_BD  0x2000u
#define DR6_BS  0x4000u
#define DR7_GD  0x2000u

typedef struct TCGDebug {
    CPUDebug want;
    bool slow;              /* one instruction at a time: something to look for */
    bool watching;          /* some of want.hw or of DR0-3 are watchpoints */
    bool exec, io;          /* DR0-3 name an instruction, a port */
    bool resume;            /* EFLAGS.RF: no instruction breakpoint here */
    /*
     * Pending debug exceptions: DR6 bits of the watch- and port breakpoints met. They become
     * a #DB after the instruction, after MOV SS and POP SS after the next one, in whatever
     * handler that has led to; a fault drops them (SDM 3A, 6.8.3; 3B, 18.3.1).
     */
    uint8_t hits;
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

/* The guest's debug registers (SDM 3B, 18.2) ------------------------------- */

/* DR0-3 or DR7 may have changed. On the CPU's thread, or while it is paused. */
void tcg_debug_update(TCGCPU *c);
/* Before an instruction, while c->debug.slow: raises #DB at a breakpoint. */
void tcg_debug_before(TCGCPU *c);
/* -d exec, with in_asm its bytes: op at c->eip is about to be run. */
void tcg_debug_trace(TCGCPU *c, const X86Op *op);
/* An access to a port. */
void tcg_debug_io(TCGCPU *c, unsigned port, unsigned size);
/* DR6 and DR7 as a #DB leaves them that has these reasons. Nothing is pending then. */
void tcg_debug_note(TCGCPU *c, unsigned bits);
/*
 * #DB with these DR6 bits; trap: the instruction is done (or is a breakpoint), and what is
 * pending is reported too.
 */
G_NORETURN void tcg_raise_debug(TCGCPU *c, unsigned bits, bool trap);

#endif
