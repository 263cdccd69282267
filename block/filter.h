/*
 * A filter: a job sees what a disk is asked for before the disk's image does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_FILTER_H
#define BLOCK_FILTER_H

#include "block-internal.h"

typedef struct BlockFilterOps {
    /* In the loop: must this write, write-zeroes or discard wait for run()? */
    bool (*wants)(void *opaque, const BlockRequest *req);
    /* On a worker: all of it, block_run(below, req) included. 0 or negative errno. */
    int (*run)(void *opaque, BlockNode *below, BlockRequest *req);
} BlockFilterOps;

/* In front of blk's image; blk has none yet. Main thread, within block_quiesce(). */
void block_filter_insert(BlockBackend *blk, const BlockFilterOps *ops, void *opaque);
/* The same; harmless if there is none. */
void block_filter_remove(BlockBackend *blk);

/*
 * Parts of a disk that somebody copies: who wants to change one waits until that is done. lock
 * and cond are the owner's.
 */
typedef struct BlockRange {
    uint64_t first, last;       /* chunks */
    GList link;
} BlockRange;

/* With the lock, given up meanwhile: first to last are the caller's alone, until it ends. */
void block_range_begin(GQueue *ranges, BlockRange *r, GMutex *lock, GCond *cond);
void block_range_end(GQueue *ranges, BlockRange *r, GCond *cond);

#endif
