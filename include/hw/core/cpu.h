/*
 * A virtual CPU as the accelerator-independent code sees it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_CORE_CPU_H
#define HW_CORE_CPU_H

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "hw/boards.h"
#include "sysemu/debug.h"

typedef struct AccelCPU AccelCPU;   /* what the accelerator keeps per CPU */

/* A function to be run by the CPU's own thread: run_on_cpu(). */
typedef void run_on_cpu_func(CPUState *cpu, void *opaque);

struct CPUState {
    MachineState *machine;
    unsigned cpu_index;
    AccelCPU *accel;            /* owned by the accelerator */

    GThread *thread;            /* NULL where the accelerator runs no code */
    pid_t thread_id;            /* Linux TID */
    bool created;               /* machine lock */
    bool stop;                  /* asked to pause; machine lock */
    bool stopped;               /* pausing; machine lock */
    bool unplug;                /* asked to end; machine lock */
    Error *init_error;          /* why it was not created; machine lock */
    bool stop_self;             /* cpu_stop_current(); own thread */
    GCond *halt_cond;           /* any change of the above; with the machine lock */
    GQueue work;                /* of queued functions; machine lock */
    /*
     * Set from any thread to make the CPU leave vcpu_exec() soon; cleared by its
     * own thread.
     */
    atomic_bool exit_request;
    /*
     * The architectural registers here are newer than the accelerator's and
     * go back before any CPU runs again. CPU stopped; machine lock.
     */
    bool vcpu_dirty;
    bool vcpu_read;             /* they are the same: read since it stopped */
    bool deaf;                  /* between the two calls below; own thread */
    CPUDebugEvent debug_event;  /* why it stopped, for a debugger */
};

/* The CPU whose thread this is; NULL on other threads. */
extern __thread CPUState *current_cpu;

/*
 * On a vCPU thread: do not run guest code again before the main loop has
 * handled what was requested (a reset, a shutdown): the CPU counts as stopped
 * and resume_all_vcpus() lets it go on. Takes no lock. Elsewhere: nothing.
 */
void cpu_stop_current(void);
/*
 * Around the sleep of a CPU that no device can wake: halted with interrupts off, or waiting
 * for INIT or a start-up IPI. When the last one of a machine falls asleep, the main loop looks
 * whether the machine is over. Own thread, no lock; harmless when it is so already.
 */
void cpu_fall_deaf(CPUState *cpu);
void cpu_hear_again(CPUState *cpu);
/* Run fn on the CPU's thread and wait. Call with the machine lock held. */
void run_on_cpu(CPUState *cpu, run_on_cpu_func *fn, void *opaque);

#endif
