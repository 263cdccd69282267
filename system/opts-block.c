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

bool add_virtio_drives(VLState *vl, Error **errp)
{
    const char *drive;

    while ((drive = drive_next_virtio())) {
        g_autoptr(QemuOpts) dev = qemu_opts_new();

        qemu_opt_append(dev, "driver", "virtio-blk-device");
        qemu_opt_append(dev, "drive", drive);
        if (!qdev_device_add(vl->ms, dev, errp)) {
            error_prepend(errp, "-drive if=virtio: %s: ", drive);
            return false;
        }
    }
    return true;
}

bool opt_blockdev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return blockdev_add(opts, errp) != NULL;
}
