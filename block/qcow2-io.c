/*
 * Requests to a qcow2 image: what goes straight to the file, and what takes a worker.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2.h"
#include "qemu/iov.h"

int qcow2_pread(BlockNode *bs, uint64_t pos, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .pos = pos, .bytes = len,
                         .iov = &iov, .niov = 1 };

    return block_run(bs, &req);
}

/* bytes of req's buffers from offset on, in out, which has room for all of req's. */
static unsigned iov_part(const BlockRequest *req, uint64_t offset, uint64_t bytes,
                         struct iovec *out)
{
    unsigned n = 0;

    for (unsigned i = 0; i < req->niov && bytes; i++) {
        const struct iovec *iov = &req->iov[i];
        size_t len;

        if (offset >= iov->iov_len) {
            offset -= iov->iov_len;
            continue;
        }
        len = MIN(iov->iov_len - offset, bytes);
        out[n++] = (struct iovec) { (char *)iov->iov_base + offset, len };
        offset = 0;
        bytes -= len;
    }
    return n;
}

/* bytes of req, from done on, of node at pos; iov: room for req's buffers. */
static int run_part(BlockNode *node, const BlockRequest *req, uint64_t pos, uint64_t done,
                    uint64_t bytes, struct iovec *iov)
{
    BlockRequest part = { .node_op = req->node_op, .node_flags = req->node_flags, .pos = pos,
                          .bytes = bytes, .iov = iov };

    part.niov = iov_part(req, done, bytes, iov);
    return block_run(node, &part);
}

/* Reading ---------------------------------------------------------------------- */

/* How many of bytes at pos the backing file has; the rest is zeroes. */
static uint64_t backing_bytes(const Qcow2Node *s, uint64_t pos, uint64_t bytes)
{
    uint64_t length = s->bs.backing ? s->bs.backing->length : 0;

    return pos < length ? MIN(bytes, length - pos) : 0;
}

static int read_backing(Qcow2Node *s, BlockRequest *req, uint64_t done, uint64_t bytes,
                        struct iovec *iov)
{
    uint64_t pos = req->pos + done;
    uint64_t there = backing_bytes(s, pos, bytes);

    iov_memset(req->iov, req->niov, done + there, 0, bytes - there);
    return there ? run_part(s->bs.backing, req, pos, done, there, iov) : 0;
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

static int read_extent(Qcow2Node *s, BlockRequest *req, uint64_t done, const Qcow2Extent *ext,
                       struct iovec *iov)
{
    switch (ext->kind) {
    case QCOW2_DATA:
        return run_part(s->data, req, ext->host, done, ext->bytes, iov);
    case QCOW2_DEFLATED:
        return read_deflated(s, req, done, ext);
    case QCOW2_UNALLOCATED:
        return read_backing(s, req, done, ext->bytes, iov);
    default:
        iov_memset(req->iov, req->niov, done, 0, ext->bytes);
        return 0;
    }
}

static int run_read(Qcow2Node *s, BlockRequest *req)
{
    g_autofree struct iovec *iov = g_new(struct iovec, req->niov);
    Qcow2Extent ext;
    int ret = 0;

    for (uint64_t done = 0; ret == 0 && done < req->bytes; done += ext.bytes) {
        g_mutex_lock(&s->lock);
        ret = qcow2_lookup_wait(s, req->pos + done, req->bytes - done, &ext);
        g_mutex_unlock(&s->lock);
        if (ret == 0) {
            ret = read_extent(s, req, done, &ext, iov);
        }
    }
    return ret;
}

int qcow2_run(BlockNode *bs, BlockRequest *req)
{
    Qcow2Node *s = (Qcow2Node *)bs;

    switch (req->node_op) {
    case BLOCK_OP_READ:
        return run_read(s, req);
    case BLOCK_OP_FLUSH:
        return 0;
    default:
        return -EPERM;
    }
}

/* In the loop -------------------------------------------------------------------- */

/* True if it could be served with the tables at hand, as one piece. */
static bool submit_read(Qcow2Node *s, BlockRequest *req)
{
    Qcow2Extent ext;
    uint64_t miss;
    int ret;

    g_mutex_lock(&s->lock);
    ret = qcow2_lookup(s, req->pos, req->bytes, &ext, &miss);
    g_mutex_unlock(&s->lock);
    if (ret != 0 || ext.bytes < req->bytes || ext.kind == QCOW2_DEFLATED) {
        return false;
    }
    if (ext.kind == QCOW2_DATA) {
        req->pos = ext.host;
        block_submit(s->data, req);
        return true;
    }
    if (ext.kind == QCOW2_UNALLOCATED && s->bs.backing) {
        if (backing_bytes(s, req->pos, req->bytes) < req->bytes) {
            return false;
        }
        block_submit(s->bs.backing, req);
        return true;
    }
    iov_memset(req->iov, req->niov, 0, 0, req->bytes);
    block_request_done(req, 0);
    return true;
}

void qcow2_submit(BlockNode *bs, BlockRequest *req)
{
    Qcow2Node *s = (Qcow2Node *)bs;
    BlockEngine *pool;

    if (req->node_op == BLOCK_OP_READ && submit_read(s, req)) {
        return;
    }
    pool = block_pool(bs);
    pool->ops->submit(pool, req);
}
