/*
 * Decoded blocks, shared by all vCPUs: keyed by physical address and code
 * size. Blocks of a page die together when something writes to code in it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_BLOCK_H
#define TARGET_I386_TCG_BLOCK_H

#include "target/i386/tcg/tcg-cpu.h"

#define TCG_MAX_CPUS 288
#define TCG_NO_PAGE (~(uint64_t)0)

typedef struct TCGPage TCGPage;
typedef struct TCGJit TCGJit;   /* jit/jit.h */

enum { BLOCK_FLAGS_UNKNOWN, BLOCK_FLAGS_DEAD, BLOCK_FLAGS_LIVE };

/* A run of instructions; its op 0 is what others jump to. */
typedef struct TCGBlock {
    uint64_t key;               /* pa << 2 | code size */
    uint64_t page2;             /* pa of a second page, or TCG_NO_PAGE */
    struct TCGBlock *next_hash;
    struct TCGBlock *next_in_page[2];
    OpFn *first;                /* of op 0, while it only counts */
    const void *entry;          /* from translated code, with its registers */
    uint32_t cold;              /* executions to go until it is translated */
    uint16_t nr_ops;            /* with the end */
    bool dead;
    uint8_t flags_in;           /* are the flags before it ever seen? BLOCK_FLAGS_* */
    X86Op ops[];
} TCGBlock;

typedef struct TCGStats {
    uint64_t blocks, ops, page_invalidations, cache_flushes, exclusives;
    uint64_t dma_changes;
} TCGStats;

/* Everything the vCPUs share. */
struct TCGState {
    GMutex lock;                /* hash tables, pages, arena, links; a leaf */
    uint8_t *arena;             /* blocks, in order of their making */
    size_t arena_size, arena_used;
    TCGBlock **hash;
    TCGPage **pages;
    /*
     * One byte a page of RAM: whose TLB may hold a write entry (cpu index + 1,
     * 255: several), and whether it holds decoded code.
     */
    uint8_t *writer, *has_code;
    uint64_t nr_pages;
    TCGStats stats;
    TCGJit *jit;                /* NULL: none; under the lock */

    GMutex run_lock;            /* all below: who is in guest code; a leaf */
    GCond run_cond;
    bool one_insn;              /* debugging: no blocks */
    bool take_turns;            /* one vCPU in guest code at a time */
    unsigned next_turn, turn;   /* tickets: drawn, and whose it is */
    unsigned running;           /* vCPUs in guest code */
    bool exclusive;             /* somebody is, or wants to be, alone */
    unsigned nr_cpus;
    TCGCPU *cpus[TCG_MAX_CPUS];
};

/* ram_top: the first address above all RAM. NULL: no memory. */
TCGState *tcg_state_new(uint64_t ram_top, size_t arena_size);
void tcg_state_free(TCGState *s);

/*
 * The op that executes what is at c->eip: decoded before, decoded now, or (where
 * it cannot be kept) put into c->tmp_ops. Also fills the jump cache. Raises.
 */
const X86Op *tcg_block_find(TCGCPU *c);
/* Just the instruction at c->eip, into c->tmp_ops. */
const X86Op *tcg_single_find(TCGCPU *c);
/* Let the direct branch op, whose target eip lies in its page, jump there. */
void tcg_block_link(TCGCPU *c, const X86Op *op, uint64_t eip);

/* Before a write entry for the page at pa is made; false: it holds code. */
bool tcg_page_may_write(TCGCPU *c, uint64_t pa);
/* n bytes at pa, in a page that holds code, have been written. */
void tcg_code_written(TCGCPU *c, uint64_t pa, unsigned n);
/*
 * A fresh translation for code: has the page been changed behind our back (by
 * a device's DMA) since it was decoded?
 */
void tcg_page_verify(TCGCPU *c, uint64_t pa, const uint8_t *host);
/* Forget all blocks (the arena is full, or a debugger wants it). */
void tcg_flush_blocks(TCGCPU *c);

/*
 * Stop all other vCPUs between two of their instructions. While waiting for
 * its turn the caller counts as stopped too, so translations that it looked up
 * before are not good any more, nor are its blocks if stats.cache_flushes has changed.
 */
void tcg_exclusive_start(TCGCPU *c);
void tcg_exclusive_end(TCGCPU *c);
static inline bool tcg_exclusive_needed(const TCGCPU *c)
{
    return c->tcg->nr_cpus > 1;
}
/* Around guest code: waits while somebody is alone. */
void tcg_run_begin(TCGCPU *c);
void tcg_run_end(TCGCPU *c);

#endif
