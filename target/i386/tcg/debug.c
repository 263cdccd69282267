/*
 * Breakpoints, watchpoints and single steps for a debugger outside.
 *
 * The debugger's software breakpoints are INT3s in memory and cost nothing. For
 * all else the CPU runs one instruction at a time and looks before each: slow,
 * but code that is not being debugged has no test for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/debug.h"

#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem.h"

void tcg_debug_set(TCGCPU *c, const CPUDebug *debug)
{
    c->debug = (TCGDebug) {
        .want = *debug,
        .slow = debug->single_step || debug->nr_hw,
        .int3_pass = ~(uint64_t)0,
    };
    for (unsigned i = 0; i < debug->nr_hw; i++) {
        c->debug.watching |= debug->hw[i].type != CPU_DEBUG_EXECUTE;
    }
    tcg_run_begin(c);
    tcg_flush_blocks(c);
    tcg_run_end(c);
}

static bool at_breakpoint(const TCGCPU *c)
{
    const CPUDebug *d = &c->debug.want;
    uint64_t lin = c->eip + c->segs[R_CS].base;

    for (unsigned i = 0; i < d->nr_hw; i++) {
        if (d->hw[i].type == CPU_DEBUG_EXECUTE && d->hw[i].addr == lin) {
            return true;
        }
    }
    return false;
}

bool tcg_debug_stops(TCGCPU *c)
{
    TCGDebug *d = &c->debug;

    /* Not where it was told to go on: it would never get away from there. */
    if (d->stepped && (d->event.hit || d->want.single_step || at_breakpoint(c))) {
        d->event.hit = true;
        return true;
    }
    d->stepped = true;
    return false;
}

bool tcg_debug_watches(const TCGCPU *c, uint64_t va)
{
    const CPUDebug *d = &c->debug.want;

    for (unsigned i = 0; c->debug.watching && i < d->nr_hw; i++) {
        /* Aligned, so it lies in one page. */
        if (d->hw[i].type != CPU_DEBUG_EXECUTE && !((d->hw[i].addr ^ va) & TCG_PAGE_MASK)) {
            return true;
        }
    }
    return false;
}

void tcg_debug_accessed(TCGCPU *c, uint64_t va, unsigned n, bool write)
{
    const CPUDebug *d = &c->debug.want;

    for (unsigned i = 0; i < d->nr_hw; i++) {
        CPUDebugType type = d->hw[i].type;
        uint64_t addr = d->hw[i].addr;

        if ((type == CPU_DEBUG_ACCESS || (type == CPU_DEBUG_WRITE && write)) &&
            va < addr + d->hw[i].len && addr < va + n) {
            c->debug.event = (CPUDebugEvent) {
                .hit = true, .watch = true, .addr = addr, .type = type,
            };
        }
    }
}
