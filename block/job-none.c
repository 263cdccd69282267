/*
 * A build without jobs, dirty bitmaps and what stands on them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bitmap.h"
#include "job-internal.h"

void block_job_abort(BlockBackend *blk)
{
}

void block_job_abort_all(void)
{
}

/* No backend has one. */
void block_dirty_mark(BlockDirty *d, uint64_t offset, uint64_t bytes)
{
}

/* No node has any. */
void block_bitmaps_free(BlockNode *bs)
{
}

void block_bitmaps_mark(BlockNode *bs, uint64_t offset, uint64_t bytes)
{
}

void block_bitmaps_resize(BlockNode *bs, uint64_t length)
{
}

void block_foreach_bitmap(const BlockNode *bs, BlockBitmapInfoFn *fn, void *opaque)
{
}

BlockNode *block_node_live(BlockNode *of, Error **errp)
{
    error_setg(errp, "Node '%s' is busy: it is in use already", of->node_name);
    return NULL;
}

bool block_node_is_live(const BlockNode *bs)
{
    return false;
}
