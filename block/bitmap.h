/*
 * Dirty bitmaps: where an image was written since a moment that the client chose.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BITMAP_H
#define BLOCK_BITMAP_H

#include "block-internal.h"
#include "dirty.h"

#define BITMAP_MAX_NAME 1023    /* bytes */

/*
 * The main thread makes and changes it while the disk is quiet; those who write mark it, under
 * the lock of bitmap.c, which guards the list, too.
 */
typedef struct BlockBitmap BlockBitmap;
struct BlockBitmap {
    char *name;
    BlockDirty *bits;           /* NULL: inconsistent */
    unsigned chunk_bits;        /* its granularity is 1 << chunk_bits bytes */
    bool enabled;               /* marks what is written */
    bool persistent;            /* is in the image when that is closed */
    bool stored;                /* the image has one of that name */
    bool busy;                  /* something is done with it */
    bool inconsistent;          /* the image was not closed: it can only be removed */
    BlockBitmap *next;
};

/* Main thread. NULL: there is none; errp may be NULL. */
BlockBitmap *block_bitmap_find(BlockNode *bs, const char *name, Error **errp);
/* May it be used; change: and changed? False with errp set. */
bool block_bitmap_check(const BlockNode *bs, const BlockBitmap *b, bool change, Error **errp);
/* Takes bits. Nothing is written to the node meanwhile, or it has no other bitmaps. */
BlockBitmap *block_bitmap_new(BlockNode *bs, const char *name, BlockDirty *bits,
                              unsigned chunk_bits);
/* Other bits from now on; the caller has the old ones. */
BlockDirty *block_bitmap_swap(BlockBitmap *b, BlockDirty *bits);
/* The image's disk has another length. */
void block_bitmaps_resize(BlockNode *bs, uint64_t length);
void block_bitmaps_free(BlockNode *bs);
/* These bytes of the image were written, or may have been. Any thread. */
void block_bitmaps_mark(BlockNode *bs, uint64_t offset, uint64_t bytes);

#endif
