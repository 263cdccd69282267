/*
 * A machine's state in a qcow2 image: written to new clusters, which a snapshot's tables then map
 * behind the end of the disk ("Snapshots" of the specification).
 *
 * The active tables never map it: what a crash leaves behind is clusters that nobody uses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-vmstate.h"

#define CHUNK (2 * MiB)         /* written at a time; no cluster is larger */

int qcow2_put_clusters(Qcow2Node *s, const void *data, size_t bytes, uint64_t *offset)
{
    uint64_t n = MAX(DIV_ROUND_UP(bytes, s->cluster_size), 1);
    g_autofree uint8_t *buf = g_malloc0(n * s->cluster_size);
    int ret;

    memcpy(buf, data, bytes);
    g_mutex_lock(&s->lock);
    ret = qcow2_alloc_row(s, n, offset);
    g_mutex_unlock(&s->lock);
    if (ret < 0) {
        return ret;
    }
    ret = qcow2_pwrite(s->bs.file, *offset, buf, n * s->cluster_size);
    g_mutex_lock(&s->lock);
    for (uint64_t i = 0; i < n; i++) {
        qcow2_cache_forget(s, &s->l2_cache, *offset + i * s->cluster_size);
        if (ret < 0) {
            qcow2_push(s->reclaim, *offset + i * s->cluster_size);
        }
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

/* Writing ------------------------------------------------------------------------------- */

BlockVMState *qcow2_vmstate_new(BlockNode *bs)
{
    Qcow2VMState *v = g_new0(Qcow2VMState, 1);

    v->base.ops = &qcow2_snapshot_ops;
    v->s = downcast(bs, Qcow2Node, bs);
    v->buf = g_malloc(CHUNK);
    v->clusters = g_array_new(false, false, sizeof(uint64_t));
    return &v->base;
}

/* Clusters for part of what is in buf, at most all. */
static int put_some(Qcow2VMState *v, size_t *done)
{
    Qcow2Node *s = v->s;
    uint64_t host, got, want = DIV_ROUND_UP(v->used - *done, s->cluster_size);
    int ret;

    g_mutex_lock(&s->lock);
    ret = s->unsound ? -EIO : qcow2_alloc(s, want, &host, &got);
    if (ret == 0) {
        s->virgin = MAX(s->virgin, host + got * s->cluster_size);
        for (uint64_t i = 0; i < got; i++) {
            qcow2_push(v->clusters, host + i * s->cluster_size);
        }
        ret = qcow2_relieve(s);
    }
    g_mutex_unlock(&s->lock);
    if (ret == 0) {
        ret = qcow2_pwrite(s->bs.file, host, v->buf + *done, got * s->cluster_size);
        *done += got * s->cluster_size;
    }
    return ret;
}

static int put_buffer(Qcow2VMState *v)
{
    size_t done = 0;
    int ret = 0;

    memset(v->buf + v->used, 0, CHUNK - v->used);
    while (ret == 0 && done < v->used) {
        ret = put_some(v, &done);
    }
    v->used = 0;
    return ret;
}

int qcow2_vmstate_write(BlockVMState *base, const void *data, size_t len)
{
    Qcow2VMState *v = downcast(base, Qcow2VMState, base);
    const uint8_t *p = data;
    int ret = 0;

    while (ret == 0 && len) {
        size_t n = MIN(len, CHUNK - v->used);

        memcpy(v->buf + v->used, p, n);
        v->used += n;
        base->length += n;
        p += n;
        len -= n;
        if (v->used == CHUNK) {
            ret = put_buffer(v);
        }
    }
    return ret;
}

uint32_t qcow2_vmstate_tables(Qcow2VMState *v)
{
    uint64_t clusters = v->clusters->len + DIV_ROUND_UP(v->used, v->s->cluster_size);

    return DIV_ROUND_UP(clusters, 1ull << v->s->l2_bits);
}

int qcow2_vmstate_link(Qcow2VMState *v, uint64_t *l1)
{
    Qcow2Node *s = v->s;
    guint per_table = 1u << s->l2_bits, step = s->l2_entry / 8;
    g_autofree uint64_t *table = g_malloc(s->cluster_size);
    int ret = put_buffer(v);

    for (guint i = 0; ret == 0 && i < v->clusters->len; i += per_table) {
        memset(table, 0, s->cluster_size);
        for (guint k = 0; k < per_table && i + k < v->clusters->len; k++) {
            table[k * step] = GUINT64_TO_BE(g_array_index(v->clusters, uint64_t, i + k));
            if (step == 2) {
                table[k * step + 1] = GUINT64_TO_BE((uint64_t)UINT32_MAX);
            }
        }
        ret = qcow2_put_clusters(s, table, s->cluster_size, l1++);
    }
    return ret;
}

/* Reading ------------------------------------------------------------------------------- */

uint64_t *qcow2_read_snapshot_l1(Qcow2Node *s, const BlockSnapshotInfo *sn)
{
    uint64_t *l1;

    if (sn->l1_size > QCOW2_MAX_L1_BYTES / 8 || sn->l1_offset % s->cluster_size) {
        return NULL;
    }
    l1 = g_malloc0(sn->l1_size * 8ull + 1);
    if (sn->l1_size && block_pread(s->bs.file, sn->l1_offset, l1, sn->l1_size * 8ull) < 0) {
        g_free(l1);
        return NULL;
    }
    for (uint32_t i = 0; i < sn->l1_size; i++) {
        l1[i] = GUINT64_FROM_BE(l1[i]) & QCOW2_OFFSET_MASK;
    }
    return l1;
}

BlockVMState *qcow2_vmstate_open(BlockNode *bs, const BlockSnapshotInfo *sn, Error **errp)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    uint64_t disk = sn->disk_size ? sn->disk_size : s->h.size;
    uint64_t first = DIV_ROUND_UP(disk, s->cluster_size << s->l2_bits);
    g_autofree uint64_t *l1 = qcow2_read_snapshot_l1(s, sn);
    Qcow2VMState *v;

    if (!l1) {
        error_setg(errp, "Could not read the tables of snapshot '%s'", sn->name);
        return NULL;
    }
    v = g_new0(Qcow2VMState, 1);
    v->s = s;
    v->base.ops = &qcow2_snapshot_ops;
    v->base.length = sn->vm_state_size;
    v->buf = g_malloc(s->cluster_size);
    v->l2 = g_malloc(s->cluster_size);
    v->n_l1 = sn->l1_size > first ? sn->l1_size - first : 0;
    v->l1 = g_memdup2(l1 + MIN(first, sn->l1_size), v->n_l1 * 8ull);
    v->at_l2 = v->n_l1;
    return &v->base;
}

/* The entry for a cluster of the state, in host byte order. */
static int find_entry(Qcow2VMState *v, uint64_t cluster, uint64_t *entry)
{
    Qcow2Node *s = v->s;
    uint64_t table = cluster >> s->l2_bits, i = cluster & ((1u << s->l2_bits) - 1);
    unsigned step = s->l2_entry / 8;
    int ret;

    if (table >= v->n_l1 || !v->l1[table] || v->l1[table] % s->cluster_size) {
        return -EIO;
    }
    if (v->at_l2 != table) {
        v->at_l2 = v->n_l1;
        ret = block_pread(s->bs.file, v->l1[table], v->l2, s->cluster_size);
        if (ret < 0) {
            return ret;
        }
        v->at_l2 = table;
    }
    *entry = GUINT64_FROM_BE(v->l2[i * step]);
    if (step == 2 && GUINT64_FROM_BE(v->l2[i * step + 1]) != UINT32_MAX) {
        return -EIO;            /* we write none of these */
    }
    return *entry & (QCOW2_COMPRESSED | QCOW2_ZERO) ? -EIO : 0;
}

static int read_piece(Qcow2VMState *v, void *data, size_t len)
{
    Qcow2Node *s = v->s;
    uint64_t entry, offset;
    int ret = find_entry(v, v->pos >> s->cluster_bits, &entry);

    offset = entry & QCOW2_OFFSET_MASK;
    if (ret < 0 || !offset || offset % s->cluster_size) {
        return ret < 0 ? ret : -EIO;
    }
    return block_pread(s->bs.file, offset + qcow2_offset_in_cluster(s, v->pos), data, len);
}

ssize_t qcow2_vmstate_read(BlockVMState *base, void *data, size_t len)
{
    Qcow2VMState *v = downcast(base, Qcow2VMState, base);
    uint8_t *p = data;
    size_t left = len = MIN(len, base->length - v->pos);

    while (left) {
        size_t n = MIN(left, v->s->cluster_size - qcow2_offset_in_cluster(v->s, v->pos));
        int ret = read_piece(v, p, n);

        if (ret < 0) {
            return ret;
        }
        p += n;
        left -= n;
        v->pos += n;
    }
    return len;
}

/* Both ------------------------------------------------------------------------------------ */

void qcow2_vmstate_free(BlockVMState *base)
{
    Qcow2VMState *v = downcast(base, Qcow2VMState, base);

    if (v->clusters && v->clusters->len) {
        g_mutex_lock(&v->s->lock);
        for (guint i = 0; i < v->clusters->len; i++) {
            qcow2_push(v->s->reclaim,
                       g_array_index(v->clusters, uint64_t, i) | QCOW2_BY_SNAPSHOT);
        }
        g_mutex_unlock(&v->s->lock);
        qcow2_flush(v->s);      /* the next one finds the room */
    }
    if (v->clusters) {
        g_array_unref(v->clusters);
    }
    g_free(v->buf);
    g_free(v->l1);
    g_free(v->l2);
    g_free(v);
}
