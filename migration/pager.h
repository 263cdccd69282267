/*
 * Pages of RAM that come when somebody touches them: by userfaultfd, with accesses of the kernel.
 *
 * Who touches a page that is not there waits, whatever thread it is and whether it does so itself
 * or in a system call, until it has been put there. In tests something else takes its place.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_PAGER_H
#define MIGRATION_PAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "qemu/error.h"
#include "sysemu/hostmem.h"

typedef struct Pager Pager;

/* Offsets and lengths are in bytes of RAM, and whole pages; 0 or negative errno. */
typedef struct PagerOps {
    /* Before anything is put there: what it is made of shall be single pages. */
    void (*prepare)(Pager *p);
    /* From now on pages that are not there are waited for. / Never again: they read as zeros. */
    int (*begin)(Pager *p);
    void (*end)(Pager *p);
    /* What is there goes. Not after somebody may use it. */
    int (*discard)(Pager *p, uint64_t offset, uint64_t len);
    /* Put data (NULL: zeros) where nothing is, and wake who waits; -EEXIST: a page is there. */
    int (*fill)(Pager *p, uint64_t offset, const uint8_t *data, uint64_t len);
    /* Where somebody waits; -EAGAIN: nobody does. fd is readable when somebody begins to. */
    int (*next)(Pager *p, uint64_t *offset);
    void (*free)(Pager *p);
} PagerOps;

struct Pager {
    const PagerOps *ops;
    int fd;
    HostMemoryBackend *ram;
};

/*
 * For the machine's RAM; before the process is confined. NULL with errp set: this process may not,
 * or not with this kind of memory.
 */
Pager *pager_new(HostMemoryBackend *ram, Error **errp);

#endif
