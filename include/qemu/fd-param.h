/*
 * Descriptors as values of options: a number, or a name that a monitor's client has given.
 * Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_FD_PARAM_H
#define QEMU_FD_PARAM_H

#include <glib.h>
#include <stdbool.h>

#include "qemu/error.h"

/*
 * The descriptor that str stands for, which becomes the caller's: a number of the process,
 * open or not, or, while a command runs, a duplicate of the descriptor of this name.
 * -1 with errp set on failure.
 */
int fd_param_open(const char *str, Error **errp);
/* The caller does not want it after all: a duplicate is closed, a number is left as it was. */
void fd_param_put(int fd);

/*
 * Around a command: names (string to descriptor + 1; removal closes) is where fd_param_open()
 * looks. At the end of one that has succeeded the names that it used are gone; one that has
 * failed leaves them all.
 */
void fd_names_begin(GHashTable *names);
void fd_names_end(bool succeeded);

#endif
