/*
 * Snapshots inside of images, of several disks at once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "snapshot-ops.h"

#include <string.h>

#include "job-internal.h"

const char *vm_snapshot_node_name(const BlockNode *bs)
{
    return bs->blk && bs->blk->id ? bs->blk->id : bs->node_name;
}

static bool can_hold(const BlockNode *bs)
{
    const BlockSnapshotOps *ops = block_driver(bs)->snapshots;

    return ops && ops->check(bs);
}

/* Which --------------------------------------------------------------------------------- */

static bool check_node(const BlockNode *bs, Error **errp)
{
    if (bs->busy || (bs->blk && bs->blk->job)) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job", bs->node_name);
    } else if (!can_hold(bs)) {
        error_setg(errp, "Device '%s' is writable but does not support snapshots",
                   vm_snapshot_node_name(bs));
    } else {
        return true;
    }
    return false;
}

static void add_written(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    BlockNode *bs = (BlockNode *)info->node;

    if (bs && !bs->is_ro && !bs->is_twin && (bs->blk || !bs->parent)) {
        g_ptr_array_add(opaque, bs);
    }
}

static bool add_named(GPtrArray *nodes, const char *name, Error **errp)
{
    BlockBackend *blk = blk_find(name);
    BlockNode *bs = blk ? blk->root : block_find_node(name);

    if (!bs) {
        error_setg(errp, "Cannot find device='' nor node-name='%s'", name);
    } else if (bs->is_ro) {
        error_setg(errp, "Device '%s' is read-only", name);
    } else {
        g_ptr_array_add(nodes, bs);
    }
    return bs && !bs->is_ro;
}

GPtrArray *vm_snapshot_nodes(const char *const *names, Error **errp)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();

    if (!names) {
        block_foreach_node(add_written, nodes);
    }
    for (; names && *names; names++) {
        if (!add_named(nodes, *names, errp)) {
            return NULL;
        }
    }
    for (guint i = 0; i < nodes->len; i++) {
        if (!check_node(nodes->pdata[i], errp)) {
            return NULL;
        }
    }
    return g_steal_pointer(&nodes);
}

BlockNode *vm_snapshot_state_node(GPtrArray *nodes, const char *name, Error **errp)
{
    for (guint i = 0; i < nodes->len; i++) {
        BlockNode *bs = nodes->pdata[i];

        if (!name || !strcmp(bs->node_name, name) || !strcmp(vm_snapshot_node_name(bs), name)) {
            nodes->pdata[i] = nodes->pdata[0];
            nodes->pdata[0] = bs;
            return bs;
        }
    }
    if (name) {
        error_setg(errp, "vmstate block device '%s' does not exist", name);
    } else {
        error_setg(errp, "no block device can store vmstate for snapshot");
    }
    return NULL;
}

const BlockSnapshotInfo *vm_snapshot_find(const BlockNode *bs, const char *name)
{
    BlockImageInfo info;

    block_image_info(bs, &info);
    for (unsigned i = 0; i < info.nr_snapshots; i++) {
        if (!strcmp(info.snapshots[i].name, name)) {
            return &info.snapshots[i];
        }
    }
    return NULL;
}

bool vm_snapshot_in_all(const GPtrArray *nodes, const char *name)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (!vm_snapshot_find(nodes->pdata[i], name)) {
            return false;
        }
    }
    return true;
}

bool vm_snapshot_in_any(const GPtrArray *nodes, const char *name)
{
    for (guint i = 0; i < nodes->len; i++) {
        if (vm_snapshot_find(nodes->pdata[i], name)) {
            return true;
        }
    }
    return false;
}

/* States ---------------------------------------------------------------------------------- */

BlockVMState *vm_state_new(BlockNode *bs)
{
    return block_driver(bs)->snapshots->state_new(bs);
}

BlockVMState *vm_state_open(BlockNode *bs, const BlockSnapshotInfo *sn, Error **errp)
{
    return block_driver(bs)->snapshots->state_open(bs, sn, errp);
}

int vm_state_write(BlockVMState *v, const void *data, size_t len)
{
    return v->ops->state_write(v, data, len);
}

ssize_t vm_state_read(BlockVMState *v, void *data, size_t len)
{
    return v->ops->state_read(v, data, len);
}

void vm_state_free(BlockVMState *v)
{
    if (v) {
        v->ops->state_free(v);
    }
}

/* What is done while the disks are quiet ----------------------------------------------------- */

typedef struct Work Work;
struct Work {
    GPtrArray *nodes;
    const BlockSnapshotInfo *sn;
    const char *name;
    BlockVMState *v;            /* of nodes' first */
    int (*fn)(Work *w, BlockNode *bs);
    const char *verb;
    guint done;                 /* so many went well */
    Error **errp;
};

static void work(void *opaque)
{
    Work *w = opaque;
    int ret = 0;

    for (w->done = 0; w->done < w->nodes->len && ret >= 0; w->done += ret >= 0) {
        BlockNode *bs = w->nodes->pdata[w->done];

        ret = w->fn(w, bs);
        if (ret < 0) {
            error_setg_errno(w->errp, -ret, "Could not %s snapshot '%s' on '%s'", w->verb,
                             w->name, vm_snapshot_node_name(bs));
        }
    }
}

/* True: all went well. */
static bool run(Work *w)
{
    g_autofree BlockBackend **blks = g_new(BlockBackend *, w->nodes->len);
    unsigned n = 0;

    for (guint i = 0; i < w->nodes->len; i++) {
        const BlockNode *bs = w->nodes->pdata[i];

        if (bs->blk) {
            blks[n++] = bs->blk;
        }
    }
    block_quiesce(blks, n, work, w);
    return w->done == w->nodes->len;
}

static int create_one(Work *w, BlockNode *bs)
{
    return block_driver(bs)->snapshots->create(bs, w->sn, w->done ? NULL : w->v);
}

static int delete_one(Work *w, BlockNode *bs)
{
    return vm_snapshot_find(bs, w->name) ? block_driver(bs)->snapshots->remove(bs, w->name) : 0;
}

static int revert_one(Work *w, BlockNode *bs)
{
    return block_driver(bs)->snapshots->revert(bs, w->name);
}

bool vm_snapshot_create(GPtrArray *nodes, const BlockSnapshotInfo *sn, BlockVMState *v,
                        Error **errp)
{
    Work w = { .nodes = nodes, .sn = sn, .name = sn->name, .v = v, .fn = create_one,
               .verb = "create", .errp = errp };
    bool ok = run(&w);

    if (!ok) {
        g_ptr_array_set_size(nodes, w.done);
        w.fn = delete_one;
        w.errp = NULL;
        run(&w);
    }
    return ok;
}

bool vm_snapshot_delete(GPtrArray *nodes, const char *name, Error **errp)
{
    Work w = { .nodes = nodes, .name = name, .fn = delete_one, .verb = "delete", .errp = errp };

    return run(&w);
}

bool vm_snapshot_revert(GPtrArray *nodes, const char *name, Error **errp)
{
    Work w = { .nodes = nodes, .name = name, .fn = revert_one, .verb = "load", .errp = errp };

    return run(&w);
}
