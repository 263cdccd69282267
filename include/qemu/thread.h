/*
 * Threads beside the main one.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_THREAD_H
#define QEMU_THREAD_H

#include <glib.h>

/*
 * As g_thread_try_new(), for a thread that no signal interrupts: those for the process are the
 * main thread's business. Faults of the thread's own code do arrive. Joined by the caller.
 */
GThread *thread_try_new(const char *name, GThreadFunc fn, void *opaque, GError **err);

#endif
