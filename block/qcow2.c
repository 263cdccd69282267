/*
 * The "qcow2" format: images that grow, with backing files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "bitmap.h"
#include "blockdev.h"
#include "qcow2-open.h"

#define DEFAULT_L2_CACHE (4 * MiB)
#define DEFAULT_REF_CACHE (512 * KiB)
#define DEFAULT_SLICE 4096u

/* Opening ------------------------------------------------------------------------ */

static bool read_l1(Qcow2Node *s, Error **errp)
{
    uint64_t span = s->cluster_size << s->l2_bits;
    size_t bytes;
    int ret;

    s->l1_size = DIV_ROUND_UP(s->h.size, span);
    bytes = s->l1_size * sizeof(uint64_t);
    s->l1 = g_malloc0(bytes + 1);
    ret = bytes ? block_pread(s->bs.file, s->h.l1_offset, s->l1, bytes) : 0;
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read L1 table");
        return false;
    }
    for (uint32_t i = 0; i < s->l1_size; i++) {
        s->l1[i] = GUINT64_FROM_BE(s->l1[i]);
    }
    return true;
}

static void derive(Qcow2Node *s)
{
    bool extended = s->h.incompatible & QCOW2_EXTENDED_L2;

    s->cluster_bits = s->h.cluster_bits;
    s->cluster_size = 1ull << s->cluster_bits;
    s->l2_entry = extended ? 16 : 8;
    s->l2_bits = s->cluster_bits - (extended ? 4 : 3);
    s->sc_bits = s->cluster_bits - (extended ? 5 : 0);
    s->slice = MIN(s->cluster_size, s->l2_entry_size ? s->l2_entry_size : DEFAULT_SLICE);
    s->bs.length = s->h.size;
    s->bs.filename = s->bs.file->filename;
    s->bs.direct = s->bs.file->direct;
    s->bs.no_flush |= s->bs.file->no_flush;
    s->bs.align = s->bs.mem_align = 1;
}

static bool check_cache_options(Qcow2Node *s, Error **errp)
{
    uint64_t n = s->l2_entry_size, total = s->cache_size;

    if (n && (n < BDRV_SECTOR_SIZE || n > s->cluster_size || (n & (n - 1)))) {
        error_setg(errp, "L2 cache entry size must be a power of two between 512 and the "
                   "cluster size (%" G_GUINT64_FORMAT ")", s->cluster_size);
        return false;
    }
    if (s->cache_size && s->l2_cache_size && s->refcount_cache_size) {
        error_setg(errp, "cache-size, l2-cache-size and refcount-cache-size may not be set at "
                   "the same time");
        return false;
    }
    if (s->cache_size && s->l2_cache_size > s->cache_size) {
        error_setg(errp, "l2-cache-size may not exceed cache-size");
        return false;
    }
    if (s->cache_size && s->refcount_cache_size > s->cache_size) {
        error_setg(errp, "refcount-cache-size may not exceed cache-size");
        return false;
    }
    if (total && !s->refcount_cache_size) {
        s->refcount_cache_size = s->l2_cache_size ? total - s->l2_cache_size : total / 8;
    }
    if (total && !s->l2_cache_size) {
        s->l2_cache_size = total - s->refcount_cache_size;
    }
    s->l2_cache_size = s->l2_cache_size ? s->l2_cache_size : DEFAULT_L2_CACHE;
    s->refcount_cache_size = s->refcount_cache_size ? s->refcount_cache_size : DEFAULT_REF_CACHE;
    return true;
}

static bool check_options(Qcow2Node *s, Error **errp)
{
    if (s->lazy_refcounts == ON_OFF_AUTO_ON && s->h.version < 3) {
        error_setg(errp, "Lazy refcounts require a qcow2 image with at least qemu 1.1 "
                   "compatibility level");
        return false;
    }
    return check_cache_options(s, errp);
}

static gboolean clean_caches(gpointer data)
{
    Qcow2Node *s = data;

    g_mutex_lock(&s->lock);
    qcow2_cache_clean(&s->l2_cache);
    qcow2_cache_clean(&s->ref_cache);
    g_mutex_unlock(&s->lock);
    return G_SOURCE_CONTINUE;
}

static bool open_data_file(Qcow2Node *s, Error **errp)
{
    bool wanted = s->h.incompatible & QCOW2_DATA_FILE;

    if (!wanted && s->bs.data_file) {
        error_setg(errp, "'data-file' can only be set for images with an external data file");
        return false;
    }
    if (wanted && !s->bs.data_file) {
        if (!s->h.data_file) {
            error_setg(errp, "'data-file' is required for this image");
            return false;
        }
        return block_open_data_file(&s->bs, s->h.data_file, errp);
    }
    return true;
}

static bool may_write(Qcow2Node *s, Error **errp)
{
    BlockNode *bs = &s->bs;

    bs->is_ro |= bs->file->is_ro;
    if (bs->is_ro) {
        if (!bs->read_only && !bs->auto_read_only && !bs->file->auto_read_only) {
            error_setg(errp, "Block node is read-only");
            return false;
        }
        return true;
    }
    return true;
}

/* Tables are ours alone, whatever the device shares. */
bool qcow2_lock_files(Qcow2Node *s, Error **errp)
{
    unsigned perm = BLOCK_PERM_READ, unshared = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;

    if (!s->bs.is_ro) {
        perm |= BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    }
    return block_set_perm(s->bs.file, perm, unshared, errp) &&
           (!s->bs.data_file || block_set_perm(s->bs.data_file, perm, unshared, errp));
}

static void finish(Qcow2Node *s)
{
    int ret = s->writable ? qcow2_store_bitmaps(s) : 0;

    if (ret < 0) {
        error_report("Lost persistent bitmaps of '%s': %s", s->bs.filename, strerror(-ret));
    }
    ret = s->writable ? qcow2_settle(s) : 0;
    if (ret < 0) {
        error_report("cannot write tables of '%s': %s", s->bs.filename, strerror(-ret));
    }
}

static void qcow2_finish(BlockNode *bs)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    if (bs->bitmaps || s->h.nb_bitmaps) {
        finish(s);
    }
}

static void qcow2_close(BlockNode *bs)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    finish(s);
    g_clear_handle_id(&s->cleaner, g_source_remove);
    qcow2_close_for_writing(s);
    qcow2_free_snapshots(s);
    qcow2_cache_clear(&s->l2_cache);
    g_clear_pointer(&s->l1, g_free);
    g_clear_pointer(&s->full_backing, g_free);
    qcow2_header_clear(&s->h);
    g_mutex_clear(&s->commit_lock);
    g_mutex_clear(&s->lock);
    g_cond_clear(&s->cond);
}

static bool qcow2_open(BlockNode *bs, Error **errp)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    g_mutex_init(&s->commit_lock);
    g_mutex_init(&s->lock);
    g_cond_init(&s->cond);
    if (!qcow2_read_header(bs->file, &s->h, errp) ||
        (s->h.compression && !zstd_lib_load(&s->zstd, errp))) {
        goto fail;
    }
    derive(s);
    if (!open_data_file(s, errp)) {
        goto fail;
    }
    s->data = bs->data_file ? bs->data_file : bs->file;
    if (!check_options(s, errp) || !may_write(s, errp) || !qcow2_lock_files(s, errp) ||
        !read_l1(s, errp) || !qcow2_read_snapshots(s, errp)) {
        goto fail;
    }
    s->full_backing = s->h.backing ? block_backing_path(bs->filename, s->h.backing) : NULL;
    qcow2_cache_init(&s->l2_cache, s->l2_cache_size, s->slice);
    s->writable = !bs->is_ro && !bs->inactive;
    if ((s->writable && !qcow2_open_for_writing(s, errp)) ||
        (!bs->inactive && !qcow2_load_bitmaps(s, errp)) ||
        (s->writable && !qcow2_use_bitmaps(s, errp))) {
        s->writable = false;
        goto fail;
    }
    if (s->clean_interval) {
        s->cleaner = g_timeout_add_seconds(s->clean_interval, clean_caches, s);
    }
    return true;
fail:
    block_bitmaps_free(bs);
    qcow2_close(bs);
    return false;
}

static bool qcow2_inactivate(BlockNode *bs, Error **errp)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    int ret = qcow2_store_bitmaps(s);

    ret = ret < 0 ? ret : qcow2_settle(s);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write tables of '%s'", bs->filename);
        return false;
    }
    s->writable = false;
    qcow2_close_for_writing(s);
    return true;
}

/* Where others have written all is read again; the loop has nothing of it. */
static bool qcow2_activate(BlockNode *bs, Error **errp)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);

    if (bs->file->stale) {
        block_bitmaps_free(bs);
        qcow2_close(bs);
        if (!qcow2_open(bs, errp)) {
            return false;
        }
        bs->length = QEMU_ALIGN_UP(bs->length, BDRV_SECTOR_SIZE);
        return true;
    }
    s->h.file_length = bs->file->length;
    s->writable = qcow2_lock_files(s, errp) && qcow2_open_for_writing(s, errp) &&
                  qcow2_use_bitmaps(s, errp);
    if (!s->writable) {
        qcow2_close_for_writing(s);
    }
    return s->writable;
}

/* Its files were locked when it was opened, as the format asks for. */
static bool qcow2_set_perm(BlockNode *bs, unsigned perm, unsigned unshared, Error **errp)
{
    return true;
}

static void qcow2_copy_options(BlockNode *to, const BlockNode *from)
{
    const Qcow2Node *s = downcast(from, const Qcow2Node, bs);

    downcast(to, Qcow2Node, bs)->l2_cache_size = s->l2_cache_size;
}

static void qcow2_get_info(const BlockNode *bs, BlockImageInfo *info)
{
    const Qcow2Node *s = downcast(bs, const Qcow2Node, bs);

    info->cluster_size = s->cluster_size;
    info->dirty = s->h.incompatible & QCOW2_DIRTY;
    info->backing_filename = s->h.backing;
    info->full_backing_filename = s->full_backing;
    info->backing_format = s->h.backing_format;
    info->snapshots = s->snapshots;
    info->nr_snapshots = s->h.nb_snapshots;
    info->compat = s->h.version == 2 ? "0.10" : "1.1";
    info->compression = s->h.compression ? "zstd" : "zlib";
    info->data_file = s->h.data_file;
    info->raw_data_file = s->h.autoclear & QCOW2_RAW_DATA_FILE;
    info->lazy_refcounts = s->h.compatible & QCOW2_LAZY_REFCOUNTS;
    info->corrupt = s->h.incompatible & QCOW2_CORRUPT;
    info->extended_l2 = s->h.incompatible & QCOW2_EXTENDED_L2;
    info->refcount_bits = 1u << s->h.refcount_order;
}

static const char *const overlap_names[] = { "none", "constant", "cached", "all", NULL };

static const Property qcow2_props[] = {
    DEFINE_PROP_SIZE("cache-size", Qcow2Node, cache_size, "0", "bytes for tables in memory"),
    DEFINE_PROP_SIZE("l2-cache-size", Qcow2Node, l2_cache_size, "0", "of these, for L2 tables"),
    DEFINE_PROP_SIZE32("l2-cache-entry-size", Qcow2Node, l2_entry_size, "0",
                       "tables are read in pieces of this size (default: 4 KiB)"),
    DEFINE_PROP_SIZE("refcount-cache-size", Qcow2Node, refcount_cache_size, "0",
                     "of these, for refcount blocks"),
    DEFINE_PROP_ON_OFF_AUTO("lazy-refcounts", Qcow2Node, lazy_refcounts, "auto",
                            "on: allowed to leave refcounts behind; they are kept all the same"),
    DEFINE_PROP_UINT32("cache-clean-interval", Qcow2Node, clean_interval, "600",
                       "seconds after which tables that nobody uses leave memory; 0: never"),
    DEFINE_PROP_ENUM("overlap-check", Qcow2Node, overlap_check, &overlap_names, "cached",
                     "writes to tables are always refused, whatever it says"),
    DEFINE_PROP_ON_OFF_AUTO("pass-discard-request", Qcow2Node, pass_request, "auto",
                            "the file gives up what the guest discards (default: discard=)"),
    DEFINE_PROP_ON_OFF_AUTO("pass-discard-snapshot", Qcow2Node, pass_snapshot, "auto",
                            "… what a snapshot had that is deleted"),
    DEFINE_PROP_BOOL("pass-discard-other", Qcow2Node, pass_other, "off",
                     "… what was copied elsewhere"),
    DEFINE_PROP_END
};

static const BlockDriver block_qcow2 = {
    .oc = {
        .name = "qcow2",
        .desc = "Images that grow, with backing files",
        .parent = &block_node_base_class,
        .instance_size = sizeof(Qcow2Node),
        .props = qcow2_props,
    },
    .has_backing = true,
    .copy_options = qcow2_copy_options,
    .get_info = qcow2_get_info,
    .open = qcow2_open,
    .close = qcow2_close,
    .submit = qcow2_submit,
    .ended = qcow2_ended,
    .run = qcow2_run,
    .truncate = qcow2_truncate,
    .set_perm = qcow2_set_perm,
    .reopen = qcow2_reopen,
    .inactivate = IMAGE_HANDOVER(qcow2_inactivate),
    .activate = IMAGE_HANDOVER(qcow2_activate),
    .allocated = qcow2_allocated,
    .reads_zero = IMAGE_JOBS(qcow2_reads_zero),
    .populate = IMAGE_JOBS(qcow2_populate),
    .change_backing = qcow2_change_backing,
    .finish = qcow2_finish,
    .can_store_bitmap = qcow2_can_store_bitmap,
    .create = qcow2_create,
    .snapshots = MACHINE_SNAPSHOTS(&qcow2_snapshot_ops),
};
DEFINE_CLASS(block_qcow2, &block_qcow2.oc);
