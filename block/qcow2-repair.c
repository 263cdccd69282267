/*
 * Refcounts of a qcow2 image that was not closed: counted again, from what refers to clusters.
 *
 * The new table and its blocks go behind the end of the file and are there before the header
 * leads to them; the old ones are free then. Main thread, when the image is opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "qcow2-open.h"

/* Beyond these it is a matter of minutes, and for another program. */
#define MAX_CLUSTERS (64u << 20)
#define MAX_L2_TABLES (1u << 18)
#define MAX_L1_ENTRIES (8u << 20)

typedef struct Repair {
    Qcow2Node *s;
    uint64_t clusters;          /* that the file has */
    uint16_t *counts;
    uint64_t l2_tables, l1_entries;     /* seen */
    uint64_t *l2;               /* one table */
} Repair;

/* One more reference to each cluster of bytes at offset; false: they are not in the file. */
static bool count(Repair *r, uint64_t offset, uint64_t bytes)
{
    unsigned bits = r->s->cluster_bits;
    uint64_t last = (offset + bytes - 1) >> bits;

    if (offset + bytes < offset || last >= r->clusters) {
        return false;
    }
    for (uint64_t i = offset >> bits; bytes && i <= last; i++) {
        if (r->counts[i] == UINT16_MAX) {
            return false;
        }
        r->counts[i]++;
    }
    return true;
}

static bool count_entry(Repair *r, uint64_t entry)
{
    Qcow2Node *s = r->s;
    uint64_t first, last, offset = entry & QCOW2_OFFSET_MASK;

    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_range(s, entry, &first, &last);
        last = MIN(last, (r->clusters << s->cluster_bits) - 1);
        return !s->bs.data_file && first <= last && count(r, first, last - first + 1);
    }
    return !offset || s->bs.data_file ||
           (!(offset & (s->cluster_size - 1)) && count(r, offset, 1));
}

static bool count_l2(Repair *r, uint64_t table)
{
    Qcow2Node *s = r->s;

    if ((table & (s->cluster_size - 1)) || !count(r, table, s->cluster_size) ||
        ++r->l2_tables > MAX_L2_TABLES ||
        block_pread(s->bs.file, table, r->l2, s->cluster_size) < 0) {
        return false;
    }
    for (uint64_t i = 0; i < s->cluster_size / 8; i += s->l2_entry / 8) {
        if (!count_entry(r, GUINT64_FROM_BE(r->l2[i]))) {
            return false;
        }
    }
    return true;
}

/* An L1 table and all below it. */
static bool count_l1(Repair *r, uint64_t offset, uint32_t n)
{
    g_autofree uint64_t *l1 = NULL;

    r->l1_entries += n;
    if (!n) {
        return true;
    }
    if ((offset & (r->s->cluster_size - 1)) || n * 8ull > QCOW2_MAX_L1_BYTES ||
        r->l1_entries > MAX_L1_ENTRIES || !count(r, offset, n * 8ull)) {
        return false;
    }
    l1 = g_malloc(n * 8ull);
    if (block_pread(r->s->bs.file, offset, l1, n * 8ull) < 0) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t table = GUINT64_FROM_BE(l1[i]) & QCOW2_OFFSET_MASK;

        if (table && !count_l2(r, table)) {
            return false;
        }
    }
    return true;
}

static bool count_all(Repair *r)
{
    Qcow2Node *s = r->s;
    bool ok = count(r, 0, 1) && count_l1(r, s->h.l1_offset, s->h.l1_size);

    if (ok && s->h.nb_snapshots) {
        ok = count(r, s->h.snapshots_offset, s->snapshots_bytes);
    }
    for (uint32_t i = 0; ok && i < s->h.nb_snapshots; i++) {
        ok = count_l1(r, s->snapshots[i].l1_offset, s->snapshots[i].l1_size);
    }
    return ok;
}

/* Bitmaps whose clusters are not theirs alone are given up: the disk is worth more. */
static void count_bitmaps(Repair *r)
{
    Qcow2Node *s = r->s;
    g_autoptr(GHashTable) set = g_hash_table_new(NULL, NULL);
    bool ok = s->h.autoclear & qcow2_kept_bitmaps && qcow2_bitmap_clusters(s, set);
    GHashTableIter iter;
    gpointer offset;

    g_hash_table_iter_init(&iter, set);
    while (ok && g_hash_table_iter_next(&iter, &offset, NULL)) {
        uint64_t cluster = (uintptr_t)offset >> s->cluster_bits;

        ok = cluster < r->clusters && !r->counts[cluster];
    }
    g_hash_table_iter_init(&iter, set);
    while (ok && g_hash_table_iter_next(&iter, &offset, NULL)) {
        r->counts[(uintptr_t)offset >> s->cluster_bits] = 1;
    }
    s->bitmaps_lost = !ok;
}

/* Whether the cluster may be written in place, as its count says. */
static uint64_t copied(const Repair *r, uint64_t entry)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK;
    bool alone = offset && r->counts[offset >> r->s->cluster_bits] == 1;

    return alone ? entry | QCOW2_COPIED : entry & ~QCOW2_COPIED;
}

static int fix_l2(Repair *r, uint64_t table)
{
    Qcow2Node *s = r->s;
    int ret = block_pread(s->bs.file, table, r->l2, s->cluster_size);
    bool changed = false;

    for (uint64_t i = 0; ret == 0 && i < s->cluster_size / 8; i += s->l2_entry / 8) {
        uint64_t entry = GUINT64_FROM_BE(r->l2[i]);

        if (!(entry & QCOW2_COMPRESSED) && !s->bs.data_file && copied(r, entry) != entry) {
            r->l2[i] = GUINT64_TO_BE(copied(r, entry));
            changed = true;
        }
    }
    return changed ? qcow2_pwrite(s->bs.file, table, r->l2, s->cluster_size) : ret;
}

static int fix_flags(Repair *r)
{
    Qcow2Node *s = r->s;
    int ret = 0;

    for (uint32_t i = 0; ret == 0 && i < s->l1_size; i++) {
        uint64_t entry = copied(r, s->l1[i]), be = GUINT64_TO_BE(entry);

        if (entry & QCOW2_OFFSET_MASK) {
            ret = fix_l2(r, entry & QCOW2_OFFSET_MASK);
        }
        if (ret == 0 && entry != s->l1[i]) {
            ret = qcow2_pwrite(s->bs.file, s->h.l1_offset + i * 8ull, &be, 8);
            s->l1[i] = entry;
        }
    }
    return ret < 0 ? ret : qcow2_flush_files(s);
}

/* The blocks for all clusters, themselves and the table included; then the table. */
static int write_counts(Repair *r, uint64_t blocks, uint64_t table_clusters)
{
    Qcow2Node *s = r->s;
    uint64_t per_block = 1ull << s->rb_bits, end = r->clusters + blocks + table_clusters;
    g_autofree uint64_t *table = g_malloc0(table_clusters * s->cluster_size);
    g_autofree void *buf = g_malloc(s->cluster_size);
    int ret = 0;

    for (uint64_t b = 0; ret == 0 && b < blocks; b++) {
        uint64_t at = (r->clusters + b) << s->cluster_bits;

        memset(buf, 0, s->cluster_size);
        for (uint64_t i = b * per_block; i < MIN(end, (b + 1) * per_block); i++) {
            qcow2_set_count(s, buf, i % per_block, i < r->clusters ? r->counts[i] : 1);
        }
        table[b] = GUINT64_TO_BE(at);
        ret = qcow2_pwrite(s->bs.file, at, buf, s->cluster_size);
    }
    if (ret == 0) {
        ret = qcow2_pwrite(s->bs.file, (r->clusters + blocks) << s->cluster_bits, table,
                           table_clusters * s->cluster_size);
    }
    return ret < 0 ? ret : qcow2_flush_files(s);
}

static int switch_table(Repair *r, uint64_t offset, uint32_t clusters, uint64_t end)
{
    Qcow2Node *s = r->s;
    uint64_t features = s->h.incompatible & ~QCOW2_DIRTY;
    uint64_t be_features = GUINT64_TO_BE(features);
    uint8_t head[12];
    int ret;

    qcow2_put64(head, offset);
    qcow2_put32(head + 8, clusters);
    ret = qcow2_pwrite(s->bs.file, QCOW2_AT_REFTABLE, head, sizeof(head));
    if (ret == 0) {
        ret = qcow2_flush_files(s);
    }
    if (ret == 0) {
        ret = qcow2_pwrite(s->bs.file, QCOW2_AT_INCOMPATIBLE, &be_features, 8);
    }
    if (ret == 0) {
        ret = qcow2_flush_files(s);
    }
    s->h.incompatible = features;
    s->h.reftable_offset = offset;
    s->h.reftable_clusters = clusters;
    s->h.file_length = end;
    return ret;
}

static int rebuild(Repair *r)
{
    Qcow2Node *s = r->s;
    uint64_t per_block = 1ull << s->rb_bits, blocks = 0, table = 0, n;
    int ret;

    do {
        n = blocks + table;
        blocks = DIV_ROUND_UP(r->clusters + n, per_block);
        table = DIV_ROUND_UP(blocks * 8, s->cluster_size);
    } while (n != blocks + table);
    if (table * s->cluster_size > QCOW2_MAX_REFTABLE_BYTES) {
        return -EFBIG;
    }
    ret = write_counts(r, blocks, table);
    return ret < 0 ? ret : switch_table(r, (r->clusters + blocks) << s->cluster_bits, table,
                                        (r->clusters + n) << s->cluster_bits);
}

/* Counts that an entry cannot hold would be wrong ones. */
static bool counts_fit(const Repair *r)
{
    unsigned order = r->s->h.refcount_order;

    for (uint64_t i = 0; order < 4 && i < r->clusters; i++) {
        if (r->counts[i] >= 1u << (1u << order)) {
            return false;
        }
    }
    return true;
}

bool qcow2_repair(Qcow2Node *s, Error **errp)
{
    Repair r = { .s = s, .clusters = DIV_ROUND_UP(s->h.file_length, s->cluster_size) };
    bool grows = !qcow2_file_limit(s), sound = false;
    int ret = 0;

    if (grows && r.clusters <= MAX_CLUSTERS) {
        r.counts = g_new0(uint16_t, r.clusters);
        r.l2 = g_malloc(s->cluster_size);
        sound = count_all(&r) && counts_fit(&r);
        count_bitmaps(&r);
    }
    if (sound) {
        ret = fix_flags(&r);
        ret = ret < 0 ? ret : rebuild(&r);
    }
    g_free(r.counts);
    g_free(r.l2);
    if (!sound) {
        error_setg(errp, "qcow2: Image was not closed properly: run qemu-img check -r all '%s'",
                   s->bs.filename);
    } else if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not repair dirty image");
    }
    return sound && ret == 0;
}
