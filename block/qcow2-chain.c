/*
 * A qcow2 image in a chain that changes: what it has itself, what it takes over from below, which
 * backing file it names, and whether it is written.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "blockdev.h"
#include "qcow2-open.h"

/* What is at pos, *n: how far. Any thread, but not within a request of the disk's own. */
static int extent_at(BlockNode *bs, uint64_t pos, uint64_t bytes, Qcow2Extent *ext, uint64_t *n)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    unsigned epoch;
    int ret;

    g_mutex_lock(&s->lock);
    epoch = qcow2_enter(s);
    ret = qcow2_lookup_wait(s, pos, bytes, ext);
    qcow2_leave(s, epoch);
    g_mutex_unlock(&s->lock);
    *n = ret < 0 ? bytes : ext->bytes;
    return ret;
}

int qcow2_allocated(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    Qcow2Extent ext;
    int ret = extent_at(bs, pos, bytes, &ext, n);

    return ret < 0 ? ret : ext.kind != QCOW2_UNALLOCATED;
}

/* Where the backing file ends, zeroes begin. */
bool qcow2_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    uint64_t below = bs->backing ? bs->backing->length : 0;
    Qcow2Extent ext;
    int ret = extent_at(bs, pos, bytes, &ext, n);

    if (ret < 0 || ext.kind != QCOW2_UNALLOCATED) {
        return ret == 0 && ext.kind == QCOW2_ZEROES;
    }
    return pos >= below || block_reads_zero(bs->backing, pos, MIN(*n, below - pos), n);
}

/* The header's cluster with another backing file, or other bitmaps --------------------------- */

typedef struct Writer {
    uint8_t *p;
    size_t at, size;
    bool full;
} Writer;

static void put(Writer *w, const void *data, size_t len, size_t padded)
{
    if (w->full || padded > w->size - w->at) {
        w->full = true;
        return;
    }
    memcpy(w->p + w->at, data, len);
    w->at += padded;
}

static void put_extension(Writer *w, uint32_t type, const void *data, uint32_t len)
{
    uint8_t head[8];

    qcow2_put32(head, type);
    qcow2_put32(head + 4, len);
    put(w, head, 8, 8);
    put(w, data, len, QEMU_ALIGN_UP((size_t)len, 8));
}

/* All but what is about the backing file and dirty bitmaps. */
static void copy_extensions(Writer *w, const uint8_t *old, size_t from, size_t end)
{
    for (size_t at = from; at + 8 <= end;) {
        uint32_t type = qcow2_get32(old + at), len = qcow2_get32(old + at + 4);

        if (type == QCOW2_EXT_END || len > end - at - 8) {
            return;
        }
        if (type != QCOW2_EXT_BACKING_FORMAT && type != QCOW2_EXT_BITMAPS) {
            put_extension(w, type, old + at + 8, len);
        }
        at += 8 + QEMU_ALIGN_UP((size_t)len, 8);
    }
}

static void put_bitmaps(Writer *w, const Qcow2Header *h)
{
    uint8_t data[24] = { 0 };

    if (h->nb_bitmaps) {
        qcow2_put32(data, h->nb_bitmaps);
        qcow2_put64(data + 8, h->bitmaps_bytes);
        qcow2_put64(data + 16, h->bitmaps_offset);
        put_extension(w, QCOW2_EXT_BITMAPS, data, sizeof(data));
    }
}

int qcow2_write_header(Qcow2Node *s, const char *name, const char *format)
{
    g_autofree uint8_t *old = g_malloc0(s->cluster_size), *new = g_malloc0(s->cluster_size);
    Writer w = { new, s->h.header_length, s->cluster_size, false };
    uint64_t offset, old_name;
    uint32_t len = name ? strlen(name) : 0;
    int ret = block_pread(s->bs.file, 0, old, s->cluster_size);

    if (ret < 0) {
        return ret;
    }
    memcpy(new, old, s->h.header_length);
    old_name = qcow2_get64(old + 8);
    copy_extensions(&w, old, s->h.header_length,
                    old_name && old_name < s->cluster_size ? old_name : s->cluster_size);
    if (format && name) {
        put_extension(&w, QCOW2_EXT_BACKING_FORMAT, format, strlen(format));
    }
    put_bitmaps(&w, &s->h);
    put_extension(&w, QCOW2_EXT_END, "", 0);
    offset = name ? w.at : 0;
    put(&w, name ? name : "", len, len);
    if (w.full || len > QCOW2_MAX_NAME) {
        return -ENAMETOOLONG;
    }
    qcow2_put64(new + 8, offset);
    qcow2_put32(new + 16, len);
    if (s->h.version >= 3) {
        qcow2_put64(new + QCOW2_AT_AUTOCLEAR, s->h.autoclear);
    }
    ret = qcow2_pwrite(s->bs.file, 0, new, s->cluster_size);
    return ret < 0 ? ret : qcow2_flush_files(s);
}

int qcow2_change_backing(BlockNode *bs, const char *name, const char *format)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    int ret = qcow2_commit(s);  /* what was copied is there before the image stands alone */

    if (ret == 0) {
        ret = qcow2_write_header(s, name, format);
    }
    if (ret < 0) {
        return ret;
    }
    g_free(s->h.backing);
    g_free(s->h.backing_format);
    g_free(s->full_backing);
    s->h.backing = g_strdup(name);
    s->h.backing_format = name ? g_strdup(format) : NULL;
    s->full_backing = name ? block_backing_path(bs->filename, name) : NULL;
    return 0;
}

/* Written, or not any more ------------------------------------------------------------------- */

static bool reopen_files(BlockNode *bs, bool read_only, Error **errp)
{
    return block_reopen(bs->file, read_only, errp) &&
           (!bs->data_file || block_reopen(bs->data_file, read_only, errp));
}

static bool to_read_only(Qcow2Node *s, Error **errp)
{
    int ret = qcow2_store_bitmaps(s);

    ret = ret < 0 ? ret : qcow2_settle(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write tables");
        return false;
    }
    s->writable = false;
    s->bs.is_ro = true;
    qcow2_close_for_writing(s);
    reopen_files(&s->bs, true, NULL);
    return qcow2_lock_files(s, errp);
}

bool qcow2_reopen(BlockNode *bs, bool read_only, Error **errp)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    if (read_only) {
        return to_read_only(s, errp);
    }
    if (!reopen_files(bs, false, errp)) {
        reopen_files(bs, true, NULL);
        return false;
    }
    bs->is_ro = false;
    s->h.file_length = bs->file->length;
    if (qcow2_lock_files(s, errp) && qcow2_open_for_writing(s, errp) &&
        qcow2_use_bitmaps(s, errp)) {
        s->writable = true;
        return true;
    }
    bs->is_ro = true;
    qcow2_close_for_writing(s);
    reopen_files(bs, true, NULL);
    qcow2_lock_files(s, NULL);
    return false;
}
