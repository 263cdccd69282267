/*
 * A disk is copied while it is written: blockdev-mirror, and block-commit of the uppermost image.
 *
 * What the disk writes is marked when it has been written, and copied again. When nothing is
 * marked the job is ready; completed, the disk moves to the copy, with nothing in flight.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "blockdev.h"
#include "bitmap.h"
#include "filter.h"
#include "job-internal.h"
#include "mirror.h"
#include "qemu/cutils.h"

#define CHUNK_BITS 16
#define CHUNK (1ull << CHUNK_BITS)
#define IDLE 100000             /* us between looks at what the disk has written */

typedef struct MirrorJob {
    BlockJob job;
    BlockNode *source, *target;
    BlockNode *base;            /* above it, data is copied at first; NULL: all of the chain's */
    bool full;                  /* at first everything is copied */
    bool none;                  /* at first nothing is */
    bool to_backing;            /* target is below source */
    bool own;                   /* target is closed with the job, if it is not the disk then */
    bool existing;              /* target has backing files of its own */
    bool blocking;              /* what the disk writes is written to target, too */
    bool skip, keep_room;       /* as for BlockCopy */
    uint64_t length, chunks;
    BlockDirty *dirty;
    uint8_t *buf;

    GMutex lock;                /* ranges; a leaf */
    GCond cond;
    GQueue ranges;              /* of BlockRange: chunks that are written or copied now */
} MirrorJob;

/* Copying ---------------------------------------------------------------------------------- */

static void begin(MirrorJob *m, BlockRange *r, uint64_t first, uint64_t last)
{
    *r = (BlockRange) { .first = first, .last = last };
    g_mutex_lock(&m->lock);
    block_range_begin(&m->ranges, r, &m->lock, &m->cond);
    g_mutex_unlock(&m->lock);
}

static void end(MirrorJob *m, BlockRange *r)
{
    g_mutex_lock(&m->lock);
    block_range_end(&m->ranges, r, &m->cond);
    g_mutex_unlock(&m->lock);
}

/* Marked chunks from i on, at most JOB_CHUNK bytes; *bytes: how many. Marked again on failure. */
static int copy_marked(MirrorJob *m, uint64_t i, uint64_t *bytes)
{
    uint64_t n = 0, pos = i << CHUNK_BITS, len;
    BlockRange r;
    int ret = 0;

    begin(m, &r, i, i + JOB_CHUNK / CHUNK - 1);
    while (n < JOB_CHUNK / CHUNK && block_dirty_take(m->dirty, i + n)) {
        n++;
    }
    len = MIN(n << CHUNK_BITS, m->length - pos);
    if (len) {
        ret = block_copy(&(BlockCopy) {
            m->source, m->target, m->buf, m->skip, m->keep_room,
        }, pos, len, &m->job.reading);
    }
    if (ret < 0) {
        block_dirty_mark(m->dirty, pos, len);
    }
    end(m, &r);
    *bytes = len;
    return ret;
}

/* To both at once --------------------------------------------------------------------------- */

static bool mirror_wants(void *opaque, const BlockRequest *req)
{
    return req->bytes;
}

/* Where the copy fails, or may not be done, the chunk is one that is still to be copied. */
static int write_both(void *opaque, BlockNode *below, BlockRequest *req)
{
    MirrorJob *m = opaque;
    uint64_t pos = req->pos, bytes = req->bytes;
    bool unmap = m->target->discard && !m->keep_room;
    bool later = !unmap && req->node_op == BLOCK_OP_DISCARD;
    BlockRequest copy = *req;
    BlockRange r;
    int ret;

    if (!unmap) {
        copy.node_flags &= ~BLOCK_REQ_MAY_UNMAP;
    }
    begin(m, &r, pos >> CHUNK_BITS, (pos + bytes - 1) >> CHUNK_BITS);
    ret = block_run(below, req);
    if (ret < 0 || later || block_run(m->target, &copy) < 0) {
        block_dirty_mark(m->dirty, pos, bytes);
    }
    block_bitmaps_mark(m->target, pos, bytes);
    end(m, &r);
    return ret;
}

static const BlockFilterOps mirror_filter = { .wants = mirror_wants, .run = write_both };

/* What there is to copy before the disk writes anything. */
static int mark_first(MirrorJob *m)
{
    uint64_t n, marked = 0;
    int ret = 0;

    for (uint64_t pos = 0; pos < m->length && !m->none; pos += n) {
        n = MIN(JOB_CHUNK, m->length - pos);
        ret = m->full ? 1 : block_allocated_above(m->source, m->base, pos, n, &n);
        if (ret > 0) {
            block_dirty_mark(m->dirty, pos, n);
            marked += n;
        }
        ret = ret < 0 ? ret : block_job_pace(&m->job, 0);
        if (ret < 0) {
            return ret;
        }
    }
    block_job_set_length(&m->job, m->none ? 0 : m->full ? m->length : marked);
    return 0;
}

static int copy_all(MirrorJob *m)
{
    uint64_t bytes;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && (i = block_dirty_next(m->dirty, i, true)) < m->chunks;) {
        ret = copy_marked(m, i, &bytes);
        if (ret == 0) {
            if (m->job.ready) {
                block_job_add_length(&m->job, bytes);
            }
            ret = block_job_pace(&m->job, bytes);
        } else {
            ret = block_job_failed(&m->job, ret);
        }
    }
    return ret;
}

static int mirror_run(BlockJob *job)
{
    MirrorJob *m = downcast(job, MirrorJob, job);
    int ret = mark_first(m);

    while (ret == 0) {
        ret = copy_all(m);
        if (ret < 0 || block_dirty_next(m->dirty, 0, true) < m->chunks) {
            continue;
        }
        ret = block_run_flush(m->target);
        if (ret < 0) {
            job->reading = false;
            ret = block_job_failed(job, ret);
            continue;
        }
        block_job_set_ready(job);
        if (block_job_wait(job, IDLE)) {
            break;
        }
        ret = block_job_pace(job, 0);
    }
    return ret;
}

/* Ending ------------------------------------------------------------------------------------ */

/* What is below the copy in a file: what its image names, or what is below the disk. */
static int take_chain(MirrorJob *m)
{
    BlockNode *below = m->source->backing;
    bool own = m->source->own[BLOCK_BACKING];

    if (m->own && m->existing) {
        m->target->no_backing = false;
        return block_open_chain(m->target, NULL) ? 0 : -EIO;
    }
    if (m->own && below && !m->full) {
        block_detach_child(m->source, BLOCK_BACKING);
        block_attach(m->target, BLOCK_BACKING, below, own);
    }
    return 0;
}

/* The disk is quiet: what it has written meanwhile, and then it may move. */
static void pivot(void *opaque)
{
    MirrorJob *m = opaque;
    BlockNode *bs = m->target;
    uint64_t bytes, i = 0;
    int ret = 0;

    while (ret == 0 && (i = block_dirty_next(m->dirty, i, true)) < m->chunks) {
        ret = copy_marked(m, i, &bytes);
    }
    ret = ret < 0 ? ret : block_run_flush(bs);
    if (ret == 0 && !m->job.stays) {
        ret = take_chain(m);
    }
    m->job.ret = ret;
    if (ret < 0 || m->job.stays) {
        return;
    }
    if (bs->node_name[0] == '#') {
        bs->discard = m->source->discard;
        bs->detect_zeroes = m->source->detect_zeroes;
    }
    if (m->to_backing) {
        block_detach_child(bs->parent, BLOCK_BACKING);
    }
    block_filter_remove(m->job.blk);
    m->own = false;
    block_replace_root(m->job.blk, bs);
    m->job.blk->dirty = NULL;
    bs->busy = false;
    block_drop_node(m->source);
}

static bool mirror_finish(BlockJob *job, Error **errp)
{
    block_quiesce(&job->blk, 1, pivot, job);
    if (job->ret < 0) {
        error_setg_errno(errp, -job->ret, "Could not copy");
    }
    return job->ret == 0;
}

/* The disk is quiet; if it has not moved, the target is as it was. */
static void stop_marking(void *opaque)
{
    MirrorJob *m = opaque;

    m->job.blk->dirty = NULL;
    block_filter_remove(m->job.blk);
    if (m->to_backing && m->target->parent) {
        block_reopen(m->target, true, NULL);
        block_set_perm(m->target, BLOCK_PERM_READ, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, NULL);
    }
}

static void mirror_end(BlockJob *job)
{
    MirrorJob *m = downcast(job, MirrorJob, job);

    block_quiesce(&job->blk, 1, stop_marking, m);
    m->target->busy = false;
    if (m->own) {
        block_node_close(m->target);
    }
    block_dirty_free(m->dirty);
    g_free(m->buf);
    g_mutex_clear(&m->lock);
    g_cond_clear(&m->cond);
}

/* Starting ------------------------------------------------------------------------------------ */

static void start_marking(void *opaque)
{
    MirrorJob *m = opaque;

    if (m->blocking) {
        block_filter_insert(m->job.blk, &mirror_filter, m);
    } else {
        m->job.blk->dirty = m->dirty;
    }
}

static const BlockJobOps mirror_ops = {
    .type = "mirror", .is_block = true, .run = mirror_run, .finish = mirror_finish,
    .end = mirror_end,
};

static const BlockJobOps commit_ops = {
    .type = "commit", .is_block = true, .run = mirror_run, .finish = mirror_finish,
    .end = mirror_end,
};

static bool start(MirrorJob *m, BlockNode *target, Error **errp)
{
    m->source = m->job.blk->root;
    m->target = target;
    m->length = m->source->length;
    m->dirty = block_dirty_new(m->length, CHUNK_BITS);
    if (!m->dirty) {
        error_setg(errp, "Not enough memory for the job");
        block_job_free(&m->job);
        return false;
    }
    m->chunks = block_dirty_chunks(m->dirty);
    m->buf = g_malloc(JOB_CHUNK);
    m->skip = (m->full || m->to_backing) && block_copy_may_skip(target);
    g_mutex_init(&m->lock);
    g_cond_init(&m->cond);
    target->busy = true;
    block_quiesce(&m->job.blk, 1, start_marking, m);
    block_job_start(&m->job);
    return true;
}

bool block_active_commit_start(BlockBackend *blk, BlockNode *base,
                               const BlockJobOptions *options, Error **errp)
{
    MirrorJob *m = downcast(block_job_new(&commit_ops, sizeof(*m), blk, options, errp), MirrorJob,
                            job);

    if (m && !block_make_writable(blk, base, blk->root->length, errp)) {
        block_job_free(&m->job);
        m = NULL;
    }
    if (m) {
        m->base = base;
        m->to_backing = true;
    }
    return m && start(m, base, errp);
}

bool block_check_target(const BlockBackend *blk, const BlockNode *target, Error **errp)
{
    if (blk->root->busy) {
        error_setg(errp, "Node '%s' is busy: it is in use already", blk->root->node_name);
    } else if (target->parent || target->blk || target->twins || target->busy) {
        error_setg(errp, "Node '%s' is busy: it is in use already", target->node_name);
    } else if (target->is_ro) {
        error_setg(errp, "Block node is read-only");
    } else if (target->length < blk->root->length) {
        error_setg(errp, "Target '%s' is smaller than the disk", target->node_name);
    } else {
        return true;
    }
    return false;
}

/* A file that is made has what the disk has below where only what is above is copied. */
static BlockNode *find_target(const BlockMirrorOptions *o, const BlockBackend *blk, Error **errp)
{
    return !o->file ? block_get_node(o->target, errp) : block_image_for(&(BlockImageFor) {
        .disk = blk->root, .file = o->file, .format = o->format, .node_name = o->node_name,
        .existing = o->existing,
        .backing = !strcmp(o->sync, "top") ? blk->root->backing : NULL,
    }, errp);
}

bool block_mirror_start(const BlockMirrorOptions *o, const BlockJobOptions *options,
                        Error **errp)
{
    BlockBackend *blk = blk_get(o->device, errp);
    BlockNode *target;
    MirrorJob *m = NULL;

    if (!blk) {
        return false;
    }
    target = find_target(o, blk, errp);
    if (!target) {
        return false;
    }
    if (block_check_target(blk, target, errp)) {
        m = downcast(block_job_new(&mirror_ops, sizeof(*m), blk, options, errp), MirrorJob, job);
    }
    if (m) {
        m->full = !strcmp(o->sync, "full");
        m->none = !strcmp(o->sync, "none");
        m->blocking = o->write_blocking;
        m->keep_room = o->keep_room;
        m->own = o->file;
        m->existing = o->existing;
        m->base = blk->root->backing;
    }
    if (m && start(m, target, errp)) {
        return true;
    }
    if (o->file) {
        block_node_close(target);
    }
    return false;
}
