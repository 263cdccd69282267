/*
 * Snapshots of disks: an overlay takes all writes from now on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "job-internal.h"
#include "transaction.h"

typedef struct SnapshotAction {
    BlockAction action;
    BlockSnapshot sn;
    BlockNode *bs, *top;
    bool made, taken;           /* top was opened for this; both are marked as busy */
} SnapshotAction;

static bool check(const SnapshotAction *s, Error **errp)
{
    const BlockNode *bs = s->bs, *top = s->top;

    if (bs->blk->job) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job", bs->node_name);
    } else if (bs->busy) {
        error_setg(errp, "Node '%s' is busy: it is named twice", bs->node_name);
    } else if (top->parent || top->blk || top->twins || top->busy) {
        error_setg(errp, "The overlay is already in use");
    } else if (top->backing) {
        error_setg(errp, "The overlay already has a backing image");
    } else if (!block_driver(top)->has_backing) {
        error_setg(errp, "The overlay does not support backing images");
    } else if (top->is_ro != bs->is_ro || top->length < bs->length) {
        error_setg(errp, "The overlay '%s' is %s than its image", top->node_name,
                   top->is_ro != bs->is_ro ? "no more writable" : "smaller");
    } else {
        return true;
    }
    return false;
}

/* The disk that is meant: by the name of its uppermost node, or any other of its names. */
static BlockNode *find_disk(const BlockSnapshot *sn, Error **errp)
{
    BlockBackend *blk = sn->overlay ? NULL : blk_find(sn->node);
    BlockNode *bs = blk ? blk->root : block_get_node(sn->node, errp);

    if (bs && (!bs->blk || bs->is_twin)) {
        error_setg(errp, "Node '%s' is not the top of a disk", sn->node);
        return NULL;
    }
    return bs;
}

static bool find_overlay(SnapshotAction *s, Error **errp)
{
    BlockImageFor image = {
        .disk = s->bs, .file = s->sn.file, .format = "qcow2", .node_name = s->sn.overlay_name,
        .backing = s->bs, .existing = s->sn.existing,
    };

    if (s->sn.overlay) {
        s->top = block_get_node(s->sn.overlay, errp);
    } else {
        s->top = block_image_for(&image, errp);
        s->made = s->top;
    }
    return s->top;
}

static bool snapshot_prepare(BlockAction *a, Error **errp)
{
    SnapshotAction *s = downcast(a, SnapshotAction, action);
    int ret;

    s->bs = find_disk(&s->sn, errp);
    if (!s->bs || !find_overlay(s, errp) || !check(s, errp)) {
        return false;
    }
    /* The guest's next flush goes to the overlay alone. */
    ret = s->bs->is_ro ? 0 : block_run_flush(s->bs);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not flush");
        return false;
    }
    s->bs->busy = s->top->busy = s->taken = true;
    return true;
}

static void snapshot_commit(BlockAction *a)
{
    SnapshotAction *s = downcast(a, SnapshotAction, action);

    s->bs->busy = s->top->busy = false;
    block_replace_root(s->bs->blk, s->top);
    block_attach(s->top, BLOCK_BACKING, s->bs, false);
    /* Where this fails, it is not written all the same. */
    block_reopen(s->bs, true, NULL);
    block_set_perm(s->bs, BLOCK_PERM_READ, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, NULL);
}

static void snapshot_abort(BlockAction *a)
{
    SnapshotAction *s = downcast(a, SnapshotAction, action);

    if (s->taken) {
        s->bs->busy = s->top->busy = false;
    }
    if (s->made) {
        block_node_close(s->top);
    }
}

static const BlockActionOps snapshot_action = {
    .prepare = snapshot_prepare, .commit = snapshot_commit, .abort = snapshot_abort,
};

BlockAction *block_action_snapshot(const BlockSnapshot *snapshot)
{
    SnapshotAction *s = g_new0(SnapshotAction, 1);

    s->action.ops = &snapshot_action;
    s->sn = *snapshot;
    return &s->action;
}
