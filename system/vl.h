/*
 * The program's entry, for system/main.c.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSTEM_VL_H
#define SYSTEM_VL_H

/* Does not return: the status goes to exit(). */
int qemu_main(int argc, char **argv);

#endif
