/*
 * What it takes to write to a qcow2 image, beyond reading it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>

#include "file-posix.h"
#include "qcow2-open.h"


static bool check_inside(const Qcow2Node *s, uint64_t offset, const char *what, Error **errp)
{
    if (offset && offset >= s->h.file_length) {
        error_setg(errp, "qcow2: Image is corrupt: %s at %#" PRIx64 " is outside of the image "
                   "file; cannot be opened read/write", what, offset);
        return false;
    }
    return true;
}

static bool read_reftable(Qcow2Node *s, Error **errp)
{
    uint64_t bytes = s->h.reftable_clusters * s->cluster_size;
    int ret;

    s->reftable_size = bytes / sizeof(uint64_t);
    s->reftable = g_malloc0(bytes);
    ret = block_pread(s->bs.file, s->h.reftable_offset, s->reftable, bytes);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read reference count table");
        return false;
    }
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        s->reftable[i] = GUINT64_FROM_BE(s->reftable[i]);
        if (s->reftable[i] & (s->cluster_size - 1)) {
            error_setg(errp, "Reference count block offset %#" PRIx64 " unaligned (reftable "
                       "index: %#x)", s->reftable[i], i);
            return false;
        }
        if (!check_inside(s, s->reftable[i], "refcount block", errp)) {
            return false;
        }
    }
    return true;
}

static int compare_offsets(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Sorted once: there may be millions. */
static void collect(Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    for (uint64_t done = 0; done < bytes; done += s->cluster_size) {
        qcow2_push(s->tables, offset + done);
    }
}

/* Where all tables are. Two in one place would destroy each other. */
static bool find_tables(Qcow2Node *s, Error **errp)
{
    s->tables = g_array_new(false, false, sizeof(uint64_t));
    collect(s, 0, s->cluster_size);
    collect(s, s->h.l1_offset, s->h.l1_size * 8ull);
    collect(s, s->h.reftable_offset, s->h.reftable_clusters * s->cluster_size);
    if (s->h.nb_snapshots) {
        collect(s, s->h.snapshots_offset, s->snapshots_bytes);
    }
    for (uint32_t i = 0; i < s->reftable_size; i++) {
        if (s->reftable[i]) {
            collect(s, s->reftable[i], s->cluster_size);
        }
    }
    for (uint32_t i = 0; i < s->l1_size; i++) {
        uint64_t offset = s->l1[i] & QCOW2_OFFSET_MASK;

        if (!check_inside(s, offset, "L2 table", errp)) {
            return false;
        }
        if (offset && !(offset & (s->cluster_size - 1))) {
            collect(s, offset, s->cluster_size);
        }
    }
    qsort(s->tables->data, s->tables->len, sizeof(uint64_t), compare_offsets);
    for (guint i = 1; i < s->tables->len; i++) {
        uint64_t offset = g_array_index(s->tables, uint64_t, i);

        if (offset == g_array_index(s->tables, uint64_t, i - 1)) {
            error_setg(errp, "qcow2: Image is corrupt: two tables at %#" PRIx64 "; cannot be "
                       "opened read/write", offset);
            return false;
        }
    }
    return true;
}

uint64_t qcow2_file_limit(const Qcow2Node *s)
{
    const BlockNode *file = s->bs.file;
    bool grows = block_driver(file) == &block_file &&
        !downcast(file, const FileNode, bs)->is_blkdev;

    return grows ? 0 : file->length;
}

/* How far the file reaches, and whether it can grow. */
static void measure_file(Qcow2Node *s)
{
    s->file_limit = qcow2_file_limit(s);
    s->virgin = s->file_limit ? UINT64_MAX : QEMU_ALIGN_UP(s->h.file_length, s->cluster_size);
    s->data_virgin = s->bs.data_file && block_driver(s->bs.data_file) == &block_file &&
                     !downcast(s->bs.data_file, const FileNode, bs)->is_blkdev ?
                     QEMU_ALIGN_UP(s->bs.data_file->length, s->cluster_size) : UINT64_MAX;
}

static bool check_writable(Qcow2Node *s, Error **errp)
{
    if (s->h.incompatible & QCOW2_CORRUPT) {
        error_setg(errp, "qcow2: Image is corrupt; cannot be opened read/write");
        return false;
    }
    s->bitmaps_lost = false;
    return !(s->h.incompatible & QCOW2_DIRTY) || qcow2_repair(s, errp);
}

/* What we do not keep up to date is not to be trusted from now on. */
static bool clear_features(Qcow2Node *s, Error **errp)
{
    uint64_t kept = QCOW2_RAW_DATA_FILE | (s->bitmaps_lost ? 0 : qcow2_kept_bitmaps);
    uint64_t keep = s->h.autoclear & kept, be = GUINT64_TO_BE(keep);
    int ret;

    if (s->h.version < 3 || keep == s->h.autoclear) {
        return true;
    }
    ret = qcow2_pwrite(s->bs.file, QCOW2_AT_AUTOCLEAR, &be, sizeof(be));
    if (ret == 0) {
        ret = qcow2_flush_files(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not update qcow2 header");
    }
    s->h.autoclear = keep;
    return ret == 0;
}

bool qcow2_open_for_writing(Qcow2Node *s, Error **errp)
{
    GArray **lists[] = { &s->freed, &s->retired, &s->waiting, &s->reclaim };

    s->rb_bits = s->cluster_bits + 3 - s->h.refcount_order;
    if (!check_writable(s, errp) || !read_reftable(s, errp) || !find_tables(s, errp)) {
        return false;
    }
    qcow2_cache_init(&s->ref_cache, s->refcount_cache_size, s->slice);
    s->l1_dirty = g_new0(bool, s->l1_size / (BDRV_SECTOR_SIZE / 8) + 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        *lists[i] = g_array_new(false, false, sizeof(uint64_t));
    }
    g_queue_init(&s->regions);
    measure_file(s);
    return clear_features(s, errp);
}

void qcow2_close_for_writing(Qcow2Node *s)
{
    GArray **lists[] = { &s->tables, &s->freed, &s->retired, &s->waiting, &s->reclaim };

    qcow2_cache_clear(&s->ref_cache);
    s->free_hint = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(lists); i++) {
        g_clear_pointer(lists[i], g_array_unref);
    }
    g_clear_pointer(&s->l1_dirty, g_free);
    g_clear_pointer(&s->reftable, g_free);
}
