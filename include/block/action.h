/*
 * What a transaction is made of: things that are done to disks at one moment.
 *
 * Main thread with the machine lock. Options and strings stay the caller's until the
 * transaction has been run.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_ACTION_H
#define BLOCK_ACTION_H

#include "block/job.h"

typedef struct BlockAction BlockAction;

/*
 * All of them while no disk has anything in flight, or none, with errp set. grouped: the jobs end
 * together, all of them well or none.
 */
bool block_transaction(GPtrArray *actions, bool grouped, Error **errp);
/* Frees the action, as g_free() does. */
bool block_transaction_one(BlockAction *action, Error **errp);

/* It fails. */
BlockAction *block_action_abort(void);

/* Snapshots: an overlay takes all that a disk writes from now on. */

/* A node on top of another; overlay NULL: one for a file, which is made or is there. */
typedef struct BlockSnapshot {
    const char *node, *overlay;
    const char *file, *overlay_name;
    bool existing;
} BlockSnapshot;
BlockAction *block_action_snapshot(const BlockSnapshot *snapshot);

/* blockdev-reopen: a node with other options; opts are changed, and the caller's. */
BlockAction *block_action_reopen(QemuOpts *opts);

/* Dirty bitmaps of a node, which is named by itself or by its disk. */
typedef enum BlockBitmapVerb {
    BITMAP_ADD, BITMAP_REMOVE, BITMAP_CLEAR, BITMAP_MERGE, BITMAP_ENABLE,
} BlockBitmapVerb;
typedef struct BlockBitmapName {
    const char *node, *name;    /* node NULL: the same */
} BlockBitmapName;
typedef struct BlockBitmapAction {
    const char *node, *name;
    uint64_t granularity;       /* add: bytes; 0: the image's clusters, or 64 KiB */
    bool persistent;            /* add */
    bool enabled;               /* add, enable: or disable */
    const BlockBitmapName *from;    /* merge */
    unsigned n_from;
} BlockBitmapAction;
BlockAction *block_action_bitmap(BlockBitmapVerb verb, const BlockBitmapAction *bitmap);

/* A disk as it is now goes to a node, or to a file, which is made or is there. */
typedef struct BlockBackupOptions {
    const char *device, *target, *sync;
    const char *file, *format;  /* instead of target; format NULL: the disk's own */
    bool existing;
    const char *bitmap, *bitmap_mode;   /* for sync "bitmap", "incremental"; NULL: none */
} BlockBackupOptions;
BlockAction *block_action_backup(const BlockBackupOptions *backup, const BlockJobOptions *options);

#endif
