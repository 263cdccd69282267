/*
 * The tables a vCPU keeps of translations, of data and of code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_TLB_H
#define TARGET_I386_TCG_TLB_H

#include "target/i386/tcg/decode/insn.h"

/*
 * A translation: tags are the page's address plus the generation of its
 * address space, so one compare checks both; addend makes a host address.
 */
typedef struct TLBEntry {
    uint64_t r, w;
    uintptr_t addend;
    uint64_t pa;            /* of the page */
} TLBEntry;

/*
 * A page that translated code has just seen, by the registers an address is made of: without
 * generations, as c->slots is emptied with every change of translations or rights.
 */
typedef struct TLBSlot {
    uint64_t r, w;          /* the page's address, or TLB_SLOT_EMPTY */
    uintptr_t addend;
} TLBSlot;
#define TLB_SLOTS 15
#define TLB_SLOT_STACK 0            /* jit/stack.c */
#define TLB_SLOT_EMPTY 0x800u       /* no page begins there */

/* Who accesses: the kernel, the kernel with SMAP lifted, user code. */
enum { MMU_KERNEL, MMU_KERNEL_AC, MMU_USER, MMU_MODES };

#define TLB_BITS 12         /* a compiler works on some 10 MiB */
#define TLB_SIZE (1u << TLB_BITS)
#define TLB_ASIDS 8
#define TLB_GENS 4096u      /* generations before the tables must be wiped */

/* One address space (PCID) with its translations. */
typedef struct TLBSpace {
    uint64_t cr3;           /* page table and PCID it stands for */
    uint64_t gen;           /* low 12 bits of its tags */
    uint64_t code_gen;      /* tag of its jump cache entries (lower half) */
    uint64_t large_map;     /* bit (va >> 30) % 64: a large page is cached */
    uint64_t code_seen[64]; /* bit (page % 4096): code was fetched there */
    uint64_t used;          /* for replacement */
    TLBEntry e[MMU_MODES][TLB_SIZE];
} TLBSpace;

#define JC_BITS 15
#define JC_SIZE (1u << JC_BITS)
#define JC_FACTOR 0x9e3779b1u   /* 2^32 over the golden ratio: spreads addresses evenly */

/* From linear RIP to decoded code. */
typedef struct JumpEntry {
    uint64_t lin;
    uint64_t tag;
    const X86Op *op;
} JumpEntry;

/* Where in the jump cache an address belongs. */
static inline unsigned jump_hash(uint64_t lin)
{
    return (uint32_t)lin * JC_FACTOR >> (32 - JC_BITS);
}

/* Where a page of code is: checked before the jump cache is filled. */
#define CODE_TLB_SIZE 1024u
typedef struct CodeTLB {
    uint64_t lin;           /* of the page */
    uint64_t tag;           /* code_tag() it is good for */
    uint64_t pa;
    const uint8_t *host;    /* NULL: not RAM */
} CodeTLB;

#endif
