/*
 * Descriptors of userfaultfd that hold up whoever touches memory, the kernel as well.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_USERFAULTFD_H
#define MIGRATION_USERFAULTFD_H

#include "qemu/error.h"

/* One that does not block, before the process is confined. -1 with errp set: it may not. */
int userfaultfd_open(Error **errp);

#endif
