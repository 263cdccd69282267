/*
 * What happens when a watchdog was not fed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_WATCHDOG_H
#define SYSEMU_WATCHDOG_H

#include "hw/boards.h"

/* In the order of WatchdogAction, then NULL: the words of -action watchdog= and QMP. */
extern const char *const watchdog_action_names[];
/* The action of this name, which is one of them. */
WatchdogAction watchdog_action_by_name(const char *name);

/*
 * Tell the monitor's clients (WATCHDOG) and do what -action watchdog= says. Main thread,
 * machine lock held.
 */
void watchdog_perform_action(MachineState *ms);

#endif
