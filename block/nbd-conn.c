/*
 * A client of the NBD server: its requests, one after the other.
 *
 * Nothing that it sends is kept, or makes us keep, more than NBD_PIECE bytes; whoever stalls holds
 * its own thread alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "job-internal.h"
#include "nbd-conn.h"
#include "qemu/confine.h"

#define CLEAR_PIECE (16u << 20) /* bytes that are cleared or discarded at once */
#define MAX_EXTENTS 2048u       /* that one reply tells of */
#define HANDSHAKE_S 30          /* of silence */

extern const ThreadFilter nbd_conn_filter;

/* A request. */
typedef struct NbdRequest {
    uint16_t flags, type;
    uint64_t cookie, offset;
    uint32_t len;
} NbdRequest;

/* Bytes --------------------------------------------------------------------------------------- */

bool nbd_conn_get(NbdConn *c, void *buf, size_t len)
{
    uint8_t *p = buf;

    while (len) {
        ssize_t n = recv(c->fd, p, len, 0);

        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            return false;
        }
        p += MAX(n, 0);
        len -= MAX(n, 0);
    }
    return true;
}

bool nbd_conn_put(NbdConn *c, const void *buf, size_t len)
{
    const uint8_t *p = buf;

    while (len) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);

        if (n <= 0 && !(n < 0 && errno == EINTR)) {
            return false;
        }
        p += MAX(n, 0);
        len -= MAX(n, 0);
    }
    return true;
}

/* Requests ------------------------------------------------------------------------------------ */

static uint32_t nbd_error(int ret)
{
    switch (-ret) {
    case 0:
        return 0;
    case EPERM:
    case EROFS:
        return NBD_EPERM;
    case ENOMEM:
        return NBD_ENOMEM;
    case EINVAL:
        return NBD_EINVAL;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return NBD_ENOSPC;
    case ENOTSUP:
        return NBD_ENOTSUP;
    default:
        return NBD_EIO;
    }
}

/* Nodes keep their places meanwhile. */
static int run(NbdConn *c, BlockOp op, unsigned flags, uint64_t pos, uint64_t len)
{
    struct iovec iov = { c->buf, len };
    bool data = op == BLOCK_OP_READ || op == BLOCK_OP_WRITE;
    BlockRequest req = {
        .node_op = op, .node_flags = flags, .pos = pos, .bytes = len,
        .iov = data ? &iov : NULL, .niov = data,
    };
    int ret;

    block_graph_enter();
    ret = block_run(c->exp->bs, &req);
    if (op != BLOCK_OP_READ && op != BLOCK_OP_FLUSH) {
        block_bitmaps_mark(c->exp->bs, pos, len);
    }
    block_graph_leave();
    return ret;
}

static bool send_simple(NbdConn *c, const NbdRequest *req, int ret)
{
    uint8_t head[16], *p = head;

    nbd_put32(&p, NBD_SIMPLE_REPLY_MAGIC);
    nbd_put32(&p, nbd_error(ret));
    nbd_put64(&p, req->cookie);
    return nbd_conn_put(c, head, sizeof(head));
}

static bool send_chunk(NbdConn *c, const NbdRequest *req, uint16_t flags, uint16_t type,
                       uint32_t len)
{
    uint8_t head[20], *p = head;

    nbd_put32(&p, NBD_CHUNK_MAGIC);
    nbd_put16(&p, flags);
    nbd_put16(&p, type);
    nbd_put64(&p, req->cookie);
    nbd_put32(&p, len);
    return nbd_conn_put(c, head, sizeof(head));
}

/* The end of a request that has no data to send. */
static bool send_result(NbdConn *c, const NbdRequest *req, int ret)
{
    uint8_t error[6], *p = error;

    if (!c->structured) {
        return send_simple(c, req, ret);
    }
    if (ret == 0) {
        return send_chunk(c, req, NBD_CHUNK_DONE, NBD_CHUNK_NONE, 0);
    }
    nbd_put32(&p, nbd_error(ret));
    nbd_put16(&p, 0);
    return send_chunk(c, req, NBD_CHUNK_DONE, NBD_CHUNK_ERROR, sizeof(error)) &&
           nbd_conn_put(c, error, sizeof(error));
}

static bool send_read_head(NbdConn *c, const NbdRequest *req)
{
    uint8_t offset[8], *p = offset;

    if (!c->structured) {
        return send_simple(c, req, 0);
    }
    nbd_put64(&p, req->offset);
    return send_chunk(c, req, NBD_CHUNK_DONE, NBD_CHUNK_DATA, sizeof(offset) + req->len) &&
           nbd_conn_put(c, offset, sizeof(offset));
}

/* An error after the first piece can only be told by hanging up. */
static bool serve_read(NbdConn *c, const NbdRequest *req)
{
    for (uint32_t done = 0; done < req->len;) {
        uint32_t n = MIN(req->len - done, NBD_PIECE);
        int ret = run(c, BLOCK_OP_READ, 0, req->offset + done, n);

        if (ret < 0) {
            return !done && send_result(c, req, ret);
        }
        if ((!done && !send_read_head(c, req)) || !nbd_conn_put(c, c->buf, n)) {
            return false;
        }
        done += n;
    }
    return true;
}

static bool serve_write(NbdConn *c, const NbdRequest *req, int ret)
{
    for (uint32_t done = 0; done < req->len;) {
        uint32_t n = MIN(req->len - done, NBD_PIECE);

        if (!nbd_conn_get(c, c->buf, n)) {
            return false;
        }
        ret = ret < 0 ? ret : run(c, BLOCK_OP_WRITE, 0, req->offset + done, n);
        done += n;
    }
    if (ret == 0 && (req->flags & NBD_FUA)) {
        ret = run(c, BLOCK_OP_FLUSH, 0, 0, 0);
    }
    return send_result(c, req, ret);
}

static bool serve_clear(NbdConn *c, const NbdRequest *req)
{
    bool trim = req->type == NBD_CMD_TRIM;
    bool unmap = c->exp->bs->discard && !(req->flags & NBD_NO_HOLE);
    unsigned flags = unmap && !trim ? BLOCK_REQ_MAY_UNMAP : 0;
    int ret = 0;

    for (uint64_t done = 0; ret == 0 && done < req->len && !(trim && !c->exp->bs->discard);
         done += CLEAR_PIECE) {
        ret = run(c, trim ? BLOCK_OP_DISCARD : BLOCK_OP_WRITE_ZEROES, flags, req->offset + done,
                  MIN(req->len - done, CLEAR_PIECE));
    }
    if (ret == 0 && (req->flags & NBD_FUA)) {
        ret = run(c, BLOCK_OP_FLUSH, 0, 0, 0);
    }
    return send_result(c, req, ret);
}

/* Stretches ----------------------------------------------------------------------------------- */

/* What is at pos, for *n bytes; negative errno. b: by a bitmap. */
static int look(NbdConn *c, BlockBitmap *b, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    uint64_t chunk, end;
    bool dirty, zero;
    int ret;

    if (!b) {
        block_graph_enter();
        ret = block_allocated_above(c->exp->bs, NULL, pos, bytes, n);
        zero = ret > 0 && block_reads_zero(c->exp->bs, pos, *n, n);
        block_graph_leave();
        return ret < 0 ? ret : !ret ? NBD_HOLE | NBD_ZERO : zero ? NBD_ZERO : 0;
    }
    chunk = pos >> b->chunk_bits;
    dirty = block_dirty_test(b->bits, chunk);
    end = block_dirty_next(b->bits, chunk, !dirty);
    *n = MIN(bytes, (end << b->chunk_bits) - pos);
    return dirty ? NBD_DIRTY : 0;
}

/* Its stretches into the buffer: how many; negative errno. */
static int describe(NbdConn *c, const NbdRequest *req, BlockBitmap *b)
{
    uint64_t pos = req->offset, end = pos + req->len, n = 0, held = 0;
    unsigned max = req->flags & NBD_REQ_ONE ? 1 : MAX_EXTENTS, count = 0;
    uint8_t *p = c->buf;
    int kind = 0, ret;

    /* Neighbours of one kind are one. */
    while (pos + held < end) {
        ret = look(c, b, pos + held, end - pos - held, &n);
        if (ret < 0) {
            return ret;
        }
        if (held && ret != kind) {
            nbd_put32(&p, held);
            nbd_put32(&p, kind);
            pos += held;
            held = 0;
            if (++count == max) {
                return count;
            }
        }
        kind = ret;
        held += n;
    }
    nbd_put32(&p, held);
    nbd_put32(&p, kind);
    return count + 1;
}

static bool send_status(NbdConn *c, const NbdRequest *req, uint32_t id, BlockBitmap *b, bool last)
{
    int n = describe(c, req, b);
    uint8_t head[4], *p = head;

    if (n < 0) {
        return send_result(c, req, n) && false;
    }
    nbd_put32(&p, id);
    return send_chunk(c, req, last ? NBD_CHUNK_DONE : 0, NBD_CHUNK_STATUS, 4 + n * 8) &&
           nbd_conn_put(c, head, sizeof(head)) && nbd_conn_put(c, c->buf, n * 8);
}

static bool serve_status(NbdConn *c, const NbdRequest *req)
{
    unsigned left = c->want_base + c->want_bitmaps->len;
    bool ok = true;

    if (!left || !req->len) {
        return send_result(c, req, -EINVAL);
    }
    if (c->want_base) {
        ok = send_status(c, req, 0, NULL, !--left);
    }
    for (unsigned i = 0; ok && c->exp->bitmaps[i]; i++) {
        if (nbd_conn_wants(c, c->exp->bitmaps[i]->name)) {
            ok = send_status(c, req, i + 1, c->exp->bitmaps[i], !--left);
        }
    }
    return ok;
}

/* All of it ----------------------------------------------------------------------------------- */

/* What must not reach the image; 0 or negative errno. */
static int check_request(const NbdConn *c, const NbdRequest *req)
{
    bool writes = req->type == NBD_CMD_WRITE || req->type == NBD_CMD_TRIM ||
                  req->type == NBD_CMD_ZEROES;

    if (writes && !c->exp->writable) {
        return -EPERM;
    }
    if (req->offset > c->length || req->len > c->length - req->offset) {
        return writes ? -ENOSPC : -EINVAL;
    }
    if ((req->offset | req->len) & (BDRV_SECTOR_SIZE - 1)) {
        return -EINVAL;
    }
    return (req->type == NBD_CMD_READ || req->type == NBD_CMD_WRITE) &&
           req->len > NBD_MAX_PAYLOAD ? -EINVAL : 0;
}

static bool serve(NbdConn *c, const NbdRequest *req)
{
    int ret = req->type == NBD_CMD_FLUSH ? 0 : check_request(c, req);

    if (req->type == NBD_CMD_WRITE) {
        return req->len <= NBD_MAX_PAYLOAD && serve_write(c, req, ret);
    }
    if (ret < 0) {
        return send_result(c, req, ret);
    }
    switch (req->type) {
    case NBD_CMD_READ:
        return req->len ? serve_read(c, req) : send_result(c, req, -EINVAL);
    case NBD_CMD_FLUSH:
        return send_result(c, req, run(c, BLOCK_OP_FLUSH, 0, 0, 0));
    case NBD_CMD_TRIM:
    case NBD_CMD_ZEROES:
        return serve_clear(c, req);
    case NBD_CMD_STATUS:
        return serve_status(c, req);
    default:
        return send_result(c, req, -EINVAL);
    }
}

static bool next_request(NbdConn *c, NbdRequest *req)
{
    uint8_t buf[NBD_REQUEST_BYTES];
    const uint8_t *p = buf;

    if (!nbd_conn_get(c, buf, sizeof(buf)) || nbd_get(&p, 4) != NBD_REQUEST_MAGIC) {
        return false;
    }
    req->flags = nbd_get(&p, 2);
    req->type = nbd_get(&p, 2);
    req->cookie = nbd_get(&p, 8);
    req->offset = nbd_get(&p, 8);
    req->len = nbd_get(&p, 4);
    return req->type != NBD_CMD_DISC;
}

static void set_timeout(NbdConn *c, int seconds)
{
    struct timeval t = { seconds, 0 };

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

void nbd_serve(int fd)
{
    NbdConn c = { .fd = fd, .buf = g_malloc(NBD_PIECE) };
    NbdRequest req;

    c.want_bitmaps = g_ptr_array_new_with_free_func(g_free);
    thread_confine(&nbd_conn_filter);
    set_timeout(&c, HANDSHAKE_S);
    if (nbd_negotiate(&c)) {
        set_timeout(&c, 0);
        while (next_request(&c, &req) && serve(&c, &req)) {
        }
    }
    if (c.exp) {
        nbd_export_put(c.exp);
    }
    g_free(c.meta_name);
    g_ptr_array_unref(c.want_bitmaps);
    g_free(c.buf);
}
