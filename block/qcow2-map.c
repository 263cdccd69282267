/*
 * From the guest's disk to the file: L1 and L2 tables ("Cluster mapping" of the
 * specification).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "qcow2.h"

/* Where in the file the L2 entry for pos is; 0: there is no L2 table; negative errno. */
static int64_t entry_offset(const Qcow2Node *s, uint64_t pos)
{
    uint64_t index = pos >> s->cluster_bits;
    uint64_t l1_index = index >> s->l2_bits;
    uint64_t table;

    if (l1_index >= s->l1_size) {
        return -EIO;
    }
    table = s->l1[l1_index] & QCOW2_OFFSET_MASK;
    if (table & (s->cluster_size - 1)) {
        return -EIO;
    }
    return table ? table + (index & ((1u << s->l2_bits) - 1)) * s->l2_entry : 0;
}

/* An L2 entry and its bitmap, n entries on. */
static void get_entry(const Qcow2Node *s, const Qcow2Slice *sl, uint64_t at, Qcow2Extent *e)
{
    const uint64_t *p = &sl->data[(at - sl->offset) / sizeof(uint64_t)];

    e->entry = GUINT64_FROM_BE(p[0]);
    e->bitmap = s->l2_entry == 16 ? GUINT64_FROM_BE(p[1]) : 0;
}

static bool has_host_cluster(const Qcow2Node *s, uint64_t entry)
{
    /* A data file may have its cluster 0 for the guest. */
    return (entry & QCOW2_OFFSET_MASK) || (s->bs.data_file && (entry & QCOW2_COPIED));
}

/* The kind of one subcluster, or of a cluster without; negative errno: not sound. */
static int kind_of(const Qcow2Node *s, const Qcow2Extent *e, unsigned sc)
{
    bool data, zero;

    if (e->entry & QCOW2_COMPRESSED) {
        return s->bs.data_file || e->bitmap ? -EIO : QCOW2_DEFLATED;
    }
    if (e->entry & QCOW2_OFFSET_MASK & (s->cluster_size - 1)) {
        return -EIO;
    }
    if (s->l2_entry == 16) {
        data = e->bitmap >> sc & 1;
        zero = e->bitmap >> (32 + sc) & 1;
        if ((data && zero) || (data && !has_host_cluster(s, e->entry))) {
            return -EIO;
        }
    } else {
        zero = e->entry & QCOW2_ZERO;
        data = !zero && has_host_cluster(s, e->entry);
        if (zero && s->h.version < 3) {
            return -EIO;
        }
    }
    return zero ? QCOW2_ZEROES : data ? QCOW2_DATA : QCOW2_UNALLOCATED;
}

/* What e's entry says of pos; e->bytes: to the end of the subcluster. */
static int describe(const Qcow2Node *s, uint64_t pos, Qcow2Extent *e)
{
    uint64_t in_cluster = qcow2_offset_in_cluster(s, pos);
    int kind = kind_of(s, e, in_cluster >> s->sc_bits);

    if (kind < 0) {
        return kind;
    }
    e->kind = kind;
    e->in_place = kind == QCOW2_DATA && (e->entry & QCOW2_COPIED);
    e->host = kind == QCOW2_DATA ? (e->entry & QCOW2_OFFSET_MASK) + in_cluster : 0;
    e->bytes = kind == QCOW2_DEFLATED ? s->cluster_size - in_cluster :
               (1ull << s->sc_bits) - (in_cluster & ((1ull << s->sc_bits) - 1));
    return 0;
}

/* Does next go on where ext ends? */
static bool continues(const Qcow2Extent *ext, const Qcow2Extent *next)
{
    return next->kind == ext->kind && next->in_place == ext->in_place &&
           ext->kind != QCOW2_DEFLATED &&
           (ext->kind != QCOW2_DATA || next->host == ext->host + ext->bytes);
}

int qcow2_lookup(Qcow2Node *s, uint64_t pos, uint64_t bytes, Qcow2Extent *ext, uint64_t *miss)
{
    int64_t at = entry_offset(s, pos);
    Qcow2Slice *sl;
    int ret;

    if (at <= 0) {
        uint64_t span = s->cluster_size << s->l2_bits;

        *ext = (Qcow2Extent) { .bytes = MIN(bytes, span - (pos & (span - 1))) };
        return at < 0 ? qcow2_unsound(s, "L2 table not aligned", pos) : 0;
    }
    *miss = at & -(uint64_t)s->slice;
    sl = qcow2_cache_find(&s->l2_cache, *miss);
    if (!sl) {
        return QCOW2_MISS;
    }
    get_entry(s, sl, at, ext);
    ret = describe(s, pos, ext);
    while (ret == 0 && ext->bytes < bytes) {
        uint64_t next_pos = pos + ext->bytes;
        Qcow2Extent next;

        if (!qcow2_offset_in_cluster(s, next_pos)) {
            at += s->l2_entry;
            if ((uint64_t)at >= sl->offset + s->slice) {
                break;
            }
        }
        get_entry(s, sl, at, &next);
        if (describe(s, next_pos, &next) < 0 || !continues(ext, &next)) {
            break;
        }
        ext->bytes += next.bytes;
    }
    ext->bytes = MIN(ext->bytes, bytes);
    return ret < 0 ? qcow2_unsound(s, "L2 entry not sound", at) : 0;
}

uint64_t *qcow2_entry(Qcow2Node *s, uint64_t pos, Qcow2Slice **sl)
{
    int64_t at = entry_offset(s, pos);

    g_assert(at > 0);
    *sl = qcow2_cache_find(&s->l2_cache, at & -(uint64_t)s->slice);
    g_assert(*sl);
    return &(*sl)->data[(at - (*sl)->offset) / sizeof(uint64_t)];
}

int qcow2_lookup_wait(Qcow2Node *s, uint64_t pos, uint64_t bytes, Qcow2Extent *ext)
{
    uint64_t miss;
    int ret;

    while ((ret = qcow2_lookup(s, pos, bytes, ext, &miss)) == QCOW2_MISS) {
        ret = qcow2_cache_load(s, &s->l2_cache, miss);
        if (ret < 0) {
            return ret;
        }
    }
    return ret;
}
