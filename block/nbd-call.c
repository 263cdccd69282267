/*
 * What a request is to an NBD server: commands, one after the other, that it knows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "nbd-client.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define ZEROES_PIECE (1u << 30)

const uint8_t nbd_zeroes[NBD_ZEROES];

/* Bytes from pos on that the export has; it may end within a sector. */
static uint64_t clip(const NbdTerms *t, uint64_t pos, uint64_t bytes)
{
    return pos >= t->size ? 0 : MIN(bytes, t->size - pos);
}

void nbd_call_finish(NbdCall *call)
{
    BlockRequest *req = call->req;
    size_t rest = req->bytes - call->at;
    int ret = 0;

    if (call->status) {
        /* What is not known is not known. */
    } else if (rest && req->node_op == BLOCK_OP_READ) {
        iov_memset(req->iov, req->niov, call->at, 0, rest);
    } else if (rest && req->node_op == BLOCK_OP_WRITE) {
        g_autofree uint8_t *buf = g_malloc(rest);

        iov_to_buf(req->iov, req->niov, call->at, buf, rest);
        ret = buffer_is_zero(buf, rest) ? 0 : -ENOSPC;
    }
    call->done(call, ret);
}

static bool is_written(const BlockRequest *req)
{
    return req->node_op == BLOCK_OP_WRITE || req->node_op == BLOCK_OP_WRITE_ZEROES;
}

bool nbd_call_next(NbdCall *call, const NbdTerms *t)
{
    const BlockRequest *req = call->req;
    uint64_t left = clip(t, req->pos + call->at, req->bytes - call->at);
    bool has_zeroes = t->flags & NBD_SEND_ZEROES;

    if (call->status) {
        call->cmd = NBD_CMD_STATUS;
        call->piece = MIN(left, ZEROES_PIECE);
        return left && t->has_base && !call->known;
    }
    if (req->node_op == BLOCK_OP_FLUSH || call->flushing ||
        (!left && is_written(req) && req->node_flags & BLOCK_REQ_FUA &&
         !(t->flags & NBD_SEND_FUA))) {
        bool again = call->cmd == NBD_CMD_FLUSH && call->flushing;

        call->flushing = true;
        call->cmd = NBD_CMD_FLUSH;
        call->piece = 0;
        return !again && t->flags & NBD_SEND_FLUSH;
    }
    switch (req->node_op) {
    case BLOCK_OP_READ:
        call->cmd = NBD_CMD_READ;
        call->piece = MIN(left, t->max_block);
        return left;
    case BLOCK_OP_DISCARD:
        call->cmd = NBD_CMD_TRIM;
        call->piece = MIN(left, ZEROES_PIECE);
        return left && t->flags & NBD_SEND_TRIM;
    case BLOCK_OP_WRITE_ZEROES:
        call->cmd = has_zeroes ? NBD_CMD_ZEROES : NBD_CMD_WRITE;
        call->piece = has_zeroes ? MIN(left, ZEROES_PIECE) :
            MIN(left, MIN(t->max_block, NBD_ZEROES));
        return left;
    default:
        call->cmd = NBD_CMD_WRITE;
        call->piece = MIN(left, t->max_block);
        return left;
    }
}

uint16_t nbd_call_flags(const NbdCall *call, const NbdTerms *t)
{
    const BlockRequest *req = call->req;
    uint16_t flags = call->cmd == NBD_CMD_STATUS ? NBD_REQ_ONE : 0;

    if (call->cmd == NBD_CMD_ZEROES && !(req->node_flags & BLOCK_REQ_MAY_UNMAP)) {
        flags |= NBD_NO_HOLE;
    }
    if ((call->cmd == NBD_CMD_ZEROES || call->cmd == NBD_CMD_WRITE) &&
        req->node_flags & BLOCK_REQ_FUA && t->flags & NBD_SEND_FUA) {
        flags |= NBD_FUA;
    }
    return flags;
}
