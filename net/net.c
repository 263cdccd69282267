/*
 * The list of network backends, and the seam between them and NICs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "filter.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/trace.h"

/*
 * The one piece of process-wide state here, for the reason that chardevs have
 * theirs: options name backends before there is a machine.
 */
static struct {
    GPtrArray *list;        /* of NetClientState, in order of creation */
    unsigned anonymous;     /* names given so far */
    uint8_t next_mac;
    bool running;           /* the machine is complete */
    NetStreamFn *stream_fn;
    void *stream_opaque;
} net_state;

const ObjectClass netdev_base_class = {
    .name = "netdev",
    .instance_size = sizeof(NetClientState),
};

NetClientState *net_find(const char *id)
{
    for (guint i = 0; net_state.list && i < net_state.list->len; i++) {
        NetClientState *nc = g_ptr_array_index(net_state.list, i);

        if (!strcmp(nc->obj.id, id)) {
            return nc;
        }
    }
    return NULL;
}

void net_foreach(NetClientFn *fn, void *opaque)
{
    for (guint i = 0; net_state.list && i < net_state.list->len; i++) {
        fn(g_ptr_array_index(net_state.list, i), opaque);
    }
}

void net_set_stream_listener(NetStreamFn *fn, void *opaque)
{
    net_state.stream_fn = fn;
    net_state.stream_opaque = opaque;
}

void net_stream_event(const NetClientState *nc, const NetAddr *peer)
{
    if (net_state.stream_fn) {
        net_state.stream_fn(nc, peer, net_state.stream_opaque);
    }
}

/* Creation ----------------------------------------------------------------- */

static void net_client_free(NetClientState *nc)
{
    net_client_class(nc)->close(nc);
    g_free(nc->info);
    object_free(&nc->obj);
}

static bool set_opts(NetClientState *nc, QemuOpts *opts, Error **errp)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        opt->used = true;
        if (!strcmp(opt->name, "id") || !strcmp(opt->name, "type")) {
            continue;
        }
        if (!property_find(nc->obj.oc, opt->name)) {
            g_autofree char *meant = property_did_you_mean(nc->obj.oc, opt->name);

            error_setg(errp, "Invalid parameter '%s'%s", opt->name, meant);
            return false;
        }
        if (!property_set(&nc->obj, opt->name, opt->str, errp)) {
            return false;
        }
    }
    return true;
}

/* QEMU's other backends get a reason, near misses a guess. Caller frees. */
static char *why_not(const char *type)
{
    static const char *const others[][2] = {
        { "l2tpv3", "use dgram" },
        { "vde", "use dgram or stream" },
        { "vhost-user", "use tap with vhost=on" },
        { "vhost-vdpa", "use tap with vhost=on" },
        { "netmap", "use tap" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (!strcmp(type, others[i][0])) {
            return g_strconcat(": ", others[i][1], NULL);
        }
    }
    return object_class_did_you_mean(netdev_classes, type);
}

static NetClientState *client_new(QemuOpts *opts, const char *id, Error **errp)
{
    const char *type = qemu_opt_get(opts, "type");
    const ObjectClass *oc;
    NetClientState *nc;

    if (!type) {
        error_setg(errp, "Parameter 'type' is missing");
        return NULL;
    }
    oc = object_class_by_name(netdev_classes, type);
    if (!oc) {
        g_autofree char *why = why_not(type);

        error_setg(errp, "Parameter 'type' does not accept value '%s'%s", type, why);
        return NULL;
    }
    if (!id) {
        error_setg(errp, "Parameter 'id' is missing");
        return NULL;
    }
    if (net_find(id)) {
        error_setg(errp, "Duplicate ID '%s' for netdev", id);
        return NULL;
    }
    nc = downcast(object_new(oc, id), NetClientState, obj);
    nc->queues = 1;
    if (!set_opts(nc, opts, errp)) {
        object_free(&nc->obj);
        return NULL;
    }
    if (!net_client_class(nc)->open(nc, errp)) {
        net_client_free(nc);
        return NULL;
    }
    g_assert(nc->queues >= 1 && nc->queues <= NET_MAX_QUEUES);
    if (!net_state.list) {
        net_state.list = g_ptr_array_new();
    }
    g_ptr_array_add(net_state.list, nc);
    return nc;
}

NetClientState *net_client_new(QemuOpts *opts, Error **errp)
{
    const char *id = qemu_opt_get(opts, "id");

    if (id && !qemu_check_id(id, errp)) {
        return NULL;
    }
    return client_new(opts, id, errp);
}

NetClientState *net_client_new_anonymous(QemuOpts *opts, Error **errp)
{
    g_autofree char *id = g_strdup_printf("#net%03u", net_state.anonymous++);

    return client_new(opts, id, errp);
}

void net_client_del(NetClientState *nc)
{
    NICState *nic = nc->nic;

    g_ptr_array_remove(net_state.list, nc);
    if (nic) {
        nic->nc = NULL;
        if (nic->ops) {
            nic->ops->link_changed(nic->opaque);
        }
    }
    nc->nic = NULL;
    net_filter_detach_all(nc);
    net_client_free(nc);
}

void net_cleanup(void)
{
    while (net_state.list && net_state.list->len) {
        NetClientState *nc = g_ptr_array_index(net_state.list, net_state.list->len - 1);

        /* No CPU is left that a card could tell. */
        if (nc->nic) {
            nc->nic->nc = NULL;
            nc->nic = NULL;
        }
        net_client_del(nc);
    }
    g_clear_pointer(&net_state.list, g_ptr_array_unref);
}

static void check_client(NetClientState *nc, void *opaque)
{
    if (!nc->nic && !nc->own_nic) {
        warn_report("netdev %s has no peer", nc->obj.id);
    }
}

bool net_is_running(void)
{
    return net_state.running;
}

void net_check_clients(void)
{
    net_state.running = true;
    net_foreach(check_client, NULL);
}

/* Link --------------------------------------------------------------------- */

bool net_link_up(const NICState *nic)
{
    const NetClientState *nc = nic->nc;

    return nc && !nc->link_off && !nc->carrier_off && !nic->link_off;
}

static void link_update(NetClientState *nc, bool was_up)
{
    NICState *nic = nc->nic;

    if (nic && nic->ops && net_link_up(nic) != was_up) {
        nic->ops->link_changed(nic->opaque);
    }
}

void net_set_carrier(NetClientState *nc, bool on)
{
    bool was_up = nc->nic && net_link_up(nc->nic);

    nc->carrier_off = !on;
    link_update(nc, was_up);
}

/* The backend whose NIC is called name, or NULL. */
static NetClientState *find_by_nic(const char *name)
{
    for (guint i = 0; net_state.list && i < net_state.list->len; i++) {
        NetClientState *nc = g_ptr_array_index(net_state.list, i);

        if (nc->nic && !g_strcmp0(nc->nic->name, name)) {
            return nc;
        }
    }
    return NULL;
}

bool net_set_link(const char *name, bool up, Error **errp)
{
    NetClientState *nc = net_find(name);
    bool is_nic = !nc;
    bool was_up;

    if (is_nic) {
        nc = find_by_nic(name);
    }

    if (!nc) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return false;
    }
    was_up = nc->nic && net_link_up(nc->nic);
    if (is_nic) {
        nc->nic->link_off = !up;
    } else {
        nc->link_off = !up;
    }
    link_update(nc, was_up);
    return true;
}

/* Traffic ------------------------------------------------------------------ */

int net_send(NICState *nic, unsigned q, const struct iovec *iov, unsigned cnt)
{
    int ret = 0;

    if (net_link_up(nic)) {
        ret = net_client_class(nic->nc)->send(nic->nc, q, iov, cnt);
        if (ret == 0 && nic->nc->filters) {
            net_filter_frame(nic->nc, false, iov, cnt, iov_size(iov, cnt));
        }
    }
    trace(net_send, "%s queue %u: %d", nic->name ? nic->name : "", q, ret);
    return ret;
}

ssize_t net_recv(NICState *nic, unsigned q, const struct iovec *iov, unsigned cnt)
{
    ssize_t ret = net_link_up(nic) ? net_client_class(nic->nc)->recv(nic->nc, q, iov, cnt)
                                   : -EAGAIN;

    if (ret > 0 && nic->nc->filters) {
        net_filter_frame(nic->nc, true, iov, cnt, MIN((size_t)ret, iov_size(iov, cnt)));
    }
    trace(net_recv, "%s queue %u: %zd", nic->name ? nic->name : "", q, ret);
    return ret;
}

void net_set_receive(NICState *nic, unsigned q, bool on)
{
    if (nic->nc && q < nic->nc->queues) {
        net_client_class(nic->nc)->set_receive(nic->nc, q, on);
    }
}

void net_nic_reset(NICState *nic)
{
    if (nic->nc && net_client_class(nic->nc)->reset) {
        net_client_class(nic->nc)->reset(nic->nc);
    }
}

void net_set_offload(NICState *nic, unsigned hdr_len, unsigned offloads)
{
    if (nic->nc && nic->nc->vnet_hdr) {
        nic->nc->hdr_len = hdr_len;
        net_client_class(nic->nc)->set_offload(nic->nc, hdr_len, offloads);
    }
}

int net_set_queues(NICState *nic, unsigned n)
{
    const NetClientClass *ncc = nic->nc ? net_client_class(nic->nc) : NULL;

    return ncc && ncc->set_queues ? ncc->set_queues(nic->nc, n) : 0;
}

void net_notify_readable(NetClientState *nc, unsigned q)
{
    if (nc->nic && nc->nic->ops) {
        nc->nic->ops->readable(nc->nic->opaque, q);
    }
}

void net_notify_writable(NetClientState *nc, unsigned q)
{
    if (nc->nic && nc->nic->ops) {
        nc->nic->ops->writable(nc->nic->opaque, q);
    }
}

void net_nic_detach(NICState *nic)
{
    if (nic->nc) {
        nic->nc->nic = NULL;
        nic->nc = NULL;
    }
}

/* Properties of NICs ------------------------------------------------------- */

static bool prop_netdev_set(Object *obj, const Property *prop, const char *value,
                            Error **errp)
{
    NICState *nic = property_field(obj, prop);
    NetClientState *nc = net_find(value);

    if (!nc) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->oc->name,
                   prop->name, value);
        return false;
    }
    if (nc->nic) {
        error_setg(errp, "Property '%s.%s' can't take value '%s', it's in use",
                   obj->oc->name, prop->name, value);
        return false;
    }
    net_nic_detach(nic);
    nic->nc = nc;
    nc->nic = nic;
    return true;
}

static char *prop_netdev_get(const Object *obj, const Property *prop)
{
    const NICState *nic = property_field(obj, prop);

    return nic->nc ? g_strdup(nic->nc->obj.id) : NULL;
}

static void prop_netdev_release(Object *obj, const Property *prop)
{
    net_nic_detach(property_field(obj, prop));
}

const PropertyInfo prop_netdev = {
    .name = "str", .set = prop_netdev_set, .get = prop_netdev_get,
    .release = prop_netdev_release,
};

static bool prop_mac_set(Object *obj, const Property *prop, const char *value,
                         Error **errp)
{
    MACAddr *mac = property_field(obj, prop);
    const char *p = value;
    int i;

    for (i = 0; i < 6; i++) {
        int byte = qemu_hex_byte(p);

        if (byte < 0 || (i < 5 ? p[2] != ':' && p[2] != '-' : p[2])) {
            break;
        }
        mac->a[i] = byte;
        p += 3;
    }
    if (i < 6) {
        error_setg(errp, "Property '%s.%s' doesn't take value '%s'", obj->oc->name,
                   prop->name, value);
        return false;
    }
    return true;
}

static char *prop_mac_get(const Object *obj, const Property *prop)
{
    const uint8_t *a = ((MACAddr *)property_field(obj, prop))->a;

    return g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3],
                           a[4], a[5]);
}

const PropertyInfo prop_macaddr = {
    .name = "str", .set = prop_mac_set, .get = prop_mac_get,
};

void net_default_mac(MACAddr *mac)
{
    static const MACAddr none;

    if (!memcmp(mac, &none, sizeof(none))) {
        *mac = (MACAddr){ { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 + net_state.next_mac++ } };
    }
}
