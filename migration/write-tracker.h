/*
 * Pages of RAM that somebody is about to write to: by userfaultfd's write protection.
 *
 * Who writes to a protected page waits, whatever thread it is and whether it does so itself or in
 * a system call, until that page is allowed. To read costs nothing. In tests something else takes
 * its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_WRITE_TRACKER_H
#define MIGRATION_WRITE_TRACKER_H

#include <stdbool.h>
#include <stdint.h>

#include "qemu/error.h"
#include "sysemu/hostmem.h"

typedef struct WriteTracker WriteTracker;

/* Any thread. Offsets and lengths are in bytes of RAM, and whole pages; 0 or negative errno. */
typedef struct WriteTrackerOps {
    /* Before the rest. / It is all over: after prepare() alone. */
    int (*prepare)(WriteTracker *t);
    void (*settle)(WriteTracker *t);
    /* These pages are protected. / They are not, and who waits for them goes on. */
    int (*protect)(WriteTracker *t, uint64_t offset, uint64_t len);
    int (*allow)(WriteTracker *t, uint64_t offset, uint64_t len);
    /* None is any more, and nobody waits; more than once. */
    void (*lift)(WriteTracker *t);
    /* Where somebody waits; -EAGAIN: nobody does. fd is readable when somebody begins to. */
    int (*next)(WriteTracker *t, uint64_t *offset);
    void (*free)(WriteTracker *t);
} WriteTrackerOps;

struct WriteTracker {
    const WriteTrackerOps *ops;
    int fd;
    HostMemoryBackend *ram;
    bool populate;              /* the kernel protects nothing where nothing is */
};

/* Whether that RAM can be protected page by page; or errp. */
bool write_tracker_fits(const HostMemoryBackend *ram, Error **errp);
/*
 * For RAM that fits. fd is userfaultfd_open()'s and stays the caller's;
 * NULL with errp set. A descriptor serves for one of them.
 */
WriteTracker *write_tracker_new(HostMemoryBackend *ram, int fd, Error **errp);

#endif
