/*
 * What an NBD server says to our requests: simple replies and structured ones ("Reply phase").
 *
 * A reply is for a call that is under way, and fills no more than its piece; each chunk of one
 * brings it nearer to its end. All else is a server that makes no sense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sys/socket.h>

#include "nbd-link.h"
#include "qemu/iov.h"

#define SIMPLE_BYTES 16u
#define CHUNK_BYTES 20u
#define MAX_ERROR (6u + NBD_MAX_NAME + 8)   /* number, text, and where */
#define MAX_ERRORS 16u          /* of one reply */

static int to_errno(uint32_t error)
{
    switch (error) {
    case NBD_EPERM:
        return EPERM;
    case NBD_ENOMEM:
        return ENOMEM;
    case NBD_ENOSPC:
        return ENOSPC;
    case NBD_EINVAL:
        return EINVAL;
    case NBD_ENOTSUP:
        return ENOTSUP;
    default:
        return EIO;
    }
}

static void piece_done(NbdLink *l, NbdCall *call, uint32_t error)
{
    l->slots[call->cookie % NBD_SLOTS] = NULL;
    l->under_way--;
    l->answered = g_get_monotonic_time();
    l->again = false;
    if (error == NBD_ENOTSUP && call->cmd == NBD_CMD_TRIM) {
        error = 0;              /* it is a hint */
    }
    if (error && call->cmd == NBD_CMD_STATUS) {
        l->terms.has_base = false;      /* nor is this more */
        g_queue_push_head(&l->waiting, call);
    } else if (error == NBD_ENOTSUP && call->cmd == NBD_CMD_ZEROES) {
        l->terms.flags &= ~NBD_SEND_ZEROES;
        g_queue_push_head(&l->waiting, call);
    } else if (error) {
        call->done(call, -to_errno(error));
    } else {
        call->at += call->piece;
        g_queue_push_head(&l->waiting, call);
    }
}

/* The call that a reply is for; NULL: there is none, or it is still being sent. */
static NbdCall *find_call(const NbdLink *l, uint64_t cookie)
{
    NbdCall *call = l->slots[cookie % NBD_SLOTS];

    return call && call->cookie == cookie && call != l->tx ? call : NULL;
}

static bool end_reply(NbdLink *l, NbdCall *call)
{
    if (!call->error && ((call->cmd == NBD_CMD_READ && call->got < call->piece) ||
                         (call->cmd == NBD_CMD_STATUS && !call->known))) {
        return false;
    }
    piece_done(l, call, call->error);
    return true;
}

static bool end_chunk(NbdLink *l)
{
    NbdReceiver rx = l->rx;

    l->rx = (NbdReceiver) { 0 };
    return !(rx.flags & NBD_CHUNK_DONE) || end_reply(l, rx.call);
}

static bool begin_data(NbdLink *l)
{
    l->rx.state = NBD_RX_DATA;
    return l->rx.left || end_chunk(l);
}

/* Simple replies ------------------------------------------------------------------------------ */

static bool begin_simple(NbdLink *l)
{
    NbdReceiver *rx = &l->rx;
    const uint8_t *p = rx->head + 4;
    uint32_t error = nbd_get(&p, 4);
    NbdCall *call = find_call(l, nbd_get(&p, 8));

    if (!call || call->cmd == NBD_CMD_STATUS ||
        (call->cmd == NBD_CMD_READ && l->terms.structured)) {
        return false;
    }
    rx->call = call;
    rx->flags = NBD_CHUNK_DONE;
    call->error = error;
    call->got = call->piece;
    rx->left = call->cmd == NBD_CMD_READ && !error ? call->piece : 0;
    return begin_data(l);
}

/* Chunks -------------------------------------------------------------------------------------- */

/* Bytes that stand before a chunk's data; -1: it may not be, for this call. */
static int facts_of(NbdCall *call, uint16_t flags, uint16_t type, uint32_t len)
{
    if (type & NBD_CHUNK_IS_ERROR) {
        return len >= 6 && len <= MAX_ERROR && call->errors++ < MAX_ERRORS ? 6 : -1;
    }
    switch (type) {
    case NBD_CHUNK_NONE:
        return !len && (flags & NBD_CHUNK_DONE) ? 0 : -1;
    case NBD_CHUNK_DATA:
        return call->cmd == NBD_CMD_READ && len > 8 ? 8 : -1;
    case NBD_CHUNK_HOLE:
        return call->cmd == NBD_CMD_READ && len == 12 ? 12 : -1;
    case NBD_CHUNK_STATUS:
        return call->cmd == NBD_CMD_STATUS && !call->known && len == 12 ? 12 : -1;
    default:
        return -1;
    }
}

static bool begin_chunk(NbdLink *l)
{
    NbdReceiver *rx = &l->rx;
    const uint8_t *p = rx->head + 4;
    uint32_t len;
    int facts;

    rx->flags = nbd_get(&p, 2);
    rx->type = nbd_get(&p, 2);
    rx->call = find_call(l, nbd_get(&p, 8));
    len = nbd_get(&p, 4);
    facts = rx->call ? facts_of(rx->call, rx->flags, rx->type, len) : -1;
    if (facts < 0) {
        return false;
    }
    rx->state = NBD_RX_FACTS;
    rx->at = 0;
    rx->want = facts;
    rx->left = len - facts;
    return facts || end_chunk(l);
}

/*
 * n bytes at an offset of the export are the call's: *to is where in its piece. They may come in
 * any order; what a server does not fill, by telling of some twice, is zeroes.
 */
static bool place(NbdCall *call, uint64_t offset, uint32_t n, uint64_t *to)
{
    BlockRequest *req = call->req;
    uint64_t start = req->pos + call->at;

    if (!n || n > call->piece - call->got || offset < start ||
        offset - start > call->piece - n) {
        return false;
    }
    *to = offset - start;
    if (*to != call->front && !call->scattered) {
        iov_memset(req->iov, req->niov, call->at + call->front, 0, call->piece - call->front);
        call->scattered = true;
    }
    call->front = *to + n;
    call->got += n;
    return true;
}

static bool put_hole(NbdLink *l, uint64_t offset, uint32_t n)
{
    NbdCall *call = l->rx.call;
    uint64_t to;

    if (!place(call, offset, n, &to)) {
        return false;
    }
    iov_memset(call->req->iov, call->req->niov, call->at + to, 0, n);
    return end_chunk(l);
}

static bool put_status(NbdLink *l, uint32_t context, uint32_t n, uint32_t flags)
{
    NbdCall *call = l->rx.call;

    if (context != l->terms.base_id || !n) {
        return false;
    }
    call->known = true;
    call->zero = flags & NBD_ZERO;
    call->extent = MIN(n, call->piece);
    return end_chunk(l);
}

static bool use_facts(NbdLink *l)
{
    NbdReceiver *rx = &l->rx;
    const uint8_t *p = rx->head;
    uint64_t offset;
    uint32_t n;

    if (rx->type & NBD_CHUNK_IS_ERROR) {
        n = nbd_get(&p, 4);
        rx->call->error = n ? n : NBD_EIO;
        rx->skip = true;
        return begin_data(l);
    }
    if (rx->type == NBD_CHUNK_STATUS) {
        n = nbd_get(&p, 4);
        offset = nbd_get(&p, 4);
        return put_status(l, n, offset, nbd_get(&p, 4));
    }
    offset = nbd_get(&p, 8);
    if (rx->type == NBD_CHUNK_HOLE) {
        return put_hole(l, offset, nbd_get(&p, 4));
    }
    return place(rx->call, offset, rx->left, &rx->to) && begin_data(l);
}

/* Bytes --------------------------------------------------------------------------------------- */

static size_t head_bytes(const NbdReceiver *rx)
{
    return rx->state == NBD_RX_HEAD ? SIMPLE_BYTES :
           rx->state == NBD_RX_CHUNK ? CHUNK_BYTES : rx->want;
}

/* 1: something came, 0: not now, or negative errno. */
static int receive_some(NbdLink *l)
{
    NbdReceiver *rx = &l->rx;
    uint8_t waste[4096];
    struct iovec iov[NBD_MAX_IOV];
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
    ssize_t n;

    if (rx->state != NBD_RX_DATA) {
        iov[0] = (struct iovec) { rx->head + rx->at, head_bytes(rx) - rx->at };
    } else if (rx->skip) {
        iov[0] = (struct iovec) { waste, MIN(rx->left, sizeof(waste)) };
    } else {
        msg.msg_iovlen = iov_slice(iov, NBD_MAX_IOV, rx->call->req->iov, rx->call->req->niov,
                                   rx->call->at + rx->to, rx->left);
    }
    n = recvmsg(l->fd, &msg, MSG_DONTWAIT);
    if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : n < 0 ? -errno : -ESHUTDOWN;
    }
    if (rx->state == NBD_RX_DATA) {
        rx->to += n;
        rx->left -= n;
    } else {
        rx->at += n;
    }
    return 1;
}

/* What was waited for is there. False: the server makes no sense. */
static bool go_on(NbdLink *l)
{
    const uint8_t *p = l->rx.head;
    uint32_t magic;

    switch (l->rx.state) {
    case NBD_RX_HEAD:
        magic = nbd_get(&p, 4);
        if (magic == NBD_CHUNK_MAGIC && l->terms.structured) {
            l->rx.state = NBD_RX_CHUNK;
            return true;
        }
        return magic == NBD_SIMPLE_REPLY_MAGIC && begin_simple(l);
    case NBD_RX_CHUNK:
        return begin_chunk(l);
    case NBD_RX_FACTS:
        return use_facts(l);
    default:
        return end_chunk(l);
    }
}

bool nbd_receive(NbdLink *l)
{
    for (;;) {
        const NbdReceiver *rx = &l->rx;
        int ret = receive_some(l);

        if (ret <= 0) {
            return ret == 0;
        }
        if ((rx->state == NBD_RX_DATA ? !rx->left : rx->at == head_bytes(rx)) && !go_on(l)) {
            return false;
        }
    }
}
