/*
 * Run states: who is told of them, and the requests to change them, which come from any
 * thread. The main loop carries them out: system/vm-control.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/runstate.h"

#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "hw/core/event.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"

const char *runstate_name(RunState state)
{
    static const char *const names[] = {
        [RUN_STATE_PRELAUNCH] = "prelaunch",
        [RUN_STATE_RUNNING] = "running",
        [RUN_STATE_PAUSED] = "paused",
        [RUN_STATE_SHUTDOWN] = "shutdown",
        [RUN_STATE_INTERNAL_ERROR] = "internal-error",
        [RUN_STATE_IO_ERROR] = "io-error",
        [RUN_STATE_DEBUG] = "debug",
        [RUN_STATE_GUEST_PANICKED] = "guest-panicked",
        [RUN_STATE_INMIGRATE] = "inmigrate",
        [RUN_STATE_FINISH_MIGRATE] = "finish-migrate",
        [RUN_STATE_POSTMIGRATE] = "postmigrate",
        [RUN_STATE_WATCHDOG] = "watchdog",
    };

    return names[state];
}

const char *shutdown_cause_name(ShutdownCause cause)
{
    static const char *const names[] = {
        [SHUTDOWN_CAUSE_NONE] = "none",
        [SHUTDOWN_CAUSE_HOST_ERROR] = "host-error",
        [SHUTDOWN_CAUSE_HOST_QMP_QUIT] = "host-qmp-quit",
        [SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET] = "host-qmp-system-reset",
        [SHUTDOWN_CAUSE_HOST_SIGNAL] = "host-signal",
        [SHUTDOWN_CAUSE_HOST_UI] = "host-ui",
        [SHUTDOWN_CAUSE_GUEST_SHUTDOWN] = "guest-shutdown",
        [SHUTDOWN_CAUSE_GUEST_RESET] = "guest-reset",
        [SHUTDOWN_CAUSE_GUEST_PANIC] = "guest-panic",
    };

    return names[cause];
}

bool shutdown_caused_by_guest(ShutdownCause cause)
{
    return cause >= SHUTDOWN_CAUSE_GUEST_SHUTDOWN;
}

bool runstate_is_running(const MachineState *ms)
{
    return ms->rsm.state == RUN_STATE_RUNNING;
}

void runstate_add_notifier(MachineState *ms, RunStateNotify *fn, void *opaque)
{
    RunStateNotifier n = { fn, opaque };

    g_array_append_val(ms->rsm.notifiers, n);
}

void runstate_del_notifier(MachineState *ms, RunStateNotify *fn, void *opaque)
{
    for (guint i = 0; i < ms->rsm.notifiers->len; i++) {
        RunStateNotifier *n = &g_array_index(ms->rsm.notifiers, RunStateNotifier, i);

        if (n->fn == fn && n->opaque == opaque) {
            g_array_remove_index(ms->rsm.notifiers, i);
            return;
        }
    }
}

void runstate_notify(MachineState *ms, RunStateEvent event, ShutdownCause cause)
{
    for (guint i = 0; i < ms->rsm.notifiers->len; i++) {
        RunStateNotifier n = g_array_index(ms->rsm.notifiers, RunStateNotifier, i);

        n.fn(ms, event, cause, n.opaque);
    }
}

void runstate_set(MachineState *ms, RunState state)
{
    trace(runstate_set, "%s -> %s", runstate_name(ms->rsm.state), runstate_name(state));
    ms->rsm.state = state;
}

/* How little is left to go on with, where a machine has two reasons to stand still. */
static unsigned gravity(RunState state)
{
    static const uint8_t of[] = {
        [RUN_STATE_DEBUG] = 1,
        [RUN_STATE_IO_ERROR] = 2,
        [RUN_STATE_GUEST_PANICKED] = 3,
        [RUN_STATE_INTERNAL_ERROR] = 4,
        [RUN_STATE_SHUTDOWN] = 5,
    };

    return (unsigned)state < G_N_ELEMENTS(of) ? of[state] : 0;
}

RunState runstate_graver(RunState now, RunState other)
{
    return gravity(other) >= gravity(now) ? other : now;
}

RunState runstate_take_stop(MachineState *ms, RunState state)
{
    RunStateMachine *r = &ms->rsm;

    g_mutex_lock(&r->lock);
    if (r->stop_requested) {
        state = runstate_graver(state, r->stop_state);
    }
    r->stop_requested = false;
    g_mutex_unlock(&r->lock);
    return state;
}

/* Call with the request lock held; gives it up. */
static void schedule_and_unlock(MachineState *ms)
{
    bool schedule = !ms->rsm.work_scheduled;

    ms->rsm.work_scheduled = true;
    g_mutex_unlock(&ms->rsm.lock);
    if (schedule) {
        qemu_bh_schedule_oneshot(ms->rsm.run_requests, ms);
    }
}

void qemu_system_reset_request(MachineState *ms, ShutdownCause cause)
{
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.reset_requested = cause;
    schedule_and_unlock(ms);
    cpu_stop_current();
}

void qemu_system_triple_fault(MachineState *ms, unsigned cpu, uint64_t rip, bool meant)
{
    qemu_log_mask(LOG_CPU_RESET, "cpu %u: triple fault at %016" PRIx64 "\n", cpu, rip);
    g_mutex_lock(&ms->rsm.lock);
    if (!meant) {
        ms->rsm.triple_faults.count++;
        ms->rsm.triple_faults.cpu = cpu;
        ms->rsm.triple_faults.rip = rip;
    }
    g_mutex_unlock(&ms->rsm.lock);
    qemu_system_reset_request(ms, SHUTDOWN_CAUSE_GUEST_RESET);
}

TripleFaults runstate_triple_faults(MachineState *ms)
{
    TripleFaults t;

    g_mutex_lock(&ms->rsm.lock);
    t = ms->rsm.triple_faults;
    g_mutex_unlock(&ms->rsm.lock);
    return t;
}

void qemu_system_shutdown_request(MachineState *ms, ShutdownCause cause)
{
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.shutdown_requested = cause;
    schedule_and_unlock(ms);
    cpu_stop_current();
}

void qemu_system_shutdown_request_with_code(MachineState *ms,
                                            ShutdownCause cause, int status)
{
    trace(qemu_system_shutdown_request, "%s status %d", shutdown_cause_name(cause), status);
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.exit_status = status;
    ms->rsm.shutdown_requested = cause;
    schedule_and_unlock(ms);
    cpu_stop_current();
}

void qemu_system_vmstop_request(MachineState *ms, RunState state)
{
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.stop_state = ms->rsm.stop_requested ?
        runstate_graver(ms->rsm.stop_state, state) : state;
    ms->rsm.stop_requested = true;
    schedule_and_unlock(ms);
    cpu_stop_current();
}

void qemu_system_powerdown_request(MachineState *ms)
{
    trace(qemu_system_powerdown_request, "");
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.powerdown_requested = true;
    schedule_and_unlock(ms);
}

void qemu_system_nmi_request(MachineState *ms)
{
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.nmi_requested = true;
    schedule_and_unlock(ms);
}

void qemu_system_halted_request(MachineState *ms)
{
    g_mutex_lock(&ms->rsm.lock);
    ms->rsm.halted_requested = true;
    schedule_and_unlock(ms);
}

void qemu_system_guest_panicked(MachineState *ms)
{
    static const char *const actions[] = {
        [PANIC_ACTION_PAUSE] = "pause", [PANIC_ACTION_SHUTDOWN] = "poweroff",
        [PANIC_ACTION_EXIT_FAILURE] = "poweroff", [PANIC_ACTION_NONE] = "run",
    };

    ms->rsm.panicked = true;
    machine_event(ms, "GUEST_PANICKED", (EventField []) {
        EVENT_STR("action", actions[ms->rsm.panic_action]) }, 1);
    switch (ms->rsm.panic_action) {
    case PANIC_ACTION_PAUSE:
        qemu_system_vmstop_request(ms, RUN_STATE_GUEST_PANICKED);
        break;
    case PANIC_ACTION_SHUTDOWN:
        /* Who runs a guest once (-no-reboot) looks at the status. */
        qemu_system_shutdown_request_with_code(ms, SHUTDOWN_CAUSE_GUEST_PANIC,
                                               ms->rsm.reboot_action == REBOOT_ACTION_SHUTDOWN);
        break;
    case PANIC_ACTION_EXIT_FAILURE:
        qemu_system_shutdown_request_with_code(ms, SHUTDOWN_CAUSE_GUEST_PANIC, 1);
        break;
    case PANIC_ACTION_NONE:
        break;
    }
}
