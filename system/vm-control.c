/*
 * Running, pausing, resetting and ending the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qemu/trace.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"

static bool may_start(MachineState *ms)
{
    Error *err = NULL;

    if (ms->rsm.may_start && !ms->rsm.may_start(ms, &err)) {
        error_report_err(err);
        return false;
    }
    return true;
}

void vm_start(MachineState *ms)
{
    /* While it is on its way in or out nobody else may start it. */
    if (runstate_is_running(ms) || ms->rsm.state == RUN_STATE_INMIGRATE ||
        ms->rsm.state == RUN_STATE_FINISH_MIGRATE || !may_start(ms)) {
        return;
    }
    runstate_take_stop(ms, RUN_STATE_RUNNING);     /* of the time before */
    if (!cpus_put_registers(ms)) {
        runstate_set(ms, RUN_STATE_INTERNAL_ERROR);
        return;
    }
    runstate_set(ms, RUN_STATE_RUNNING);
    qemu_clock_enable_virtual(true);
    runstate_notify(ms, RUN_STATE_EVENT_RESUME, SHUTDOWN_CAUSE_NONE);
    resume_all_vcpus(ms);
}

void vm_stop(MachineState *ms, RunState state)
{
    if (!runstate_is_running(ms)) {
        /* A paused machine can still be found to have ended or failed. */
        runstate_set(ms, runstate_graver(ms->rsm.state, state));
        return;
    }
    pause_all_vcpus(ms);
    qemu_clock_enable_virtual(false);
    /*
     * What a CPU came upon on its way here, a breakpoint or a failure, is a reason of this
     * stop: left to be carried out later, it would stop a machine that has been started since.
     */
    runstate_set(ms, runstate_take_stop(ms, state));
    runstate_notify(ms, RUN_STATE_EVENT_STOP, SHUTDOWN_CAUSE_NONE);
}

void qemu_system_reset(MachineState *ms, ShutdownCause cause)
{
    trace(qemu_system_reset, "%s", shutdown_cause_name(cause));
    ms->rsm.panicked = false;
    qemu_devices_reset(ms);
    if (cause != SHUTDOWN_CAUSE_NONE) {
        runstate_notify(ms, RUN_STATE_EVENT_RESET, cause);
    }
}

/* The machine ends: leave the main loop, or with -no-shutdown stay and wait. */
static void do_shutdown(MachineState *ms, ShutdownCause cause)
{
    runstate_notify(ms, RUN_STATE_EVENT_SHUTDOWN, cause);
    if (ms->rsm.shutdown_action == SHUTDOWN_ACTION_PAUSE &&
        cause != SHUTDOWN_CAUSE_HOST_SIGNAL && cause != SHUTDOWN_CAUSE_HOST_QMP_QUIT &&
        cause != SHUTDOWN_CAUSE_HOST_UI) {
        vm_stop(ms, RUN_STATE_SHUTDOWN);
        return;
    }
    qemu_main_loop_quit();
}

static void do_reset(MachineState *ms, ShutdownCause cause)
{
    bool was_running = runstate_is_running(ms);

    pause_all_vcpus(ms);
    qemu_system_reset(ms, cause);
    if (!cpus_put_registers(ms)) {
        vm_stop(ms, RUN_STATE_INTERNAL_ERROR);
    } else if (was_running) {
        resume_all_vcpus(ms);
    } else {
        /* What was paused, had ended or failed starts anew with "cont". */
        runstate_set(ms, RUN_STATE_PRELAUNCH);
    }
}

/* On the CPU's own thread: accelerators may not reach into a running one. */
static void nmi_on_cpu(CPUState *cpu, void *opaque)
{
    accel_get_class(cpu->machine->accel)->inject_nmi(cpu);
}

bool vm_inject_nmi(MachineState *ms)
{
    const AccelClass *ac = ms->accel ? accel_get_class(ms->accel) : NULL;

    if (!ms->cpus || !ac || !ac->inject_nmi) {
        return false;
    }
    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        run_on_cpu(ms->cpus[i], nmi_on_cpu, NULL);
    }
    return true;
}

/*
 * Whether nothing but a reset or a debugger can make any CPU go on. They are stopped for
 * the look; a watchdog that sends NMIs can wake them, too.
 */
static bool machine_is_over(MachineState *ms)
{
    const AccelClass *ac = accel_get_class(ms->accel);
    bool over = true;

    if (!ms->halt_poweroff || !ac->is_dead || !runstate_is_running(ms) ||
        ms->rsm.watchdog_action == WATCHDOG_ACTION_INJECT_NMI) {
        return false;
    }
    pause_all_vcpus(ms);
    for (unsigned i = 0; over && i < ms->smp.cpus; i++) {
        over = ac->is_dead(ms->cpus[i]);
    }
    resume_all_vcpus(ms);
    return over;
}

/* Main loop: carry out what was requested; the end goes before all else. */
static void run_requests(void *opaque)
{
    MachineState *ms = opaque;
    RunStateMachine *r = &ms->rsm;
    ShutdownCause reset, shutdown;
    bool stop, powerdown, nmi, halted;
    RunState stop_state;

    g_mutex_lock(&r->lock);
    r->work_scheduled = false;
    stop = r->stop_requested;
    stop_state = r->stop_state;
    reset = r->reset_requested;
    shutdown = r->shutdown_requested;
    powerdown = r->powerdown_requested;
    nmi = r->nmi_requested;
    halted = r->halted_requested;
    r->stop_requested = r->powerdown_requested = false;
    r->nmi_requested = r->halted_requested = false;
    r->reset_requested = r->shutdown_requested = SHUTDOWN_CAUSE_NONE;
    g_mutex_unlock(&r->lock);

    if (powerdown) {
        runstate_notify(ms, RUN_STATE_EVENT_POWERDOWN, SHUTDOWN_CAUSE_NONE);
    }
    if (nmi) {
        vm_inject_nmi(ms);
    }
    if (halted && !shutdown && !reset && machine_is_over(ms)) {
        shutdown = SHUTDOWN_CAUSE_GUEST_SHUTDOWN;
    }
    if (reset && r->reboot_action == REBOOT_ACTION_SHUTDOWN && !shutdown) {
        shutdown = reset;
        r->exit_status |= r->panicked;      /* a kernel that restarts by itself */
    }
    if (shutdown) {
        do_shutdown(ms, shutdown);
    } else if (reset) {
        do_reset(ms, reset);
    }
    if (stop && !shutdown) {
        vm_stop(ms, stop_state);
    }
}

void runstate_init(MachineState *ms)
{
    ms->rsm.state = RUN_STATE_PRELAUNCH;
    ms->rsm.run_requests = run_requests;
    g_mutex_init(&ms->rsm.lock);
    ms->rsm.notifiers = g_array_new(FALSE, FALSE, sizeof(RunStateNotifier));
}
