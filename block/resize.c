/*
 * block_resize: an image's disk gets another size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>

#include "bitmap.h"
#include "qemu/cutils.h"

static bool node_truncate(BlockNode *bs, uint64_t size, Error **errp)
{
    int ret;

    if (size > INT64_MAX - BDRV_SECTOR_SIZE) {
        error_setg(errp, "Parameter 'size' expects a size below 8 EiB");
        return false;
    }
    if (bs->is_ro) {
        error_setg(errp, "Image is read-only");
        return false;
    }
    size = QEMU_ALIGN_UP(size, BDRV_SECTOR_SIZE);
    ret = block_driver(bs)->truncate ? block_driver(bs)->truncate(bs, size) : -ENOTSUP;
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Failed to resize '%s'", bs->filename);
        return false;
    }
    block_bitmaps_resize(bs, bs->length);
    return true;
}

bool blk_truncate(BlockBackend *blk, uint64_t size, Error **errp)
{
    if (blk->job) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job",
                   blk->root->node_name);
        return false;
    }
    if (!node_truncate(blk->root, size, errp)) {
        return false;
    }
    if (blk->ops && blk->ops->resized) {
        blk->ops->resized(blk->opaque);
    }
    return true;
}

bool blk_check_shrink(const BlockBackend *blk, uint64_t size, Error **errp)
{
    uint64_t length = blk_getlength(blk);

    if (blk->dev_id && size < length) {
        error_setg(errp, "the disk is in use and would lose its last %" PRIu64
                   " bytes: force says that this is meant", length - size);
        return false;
    }
    return true;
}

bool block_resize(const char *name, uint64_t size, bool force, Error **errp)
{
    BlockNode *bs = block_get_node(name, errp);

    if (!bs) {
        return false;
    }
    bs = block_top(bs);
    if (!bs->blk) {
        return node_truncate(bs, size, errp);
    }
    return (force || blk_check_shrink(bs->blk, size, errp)) && blk_truncate(bs->blk, size, errp);
}
