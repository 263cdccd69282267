/*
 * What "help" among the parameters of an option says, at the command line and the monitor.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_HELP_H
#define SYSEMU_HELP_H

#include <glib.h>
#include <stdbool.h>

#include "qemu/option.h"

typedef enum HelpKind {
    HELP_BLOCKDEV, HELP_CHARDEV, HELP_DEVICE, HELP_NETDEV, HELP_OBJECT
} HelpKind;

/*
 * If opts of -blockdev, -chardev, -device, -netdev or -object ask for help: append the rows of
 * the class that they name, or else the list of classes. False: they do not ask.
 */
bool option_help(GString *out, HelpKind kind, QemuOpts *opts);

#endif
