/*
 * Descriptors of userfaultfd that hold up whoever touches memory, the kernel as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_USERFAULTFD_H
#define MIGRATION_USERFAULTFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qemu/error.h"

/* One that does not block, before the process is confined. -1 with errp set: it may not. */
int userfaultfd_open(Error **errp);
/* Until fd can be read, without end: false if stop can be first. */
bool userfaultfd_wait(int fd, int stop);
/* Where the page begins that somebody waits for, in ram of that size; 0 or -errno. */
int userfaultfd_next(int fd, const void *ram, uint64_t size, uint64_t *offset);

#endif
