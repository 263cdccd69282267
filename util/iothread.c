/*
 * -object iothread: a thread with an event loop of its own.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/iothread.h"

#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/thread.h"
#include "qemu/timer.h"

/* A call that another thread waits for. */
typedef struct SyncCall {
    IOThreadFunc *fn;
    void *opaque;
    GMutex lock;                /* done; a leaf */
    GCond cond;
    bool done;
} SyncCall;

/* The iothread whose loop the calling thread runs, for the poll function. */
static __thread IOThread *current_iothread;

GMainContext *iothread_get_context(IOThread *iothread)
{
    return iothread ? iothread->ctx : NULL;
}

/* True on the iothread's own thread (on any thread for NULL). */
static bool is_self(const IOThread *iothread)
{
    return !iothread || current_iothread == iothread;
}

static gboolean sync_call(gpointer opaque)
{
    SyncCall *call = opaque;

    call->fn(call->opaque);
    g_mutex_lock(&call->lock);
    call->done = true;
    g_cond_signal(&call->cond);
    g_mutex_unlock(&call->lock);
    return G_SOURCE_REMOVE;
}

void iothread_run(IOThread *iothread, IOThreadFunc *fn, void *opaque)
{
    SyncCall call = { .fn = fn, .opaque = opaque };
    GSource *source;

    if (is_self(iothread)) {
        fn(opaque);
        return;
    }
    g_mutex_init(&call.lock);
    g_cond_init(&call.cond);
    source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, sync_call, &call, NULL);
    g_source_attach(source, iothread->ctx);
    g_source_unref(source);
    g_mutex_lock(&call.lock);
    while (!call.done) {
        g_cond_wait(&call.cond, &call.lock);
    }
    g_mutex_unlock(&call.lock);
    g_cond_clear(&call.cond);
    g_mutex_clear(&call.lock);
}

/* Look for a while before sleeping: poll-max-ns. */
static gint poll_busily(GPollFD *fds, guint nfds, gint timeout)
{
    IOThread *iothread = current_iothread;
    int64_t end;
    gint ret;

    if (!timeout || !iothread->poll_max_ns) {
        return g_poll(fds, nfds, timeout);
    }
    end = qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + iothread->poll_max_ns;
    do {
        ret = g_poll(fds, nfds, 0);
    } while (!ret && qemu_clock_get_ns(QEMU_CLOCK_REALTIME) < end);
    return ret ? ret : g_poll(fds, nfds, timeout);
}

static void *iothread_main(void *opaque)
{
    IOThread *iothread = opaque;

    thread_confine(&iothread_filter);
    current_iothread = iothread;
    iothread->thread_id = gettid();
    g_main_loop_run(iothread->loop);
    return NULL;
}

static void iothread_nothing(void *opaque)
{
}

static void confine_self(void *opaque)
{
    thread_confine(&iothread_filter);
}

void iothread_confine(IOThread *iothread)
{
    iothread_run(iothread, confine_self, NULL);
}

static bool iothread_complete(Object *obj, Error **errp)
{
    IOThread *iothread = downcast(obj, IOThread, obj);
    g_autoptr(GError) gerr = NULL;

    iothread->ctx = g_main_context_new();
    g_main_context_set_poll_func(iothread->ctx, poll_busily);
    iothread->loop = g_main_loop_new(iothread->ctx, FALSE);
    iothread->thread = thread_try_new("iothread", iothread_main, iothread, &gerr);
    if (!iothread->thread) {
        error_setg(errp, "cannot create a thread for '%s': %s", obj->id,
                   gerr->message);
        return false;
    }
    /* From here on its thread id is known. */
    iothread_run(iothread, iothread_nothing, NULL);
    return true;
}

static void iothread_quit(void *opaque)
{
    IOThread *iothread = opaque;

    g_main_loop_quit(iothread->loop);
}

static void iothread_finalize(Object *obj)
{
    IOThread *iothread = downcast(obj, IOThread, obj);

    if (iothread->thread) {
        iothread_run(iothread, iothread_quit, iothread);
        g_thread_join(iothread->thread);
    }
    g_clear_pointer(&iothread->loop, g_main_loop_unref);
    g_clear_pointer(&iothread->ctx, g_main_context_unref);
}

static bool set_thread_id(Object *obj, const Property *prop, const char *value,
                          Error **errp)
{
    error_setg(errp, "Property '%s.%s' is read-only", obj->oc->name, prop->name);
    return false;
}

static char *get_thread_id(const Object *obj, const Property *prop)
{
    return g_strdup_printf("%d", downcast(obj, const IOThread, obj)->thread_id);
}

static const PropertyInfo prop_thread_id = {
    .name = "int", .kind = PROP_KIND_INT, .set = set_thread_id, .get = get_thread_id,
};

static const Property iothread_props[] = {
    DEFINE_PROP("thread-id", IOThread, thread_id, prop_thread_id, int, NULL,
                "Linux thread id; read-only"),
    DEFINE_PROP_UINT64("poll-max-ns", IOThread, poll_max_ns, "0",
                       "how long to look for work before sleeping"),
    DEFINE_PROP_IGNORED("poll-grow", "accepted, without effect"),
    DEFINE_PROP_IGNORED("poll-shrink", "accepted, without effect"),
    DEFINE_PROP_IGNORED("aio-max-batch", "accepted, without effect"),
    DEFINE_PROP_IGNORED("thread-pool-min", "accepted, without effect"),
    DEFINE_PROP_IGNORED("thread-pool-max", "accepted, without effect"),
    DEFINE_PROP_END
};

static const ObjectClass iothread_class = {
    .name = "iothread",
    .desc = "An event loop for devices in a thread of its own",
    .instance_size = sizeof(IOThread),
    .props = iothread_props,
    .complete = iothread_complete,
    .finalize = iothread_finalize,
};
bool object_is_iothread(const Object *obj)
{
    return obj->oc == &iothread_class;
}

DEFINE_CLASS(iothread, &iothread_class);
