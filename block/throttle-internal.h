/*
 * Leaky buckets, groups that share them, and requests that wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_THROTTLE_INTERNAL_H
#define BLOCK_THROTTLE_INTERNAL_H

#include "block-internal.h"
#include "block/throttle.h"

/* What has gone in and not leaked out yet, in bytes or requests. */
typedef struct ThrottleBucket {
    double level;               /* leaks at the limit's avg */
    double burst;               /* leaks at its max: long bursts */
} ThrottleBucket;

typedef struct ThrottleState {
    ThrottleLimits limits;
    ThrottleBucket buckets[THROTTLE__KINDS];
    int64_t last;               /* when they leaked, ns */
} ThrottleState;

/* Buckets: throttle.c. Pure. */
bool throttle_check(const ThrottleLimits *limits, Error **errp);
bool throttle_is_on(const ThrottleLimits *limits);
/* ns from now on until a request may go; 0: now. */
int64_t throttle_wait(ThrottleState *s, bool is_write, int64_t now);
void throttle_account(ThrottleState *s, bool is_write, uint64_t bytes);

typedef struct ThrottleGroup ThrottleGroup;

/* Who has a group's limits: a backend, or a node of driver "throttle". */
typedef struct ThrottleMember {
    ThrottleGroup *group;
    BlockBackend *blk;          /* NULL: */
    BlockNode *node;            /* whose file gets the requests */
    GMainContext *ctx;
    GSource *timer;             /* in the loop since a request first waited; NULL before */
    /* That wait, reads and writes: written in the loop with the group's lock, read with either. */
    BlockRequest *first[2], **last[2];
} ThrottleMember;

/* Groups: throttle-group.c. Main thread. */
ThrottleGroup *throttle_group_find(const char *name);
/* One more user of the group; it comes into being with its first. */
ThrottleGroup *throttle_group_get(const char *name);
void throttle_group_put(ThrottleGroup *g);
const char *throttle_group_name(const ThrottleGroup *g);
unsigned throttle_group_users(const ThrottleGroup *g);
/* Checked limits. Buckets are empty then. */
void throttle_group_set(ThrottleGroup *g, const ThrottleLimits *limits);
void throttle_group_limits(ThrottleGroup *g, ThrottleLimits *limits);

/* Nothing is in flight in these three. join() takes the group's reference over. */
void throttle_join(ThrottleMember *m, ThrottleGroup *g, GMainContext *ctx);
void throttle_leave(ThrottleMember *m);
void throttle_set_context(ThrottleMember *m, GMainContext *ctx);
/* In the loop: pass the request on, now or when it may go. */
void throttle_submit(ThrottleMember *m, BlockRequest *req);
/* In the loop: all that waits goes now, and is paid for by what comes later. */
void throttle_release(ThrottleMember *m);
/* A request that does not wait; any thread. */
void throttle_note(ThrottleMember *m, const BlockRequest *req);

#endif
