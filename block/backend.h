/*
 * Backends, as the rest of block/ sees them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BACKEND_H
#define BLOCK_BACKEND_H

#include "block-internal.h"

/* What a device holds. */
struct BlockBackend {
    char *id;                   /* of -drive; NULL: made for a node */
    BlockNode *root;
    char *serial;
    int werror, rerror;         /* BlockOnError */
    bool writeback;             /* atomic */
    char *if_name;              /* of -drive; NULL for a node's */

    char *dev_id;               /* attached device; NULL: none */
    unsigned perm, unshared;    /* its permissions */
    GMainContext *ctx;
    const BlockDevOps *ops;
    void *opaque;
    unsigned in_flight;         /* loop only */
    bool batch_pending;         /* loop: completions since the last batch_end */
    int64_t now;                /* loop: the time of this batch, ns; 0: nobody has looked */
    int iostatus;               /* BlockIoStatus; atomic */
    BlockStats stats;           /* atomic */
    struct BlockDirty *dirty;   /* loop: where writes are marked; NULL: nowhere */
    struct BlockJob *job;       /* at work on the disk; NULL: none */
    struct ThrottleMember *throttle;    /* changes while nothing is in flight; NULL: no limits */
    BlockNode *filter;          /* in front of root, see filter.h; NULL: none */
};

/* The node that the disk's requests get to first. */
static inline BlockNode *blk_top(const BlockBackend *blk)
{
    return blk->filter ? blk->filter : blk->root;
}

typedef enum BlockOnError {
    ON_ERROR_REPORT, ON_ERROR_IGNORE, ON_ERROR_ENOSPC, ON_ERROR_STOP,
} BlockOnError;
/* False: no policy is called so. */
bool block_on_error_by_name(const char *name, int *policy);
BlockErrorAction block_error_action(BlockOnError policy, int err);
/* Of an image that an error has stopped. */
BlockIoStatus block_io_status(int err);

/* The registry: block-backend.c. Main thread. */
/* Takes root. id may be NULL. */
BlockBackend *blk_new(const char *id, BlockNode *root);
BlockBackend *blk_by_id(const char *id);
/* One for a twin of the node, that no device has: left by one that was not made in the end. */
BlockBackend *blk_idle_twin(const char *node_name);
void blk_free(BlockBackend *blk);

#endif
