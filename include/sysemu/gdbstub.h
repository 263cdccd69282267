/*
 * gdb's remote protocol, for debugging the guest.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_GDBSTUB_H
#define SYSEMU_GDBSTUB_H

#include "hw/boards.h"

/*
 * -gdb: wait for a debugger on device ("tcp::1234", or a chardev as of
 * -serial); one at a time, the guest is paused while it looks. "none" succeeds
 * without doing anything. Main thread, machine lock held.
 */
bool gdbserver_start(MachineState *ms, const char *device, Error **errp);

#endif
