/*
 * Address translation of the software CPU.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_MMU_H
#define TARGET_I386_TCG_MMU_H

#include "target/i386/tcg/tcg-cpu.h"

/* Result of a walk. */
typedef struct PageWalk {
    uint64_t pa;            /* of the byte */
    bool writable;          /* a write would pass and D is set */
    bool large;             /* mapped by more than 4 KiB */
    bool global;            /* the same in all address spaces */
} PageWalk;

/* Where code at linear address lin is; raises. *host is NULL if not RAM. */
uint64_t tcg_code_page(TCGCPU *c, uint64_t lin, const uint8_t **host);

/* Drop translations: all; those for data; one page; one PCID. */
void tcg_tlb_flush_all(TCGCPU *c);
void tcg_tlb_flush_data(TCGCPU *c);
void tcg_tlb_flush_page(TCGCPU *c, uint64_t va);
void tcg_tlb_flush_pcid(TCGCPU *c, unsigned pcid);
/* CR3 was loaded; keep: the no-flush bit was set. */
void tcg_tlb_set_cr3(TCGCPU *c, uint64_t cr3, bool keep);
/* First use, after the tables have been zeroed. */
void tcg_tlb_init(TCGCPU *c);

/* Device registers; size 1, 2, 4 or 8. Without the machine lock. */
uint64_t tcg_io_read(TCGCPU *c, uint64_t pa, unsigned size);
void tcg_io_write(TCGCPU *c, uint64_t pa, uint64_t v, unsigned size);

#endif
