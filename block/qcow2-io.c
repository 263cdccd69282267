/*
 * Requests to a qcow2 image: what goes straight to the file, and what takes a worker.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-alloc.h"
#include "qemu/iov.h"

unsigned qcow2_iov_part(const BlockRequest *req, uint64_t offset, uint64_t bytes,
                        struct iovec *out)
{
    return iov_slice(out, req->niov, req->iov, req->niov, offset, bytes);
}

int qcow2_run_part(BlockNode *node, const BlockRequest *req, uint64_t pos, uint64_t done,
                   uint64_t bytes)
{
    g_autofree struct iovec *iov = g_new(struct iovec, req->niov);
    BlockRequest part = { .node_op = req->node_op, .pos = pos, .bytes = bytes, .iov = iov };

    part.niov = qcow2_iov_part(req, done, bytes, iov);
    return block_run(node, &part);
}

/* Reading ---------------------------------------------------------------------- */

/* How many of bytes at pos the backing file has; the rest is zeroes. */
static uint64_t backing_bytes(const Qcow2Node *s, uint64_t pos, uint64_t bytes)
{
    uint64_t length = s->bs.backing ? s->bs.backing->length : 0;

    return pos < length ? MIN(bytes, length - pos) : 0;
}

static int read_backing(Qcow2Node *s, BlockRequest *req, uint64_t done, uint64_t bytes)
{
    uint64_t pos = req->pos + done;
    uint64_t there = backing_bytes(s, pos, bytes);

    iov_memset(req->iov, req->niov, done + there, 0, bytes - there);
    return there ? qcow2_run_part(s->bs.backing, req, pos, done, there) : 0;
}

static int read_deflated(Qcow2Node *s, BlockRequest *req, uint64_t done, const Qcow2Extent *ext)
{
    g_autofree uint8_t *buf = g_malloc(s->cluster_size);
    uint64_t pos = req->pos + done;
    int ret = qcow2_read_compressed(s, ext->entry, buf);

    if (ret == 0) {
        iov_from_buf(req->iov, req->niov, done, buf + qcow2_offset_in_cluster(s, pos),
                     ext->bytes);
    }
    return ret;
}

static int read_extent(Qcow2Node *s, BlockRequest *req, uint64_t done, const Qcow2Extent *ext)
{
    switch (ext->kind) {
    case QCOW2_DATA:
        return qcow2_run_part(s->data, req, ext->host, done, ext->bytes);
    case QCOW2_DEFLATED:
        return read_deflated(s, req, done, ext);
    case QCOW2_UNALLOCATED:
        return read_backing(s, req, done, ext->bytes);
    default:
        iov_memset(req->iov, req->niov, done, 0, ext->bytes);
        return 0;
    }
}

/* What was read below may have been written there by then, being copied here before. */
static bool is_here_now(Qcow2Node *s, uint64_t pos, const Qcow2Extent *ext)
{
    Qcow2Extent now;
    int ret;

    g_mutex_lock(&s->lock);
    ret = qcow2_lookup_wait(s, pos, ext->bytes, &now);
    g_mutex_unlock(&s->lock);
    return ret < 0 || now.kind != QCOW2_UNALLOCATED || now.bytes < ext->bytes;
}

int qcow2_read(Qcow2Node *s, BlockRequest *req)
{
    Qcow2Extent ext;
    int ret = 0;

    for (uint64_t done = 0; ret == 0 && done < req->bytes; done += ext.bytes) {
        do {
            g_mutex_lock(&s->lock);
            ret = qcow2_lookup_wait(s, req->pos + done, req->bytes - done, &ext);
            g_mutex_unlock(&s->lock);
            if (ret == 0) {
                ret = read_extent(s, req, done, &ext);
            }
        } while (ret == 0 && ext.kind == QCOW2_UNALLOCATED && s->bs.backing &&
                 block_node_is_live(s->bs.backing) && is_here_now(s, req->pos + done, &ext));
    }
    return ret;
}

/* On a worker, or the main thread ------------------------------------------------ */

static int run_op(Qcow2Node *s, BlockRequest *req)
{
    int ret;

    switch (req->node_op) {
    case BLOCK_OP_READ:
        ret = qcow2_read(s, req);
        break;
    case BLOCK_OP_WRITE:
        ret = qcow2_write(s, req);
        break;
    case BLOCK_OP_FLUSH:
        ret = qcow2_flush(s);
        break;
    default:
        ret = qcow2_clear(s, req);
        break;
    }
    return ret == 0 && (req->node_flags & BLOCK_REQ_FUA) ? qcow2_commit(s) : ret;
}

int qcow2_run(BlockNode *bs, BlockRequest *req)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    bool writes = req->node_op != BLOCK_OP_READ && req->node_op != BLOCK_OP_FLUSH;
    unsigned epoch;
    bool refused, found;
    int ret;

    if (bs->is_ro && req->node_op != BLOCK_OP_READ) {
        return req->node_op == BLOCK_OP_FLUSH ? 0 : -EPERM;
    }
    g_mutex_lock(&s->lock);
    epoch = qcow2_enter(s);
    refused = writes && s->unsound;
    g_mutex_unlock(&s->lock);
    ret = refused ? -EIO : run_op(s, req);
    g_mutex_lock(&s->lock);
    qcow2_leave(s, epoch);
    found = s->unsound && !s->told;
    s->told |= found;
    g_mutex_unlock(&s->lock);
    if (found) {
        qcow2_tell_unsound(s);
    }
    return ret;
}

/* In the loop -------------------------------------------------------------------- */

/* Where the request goes as it is; NULL: it is not for the loop. With the lock. */
static BlockNode *translate_read(Qcow2Node *s, BlockRequest *req, const Qcow2Extent *ext)
{
    if (ext->kind == QCOW2_DATA) {
        req->pos = ext->host;
        return s->data;
    }
    return ext->kind == QCOW2_UNALLOCATED && s->bs.backing &&
           backing_bytes(s, req->pos, req->bytes) == req->bytes ? s->bs.backing : NULL;
}

static BlockNode *translate_write(Qcow2Node *s, BlockRequest *req, const Qcow2Extent *ext)
{
    /* What was written is there after a crash only if what leads to it is. */
    bool fua = req->node_flags & BLOCK_REQ_FUA;

    if (!ext->in_place || s->unsound || (fua && !qcow2_is_clean(s)) ||
        (!s->bs.data_file && qcow2_has_table(s, ext->host, req->bytes))) {
        return NULL;
    }
    req->pos = ext->host;
    return s->data;
}

static bool is_zero_read(const Qcow2Node *s, const BlockRequest *req, const Qcow2Extent *ext)
{
    return req->node_op == BLOCK_OP_READ &&
           (ext->kind == QCOW2_ZEROES || (ext->kind == QCOW2_UNALLOCATED && !s->bs.backing));
}

/* True if it could be served with the tables at hand, as one piece. */
static bool submit_rw(Qcow2Node *s, BlockRequest *req)
{
    BlockNode *to = NULL;
    Qcow2Extent ext;
    uint64_t miss;
    bool whole;

    if (req->watcher && !s->bs.is_ro) {
        return false;           /* an image above waits for it; a worker can wait for both */
    }
    g_mutex_lock(&s->lock);
    whole = qcow2_lookup(s, req->pos, req->bytes, &ext, &miss) == 0 && ext.bytes >= req->bytes;
    if (whole) {
        to = req->node_op == BLOCK_OP_READ ? translate_read(s, req, &ext)
                                           : translate_write(s, req, &ext);
    }
    if (to && !s->bs.is_ro) {
        req->watcher = &s->bs;
        req->epoch = qcow2_enter(s);
    }
    g_mutex_unlock(&s->lock);
    if (to) {
        block_submit(to, req);
    } else if (whole && is_zero_read(s, req, &ext)) {
        iov_memset(req->iov, req->niov, 0, 0, req->bytes);
        block_request_done(req, 0);
    } else {
        return false;
    }
    return true;
}

/* Nothing but the file's own flush is to do. */
static bool submit_flush(Qcow2Node *s, BlockRequest *req)
{
    bool clean;

    g_mutex_lock(&s->lock);
    clean = s->bs.is_ro || (qcow2_is_clean(s) && !s->bs.data_file && !s->reclaim->len);
    g_mutex_unlock(&s->lock);
    if (clean) {
        block_submit(s->bs.file, req);
    }
    return clean;
}

void qcow2_ended(BlockNode *bs, BlockRequest *req)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    g_mutex_lock(&s->lock);
    qcow2_leave(s, req->epoch);
    g_mutex_unlock(&s->lock);
}

void qcow2_submit(BlockNode *bs, BlockRequest *req)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    bool done = false;
    BlockEngine *pool;

    if (req->node_op == BLOCK_OP_READ || req->node_op == BLOCK_OP_WRITE) {
        done = submit_rw(s, req);
    } else if (req->node_op == BLOCK_OP_FLUSH) {
        done = submit_flush(s, req);
    }
    if (!done) {
        pool = block_pool(bs);
        pool->ops->submit(pool, req);
    }
}
