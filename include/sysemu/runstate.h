/*
 * Run states of the machine and requests to change them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_RUNSTATE_H
#define SYSEMU_RUNSTATE_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu/error.h"

typedef struct MachineState MachineState;

/* The names are QMP's. */
typedef enum RunState {
    RUN_STATE_PRELAUNCH,
    RUN_STATE_RUNNING,
    RUN_STATE_PAUSED,
    RUN_STATE_SHUTDOWN,
    RUN_STATE_INTERNAL_ERROR,
    RUN_STATE_IO_ERROR,
    RUN_STATE_DEBUG,
    RUN_STATE_GUEST_PANICKED,
    RUN_STATE_INMIGRATE,
    RUN_STATE_FINISH_MIGRATE,
    RUN_STATE_POSTMIGRATE,
    RUN_STATE_WATCHDOG,
    RUN_STATE__MAX
} RunState;

/* Why; the strings of QMP's SHUTDOWN and RESET events. */
typedef enum ShutdownCause {
    SHUTDOWN_CAUSE_NONE,
    SHUTDOWN_CAUSE_HOST_ERROR,
    SHUTDOWN_CAUSE_HOST_QMP_QUIT,
    SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET,
    SHUTDOWN_CAUSE_HOST_SIGNAL,
    SHUTDOWN_CAUSE_HOST_UI,
    SHUTDOWN_CAUSE_GUEST_SHUTDOWN,
    SHUTDOWN_CAUSE_GUEST_RESET,
    SHUTDOWN_CAUSE_GUEST_PANIC,
    SHUTDOWN_CAUSE__MAX
} ShutdownCause;

typedef enum RebootAction { REBOOT_ACTION_RESET, REBOOT_ACTION_SHUTDOWN } RebootAction;
typedef enum ShutdownAction { SHUTDOWN_ACTION_POWEROFF, SHUTDOWN_ACTION_PAUSE } ShutdownAction;
typedef enum PanicAction {
    PANIC_ACTION_SHUTDOWN, PANIC_ACTION_PAUSE, PANIC_ACTION_NONE,
    PANIC_ACTION_EXIT_FAILURE
} PanicAction;

typedef enum WatchdogAction {
    WATCHDOG_ACTION_RESET, WATCHDOG_ACTION_SHUTDOWN, WATCHDOG_ACTION_POWEROFF,
    WATCHDOG_ACTION_PAUSE, WATCHDOG_ACTION_DEBUG, WATCHDOG_ACTION_NONE,
    WATCHDOG_ACTION_INJECT_NMI
} WatchdogAction;

/*
 * What observers are told: the monitor turns these into events, backends into
 * drains. Called on the main thread with the machine lock held.
 */
typedef enum RunStateEvent {
    RUN_STATE_EVENT_STOP,           /* vCPUs are paused; state tells why */
    RUN_STATE_EVENT_RESUME,         /* vCPUs are about to run */
    RUN_STATE_EVENT_RESET,          /* the machine has been reset */
    RUN_STATE_EVENT_SHUTDOWN,       /* the guest or the host ended it */
    RUN_STATE_EVENT_POWERDOWN,      /* the power button */
} RunStateEvent;
typedef void RunStateNotify(MachineState *ms, RunStateEvent event,
                            ShutdownCause cause, void *opaque);

typedef struct RunStateNotifier {
    RunStateNotify *fn;
    void *opaque;
} RunStateNotifier;

/* Those that were not meant; the last one's place. */
typedef struct TripleFaults {
    unsigned count, cpu;
    uint64_t rip;
} TripleFaults;

/* Part of MachineState; fields private to hw/core/runstate.c and system/vm-control.c. */
typedef struct RunStateMachine {
    RunState state;
    RunState stop_state;            /* what a pending stop request asks for */
    bool stop_requested;
    ShutdownCause reset_requested;
    ShutdownCause shutdown_requested;
    bool powerdown_requested;
    bool nmi_requested;
    bool halted_requested;          /* to look whether the machine is over */
    bool work_scheduled;
    GMutex lock;                    /* the requests above; a leaf */
    void (*run_requests)(void *ms); /* main loop: carries the requests out */
    /* Asked before the guest runs; false with errp set: it cannot. NULL: it always can. */
    bool (*may_start)(MachineState *ms, Error **errp);
    GArray *notifiers;          /* of RunStateNotifier */
    RebootAction reboot_action;     /* -action reboot=, -no-reboot */
    ShutdownAction shutdown_action; /* -action shutdown=, -no-shutdown */
    PanicAction panic_action;
    bool panicked;              /* since the last reset */
    WatchdogAction watchdog_action; /* -action watchdog=, -watchdog-action */
    int exit_status;
    bool dumping;                   /* a dump reads RAM, and may start the machine when it ends */
    bool explain_faults;            /* somebody reads the following; set before the start */
    TripleFaults triple_faults;     /* under lock */
} RunStateMachine;

const char *runstate_name(RunState state);
bool runstate_is_running(const MachineState *ms);
/* The name of the cause as QMP says it ("guest-reset"). */
const char *shutdown_cause_name(ShutdownCause cause);
/* Did the guest ask? */
bool shutdown_caused_by_guest(ShutdownCause cause);

/* Main thread, machine lock held. */
void runstate_set(MachineState *ms, RunState state);
/* Of two reasons to stand still the one that leaves less to go on with; else the other. */
RunState runstate_graver(RunState now, RunState other);
/* Take a stop that is requested away; the graver of its state and this one. */
RunState runstate_take_stop(MachineState *ms, RunState state);
void runstate_notify(MachineState *ms, RunStateEvent event, ShutdownCause cause);
void runstate_add_notifier(MachineState *ms, RunStateNotify *fn, void *opaque);
void runstate_del_notifier(MachineState *ms, RunStateNotify *fn, void *opaque);

/*
 * system/vm-control.c: running, pausing, resetting. Init before all else; the others on
 * the main thread with the machine lock held.
 */
void runstate_init(MachineState *ms);
void vm_start(MachineState *ms);
void vm_stop(MachineState *ms, RunState state);
void qemu_system_reset(MachineState *ms, ShutdownCause cause);
/* An NMI to every CPU; false where the accelerator has none. */
bool vm_inject_nmi(MachineState *ms);

/*
 * Requests: from any thread, with or without the machine lock; the main loop
 * carries them out. A vCPU that calls them (but powerdown, NMI and halted) runs no guest code until
 * then: cpu_stop_current().
 */
void qemu_system_reset_request(MachineState *ms, ShutdownCause cause);
void qemu_system_shutdown_request(MachineState *ms, ShutdownCause cause);
/* isa-debug-exit: shut down and have the process exit with status. */
void qemu_system_shutdown_request_with_code(MachineState *ms,
                                            ShutdownCause cause, int status);
void qemu_system_vmstop_request(MachineState *ms, RunState state);
void qemu_system_powerdown_request(MachineState *ms);
/*
 * A CPU's triple fault, which resets the machine. meant: the IDT is empty, which is how a guest
 * reboots by one.
 */
void qemu_system_triple_fault(MachineState *ms, unsigned cpu, uint64_t rip, bool meant);
/* Those so far. */
TripleFaults runstate_triple_faults(MachineState *ms);
/* An NMI to every CPU. */
void qemu_system_nmi_request(MachineState *ms);
/* All CPUs sleep where no device can wake them: the machine may be over. */
void qemu_system_halted_request(MachineState *ms);
void qemu_system_guest_panicked(MachineState *ms);

#endif
