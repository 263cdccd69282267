/*
 * block-stream: a disk's image takes over what is below it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "job-internal.h"

typedef struct StreamJob {
    BlockJob job;
    BlockNode *top, *base;      /* base: stays below; NULL: nothing does */
    char *backing_file;         /* what top names then; NULL: as base is called */
} StreamJob;

static int stream_piece(BlockJob *job, uint64_t pos, uint64_t bytes)
{
    BlockNode *top = downcast(job, StreamJob, job)->top;

    return block_driver(top)->populate(top, pos, bytes, &job->reading);
}

static int stream_run(BlockJob *job)
{
    StreamJob *st = downcast(job, StreamJob, job);
    int ret = block_job_copy(job, &(BlockJobCopy) {
        .from = st->top->backing, .base = st->base, .length = st->top->length,
        .copy = stream_piece,
    });

    return ret < 0 ? ret : block_run_flush(st->top);
}

/* The disk is quiet. */
static void unlink_below(void *opaque)
{
    StreamJob *st = opaque;
    BlockNode *first = st->top->backing, *last = first;
    const char *name = st->base ? st->backing_file ? st->backing_file : st->base->filename : NULL;

    st->job.ret = block_driver(st->top)->change_backing(st->top, name,
                                                        st->base ? st->base->obj.oc->name : NULL);
    if (st->job.ret < 0) {
        return;
    }
    while (last->backing != st->base) {
        last = last->backing;
    }
    block_detach_child(st->top, BLOCK_BACKING);
    if (st->base) {
        block_detach_child(last, BLOCK_BACKING);
        block_attach(st->top, BLOCK_BACKING, st->base, st->base->node_name[0] == '#');
    }
    block_drop_node(first);
}

static bool stream_finish(BlockJob *job, Error **errp)
{
    StreamJob *st = downcast(job, StreamJob, job);

    if (st->top->backing && st->top->backing != st->base) {
        block_quiesce(&job->blk, 1, unlink_below, st);
    }
    if (job->ret < 0) {
        error_setg_errno(errp, -job->ret, "Could not change the backing file");
    }
    return job->ret == 0;
}

static void stream_end(BlockJob *job)
{
    g_clear_pointer(&downcast(job, StreamJob, job)->backing_file, g_free);
}

static const BlockJobOps stream_ops = {
    .type = "stream", .is_block = true, .run = stream_run, .finish = stream_finish,
    .end = stream_end,
};

bool block_stream_start(const char *device, const char *base_node, const char *backing_file,
                        const BlockJobOptions *options, Error **errp)
{
    BlockBackend *blk = blk_get(device, errp);
    BlockNode *base = base_node ? block_find_node(base_node) : NULL;
    StreamJob *st;

    if (!blk) {
        return false;
    }
    if (base_node && (!base || !block_is_below(blk->root, base))) {
        error_setg(errp, "Node '%s' is not a backing image of '%s'", base_node, device);
    } else if (blk->root->is_ro || !block_driver(blk->root)->populate) {
        error_setg(errp, "Block node is read-only");
    } else {
        st = downcast(block_job_new(&stream_ops, sizeof(*st), blk, options, errp), StreamJob, job);
        if (st) {
            st->top = blk->root;
            st->base = base;
            st->backing_file = g_strdup(backing_file);
            block_job_start(&st->job);
        }
        return st;
    }
    return false;
}
