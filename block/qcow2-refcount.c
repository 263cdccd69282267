/*
 * Which clusters of a qcow2 file are used: refcounts, allocating and freeing ("Host cluster
 * management" of the specification).
 *
 * A refcount in memory is never below what the tables in the file ask for: clusters are counted
 * before anything refers to them, and given up after the file has nothing that does.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-alloc.h"

#define MAX_HOST_OFFSET (1ull << 55)
/* Beside QCOW2_MISS: there is no refcount block for the next cluster. */
#define GROW 2

/* Entries in slices -------------------------------------------------------------- */

static uint64_t get_count(const Qcow2Node *s, const void *table, uint64_t i)
{
    unsigned order = s->h.refcount_order;
    const uint8_t *b = table;
    unsigned shift;

    switch (order) {
    case 3:
        return b[i];
    case 4:
        return GUINT16_FROM_BE(((const uint16_t *)table)[i]);
    case 5:
        return GUINT32_FROM_BE(((const uint32_t *)table)[i]);
    case 6:
        return GUINT64_FROM_BE(((const uint64_t *)table)[i]);
    default:
        shift = (i & ((8u >> order) - 1)) << order;
        return b[i >> (3 - order)] >> shift & ((1u << (1u << order)) - 1);
    }
}

void qcow2_set_count(const Qcow2Node *s, void *table, uint64_t i, uint64_t count)
{
    unsigned order = s->h.refcount_order;
    uint8_t *b = table, mask;
    unsigned shift;

    switch (order) {
    case 3:
        b[i] = count;
        break;
    case 4:
        ((uint16_t *)table)[i] = GUINT16_TO_BE(count);
        break;
    case 5:
        ((uint32_t *)table)[i] = GUINT32_TO_BE(count);
        break;
    case 6:
        ((uint64_t *)table)[i] = GUINT64_TO_BE(count);
        break;
    default:
        shift = (i & ((8u >> order) - 1)) << order;
        mask = ((1u << (1u << order)) - 1) << shift;
        b[i >> (3 - order)] = (b[i >> (3 - order)] & ~mask) | count << shift;
        break;
    }
}

static uint64_t counts_in(const Qcow2Node *s, uint64_t bytes)
{
    return bytes * 8 >> s->h.refcount_order;
}

/* Where the slice with cluster's refcount is; 0: there is no block for it. */
static uint64_t slice_offset(const Qcow2Node *s, uint64_t cluster)
{
    uint64_t block = cluster >> s->rb_bits, in_block = cluster & ((1ull << s->rb_bits) - 1);

    if (block >= s->reftable_size || !s->reftable[block]) {
        return 0;
    }
    return s->reftable[block] + in_block / counts_in(s, s->slice) * s->slice;
}

/* Clusters that have tables -------------------------------------------------------- */

/* The place of offset in the sorted list, or where it would be. */
static guint table_place(const Qcow2Node *s, uint64_t offset)
{
    guint low = 0, high = s->tables->len;

    while (low < high) {
        guint mid = (low + high) / 2;

        if (g_array_index(s->tables, uint64_t, mid) < offset) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

bool qcow2_has_table(const Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    guint at = table_place(s, QEMU_ALIGN_DOWN(offset, s->cluster_size));

    return at < s->tables->len && g_array_index(s->tables, uint64_t, at) < offset + bytes;
}

void qcow2_add_table(Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += s->cluster_size) {
        uint64_t at = offset + done;

        g_array_insert_val(s->tables, table_place(s, at), at);
    }
}

void qcow2_remove_table(Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += s->cluster_size) {
        if (qcow2_has_table(s, offset + done, 1)) {
            g_array_remove_index(s->tables, table_place(s, offset + done));
        }
    }
}

/* Growing -------------------------------------------------------------------------- */

static int write_and_flush(Qcow2Node *s, uint64_t pos, const void *buf, size_t len)
{
    int ret = qcow2_pwrite(s->bs.file, pos, buf, len);

    return ret < 0 ? ret : qcow2_flush_files(s);
}

/* A block for the clusters from the first one on, which it takes itself. Without the lock. */
static int write_block(Qcow2Node *s, uint64_t block, uint64_t cluster)
{
    uint64_t be = GUINT64_TO_BE(cluster << s->cluster_bits);
    g_autofree void *buf = g_malloc0(s->cluster_size);
    int ret;

    qcow2_set_count(s, buf, cluster & ((1ull << s->rb_bits) - 1), 1);
    ret = write_and_flush(s, cluster << s->cluster_bits, buf, s->cluster_size);
    return ret < 0 ? ret : write_and_flush(s, s->h.reftable_offset + block * 8, &be, 8);
}

/* How a refcount table that is too small becomes larger: all of it lies where it ended. */
typedef struct Growth {
    uint64_t first;             /* cluster */
    uint64_t blocks, clusters;  /* new refcount blocks, then the new table's clusters */
    uint64_t *table;            /* host byte order */
} Growth;

static bool plan_growth(const Qcow2Node *s, Growth *g)
{
    uint64_t per_block = 1ull << s->rb_bits, entries = s->reftable_size * 2ull;

    g->first = (uint64_t)s->reftable_size << s->rb_bits;
    g->blocks = 1;
    do {
        entries = MAX(entries, s->reftable_size + g->blocks);
        g->clusters = DIV_ROUND_UP(entries * 8, s->cluster_size);
    } while (g->blocks * per_block < g->blocks + g->clusters && g->blocks++ < UINT16_MAX);
    return g->clusters * s->cluster_size <= QCOW2_MAX_REFTABLE_BYTES;
}

static int write_growth(Qcow2Node *s, const Growth *g)
{
    uint64_t size = g->clusters * s->cluster_size, at = g->first << s->cluster_bits;
    g_autofree uint64_t *be = g_malloc(size);
    uint8_t head[12];
    uint64_t offset = GUINT64_TO_BE(at + g->blocks * s->cluster_size);
    uint32_t clusters = GUINT32_TO_BE(g->clusters);
    int ret = 0;

    for (uint64_t b = 0; ret == 0 && b < g->blocks; b++) {
        g_autofree void *buf = g_malloc0(s->cluster_size);
        uint64_t used = g->blocks + g->clusters;

        for (uint64_t i = b << s->rb_bits; i < used && i < (b + 1) << s->rb_bits; i++) {
            qcow2_set_count(s, buf, i & ((1ull << s->rb_bits) - 1), 1);
        }
        ret = qcow2_pwrite(s->bs.file, at + b * s->cluster_size, buf, s->cluster_size);
    }
    for (uint64_t i = 0; i < size / 8; i++) {
        be[i] = GUINT64_TO_BE(g->table[i]);
    }
    if (ret == 0) {
        ret = write_and_flush(s, GUINT64_FROM_BE(offset), be, size);
    }
    memcpy(head, &offset, 8);
    memcpy(head + 8, &clusters, 4);
    return ret < 0 ? ret : write_and_flush(s, QCOW2_AT_REFTABLE, head, sizeof(head));
}

static int grow_table(Qcow2Node *s)
{
    Growth g;
    uint64_t old = s->h.reftable_offset, old_bytes = s->h.reftable_clusters * s->cluster_size;
    uint64_t at, end;
    int ret;

    if (!plan_growth(s, &g)) {
        return -EFBIG;
    }
    at = g.first << s->cluster_bits;
    end = at + (g.blocks + g.clusters) * s->cluster_size;
    if (end > MAX_HOST_OFFSET || (s->file_limit && end > s->file_limit)) {
        return -ENOSPC;
    }
    if (qcow2_has_table(s, at, end - at)) {
        return qcow2_unsound(s, "Table without a reference count", at);
    }
    g.table = g_malloc0(g.clusters * s->cluster_size);
    memcpy(g.table, s->reftable, s->reftable_size * 8ull);
    for (uint64_t b = 0; b < g.blocks; b++) {
        g.table[s->reftable_size + b] = at + b * s->cluster_size;
    }
    g_mutex_unlock(&s->lock);
    ret = write_growth(s, &g);
    g_mutex_lock(&s->lock);
    if (ret < 0) {
        g_free(g.table);
        return ret;
    }
    g_free(s->reftable);
    s->reftable = g.table;
    s->reftable_size = g.clusters * s->cluster_size / 8;
    s->h.reftable_offset = at + g.blocks * s->cluster_size;
    s->h.reftable_clusters = g.clusters;
    s->virgin = MAX(s->virgin, end);
    qcow2_add_table(s, at, end - at);
    qcow2_remove_table(s, old, old_bytes);
    for (uint64_t done = 0; done < old_bytes; done += s->cluster_size) {
        qcow2_push(s->reclaim, old + done);
    }
    return 0;
}

/* The next cluster has no refcount block yet. */
static int grow(Qcow2Node *s)
{
    uint64_t cluster = s->free_hint, block = cluster >> s->rb_bits;
    uint64_t offset = cluster << s->cluster_bits;
    int ret;

    if (s->growing) {
        g_cond_wait(&s->cond, &s->lock);
        return 0;
    }
    s->growing = true;
    if (block >= s->reftable_size) {
        ret = grow_table(s);
    } else if (qcow2_has_table(s, offset, 1)) {
        ret = qcow2_unsound(s, "Table without a reference count", offset);
    } else if (offset >= MAX_HOST_OFFSET ||
               (s->file_limit && offset + s->cluster_size > s->file_limit)) {
        ret = -ENOSPC;
    } else {
        g_mutex_unlock(&s->lock);
        ret = write_block(s, block, cluster);
        g_mutex_lock(&s->lock);
        if (ret == 0) {
            s->reftable[block] = offset;
            qcow2_add_table(s, offset, s->cluster_size);
            s->virgin = MAX(s->virgin, offset + s->cluster_size);
        }
    }
    s->growing = false;
    g_cond_broadcast(&s->cond);
    return ret;
}

/* Allocating ------------------------------------------------------------------------ */

/* The first free cluster from the hint on, in one slice after the other. */
static int find_free(Qcow2Node *s, Qcow2Slice **found, uint64_t *miss)
{
    uint64_t n = counts_in(s, s->slice);

    for (;;) {
        uint64_t i = s->free_hint % n;
        Qcow2Slice *sl;

        *miss = slice_offset(s, s->free_hint);
        if (!*miss) {
            return GROW;
        }
        sl = qcow2_cache_find(&s->ref_cache, *miss);
        if (!sl) {
            return QCOW2_MISS;
        }
        while (i < n && get_count(s, sl->data, i)) {
            i++;
        }
        s->free_hint = QEMU_ALIGN_DOWN(s->free_hint, n) + i;
        if (i < n) {
            *found = sl;
            return 0;
        }
    }
}

/* Clusters with what is in memory; QCOW2_MISS: that at *miss is not. */
static int alloc_at_hand(Qcow2Node *s, uint64_t want, uint64_t *host, uint64_t *got,
                         uint64_t *miss)
{
    uint64_t n = counts_in(s, s->slice), i, start, end;
    Qcow2Slice *sl;
    int ret = find_free(s, &sl, miss);

    if (ret) {
        return ret;
    }
    start = s->free_hint << s->cluster_bits;
    end = s->file_limit ? s->file_limit : MAX_HOST_OFFSET;
    i = s->free_hint % n;
    for (*got = 0; *got < want && i + *got < n && !get_count(s, sl->data, i + *got); ++*got) {
        uint64_t at = start + (*got << s->cluster_bits);

        if (at + s->cluster_size > end) {
            break;
        }
        if (qcow2_has_table(s, at, 1)) {
            return qcow2_unsound(s, "Table without a reference count", at);
        }
    }
    if (!*got) {
        return -ENOSPC;
    }
    for (uint64_t k = 0; k < *got; k++) {
        qcow2_set_count(s, sl->data, i + k, 1);
    }
    qcow2_cache_dirty(&s->ref_cache, sl);
    s->free_hint += *got;
    *host = start;
    return 0;
}

int qcow2_alloc(Qcow2Node *s, uint64_t want, uint64_t *host, uint64_t *got)
{
    uint64_t miss;
    int ret;

    while ((ret = alloc_at_hand(s, want, host, got, &miss)) > 0) {
        ret = ret == GROW ? grow(s) : qcow2_cache_load(s, &s->ref_cache, miss);
        if (ret < 0) {
            break;
        }
    }
    return ret;
}

/* Freeing ---------------------------------------------------------------------------- */

/* The slice with the cluster's refcount, loaded: 1; 0: there is none; negative errno. */
static int count_slice(Qcow2Node *s, uint64_t cluster, Qcow2Slice **sl)
{
    uint64_t offset = slice_offset(s, cluster);
    int ret = 0;

    while (offset && ret == 0 && !(*sl = qcow2_cache_find(&s->ref_cache, offset))) {
        ret = qcow2_cache_load(s, &s->ref_cache, offset);
    }
    return ret < 0 ? ret : offset != 0;
}

/* Nobody else has it: the host gets its space back before anybody can take it again. */
static void punch(Qcow2Node *s, uint64_t offset, unsigned flags)
{
    BlockRequest req = { .node_op = BLOCK_OP_DISCARD, .pos = offset, .bytes = s->cluster_size };
    bool pass = flags & QCOW2_BY_REQUEST ? s->pass_request == ON_OFF_AUTO_ON ||
                (s->pass_request == ON_OFF_AUTO_AUTO && s->bs.discard) :
                flags & QCOW2_BY_SNAPSHOT ? s->pass_snapshot != ON_OFF_AUTO_OFF : s->pass_other;

    if (pass && s->bs.file->discard) {
        g_mutex_unlock(&s->lock);
        block_run(s->bs.file, &req);
        g_mutex_lock(&s->lock);
    }
}

static int give_up(Qcow2Node *s, uint64_t offset, unsigned flags)
{
    uint64_t cluster = offset >> s->cluster_bits, i, count;
    Qcow2Slice *sl;
    int ret = count_slice(s, cluster, &sl);

    if (ret == 0) {
        qcow2_unsound(s, "Cluster without a reference count", offset);
    }
    if (ret <= 0) {
        return ret;
    }
    i = cluster % counts_in(s, s->slice);
    count = get_count(s, sl->data, i);
    if (count == 1 && qcow2_has_table(s, offset, 1)) {
        return 0;               /* whoever gives it up was not told the truth */
    }
    if (count == 1) {
        punch(s, offset, flags);
        ret = count_slice(s, cluster, &sl);
        if (ret <= 0) {
            return ret;
        }
    }
    if (count) {
        qcow2_set_count(s, sl->data, i, count - 1);
        qcow2_cache_dirty(&s->ref_cache, sl);
    }
    if (count == 1) {
        s->free_hint = MIN(s->free_hint, cluster);
    }
    return 0;
}

int qcow2_reclaim(Qcow2Node *s)
{
    int ret = 0;

    while (ret == 0 && s->reclaim->len) {
        uint64_t offset = g_array_index(s->reclaim, uint64_t, s->reclaim->len - 1);

        g_array_set_size(s->reclaim, s->reclaim->len - 1);
        ret = give_up(s, offset & ~511ull, offset & 511);
        if (ret < 0) {
            qcow2_push(s->reclaim, offset);
        }
    }
    return ret;
}

/* Snapshots ---------------------------------------------------------------------------- */

/* Entry i of *sl is the count. */
static int find_count(Qcow2Node *s, uint64_t offset, Qcow2Slice **sl, unsigned *i,
                      uint64_t *count)
{
    uint64_t cluster = offset >> s->cluster_bits;
    int ret = count_slice(s, cluster, sl);

    if (ret <= 0) {
        return ret < 0 ? ret : qcow2_unsound(s, "Cluster without a reference count", offset);
    }
    *i = cluster % counts_in(s, s->slice);
    *count = get_count(s, (*sl)->data, *i);
    return 0;
}

int qcow2_count(Qcow2Node *s, uint64_t offset, uint64_t *count)
{
    Qcow2Slice *sl;
    unsigned i;

    return find_count(s, offset, &sl, &i, count);
}

int qcow2_count_up(Qcow2Node *s, uint64_t offset)
{
    uint64_t count = 0, max = UINT64_MAX >> (64 - (1u << s->h.refcount_order));
    Qcow2Slice *sl;
    unsigned i = 0;
    int ret = find_count(s, offset, &sl, &i, &count);

    if (ret == 0 && !count) {
        ret = qcow2_unsound(s, "Cluster without a reference count", offset);
    }
    if (ret < 0 || count == max) {
        return ret < 0 ? ret : -ERANGE;
    }
    qcow2_set_count(s, sl->data, i, count + 1);
    qcow2_cache_dirty(&s->ref_cache, sl);
    return 0;
}
