/*
 * What an image format does that has a place for snapshots.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_SNAPSHOT_OPS_H
#define BLOCK_SNAPSHOT_OPS_H

#include "block-internal.h"
#include "block/vm-snapshot.h"

/* Formats embed it. */
struct BlockVMState {
    const BlockSnapshotOps *ops;
    uint64_t length;
};

/*
 * All on the main thread, and (but for the states) nothing is in flight, nor will be. 0 or
 * negative errno; what a crash leaves behind is the image of before or of afterwards.
 */
struct BlockSnapshotOps {
    bool (*check)(const BlockNode *bs);     /* has this image a place for one more? */
    /* v NULL: the disk alone. Takes what is in v. */
    int (*create)(BlockNode *bs, const BlockSnapshotInfo *sn, BlockVMState *v);
    int (*remove)(BlockNode *bs, const char *name);
    int (*revert)(BlockNode *bs, const char *name);
    BlockVMState *(*state_new)(BlockNode *bs);
    BlockVMState *(*state_open)(BlockNode *bs, const BlockSnapshotInfo *sn, Error **errp);
    int (*state_write)(BlockVMState *v, const void *data, size_t len);
    ssize_t (*state_read)(BlockVMState *v, void *data, size_t len);
    void (*state_free)(BlockVMState *v);
};

#endif
