/*
 * The program's entry, for system/main.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_VL_H
#define SYSTEM_VL_H

#include "options.h"

/* Does not return: the status goes to exit(). */
int qemu_main(int argc, char **argv);

/*
 * All phases up to a machine that vm_start() starts; the machine lock is held from the main loop's
 * set-up on. vl is zeroed and stays; vl->done: there is nothing to start. For tests, too.
 */
bool vl_start(VLState *vl, int argc, char **argv, Error **errp);

#endif
