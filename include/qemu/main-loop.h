/*
 * The main loop and the machine lock.
 *
 * The main loop is GLib's default main context: backends and devices add
 * their file descriptors with g_unix_fd_add() and friends. Callbacks run with
 * the machine lock held; it is free while the loop sleeps. vCPU threads take
 * it around accesses to device registers. The data path never takes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_MAIN_LOOP_H
#define QEMU_MAIN_LOOP_H

#include <glib.h>
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

/* The machine lock ("big QEMU lock"): not recursive. */
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
