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

/* A run of instructions; its op 0 is what others jump to. */
typedef struct TCGBlock {
    uint64_t key;               /* pa << 2 | code size */
    uint64_t page2;             /* pa of a second page, or TCG_NO_PAGE */
    struct TCGBlock *next_hash;
    struct TCGBlock *next_in_page[2];
    OpFn *first;                /* of op 0, while it only counts */
    const void *entry;          /* from translated code, with its registers */
    const void *code;           /* its own; NULL: not translated */
    const void *apart;          /* more of it, rarely needed */
    const X86Op *pairs;         /* what of it calls the interpreter: jit/translate.c */
    uint32_t cold;              /* executions to go until it is translated */
    uint16_t nr_ops;            /* with the end */
    bool dead;
    bool ignores_flags;         /* code overwrites them before anybody can see what they were */
    X86Op ops[];
} TCGBlock;

/* A page that changes often: storm.c. */
typedef struct TCGStorm {
    _Atomic uint64_t pa;
    _Atomic int64_t since;      /* in microseconds: when it was first seen to, or was over */
    _Atomic unsigned singles;   /* instructions to be interpreted one by one */
    unsigned changes, level;    /* since then, with the lock; storms in a row */
} TCGStorm;

typedef struct TCGStats {
    uint64_t blocks, ops, page_invalidations, cache_flushes, exclusives;
    uint64_t dma_changes, storms;
} TCGStats;

/* Everything the vCPUs share. */
struct TCGState {
    GMutex lock;                /* hash tables, pages, arena, links; a leaf */
    uint8_t *arena;             /* blocks, in order of their making */
    size_t arena_size, arena_used;
    size_t code_limit;          /* of blocks and their translations together; up to arena_size */
    int64_t full_at;            /* in microseconds: when that was reached last; 0: never */
    TCGBlock **hash;
    TCGPage **pages;
    /*
     * One byte a page of RAM: whose TLB may hold a write entry (cpu index + 1,
     * 255: several), and whether it holds decoded code.
     */
    uint8_t *writer, *has_code;
    uint64_t nr_pages;
    TCGStats stats;
    bool watch_storms;          /* set before the first vCPU runs */
    TCGStorm storms[64];        /* by page */
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

    /* Time that guests see; changed while none runs. */
    uint32_t tsc_khz;
    int64_t kvmclock_offset;    /* from QEMU_CLOCK_VIRTUAL to KVM's paravirtual clock, ns */
};

/*
 * ram_top: the first address above all RAM. Blocks and their translations take code_limit bytes,
 * and up to code_most if that is reached too soon. NULL: no memory.
 */
TCGState *tcg_state_new(uint64_t ram_top, size_t code_limit, size_t code_most);
void tcg_state_free(TCGState *s);
/* Is there room for another block, or for another one's translation? */
bool tcg_code_has_room(const TCGState *s);

/*
 * The op that executes what is at c->eip: decoded before, decoded now, or (where
 * it cannot be kept) put into c->tmp_ops. Also fills the jump cache. Raises.
 */
const X86Op *tcg_block_find(TCGCPU *c);
/* The block whose code (.code, .apart) begins last before this address, or NULL; takes no lock. */
const TCGBlock *tcg_block_of_code(const TCGState *s, uintptr_t address);
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
/* With the lock: blocks of the page at pa died, as their code has changed. */
void tcg_storm_changed(TCGState *s, uint64_t pa);
/* Without: is the instruction that is wanted there one to be interpreted by itself? */
bool tcg_storm_here(TCGState *s, uint64_t pa);
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
/* Have all vCPUs but c, which may be NULL, look into their loops soon. */
void tcg_ask_others(TCGState *s, const TCGCPU *c);
/*
 * Stop all vCPUs for a moment and have them run on without a translation of before. Any thread
 * that is no vCPU; without the machine lock, which one in guest code may want.
 */
void tcg_drop_all_tlbs(TCGState *s);
/* Around guest code: waits while somebody is alone. */
void tcg_run_begin(TCGCPU *c);
void tcg_run_end(TCGCPU *c);

#endif
