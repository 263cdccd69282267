/*
 * Threads that run an event loop for devices: -object iothread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_IOTHREAD_H
#define QEMU_IOTHREAD_H

#include <glib.h>

#include "qemu/object.h"

/* Fields private to util/iothread.c. */
typedef struct IOThread {
    Object obj;
    GMainContext *ctx;
    GMainLoop *loop;
    GThread *thread;
    uint64_t poll_max_ns;       /* how long to look before sleeping */
    int thread_id;              /* Linux TID */
} IOThread;

bool object_is_iothread(const Object *obj);

typedef void IOThreadFunc(void *opaque);

/* Its context for GSources; NULL (main loop) for a NULL iothread. */
GMainContext *iothread_get_context(IOThread *iothread);
/*
 * Run fn(opaque) on the thread between two callbacks and wait until it is
 * done. With a NULL iothread, call it here: the caller holds the machine lock,
 * so no main loop callback is running. fn must not take the machine lock
 * otherwise: the caller may hold it while it waits.
 */
void iothread_run(IOThread *iothread, IOThreadFunc *fn, void *opaque);
/* After confine_threads(), for one that was there before: those that start later do it. */
void iothread_confine(IOThread *iothread);

#endif
