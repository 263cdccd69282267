/*
 * GLib's main context with the machine lock around its callbacks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/main-loop.h"

#include <stdatomic.h>

/* One process has one main context; this is what belongs to it. */
static struct {
    GMutex lock;                /* the machine lock (BQL): docs/devel/locks.rst */
    GMutex turn;                /* the loop's while it waits for the lock */
    _Atomic bool wanted;        /* it waits */
    GMainLoop *loop;
} main_loop;

static __thread bool lock_held;
static __thread bool is_loop;       /* the thread of the main loop */

static void lock_first(void)
{
    if (!g_mutex_trylock(&main_loop.lock)) {
        g_mutex_lock(&main_loop.turn);
        atomic_store(&main_loop.wanted, true);
        g_mutex_lock(&main_loop.lock);
        atomic_store(&main_loop.wanted, false);
        g_mutex_unlock(&main_loop.turn);
    }
}

static void lock_in_turn(void)
{
    if (atomic_load_explicit(&main_loop.wanted, memory_order_relaxed)) {
        g_mutex_lock(&main_loop.turn);
        g_mutex_unlock(&main_loop.turn);
    }
    g_mutex_lock(&main_loop.lock);
}

/* The loop goes first: a vCPU that comes back to a slow register at once could keep it out. */
void bql_lock(void)
{
    g_assert(!lock_held);
    if (is_loop) {
        lock_first();
    } else {
        lock_in_turn();
    }
    lock_held = true;
}

void bql_unlock(void)
{
    g_assert(lock_held);
    lock_held = false;
    g_mutex_unlock(&main_loop.lock);
}

bool bql_locked(void)
{
    return lock_held;
}

void bql_cond_wait(GCond *cond)
{
    g_assert(lock_held);
    lock_held = false;
    g_cond_wait(cond, &main_loop.lock);
    lock_held = true;
}

/* The lock is free exactly while the loop looks for events. */
static gint poll_unlocked(GPollFD *fds, guint nfds, gint timeout)
{
    gint ret;

    if (!lock_held) {
        return g_poll(fds, nfds, timeout);
    }
    /* Without a time-out too: vCPUs have their turn while idle callbacks are queued. */
    bql_unlock();
    ret = g_poll(fds, nfds, timeout);
    bql_lock();
    return ret;
}

void qemu_init_main_loop(void)
{
    g_main_context_set_poll_func(NULL, poll_unlocked);
    main_loop.loop = g_main_loop_new(NULL, FALSE);
    is_loop = true;
    bql_lock();
}

void qemu_main_loop(void)
{
    g_main_loop_run(main_loop.loop);
}

bool qemu_main_loop_running(void)
{
    return main_loop.loop && g_main_loop_is_running(main_loop.loop);
}

void qemu_main_loop_quit(void)
{
    g_main_loop_quit(main_loop.loop);
}

static GSource *fd_source(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque,
                          GDestroyNotify free)
{
    GSource *source = g_unix_fd_source_new(fd, cond);

    g_source_set_callback(source, G_SOURCE_FUNC(fn), opaque, free);
    g_source_set_can_recurse(source, TRUE);
    return source;
}

GSource *qemu_fd_source(GMainContext *ctx, int fd, GIOCondition cond, GUnixFDSourceFunc fn,
                        void *opaque, GDestroyNotify free)
{
    GSource *source = fd_source(fd, cond, fn, opaque, free);

    g_source_attach(source, ctx);
    return source;
}

guint qemu_fd_add(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque)
{
    GSource *source = fd_source(fd, cond, fn, opaque, NULL);
    guint tag = g_source_attach(source, NULL);

    g_source_unref(source);
    return tag;
}

typedef struct OneshotBH {
    QEMUBHFunc *fn;
    void *opaque;
} OneshotBH;

static gboolean run_oneshot(gpointer data)
{
    OneshotBH *bh = data;

    bh->fn(bh->opaque);
    return G_SOURCE_REMOVE;
}

void qemu_bh_schedule_oneshot(QEMUBHFunc *fn, void *opaque)
{
    OneshotBH *bh = g_new0(OneshotBH, 1);
    GSource *source = g_idle_source_new();

    bh->fn = fn;
    bh->opaque = opaque;
    g_source_set_priority(source, G_PRIORITY_DEFAULT);
    g_source_set_callback(source, run_oneshot, bh, g_free);
    g_source_attach(source, NULL);
    g_source_unref(source);
}
