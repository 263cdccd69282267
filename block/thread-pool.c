/*
 * The engine that works everywhere: threads that call the driver's run().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block-internal.h"
#include "qemu/confine.h"

#define MAX_THREADS 32

typedef struct ThreadsEngine {
    BlockEngine e;
    GThreadPool *pool;
    EventNotifier notifier;
    GSource *source;
    GMutex lock;                /* finished; a leaf */
    GCond cond;
    BlockRequest *finished;
} ThreadsEngine;

static void threads_worker(gpointer data, gpointer user_data)
{
    ThreadsEngine *t = user_data;
    BlockRequest *req = data;
    bool was_empty;

    thread_confine(&block_pool_filter);
    req->ret = block_run(t->e.bs, req);
    g_mutex_lock(&t->lock);
    was_empty = !t->finished;
    req->next = t->finished;
    t->finished = req;
    g_cond_signal(&t->cond);
    if (was_empty) {
        event_notifier_set(&t->notifier);
    }
    g_mutex_unlock(&t->lock);
}

static void threads_submit(BlockEngine *e, BlockRequest *req)
{
    ThreadsEngine *t = downcast(e, ThreadsEngine, e);

    e->in_flight++;
    /* Fails only where no thread at all can be made; the request then waits. */
    g_thread_pool_push(t->pool, req, NULL);
}

static void threads_poll(BlockEngine *e, bool wait)
{
    ThreadsEngine *t = downcast(e, ThreadsEngine, e);
    BlockRequest *list;

    g_mutex_lock(&t->lock);
    while (wait && !t->finished) {
        g_cond_wait(&t->cond, &t->lock);
    }
    list = t->finished;
    t->finished = NULL;
    g_mutex_unlock(&t->lock);
    while (list) {
        BlockRequest *req = list;

        list = req->next;
        e->in_flight--;
        block_request_done(req, req->ret);
    }
}

static void threads_ready(void *opaque)
{
    ThreadsEngine *t = opaque;
    BlockNode *top = block_top(t->e.bs);

    threads_poll(&t->e, false);
    block_batch_end(top->blk);
}

static void threads_free(BlockEngine *e)
{
    ThreadsEngine *t = downcast(e, ThreadsEngine, e);

    g_assert(!e->in_flight);
    g_thread_pool_free(t->pool, FALSE, TRUE);
    g_source_destroy(t->source);
    g_source_unref(t->source);
    event_notifier_cleanup(&t->notifier);
    g_mutex_clear(&t->lock);
    g_cond_clear(&t->cond);
    g_free(t);
}

static const BlockEngineOps threads_ops = {
    .submit = threads_submit,
    .poll = threads_poll,
    .free = threads_free,
};

BlockEngine *block_threads_new(BlockNode *bs)
{
    ThreadsEngine *t = g_new0(ThreadsEngine, 1);
    int ret;

    t->e.ops = &threads_ops;
    t->e.bs = bs;
    t->pool = g_thread_pool_new(threads_worker, t, MAX_THREADS, FALSE, NULL);
    g_mutex_init(&t->lock);
    g_cond_init(&t->cond);
    ret = event_notifier_init(&t->notifier);
    if (ret < 0) {
        g_error("cannot create an eventfd: %s", strerror(-ret));
    }
    t->source = event_notifier_add_handler(&t->notifier, block_context(bs),
                                           threads_ready, t);
    return &t->e;
}
