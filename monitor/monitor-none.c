/*
 * A build without monitors, and without gdb's stub, which uses what they have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "monitor/monitor.h"

#include <string.h>

#include "sysemu/gdbstub.h"

static bool not_there(Error **errp)
{
    error_setg(errp, "monitors are not compiled into this binary");
    return false;
}

bool monitor_init(MachineState *ms, Chardev *chr, MonitorMode mode,
                  bool pretty, Error **errp)
{
    return not_there(errp);
}

bool monitor_init_compat(MachineState *ms, const char *filename,
                         MonitorMode mode, bool pretty, Error **errp)
{
    return !strcmp(filename, "none") || not_there(errp);
}

bool monitor_init_opts(MachineState *ms, QemuOpts *opts, Error **errp)
{
    return not_there(errp);
}

void monitor_cleanup(MachineState *ms)
{
}

bool gdbserver_start(MachineState *ms, const char *device, Error **errp)
{
    error_setg(errp, "gdb's stub is not compiled into this binary");
    return false;
}
