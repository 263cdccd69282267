/*
 * The program that makes TAP interfaces in bridges, for processes that may not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_BRIDGE_HELPER_H
#define NET_BRIDGE_HELPER_H

#include "qemu/error.h"

#define DEFAULT_BRIDGE "br0"
#define DEFAULT_BRIDGE_HELPER "/usr/lib/qemu/qemu-bridge-helper"

/*
 * Run the program (a path, or a command line; NULL: Debian's) for the bridge (NULL: br0) and take
 * the descriptor of the interface from it. -1 with errp set on failure. Main thread; waits for
 * the program for some seconds at most.
 */
int bridge_helper_open(const char *helper, const char *bridge, Error **errp);

#endif
