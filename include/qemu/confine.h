/*
 * Confinement of threads: each kind has a list of the system calls that it makes, and no
 * capabilities.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_CONFINE_H
#define QEMU_CONFINE_H

#include <errno.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu/error.h"

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

/* Stands in a list for the number of this process. */
#define CONFINE_OWN_PID 0x5e1f0001

/* What the host's kernel answers to calls that -sandbox closes, and qemu_open() for files. */
#define ESANDBOX EKEYREJECTED

/*
 * Capability cap (CAP_*) is needed while the guest runs, by the main thread or a program that it
 * starts; CAP_IPC_LOCK by every thread. Main thread, before confine_close().
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

/* strerror() that knows ESANDBOX. */
const char *confine_strerror(int err);
/*
 * err, the errno of opening or making path (to write it): ESANDBOX if no permission is lacking
 * and so -sandbox must have closed it.
 */
int confine_errno(const char *path, bool write, int err);

/* Whether the host's kernel can confine system calls: 0 or errno. */
int confine_probe(void);

/*
 * All is set up: needs are not declared any more. From now on thread_confine() confines, unless
 * threads is false: the kernel cannot. Main thread.
 */
void confine_close(bool threads);
/* The calling thread is left with what filter lets pass; more than one can be entered. */
void confine_enter(const ThreadFilter *filter);

/*
 * What the main thread does while the guest runs. Whoever will do it says so before
 * confine_close(); the rest is closed then. Later it is without effect. Main thread.
 */
typedef enum ConfineNeed {
    CONFINE_SOCKETS = 1,        /* make, connect, bind sockets */
    CONFINE_NAMES = 2,          /* look up names of hosts, by sockets and files */
    CONFINE_PROGRAMS = 4,       /* start programs, which do as they please */
    CONFINE_MONITOR = 8,        /* whatever somebody at a monitor asks for */
} ConfineNeed;

typedef enum ConfineAccess {
    CONFINE_READ,
    CONFINE_WRITE,              /* and read */
    CONFINE_REMOVE,             /* the file goes at the end */
    CONFINE_AGAIN_READ,         /* only a monitor can want to open it once more */
    CONFINE_AGAIN_WRITE,
} ConfineAccess;

typedef struct ConfinePath {
    char *path;
    ConfineAccess access;
} ConfinePath;

void confine_need(ConfineNeed need);
void confine_need_path(const char *path, ConfineAccess access);
/* Whether programs can be started now; or errp. */
bool confine_programs(Error **errp);
/* What was said: a set of ConfineNeed; the paths (NULL: none), owned by this module. */
unsigned confine_needs(void);
const GArray *confine_paths(void);

/* What another process of ours has to know to confine itself as this one does. */
typedef struct ConfineOrders {
    bool off;                   /* -sandbox off: only user and root folder change */
    bool strict;                /* what this host cannot do is an error */
    bool dumpable;
    bool daemon;                /* nobody reads standard error */
    bool programs;              /* may be started (spawn=allow) */
    unsigned denied;            /* sets of calls that -sandbox denies; 0: none */
    const char *root;           /* NULL: it stays */
    bool has_user;              /* become uid and gid */
    uint32_t uid, gid;
    const char *user;           /* for its other groups; NULL: none */
    const GPtrArray *folders;   /* -sandbox path=; NULL: none named */
} ConfineOrders;
typedef bool ConfineProcessFn(const ConfineOrders *orders, Error **errp);

/* fn has a process that is to be told; called once, by confine_process_orders(). */
void confine_add_process(ConfineProcessFn *fn);
/* The orders, from now on; they stay the caller's. False with errp set. Main thread. */
bool confine_process_orders(const ConfineOrders *orders, Error **errp);
/* NULL: not yet. For processes that are started later. */
const ConfineOrders *confine_orders(void);

/*
 * To be called by a thread before each piece of work. At its first call after confine_close()
 * the thread gives up all capabilities and every system call that is not in filter's list: to
 * make one ends the process with a line that names it. Threads that it starts are confined alike.
 */
void thread_confine(const ThreadFilter *filter);
/* Whether that would be the one; false also where nothing is confined. */
bool thread_confine_due(void);

#endif
