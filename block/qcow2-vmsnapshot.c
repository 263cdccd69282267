/*
 * Snapshots inside of a qcow2 image: made, deleted, gone back to ("Snapshots" of the
 * specification).
 *
 * A snapshot has an L1 table of its own and shares L2 tables and clusters with the disk until one
 * of them changes. What becomes referred to once more is counted first, then it loses the flag
 * that it may be written in place, then the header is switched, by a write to one sector, and
 * only then is anything counted down. A crash leaves clusters that nobody uses, nothing worse.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bitmap.h"
#include "qcow2-vmstate.h"

#define EXTRA_SIZE 24u          /* of an entry: what we know of */

/* The list ------------------------------------------------------------------------------- */

static void put_entry(GByteArray *out, const BlockSnapshotInfo *sn, uint64_t disk_size)
{
    static const uint8_t zeros[8];
    uint8_t b[40 + EXTRA_SIZE];
    size_t id_len = strlen(sn->id), name_len = strlen(sn->name);

    qcow2_put64(b, sn->l1_offset);
    qcow2_put32(b + 8, sn->l1_size);
    qcow2_put32(b + 12, id_len << 16 | name_len);
    qcow2_put32(b + 16, sn->date_sec);
    qcow2_put32(b + 20, sn->date_nsec);
    qcow2_put64(b + 24, sn->vm_clock_ns);
    qcow2_put32(b + 32, sn->vm_state_size);
    qcow2_put32(b + 36, EXTRA_SIZE);
    qcow2_put64(b + 40, sn->vm_state_size);
    qcow2_put64(b + 48, sn->disk_size ? sn->disk_size : disk_size);
    qcow2_put64(b + 56, sn->icount);
    g_byte_array_append(out, b, sizeof(b));
    g_byte_array_append(out, (const uint8_t *)sn->id, id_len);
    g_byte_array_append(out, (const uint8_t *)sn->name, name_len);
    g_byte_array_append(out, zeros, -(size_t)out->len & 7);
}

static int write_head(Qcow2Node *s, uint32_t n, uint64_t offset)
{
    uint8_t fields[12];
    int ret;

    qcow2_put32(fields, n);
    qcow2_put64(fields + 4, offset);
    ret = qcow2_pwrite(s->bs.file, QCOW2_AT_SNAPSHOTS, fields, sizeof(fields));
    return ret < 0 ? ret : qcow2_flush_files(s);
}

/* What was the list of snapshots is nobody's. */
static void replace_list(Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    uint64_t old = s->h.nb_snapshots ? s->snapshots_bytes : 0;

    g_mutex_lock(&s->lock);
    qcow2_remove_table(s, s->h.snapshots_offset, old);
    for (uint64_t done = 0; done < old; done += s->cluster_size) {
        qcow2_push(s->reclaim, s->h.snapshots_offset + done);
    }
    qcow2_add_table(s, offset, bytes);
    g_mutex_unlock(&s->lock);
    s->h.snapshots_offset = offset;
    s->snapshots_bytes = bytes;
}

/* The header has this list from now on, all else as it is in memory; strings stay list's. */
static int switch_list(Qcow2Node *s, GArray *list)
{
    g_autoptr(GByteArray) out = g_byte_array_new();
    uint64_t offset = 0;
    int ret;

    for (guint i = 0; i < list->len; i++) {
        put_entry(out, &g_array_index(list, BlockSnapshotInfo, i), s->h.size);
    }
    if (out->len > QCOW2_MAX_SNAPSHOT_BYTES) {
        return -EFBIG;
    }
    ret = list->len ? qcow2_put_clusters(s, out->data, out->len, &offset) : 0;
    ret = ret < 0 ? ret : qcow2_commit(s);
    ret = ret < 0 ? ret : write_head(s, list->len, offset);
    if (ret < 0) {
        return ret;
    }
    replace_list(s, offset, out->len);
    g_free(s->snapshots);
    s->h.nb_snapshots = list->len;
    s->snapshots = g_memdup2(list->data, list->len * sizeof(BlockSnapshotInfo));
    return 0;
}

/* All but the one called name (may be NULL). */
static GArray *copy_list(const Qcow2Node *s, const char *name)
{
    GArray *list = g_array_new(false, false, sizeof(BlockSnapshotInfo));

    for (uint32_t i = 0; i < s->h.nb_snapshots; i++) {
        if (g_strcmp0(s->snapshots[i].name, name)) {
            g_array_append_val(list, s->snapshots[i]);
        }
    }
    return list;
}

static char *new_id(const Qcow2Node *s)
{
    unsigned long max = 0;

    for (uint32_t i = 0; i < s->h.nb_snapshots; i++) {
        max = MAX(max, g_ascii_strtoull(s->snapshots[i].id, NULL, 10));
    }
    return g_strdup_printf("%lu", max + 1);
}

/* Tables ---------------------------------------------------------------------------------- */

/* What is done with an L2 table, whose entries are big-endian; with the lock. */
typedef int TableFn(Qcow2Node *s, uint64_t offset, uint64_t *table, bool *changed);

static int visit(Qcow2Node *s, uint64_t offset, uint64_t *table, TableFn *fn)
{
    bool changed = false;
    int ret = offset % s->cluster_size ? -EIO :
              block_pread(s->bs.file, offset, table, s->cluster_size);

    if (ret < 0) {
        return ret;
    }
    g_mutex_lock(&s->lock);
    ret = fn(s, offset, table, &changed);
    ret = ret < 0 ? ret : qcow2_relieve(s);
    if (changed) {
        qcow2_cache_forget(s, &s->l2_cache, offset);
    }
    g_mutex_unlock(&s->lock);
    return ret < 0 || !changed ? ret : qcow2_pwrite(s->bs.file, offset, table, s->cluster_size);
}

/* The tables in the file are those in memory. */
static int visit_all(Qcow2Node *s, const uint64_t *l1, uint32_t n, TableFn *fn)
{
    g_autofree uint64_t *table = g_malloc(s->cluster_size);
    int ret = 0;

    for (uint32_t i = 0; ret == 0 && i < n; i++) {
        uint64_t offset = l1[i] & QCOW2_OFFSET_MASK;

        ret = offset ? visit(s, offset, table, fn) : 0;
    }
    return ret;
}

static int entries_of(const Qcow2Node *s)
{
    return 1 << s->l2_bits;
}

static uint64_t entry_at(const Qcow2Node *s, const uint64_t *table, int i)
{
    return GUINT64_FROM_BE(table[i * (int)(s->l2_entry / 8)]);
}

/* The first cluster of the file that an entry refers to, and behind the last. */
static void clusters_of(Qcow2Node *s, uint64_t entry, uint64_t *first, uint64_t *end)
{
    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_range(s, entry, first, end);
        *first = QEMU_ALIGN_DOWN(*first, s->cluster_size);
        *end += 1;
    } else {
        *first = entry & QCOW2_OFFSET_MASK & ~(s->cluster_size - 1);
        *end = *first ? *first + s->cluster_size : 0;
    }
}

static int count_up(Qcow2Node *s, uint64_t offset, uint64_t *table, bool *changed)
{
    int ret = qcow2_count_up(s, offset);

    for (int i = 0; ret == 0 && i < entries_of(s); i++) {
        uint64_t at, end;

        clusters_of(s, entry_at(s, table, i), &at, &end);
        for (; ret == 0 && at < end; at += s->cluster_size) {
            ret = qcow2_count_up(s, at);
        }
    }
    return ret;
}

static int count_down(Qcow2Node *s, uint64_t offset, uint64_t *table, bool *changed)
{
    for (int i = 0; i < entries_of(s); i++) {
        uint64_t at, end;

        clusters_of(s, entry_at(s, table, i), &at, &end);
        for (; at < end; at += s->cluster_size) {
            qcow2_push(s->reclaim, at | QCOW2_BY_SNAPSHOT);
        }
    }
    qcow2_push(s->reclaim, offset | QCOW2_BY_SNAPSHOT);
    return qcow2_reclaim(s);
}

static void set_entry(const Qcow2Node *s, uint64_t *table, int i, uint64_t entry, bool *changed)
{
    if (entry != entry_at(s, table, i)) {
        table[i * (int)(s->l2_entry / 8)] = GUINT64_TO_BE(entry);
        *changed = true;
    }
}

/* Nothing in it may be written in place. */
static int share(Qcow2Node *s, uint64_t offset, uint64_t *table, bool *changed)
{
    for (int i = 0; i < entries_of(s); i++) {
        set_entry(s, table, i, entry_at(s, table, i) & ~QCOW2_COPIED, changed);
    }
    return 0;
}

/* *entry's flag is what its cluster's count says. */
static int mark_entry(Qcow2Node *s, uint64_t *entry)
{
    uint64_t offset = *entry & QCOW2_OFFSET_MASK & ~(s->cluster_size - 1), count = 0;
    int ret = 0;

    if (offset && !(*entry & QCOW2_COMPRESSED)) {
        ret = qcow2_count(s, offset, &count);
        *entry = count == 1 ? *entry | QCOW2_COPIED : *entry & ~QCOW2_COPIED;
    }
    return ret;
}

static int mark(Qcow2Node *s, uint64_t offset, uint64_t *table, bool *changed)
{
    int ret = 0;

    for (int i = 0; ret == 0 && i < entries_of(s); i++) {
        uint64_t entry = entry_at(s, table, i);

        ret = mark_entry(s, &entry);
        if (ret == 0) {
            set_entry(s, table, i, entry, changed);
        }
    }
    return ret;
}

/* Flags of the disk's own tables, from the counts or (shared) none. */
static int mark_active(Qcow2Node *s, bool shared)
{
    int ret = visit_all(s, s->l1, s->l1_size, shared ? share : mark);

    g_mutex_lock(&s->lock);
    for (uint32_t i = 0; ret == 0 && i < s->l1_size; i++) {
        uint64_t entry = s->l1[i] & ~QCOW2_COPIED;

        ret = shared ? 0 : mark_entry(s, &entry);
        if (entry != s->l1[i]) {
            qcow2_set_l1(s, i, entry);
        }
    }
    g_mutex_unlock(&s->lock);
    return ret < 0 ? ret : qcow2_commit(s);
}

/* Snapshots ------------------------------------------------------------------------------- */

static bool check(const BlockNode *bs)
{
    const Qcow2Node *s = downcast(bs, const Qcow2Node, bs);

    for (uint32_t i = 0; i < s->h.nb_snapshots; i++) {
        if (s->snapshots[i].extra_size > EXTRA_SIZE) {
            return false;       /* of a later version, and would be lost */
        }
    }
    return s->writable && !s->unsound && !bs->data_file && !bs->twins &&
           s->h.nb_snapshots < QCOW2_MAX_SNAPSHOTS && s->h.refcount_order;
}

/* A table of n entries gets a place of its own. */
static int put_l1(Qcow2Node *s, const uint64_t *l1, uint32_t n, uint64_t *offset)
{
    g_autofree uint64_t *be = g_new0(uint64_t, n + 1);

    for (uint32_t i = 0; i < n; i++) {
        be[i] = GUINT64_TO_BE(l1[i]);
    }
    return qcow2_put_clusters(s, be, n * 8ull, offset);
}

/* A snapshot's L1 table: the disk's, and the state's behind it. */
static int make_l1(Qcow2Node *s, Qcow2VMState *v, BlockSnapshotInfo *sn)
{
    uint32_t n = s->l1_size + (v ? qcow2_vmstate_tables(v) : 0);
    g_autofree uint64_t *l1 = g_new0(uint64_t, n + 1);
    int ret = n > QCOW2_MAX_L1_BYTES / 8 ? -EFBIG : 0;

    for (uint32_t i = 0; i < s->l1_size; i++) {
        l1[i] = s->l1[i] & QCOW2_OFFSET_MASK;
    }
    if (ret == 0 && v) {
        ret = qcow2_vmstate_link(v, l1 + s->l1_size);
        sn->vm_state_size = v->base.length;
    }
    sn->l1_size = n;
    return ret < 0 ? ret : put_l1(s, l1, n, &sn->l1_offset);
}

static int create(BlockNode *bs, const BlockSnapshotInfo *like, BlockVMState *state)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    Qcow2VMState *v = downcast(state, Qcow2VMState, base);
    g_autoptr(GArray) list = copy_list(s, NULL);
    BlockSnapshotInfo sn = *like;
    int ret = qcow2_settle(s);

    sn.disk_size = s->h.size;
    sn.vm_state_size = 0;
    ret = ret < 0 ? ret : make_l1(s, v, &sn);
    ret = ret < 0 ? ret : visit_all(s, s->l1, s->l1_size, count_up);
    ret = ret < 0 ? ret : qcow2_commit(s);
    ret = ret < 0 ? ret : mark_active(s, true);
    if (ret < 0) {
        return ret;
    }
    sn.id = new_id(s);
    sn.name = g_strdup(like->name);
    g_array_append_val(list, sn);
    ret = switch_list(s, list);
    if (ret < 0) {
        g_free(sn.id);
        g_free(sn.name);
        return ret;
    }
    if (v) {
        g_array_set_size(v->clusters, 0);
    }
    return qcow2_settle(s);
}

/* The place of the snapshot in the list. */
static BlockSnapshotInfo *find(Qcow2Node *s, const char *name)
{
    for (uint32_t i = 0; i < s->h.nb_snapshots; i++) {
        if (!strcmp(s->snapshots[i].name, name)) {
            return &s->snapshots[i];
        }
    }
    return NULL;
}

/* An L1 table in the file, which is not used any longer. */
static void free_l1(Qcow2Node *s, uint64_t offset, uint32_t n)
{
    g_mutex_lock(&s->lock);
    for (uint64_t done = 0; done < MAX(n, 1) * 8ull; done += s->cluster_size) {
        qcow2_push(s->reclaim, (offset + done) | QCOW2_BY_SNAPSHOT);
    }
    g_mutex_unlock(&s->lock);
}

static int remove_one(BlockNode *bs, const char *name)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    g_autoptr(GArray) list = copy_list(s, name);
    const BlockSnapshotInfo *found = find(s, name);
    g_autofree uint64_t *l1 = found ? qcow2_read_snapshot_l1(s, found) : NULL;
    BlockSnapshotInfo sn;
    int ret;

    if (!l1) {
        return found ? -EIO : -ENOENT;
    }
    sn = *found;
    ret = qcow2_settle(s);
    ret = ret < 0 ? ret : switch_list(s, list);
    if (ret < 0) {
        return ret;
    }
    g_free(sn.id);
    g_free(sn.name);
    free_l1(s, sn.l1_offset, sn.l1_size);
    ret = visit_all(s, l1, sn.l1_size, count_down);
    ret = ret < 0 ? ret : qcow2_settle(s);
    return ret < 0 ? ret : mark_active(s, false);
}

/* The active table is this one from now on. */
static void adopt(Qcow2Node *s, uint64_t *l1, uint64_t offset)
{
    uint64_t old_bytes = s->h.l1_size * 8ull;

    g_mutex_lock(&s->lock);
    qcow2_remove_table(s, s->h.l1_offset, old_bytes);
    for (uint32_t i = 0; i < s->l1_size; i++) {
        if (s->l1[i] & QCOW2_OFFSET_MASK) {
            qcow2_remove_table(s, s->l1[i] & QCOW2_OFFSET_MASK, s->cluster_size);
        }
    }
    qcow2_add_table(s, offset, MAX(s->l1_size, 1) * 8ull);
    for (uint32_t i = 0; i < s->l1_size; i++) {
        if (l1[i]) {
            qcow2_add_table(s, l1[i], s->cluster_size);
        }
    }
    memcpy(s->l1, l1, s->l1_size * 8ull);
    s->h.l1_offset = offset;
    s->h.l1_size = s->l1_size;
    g_mutex_unlock(&s->lock);
}

static int revert(BlockNode *bs, const char *name)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    const BlockSnapshotInfo *sn = find(s, name);
    g_autofree uint64_t *l1 = sn ? qcow2_read_snapshot_l1(s, sn) : NULL;
    const BlockSnapshotInfo was = { .l1_offset = s->h.l1_offset, .l1_size = s->h.l1_size };
    g_autofree uint64_t *old = NULL;
    uint64_t offset = 0;
    int ret;

    if (!l1 || sn->l1_size < s->l1_size) {
        return sn ? -EIO : -ENOENT;
    }
    if (sn->disk_size && sn->disk_size != s->h.size) {
        return -ENOTSUP;
    }
    ret = qcow2_settle(s);
    old = qcow2_read_snapshot_l1(s, &was);
    ret = ret < 0 ? ret : old ? visit_all(s, l1, s->l1_size, count_up) : -EIO;
    ret = ret < 0 ? ret : visit_all(s, l1, s->l1_size, share);
    ret = ret < 0 ? ret : put_l1(s, l1, s->l1_size, &offset);
    ret = ret < 0 ? ret : qcow2_commit(s);
    ret = ret < 0 ? ret : qcow2_write_size(s, s->h.size, s->l1_size, offset);
    if (ret < 0) {
        return ret;
    }
    adopt(s, l1, offset);
    block_bitmaps_mark(bs, 0, bs->length);
    free_l1(s, was.l1_offset, was.l1_size);
    ret = visit_all(s, old, was.l1_size, count_down);
    return ret < 0 ? ret : qcow2_settle(s);
}

const BlockSnapshotOps qcow2_snapshot_ops = {
    .check = check, .create = create, .remove = remove_one, .revert = revert,
    .state_new = qcow2_vmstate_new, .state_open = qcow2_vmstate_open,
    .state_write = qcow2_vmstate_write, .state_read = qcow2_vmstate_read,
    .state_free = qcow2_vmstate_free,
};
