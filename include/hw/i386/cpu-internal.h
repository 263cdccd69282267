/*
 * CPU initialisation shared by every machine and accelerator: -smp topology to
 * APIC ids to vCPUs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_CPU_INTERNAL_H
#define HW_I386_CPU_INTERNAL_H

#include "hw/boards.h"

/*
 * The APIC id of CPU cpu_index: thread, core, die and package fields, each as
 * wide as its count needs (SDM 3A, 9.9.3.1), so ids may have gaps.
 */
uint32_t x86_apic_id_from_index(const CpuTopology *smp, unsigned cpu_index);
/* One more than the highest APIC id of max_cpus CPUs. */
uint32_t x86_apic_id_limit(const CpuTopology *smp);

/*
 * Create ms->smp.cpus vCPUs, each with its CPUID and APIC id, their threads
 * started and paused. False with errp set; what was made stays in ms->cpus.
 */
bool x86_cpus_init(MachineState *ms, Error **errp);
/* Power-on state for all; CPU 0 is the boot processor. CPUs paused. */
void x86_cpus_reset(MachineState *ms);
/* End the threads, free the CPUs. */
void x86_cpus_cleanup(MachineState *ms);

#endif
