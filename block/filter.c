/*
 * What jobs put between a disk and its image.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "filter.h"

typedef struct FilterNode {
    BlockNode bs;
    const BlockFilterOps *ops;
    void *opaque;
} FilterNode;

/* The image below does not know of it: its place in the tree stays as it is. */
static void filter_submit(BlockNode *bs, BlockRequest *req)
{
    FilterNode *f = downcast(bs, FilterNode, bs);
    bool writes = req->node_op != BLOCK_OP_READ && req->node_op != BLOCK_OP_FLUSH;

    if (writes && f->ops->wants(f->opaque, req)) {
        BlockEngine *pool = block_pool(bs);

        pool->ops->submit(pool, req);
    } else {
        block_submit(bs->file, req);
    }
}

static int filter_run(BlockNode *bs, BlockRequest *req)
{
    FilterNode *f = downcast(bs, FilterNode, bs);

    return f->ops->run(f->opaque, bs->file, req);
}

static void filter_prepare(BlockNode *bs)
{
    block_pool(bs);
}

static const BlockDriver block_filter = {
    .oc = {
        .name = "filter",
        .desc = "What a job wants to see first",
        .parent = &block_node_base_class,
        .instance_size = sizeof(FilterNode),
    },
    .submit = filter_submit,
    .run = filter_run,
    .prepare = filter_prepare,
};

void block_filter_insert(BlockBackend *blk, const BlockFilterOps *ops, void *opaque)
{
    FilterNode *f = downcast(object_new(&block_filter.oc, NULL), FilterNode, bs.obj);

    g_assert(!blk->filter);
    f->ops = ops;
    f->opaque = opaque;
    f->bs.file = blk->root;
    f->bs.blk = blk;
    blk->filter = &f->bs;
    if (blk->ctx) {
        filter_prepare(&f->bs);
    }
}

void block_filter_remove(BlockBackend *blk)
{
    BlockNode *bs = blk->filter;

    if (bs) {
        blk->filter = NULL;
        block_engine_free(bs->pool);
        object_free(&bs->obj);
    }
}

/* Ranges ------------------------------------------------------------------------------- */

static bool is_taken(const GQueue *ranges, const BlockRange *r)
{
    for (const GList *l = ranges->head; l; l = l->next) {
        const BlockRange *other = l->data;

        if (other->first <= r->last && r->first <= other->last) {
            return true;
        }
    }
    return false;
}

void block_range_begin(GQueue *ranges, BlockRange *r, GMutex *lock, GCond *cond)
{
    while (is_taken(ranges, r)) {
        g_cond_wait(cond, lock);
    }
    r->link = (GList) { .data = r };
    g_queue_push_head_link(ranges, &r->link);
}

void block_range_end(GQueue *ranges, BlockRange *r, GCond *cond)
{
    g_queue_unlink(ranges, &r->link);
    g_cond_broadcast(cond);
}
