/*
 * qcow2 images in a build that makes none and knows no dirty bitmaps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qcow2-open.h"

/* What is written is not in the image's bitmaps: nobody may take them for complete. */
const uint64_t qcow2_kept_bitmaps = 0;

bool qcow2_load_bitmaps(Qcow2Node *s, Error **errp)
{
    return true;
}

bool qcow2_use_bitmaps(Qcow2Node *s, Error **errp)
{
    return true;
}

int qcow2_store_bitmaps(Qcow2Node *s)
{
    return 0;
}

bool qcow2_bitmap_clusters(Qcow2Node *s, GHashTable *set)
{
    return false;
}

bool qcow2_can_store_bitmap(const BlockNode *bs, Error **errp)
{
    error_setg(errp, "Dirty bitmaps are not compiled into this binary");
    return false;
}

bool qcow2_create(BlockNode *file, QemuOpts *opts, Error **errp)
{
    error_setg(errp, "qcow2: new images are not compiled into this binary");
    return false;
}
