/*
 * vCPU threads: start, pause, resume, end, and work for them.
 *
 * One condition variable per CPU, used with the machine lock, carries every
 * change in both directions: the thread waits on it for orders, others wait on
 * it for the answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/cpus.h"

#include <pthread.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "sysemu/accel.h"

typedef struct CPUWork {
    run_on_cpu_func *fn;
    void *opaque;
    bool done;
} CPUWork;

static const AccelClass *cpu_accel(const CPUState *cpu)
{
    return accel_get_class(cpu->machine->accel);
}

/* Make the CPU leave guest code. */
static void cpu_kick(CPUState *cpu)
{
    const AccelClass *ac = cpu_accel(cpu);

    /* The flag first: a CPU about to enter the guest looks at it last. */
    atomic_store(&cpu->exit_request, true);
    g_cond_broadcast(cpu->halt_cond);
    if (ac->vcpu_kick && cpu != current_cpu) {
        ac->vcpu_kick(cpu);
    }
}

void run_on_cpu(CPUState *cpu, run_on_cpu_func *fn, void *opaque)
{
    CPUWork work = { .fn = fn, .opaque = opaque };

    if (cpu == current_cpu || !cpu->thread) {
        fn(cpu, opaque);
        return;
    }
    g_queue_push_tail(&cpu->work, &work);
    cpu_kick(cpu);
    while (!work.done) {
        bql_cond_wait(cpu->halt_cond);
    }
}

static void cpu_do_work(CPUState *cpu)
{
    CPUWork *work;

    while ((work = g_queue_pop_head(&cpu->work))) {
        work->fn(cpu, work->opaque);
        work->done = true;
        g_cond_broadcast(cpu->halt_cond);
    }
}

/* Carry out orders, sleep while paused. Returns when there is code to run. */
static void cpu_wait_io_event(CPUState *cpu)
{
    for (;;) {
        cpu_do_work(cpu);
        if (cpu->stop || cpu->stop_self) {
            cpu->stop = false;
            cpu->stop_self = false;
            cpu->stopped = true;
            g_cond_broadcast(cpu->halt_cond);
        }
        if (cpu->unplug || !cpu->stopped) {
            return;
        }
        bql_cond_wait(cpu->halt_cond);
    }
}

static void *cpu_thread(void *opaque)
{
    CPUState *cpu = opaque;
    const AccelClass *ac = cpu_accel(cpu);
    Error *err = NULL;

    current_cpu = cpu;
    bql_lock();
    cpu->thread_id = gettid();
    if (!ac->vcpu_init || ac->vcpu_init(cpu, &err)) {
        cpu->created = true;
        g_cond_broadcast(cpu->halt_cond);
        for (;;) {
            cpu_wait_io_event(cpu);
            if (cpu->unplug) {
                break;
            }
            bql_unlock();
            thread_confine(ac->vcpu_filter);
            ac->vcpu_exec(cpu);
            bql_lock();
            /* Whoever set it did so before queueing what we look at next. */
            atomic_store(&cpu->exit_request, false);
        }
        if (ac->vcpu_destroy) {
            ac->vcpu_destroy(cpu);
        }
        cpu->created = false;
    }
    /* All of it: vcpu_init() writes it without the lock. */
    cpu->init_error = err;
    g_cond_broadcast(cpu->halt_cond);
    bql_unlock();
    return NULL;
}

static bool cpu_init_threadless(CPUState *cpu, Error **errp)
{
    const AccelClass *ac = cpu_accel(cpu);

    cpu->thread_id = getpid();
    cpu->created = !ac->vcpu_init || ac->vcpu_init(cpu, errp);
    return cpu->created;
}

bool cpu_start_thread(CPUState *cpu, Error **errp)
{
    g_autofree char *accel = g_ascii_strup(cpu_accel(cpu)->oc.name, -1);
    g_autofree char *name = g_strdup_printf("CPU %u/%s", cpu->cpu_index, accel);
    g_autoptr(GError) err = NULL;

    cpu->stopped = true;
    cpu->halt_cond = g_new(GCond, 1);
    g_cond_init(cpu->halt_cond);
    if (!cpu_accel(cpu)->has_vcpu_threads) {
        return cpu_init_threadless(cpu, errp);
    }
    cpu->thread = thread_try_new(name, cpu_thread, cpu, &err);
    if (!cpu->thread) {
        error_setg(errp, "cannot start the thread of CPU %u: %s", cpu->cpu_index,
                   err->message);
    }
    return cpu->thread != NULL;
}

bool cpu_wait_created(CPUState *cpu, Error **errp)
{
    while (cpu->thread && !cpu->created && !cpu->init_error) {
        bql_cond_wait(cpu->halt_cond);
    }
    if (cpu->init_error) {
        error_propagate(errp, g_steal_pointer(&cpu->init_error));
        return false;
    }
    return cpu->created;
}

void pause_all_vcpus(MachineState *ms)
{
    unsigned i;

    for (i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (cpu && cpu->thread && !cpu->stopped) {
            cpu->stop = true;
            cpu_kick(cpu);
        } else if (cpu) {
            cpu->stopped = true;
        }
    }
    for (i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        while (cpu && !cpu->stopped) {
            bql_cond_wait(cpu->halt_cond);
        }
    }
}

void hold_all_vcpus(MachineState *ms)
{
    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (cpu && cpu->thread && !cpu->stopped) {
            cpu->stop = true;
            cpu_kick(cpu);
        }
    }
}

bool cpus_put_registers(MachineState *ms)
{
    const AccelClass *ac = ms->accel ? accel_get_class(ms->accel) : NULL;

    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (!cpu || !cpu->vcpu_dirty) {
            continue;
        }
        g_assert(cpu->stopped);
        if (ac->put_registers && !ac->put_registers(cpu)) {
            return false;
        }
        cpu->vcpu_dirty = false;
    }
    return true;
}

/* One that runs may send events to any other: so all have their state by now. */
static bool cpus_are_ready(const MachineState *ms)
{
    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        if (ms->cpus[i] && ms->cpus[i]->vcpu_dirty) {
            return false;
        }
    }
    return true;
}

void resume_all_vcpus(MachineState *ms)
{
    g_assert(cpus_are_ready(ms));
    for (unsigned i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (cpu) {
            cpu->stop = false;
            cpu->stopped = false;
            cpu->vcpu_read = false;
            g_cond_broadcast(cpu->halt_cond);
        }
    }
}

static void cpu_release(CPUState *cpu, const AccelClass *ac)
{
    if (!cpu->thread && cpu->created && ac->vcpu_destroy) {
        ac->vcpu_destroy(cpu);
        cpu->created = false;
    }
    if (cpu->halt_cond) {
        g_cond_clear(cpu->halt_cond);
        g_clear_pointer(&cpu->halt_cond, g_free);
    }
    g_clear_pointer(&cpu->init_error, error_free);
}

void cpu_stop_threads(MachineState *ms)
{
    unsigned i;

    for (i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (cpu && cpu->thread) {
            cpu->unplug = true;
            cpu_kick(cpu);
        }
    }
    for (i = 0; ms->cpus && i < ms->smp.cpus; i++) {
        CPUState *cpu = ms->cpus[i];

        if (!cpu) {
            continue;
        }
        if (cpu->thread) {
            bql_unlock();
            g_thread_join(g_steal_pointer(&cpu->thread));
            bql_lock();
        }
        cpu_release(cpu, accel_get_class(ms->accel));
    }
}

static void do_synchronize(CPUState *cpu, void *unused)
{
    if (cpu->vcpu_dirty || cpu->vcpu_read) {
        return;
    }
    if (cpu_accel(cpu)->get_registers) {
        cpu_accel(cpu)->get_registers(cpu);
    }
    cpu->vcpu_read = cpu->stopped;
}

void cpu_synchronize_state(CPUState *cpu)
{
    if (cpu->stopped) {
        do_synchronize(cpu, NULL);
    } else {
        run_on_cpu(cpu, do_synchronize, NULL);
    }
}

void cpu_set_dirty(CPUState *cpu)
{
    g_assert(cpu->stopped);
    cpu->vcpu_dirty = true;
}

int cpu_set_debug(CPUState *cpu, const CPUDebug *debug)
{
    const AccelClass *ac = cpu_accel(cpu);

    g_assert(cpu->stopped);
    return ac->set_debug ? ac->set_debug(cpu, debug) : 0;
}
