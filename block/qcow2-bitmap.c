/*
 * Dirty bitmaps in a qcow2 image ("Bitmaps" of the specification): read when it is opened,
 * written anew when it is closed or not written any more.
 *
 * While the image is written its entries say "in use": whoever finds that after a crash knows
 * that the bitmaps miss something.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "bitmap.h"
#include "qcow2-open.h"

#define ENTRY_BYTES 24          /* of the directory, before extra data and name */
#define TYPE_DIRTY 1
#define MAX_BITMAPS 65535u
#define MAX_DIRECTORY (16 * MiB)
#define MAX_MEMORY (256 * MiB)  /* for all bitmaps of an image */

const uint64_t qcow2_kept_bitmaps = QCOW2_BITMAPS;

enum { IN_USE = 1 << 0, AUTO = 1 << 1, EXTRA_COMPATIBLE = 1 << 2 };

/* An entry of the directory. */
typedef struct Entry {
    uint64_t table;
    uint32_t table_size, flags, extra, name_len;
    uint8_t type, bits;
    const char *name;
    size_t bytes;               /* of the whole entry */
} Entry;

static bool parse_entry(const uint8_t *p, size_t left, Entry *e)
{
    if (left < ENTRY_BYTES) {
        return false;
    }
    *e = (Entry) {
        .table = qcow2_get64(p), .table_size = qcow2_get32(p + 8), .flags = qcow2_get32(p + 12),
        .type = p[16], .bits = p[17], .name_len = p[18] << 8 | p[19], .extra = qcow2_get32(p + 20),
    };
    e->bytes = QEMU_ALIGN_UP(ENTRY_BYTES + (size_t)e->extra + e->name_len, 8);
    e->name = (const char *)p + ENTRY_BYTES + e->extra;
    return e->extra <= left && e->bytes <= left && e->name_len && e->name_len <= BITMAP_MAX_NAME;
}

static bool is_place(const Qcow2Node *s, uint64_t offset, uint64_t bytes)
{
    bool grows = s->writable && !s->file_limit;
    uint64_t length = QEMU_ALIGN_UP(MAX(s->bs.file->length, grows ? s->virgin : 0),
                                    s->cluster_size);

    return offset && !(offset & (s->cluster_size - 1)) && offset <= length &&
           bytes <= length - offset;
}

/* NULL with errp set. */
static uint8_t *read_directory(Qcow2Node *s, Error **errp)
{
    uint64_t bytes = s->h.bitmaps_bytes;
    uint8_t *dir;
    int ret;

    if (s->h.nb_bitmaps > MAX_BITMAPS || bytes > MAX_DIRECTORY || !bytes ||
        !is_place(s, s->h.bitmaps_offset, bytes)) {
        error_setg(errp, "qcow2: Invalid bitmap directory");
        return NULL;
    }
    dir = g_malloc(bytes);
    ret = block_pread(s->bs.file, s->h.bitmaps_offset, dir, bytes);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read bitmap directory");
        g_clear_pointer(&dir, g_free);
    }
    return dir;
}

/* Loading --------------------------------------------------------------------------------- */

/* Bytes that a bitmap of this granularity has. */
static uint64_t bitmap_bytes(const Qcow2Node *s, unsigned bits)
{
    uint64_t chunks = s->h.size ? ((s->h.size - 1) >> bits) + 1 : 0;

    return DIV_ROUND_UP(chunks, 8);
}

static bool check_entry(const Qcow2Node *s, const Entry *e, Error **errp)
{
    if (e->type != TYPE_DIRTY || e->bits < 9 || e->bits > 31 ||
        (e->flags & ~(IN_USE | AUTO | EXTRA_COMPATIBLE)) ||
        (e->extra && !(e->flags & EXTRA_COMPATIBLE))) {
        error_setg(errp, "qcow2: Bitmap '%.*s' is of an unknown kind", (int)e->name_len, e->name);
    } else if (!(e->flags & IN_USE) &&
               (e->table_size < DIV_ROUND_UP(bitmap_bytes(s, e->bits), s->cluster_size) ||
                !is_place(s, e->table, e->table_size * 8ull))) {
        error_setg(errp, "qcow2: Bitmap '%.*s' has no valid table", (int)e->name_len, e->name);
    } else if (memchr(e->name, 0, e->name_len)) {
        error_setg(errp, "qcow2: Bitmap without a name");
    } else {
        return true;
    }
    return false;
}

static void mark_cluster(const uint8_t *buf, uint64_t bytes, uint64_t first, const Entry *e,
                         BlockDirty *d)
{
    for (uint64_t i = 0; i < bytes; i++) {
        for (unsigned k = 0; buf[i] && k < 8; k++) {
            if (buf[i] >> k & 1) {
                block_dirty_mark(d, (first + i * 8 + k) << e->bits, 1);
            }
        }
    }
}

static int load_bits(Qcow2Node *s, const Entry *e, BlockDirty *d)
{
    uint64_t bytes = bitmap_bytes(s, e->bits), n = DIV_ROUND_UP(bytes, s->cluster_size);
    g_autofree uint64_t *table = g_malloc(n * 8 + 1);
    g_autofree uint8_t *buf = g_malloc(s->cluster_size);
    int ret = n ? block_pread(s->bs.file, e->table, table, n * 8) : 0;

    for (uint64_t i = 0; ret == 0 && i < n; i++) {
        uint64_t entry = GUINT64_FROM_BE(table[i]), offset = entry & QCOW2_OFFSET_MASK;
        uint64_t first = i * s->cluster_size * 8, len = MIN(s->cluster_size,
                                                            bytes - i * s->cluster_size);

        if (!offset && (entry & 1)) {
            block_dirty_mark(d, first << e->bits, len * 8 << e->bits);
        } else if (offset) {
            ret = is_place(s, offset, len) ? block_pread(s->bs.file, offset, buf, len) : -EIO;
            if (ret == 0) {
                mark_cluster(buf, len, first, e, d);
            }
        }
    }
    return ret;
}

static bool load_one(Qcow2Node *s, const Entry *e, Error **errp)
{
    g_autofree char *name = g_strndup(e->name, e->name_len);
    BlockDirty *d = NULL;
    BlockBitmap *b;
    int ret = 0;

    if (block_bitmap_find(&s->bs, name, NULL)) {
        error_setg(errp, "qcow2: Two bitmaps called '%s'", name);
        return false;
    }
    if (!(e->flags & IN_USE)) {
        d = block_dirty_new(s->h.size, e->bits);
        ret = d ? load_bits(s, e, d) : -ENOMEM;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read bitmap '%s'", name);
        block_dirty_free(d);
        return false;
    }
    b = block_bitmap_new(&s->bs, name, d, e->bits);
    b->persistent = b->stored = true;
    b->inconsistent = e->flags & IN_USE;
    b->enabled = (e->flags & AUTO) && !b->inconsistent;
    return true;
}

bool qcow2_load_bitmaps(Qcow2Node *s, Error **errp)
{
    uint64_t memory = 0, at = 0;
    g_autofree uint8_t *dir = NULL;
    Entry e;

    if (!(s->h.autoclear & QCOW2_BITMAPS)) {
        s->h.nb_bitmaps = 0;    /* somebody wrote to the image who does not know them */
    }
    if (!s->h.nb_bitmaps || s->bs.is_twin) {
        return true;
    }
    dir = read_directory(s, errp);
    for (uint32_t i = 0; dir && i < s->h.nb_bitmaps; i++) {
        if (!parse_entry(dir + at, s->h.bitmaps_bytes - at, &e)) {
            error_setg(errp, "qcow2: Invalid bitmap directory");
            return false;
        }
        memory += e.flags & IN_USE ? 0 : bitmap_bytes(s, e.bits & 31);
        if (!check_entry(s, &e, errp)) {
            return false;
        }
        if (memory > MAX_MEMORY) {
            error_setg(errp, "qcow2: The bitmaps need more than 256 MiB of memory");
            return false;
        }
        if (!load_one(s, &e, errp)) {
            return false;
        }
        at += e.bytes;
    }
    return dir;
}

bool qcow2_use_bitmaps(Qcow2Node *s, Error **errp)
{
    g_autofree uint8_t *dir = NULL;
    uint64_t at = 0;
    Entry e;
    int ret;

    if (!s->h.nb_bitmaps) {
        return true;
    }
    dir = read_directory(s, errp);
    if (!dir) {
        return false;
    }
    for (uint32_t i = 0; i < s->h.nb_bitmaps && parse_entry(dir + at, s->h.bitmaps_bytes - at, &e);
         i++) {
        qcow2_put32(dir + at + 12, e.flags | IN_USE);
        at += e.bytes;
    }
    ret = qcow2_has_table(s, s->h.bitmaps_offset, s->h.bitmaps_bytes) ? -EIO :
          qcow2_pwrite(s->bs.file, s->h.bitmaps_offset, dir, s->h.bitmaps_bytes);
    if (ret == 0) {
        ret = qcow2_flush_files(s);
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not mark bitmaps as in use");
    }
    return ret == 0;
}

/* Storing ------------------------------------------------------------------------------------ */

/* A new directory in the making. */
typedef struct Store {
    Qcow2Node *s;
    GByteArray *dir;
    uint32_t n;
    GArray *clusters;           /* offsets of new ones */
} Store;

static int alloc(Store *st, uint64_t bytes, uint64_t *offset)
{
    Qcow2Node *s = st->s;
    uint64_t n = DIV_ROUND_UP(bytes, s->cluster_size);
    int ret;

    g_mutex_lock(&s->lock);
    ret = qcow2_alloc_row(s, n, offset);
    g_mutex_unlock(&s->lock);
    for (uint64_t i = 0; ret == 0 && i < n; i++) {
        qcow2_push(st->clusters, *offset + i * s->cluster_size);
    }
    return ret;
}

/* Bytes in whole clusters, at a new place. */
static int write_new(Store *st, const void *data, uint64_t bytes, uint64_t *offset)
{
    uint64_t padded = QEMU_ALIGN_UP(bytes, st->s->cluster_size);
    g_autofree uint8_t *buf = g_malloc0(padded);
    int ret = alloc(st, bytes, offset);

    memcpy(buf, data, bytes);
    return ret < 0 ? ret : qcow2_pwrite(st->s->bs.file, *offset, buf, padded);
}

/* The i-th cluster of a bitmap; its entry in the table. */
static int store_cluster(Store *st, BlockBitmap *b, uint64_t i, uint64_t *entry)
{
    Qcow2Node *s = st->s;
    g_autofree uint8_t *buf = g_malloc0(s->cluster_size);
    uint64_t first = i * s->cluster_size * 8, end = first + s->cluster_size * 8, chunk = first;
    int ret = 0;

    *entry = 0;
    end = MIN(end, block_dirty_chunks(b->bits));
    while ((chunk = block_dirty_next(b->bits, chunk, true)) < end) {
        buf[(chunk - first) / 8] |= 1 << (chunk % 8);
        *entry = 1;
        chunk++;
    }
    if (*entry) {
        ret = write_new(st, buf, s->cluster_size, entry);
    }
    *entry = GUINT64_TO_BE(*entry);
    return ret;
}

static void add_entry(Store *st, const BlockBitmap *b, uint64_t table, uint32_t size,
                      uint32_t flags)
{
    size_t len = strlen(b->name), bytes = QEMU_ALIGN_UP(ENTRY_BYTES + len, 8);
    g_autofree uint8_t *p = g_malloc0(bytes);

    qcow2_put64(p, table);
    qcow2_put32(p + 8, size);
    qcow2_put32(p + 12, flags);
    p[16] = TYPE_DIRTY;
    p[17] = b->chunk_bits;
    p[18] = len >> 8;
    p[19] = len;
    memcpy(p + ENTRY_BYTES, b->name, len);
    g_byte_array_append(st->dir, p, bytes);
    st->n++;
}

static int store_one(Store *st, BlockBitmap *b)
{
    Qcow2Node *s = st->s;
    uint64_t n = b->bits ? DIV_ROUND_UP(bitmap_bytes(s, b->chunk_bits), s->cluster_size) : 0;
    g_autofree uint64_t *table = g_new0(uint64_t, n + 1);
    uint64_t offset = 0;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < n; i++) {
        ret = store_cluster(st, b, i, &table[i]);
    }
    /* What is not to be trusted keeps its name alone, in an empty table. */
    if (ret == 0) {
        ret = write_new(st, table, MAX(n, 1) * 8, &offset);
    }
    if (ret == 0) {
        add_entry(st, b, offset, MAX(n, 1), b->inconsistent ? IN_USE : b->enabled ? AUTO : 0);
    }
    return ret;
}

static bool add_clusters(const Qcow2Node *s, GHashTable *set, uint64_t offset, uint64_t bytes)
{
    bool ok = true;

    for (uint64_t i = 0; i < bytes; i += s->cluster_size) {
        ok &= g_hash_table_add(set, (gpointer)(uintptr_t)(offset + i));
    }
    return ok;
}

static bool collect_entry(Qcow2Node *s, const Entry *e, GHashTable *set)
{
    uint64_t bytes = e->table_size * 8ull;
    g_autofree uint64_t *table = NULL;
    bool ok;

    if (bytes > MAX_DIRECTORY || !is_place(s, e->table, bytes)) {
        return false;
    }
    table = g_malloc0(bytes + 1);
    ok = add_clusters(s, set, e->table, bytes);
    if (block_pread(s->bs.file, e->table, table, bytes) < 0) {
        return false;
    }
    for (uint32_t k = 0; k < e->table_size; k++) {
        uint64_t offset = GUINT64_FROM_BE(table[k]) & QCOW2_OFFSET_MASK;

        if (offset) {
            ok &= is_place(s, offset, 1) && add_clusters(s, set, offset, 1);
        }
    }
    return ok;
}

bool qcow2_bitmap_clusters(Qcow2Node *s, GHashTable *set)
{
    g_autofree uint8_t *dir = s->h.nb_bitmaps ? read_directory(s, NULL) : NULL;
    uint64_t at = 0;
    uint32_t i = 0;
    bool ok = dir && add_clusters(s, set, s->h.bitmaps_offset, s->h.bitmaps_bytes);
    Entry e;

    for (; dir && i < s->h.nb_bitmaps && parse_entry(dir + at, s->h.bitmaps_bytes - at, &e); i++) {
        ok &= collect_entry(s, &e, set);
        at += e.bytes;
    }
    return ok && i == s->h.nb_bitmaps;
}

static void free_clusters(Qcow2Node *s, GHashTable *offsets)
{
    GHashTableIter iter;
    gpointer offset;

    g_hash_table_iter_init(&iter, offsets);
    while (g_hash_table_iter_next(&iter, &offset, NULL)) {
        qcow2_push(s->reclaim, (uintptr_t)offset);
    }
}

/* The header says where the new ones are, or that there are none. */
static int switch_to(Qcow2Node *s, Store *st, uint64_t offset)
{
    Qcow2Header old = s->h;
    int ret;

    s->h.nb_bitmaps = st->n;
    s->h.bitmaps_offset = offset;
    s->h.bitmaps_bytes = st->dir->len;
    s->h.autoclear = (s->h.autoclear & ~QCOW2_BITMAPS) | (st->n ? QCOW2_BITMAPS : 0);
    ret = qcow2_write_header(s, s->h.backing, s->h.backing_format);
    if (ret < 0) {
        s->h = old;
    }
    return ret;
}

static int store_all(Store *st)
{
    Qcow2Node *s = st->s;
    uint64_t offset = 0;
    int ret = 0;

    for (BlockBitmap *b = s->bs.bitmaps; ret == 0 && b; b = b->next) {
        ret = b->persistent ? store_one(st, b) : 0;
    }
    if (ret == 0 && st->n) {
        ret = write_new(st, st->dir->data, st->dir->len, &offset);
    }
    if (ret == 0) {
        ret = qcow2_commit(s);  /* all of it is counted, and there, before it is led to */
    }
    return ret < 0 ? ret : switch_to(s, st, offset);
}

static bool any_persistent(const BlockNode *bs)
{
    for (const BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        if (b->persistent) {
            return true;
        }
    }
    return false;
}

int qcow2_store_bitmaps(Qcow2Node *s)
{
    g_autoptr(GHashTable) old = g_hash_table_new(NULL, NULL);
    Store st = { .s = s };
    int ret;

    if (s->unsound || s->h.version < 3 || (!s->h.nb_bitmaps && !any_persistent(&s->bs))) {
        return 0;
    }
    st.dir = g_byte_array_new();
    st.clusters = g_array_new(false, false, sizeof(uint64_t));
    qcow2_bitmap_clusters(s, old);  /* what makes no sense is left alone, and leaks */
    ret = store_all(&st);
    if (ret == 0) {
        free_clusters(s, old);
        for (BlockBitmap *b = s->bs.bitmaps; b; b = b->next) {
            b->stored = b->persistent;
        }
    }
    for (guint i = 0; ret < 0 && i < st.clusters->len; i++) {
        qcow2_push(s->reclaim, g_array_index(st.clusters, uint64_t, i));
    }
    g_byte_array_unref(st.dir);
    g_array_unref(st.clusters);
    return ret;
}

bool qcow2_can_store_bitmap(const BlockNode *bs, Error **errp)
{
    const Qcow2Node *s = downcast(bs, const Qcow2Node, bs);
    unsigned n = 0;

    for (const BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        n += b->persistent;
    }
    if (s->h.version < 3) {
        error_setg(errp, "Cannot store dirty bitmaps in qcow2 v2 files");
    } else if (bs->is_ro) {
        error_setg(errp, "Cannot store dirty bitmaps in a file that is only read");
    } else if (n >= MAX_BITMAPS) {
        error_setg(errp, "Maximum number of persistent bitmaps is already reached");
    } else {
        return true;
    }
    return false;
}
