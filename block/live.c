/*
 * The disk that a guest has as the backing file of another image: "as it was" behind a backup.
 *
 * A backup with sync=none copies what a guest is about to overwrite to an image that stands on the
 * disk. Whoever reads that image reads the disk where it was not overwritten: by this node, which
 * stands for the disk's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "job-internal.h"

/* The node that it stands for: it stays as long as something does. */
typedef struct LiveNode {
    BlockNode bs;
    BlockNode *of;
} LiveNode;

static int live_run(BlockNode *bs, BlockRequest *req)
{
    return req->node_op == BLOCK_OP_READ ? block_run(downcast(bs, LiveNode, bs)->of, req) :
           req->node_op == BLOCK_OP_FLUSH ? 0 : -EPERM;
}

static int live_allocated(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    return block_allocated_above(downcast(bs, LiveNode, bs)->of, NULL, pos, bytes, n);
}

static bool live_open(BlockNode *bs, Error **errp)
{
    BlockNode *of = downcast(bs, LiveNode, bs)->of;

    bs->length = of->length;
    bs->filename = of->filename;
    bs->align = of->align;
    bs->mem_align = of->mem_align;
    return true;
}

/* The disk has its own locks. */
static bool live_set_perm(BlockNode *bs, unsigned perm, unsigned unshared, Error **errp)
{
    return true;
}

static const BlockDriver block_live = {
    .oc = {
        .name = "live",
        .desc = "A disk that is in use",
        .parent = &block_node_base_class,
        .instance_size = sizeof(LiveNode),
    },
    .open = live_open,
    .run = live_run,
    .allocated = live_allocated,
    .set_perm = live_set_perm,
};

bool block_node_is_live(const BlockNode *bs)
{
    return block_driver(bs) == &block_live;
}

BlockNode *block_node_live(BlockNode *of, Error **errp)
{
    BlockNode *bs = downcast(object_new(&block_live.oc, NULL), BlockNode, obj);

    bs->node_name = g_strdup(of->node_name);
    bs->is_twin = bs->read_only = true;
    downcast(bs, LiveNode, bs)->of = of;
    if (!block_node_open(bs, errp)) {
        return NULL;
    }
    of->twins++;
    return bs;
}
