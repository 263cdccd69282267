/*
 * Images that are handed from one process to the next, while both have them open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/handover.h"

#include <string.h>

#include "backend.h"
#include "job-internal.h"

/* Some node is inactive, or one that is opened will be. */
static bool handover;

void blk_expect_handover(void)
{
    handover = true;
}

bool block_opens_inactive(const BlockNode *bs)
{
    return CONFIG_HAS_MIGRATION && handover && !bs->read_only;
}

bool block_check_active(const BlockNode *bs, Error **errp)
{
    if (bs->inactive) {
        error_setg(errp, "Node '%s' is inactive: the machine is in another process",
                   bs->node_name);
    }
    return !bs->inactive;
}

static void sync_disk(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    int ret = blk->root->is_ro || blk->root->inactive ? 0 : block_run_flush(blk->root);

    if (ret < 0) {
        error_report("cannot flush '%s': %s", blk->root->filename, strerror(-ret));
    }
}

void blk_sync_all(void)
{
    blk_foreach(sync_disk, NULL);
}

static bool inactivate(BlockNode *bs, Error **errp)
{
    const BlockDriver *drv = block_driver(bs);

    if (bs->inactive || bs->is_ro) {
        return true;
    }
    if (bs->busy) {
        error_setg(errp, "Node '%s' is busy: a job or an export writes to it", bs->node_name);
        return false;
    }
    if (drv->inactivate && !drv->inactivate(bs, errp)) {
        return false;
    }
    bs->inactive = true;
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i] && !inactivate(bs->child[i], errp)) {
            return false;
        }
    }
    return true;
}

static bool activate(BlockNode *bs, Error **errp)
{
    const BlockDriver *drv = block_driver(bs);

    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i] && !activate(bs->child[i], errp)) {
            return false;
        }
    }
    if (!bs->inactive) {
        return true;
    }
    bs->inactive = false;
    if (drv->activate && !drv->activate(bs, errp)) {
        bs->inactive = true;
        return false;
    }
    return true;
}

bool block_activate(BlockNode *bs, Error **errp)
{
    if (!bs->inactive || activate(bs, errp)) {
        return true;
    }
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i]) {
            inactivate(bs->child[i], NULL);
        }
    }
    return false;
}

/* One step for all nodes or disks, until it fails. */
typedef struct Step {
    bool (*fn)(BlockNode *bs, Error **errp);
    Error **errp;
    bool failed;
} Step;

static void step_node(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    Step *step = opaque;
    BlockNode *bs = (BlockNode *)info->node;

    step->failed = step->failed || (!bs->parent && !step->fn(bs, step->errp));
}

static bool foreach_top(bool (*fn)(BlockNode *bs, Error **errp), Error **errp)
{
    Step step = { .fn = fn, .errp = errp };

    block_foreach_node(step_node, &step);
    return !step.failed;
}

static void step_disk(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    Step *step = opaque;

    step->failed = step->failed || (blk->dev_id && !block_set_perm(blk->root, blk->perm,
                                                                   blk->unshared, step->errp));
}

/* Each device asks for its permissions once more. */
static bool renew_perms(Error **errp)
{
    Step step = { .errp = errp };

    blk_foreach(step_disk, &step);
    return !step.failed;
}

bool blk_inactivate_all(Error **errp)
{
    Error *err = NULL;

    handover = true;
    blk_sync_all();
    if (foreach_top(inactivate, &err)) {
        return true;
    }
    blk_activate_all(NULL);
    error_propagate(errp, err);
    return false;
}

bool blk_activate_all(Error **errp)
{
    if (!handover) {
        return true;
    }
    block_exports_give_back();
    if (!foreach_top(activate, errp) || !renew_perms(errp)) {
        foreach_top(inactivate, NULL);
        return false;
    }
    handover = false;
    return true;
}
