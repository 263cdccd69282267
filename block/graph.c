/*
 * Nodes change their places while guests use them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap.h"
#include "job-internal.h"
#include "qemu/cutils.h"

/* Nothing in flight --------------------------------------------------------------------- */

/* A loop that is held while its disks are quiet. */
typedef struct Held {
    BlockBackend **blks;
    unsigned n;
    GMutex lock;                /* what follows; a leaf */
    GCond cond;
    bool quiet, go, gone;
} Held;

/* In the loop. */
static gboolean hold(gpointer opaque)
{
    Held *h = opaque;

    for (unsigned i = 0; i < h->n; i++) {
        blk_drain(h->blks[i]);
    }
    g_mutex_lock(&h->lock);
    h->quiet = true;
    g_cond_broadcast(&h->cond);
    while (!h->go) {
        g_cond_wait(&h->cond, &h->lock);
    }
    h->gone = true;
    g_cond_broadcast(&h->cond);
    g_mutex_unlock(&h->lock);
    return G_SOURCE_REMOVE;
}

static void hold_begin(Held *h)
{
    GSource *source;

    g_mutex_init(&h->lock);
    g_cond_init(&h->cond);
    source = g_idle_source_new();
    g_source_set_priority(source, G_PRIORITY_HIGH);
    g_source_set_callback(source, hold, h, NULL);
    g_source_attach(source, h->blks[0]->ctx);
    g_source_unref(source);
    g_mutex_lock(&h->lock);
    while (!h->quiet) {
        g_cond_wait(&h->cond, &h->lock);
    }
    g_mutex_unlock(&h->lock);
}

static void hold_end(Held *h)
{
    g_mutex_lock(&h->lock);
    h->go = true;
    g_cond_broadcast(&h->cond);
    while (!h->gone) {
        g_cond_wait(&h->cond, &h->lock);
    }
    g_mutex_unlock(&h->lock);
    g_mutex_clear(&h->lock);
    g_cond_clear(&h->cond);
}

static int compare_loops(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)(*(BlockBackend *const *)a)->ctx;
    uintptr_t y = (uintptr_t)(*(BlockBackend *const *)b)->ctx;

    return x < y ? -1 : x > y;
}

/* Whoever uses nodes without a loop, or a job's disk. Who changes places comes first. */
static struct {
    GMutex lock;                /* what follows; a leaf */
    GCond cond;
    unsigned users;
    bool wanted;
} graph;

void block_graph_enter(void)
{
    g_mutex_lock(&graph.lock);
    while (graph.wanted) {
        g_cond_wait(&graph.cond, &graph.lock);
    }
    graph.users++;
    g_mutex_unlock(&graph.lock);
}

void block_graph_leave(void)
{
    g_mutex_lock(&graph.lock);
    graph.users--;
    g_cond_broadcast(&graph.cond);
    g_mutex_unlock(&graph.lock);
}

static void graph_change_begin(void)
{
    g_mutex_lock(&graph.lock);
    graph.wanted = true;
    while (graph.users) {
        g_cond_wait(&graph.cond, &graph.lock);
    }
    g_mutex_unlock(&graph.lock);
}

static void graph_change_end(void)
{
    g_mutex_lock(&graph.lock);
    graph.wanted = false;
    g_cond_broadcast(&graph.cond);
    g_mutex_unlock(&graph.lock);
}

/* Disks of the main loop come first, those of one loop together. */
void block_quiesce(BlockBackend **blks, unsigned n, BlockQuietFn *fn, void *opaque)
{
    g_autofree Held *held = g_new0(Held, n);
    unsigned loops = 0, i = 0;

    qsort(blks, n, sizeof(*blks), compare_loops);
    for (; i < n && !blks[i]->ctx; i++) {
        blk_drain(blks[i]);
    }
    for (; i < n; i += held[loops++].n) {
        Held *h = &held[loops];

        h->blks = &blks[i];
        while (i + h->n < n && blks[i + h->n]->ctx == blks[i]->ctx) {
            h->n++;
        }
        hold_begin(h);
    }
    graph_change_begin();
    fn(opaque);
    graph_change_end();
    while (loops) {
        hold_end(&held[--loops]);
    }
}

/* Places ---------------------------------------------------------------------------------- */

bool block_reopen(BlockNode *bs, bool read_only, Error **errp)
{
    const BlockDriver *drv = block_driver(bs);
    bool was = bs->read_only;

    if (bs->is_ro == read_only) {
        return true;
    }
    if (!drv->reopen || bs->twins) {
        error_setg(errp, "Node '%s' cannot be opened again for %s", bs->node_name,
                   read_only ? "reading" : "writing");
        return false;
    }
    bs->read_only = read_only;
    if (!drv->reopen(bs, read_only, errp)) {
        bs->read_only = was;
        return false;
    }
    bs->is_ro = read_only;
    block_renew_engines(bs);
    return true;
}

void block_replace_root(BlockBackend *blk, BlockNode *bs)
{
    g_assert(!blk->filter);
    blk->root->blk = NULL;
    blk->root = bs;
    bs->blk = blk;
    bs->parent = NULL;
    block_renew_engines(bs);
}

void block_detach_child(BlockNode *bs, BlockChild slot)
{
    if (bs->child[slot]) {
        bs->child[slot]->parent = NULL;
        bs->child[slot] = NULL;
    }
}

void block_drop_node(BlockNode *bs)
{
    BlockNode *below;

    while (bs && !bs->parent && !bs->blk && bs->node_name[0] == '#' && !bs->twins) {
        below = bs->backing;
        block_detach_child(bs, BLOCK_BACKING);
        block_node_close(bs);
        bs = below;
    }
}

bool block_is_below(const BlockNode *bs, const BlockNode *base)
{
    for (bs = bs->backing; bs; bs = bs->backing) {
        if (bs == base) {
            return true;
        }
    }
    return false;
}

const char *block_chain_node(const char *device, const char *filename)
{
    BlockBackend *blk = blk_find(device);

    for (const BlockNode *bs = blk ? blk->root : NULL; bs; bs = bs->backing) {
        if (!strcmp(bs->filename, filename)) {
            return bs->node_name;
        }
    }
    return NULL;
}

/* Data -------------------------------------------------------------------------------------- */

int block_allocated_above(BlockNode *bs, const BlockNode *base, uint64_t pos, uint64_t bytes,
                          uint64_t *n)
{
    for (; bs && bs != base; bs = bs->backing) {
        uint64_t length = __atomic_load_n(&bs->length, __ATOMIC_ACQUIRE);
        int ret = 1;

        *n = bytes;
        if (pos < length && block_driver(bs)->allocated) {
            ret = block_driver(bs)->allocated(bs, pos, MIN(bytes, length - pos), n);
        }
        if (ret) {
            return ret;
        }
        bytes = *n;
    }
    *n = bytes;
    return 0;
}
