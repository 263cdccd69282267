/*
 * Confinement of threads: each kind has a list of the system calls that it makes, and no
 * capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_CONFINE_H
#define QEMU_CONFINE_H

#include <stdbool.h>
#include <stdint.h>

struct sock_filter;

/* How many numbers of system calls have a name; the highest is below 500 today. */
#define SYSCALL_NAMES 512

/*
 * The list of one kind of thread as a program for the host's kernel (seccomp). It is made from a
 * "*-calls.inc" beside the code that calls (scripts/thread-filter.c); of length 0 in builds
 * without libseccomp and with sanitizers, whose run time makes calls of its own.
 */
typedef struct ThreadFilter {
    const struct sock_filter *insns;
    uint16_t len;
    const char *names;      /* of all system calls by number, one after the other */
} ThreadFilter;

/* Of util/iothread-calls.inc; of block/pool-calls.inc: workers that transfer and write back. */
extern const ThreadFilter iothread_filter, block_pool_filter;

/*
 * Capability cap (CAP_*) is needed while the guest runs, by the main thread or a program that it
 * starts; CAP_IPC_LOCK by every thread. Main thread, before confine_threads().
 */
void confine_keep_capability(unsigned cap);

/* The calling thread keeps these (bits, CAP_*), if it has them, when it is confined. */
void thread_keep_capabilities(uint64_t set);

/*
 * The calling thread loses all capabilities but the kept ones (whole_process: the main thread; else
 * CAP_IPC_LOCK alone is kept), and can gain none by starting programs. Where that fails nothing was
 * there to be lost.
 */
void confine_drop_capabilities(bool whole_process);

/* From now on thread_confine() confines. Main thread. */
void confine_threads(void);

/*
 * To be called by a thread before each piece of work. At its first call after confine_threads()
 * the thread gives up all capabilities and every system call that is not in filter's list: to
 * make one ends the process with a line that names it. Threads that it starts are confined alike.
 */
void thread_confine(const ThreadFilter *filter);

#endif
