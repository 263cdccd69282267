/*
 * Threads are started with their signals blocked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/thread.h"

#include <signal.h>

GThread *thread_try_new(const char *name, GThreadFunc fn, void *opaque, GError **err)
{
    GThread *thread;
    sigset_t all, old;

    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    /* The new thread has them from its first instruction on. */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    thread = g_thread_try_new(name, fn, opaque, err);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return thread;
}
