/*
 * Pieces of qcow2's tables in memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "qcow2-alloc.h"

/* A worker needs two at a time; more let the others go on. */
#define MIN_SLICES 16

void qcow2_cache_init(Qcow2Cache *c, uint64_t bytes, unsigned slice)
{
    c->slices = g_hash_table_new(NULL, NULL);
    g_queue_init(&c->age);
    c->max = MAX(bytes / slice, MIN_SLICES);
}

static void drop(Qcow2Cache *c, Qcow2Slice *sl)
{
    g_hash_table_remove(c->slices, GSIZE_TO_POINTER(sl->offset));
    g_queue_unlink(&c->age, &sl->link);
    g_free(sl);
}

void qcow2_cache_clear(Qcow2Cache *c)
{
    GList *link;

    while (c->slices && (link = c->age.head)) {
        drop(c, link->data);
    }
    g_clear_pointer(&c->slices, g_hash_table_unref);
}

void qcow2_cache_clean(Qcow2Cache *c)
{
    GList *next;

    for (GList *l = c->slices ? c->age.head : NULL; l; l = next) {
        Qcow2Slice *sl = l->data;

        next = l->next;
        if (!sl->used && !sl->loading && !sl->dirty && !sl->writing) {
            drop(c, sl);
        } else {
            sl->used = false;
        }
    }
}

Qcow2Slice *qcow2_cache_find(Qcow2Cache *c, uint64_t offset)
{
    Qcow2Slice *sl = c->age.head ? c->age.head->data : NULL;

    /* Nearly always the one that was looked at last. */
    if (!sl || sl->offset != offset) {
        sl = g_hash_table_lookup(c->slices, GSIZE_TO_POINTER(offset));
    }
    if (!sl || sl->loading) {
        return NULL;
    }
    sl->used = true;
    if (c->age.head != &sl->link) {
        g_queue_unlink(&c->age, &sl->link);
        g_queue_push_head_link(&c->age, &sl->link);
    }
    return sl;
}

void qcow2_cache_dirty(Qcow2Cache *c, Qcow2Slice *sl)
{
    if (!sl->dirty) {
        sl->dirty = true;
        c->dirty++;
    }
}

void qcow2_cache_forget(Qcow2Node *s, Qcow2Cache *c, uint64_t cluster)
{
    for (uint64_t done = 0; done < s->cluster_size; done += s->slice) {
        uint64_t offset = cluster + done;
        Qcow2Slice *sl = g_hash_table_lookup(c->slices, GSIZE_TO_POINTER(offset));

        if (sl) {
            g_assert(!sl->loading && !sl->dirty && !sl->writing);
            drop(c, sl);
        }
    }
}

/* The oldest that the file has as well. */
static Qcow2Slice *oldest_clean(const Qcow2Cache *c)
{
    for (GList *l = c->age.tail; l; l = l->prev) {
        Qcow2Slice *sl = l->data;

        if (!sl->loading && !sl->dirty && !sl->writing) {
            return sl;
        }
    }
    return NULL;
}

/* A new slice, loading; NULL: wait until one can go. */
static Qcow2Slice *new_slice(Qcow2Node *s, Qcow2Cache *c, uint64_t offset)
{
    Qcow2Slice *sl;

    if (g_hash_table_size(c->slices) >= c->max) {
        sl = oldest_clean(c);
        if (!sl) {
            return NULL;
        }
        drop(c, sl);
    }
    sl = g_malloc0(sizeof(*sl) + s->slice);
    sl->offset = offset;
    sl->loading = true;
    sl->link.data = sl;
    g_hash_table_insert(c->slices, GSIZE_TO_POINTER(sl->offset), sl);
    g_queue_push_head_link(&c->age, &sl->link);
    return sl;
}

int qcow2_cache_load(Qcow2Node *s, Qcow2Cache *c, uint64_t offset)
{
    Qcow2Slice *sl = g_hash_table_lookup(c->slices, GSIZE_TO_POINTER(offset));
    int ret;

    if (sl) {
        while ((sl = g_hash_table_lookup(c->slices, GSIZE_TO_POINTER(offset))) && sl->loading) {
            g_cond_wait(&s->cond, &s->lock);
        }
        return 0;               /* or it failed for another: the caller looks again */
    }
    sl = new_slice(s, c, offset);
    if (!sl && c->dirty) {
        g_mutex_unlock(&s->lock);
        ret = qcow2_commit(s);
        g_mutex_lock(&s->lock);
        return ret;
    }
    if (!sl) {
        g_cond_wait(&s->cond, &s->lock);
        return 0;
    }
    g_mutex_unlock(&s->lock);
    ret = block_pread(s->bs.file, offset, sl->data, s->slice);
    g_mutex_lock(&s->lock);
    sl->loading = false;
    if (ret < 0) {
        drop(c, sl);
    }
    g_cond_broadcast(&s->cond);
    return ret;
}
