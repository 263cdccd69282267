/*
 * blockdev-backup: a disk as it was at one moment, while it goes on being written.
 *
 * What is about to be overwritten is copied first (a filter in front of the disk's image), all
 * else by the job, in any order. A chunk is copied once: who finds it marked has it alone while
 * it copies.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "bitmap.h"
#include "filter.h"
#include "job-internal.h"
#include "qemu/cutils.h"
#include "transaction.h"

#define MIN_CHUNK_BITS 16
#define IDLE 100000             /* us between looks at whether there is more to do */

typedef struct BackupJob {
    BlockJob job;
    BlockNode *source, *target;
    bool own;                   /* target is closed with the job */
    bool top, none;             /* sync= */
    bool skip;                  /* as for BlockCopy */
    uint64_t length;
    unsigned bits;              /* of a chunk, at least as large as the target's clusters */

    GMutex lock;                /* ranges; a leaf */
    GCond cond;
    GQueue ranges;              /* of BlockRange: chunks that are being copied */
    BlockDirty *left;           /* to be copied */
    BlockBitmap *bitmap;        /* that says what; NULL: none */
    BlockDirty *saved;          /* what it had; NULL: it has that still */
    bool always;                /* what was copied is not in it any more, even on failure */
    int broken;                 /* atomic: a write could not wait for its copy: errno */
} BackupJob;

/* Copying -------------------------------------------------------------------------------- */

static int copy_bytes(BackupJob *b, uint64_t pos, uint64_t bytes, bool *reading)
{
    g_autofree uint8_t *buf = g_malloc(MIN(bytes, JOB_CHUNK));
    BlockCopy copy = { b->source, b->target, buf, .skip = b->skip };
    int ret = 0;

    while (ret == 0 && bytes) {
        uint64_t n = MIN(bytes, JOB_CHUNK);

        ret = block_copy(&copy, pos, n, reading);
        pos += n;
        bytes -= n;
    }
    return ret;
}

/*
 * Chunks from first on that are left, as far as last, and at most as many as are copied at once;
 * *n: how many chunks that was about, at least one; *reading: whether it was reading that failed.
 */
static int copy_chunks(BackupJob *b, uint64_t first, uint64_t last, uint64_t *n, bool *reading)
{
    BlockRange r = { .first = first, .last = first };
    uint64_t max = MAX(1, JOB_CHUNK >> b->bits), pos = first << b->bits, bytes = 0;
    int ret = 0;

    r.last = MIN(last, first + max - 1);
    g_mutex_lock(&b->lock);
    block_range_begin(&b->ranges, &r, &b->lock, &b->cond);
    g_mutex_unlock(&b->lock);
    for (*n = 0; first + *n <= r.last && block_dirty_test(b->left, first + *n); (*n)++) {
    }
    if (*n) {
        bytes = MIN(*n << b->bits, b->length - pos);
        ret = copy_bytes(b, pos, bytes, reading);
        for (uint64_t i = 0; ret == 0 && i < *n; i++) {
            block_dirty_unmark(b->left, first + i);
        }
    } else {
        *n = 1;
    }
    g_mutex_lock(&b->lock);
    block_range_end(&b->ranges, &r, &b->cond);
    g_mutex_unlock(&b->lock);
    if (ret == 0) {
        block_job_progress(&b->job, bytes);
    }
    return ret;
}

/* Before a write ---------------------------------------------------------------------------- */

static uint64_t last_chunk(const BackupJob *b, const BlockRequest *req)
{
    return (req->pos + req->bytes - 1) >> b->bits;
}

static int is_broken(BackupJob *b)
{
    return __atomic_load_n(&b->broken, __ATOMIC_ACQUIRE);
}

static bool backup_wants(void *opaque, const BlockRequest *req)
{
    BackupJob *b = opaque;

    return req->bytes && !is_broken(b) &&
           block_dirty_next(b->left, req->pos >> b->bits, true) <= last_chunk(b, req);
}

/* The guest goes on whatever becomes of the copy; the job does not. */
static int backup_before(void *opaque, BlockNode *below, BlockRequest *req)
{
    BackupJob *b = opaque;
    uint64_t last = last_chunk(b, req), n;
    bool reading;
    int ret = 0;

    for (uint64_t i = req->pos >> b->bits; ret == 0 && i <= last && !is_broken(b); i += n) {
        ret = copy_chunks(b, i, last, &n, &reading);
    }
    if (ret < 0) {
        __atomic_store_n(&b->broken, -ret, __ATOMIC_RELEASE);
    }
    return block_run(below, req);
}

static const BlockFilterOps backup_filter = { .wants = backup_wants, .run = backup_before };

/* On its thread ------------------------------------------------------------------------------ */

/* What only the images below have need not be copied. */
static int unmark_below(BackupJob *b)
{
    uint64_t chunks = block_dirty_chunks(b->left), n;
    int ret = 0;

    for (uint64_t i = 0; ret >= 0 && i < chunks; i++) {
        uint64_t pos = i << b->bits, end = MIN(b->length, (i + 1) << b->bits);

        for (ret = 0; ret == 0 && pos < end; pos += n) {
            ret = block_allocated_above(b->source, b->source->backing, pos, end - pos, &n);
        }
        if (ret == 0) {
            block_dirty_unmark(b->left, i);
        }
        if (ret >= 0) {
            ret = block_job_pace(&b->job, 0);
        }
    }
    return ret;
}

static int copy_left(BackupJob *b)
{
    uint64_t chunks = block_dirty_chunks(b->left), n;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && (i = block_dirty_next(b->left, i, true)) < chunks; i += n) {
        ret = -is_broken(b);
        if (ret == 0) {
            ret = copy_chunks(b, i, chunks - 1, &n, &b->job.reading);
        }
        if (ret == 0) {
            ret = block_job_wait_turn(&b->job, MIN(n << b->bits, b->length - (i << b->bits)));
        } else if (!is_broken(b)) {
            n = 0;
            ret = block_job_failed(&b->job, ret);
        }
    }
    return ret;
}

static int backup_run(BlockJob *job)
{
    BackupJob *b = downcast(job, BackupJob, job);
    int ret = 0;

    block_job_set_length(job, b->bitmap ? block_dirty_count(b->left) : b->length);
    if (b->top) {
        ret = unmark_below(b);
        block_job_set_length(job, block_dirty_count(b->left) + job->offset);
    }
    while (ret == 0 && b->none) {
        block_job_wait(job, IDLE);
        ret = is_broken(b) ? -is_broken(b) : block_job_pace(job, 0);
    }
    if (ret == 0) {
        ret = copy_left(b);
    }
    if (ret == 0) {
        ret = is_broken(b) ? -is_broken(b) : block_run_flush(b->target);
    }
    return ret;
}

static void let_writes_go(void *opaque)
{
    block_filter_remove(((BackupJob *)opaque)->job.blk);
}

static void release(BackupJob *b)
{
    b->target->busy = false;
    if (b->own) {
        block_node_close(b->target);
    }
    block_dirty_free(b->left);
    g_mutex_clear(&b->lock);
    g_cond_clear(&b->cond);
}

/* What was not copied is still to be copied, by the next one. */
static void give_bitmap_back(BackupJob *b, bool ok)
{
    if (b->saved && !ok) {
        block_dirty_merge(b->bitmap->bits, b->always ? b->left : b->saved);
    }
    block_dirty_free(b->saved);
    if (b->bitmap) {
        b->bitmap->busy = false;
    }
}

static void backup_end(BlockJob *job)
{
    block_quiesce(&job->blk, 1, let_writes_go, job);
    give_bitmap_back(downcast(job, BackupJob, job), job->ret == 0 && !job->cancelled);
    release(downcast(job, BackupJob, job));
}

static const BlockJobOps backup_ops = {
    .type = "backup", .is_block = true, .run = backup_run, .end = backup_end,
};

/* Starting: an action of a transaction -------------------------------------------------------- */

typedef struct BackupAction {
    BlockAction action;
    BlockBackupOptions o;
    BlockJobOptions options;
    BlockNode *target;
    BackupJob *job;
} BackupAction;

/* A part of a cluster that is copied would take the rest from below, which may have changed. */
static unsigned chunk_bits(const BlockNode *target)
{
    unsigned bits = MIN_CHUNK_BITS;
    BlockImageInfo info;

    block_image_info(target, &info);
    while (1u << bits < info.cluster_size) {
        bits++;
    }
    return bits;
}

/* The disk is quiet: what the bitmap has now is what is to be copied. */
static bool take_bitmap(BackupJob *b, const BlockBackupOptions *o, Error **errp)
{
    bool incremental = !strcmp(o->sync, "incremental");
    const char *mode = o->bitmap_mode ? o->bitmap_mode : incremental ? "on-success" : "";
    bool never = !strcmp(mode, "never");
    BlockDirty *fresh = NULL;
    BlockBitmap *bitmap;

    if (!o->bitmap || !*mode) {
        error_setg(errp, "must provide a valid bitmap name%s for sync mode '%s'",
                   *mode ? "" : " and a bitmap mode", o->sync);
        return false;
    }
    if (incremental && strcmp(mode, "on-success")) {
        error_setg(errp, "Bitmap sync mode must be 'on-success' when using sync mode '%s'",
                   o->sync);
        return false;
    }
    bitmap = block_bitmap_find(b->source, o->bitmap, errp);
    if (!bitmap || !block_bitmap_check(b->source, bitmap, !never, errp)) {
        return false;
    }
    block_dirty_merge(b->left, bitmap->bits);
    if (!never) {
        fresh = block_dirty_new(b->length, bitmap->chunk_bits);
        if (!fresh) {
            error_setg(errp, "Not enough memory for the job");
            return false;
        }
        b->saved = block_bitmap_swap(bitmap, fresh);
    }
    b->always = !strcmp(mode, "always");
    b->bitmap = bitmap;
    bitmap->busy = true;
    return true;
}

static bool take_sync(BackupJob *b, const BlockBackupOptions *o, Error **errp)
{
    if (!strcmp(o->sync, "incremental") || !strcmp(o->sync, "bitmap")) {
        return take_bitmap(b, o, errp);
    }
    if (o->bitmap) {
        error_setg(errp, "Cannot specify bitmap sync mode for sync mode '%s'", o->sync);
        return false;
    }
    b->top = !strcmp(o->sync, "top");
    b->none = !strcmp(o->sync, "none");
    block_dirty_mark(b->left, 0, b->length);
    return true;
}

static bool find_target(BackupAction *ba, BlockBackend *blk, Error **errp)
{
    /* What is below the copy is what the guest sees changing, or what the disk has below. */
    BlockImageFor image = {
        .disk = blk->root, .file = ba->o.file, .format = ba->o.format,
        .existing = ba->o.existing,
        .backing = !strcmp(ba->o.sync, "none") ? blk->root :
                   !strcmp(ba->o.sync, "top") ? blk->root->backing : NULL,
    };

    ba->target = ba->o.file ? block_image_for(&image, errp) : block_get_node(ba->o.target, errp);
    return ba->target;
}

static bool backup_prepare(BlockAction *a, Error **errp)
{
    BackupAction *ba = downcast(a, BackupAction, action);
    BlockBackend *blk = blk_get(ba->o.device, errp);
    BackupJob *b;

    if (!blk) {
        return false;
    }
    if (!find_target(ba, blk, errp) || !block_check_target(blk, ba->target, errp)) {
        return false;
    }
    b = downcast(block_job_new(&backup_ops, sizeof(*b), blk, &ba->options, errp), BackupJob, job);
    if (!b) {
        return false;
    }
    g_mutex_init(&b->lock);
    g_cond_init(&b->cond);
    b->source = blk->root;
    b->target = ba->target;
    b->length = b->source->length;
    b->bits = chunk_bits(b->target);
    b->left = block_dirty_new(b->length, b->bits);
    b->target->busy = true;
    ba->job = b;
    if (!b->left) {
        error_setg(errp, "Not enough memory for the job");
        return false;
    }
    if (!take_sync(b, &ba->o, errp)) {
        return false;
    }
    b->skip = !strcmp(ba->o.sync, "full") && block_copy_may_skip(b->target);
    block_filter_insert(blk, &backup_filter, b);
    return true;
}

static void backup_abort(BlockAction *a)
{
    BackupAction *ba = downcast(a, BackupAction, action);
    BackupJob *b = ba->job;

    if (b) {
        block_filter_remove(b->job.blk);
        give_bitmap_back(b, false);
        release(b);
        block_job_free(&b->job);
    }
    if (ba->o.file) {
        block_node_close(ba->target);
    }
}

static void backup_commit(BlockAction *a)
{
    BackupAction *ba = downcast(a, BackupAction, action);

    ba->job->own = ba->o.file;
    block_job_start(&ba->job->job);
}

static BlockJob *backup_job(BlockAction *a)
{
    return &downcast(a, BackupAction, action)->job->job;
}

static const BlockActionOps backup_action = {
    .prepare = backup_prepare, .commit = backup_commit, .abort = backup_abort, .job = backup_job,
};

BlockAction *block_action_backup(const BlockBackupOptions *backup, const BlockJobOptions *options)
{
    BackupAction *ba = g_new0(BackupAction, 1);

    ba->action.ops = &backup_action;
    ba->o = *backup;
    ba->options = *options;
    return &ba->action;
}
