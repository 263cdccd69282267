/*
 * Options about networks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "net/net.h"
#include "opts.h"

#define NIC_MODEL "virtio-net-device"

bool opt_netdev(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return net_client_new(opts, errp) != NULL;
}

/* Move the options of the NIC, which -nic mixes with those of the backend. */
static bool take_nic_options(QemuOpts *opts, QemuOpts *dev, Error **errp)
{
    g_autofree char *model = qemu_opt_take(opts, "model");
    g_autofree char *mac = qemu_opt_take(opts, "mac");

    if (model && strcmp(model, NIC_MODEL) && strcmp(model, "virtio") &&
        strcmp(model, "virtio-net")) {
        error_setg(errp, "'%s' is not a supported NIC model: use " NIC_MODEL, model);
        return false;
    }
    qemu_opt_append(dev, "driver", NIC_MODEL);
    if (mac) {
        qemu_opt_append(dev, "mac", mac);
    }
    return true;
}

bool opt_nic(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) backend = qemu_opts_clone(opts);
    g_autoptr(QemuOpts) dev = qemu_opts_new();
    const char *type = qemu_opt_get(backend, "type");
    NetClientState *nc;

    /* The card needs no other device's bus: it comes with the first pass. */
    if (vl->nested_devices || (type && !strcmp(type, "none"))) {
        return true;
    }
    if (!take_nic_options(backend, dev, errp)) {
        return false;
    }
    nc = qemu_opt_get(backend, "id") ? net_client_new(backend, errp)
                                     : net_client_new_anonymous(backend, errp);
    if (!nc) {
        return false;
    }
    qemu_opt_append(dev, "netdev", nc->obj.id);
    return qdev_device_add(vl->ms, dev, errp) != NULL;
}

bool opt_net(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (strcmp(arg, "none")) {
        error_setg(errp, "only -net none is supported: use -nic, or -netdev and -device "
                   NIC_MODEL);
        return false;
    }
    return true;
}
