/*
 * Options about block devices.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/block.h"
#include "opts.h"

bool opt_drive(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) all = qemu_opts_clone(opts);

    if (vl->snapshot && !qemu_opt_get(all, "snapshot")) {
        qemu_opt_append(all, "snapshot", "on");
    }
    return drive_new(all, errp);
}

bool opt_snapshot(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->snapshot = true;
    return true;
}

bool opt_blockdev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return blockdev_add(opts, errp) != NULL;
}
