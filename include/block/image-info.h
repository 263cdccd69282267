/*
 * What an image says of itself, for monitors.
 *
 * Main thread. Strings and arrays live as long as the node.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_IMAGE_INFO_H
#define BLOCK_IMAGE_INFO_H

#include "block/block.h"

/* A snapshot inside of an image. */
typedef struct BlockSnapshotInfo {
    char *id, *name;
    uint64_t vm_state_size;     /* bytes */
    uint32_t date_sec, date_nsec;
    uint64_t vm_clock_ns;
    int64_t icount;             /* -1: none */
    uint64_t l1_offset;         /* qcow2: where its table is, and how many entries it has */
    uint32_t l1_size;
    uint64_t disk_size;         /* then, in bytes; 0: not said */
    uint32_t extra_size;        /* qcow2: bytes of what the image says besides */
} BlockSnapshotInfo;

typedef struct BlockImageInfo {
    const char *filename, *format;
    uint64_t length;            /* bytes */
    uint32_t cluster_size;      /* bytes; 0: there are none */
    bool dirty;
    /* As the image has it, as it is opened, and its format; NULL: none, or not said. */
    const char *backing_filename, *full_backing_filename, *backing_format;
    const BlockNode *backing;   /* open */
    const BlockSnapshotInfo *snapshots;
    unsigned nr_snapshots;
    /* The format's own: "compat" is NULL where there is nothing. */
    const char *compat, *compression, *data_file;
    bool lazy_refcounts, corrupt, extended_l2, raw_data_file;
    unsigned refcount_bits;
} BlockImageInfo;

/* A dirty bitmap of a node. */
typedef struct BlockBitmapInfo {
    const char *name;
    uint64_t granularity, count;    /* bytes */
    bool recording, busy, persistent, inconsistent;
    bool stored;                /* the image has it, as it was when it was opened or written */
    bool in_use;                /* there it says so: something writes to the image, or did */
} BlockBitmapInfo;
typedef void BlockBitmapInfoFn(const BlockBitmapInfo *info, void *opaque);
void block_foreach_bitmap(const BlockNode *bs, BlockBitmapInfoFn *fn, void *opaque);

void block_image_info(const BlockNode *bs, BlockImageInfo *info);
const char *block_node_filename(const BlockNode *bs);
/* Images below that are read where the ones above have nothing. */
unsigned block_backing_depth(const BlockNode *bs);

#endif
