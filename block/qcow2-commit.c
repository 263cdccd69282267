/*
 * From memory to the file: qcow2's tables in an order that a crash does no harm to.
 *
 * A commit takes a picture of all tables in memory that the file does not have. In it every
 * reference is to a cluster that is counted and whose contents were written. Counts go first,
 * then a flush, then what refers to the clusters, then a flush. What lost its last reference is
 * counted down only after that: whatever a crash leaves out, nothing is referred to that is not
 * counted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-alloc.h"

#define L1_PIECE (BDRV_SECTOR_SIZE / sizeof(uint64_t))  /* entries that are written at once */

int qcow2_pwrite(BlockNode *bs, uint64_t pos, const void *buf, size_t len)
{
    struct iovec iov = { (void *)buf, len };
    BlockRequest req = { .node_op = BLOCK_OP_WRITE, .pos = pos, .bytes = len,
                         .iov = &iov, .niov = 1 };

    return block_run(bs, &req);
}

int qcow2_flush_files(Qcow2Node *s)
{
    int ret = s->bs.data_file ? block_run_flush(s->bs.data_file) : 0;

    return ret < 0 ? ret : block_run_flush(s->bs.file);
}

/* Who may still be using what was freed ----------------------------------------------- */

void qcow2_push(GArray *list, uint64_t offset)
{
    g_array_append_val(list, offset);
}

static void move_all(GArray *to, GArray *from)
{
    g_array_append_vals(to, from->data, from->len);
    g_array_set_size(from, 0);
}

/*
 * Requests are of one of two epochs. Those that began before a cluster lost its last reference
 * may still be on their way to it; when all of an epoch have ended, it may be used again.
 */
static void advance(Qcow2Node *s)
{
    for (unsigned i = 0; i < 2; i++) {
        if (s->users[!s->epoch]) {
            return;
        }
        move_all(s->reclaim, s->waiting);
        if (!s->retired->len) {
            return;
        }
        move_all(s->waiting, s->retired);
        s->epoch = !s->epoch;
    }
}

unsigned qcow2_enter(Qcow2Node *s)
{
    s->users[s->epoch]++;
    return s->epoch;
}

void qcow2_leave(Qcow2Node *s, unsigned epoch)
{
    g_assert(s->users[epoch]);
    if (!--s->users[epoch] && s->writable && (s->waiting->len || s->retired->len)) {
        advance(s);
    }
}

/* Commits ------------------------------------------------------------------------------- */

bool qcow2_is_clean(const Qcow2Node *s)
{
    return !s->committing && !s->l2_cache.dirty && !s->ref_cache.dirty && !s->l1_n_dirty;
}

/* A piece of the picture. */
typedef struct Piece {
    Qcow2Slice *sl;             /* that it is of; NULL: the L1 table */
    uint64_t offset;
    uint64_t *data;
} Piece;

typedef struct Picture {
    GArray *counts, *l2, *l1;   /* of Piece */
    GArray *freed;              /* clusters that nothing in it refers to */
} Picture;

static void take_slices(Qcow2Node *s, Qcow2Cache *c, GArray *to)
{
    for (GList *l = c->age.head; l && c->dirty; l = l->next) {
        Qcow2Slice *sl = l->data;

        if (sl->dirty) {
            Piece p = { sl, sl->offset, g_memdup2(sl->data, s->slice) };

            sl->dirty = false;
            sl->writing = true;
            c->dirty--;
            g_array_append_val(to, p);
        }
    }
}

static void take_l1(Qcow2Node *s, GArray *to)
{
    uint32_t pieces = DIV_ROUND_UP(s->l1_size, L1_PIECE);

    for (uint32_t i = 0; i < pieces && s->l1_n_dirty; i++) {
        Piece p = { NULL, s->h.l1_offset + i * BDRV_SECTOR_SIZE, NULL };

        if (!s->l1_dirty[i]) {
            continue;
        }
        p.data = g_malloc0(BDRV_SECTOR_SIZE);
        for (uint32_t k = 0; k < L1_PIECE && i * L1_PIECE + k < s->l1_size; k++) {
            p.data[k] = GUINT64_TO_BE(s->l1[i * L1_PIECE + k]);
        }
        s->l1_dirty[i] = false;
        s->l1_n_dirty--;
        g_array_append_val(to, p);
    }
}

static void set_l1_dirty(Qcow2Node *s, uint32_t piece)
{
    if (!s->l1_dirty[piece]) {
        s->l1_dirty[piece] = true;
        s->l1_n_dirty++;
    }
}

void qcow2_set_l1(Qcow2Node *s, uint32_t index, uint64_t entry)
{
    s->l1[index] = entry;
    set_l1_dirty(s, index / L1_PIECE);
}

static void take_picture(Qcow2Node *s, Picture *p)
{
    p->counts = g_array_new(false, false, sizeof(Piece));
    p->l2 = g_array_new(false, false, sizeof(Piece));
    p->l1 = g_array_new(false, false, sizeof(Piece));
    p->freed = s->freed;
    s->freed = g_array_new(false, false, sizeof(uint64_t));
    take_slices(s, &s->ref_cache, p->counts);
    take_slices(s, &s->l2_cache, p->l2);
    take_l1(s, p->l1);
}

static int write_pieces(Qcow2Node *s, const GArray *pieces)
{
    int ret = 0;

    for (guint i = 0; ret == 0 && i < pieces->len; i++) {
        const Piece *p = &g_array_index(pieces, Piece, i);
        uint64_t left = p->sl ? s->slice : s->l1_size * 8ull - (p->offset - s->h.l1_offset);

        ret = qcow2_pwrite(s->bs.file, p->offset, p->data,
                           p->sl ? left : MIN(left, BDRV_SECTOR_SIZE));
    }
    return ret;
}

static int write_picture(Qcow2Node *s, const Picture *p)
{
    int ret = write_pieces(s, p->counts);

    if (ret == 0 && (p->l2->len || p->l1->len)) {
        ret = qcow2_flush_files(s);
        if (ret == 0) {
            ret = write_pieces(s, p->l2);
        }
        if (ret == 0) {
            ret = write_pieces(s, p->l1);
        }
    }
    return ret < 0 ? ret : qcow2_flush_files(s);
}

static void end_slices(Qcow2Cache *c, GArray *pieces, bool ok)
{
    for (guint i = 0; i < pieces->len; i++) {
        Piece *p = &g_array_index(pieces, Piece, i);

        p->sl->writing = false;
        if (!ok) {
            qcow2_cache_dirty(c, p->sl);
        }
        g_free(p->data);
    }
    g_array_unref(pieces);
}

static void end_picture(Qcow2Node *s, Picture *p, bool ok)
{
    end_slices(&s->ref_cache, p->counts, ok);
    end_slices(&s->l2_cache, p->l2, ok);
    for (guint i = 0; i < p->l1->len; i++) {
        Piece *piece = &g_array_index(p->l1, Piece, i);

        if (!ok) {
            set_l1_dirty(s, (piece->offset - s->h.l1_offset) / BDRV_SECTOR_SIZE);
        }
        g_free(piece->data);
    }
    g_array_unref(p->l1);
    move_all(ok ? s->retired : s->freed, p->freed);
    g_array_unref(p->freed);
    advance(s);
}

/* With commit_lock. */
static int commit_locked(Qcow2Node *s)
{
    Picture p;
    int ret;

    g_mutex_lock(&s->lock);
    take_picture(s, &p);
    s->committing = true;
    g_mutex_unlock(&s->lock);
    ret = write_picture(s, &p);
    g_mutex_lock(&s->lock);
    end_picture(s, &p, ret == 0);
    s->committing = false;
    g_cond_broadcast(&s->cond);
    g_mutex_unlock(&s->lock);
    return ret;
}

int qcow2_commit(Qcow2Node *s)
{
    int ret;

    g_mutex_lock(&s->commit_lock);
    ret = commit_locked(s);
    g_mutex_unlock(&s->commit_lock);
    return ret;
}

static bool is_crowded(const Qcow2Node *s)
{
    return s->l2_cache.dirty > s->l2_cache.max / 2 || s->ref_cache.dirty > s->ref_cache.max / 2;
}

int qcow2_relieve(Qcow2Node *s)
{
    bool crowded = is_crowded(s);
    int ret = 0;

    if (crowded) {
        g_mutex_unlock(&s->lock);
        g_mutex_lock(&s->commit_lock);
        g_mutex_lock(&s->lock);
        crowded = is_crowded(s);        /* another one may have been there first */
        g_mutex_unlock(&s->lock);
        ret = crowded ? commit_locked(s) : 0;
        g_mutex_unlock(&s->commit_lock);
        g_mutex_lock(&s->lock);
    }
    return ret;
}

int qcow2_flush(Qcow2Node *s)
{
    int ret;

    g_mutex_lock(&s->lock);
    ret = qcow2_reclaim(s);
    g_mutex_unlock(&s->lock);
    return ret < 0 ? ret : qcow2_commit(s);
}

int qcow2_settle(Qcow2Node *s)
{
    int ret;
    guint left;

    do {
        ret = qcow2_flush(s);
        left = s->freed->len + s->retired->len + s->waiting->len + s->reclaim->len;
    } while (ret == 0 && (left || !qcow2_is_clean(s)));
    return ret;
}
