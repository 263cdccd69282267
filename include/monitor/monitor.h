/*
 * Monitors: how people (HMP) and programs (QMP) look at and steer a machine.
 *
 * All of these: main thread, machine lock held, unless said otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MONITOR_MONITOR_H
#define MONITOR_MONITOR_H

#include <stdbool.h>

#include "chardev/char.h"
#include "hw/boards.h"
#include "qemu/option.h"

typedef struct Monitor Monitor;

typedef enum MonitorMode {
    MONITOR_READLINE,       /* HMP: a prompt for people */
    MONITOR_CONTROL,        /* QMP: JSON for programs */
} MonitorMode;

/*
 * Start a monitor on chr, which must have room for a frontend. pretty is for
 * MONITOR_CONTROL: JSON over several lines. The first call makes ms->monitors,
 * which observes run states and machine events from then on, so call it before
 * the machine runs. False with errp set when chr is taken.
 */
bool monitor_init(MachineState *ms, Chardev *chr, MonitorMode mode,
                  bool pretty, Error **errp);

/*
 * -monitor, -qmp and -qmp-pretty: filename as for qemu_chr_new(); the chardev
 * is called compat_monitorN. "none" succeeds without a monitor.
 */
bool monitor_init_compat(MachineState *ms, const char *filename,
                         MonitorMode mode, bool pretty, Error **errp);

/* -mon [chardev=]ID[,mode=readline|control][,pretty=on|off][,id=NAME] */
bool monitor_init_opts(MachineState *ms, QemuOpts *opts, Error **errp);

/*
 * At exit: write out what is still queued, detach from the chardevs and free
 * ms->monitors. Harmless when there is none. Before qemu_chr_cleanup().
 */
void monitor_cleanup(MachineState *ms);

/*
 * A file descriptor given by a client with getfd, or a number: for fd= values.
 * The descriptor becomes the caller's. Returns -1 with errp set if unknown.
 * mon may be NULL: then every monitor's descriptors are searched.
 */
int monitor_fd_param(MachineState *ms, Monitor *mon, const char *fdname,
                     Error **errp);

#endif
