/*
 * The header of a qcow2 image: reading and checking it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "qcow2.h"

static void parse_fields(Qcow2Header *h, const uint8_t *p)
{
    h->version = qcow2_get32(p + 4);
    h->cluster_bits = qcow2_get32(p + 20);
    h->size = qcow2_get64(p + QCOW2_AT_SIZE);
    h->crypt_method = qcow2_get32(p + 32);
    h->l1_size = qcow2_get32(p + QCOW2_AT_L1);
    h->l1_offset = qcow2_get64(p + QCOW2_AT_L1 + 4);
    h->reftable_offset = qcow2_get64(p + QCOW2_AT_REFTABLE);
    h->reftable_clusters = qcow2_get32(p + QCOW2_AT_REFTABLE + 8);
    h->nb_snapshots = qcow2_get32(p + 60);
    h->snapshots_offset = qcow2_get64(p + 64);
    h->refcount_order = 4;
    h->header_length = QCOW2_V2_HEADER_LENGTH;
    if (h->version >= 3) {
        h->incompatible = qcow2_get64(p + QCOW2_AT_INCOMPATIBLE);
        h->compatible = qcow2_get64(p + 80);
        h->autoclear = qcow2_get64(p + QCOW2_AT_AUTOCLEAR);
        h->refcount_order = qcow2_get32(p + 96);
        h->header_length = qcow2_get32(p + 100);
        h->compression = h->header_length > QCOW2_V3_HEADER_LENGTH ? p[104] : 0;
    }
}

/* Is a table of bytes at offset where one can be? */
static bool check_table(const Qcow2Header *h, uint64_t offset, uint64_t bytes, uint64_t max,
                        const char *what, Error **errp)
{
    uint64_t cluster = 1ull << h->cluster_bits;

    if (bytes > max) {
        error_setg(errp, "%s too large", what);
    } else if (bytes && (offset % cluster || !offset || offset > INT64_MAX - bytes)) {
        error_setg(errp, "%s offset invalid", what);
    } else if (bytes && offset + bytes > QEMU_ALIGN_UP(h->file_length, cluster)) {
        error_setg(errp, "%s is outside of the image file", what);
    } else {
        return true;
    }
    return false;
}

static bool check_encoding(const Qcow2Header *h, Error **errp)
{
    uint64_t known = QCOW2_DIRTY | QCOW2_CORRUPT | QCOW2_DATA_FILE | QCOW2_COMPRESSION |
                     QCOW2_EXTENDED_L2;

    if (h->incompatible & ~known) {
        error_setg(errp, "Unsupported qcow2 feature(s): Unknown incompatible feature: %" PRIx64,
                   h->incompatible & ~known);
    } else if (h->crypt_method) {
        error_setg(errp, "Encrypted qcow2 images are not supported: convert the image with "
                   "qemu-img convert and its secret");
    } else if (h->compression > 1 ||
               !h->compression != !(h->incompatible & QCOW2_COMPRESSION)) {
        error_setg(errp, "qcow2: unknown or inconsistent compression type %u", h->compression);
    } else if (h->refcount_order > 6) {
        error_setg(errp, "Reference count entry width too large; may not exceed 64 bits");
    } else if ((h->incompatible & QCOW2_EXTENDED_L2) && h->cluster_bits < 14) {
        error_setg(errp, "Extended L2 entries need clusters of at least 16384 bytes");
    } else {
        return true;
    }
    return false;
}

static bool check_fields(const Qcow2Header *h, Error **errp)
{
    uint64_t entry = h->incompatible & QCOW2_EXTENDED_L2 ? 16 : 8;
    uint64_t cluster = 1ull << h->cluster_bits;
    /* Bytes of the disk that an L1 entry stands for. */
    uint64_t span = cluster / entry * cluster;

    if (!check_encoding(h, errp)) {
        return false;
    }
    if (h->size > INT64_MAX - span || DIV_ROUND_UP(h->size, span) > h->l1_size) {
        error_setg(errp, "L1 table is too small");
        return false;
    }
    if (!h->reftable_clusters && !(h->incompatible & QCOW2_DIRTY)) {
        error_setg(errp, "Image does not contain a reference count table");
        return false;
    }
    return check_table(h, h->l1_offset, h->l1_size * 8ull, QCOW2_MAX_L1_BYTES,
                       "Active L1 table", errp) &&
           check_table(h, h->reftable_offset, h->reftable_clusters * cluster,
                       QCOW2_MAX_REFTABLE_BYTES, "Reference count table", errp);
}

/* What of the extensions matters here. */
static void check_extension(Qcow2Header *h, uint32_t type, const uint8_t *data, uint32_t len)
{
    if (type == QCOW2_EXT_BACKING_FORMAT && !h->backing_format) {
        h->backing_format = g_strndup((const char *)data, len);
    } else if (type == QCOW2_EXT_BITMAPS && len >= 24) {
        h->nb_bitmaps = qcow2_get32(data);
        h->bitmaps_bytes = qcow2_get64(data + 8);
        h->bitmaps_offset = qcow2_get64(data + 16);
    } else if (type == QCOW2_EXT_DATA_FILE && !h->data_file) {
        h->data_file = g_strndup((const char *)data, len);
    }
}

/* p: the first cluster, of which len bytes are there. */
static bool parse_extensions(Qcow2Header *h, const uint8_t *p, size_t len, uint64_t backing,
                             Error **errp)
{
    size_t end = backing ? MIN(len, backing) : len;

    for (size_t at = h->header_length; at + 8 <= end;) {
        uint32_t type = qcow2_get32(p + at), size = qcow2_get32(p + at + 4);

        at += 8;
        if (type == QCOW2_EXT_END) {
            break;
        }
        if (size > end - at) {
            error_setg(errp, "Header extension too large");
            return false;
        }
        check_extension(h, type, p + at, size);
        at += QEMU_ALIGN_UP((size_t)size, 8);
    }
    return true;
}

static bool parse_names(Qcow2Header *h, const uint8_t *p, size_t len, Error **errp)
{
    uint64_t backing = qcow2_get64(p + 8);
    uint32_t size = qcow2_get32(p + 16);

    if (h->header_length < (h->version == 2 ? QCOW2_V2_HEADER_LENGTH : QCOW2_V3_HEADER_LENGTH)) {
        error_setg(errp, "qcow2 header too short");
        return false;
    }
    if (h->header_length > len) {
        error_setg(errp, "qcow2 header exceeds cluster size");
        return false;
    }
    if (backing && size > QCOW2_MAX_NAME) {
        error_setg(errp, "Backing file name too long");
        return false;
    }
    if (backing && (backing > len || size > len - backing)) {
        error_setg(errp, "Invalid backing file offset");
        return false;
    }
    if (backing && size) {
        h->backing = g_strndup((const char *)p + backing, size);
    }
    return parse_extensions(h, p, len, backing, errp);
}

bool qcow2_read_header(BlockNode *file, Qcow2Header *h, Error **errp)
{
    uint8_t head[BDRV_SECTOR_SIZE] = { 0 };
    g_autofree uint8_t *cluster = NULL;
    size_t len;
    int ret = block_pread(file, 0, head, sizeof(head));

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read qcow2 header");
        return false;
    }
    if (qcow2_get32(head) != QCOW2_MAGIC) {
        error_setg(errp, "Image is not in qcow2 format");
        return false;
    }
    parse_fields(h, head);
    h->file_length = file->length;
    if (h->version != 2 && h->version != 3) {
        error_setg(errp, "Unsupported qcow2 version %u", h->version);
        return false;
    }
    if (h->cluster_bits < QCOW2_MIN_CLUSTER_BITS || h->cluster_bits > QCOW2_MAX_CLUSTER_BITS) {
        error_setg(errp, "Unsupported cluster size: 2^%u", h->cluster_bits);
        return false;
    }
    len = MIN(1ull << h->cluster_bits, MAX(file->length, sizeof(head)));
    cluster = g_malloc(len);
    ret = block_pread(file, 0, cluster, len);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not read qcow2 header");
        return false;
    }
    return parse_names(h, cluster, len, errp) && check_fields(h, errp);
}

void qcow2_header_clear(Qcow2Header *h)
{
    g_clear_pointer(&h->backing, g_free);
    g_clear_pointer(&h->backing_format, g_free);
    g_clear_pointer(&h->data_file, g_free);
}
