/*
 * vCPU threads: start, pause, resume, end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_CPUS_H
#define SYSEMU_CPUS_H

#include "hw/core/cpu.h"

/*
 * Start the CPU's thread, which calls the accelerator's vcpu_init() as soon as
 * it gets the machine lock. Without threads, just call it. The CPU starts
 * paused. Machine lock held.
 */
bool cpu_start_thread(CPUState *cpu, Error **errp);
/* Wait until vcpu_init() is done; false with its error. Machine lock held. */
bool cpu_wait_created(CPUState *cpu, Error **errp);

/* All of these: machine lock held, main thread. */
void pause_all_vcpus(MachineState *ms);     /* returns when all are paused */
/*
 * Give the accelerator the registers that are newer here, of every CPU. Paused. False:
 * it refuses some, and has said so; then no CPU may run.
 */
bool cpus_put_registers(MachineState *ms);
/* After cpus_put_registers(), or with nothing changed. */
void resume_all_vcpus(MachineState *ms);
/*
 * Have all stand still soon, without waiting for them; the machine counts as running all the same.
 * Until resume_all_vcpus().
 */
void hold_all_vcpus(MachineState *ms);
void cpu_stop_threads(MachineState *ms);    /* end and join them all */

/*
 * Make the architectural registers of a CPU current (read); who changes them says so
 * by cpu_set_dirty(). Pause it first if they are to stay current. Any thread; machine
 * lock held.
 */
void cpu_synchronize_state(CPUState *cpu);
/*
 * The architectural registers of a paused CPU were changed after cpu_synchronize_state(),
 * or reset: they are newer than the accelerator's until cpus_put_registers().
 */
void cpu_set_dirty(CPUState *cpu);
/*
 * What makes the CPU stop from its next run on (AccelClass.set_debug); 0 or negative errno.
 * The CPU must be paused: accelerators wait for a running one, which may wait for our lock.
 */
int cpu_set_debug(CPUState *cpu, const CPUDebug *debug);

#endif
