/*
 * The main loop and the machine lock.
 *
 * The main loop is GLib's default main context: backends and devices add
 * their file descriptors with qemu_fd_add() and friends. Callbacks run with
 * the machine lock held; it is free while the loop sleeps. vCPU threads take
 * it around accesses to device registers. The data path never takes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_MAIN_LOOP_H
#define QEMU_MAIN_LOOP_H

#include <glib-unix.h>
#include <stdbool.h>

/*
 * Prepare the default context; the caller then holds the machine lock. Once,
 * before any thread is started (and after -daemonize has forked).
 */
void qemu_init_main_loop(void);

/* Run until qemu_main_loop_quit(). Call with the machine lock held. */
void qemu_main_loop(void);
/* Any thread or callback. */
void qemu_main_loop_quit(void);
/* The machine is there, and clients are: nothing may wait. */
bool qemu_main_loop_running(void);

/*
 * Call fn from ctx's loop (NULL: the main loop) while cond holds for fd, until it
 * returns false. As GLib's sources, but for loops that are never run from inside
 * a callback: it need not take fd out of the loop around each call and put
 * it back, which costs three system calls. free (may be NULL) gets opaque in the end.
 * The caller has a reference.
 */
GSource *qemu_fd_source(GMainContext *ctx, int fd, GIOCondition cond, GUnixFDSourceFunc fn,
                        void *opaque, GDestroyNotify free);
/* The same in the main loop as g_unix_fd_add(): a tag for g_source_remove(). */
guint qemu_fd_add(int fd, GIOCondition cond, GUnixFDSourceFunc fn, void *opaque);

/*
 * A wake-up of the calling thread's loop found n requests. Where the host has one CPU
 * that decides how eager the loop is to run (util/loop-batch.c).
 */
void qemu_loop_found_work(unsigned n);

/*
 * The machine lock ("big QEMU lock"): not recursive. The main loop has it in turns with each other
 * thread that takes it without pause.
 */
void bql_lock(void);
void bql_unlock(void);
/* True when the calling thread holds it. */
bool bql_locked(void);

/* Wait on cond, giving up the machine lock meanwhile. */
void bql_cond_wait(GCond *cond);

/* Run fn(opaque) soon from the main loop, under the lock. Any thread. */
typedef void QEMUBHFunc(void *opaque);
void qemu_bh_schedule_oneshot(QEMUBHFunc *fn, void *opaque);

#endif
