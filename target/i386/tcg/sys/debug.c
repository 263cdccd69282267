/*
 * Breakpoints, watchpoints and single steps, for a debugger outside and by the
 * guest's debug registers.
 *
 * The debugger's software breakpoints are INT3s in memory and cost nothing. For
 * all else the CPU runs one instruction at a time and looks before each: slow,
 * but code that is not being debugged has no test for it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/sys/debug.h"

#include <stdio.h>

#include "qemu/log.h"
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mem.h"
#include "target/i386/tcg/mem/mmu.h"

void tcg_debug_set(TCGCPU *c, const CPUDebug *debug)
{
    c->debug = (TCGDebug) {
        .want = *debug,
        .hits = c->debug.hits,
        .int3_pass = ~(uint64_t)0,
    };
    tcg_run_begin(c);
    tcg_debug_update(c);
    tcg_flush_blocks(c);
    tcg_run_end(c);
}

/* Kinds of breakpoints, as DR7 numbers them. */
enum { DR_EXEC, DR_WRITE, DR_IO, DR_ACCESS };

typedef struct GuestBreak {
    bool enabled;
    unsigned kind, len;
    uint64_t addr;
} GuestBreak;

static GuestBreak guest_break(const TCGCPU *c, unsigned n)
{
    static const uint8_t lengths[] = { 1, 2, 8, 4 };
    uint64_t dr7 = c->dr[7];
    GuestBreak b = {
        .enabled = (dr7 >> (2 * n)) & 3,
        .kind = (dr7 >> (16 + 4 * n)) & 3,
        .len = lengths[(dr7 >> (18 + 4 * n)) & 3],
    };

    b.addr = c->dr[n] & ~(uint64_t)(b.len - 1);
    return b;
}

static bool guest_watches(const TCGCPU *c, unsigned n, GuestBreak *b)
{
    *b = guest_break(c, n);
    return b->enabled && (b->kind & 1);
}

void tcg_debug_update(TCGCPU *c)
{
    TCGDebug *d = &c->debug;

    d->watching = d->exec = d->io = d->resume = false;
    for (unsigned n = 0; n < 4; n++) {
        GuestBreak b = guest_break(c, n);

        d->watching |= b.enabled && (b.kind & 1);
        d->exec |= b.enabled && b.kind == DR_EXEC;
        d->io |= b.enabled && b.kind == DR_IO;
    }
    /* All of these act between two instructions. */
    d->slow = d->want.single_step || d->want.nr_hw || d->watching || d->exec || d->io ||
              c->tcg->one_insn || qemu_loglevel_mask(LOG_EXEC | LOG_IN_ASM);
    for (unsigned i = 0; i < d->want.nr_hw; i++) {
        d->watching |= d->want.hw[i].type != CPU_DEBUG_EXECUTE;
    }
    tcg_tlb_flush_all(c);
}

void tcg_debug_note(TCGCPU *c, unsigned bits)
{
    c->dr[6] = (c->dr[6] & ~15ull) | bits;
    c->dr[7] &= ~(uint64_t)DR7_GD;
    c->debug.hits = 0;
}

void tcg_raise_debug(TCGCPU *c, unsigned bits, bool trap)
{
    tcg_debug_note(c, bits | (trap ? c->debug.hits : 0));
    c->excp = EXCP_DB;
    c->excp_has_err = false;
    c->excp_err = trap;         /* see deliver_raised() */
    siglongjmp(c->jmp, 1);
}

void tcg_debug_before(TCGCPU *c)
{
    uint64_t lin = c->eip + c->segs[R_CS].base;
    unsigned bits = 0;

    for (unsigned n = 0; c->debug.exec && !c->debug.resume && !c->ss_shadow && n < 4; n++) {
        GuestBreak b = guest_break(c, n);

        bits |= b.enabled && b.kind == DR_EXEC && b.addr == lin ? 1u << n : 0;
    }
    c->debug.resume = false;
    if (bits) {
        tcg_raise_debug(c, bits, true);     /* a fault that pushes no RF */
    }
}

void tcg_debug_trace(TCGCPU *c, const X86Op *op)
{
    uint64_t lin = c->eip + c->segs[R_CS].base;
    char text[3 * X86_INSN_MAX + 1] = "";

    for (unsigned i = 0; i < op->len && qemu_loglevel_mask(LOG_IN_ASM); i++) {
        const uint8_t *host;

        /* It has just been fetched: this raises nothing. */
        tcg_code_page(c, lin + i, &host);
        if (host) {
            snprintf(text + 3 * i, 4, " %02x", host[(lin + i) & 0xfff]);
        }
    }
    qemu_log("cpu %u: %04x:%016" PRIx64 "%s\n", c->index, c->segs[R_CS].selector, c->eip,
             text);
}

void tcg_debug_io(TCGCPU *c, unsigned port, unsigned size)
{
    for (unsigned n = 0; unlikely(c->debug.io) && n < 4; n++) {
        GuestBreak b = guest_break(c, n);

        if (b.enabled && b.kind == DR_IO && (c->cr4 & CR4_DE) &&
            port < b.addr + b.len && b.addr < port + size) {
            c->debug.hits |= 1u << n;
        }
    }
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
    GuestBreak b;

    for (unsigned n = 0; c->debug.watching && n < 4; n++) {
        if (guest_watches(c, n, &b) && !((b.addr ^ va) & TCG_PAGE_MASK)) {
            return true;
        }
    }
    for (unsigned i = 0; c->debug.watching && i < d->nr_hw; i++) {
        /* Aligned, so it lies in one page. */
        if (d->hw[i].type != CPU_DEBUG_EXECUTE && !((d->hw[i].addr ^ va) & TCG_PAGE_MASK)) {
            return true;
        }
    }
    return false;
}

void tcg_debug_accessed(TCGCPU *c, uint64_t va, unsigned n_bytes, bool write)
{
    const CPUDebug *d = &c->debug.want;
    GuestBreak b;

    for (unsigned n = 0; n < 4; n++) {
        if (guest_watches(c, n, &b) && (write || b.kind == DR_ACCESS) &&
            va < b.addr + b.len && b.addr < va + n_bytes) {
            c->debug.hits |= 1u << n;
        }
    }
    for (unsigned i = 0; i < d->nr_hw; i++) {
        CPUDebugType type = d->hw[i].type;
        uint64_t addr = d->hw[i].addr;

        if ((type == CPU_DEBUG_ACCESS || (type == CPU_DEBUG_WRITE && write)) &&
            va < addr + d->hw[i].len && addr < va + n_bytes) {
            c->debug.event = (CPUDebugEvent) {
                .hit = true, .watch = true, .addr = addr, .type = type,
            };
        }
    }
}
