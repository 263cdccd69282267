/*
 * Files and block devices of the host, for the two files that drive them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_FILE_POSIX_H
#define BLOCK_FILE_POSIX_H

#include <sys/stat.h>

#include "block-internal.h"

/* Image locking by byte ranges, as other programs of the family do it. --------- */

/* What a file descriptor holds: BLOCK_PERM_* that are used, and not shared. */
typedef struct FileLocks {
    unsigned perm, unshared;
} FileLocks;
/*
 * Change them from held to want. False with errp set, and what was held
 * still held, when another open file does not allow it.
 */
bool file_lock_set(int fd, const char *filename, FileLocks *held,
                   FileLocks want, Error **errp);

typedef struct FileNode {
    BlockNode bs;
    char *name;                 /* filename= */
    int aio;                    /* BlockAioKind */
    OnOffAuto locking;
    int fd;
    bool is_blkdev;
    bool lock_works;
    FileLocks locks;
    struct stat left;           /* as it was when it became inactive; zeros: it was opened so */
    bool no_uring;              /* tried in vain */
    GMutex rmw_lock;            /* writes of less than the host's block */
} FileNode;

/* BlockDriver.run: any thread. */
int file_run(BlockNode *bs, BlockRequest *req);
/* Do the host's alignment rules hold for it? */
bool file_request_is_aligned(const BlockNode *bs, const BlockRequest *req);

#endif
