/*
 * The action of a watchdog.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/watchdog.h"

#include <string.h>

#include "hw/core/event.h"

const char *const watchdog_action_names[] = {
    [WATCHDOG_ACTION_RESET] = "reset", [WATCHDOG_ACTION_SHUTDOWN] = "shutdown",
    [WATCHDOG_ACTION_POWEROFF] = "poweroff", [WATCHDOG_ACTION_PAUSE] = "pause",
    [WATCHDOG_ACTION_DEBUG] = "debug", [WATCHDOG_ACTION_NONE] = "none",
    [WATCHDOG_ACTION_INJECT_NMI] = "inject-nmi", NULL
};

WatchdogAction watchdog_action_by_name(const char *name)
{
    WatchdogAction action = 0;

    while (strcmp(watchdog_action_names[action], name)) {
        action++;
    }
    return action;
}

void watchdog_perform_action(MachineState *ms)
{
    WatchdogAction action = ms->rsm.watchdog_action;

    machine_event(ms, "WATCHDOG", (EventField[]) {
        EVENT_STR("action", watchdog_action_names[action]) }, 1);
    switch (action) {
    case WATCHDOG_ACTION_RESET:
        qemu_system_reset_request(ms, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    case WATCHDOG_ACTION_SHUTDOWN:
        qemu_system_powerdown_request(ms);
        break;
    case WATCHDOG_ACTION_POWEROFF:
        qemu_system_shutdown_request(ms, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        break;
    case WATCHDOG_ACTION_PAUSE:
        qemu_system_vmstop_request(ms, RUN_STATE_WATCHDOG);
        break;
    case WATCHDOG_ACTION_DEBUG:
        warn_report("a watchdog's timer has expired");
        break;
    case WATCHDOG_ACTION_NONE:
        break;
    case WATCHDOG_ACTION_INJECT_NMI:
        qemu_system_nmi_request(ms);
        break;
    }
}
