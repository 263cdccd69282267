/*
 * Options about block devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/block.h"
#include "opts.h"

bool opt_drive(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return drive_new(opts, errp);
}

bool opt_blockdev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return blockdev_add(opts, errp) != NULL;
}
