/*
 * Guest memory as instructions see it: effective addresses and accesses
 * through the soft TLB. All host addresses come from TLB entries, which only
 * mmu.c makes, from address_space_map().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_MEM_H
#define TARGET_I386_TCG_MEM_H

#include <string.h>

#include "target/i386/tcg/tcg-cpu.h"

/* Unaligned single accesses: the host's order is the guest's. */
typedef struct { uint8_t v; } __attribute__((packed, may_alias)) un8;
typedef struct { uint16_t v; } __attribute__((packed, may_alias)) un16;
typedef struct { uint32_t v; } __attribute__((packed, may_alias)) un32;
typedef struct { uint64_t v; } __attribute__((packed, may_alias)) un64;

/* Off the fast paths: inlined, these would have every op save registers. */
#define SLOW_PATH __attribute__((noinline))

/* Offsets that are not flat 64-bit: masks, segment bases, limit checks. */
SLOW_PATH uint64_t tcg_ea_slow(TCGCPU *c, const X86Op *op);
/* The same without the segment: LEA. */
uint64_t tcg_ea_offset(TCGCPU *c, const X86Op *op);
/* Linear address of seg:off for size bytes, checked outside 64-bit code. */
uint64_t tcg_seg_lin(TCGCPU *c, unsigned seg, uint64_t off, unsigned size,
                     bool write);

/* c->eip becomes that of op: before anything that may fault. */
static inline void sync_eip(TCGCPU *c, const X86Op *op)
{
    c->eip = c->regs[R_PAGE] + op->off;
    c->fault_seg = op->seg;
}

static inline uint64_t ea(TCGCPU *c, const X86Op *op)
{
    if (unlikely(op->flags & OF_EASLOW)) {
        return tcg_ea_slow(c, op);
    }
    return c->regs[op->base] + (c->regs[op->index] << op->scale) +
           (uint64_t)op->disp;
}

/* Slow paths: TLB miss, page crossing, device, code page. They may raise. */
SLOW_PATH uint64_t tcg_load_slow(TCGCPU *c, uint64_t addr, unsigned size);
SLOW_PATH void tcg_store_slow(TCGCPU *c, uint64_t addr, uint64_t v,
                              unsigned size);
void tcg_load_bytes(TCGCPU *c, uint64_t addr, void *buf, unsigned size);
void tcg_store_bytes(TCGCPU *c, uint64_t addr, const void *buf, unsigned size);
/* As the above with supervisor rights whatever CPL is: system tables. */
uint64_t tcg_load_sys(TCGCPU *c, uint64_t addr, unsigned size);
void tcg_store_sys(TCGCPU *c, uint64_t addr, uint64_t v, unsigned size);
/* A push on the stack of a ring that is about to be entered, with its rights. */
void tcg_store_stack(TCGCPU *c, unsigned cpl, uint64_t addr, uint64_t v, unsigned size);
/* Raise what a write of size bytes would raise, without writing. */
void tcg_probe_write(TCGCPU *c, uint64_t addr, unsigned size);
/* A host pointer for access to what is left of addr's page, or NULL. May raise. */
uint8_t *tcg_page_ptr(TCGCPU *c, uint64_t addr, MMUAccess acc);
/* Read-modify-write: a place to work on; tcg_rmw_commit() stores it. */
SLOW_PATH void *tcg_rmw_slow(TCGCPU *c, const X86Op *op, uint64_t addr,
                             unsigned size);
SLOW_PATH void tcg_rmw_commit(TCGCPU *c);

static inline TLBEntry *tlb_entry(TCGCPU *c, uint64_t addr)
{
    return &c->tlb[(addr >> TCG_PAGE_BITS) & (TLB_SIZE - 1)];
}

/* What a tag must be for an access of size bytes not crossing the page. */
static inline uint64_t tlb_tag(const TCGCPU *c, uint64_t addr, unsigned size)
{
    return ((addr + size - 1) & TCG_PAGE_MASK) + c->tlb_gen;
}

/*
 * An atomic access to two cache lines stops all of the host for microseconds;
 * hosts with split lock detection punish it by milliseconds.
 */
static inline bool tcg_splits_line(uint64_t addr, unsigned size)
{
    return (addr & 63) + size > 64;
}

#define DEF_ACCESS(N, BYTES) \
static inline uint##N##_t ld##N(TCGCPU *c, const X86Op *op, uint64_t addr) \
{ \
    TLBEntry *e = tlb_entry(c, addr); \
    if (likely(e->r == tlb_tag(c, addr, BYTES))) { \
        return ((const un##N *)(addr + e->addend))->v; \
    } \
    sync_eip(c, op); \
    return tcg_load_slow(c, addr, BYTES); \
} \
static inline void st##N(TCGCPU *c, const X86Op *op, uint64_t addr, uint##N##_t v) \
{ \
    TLBEntry *e = tlb_entry(c, addr); \
    if (likely(e->w == tlb_tag(c, addr, BYTES))) { \
        ((un##N *)(addr + e->addend))->v = v; \
        return; \
    } \
    sync_eip(c, op); \
    tcg_store_slow(c, addr, v, BYTES); \
} \
/* Where to read and write an operand; ends with rmw_end(). */ \
static inline un##N *rmw##N(TCGCPU *c, const X86Op *op, uint64_t addr) \
{ \
    TLBEntry *e = tlb_entry(c, addr); \
    if (likely(e->w == tlb_tag(c, addr, BYTES))) { \
        return (un##N *)(addr + e->addend); \
    } \
    return tcg_rmw_slow(c, op, addr, BYTES); \
} \
/* The same for an atomic access, which may not lie in two cache lines. */ \
static inline un##N *atomic_rmw##N(TCGCPU *c, const X86Op *op, uint64_t addr) \
{ \
    if (unlikely(tcg_splits_line(addr, BYTES))) { \
        return tcg_rmw_slow(c, op, addr, BYTES); \
    } \
    return rmw##N(c, op, addr); \
}

DEF_ACCESS(8, 1)
DEF_ACCESS(16, 2)
DEF_ACCESS(32, 4)
DEF_ACCESS(64, 8)

static inline void rmw_end(TCGCPU *c, const void *p)
{
    if (unlikely(p == c->rmw_buf)) {
        tcg_rmw_commit(c);
    }
}

static inline uint64_t ld_size(TCGCPU *c, const X86Op *op, uint64_t a,
                               unsigned size)
{
    switch (size) {
    case 0: return ld8(c, op, a);
    case 1: return ld16(c, op, a);
    case 2: return ld32(c, op, a);
    default: return ld64(c, op, a);
    }
}

static inline void st_size(TCGCPU *c, const X86Op *op, uint64_t a, uint64_t v,
                           unsigned size)
{
    switch (size) {
    case 0: st8(c, op, a, v); break;
    case 1: st16(c, op, a, v); break;
    case 2: st32(c, op, a, v); break;
    default: st64(c, op, a, v); break;
    }
}

#endif
