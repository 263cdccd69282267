/*
 * The files that the process may still reach, kept by the host's kernel (Landlock).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_LANDLOCK_H
#define QEMU_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Rights that are asked for; what the kernel does not know is left out. */
#define FILES_READ 1            /* files and folders */
#define FILES_WRITE 2           /* and make: regular files, sockets; cut, remove them */
#define FILES_REMOVE 4
#define FILES_ALL 8             /* and folders, links, special files; move them; but no programs */

/* A set of rules in the making; negative errno: the kernel has no Landlock. */
int landlock_new(void);
/*
 * Allow rights (a set of FILES_*) for path and, if it is a folder, all below. Negative errno: it
 * is not there.
 */
int landlock_allow(int rules, const char *path, unsigned rights);
/* The same for an open file or folder (O_PATH will do), which stays the caller's. */
int landlock_allow_fd(int rules, int fd, unsigned rights);
/* Whether rules can let names be moved to other folders; if not, nobody can who has rules. */
bool landlock_knows_moves(void);
/*
 * The calling thread, and threads that it starts, reach by name nothing but what was allowed; what
 * is open stays so. The rules are closed. Needs no_new_privs. 0 or negative errno.
 */
int landlock_enter(int rules);

#endif
