/*
 * A qcow2 image's disk becomes larger.
 *
 * Main thread, beside requests of the disk's loop and workers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-alloc.h"

#define MAX_ATTEMPTS 4

int qcow2_alloc_row(Qcow2Node *s, uint64_t n, uint64_t *first)
{
    uint64_t have = 0, host, got;
    unsigned attempts = 0;
    int ret = 0;

    while (have < n) {
        ret = qcow2_alloc(s, n - have, &host, &got);
        if (ret == 0 && have && host == *first + have * s->cluster_size) {
            have += got;
            continue;
        }
        /* Something lies between, or there is nothing more. */
        for (uint64_t i = 0; i < have; i++) {
            qcow2_push(s->reclaim, *first + i * s->cluster_size);
        }
        if (ret < 0 || (host >= s->virgin && ++attempts > MAX_ATTEMPTS)) {
            return ret < 0 ? ret : -EFBIG;
        }
        *first = host;
        have = got;
    }
    s->virgin = MAX(s->virgin, *first + n * s->cluster_size);
    return 0;
}

/* Tables in memory as large as n entries ask for. With the lock. */
static void extend_memory(Qcow2Node *s, uint32_t n)
{
    uint32_t per_piece = BDRV_SECTOR_SIZE / 8;
    uint32_t had = s->l1_size / per_piece + 1, wanted = n / per_piece + 1;

    s->l1 = g_renew(uint64_t, s->l1, n);
    memset(s->l1 + s->l1_size, 0, (n - s->l1_size) * 8ull);
    s->l1_dirty = g_renew(bool, s->l1_dirty, wanted);
    memset(s->l1_dirty + had, 0, wanted - had);
}

/* The table has room: what is in it there is nobody's. */
static int extend_in_place(Qcow2Node *s, uint32_t n)
{
    g_mutex_lock(&s->lock);
    extend_memory(s, n);
    for (uint32_t i = s->l1_size; i < n; i++) {
        qcow2_set_l1(s, i, 0);
    }
    s->l1_size = n;
    g_mutex_unlock(&s->lock);
    return qcow2_commit(s);
}

int qcow2_write_size(Qcow2Node *s, uint64_t size, uint32_t l1_size, uint64_t l1_offset)
{
    uint8_t fields[24];
    int ret;

    qcow2_put64(fields, size);
    qcow2_put32(fields + 8, 0);         /* not encrypted */
    qcow2_put32(fields + 12, l1_size);
    qcow2_put64(fields + 16, l1_offset);
    ret = qcow2_pwrite(s->bs.file, QCOW2_AT_SIZE, fields, sizeof(fields));
    return ret < 0 ? ret : qcow2_flush_files(s);
}

/* With commit_lock: the file's table, as it is, has another place, and n entries. */
static int copy_l1(Qcow2Node *s, uint64_t to, uint32_t n)
{
    uint64_t bytes = QEMU_ALIGN_UP(n * 8ull, s->cluster_size);
    g_autofree uint64_t *buf = g_malloc0(bytes);
    int ret = s->l1_size ? block_pread(s->bs.file, s->h.l1_offset, buf, s->l1_size * 8ull) : 0;

    if (ret == 0) {
        ret = qcow2_pwrite(s->bs.file, to, buf, bytes);
    }
    if (ret == 0) {
        ret = qcow2_flush_files(s);
    }
    return ret < 0 ? ret : qcow2_write_size(s, s->h.size, n, to);
}

/* With the lock and commit_lock. */
static void adopt_l1(Qcow2Node *s, uint64_t to, uint32_t n)
{
    uint64_t old_bytes = QEMU_ALIGN_UP(s->h.l1_size * 8ull, s->cluster_size);
    uint64_t old = s->h.l1_offset;

    extend_memory(s, n);
    s->h.l1_offset = to;
    s->h.l1_size = s->l1_size = n;
    qcow2_add_table(s, to, n * 8ull);
    qcow2_remove_table(s, old, old_bytes);
    for (uint64_t done = 0; done < old_bytes; done += s->cluster_size) {
        qcow2_push(s->reclaim, old + done);
    }
}

static int move_l1(Qcow2Node *s, uint32_t n)
{
    uint64_t clusters = DIV_ROUND_UP(n * 8ull, s->cluster_size), to = 0;
    int ret;

    g_mutex_lock(&s->lock);
    ret = qcow2_alloc_row(s, clusters, &to);
    g_mutex_unlock(&s->lock);
    if (ret == 0) {
        ret = qcow2_commit(s);  /* they are counted before anything refers to them */
    }
    if (ret < 0) {
        return ret;
    }
    g_mutex_lock(&s->commit_lock);
    ret = copy_l1(s, to, n);
    g_mutex_lock(&s->lock);
    if (ret == 0) {
        adopt_l1(s, to, n);
    } else {
        for (uint64_t i = 0; i < clusters; i++) {
            qcow2_push(s->reclaim, to + i * s->cluster_size);
        }
    }
    g_mutex_unlock(&s->lock);
    g_mutex_unlock(&s->commit_lock);
    return ret;
}

/* What was behind the end must not be seen: a backing file's, or the rest of a cluster's. */
static int clear_new(Qcow2Node *s, uint64_t size)
{
    uint64_t old = s->h.size, backing = s->bs.backing ? s->bs.backing->length : 0;
    uint64_t end = MIN(size, MAX(backing, QEMU_ALIGN_UP(old, s->cluster_size)));

    while (old < end) {
        BlockRequest req = { .node_op = BLOCK_OP_WRITE_ZEROES, .pos = old,
                             .bytes = MIN(end - old, BDRV_REQUEST_MAX_BYTES) };
        int ret = qcow2_clear(s, &req);

        if (ret < 0) {
            return ret;
        }
        old += req.bytes;
    }
    return 0;
}

static int grow(Qcow2Node *s, uint64_t size)
{
    uint64_t entries = DIV_ROUND_UP(size, s->cluster_size << s->l2_bits);
    BlockNode *data = s->bs.data_file;
    int ret = 0;

    if (entries * 8 > QCOW2_MAX_L1_BYTES) {
        return -EFBIG;
    }
    if (entries > s->l1_size) {
        ret = entries <= s->h.l1_size ? extend_in_place(s, entries) : move_l1(s, entries);
    }
    if (ret == 0) {
        ret = clear_new(s, size);
    }
    if (ret == 0 && data && data->length < size && block_driver(data)->truncate) {
        ret = block_driver(data)->truncate(data, size);
    }
    if (ret == 0) {
        ret = qcow2_commit(s);
    }
    return ret < 0 ? ret : qcow2_write_size(s, size, s->h.l1_size, s->h.l1_offset);
}

int qcow2_truncate(BlockNode *bs, uint64_t size)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    unsigned epoch;
    int ret;

    if (size < bs->length || (s->h.nb_snapshots && s->h.version < 3)) {
        return -ENOTSUP;
    }
    g_mutex_lock(&s->lock);
    ret = s->unsound ? -EIO : 0;
    epoch = qcow2_enter(s);
    g_mutex_unlock(&s->lock);
    if (ret == 0 && size > bs->length) {
        ret = grow(s, size);
    }
    g_mutex_lock(&s->lock);
    qcow2_leave(s, epoch);
    g_mutex_unlock(&s->lock);
    if (ret == 0) {
        s->h.size = size;
        __atomic_store_n(&bs->length, size, __ATOMIC_RELEASE);
    }
    return ret;
}
