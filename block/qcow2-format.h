/*
 * The qcow2 format: its header and what entries of tables are made of.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_FORMAT_H
#define BLOCK_QCOW2_FORMAT_H

#include <string.h>

#include "block-internal.h"
#include "qemu/cutils.h"

#define QCOW2_MAGIC 0x514649fbu
#define QCOW2_V2_HEADER_LENGTH 72
#define QCOW2_V3_HEADER_LENGTH 104

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1_BYTES (32 * MiB)
#define QCOW2_MAX_REFTABLE_BYTES (8 * MiB)
#define QCOW2_MAX_NAME 1023     /* bytes of a backing file's name */
#define QCOW2_MAX_SNAPSHOTS 65536u
#define QCOW2_MAX_SNAPSHOT_BYTES (16 * MiB)

/* Incompatible features. */
#define QCOW2_DIRTY         (1ull << 0)
#define QCOW2_CORRUPT       (1ull << 1)
#define QCOW2_DATA_FILE     (1ull << 2)
#define QCOW2_COMPRESSION   (1ull << 3)
#define QCOW2_EXTENDED_L2   (1ull << 4)
#define QCOW2_LAZY_REFCOUNTS (1ull << 0)    /* a compatible one */
/* Autoclear ones. */
#define QCOW2_BITMAPS       (1ull << 0)
#define QCOW2_RAW_DATA_FILE (1ull << 1)

/* Where fields that change stand in the header. */
enum {
    QCOW2_AT_SIZE = 24, QCOW2_AT_L1 = 36, QCOW2_AT_REFTABLE = 48, QCOW2_AT_SNAPSHOTS = 60,
    QCOW2_AT_INCOMPATIBLE = 72, QCOW2_AT_AUTOCLEAR = 88,
};

/* Header extensions. */
enum {
    QCOW2_EXT_END = 0,
    QCOW2_EXT_BACKING_FORMAT = 0xe2792aca,
    QCOW2_EXT_BITMAPS = 0x23852875,
    QCOW2_EXT_DATA_FILE = 0x44415441,
};

/* Entries of L1 and L2 tables. */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_COPIED     (1ull << 63)       /* refcount is one: may be written in place */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO       (1ull << 0)

/* Fields, which are big-endian. */
static inline uint32_t qcow2_get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT32_FROM_BE(v);
}

static inline uint64_t qcow2_get64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
    return GUINT64_FROM_BE(v);
}

static inline void qcow2_put32(uint8_t *p, uint32_t v)
{
    v = GUINT32_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

static inline void qcow2_put64(uint8_t *p, uint64_t v)
{
    v = GUINT64_TO_BE(v);
    memcpy(p, &v, sizeof(v));
}

typedef struct Qcow2Header {
    uint32_t version, cluster_bits, crypt_method;
    uint64_t size;
    uint64_t l1_offset, reftable_offset, snapshots_offset;
    uint32_t l1_size, reftable_clusters, nb_snapshots;
    uint64_t incompatible, compatible, autoclear;
    uint32_t refcount_order, header_length;
    uint64_t file_length;                   /* when it was opened */
    uint8_t compression;                    /* 0: deflate, 1: zstd */
    char *backing, *backing_format, *data_file;     /* NULL: none */
    uint32_t nb_bitmaps;                    /* what their directory has; 0: none, or void */
    uint64_t bitmaps_offset, bitmaps_bytes;
} Qcow2Header;

/* qcow2-header.c: main thread ------------------------------------------------- */

/* Read and check; h's strings are the caller's, to be freed on failure too. */
bool qcow2_read_header(BlockNode *file, Qcow2Header *h, Error **errp);
void qcow2_header_clear(Qcow2Header *h);

#endif
