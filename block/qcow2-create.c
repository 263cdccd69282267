/*
 * New qcow2 images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qcow2-open.h"

typedef struct CreateOptions {
    Object obj;
    uint64_t size, cluster_size;
    uint32_t refcount_bits;
    char *backing_file, *backing_fmt;
    int version, compression, preallocation;
    bool lazy_refcounts, extended_l2;
} CreateOptions;

static const char *const versions[] = { "v2", "v3", NULL };
static const char *const compressions[] = { "zlib", "zstd", NULL };
static const char *const preallocations[] = { "off", "metadata", "falloc", "full", NULL };
enum { PREALLOC_OFF, PREALLOC_METADATA, PREALLOC_FALLOC, PREALLOC_FULL };

static const Property create_props[] = {
    DEFINE_PROP_SIZE("size", CreateOptions, size, "0", NULL),
    DEFINE_PROP_SIZE("cluster-size", CreateOptions, cluster_size, "64k", NULL),
    DEFINE_PROP_UINT32("refcount-bits", CreateOptions, refcount_bits, "16", NULL),
    DEFINE_PROP_STRING("backing-file", CreateOptions, backing_file, NULL, NULL),
    DEFINE_PROP_STRING("backing-fmt", CreateOptions, backing_fmt, NULL, NULL),
    DEFINE_PROP_ENUM("version", CreateOptions, version, &versions, "v3", NULL),
    DEFINE_PROP_ENUM("compression-type", CreateOptions, compression, &compressions, "zlib", NULL),
    DEFINE_PROP_ENUM("preallocation", CreateOptions, preallocation, &preallocations, "off", NULL),
    DEFINE_PROP_BOOL("lazy-refcounts", CreateOptions, lazy_refcounts, "off", NULL),
    DEFINE_PROP_BOOL("extended-l2", CreateOptions, extended_l2, "off", NULL),
    DEFINE_PROP_END
};

static const ObjectClass create_class = {
    .name = "qcow2-create", .instance_size = sizeof(CreateOptions), .props = create_props,
};

/* Where everything is, in clusters. */
typedef struct Layout {
    unsigned cluster_bits, refcount_order;
    uint64_t cluster, l1_entries, l1, blocks, table;    /* how many */
    uint64_t l2, data;          /* where all is allocated from the start */
} Layout;

static uint64_t tables_end(const Layout *l)
{
    return 1 + l->table + l->blocks + l->l1;
}

static bool check_preallocation(const CreateOptions *o, const Layout *l, Error **errp)
{
    if (o->preallocation && o->backing_file && !o->extended_l2) {
        error_setg(errp, "Backing file and preallocation can only be used at the same time if "
                   "extended_l2 is enabled");
        return false;
    }
    if (l->table << l->cluster_bits > QCOW2_MAX_REFTABLE_BYTES) {
        error_setg(errp, "The image size is too large for preallocation");
        return false;
    }
    return true;
}

static bool plan(const CreateOptions *o, Layout *l, Error **errp)
{
    uint64_t span, per_block, n;

    l->cluster = o->cluster_size;
    l->cluster_bits = __builtin_ctzll(o->cluster_size | 1ull << 63);
    l->refcount_order = __builtin_ctz(o->refcount_bits | 1u << 31);
    if (o->cluster_size != 1ull << l->cluster_bits || l->cluster_bits < QCOW2_MIN_CLUSTER_BITS ||
        l->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        error_setg(errp, "Cluster size must be a power of two between 512 and 2048k");
        return false;
    }
    if (o->refcount_bits != 1u << l->refcount_order || o->refcount_bits > 64) {
        error_setg(errp, "Refcount width must be a power of two and may not exceed 64 bits");
        return false;
    }
    if (!o->version && (o->refcount_bits != 16 || o->lazy_refcounts || o->extended_l2 ||
                        o->compression)) {
        error_setg(errp, "This needs compatibility level 1.1 and above (use version=v3)");
        return false;
    }
    if (o->extended_l2 && l->cluster_bits < 14) {
        error_setg(errp, "Extended L2 entries are only supported with cluster sizes of at least "
                   "16384 bytes");
        return false;
    }
    if (o->size % BDRV_SECTOR_SIZE || o->size > INT64_MAX - (1ull << 40)) {
        error_setg(errp, "The image size must be a multiple of 512 bytes");
        return false;
    }
    span = l->cluster / (o->extended_l2 ? 16 : 8) * l->cluster;
    l->l1_entries = MAX(DIV_ROUND_UP(o->size, span), 1);
    if (l->l1_entries * 8 > QCOW2_MAX_L1_BYTES) {
        error_setg(errp, "The image size is too large for its cluster size");
        return false;
    }
    l->l1 = DIV_ROUND_UP(l->l1_entries * 8, l->cluster);
    if (o->preallocation) {
        l->l2 = DIV_ROUND_UP(o->size, span);
        l->data = DIV_ROUND_UP(o->size, l->cluster);
    }
    per_block = l->cluster * 8 >> l->refcount_order;
    do {
        n = l->blocks + l->table;
        l->blocks = DIV_ROUND_UP(1 + l->l1 + l->l2 + l->data + n, per_block);
        l->table = DIV_ROUND_UP(l->blocks * 8, l->cluster);
    } while (n != l->blocks + l->table);
    return check_preallocation(o, l, errp);
}

/* The backing file's format and name, behind the header's fields. */
static bool put_backing(const CreateOptions *o, uint8_t *p, size_t at, size_t size)
{
    size_t format = o->backing_fmt ? strlen(o->backing_fmt) : 0, len = strlen(o->backing_file);
    size_t end = at + (format ? 8 + QEMU_ALIGN_UP(format, 8) : 0) + 8;

    if (len > QCOW2_MAX_NAME || end + len > size) {
        return false;
    }
    if (format) {
        qcow2_put32(p + at, QCOW2_EXT_BACKING_FORMAT);
        qcow2_put32(p + at + 4, format);
        memcpy(p + at + 8, o->backing_fmt, format);
    }
    memcpy(p + end, o->backing_file, len);
    qcow2_put64(p + 8, end);
    qcow2_put32(p + 16, len);
    return true;
}

static bool fill_header(const CreateOptions *o, const Layout *l, uint8_t *p)
{
    size_t v3_length = QCOW2_V3_HEADER_LENGTH + (o->compression ? 8 : 0);
    size_t length = o->version ? v3_length : QCOW2_V2_HEADER_LENGTH;

    qcow2_put32(p, QCOW2_MAGIC);
    qcow2_put32(p + 4, o->version ? 3 : 2);
    qcow2_put32(p + 20, l->cluster_bits);
    qcow2_put64(p + QCOW2_AT_SIZE, o->size);
    qcow2_put32(p + QCOW2_AT_L1, l->l1_entries);
    qcow2_put64(p + QCOW2_AT_L1 + 4, (1 + l->table + l->blocks) << l->cluster_bits);
    qcow2_put64(p + QCOW2_AT_REFTABLE, l->cluster);
    qcow2_put32(p + QCOW2_AT_REFTABLE + 8, l->table);
    if (o->version) {
        qcow2_put64(p + QCOW2_AT_INCOMPATIBLE, (o->extended_l2 ? QCOW2_EXTENDED_L2 : 0) |
              (o->compression ? QCOW2_COMPRESSION : 0));
        qcow2_put64(p + 80, o->lazy_refcounts ? QCOW2_LAZY_REFCOUNTS : 0);
        qcow2_put32(p + 96, l->refcount_order);
        qcow2_put32(p + 100, length);
        p[104] = o->compression;
    }
    return !o->backing_file || put_backing(o, p, length, l->cluster);
}

/* An L2 table; its clusters are those from first on. */
static void fill_l2(const CreateOptions *o, const Layout *l, uint8_t *table, uint64_t first)
{
    unsigned entry = o->extended_l2 ? 16 : 8;
    uint64_t n = l->cluster / entry, left = l->data - first;

    memset(table, 0, l->cluster);
    for (uint64_t i = 0; i < MIN(n, left); i++) {
        qcow2_put64(table + i * entry, QCOW2_COPIED |
                    (tables_end(l) + l->l2 + first + i) << l->cluster_bits);
        if (entry == 16 && !o->backing_file) {
            qcow2_put64(table + i * entry + 8, UINT32_MAX);     /* all subclusters */
        }
    }
}

static int write_l2(BlockNode *file, const CreateOptions *o, const Layout *l)
{
    uint64_t per_table = l->cluster / (o->extended_l2 ? 16 : 8);
    g_autofree uint8_t *table = g_malloc(l->cluster);
    int ret = 0;

    for (uint64_t i = 0; i < l->l2 && ret == 0; i++) {
        fill_l2(o, l, table, i * per_table);
        ret = qcow2_pwrite(file, (tables_end(l) + i) << l->cluster_bits, table, l->cluster);
    }
    return ret;
}

/* Where the guest's data will be reads as zeroes, and has space if that was asked for. */
static int write_data(BlockNode *file, const CreateOptions *o, const Layout *l)
{
    uint64_t pos = (tables_end(l) + l->l2) << l->cluster_bits;
    uint64_t end = pos + (l->data << l->cluster_bits);
    g_autofree uint8_t *zeroes = o->preallocation == PREALLOC_FULL ? g_malloc0(MiB) : NULL;
    uint64_t most = zeroes ? MiB : 1024 * MiB;
    int ret = 0;

    for (uint64_t n; pos < end && ret == 0; pos += n) {
        BlockRequest req = {
            .node_op = BLOCK_OP_WRITE_ZEROES, .pos = pos, .bytes = n = MIN(end - pos, most),
            .node_flags = o->preallocation == PREALLOC_METADATA ? BLOCK_REQ_MAY_UNMAP : 0,
        };

        ret = zeroes ? qcow2_pwrite(file, pos, zeroes, n) : block_run(file, &req);
    }
    return ret;
}

/* The refcount table and blocks: all that is used has one. */
static int write_refcounts(BlockNode *file, const Layout *l)
{
    uint64_t used = tables_end(l) + l->l2 + l->data;
    uint64_t per_block = l->cluster * 8 >> l->refcount_order;
    Qcow2Node format = { .h.refcount_order = l->refcount_order };
    g_autofree uint8_t *table = g_malloc0(l->table << l->cluster_bits);
    g_autofree uint8_t *block = g_malloc(l->cluster);
    int ret;

    for (uint64_t b = 0; b < l->blocks; b++) {
        qcow2_put64(table + b * 8, (1 + l->table + b) << l->cluster_bits);
    }
    ret = qcow2_pwrite(file, l->cluster, table, l->table << l->cluster_bits);
    for (uint64_t b = 0; b < l->blocks && ret == 0; b++) {
        memset(block, 0, l->cluster);
        for (uint64_t i = 0; i < MIN(per_block, used - b * per_block); i++) {
            qcow2_set_count(&format, block, i, 1);
        }
        ret = qcow2_pwrite(file, (1 + l->table + b) << l->cluster_bits, block, l->cluster);
    }
    return ret;
}

static int write_l1(BlockNode *file, const Layout *l)
{
    g_autofree uint8_t *l1 = g_malloc0(l->l1 << l->cluster_bits);

    for (uint64_t i = 0; i < l->l2; i++) {
        qcow2_put64(l1 + i * 8, QCOW2_COPIED | (tables_end(l) + i) << l->cluster_bits);
    }
    return qcow2_pwrite(file, (1 + l->table + l->blocks) << l->cluster_bits, l1,
                        l->l1 << l->cluster_bits);
}

/* A file of zeroes that has length bytes; false: it cannot be made that. */
static bool make_empty(BlockNode *file, uint64_t length)
{
    int (*truncate)(BlockNode *bs, uint64_t size) = block_driver(file)->truncate;

    return truncate && truncate(file, 0) == 0 && (!length || truncate(file, length) == 0);
}

/* All tables; the header comes when they are there. */
static int write_image(BlockNode *file, const CreateOptions *o, const Layout *l,
                       const uint8_t *header)
{
    uint64_t end = (tables_end(l) + l->l2 + l->data) << l->cluster_bits;
    bool empty = make_empty(file, l->data ? end : 0);
    int ret = write_refcounts(file, l);

    ret = ret ? ret : write_l1(file, l);
    ret = ret ? ret : write_l2(file, o, l);
    if (ret == 0 && !(empty && o->preallocation == PREALLOC_METADATA)) {
        ret = write_data(file, o, l);
    }
    ret = ret ? ret : block_run_flush(file);
    ret = ret ? ret : qcow2_pwrite(file, 0, header, l->cluster);
    return ret < 0 ? ret : block_run_flush(file);
}

static bool create(BlockNode *file, const CreateOptions *o, Error **errp)
{
    g_autofree uint8_t *header = NULL;
    Layout l = { 0 };
    int ret;

    if (!plan(o, &l, errp)) {
        return false;
    }
    header = g_malloc0(l.cluster);
    if (!fill_header(o, &l, header)) {
        error_setg(errp, "Backing file name too long");
        return false;
    }
    ret = write_image(file, o, &l, header);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not write the image");
        return false;
    }
    /* Who opens the format over this node looks at its length. */
    __atomic_store_n(&file->length, MAX(file->length, (tables_end(&l) + l.l2 + l.data) * l.cluster),
                     __ATOMIC_RELEASE);
    return true;
}

bool qcow2_create(BlockNode *file, QemuOpts *opts, Error **errp)
{
    CreateOptions *o = downcast(object_new(&create_class, NULL), CreateOptions, obj);
    bool ok = object_set_opts(&o->obj, opts, errp) && create(file, o, errp);

    object_free(&o->obj);
    return ok;
}
