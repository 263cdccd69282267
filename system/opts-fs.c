/*
 * Options about shared folders.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>

#include "fsdev/fsdev.h"
#include "opts.h"

bool opt_fsdev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return fsdev_add(opts, errp);
}

/* The folder and the device in one. */
bool opt_virtfs(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) folder = qemu_opts_clone(opts);
    g_autoptr(QemuOpts) dev = qemu_opts_new();
    g_autofree char *tag = qemu_opt_take(folder, "mount_tag");
    const char *id = qemu_opt_get(folder, "id");

    /* The device needs no other one's bus: it comes with the first pass. */
    if (vl->nested_devices) {
        return true;
    }
    if (!tag) {
        error_setg(errp, "mount_tag is missing: what the guest mounts the folder by");
        return false;
    }
    if (!id) {
        qemu_opt_append(folder, "id", tag);
    }
    qemu_opt_append(dev, "driver", "virtio-9p-device");
    qemu_opt_append(dev, "fsdev", id ? id : tag);
    qemu_opt_append(dev, "mount_tag", tag);
    return fsdev_add(folder, errp) && qdev_device_add(vl->ms, dev, errp);
}

bool help_fsdev(const char *arg, QemuOpts *opts)
{
    g_autofree char *text = NULL;

    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    text = fsdev_help();
    printf("%s", text);
    return true;
}
