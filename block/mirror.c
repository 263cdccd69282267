/*
 * A disk is copied while it is written: blockdev-mirror, and block-commit of the uppermost image.
 *
 * What the disk writes is marked when it has been written, and copied again. When nothing is
 * marked the job is ready; completed, the disk moves to the copy, with nothing in flight.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "dirty.h"
#include "job-internal.h"
#include "mirror.h"
#include "qemu/cutils.h"

#define CHUNK_BITS 16
#define CHUNK (1ull << CHUNK_BITS)
#define IDLE 100000             /* us between looks at what the disk has written */

struct BlockDirty {
    uint64_t chunks;
    _Atomic uint64_t bits[];
};

typedef struct MirrorJob {
    BlockJob job;
    BlockNode *source, *target;
    BlockNode *base;            /* above it, data is copied at first; NULL: all of the chain's */
    bool full;                  /* at first everything is copied */
    bool none;                  /* at first nothing is */
    bool to_backing;            /* target is below source */
    uint64_t length;
    BlockDirty *dirty;
    uint8_t *buf;
} MirrorJob;

/* Marks ------------------------------------------------------------------------------------ */

void block_dirty_mark(BlockDirty *d, uint64_t offset, uint64_t bytes)
{
    uint64_t last = bytes ? (offset + bytes - 1) >> CHUNK_BITS : 0;

    for (uint64_t i = offset >> CHUNK_BITS; bytes && i <= last && i < d->chunks; i++) {
        atomic_fetch_or(&d->bits[i / 64], 1ull << (i % 64));
    }
}

static bool take(BlockDirty *d, uint64_t i)
{
    uint64_t bit = 1ull << (i % 64);

    return i < d->chunks && (atomic_load(&d->bits[i / 64]) & bit) &&
           (atomic_fetch_and(&d->bits[i / 64], ~bit) & bit);
}

/* The first marked chunk from i on; chunks: none. */
static uint64_t next_marked(BlockDirty *d, uint64_t i)
{
    while (i < d->chunks) {
        uint64_t word = atomic_load(&d->bits[i / 64]) >> (i % 64);

        if (word) {
            return i + __builtin_ctzll(word);
        }
        i = QEMU_ALIGN_DOWN(i, 64) + 64;
    }
    return d->chunks;
}

/* Copying ---------------------------------------------------------------------------------- */

/* Marked chunks from i on, at most JOB_CHUNK bytes; *bytes: how many. Marked again on failure. */
static int copy_marked(MirrorJob *m, uint64_t i, uint64_t *bytes)
{
    uint64_t n = 0, pos = i << CHUNK_BITS, len;
    int ret;

    while (n < JOB_CHUNK / CHUNK && take(m->dirty, i + n)) {
        n++;
    }
    len = MIN(n << CHUNK_BITS, m->length - pos);
    ret = block_pread(m->source, pos, m->buf, len);
    m->job.reading = ret < 0;
    if (ret == 0) {
        ret = block_pwrite(m->target, pos, m->buf, len);
    }
    if (ret < 0) {
        block_dirty_mark(m->dirty, pos, len);
    }
    *bytes = len;
    return ret;
}

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

    for (uint64_t i = 0; ret == 0 && (i = next_marked(m->dirty, i)) < m->dirty->chunks;) {
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
    MirrorJob *m = (MirrorJob *)job;
    int ret = mark_first(m);

    while (ret == 0) {
        ret = copy_all(m);
        if (ret < 0 || next_marked(m->dirty, 0) < m->dirty->chunks) {
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

/* The disk is quiet: what it has written meanwhile, and then it may move. */
static void pivot(void *opaque)
{
    MirrorJob *m = opaque;
    BlockNode *bs = m->target;
    uint64_t bytes, i = 0;
    int ret = 0;

    while (ret == 0 && (i = next_marked(m->dirty, i)) < m->dirty->chunks) {
        ret = copy_marked(m, i, &bytes);
    }
    ret = ret < 0 ? ret : block_run_flush(bs);
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
    if (m->to_backing && m->target->parent) {
        block_reopen(m->target, true, NULL);
        block_set_perm(m->target, BLOCK_PERM_READ, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, NULL);
    }
}

static void mirror_end(BlockJob *job)
{
    MirrorJob *m = (MirrorJob *)job;

    block_quiesce(&job->blk, 1, stop_marking, m);
    m->target->busy = false;
    g_free(m->dirty);
    g_free(m->buf);
}

/* Starting ------------------------------------------------------------------------------------ */

static void start_marking(void *opaque)
{
    MirrorJob *m = opaque;

    m->job.blk->dirty = m->dirty;
}

static const BlockJobOps mirror_ops = {
    .type = "mirror", .is_block = true, .run = mirror_run, .finish = mirror_finish,
    .end = mirror_end,
};

static const BlockJobOps commit_ops = {
    .type = "commit", .is_block = true, .run = mirror_run, .finish = mirror_finish,
    .end = mirror_end,
};

static void start(MirrorJob *m, BlockNode *target)
{
    uint64_t chunks;

    m->source = m->job.blk->root;
    m->target = target;
    m->length = m->source->length;
    chunks = DIV_ROUND_UP(m->length, CHUNK);
    m->dirty = g_malloc0(sizeof(BlockDirty) + DIV_ROUND_UP(chunks, 64) * 8);
    m->dirty->chunks = chunks;
    m->buf = g_malloc(JOB_CHUNK);
    target->busy = true;
    block_quiesce(&m->job.blk, 1, start_marking, m);
    block_job_start(&m->job);
}

bool block_active_commit_start(BlockBackend *blk, BlockNode *base,
                               const BlockJobOptions *options, Error **errp)
{
    MirrorJob *m = (MirrorJob *)block_job_new(&commit_ops, sizeof(*m), blk, options, errp);

    if (m && !block_make_writable(blk, base, blk->root->length, errp)) {
        block_job_free(&m->job);
        m = NULL;
    }
    if (m) {
        m->base = base;
        m->to_backing = true;
        start(m, base);
    }
    return m;
}

static bool check_target(const BlockBackend *blk, const BlockNode *target, Error **errp)
{
    if (!target) {
        error_setg(errp, "Cannot find device='' nor node-name of the target");
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

bool block_mirror_start(const char *device, const char *target_name, const char *sync,
                        const BlockJobOptions *options, Error **errp)
{
    BlockBackend *blk = blk_find(device);
    BlockNode *target = block_find_node(target_name);
    MirrorJob *m;

    if (!blk) {
        error_setg(errp, "Cannot find device='%s' nor node-name='%s'", device, device);
        return false;
    }
    if (!check_target(blk, target, errp)) {
        return false;
    }
    m = (MirrorJob *)block_job_new(&mirror_ops, sizeof(*m), blk, options, errp);
    if (m) {
        m->full = !strcmp(sync, "full");
        m->none = !strcmp(sync, "none");
        m->base = blk->root->backing;
        start(m, target);
    }
    return m;
}
