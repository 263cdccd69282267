/*
 * Groups of disks that share limits, and the requests that wait in them.
 *
 * Members are in loops of their own; the buckets are behind the group's lock. For reads, and for
 * writes, one of the members that wait has the turn and a timer; it lets one request go and
 * passes the turn on. Nobody has a timer while nobody waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/timer.h"
#include "throttle-internal.h"

struct ThrottleGroup {
    char *name;
    unsigned users;             /* main thread */
    GMutex lock;                /* what follows; a leaf */
    ThrottleState state;
    GPtrArray *members;         /* of ThrottleMember */
    ThrottleMember *turn[2];    /* NULL: nobody waits */
};

static GPtrArray *groups;       /* by name; main thread */

/* Groups ---------------------------------------------------------------------------------- */

ThrottleGroup *throttle_group_find(const char *name)
{
    for (guint i = 0; groups && i < groups->len; i++) {
        ThrottleGroup *g = groups->pdata[i];

        if (!strcmp(g->name, name)) {
            return g;
        }
    }
    return NULL;
}

ThrottleGroup *throttle_group_get(const char *name)
{
    ThrottleGroup *g = throttle_group_find(name);

    if (!g) {
        g = g_new0(ThrottleGroup, 1);
        g->name = g_strdup(name);
        g->members = g_ptr_array_new();
        g_mutex_init(&g->lock);
        for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
            g->state.limits.of[i].length = 1;
        }
        groups = groups ? groups : g_ptr_array_new();
        g_ptr_array_add(groups, g);
    }
    g->users++;
    return g;
}

void throttle_group_put(ThrottleGroup *g)
{
    if (--g->users) {
        return;
    }
    g_ptr_array_remove(groups, g);
    g_ptr_array_unref(g->members);
    g_mutex_clear(&g->lock);
    g_free(g->name);
    g_free(g);
    if (!groups->len) {
        g_clear_pointer(&groups, g_ptr_array_unref);
    }
}

const char *throttle_group_name(const ThrottleGroup *g)
{
    return g->name;
}

unsigned throttle_group_users(const ThrottleGroup *g)
{
    return g->users;
}

/* The member's timer, in its loop, has to look by then: ns, 0: at once. */
static void wake_locked(ThrottleMember *m, int64_t when)
{
    gint64 us = when / 1000, set = g_source_get_ready_time(m->timer);

    if (set < 0 || us < set) {
        g_source_set_ready_time(m->timer, us);
    }
}

void throttle_group_set(ThrottleGroup *g, const ThrottleLimits *limits)
{
    g_mutex_lock(&g->lock);
    g->state = (ThrottleState) { .limits = *limits, .last = g->state.last };
    for (unsigned w = 0; w < 2; w++) {
        if (g->turn[w]) {
            wake_locked(g->turn[w], 0);
        }
    }
    g_mutex_unlock(&g->lock);
}

void throttle_group_limits(ThrottleGroup *g, ThrottleLimits *limits)
{
    g_mutex_lock(&g->lock);
    *limits = g->state.limits;
    g_mutex_unlock(&g->lock);
}

/* Requests -------------------------------------------------------------------------------- */

static int64_t now_ns(void)
{
    return qemu_clock_get_ns(QEMU_CLOCK_REALTIME);
}

/* Flushes are free, and for a backend discards, which are not data: a node counts all it sees. */
static bool is_free(const ThrottleMember *m, const BlockRequest *req)
{
    return req->op == BLOCK_OP_FLUSH || (req->op == BLOCK_OP_DISCARD && !m->node);
}

static void go(ThrottleMember *m, BlockRequest *req)
{
    block_submit(m->node ? m->node->file : blk_top(m->blk), req);
}

static BlockBackend *backend(const ThrottleMember *m)
{
    return m->node ? block_top(m->node)->blk : m->blk;
}

/* The next one that waits, after m; itself if there is no other. */
static ThrottleMember *next_locked(ThrottleGroup *g, const ThrottleMember *m, unsigned w)
{
    guint start = 0;

    g_ptr_array_find_with_equal_func(g->members, m, NULL, &start);
    for (guint i = 1; i <= g->members->len; i++) {
        ThrottleMember *next = g->members->pdata[(start + i) % g->members->len];

        if (next->first[w]) {
            return next;
        }
    }
    return NULL;
}

/* One request of m's goes: it is taken out, and somebody else has the turn. */
static BlockRequest *take_locked(ThrottleMember *m, unsigned w)
{
    ThrottleGroup *g = m->group;
    BlockRequest *req = m->first[w];

    throttle_account(&g->state, w, req->bytes);
    m->first[w] = req->next;
    if (!m->first[w]) {
        m->last[w] = &m->first[w];
    }
    if (g->turn[w] == m) {
        g->turn[w] = next_locked(g, m, w);
        if (g->turn[w] && g->turn[w] != m) {
            wake_locked(g->turn[w], 0);
        }
    }
    return req;
}

/* The next request that may go now; NULL: none, and the timer is set if there is one. */
static BlockRequest *next_request(ThrottleMember *m, unsigned w)
{
    ThrottleGroup *g = m->group;
    BlockRequest *req = NULL;

    g_mutex_lock(&g->lock);
    if (g->turn[w] == m) {
        int64_t now = now_ns(), wait = throttle_wait(&g->state, w, now);

        if (wait) {
            wake_locked(m, now + wait + 1000);
        } else {
            req = take_locked(m, w);
        }
    }
    g_mutex_unlock(&g->lock);
    return req;
}

static gboolean look(gpointer opaque)
{
    ThrottleMember *m = opaque;
    BlockBackend *blk = backend(m);
    BlockRequest *req;

    for (unsigned w = 0; w < 2; w++) {
        while ((req = next_request(m, w))) {
            go(m, req);
        }
    }
    if (blk) {
        blk_kick(blk);
    }
    return G_SOURCE_CONTINUE;
}

/* Before look(): whoever sets it meanwhile sets it again. */
static gboolean timer_dispatch(GSource *source, GSourceFunc callback, gpointer opaque)
{
    ThrottleMember *m = opaque;

    g_mutex_lock(&m->group->lock);
    g_source_set_ready_time(source, -1);
    g_mutex_unlock(&m->group->lock);
    return callback(opaque);
}

static const GSourceFuncs timer_funcs = { .dispatch = timer_dispatch };

static void make_timer(ThrottleMember *m)
{
    m->timer = g_source_new((GSourceFuncs *)&timer_funcs, sizeof(GSource));
    g_source_set_callback(m->timer, look, m, NULL);
    g_source_attach(m->timer, m->ctx);
}

void throttle_submit(ThrottleMember *m, BlockRequest *req)
{
    ThrottleGroup *g = m->group;
    unsigned w = req->op != BLOCK_OP_READ;
    int64_t now = now_ns(), wait;
    bool waits;

    if (is_free(m, req)) {
        go(m, req);
        return;
    }
    g_mutex_lock(&g->lock);
    wait = throttle_wait(&g->state, w, now);
    waits = wait || g->turn[w];
    if (!waits) {
        throttle_account(&g->state, w, req->bytes);
    } else {
        req->next = NULL;
        *m->last[w] = req;
        m->last[w] = &req->next;
        if (!m->timer) {
            make_timer(m);
        }
        if (!g->turn[w]) {
            g->turn[w] = m;
            wake_locked(m, now + wait + 1000);
        }
    }
    g_mutex_unlock(&g->lock);
    if (!waits) {
        go(m, req);
    }
}

void throttle_release(ThrottleMember *m)
{
    for (unsigned w = 0; w < 2; w++) {
        while (m->first[w]) {
            BlockRequest *req;

            g_mutex_lock(&m->group->lock);
            req = take_locked(m, w);
            g_mutex_unlock(&m->group->lock);
            go(m, req);
        }
    }
}

void throttle_note(ThrottleMember *m, const BlockRequest *req)
{
    if (req->node_op == BLOCK_OP_FLUSH) {
        return;
    }
    g_mutex_lock(&m->group->lock);
    throttle_account(&m->group->state, req->node_op != BLOCK_OP_READ, req->bytes);
    g_mutex_unlock(&m->group->lock);
}

/* Members --------------------------------------------------------------------------------- */

void throttle_join(ThrottleMember *m, ThrottleGroup *g, GMainContext *ctx)
{
    m->group = g;
    m->ctx = ctx;
    m->last[0] = &m->first[0];
    m->last[1] = &m->first[1];
    g_mutex_lock(&g->lock);
    g_ptr_array_add(g->members, m);
    g_mutex_unlock(&g->lock);
}

static void drop_timer(ThrottleMember *m)
{
    g_assert(!m->first[0] && !m->first[1]);
    if (m->timer) {
        g_source_destroy(m->timer);
        g_clear_pointer(&m->timer, g_source_unref);
    }
}

void throttle_leave(ThrottleMember *m)
{
    g_mutex_lock(&m->group->lock);
    g_ptr_array_remove(m->group->members, m);
    g_mutex_unlock(&m->group->lock);
    drop_timer(m);
    throttle_group_put(m->group);
    m->group = NULL;
}

void throttle_set_context(ThrottleMember *m, GMainContext *ctx)
{
    drop_timer(m);
    m->ctx = ctx;
}
