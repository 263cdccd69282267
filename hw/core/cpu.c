/*
 * Which CPU this thread is, and the one order that a CPU gives itself.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/core/cpu.h"

__thread CPUState *current_cpu;

void cpu_stop_current(void)
{
    if (current_cpu) {
        current_cpu->stop_self = true;
        atomic_store(&current_cpu->exit_request, true);
    }
}
