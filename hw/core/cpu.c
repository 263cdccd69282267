/*
 * Which CPU this thread is, and the one order that a CPU gives itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/cpu.h"

__thread CPUState *current_cpu;

void cpu_fall_deaf(CPUState *cpu)
{
    MachineState *ms = cpu->machine;

    if (!cpu->deaf) {
        cpu->deaf = true;
        if (atomic_fetch_add(&ms->deaf_cpus, 1) + 1 == ms->smp.cpus) {
            qemu_system_halted_request(ms);
        }
    }
}

void cpu_hear_again(CPUState *cpu)
{
    if (cpu->deaf) {
        cpu->deaf = false;
        atomic_fetch_sub(&cpu->machine->deaf_cpus, 1);
    }
}

void cpu_stop_current(void)
{
    if (current_cpu) {
        current_cpu->stop_self = true;
        atomic_store(&current_cpu->exit_request, true);
    }
}
