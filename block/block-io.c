/*
 * The way of a request: from the device down the nodes to an engine, and back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "bitmap.h"
#include "job-internal.h"
#include "qemu/cutils.h"
#include "throttle-internal.h"

static bool request_is_zero(const BlockRequest *req)
{
    for (unsigned i = 0; i < req->niov; i++) {
        if (!buffer_is_zero(req->iov[i].iov_base, req->iov[i].iov_len)) {
            return false;
        }
    }
    return true;
}

static bool is_write(BlockOp op)
{
    return op == BLOCK_OP_WRITE || op == BLOCK_OP_WRITE_ZEROES ||
           op == BLOCK_OP_DISCARD;
}

/* What no node below wants to see. */
static int check_request(const BlockBackend *blk, const BlockRequest *req)
{
    uint64_t length = blk_getlength(blk);

    if (is_write(req->op) && blk->root->is_ro) {
        return -EPERM;
    }
    if (req->offset > length || req->bytes > length - req->offset) {
        return -EIO;
    }
    return 0;
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* What is submitted, or ends, together has one time. */
static int64_t batch_time(BlockBackend *blk)
{
    if (!blk->now) {
        blk->now = now_ns();
    }
    return blk->now;
}

static void request_end(BlockBackend *blk, BlockRequest *req, int ret)
{
    blk->in_flight--;
    blk->batch_pending = true;
    req->cb(req, ret);
}

/* Only the backend's loop counts; others read. */
static void add(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

/* What the backend's options make of the caller's wish. */
static void set_node_op(const BlockBackend *blk, BlockRequest *req)
{
    const BlockNode *root = blk->root;

    req->node_op = req->op;
    req->node_flags = req->flags;
    if (req->op == BLOCK_OP_WRITE && root->detect_zeroes && request_is_zero(req)) {
        req->node_op = BLOCK_OP_WRITE_ZEROES;
        if (root->detect_zeroes == DETECT_ZEROES_UNMAP) {
            req->node_flags |= BLOCK_REQ_MAY_UNMAP;
        }
    }
    if (!root->discard) {
        req->node_flags &= ~BLOCK_REQ_MAY_UNMAP;
    }
    if (is_write(req->op) && !blk_get_write_cache(blk)) {
        req->node_flags |= BLOCK_REQ_FUA;
    }
}

void blk_submit(BlockBackend *blk, BlockRequest *req)
{
    int ret;

    req->blk = blk;
    req->watcher = NULL;
    req->pos = req->offset;
    req->done = 0;
    req->next = NULL;
    blk->in_flight++;
    ret = check_request(blk, req);
    if (ret < 0) {
        add(&blk->stats.invalid[req->op], 1);
        request_end(blk, req, ret);
        return;
    }
    req->start = batch_time(blk);
    set_node_op(blk, req);
    if (req->op == BLOCK_OP_DISCARD && !blk->root->discard) {
        block_request_done(req, 0);
        return;
    }
    if (blk->throttle) {
        throttle_submit(blk->throttle, req);
    } else {
        block_submit(blk_top(blk), req);
    }
}

void block_submit(BlockNode *bs, BlockRequest *req)
{
    req->node = bs;
    if (block_driver(bs)->submit) {
        block_driver(bs)->submit(bs, req);
    } else {
        BlockEngine *pool = block_pool(bs);
        pool->ops->submit(pool, req);
    }
}

int block_run(BlockNode *bs, BlockRequest *req)
{
    req->node = bs;
    return block_driver(bs)->run(bs, req);
}

int block_pread(BlockNode *bs, uint64_t pos, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .pos = pos, .bytes = len,
                         .iov = &iov, .niov = 1 };

    return block_run(bs, &req);
}

int block_run_flush(BlockNode *bs)
{
    BlockRequest flush = { .node_op = BLOCK_OP_FLUSH };

    return block_run(bs, &flush);
}

BlockEngine *block_pool(BlockNode *bs)
{
    if (!bs->pool) {
        bs->pool = block_threads_new(bs);
    }
    return bs->pool;
}

static void count(BlockBackend *blk, const BlockRequest *req, int ret)
{
    BlockStats *s = &blk->stats;
    int64_t now = batch_time(blk);

    add(&s->time_ns[req->node_op], now - req->start);
    __atomic_store_n(&s->last_end, now, __ATOMIC_RELAXED);
    if (ret < 0) {
        add(&s->failed[req->node_op], 1);
        return;
    }
    add(&s->ops[req->node_op], 1);
    add(&s->bytes[req->node_op], req->bytes);
    if ((req->node_op == BLOCK_OP_WRITE || req->node_op == BLOCK_OP_WRITE_ZEROES) &&
        req->offset + req->bytes > s->wr_highest_offset) {
        __atomic_store_n(&s->wr_highest_offset, req->offset + req->bytes, __ATOMIC_RELAXED);
    }
}

void block_request_done(BlockRequest *req, int ret)
{
    BlockBackend *blk = req->blk;

    if (req->watcher) {
        block_driver(req->watcher)->ended(req->watcher, req);
    }
    if (is_write(req->op)) {
        if (blk->dirty) {
            block_dirty_mark(blk->dirty, req->offset, req->bytes);
        }
        block_bitmaps_mark(blk->root, req->offset, req->bytes);
    }
    count(blk, req, ret);
    request_end(blk, req, ret);
}

void block_batch_end(BlockBackend *blk)
{
    blk->now = 0;
    if (blk->batch_pending) {
        blk->batch_pending = false;
        if (blk->ops && blk->ops->batch_end) {
            blk->ops->batch_end(blk->opaque);
        }
    }
}

static void kick_engines(BlockNode *bs)
{
    if (bs->engine && bs->engine->ops->kick) {
        bs->engine->ops->kick(bs->engine);
    }
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i]) {
            kick_engines(bs->child[i]);
        }
    }
}

void blk_kick(BlockBackend *blk)
{
    blk->now = 0;
    kick_engines(blk_top(blk));
    block_batch_end(blk);
}

/* Deliver what one engine has; true if it has anything in flight. */
static bool poll_engine(BlockEngine *e)
{
    if (!e || !e->in_flight) {
        return false;
    }
    e->ops->poll(e, true);
    return true;
}

static bool poll_engines(BlockNode *bs)
{
    bool any = poll_engine(bs->engine);

    any |= poll_engine(bs->pool);
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        any |= bs->child[i] && poll_engines(bs->child[i]);
    }
    return any;
}

/* What waits for its turn goes now. */
static void release(BlockBackend *blk)
{
    if (blk->throttle) {
        throttle_release(blk->throttle);
    }
    if (block_driver(blk->root)->drain) {
        block_driver(blk->root)->drain(blk->root);
    }
    kick_engines(blk_top(blk));
}

void blk_drain(BlockBackend *blk)
{
    release(blk);
    while (blk->in_flight) {
        bool any = poll_engines(blk_top(blk));

        g_assert(any || !blk->in_flight);
        release(blk);
    }
    block_batch_end(blk);
}

void block_flush_failed(BlockNode *bs, int err)
{
    /*
     * With O_DIRECT there are no pages. Where space is allotted late (NFS, thin volumes),
     * they are lost for the lack of it, too: more space does not bring them back, and the
     * first error is the last that may stop the machine for it.
     */
    if (!bs->direct && (err == EIO || err == ENOSPC || err == EDQUOT)) {
        __atomic_store_n(&bs->flush_error, EIO, __ATOMIC_SEQ_CST);
    }
}

int block_flush_result(const BlockNode *bs)
{
    return -__atomic_load_n(&bs->flush_error, __ATOMIC_SEQ_CST);
}
