/*
 * What the software CPU can do, as CPUID says it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_TCG_CPUID_H
#define TARGET_I386_TCG_CPUID_H

#include "target/i386/cpu.h"

/* Fill the (zeroed) table; ids and topology are for others to fill in. */
void tcg_cpuid_fill(CPUIDTable *t, unsigned phys_bits, uint32_t tsc_khz);

#endif
