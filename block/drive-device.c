/*
 * Which device a -drive wants: if=, and drives that have none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block-internal.h"
#include "blockdev.h"
#include "qemu/similar.h"

bool drive_check_interface(const char *name, Error **errp)
{
    static const char *const ours[] = { "none", "virtio", NULL };
    static const char *const others[] = {
        "ide", "scsi", "floppy", "pflash", "mtd", "sd", "xen", NULL,
    };

    if (g_strv_contains(ours, name)) {
        return true;
    }
    if (g_strv_contains(others, name)) {
        error_setg(errp, "machine type does not support if=%s: use if=virtio", name);
    } else {
        g_autofree char *meant = similar_of(name, ours);

        error_setg(errp, "unsupported bus type '%s'%s", name, meant);
    }
    return false;
}

static void note_first_virtio(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    const char **first = opaque;

    if (!*first && !blk->dev_id && !g_strcmp0(blk->if_name, "virtio")) {
        *first = blk->id;
    }
}

const char *drive_next_virtio(void)
{
    const char *first = NULL;

    blk_foreach(note_first_virtio, &first);
    return first;
}

static void warn_if_idle(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    if (!blk->dev_id && blk->if_name) {
        warn_report("drive %s has no device: use if=virtio, or "
                    "-device virtio-blk-device,drive=%s", blk->id, blk->id);
    }
}

void drive_check_orphans(void)
{
    blk_foreach(warn_if_idle, NULL);
}
