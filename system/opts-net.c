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

/* Move the options of the NIC to dev: -nic mixes them with those of the backend. */
static bool take_nic_options(QemuOpts *opts, const char *mac_name, QemuOpts *dev, Error **errp)
{
    g_autofree char *model = qemu_opt_take(opts, "model");
    g_autofree char *mac = qemu_opt_take(opts, mac_name);

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

static NetClientState *new_backend(QemuOpts *opts, Error **errp)
{
    return qemu_opt_get(opts, "id") ? net_client_new(opts, errp)
                                    : net_client_new_anonymous(opts, errp);
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
    if (!take_nic_options(backend, "mac", dev, errp)) {
        return false;
    }
    nc = new_backend(backend, errp);
    if (!nc) {
        return false;
    }
    qemu_opt_append(dev, "netdev", nc->obj.id);
    return qdev_device_add(vl->ms, dev, errp) != NULL;
}

/* -net ---------------------------------------------------------------------- */

bool opt_net(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *type = qemu_opt_get(opts, "type");
    QemuOpts **half = !g_strcmp0(type, "nic") ? &vl->net_nic : &vl->net_backend;

    if (!g_strcmp0(type, "none")) {
        return true;
    }
    if (*half) {
        error_setg(errp, "there is no hub for a second one: use -nic for each card");
        return false;
    }
    *half = qemu_opts_clone(opts);
    return true;
}

/* The card of -net nic; nc is the backend of the other -net, or NULL. */
static bool add_net_nic(VLState *vl, NetClientState *nc, Error **errp)
{
    g_autoptr(QemuOpts) dev = qemu_opts_new();
    g_autofree char *name = qemu_opt_take(vl->net_nic, "name");
    g_autofree char *netdev = qemu_opt_take(vl->net_nic, "netdev");

    g_free(qemu_opt_take(vl->net_nic, "type"));     /* "nic" */
    if (!take_nic_options(vl->net_nic, "macaddr", dev, errp) ||
        !qemu_opts_check_unused(vl->net_nic, errp)) {
        return false;
    }
    if (name) {
        qemu_opt_append(dev, "id", name);
    }
    if (netdev || nc) {
        qemu_opt_append(dev, "netdev", netdev ? netdev : nc->obj.id);
    }
    return qdev_device_add(vl->ms, dev, errp) != NULL;
}

bool add_net_card(VLState *vl, Error **errp)
{
    NetClientState *nc = NULL;

    if (vl->net_backend) {
        loc_set(vl->net_backend->where);
        nc = new_backend(vl->net_backend, errp);
        if (!nc) {
            return false;
        }
    }
    if (vl->net_nic) {
        loc_set(vl->net_nic->where);
        if (!add_net_nic(vl, nc, errp)) {
            return false;
        }
    }
    loc_set(NULL);
    return true;
}
