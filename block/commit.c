/*
 * block-commit: what images have goes into one below them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "bitmap.h"
#include "job-internal.h"
#include "mirror.h"

typedef struct CommitJob {
    BlockJob job;
    BlockNode *overlay;         /* stands on top, and will on base */
    BlockNode *top, *base;
    char *backing_file;         /* what overlay names then; NULL: as base is called */
    uint8_t *buf;
    bool skip;                  /* as for BlockCopy */
} CommitJob;

typedef struct Reopen {
    BlockNode *bs;
    bool read_only, ok;
    Error **errp;
} Reopen;

static void reopen_quiet(void *opaque)
{
    Reopen *r = opaque;
    unsigned perm = BLOCK_PERM_READ;

    if (!r->read_only) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    r->ok = block_reopen(r->bs, r->read_only, r->errp) &&
            block_set_perm(r->bs, perm, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, r->errp);
}

static bool reopen(BlockBackend *blk, BlockNode *bs, bool read_only, Error **errp)
{
    Reopen r = { bs, read_only, false, errp };

    block_quiesce(&blk, 1, reopen_quiet, &r);
    return r.ok;
}

bool block_make_writable(BlockBackend *blk, BlockNode *base, uint64_t length, Error **errp)
{
    int ret = 0;

    if (!reopen(blk, base, false, errp)) {
        return false;
    }
    if (base->length < length) {
        ret = block_driver(base)->truncate ? block_driver(base)->truncate(base, length) : -ENOTSUP;
        block_bitmaps_resize(base, base->length);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to resize '%s'", base->filename);
        reopen(blk, base, true, NULL);
    }
    return ret == 0;
}

static int commit_piece(BlockJob *job, uint64_t pos, uint64_t bytes)
{
    CommitJob *c = downcast(job, CommitJob, job);
    BlockCopy copy = { .from = c->top, .to = c->base, .buf = c->buf, .skip = c->skip };

    return block_copy(&copy, pos, bytes, &job->reading);
}

static int commit_run(BlockJob *job)
{
    CommitJob *c = downcast(job, CommitJob, job);
    int ret = block_job_copy(job, &(BlockJobCopy) {
        .from = c->top, .base = c->base, .length = c->top->length, .copy = commit_piece,
    });

    return ret < 0 ? ret : block_run_flush(c->base);
}

/* The disk is quiet. */
static void unlink_middle(void *opaque)
{
    CommitJob *c = opaque;
    bool was_ro = c->overlay->is_ro;
    const char *name = c->backing_file ? c->backing_file : c->base->filename;
    BlockNode *above = c->base->parent;
    Error *err = NULL;

    c->job.ret = -EIO;
    if (block_reopen(c->overlay, false, &err)) {
        c->job.ret = block_driver(c->overlay)->change_backing(c->overlay, name,
                                                              c->base->obj.oc->name);
        if (was_ro) {
            block_reopen(c->overlay, true, NULL);
        }
    }
    error_free(err);
    if (c->job.ret == 0) {
        block_detach_child(c->overlay, BLOCK_BACKING);
        block_detach_child(above, BLOCK_BACKING);
        block_attach(c->overlay, BLOCK_BACKING, c->base, c->base->node_name[0] == '#');
        block_drop_node(c->top);
    }
}

static bool commit_finish(BlockJob *job, Error **errp)
{
    block_quiesce(&job->blk, 1, unlink_middle, job);
    if (job->ret < 0) {
        error_setg_errno(errp, -job->ret, "Could not change the backing file");
    }
    return job->ret == 0;
}

static void commit_end(BlockJob *job)
{
    CommitJob *c = downcast(job, CommitJob, job);

    reopen(job->blk, c->base, true, NULL);
    g_free(c->backing_file);
    g_free(c->buf);
}

static const BlockJobOps commit_ops = {
    .type = "commit", .is_block = true, .run = commit_run, .finish = commit_finish,
    .end = commit_end,
};

static bool start(BlockBackend *blk, BlockNode *top, BlockNode *base, const char *backing_file,
                  const BlockJobOptions *options, Error **errp)
{
    CommitJob *c;

    if (!top->parent || !block_driver(top->parent)->change_backing) {
        error_setg(errp, "Image above '%s' cannot get another backing file", top->node_name);
        return false;
    }
    c = downcast(block_job_new(&commit_ops, sizeof(*c), blk, options, errp), CommitJob, job);
    if (c && !block_make_writable(blk, base, top->length, errp)) {
        block_job_free(&c->job);
        c = NULL;
    }
    if (c) {
        c->overlay = top->parent;
        c->top = top;
        c->base = base;
        c->backing_file = g_strdup(backing_file);
        c->buf = g_malloc(JOB_CHUNK);
        c->skip = block_copy_may_skip(base);
        block_job_start(&c->job);
    }
    return c;
}

bool block_commit_start(const BlockCommitOptions *commit, const BlockJobOptions *options,
                        Error **errp)
{
    BlockBackend *blk = blk_get(commit->device, errp);
    BlockNode *top, *base;

    if (!blk) {
        return false;
    }
    top = commit->top_node ? block_find_node(commit->top_node) : blk->root;
    base = commit->base_node ? block_find_node(commit->base_node) : top;
    while (!commit->base_node && base && base->backing) {
        base = base->backing;
    }
    if (!top || (top != blk->root && !block_is_below(blk->root, top))) {
        error_setg(errp, "Node '%s' is not in the backing chain of '%s'", commit->top_node,
                   commit->device);
        return false;
    }
    if (!base || base == top || !block_is_below(top, base)) {
        error_setg(errp, "Node '%s' is not a backing image of '%s'",
                   commit->base_node ? commit->base_node : "", top->node_name);
        return false;
    }
    return top == blk->root ? block_active_commit_start(blk, base, options, errp) :
           start(blk, top, base, commit->backing_file, options, errp);
}
