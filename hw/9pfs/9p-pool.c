/*
 * Threads that serve 9P messages.
 *
 * A Tversion is served alone: it waits for all before it, and all after it for its end.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-pool.h"

#include <errno.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/le.h"
#include "qemu/thread.h"

#define NR_THREADS 8

struct V9fsPool {
    V9fsState *s;
    V9fsDoneFunc *done_fn;
    V9fsBatchFunc *batch_fn;
    void *opaque;
    GQueue all;                 /* requests in the order they came; the loop's alone */
    GThread *threads[NR_THREADS];
    EventNotifier notifier;     /* done is not empty any more */
    GSource *source;
    GMutex lock;                /* all below; a leaf */
    GCond work, quiet;
    GQueue queued, done;        /* of V9fsRequest */
    unsigned running, idle, started;
    bool paused, quit;
    bool alone;                 /* the one that runs is a Tversion */
    int error;                  /* of a thread's start */
};

/* Threads ------------------------------------------------------------------------------------ */

/* What may be served now, or NULL. With lock. */
static V9fsRequest *next_request(V9fsPool *p)
{
    GList *link = p->queued.head;
    V9fsRequest *req = link ? link->data : NULL;

    if (!req || p->paused || p->alone || (req->call.type == P9_TVERSION && p->running)) {
        return NULL;
    }
    g_queue_unlink(&p->queued, link);
    req->place = V9FS_RUNNING;
    p->alone = req->call.type == P9_TVERSION;
    p->running++;
    return req;
}

/* With lock. */
static void request_done(V9fsPool *p, V9fsRequest *req)
{
    p->running--;
    if (p->alone) {
        p->alone = false;
        g_cond_broadcast(&p->work);
    } else if (!p->running) {
        g_cond_signal(&p->work);        /* a Tversion may wait for that */
    }
    if (!p->running) {
        g_cond_signal(&p->quiet);
    }
    g_queue_push_tail_link(&p->done, &req->link);
    if (p->done.length == 1) {
        event_notifier_set(&p->notifier);
    }
}

static gpointer pool_thread(gpointer opaque)
{
    V9fsPool *p = opaque;
    V9fsScratch *scratch = g_malloc(sizeof(*scratch));
    V9fsRequest *req;
    int ret = fs_thread_enter(v9fs_export(p->s));

    g_mutex_lock(&p->lock);
    p->error = ret ? ret : p->error;
    p->started++;
    g_cond_broadcast(&p->quiet);
    while (!p->quit) {
        req = next_request(p);
        if (!req) {
            p->idle++;
            g_cond_wait(&p->work, &p->lock);
            p->idle--;
            continue;
        }
        g_mutex_unlock(&p->lock);
        fs_thread_confine(v9fs_export(p->s));
        req->call.scratch = scratch;
        req->len = v9fs_serve(p->s, &req->call);
        g_mutex_lock(&p->lock);
        request_done(p, req);
    }
    g_mutex_unlock(&p->lock);
    g_free(scratch);
    return NULL;
}

/* The loop ------------------------------------------------------------------------------------- */

/* The request has its answer, and so have those that waited for it. */
static void deliver(V9fsPool *p, V9fsRequest *req)
{
    V9fsRequest *flush;

    for (; req; req = flush) {
        flush = req->flush;
        req->flush = NULL;
        req->place = V9FS_IDLE;
        g_queue_unlink(&p->all, &req->all);
        p->done_fn(p->opaque, req);
        if (flush) {
            flush->len = v9fs_answer_empty(&flush->call);
        }
    }
}

static void deliver_done(V9fsPool *p)
{
    GQueue done;
    GList *link;

    g_mutex_lock(&p->lock);
    done = p->done;
    g_queue_init(&p->done);
    g_mutex_unlock(&p->lock);
    if (!done.length) {
        return;
    }
    while ((link = g_queue_pop_head_link(&done))) {
        deliver(p, link->data);
    }
    p->batch_fn(p->opaque);
}

static void pool_notified(void *opaque)
{
    deliver_done(opaque);
}

static V9fsRequest *find_tag(V9fsPool *p, uint16_t tag)
{
    for (GList *link = p->all.head; link; link = link->next) {
        V9fsRequest *req = link->data;

        if (req->call.tag == tag) {
            return req;
        }
    }
    return NULL;
}

static bool unqueue(V9fsPool *p, V9fsRequest *req)
{
    bool queued;

    g_mutex_lock(&p->lock);
    queued = req->place == V9FS_QUEUED;
    if (queued) {
        g_queue_unlink(&p->queued, &req->link);
    }
    g_mutex_unlock(&p->lock);
    return queued;
}

/*
 * Answered after the old request, if that has an answer: what no thread has yet has none. Several
 * are answered in their order.
 */
static void submit_flush(V9fsPool *p, V9fsRequest *req)
{
    uint8_t tag[2] = { 0 };
    V9fsRequest *old;

    iov_to_buf(req->call.out_sg, req->call.out_num, V9FS_HEADER, tag, sizeof(tag));
    old = find_tag(p, ld_le(tag, 2));
    g_queue_push_tail_link(&p->all, &req->all);
    req->place = V9FS_WAITING;
    if (!old) {
        req->len = v9fs_answer_empty(&req->call);
        deliver(p, req);
        p->batch_fn(p->opaque);
        return;
    }
    while (old->flush) {
        old = old->flush;
    }
    old->flush = req;
    if (unqueue(p, old)) {
        old->flushed = true;
        old->len = 0;
        deliver(p, old);
        p->batch_fn(p->opaque);
    }
}

void v9fs_pool_submit(V9fsPool *p, V9fsRequest *req)
{
    req->len = 0;
    req->flushed = false;
    req->flush = NULL;
    req->link = (GList) { .data = req };
    req->all = (GList) { .data = req };
    if (req->call.type == P9_TFLUSH && req->call.size >= V9FS_HEADER + 2) {
        submit_flush(p, req);
        return;
    }
    g_queue_push_tail_link(&p->all, &req->all);
    g_mutex_lock(&p->lock);
    req->place = V9FS_QUEUED;
    g_queue_push_tail_link(&p->queued, &req->link);
    if (p->idle) {
        g_cond_signal(&p->work);
    }
    g_mutex_unlock(&p->lock);
}

/* Life ---------------------------------------------------------------------------------------- */

void v9fs_pool_start(V9fsPool *p)
{
    g_mutex_lock(&p->lock);
    p->paused = false;
    g_cond_broadcast(&p->work);
    g_mutex_unlock(&p->lock);
}

void v9fs_pool_stop(V9fsPool *p)
{
    g_mutex_lock(&p->lock);
    p->paused = true;
    while (p->running) {
        g_cond_wait(&p->quiet, &p->lock);
    }
    g_mutex_unlock(&p->lock);
    deliver_done(p);
}

void v9fs_pool_forget(V9fsPool *p)
{
    GList *link;

    g_mutex_lock(&p->lock);
    g_assert(!p->running && !p->done.length);
    while (g_queue_pop_head_link(&p->queued)) {
    }
    g_mutex_unlock(&p->lock);
    while ((link = g_queue_pop_head_link(&p->all))) {
        V9fsRequest *req = link->data;

        req->place = V9FS_IDLE;
        req->flush = NULL;
    }
}

static bool start_threads(V9fsPool *p, Error **errp)
{
    g_autoptr(GError) gerr = NULL;
    unsigned n;
    int error;

    for (n = 0; n < NR_THREADS; n++) {
        p->threads[n] = thread_try_new("9p", pool_thread, p, &gerr);
        if (!p->threads[n]) {
            break;
        }
    }
    g_mutex_lock(&p->lock);
    while (p->started < n) {
        g_cond_wait(&p->quiet, &p->lock);
    }
    error = p->error;
    g_mutex_unlock(&p->lock);
    if (gerr || error) {
        error_setg(errp, "cannot start a thread: %s",
                   gerr ? gerr->message : strerror(-error));
    }
    return !gerr && !error;
}

V9fsPool *v9fs_pool_new(V9fsState *s, V9fsDoneFunc *done, V9fsBatchFunc *batch, void *opaque,
                        Error **errp)
{
    V9fsPool *p = g_new0(V9fsPool, 1);
    int ret = event_notifier_init(&p->notifier);

    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot create an eventfd");
        g_free(p);
        return NULL;
    }
    p->s = s;
    p->done_fn = done;
    p->batch_fn = batch;
    p->opaque = opaque;
    p->paused = true;
    g_mutex_init(&p->lock);
    g_cond_init(&p->work);
    g_cond_init(&p->quiet);
    p->source = event_notifier_add_handler(&p->notifier, NULL, pool_notified, p);
    if (!start_threads(p, errp)) {
        v9fs_pool_free(p);
        return NULL;
    }
    return p;
}

void v9fs_pool_free(V9fsPool *p)
{
    g_assert(!p->all.length);
    g_mutex_lock(&p->lock);
    p->quit = true;
    g_cond_broadcast(&p->work);
    g_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < NR_THREADS && p->threads[i]; i++) {
        g_thread_join(p->threads[i]);
    }
    g_source_destroy(p->source);
    g_source_unref(p->source);
    event_notifier_cleanup(&p->notifier);
    g_mutex_clear(&p->lock);
    g_cond_clear(&p->work);
    g_cond_clear(&p->quiet);
    g_free(p);
}
