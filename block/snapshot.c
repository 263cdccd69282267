/*
 * Snapshots of disks: an overlay takes all writes from now on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "blockdev.h"
#include "block/image-info.h"
#include "job-internal.h"
#include "qemu/cutils.h"

typedef struct Taking {
    BlockNode **nodes, **overlays;
    unsigned n;
    int ret;
} Taking;

static bool check(BlockNode *bs, BlockNode *top, const BlockSnapshot *sn, Error **errp)
{
    if (!bs || !top) {
        error_setg(errp, "Cannot find device='' nor node-name='%s'", bs ? sn->overlay : sn->node);
    } else if (!bs->blk || bs->is_twin) {
        error_setg(errp, "Node '%s' is not the top of a disk", sn->node);
    } else if (bs->blk->job) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job", sn->node);
    } else if (top->parent || top->blk || top->twins || top->busy) {
        error_setg(errp, "The overlay is already in use");
    } else if (top->backing) {
        error_setg(errp, "The overlay already has a backing image");
    } else if (!block_driver(top)->has_backing) {
        error_setg(errp, "The overlay does not support backing images");
    } else if (top->is_ro != bs->is_ro || top->length < bs->length) {
        error_setg(errp, "The overlay '%s' is %s than its image", sn->overlay,
                   top->is_ro != bs->is_ro ? "no more writable" : "smaller");
    } else {
        return true;
    }
    return false;
}

/* All disks are quiet. */
static void take(void *opaque)
{
    Taking *t = opaque;

    /* The guest's next flush goes to the overlay alone. */
    for (unsigned i = 0; t->ret == 0 && i < t->n; i++) {
        t->ret = t->nodes[i]->is_ro ? 0 : block_run_flush(t->nodes[i]);
    }
    for (unsigned i = 0; t->ret == 0 && i < t->n; i++) {
        block_replace_root(t->nodes[i]->blk, t->overlays[i]);
        block_attach(t->overlays[i], BLOCK_BACKING, t->nodes[i], false);
        /* Where this fails, it is not written all the same. */
        block_reopen(t->nodes[i], true, NULL);
        block_set_perm(t->nodes[i], BLOCK_PERM_READ, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, NULL);
    }
}

bool block_snapshot(const BlockSnapshot *snapshots, unsigned n, Error **errp)
{
    g_autofree BlockNode **nodes = g_new0(BlockNode *, n), **overlays = g_new0(BlockNode *, n);
    g_autofree BlockBackend **blks = g_new0(BlockBackend *, n);
    Taking t = { nodes, overlays, n, 0 };

    for (unsigned i = 0; i < n; i++) {
        nodes[i] = block_find_node(snapshots[i].node);
        overlays[i] = block_find_node(snapshots[i].overlay);
        if (!check(nodes[i], overlays[i], &snapshots[i], errp)) {
            return false;
        }
        for (unsigned k = 0; k < i; k++) {
            if (nodes[k] == nodes[i] || overlays[k] == overlays[i]) {
                error_setg(errp, "Node '%s' is busy: it is named twice", snapshots[i].node);
                return false;
            }
        }
        blks[i] = nodes[i]->blk;
    }
    block_quiesce(blks, n, take, &t);
    if (t.ret < 0) {
        error_setg_errno(errp, -t.ret, "Could not flush");
    }
    return t.ret == 0;
}

/* A file of its own, and an empty image in it whose backing file is bs. */
static bool make_file(const BlockNode *bs, const char *file, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_new(), file_opts = qemu_opts_new();
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, bs->length);
    BlockNode *node;
    bool ok;

    qemu_opt_append(file_opts, "filename", file);
    qemu_opt_append(file_opts, "size", "0");
    if (!block_create("file", NULL, file_opts, errp)) {
        return false;
    }
    qemu_opts_free(file_opts);
    file_opts = qemu_opts_new();
    qemu_opt_append(file_opts, "driver", "file");
    qemu_opt_append(file_opts, "filename", file);
    node = block_node_new(file_opts, errp);
    if (!node) {
        return false;
    }
    qemu_opt_append(opts, "size", size);
    qemu_opt_append(opts, "backing-file", bs->filename);
    qemu_opt_append(opts, "backing-fmt", bs->obj.oc->name);
    ok = block_create("qcow2", node, opts, errp);
    block_node_close(node);
    return ok;
}

const char *block_snapshot_file(const char *device, const char *file, const char *node_name,
                                bool existing, Error **errp)
{
    BlockBackend *blk = blk_find(device);
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    BlockNode *bs, *top;

    if (!blk) {
        error_setg(errp, "Cannot find device='%s' nor node-name=''", device);
        return NULL;
    }
    bs = blk->root;
    if (!existing && !make_file(bs, file, errp)) {
        return NULL;
    }
    block_opt_default(opts, "driver", "qcow2");
    block_opt_default(opts, "node-name", node_name);
    block_opt_default(opts, "file.driver", "file");
    block_opt_default(opts, "file.filename", file);
    block_opt_default(opts, "read-only", bs->is_ro ? "on" : "off");
    block_opt_default(opts, "discard", bs->discard ? "unmap" : "ignore");
    block_opt_default(opts, "cache.direct", bs->direct ? "on" : "off");
    block_opt_default(opts, "cache.no-flush", bs->no_flush ? "on" : "off");
    block_opt_default(opts, "backing", "");
    top = block_node_new(opts, errp);
    if (top) {
        top->detect_zeroes = bs->detect_zeroes;
    }
    return top ? top->node_name : NULL;
}
