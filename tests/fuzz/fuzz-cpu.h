/*
 * A guest for the software CPU alone: tables, handlers and registers for each of its modes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_FUZZ_CPU_H
#define TESTS_FUZZ_CPU_H

#include "machine.h"
#include "target/i386/tcg/tcg-cpu.h"

#define CPU_RAM     0x40000u
/* What is compared of it; below there are page tables, whose accessed bits may come early. */
#define CPU_TABLES  0x1000u
#define CPU_TABLES_END 0x5000u

typedef enum CpuMode {
    MODE_REAL, MODE_VM86, MODE_PROT16, MODE_PROT32, MODE_COMPAT, MODE_LONG, MODES
} CpuMode;

/* What an input says of the guest before its code begins. */
typedef struct CpuGuest {
    CpuMode mode;
    bool user;                  /* CPL 3 */
    uint8_t paging;             /* where it can be chosen: none, of 32 bits, PAE */
    bool small_gates, ist;
    uint16_t flags;
    uint16_t controls;          /* bits of CR0, CR4, EFER */
    uint32_t seed;              /* of memory, registers of vectors */
    uint16_t start;             /* of the code in its page */
    uint64_t regs[16];
    const uint8_t *code;
    size_t len;
} CpuGuest;

/* Take one from an input; all that is left of that is its code. */
void cpu_guest_take(CpuGuest *g, FuzzInput *in);
/* Fill memory of CPU_RAM bytes and set the registers of c, which is as at its making. */
void cpu_guest_load(const CpuGuest *g, TCGCPU *c, uint8_t *ram);

#endif
