/*
 * Sets of descriptors that others hand to the process: "/dev/fdset/N" is the
 * member of set N that fits how it is opened. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_FDSET_H
#define QEMU_FDSET_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct FDSetMember {
    int64_t set;
    int fd;             /* owned */
    char *opaque;       /* what its giver calls it; may be NULL */
} FDSetMember;

/*
 * Add fd (taken over) to a set, which is made if need be; set -1 is the lowest
 * number not in use. Returns the set's number.
 */
int64_t fdset_add(int64_t set, int fd, const char *opaque);
/*
 * Close and forget a descriptor of the set, or all of them (fd -1). What was
 * opened from it stays open. False: there is none such.
 */
bool fdset_remove(int64_t set, int fd);
/* All members, by set and in the order of their coming; NULL: there never was one. */
const GArray *fdset_members(void);

/*
 * open(2) that knows "/dev/fdset/N": a duplicate of the member that was opened
 * for the same access, or else for reading and writing. ENOENT: no such set;
 * EACCES: no such member. mode is for O_CREAT. At start it may wait for the other end of a
 * FIFO; once the main loop runs that is an error (ENXIO). What -sandbox does not allow is
 * ESANDBOX (qemu/confine.h).
 */
int qemu_open(const char *path, int flags, mode_t mode);

#endif
