/*
 * The io_uring engine: reads, writes and flushes without threads.
 *
 * The ring is made when the first request comes, in the loop that it comes
 * from. Requests that follow one another on the disk and are handed over
 * together share an entry of the ring: the host has most of its work per entry.
 * What the ring cannot finish (short transfers, a kernel that asks to try
 * again) is handed to the worker threads, which can.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "block-internal.h"
#include "qemu/main-loop.h"

#define RING_ENTRIES 256
/* More would make the completion ring overflow, which is slow. */
#define MAX_IN_FLIGHT (2 * RING_ENTRIES)

/* What one entry may grow to, and all that grew until they are submitted. */
#define RUN_MAX_IOVS 64
#define RUN_MAX_BYTES (1u << 20)
#define RUNS_IOVS 512

/* The newest entry of the ring, while others may still join it. */
typedef struct UringRun {
    struct io_uring_sqe *sqe;
    BlockRequest *first, *last; /* chained by next; NULL: nothing to join */
    struct iovec *iov;          /* of all of them, in runs_iov; NULL: there is one */
    unsigned niov;
    uint64_t bytes;
} UringRun;

typedef struct UringEngine {
    BlockEngine e;
    struct io_uring ring;
    int fd;
    GSource *source;
    unsigned unsubmitted;
    BlockRequest *pending, **pending_tail;  /* no room in the ring */
    bool can_join;
    UringRun run;
    /* The kernel has its own copy when it has taken an entry. */
    struct iovec runs_iov[RUNS_IOVS];
    unsigned runs_used;
} UringEngine;

/* An entry for req (and what is chained to it), whose buffers are iov. */
static void prepare(struct io_uring_sqe *sqe, int fd, BlockRequest *req,
                    const struct iovec *iov, unsigned niov)
{
    bool fua = req->node_flags & BLOCK_REQ_FUA;

    switch (req->node_op) {
    case BLOCK_OP_READ:
        if (niov == 1) {
            io_uring_prep_read(sqe, fd, iov->iov_base, iov->iov_len, req->pos);
        } else {
            io_uring_prep_readv(sqe, fd, iov, niov, req->pos);
        }
        break;
    case BLOCK_OP_WRITE:
        if (niov == 1) {
            io_uring_prep_write(sqe, fd, iov->iov_base, iov->iov_len, req->pos);
        } else {
            io_uring_prep_writev(sqe, fd, iov, niov, req->pos);
        }
        sqe->rw_flags = fua ? RWF_DSYNC : 0;
        break;
    case BLOCK_OP_FLUSH:
        io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
        break;
    default:
        g_assert_not_reached();
    }
    io_uring_sqe_set_data(sqe, req);
}

/* Does req go on where the newest entry ends, and is there room for its buffers? */
static bool can_join(const UringEngine *u, const BlockRequest *req)
{
    const UringRun *run = &u->run;
    const BlockRequest *last = run->last;
    unsigned more = req->niov + (run->iov ? 0 : run->niov);

    return last && req->node_op == last->node_op && req->node_flags == last->node_flags &&
           req->pos == last->pos + last->bytes &&
           run->niov + req->niov <= RUN_MAX_IOVS &&
           run->bytes + req->bytes <= RUN_MAX_BYTES &&
           u->runs_used + more <= RUNS_IOVS;
}

static void add_iovs(UringEngine *u, const BlockRequest *req)
{
    memcpy(&u->runs_iov[u->runs_used], req->iov, req->niov * sizeof(*req->iov));
    u->runs_used += req->niov;
}

static void join(UringEngine *u, BlockRequest *req)
{
    UringRun *run = &u->run;

    if (!run->iov) {
        run->iov = &u->runs_iov[u->runs_used];
        add_iovs(u, run->first);
    }
    add_iovs(u, req);
    run->niov += req->niov;
    run->bytes += req->bytes;
    run->last->next = req;
    run->last = req;
    req->next = NULL;
    prepare(run->sqe, u->fd, run->first, run->iov, run->niov);
}

/* False when the ring is full. */
static bool try_queue(UringEngine *u, BlockRequest *req)
{
    struct io_uring_sqe *sqe;

    if (can_join(u, req)) {
        join(u, req);
        return true;
    }
    if (u->e.in_flight >= MAX_IN_FLIGHT || !(sqe = io_uring_get_sqe(&u->ring))) {
        return false;
    }
    if (!u->unsubmitted) {
        u->runs_used = 0;
    }
    prepare(sqe, u->fd, req, req->iov, req->niov);
    req->next = NULL;
    u->run.last = NULL;
    if (u->can_join && req->node_op != BLOCK_OP_FLUSH && !(req->node_flags & BLOCK_REQ_ALONE)) {
        u->run = (UringRun){ .sqe = sqe, .first = req, .last = req,
                             .niov = req->niov, .bytes = req->bytes };
    }
    u->e.in_flight++;
    u->unsubmitted++;
    return true;
}

static void uring_submit(BlockEngine *e, BlockRequest *req)
{
    UringEngine *u = downcast(e, UringEngine, e);

    if (u->pending || !try_queue(u, req)) {
        req->next = NULL;
        *u->pending_tail = req;
        u->pending_tail = &req->next;
    }
}

/* Hand the kernel all that was queued, at once. */
static void submit_all(UringEngine *u)
{
    u->run.last = NULL;
    while (u->unsubmitted) {
        int ret = io_uring_submit(&u->ring);

        if (ret >= 0) {
            u->unsubmitted -= MIN((unsigned)ret, u->unsubmitted);
        }
        if (ret <= 0 && ret != -EINTR) {
            /* No resources now: completions will bring us back. */
            return;
        }
    }
}

/* What waits moves up, as far as there is room. */
static void queue_pending(UringEngine *u)
{
    while (u->pending) {
        BlockRequest *next = u->pending->next;

        if (!try_queue(u, u->pending)) {
            return;
        }
        u->pending = next;
    }
    u->pending_tail = &u->pending;
}

static void complete_one(UringEngine *u, BlockRequest *req, int res)
{
    if (req->node_op == BLOCK_OP_FLUSH && res >= 0) {
        block_request_done(req, block_flush_result(u->e.bs));
    } else if (res >= 0 && (uint64_t)res == req->bytes) {
        block_request_done(req, 0);
    } else if (res >= 0 || res == -EAGAIN || res == -EINTR) {
        BlockEngine *pool = block_pool(u->e.bs);

        req->done = MAX(res, 0);
        pool->ops->submit(pool, req);
    } else {
        if (req->node_op == BLOCK_OP_FLUSH) {
            block_flush_failed(u->e.bs, -res);
        }
        block_request_done(req, res);
    }
}

/* An entry of the ring is done: one request or several that joined. */
static void complete(UringEngine *u, BlockRequest *req, int res)
{
    u->e.in_flight--;
    if (!req->next) {
        complete_one(u, req, res);
        return;
    }
    while (req) {
        BlockRequest *next = req->next;
        /* After an error each finds out for itself: it may not be theirs. */
        int part = res < 0 ? -EAGAIN : (int)MIN((uint64_t)res, req->bytes);

        complete_one(u, req, part);
        res -= MAX(part, 0);
        req = next;
    }
}

static void reap(UringEngine *u)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&u->ring, &cqe) == 0) {
        BlockRequest *req = io_uring_cqe_get_data(cqe);
        int res = cqe->res;

        io_uring_cqe_seen(&u->ring, cqe);
        complete(u, req, res);
    }
}

/*
 * What comes from the page cache or a fast device is done when the submission
 * returns: it goes back now and not by way of the loop.
 */
static void uring_kick(BlockEngine *e)
{
    UringEngine *u = downcast(e, UringEngine, e);

    do {
        queue_pending(u);
        if (!u->unsubmitted) {
            return;
        }
        submit_all(u);
        reap(u);
    } while (!u->unsubmitted && u->pending);
}

static void uring_poll(BlockEngine *e, bool wait)
{
    UringEngine *u = downcast(e, UringEngine, e);

    uring_kick(e);
    if (wait && e->in_flight) {
        u->run.last = NULL;
        while (io_uring_submit_and_wait(&u->ring, 1) == -EINTR) {
            continue;
        }
        u->unsubmitted = io_uring_sq_ready(&u->ring);
    }
    reap(u);
    uring_kick(e);
}

static gboolean uring_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    UringEngine *u = opaque;
    BlockNode *top = block_top(u->e.bs);

    uring_poll(&u->e, false);
    block_batch_end(top->blk);
    return G_SOURCE_CONTINUE;
}

static void uring_free(BlockEngine *e)
{
    UringEngine *u = downcast(e, UringEngine, e);

    g_assert(!e->in_flight && !u->pending);
    g_source_destroy(u->source);
    g_source_unref(u->source);
    io_uring_queue_exit(&u->ring);
    g_free(u);
}

static const BlockEngineOps uring_ops = {
    .submit = uring_submit,
    .kick = uring_kick,
    .poll = uring_poll,
    .free = uring_free,
};

/* The thread that has the ring gets no more from the host by it than transfers. */
static int make_ring(struct io_uring *ring)
{
    static const uint8_t ops[] = {
        IORING_OP_READ, IORING_OP_READV, IORING_OP_WRITE, IORING_OP_WRITEV, IORING_OP_FSYNC,
    };
    struct io_uring_restriction allowed[G_N_ELEMENTS(ops)] = { 0 };
    int ret = io_uring_queue_init(RING_ENTRIES, ring, IORING_SETUP_R_DISABLED);

    if (ret < 0) {
        return ret;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(ops); i++) {
        allowed[i].opcode = IORING_RESTRICTION_SQE_OP;
        allowed[i].sqe_op = ops[i];
    }
    ret = io_uring_register_restrictions(ring, allowed, G_N_ELEMENTS(allowed));
    if (ret == 0) {
        ret = io_uring_enable_rings(ring);
    }
    if (ret < 0) {
        io_uring_queue_exit(ring);
    }
    return ret;
}

BlockEngine *block_io_uring_new(BlockNode *bs, int fd, int *err)
{
    UringEngine *u = g_new0(UringEngine, 1);
    int ret = make_ring(&u->ring);

    if (ret < 0) {
        *err = -ret;
        g_free(u);
        return NULL;
    }
    u->e.ops = &uring_ops;
    u->e.bs = bs;
    u->can_join = u->ring.features & IORING_FEAT_SUBMIT_STABLE;
    /*
     * Not registered: the kernel lets go of a registered file some time after the
     * process has ended, and its locks with it, which the next one runs into.
     */
    u->fd = fd;
    u->pending_tail = &u->pending;
    u->source = qemu_fd_source(block_context(bs), u->ring.ring_fd, G_IO_IN, uring_ready, u, NULL);
    return &u->e;
}
