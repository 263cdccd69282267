/*
 * The threads that serve one device's 9P messages, and the order of answers that flushes ask for.
 *
 * All functions are called in the device's loop. Requests are the device's; from submit() to the
 * callback they are the pool's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_9PFS_9P_POOL_H
#define HW_9PFS_9P_POOL_H

#include "9p.h"
#include "qemu/event_notifier.h"

typedef struct V9fsPool V9fsPool;

typedef enum V9fsPlace {
    V9FS_IDLE,                  /* the device's */
    V9FS_QUEUED,                /* no thread has it yet */
    V9FS_RUNNING,               /* a thread has it, or has had it */
    V9FS_WAITING,               /* a Tflush: for another one's end */
} V9fsPlace;

typedef struct V9fsRequest {
    V9fsCall call;              /* the device fills in lists, size, type and tag */
    uint32_t len;               /* of the answer; 0: the connection is broken, or it was flushed */
    bool flushed;               /* it has no answer */
    /* Private to the pool. */
    V9fsPlace place;
    GList link;                 /* in a list of the pool's */
    GList all;                  /* in that of all */
    struct V9fsRequest *flush;  /* the first Tflush that waits for this one's end */
} V9fsRequest;

/* The request is done; the callback may give the pool new ones. */
typedef void V9fsDoneFunc(void *opaque, V9fsRequest *req);
/* Several were done. */
typedef void V9fsBatchFunc(void *opaque);

/* Start threads for s, which stays the caller's. NULL with errp set. */
V9fsPool *v9fs_pool_new(V9fsState *s, V9fsDoneFunc *done, V9fsBatchFunc *batch, void *opaque,
                        Error **errp);
/* Stopped, and empty. */
void v9fs_pool_free(V9fsPool *p);

void v9fs_pool_submit(V9fsPool *p, V9fsRequest *req);
/* Serve, from now on. */
void v9fs_pool_start(V9fsPool *p);
/* Wait for the threads; callbacks run. What no thread had yet stays. */
void v9fs_pool_stop(V9fsPool *p);
/* Stopped: forget what stays. */
void v9fs_pool_forget(V9fsPool *p);

#endif
