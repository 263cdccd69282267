/*
 * QMP about networks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "net/announce.h"
#include "net/net.h"
#include "qemu/fd-param.h"
#include "qmp.h"

json_t *qmp_set_link(Monitor *mon, json_t *args, Error **errp)
{
    net_set_link(qmp_str(args, "name"), json_is_true(json_object_get(args, "up")), errp);
    return NULL;
}

json_t *qmp_netdev_add(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_from_object(args, errp);

    if (opts) {
        fd_names_begin(mon->fds);
        fd_names_end(net_client_new(opts, errp));
    }
    return NULL;
}

/* A card that uses it loses its link. */
json_t *qmp_netdev_del(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id");
    NetClientState *nc = net_find(id);

    if (nc) {
        net_client_del(nc);
    } else {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", id);
    }
    return NULL;
}

/* Events --------------------------------------------------------------------------- */

static json_t *peer_json(const NetAddr *peer)
{
    if (peer->path) {
        return json_pack("{s:s*,s:o*,s:s}", "path", peer->path, "abstract",
                         peer->abstract ? json_true() : NULL, "type", "unix");
    }
    return json_pack("{s:s*,s:b,s:s*,s:s}", "port", peer->port,
                     peer->host && strchr(peer->host, ':') ? "ipv6" : "ipv4", 1,
                     "host", peer->host, "type", "inet");
}

void qmp_stream_event(const NetClientState *nc, const NetAddr *peer, void *opaque)
{
    json_t *data = json_pack("{s:s}", "netdev-id", nc->obj.id);

    if (peer) {
        json_object_set_new(data, "addr", peer_json(peer));
    }
    qmp_emit(opaque, peer ? "NETDEV_STREAM_CONNECTED" : "NETDEV_STREAM_DISCONNECTED", data);
}

/* What cards receive ----------------------------------------------------------------- */

typedef struct FilterQuery {
    json_t *list;
    const char *name;       /* NULL: all cards */
} FilterQuery;

static json_t *mac_json(const uint8_t *a)
{
    char text[18];

    snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4],
             a[5]);
    return json_string(text);
}

static json_t *mac_table(const uint8_t *table, unsigned n)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < n; i++) {
        json_array_append_new(list, mac_json(table + i * 6));
    }
    return list;
}

static json_t *vlan_table(const NetRxFilter *f)
{
    json_t *list = json_array();

    for (unsigned id = 0; f->vlan == NET_RX_NORMAL && id < 4096; id++) {
        if (f->vlans[id / 32] >> id % 32 & 1) {
            json_array_append_new(list, json_integer(id));
        }
    }
    return list;
}

static void add_filter(NetClientState *nc, void *opaque)
{
    static const char *const states[] = { "normal", "none", "all" };
    const char *name = nc->nic && nc->nic->name ? nc->nic->name : nc->obj.id;
    FilterQuery *q = opaque;
    NetRxFilter f;

    if (!nc->nic || !nc->nic->ops->rx_filter || (q->name && strcmp(q->name, name))) {
        return;
    }
    nc->nic->ops->rx_filter(nc->nic->opaque, &f);
    *f.told = false;
    json_array_append_new(q->list, json_pack(
        "{s:s,s:b,s:s,s:s,s:s,s:b,s:b,s:b,s:o,s:o,s:o,s:o}", "name", name,
        "promiscuous", (int)f.promiscuous, "multicast", states[f.multicast],
        "unicast", states[f.unicast], "vlan", states[f.vlan],
        "broadcast-allowed", (int)f.broadcast_allowed,
        "multicast-overflow", (int)f.multicast_overflow,
        "unicast-overflow", (int)f.unicast_overflow, "main-mac", mac_json(f.main_mac),
        "vlan-table", vlan_table(&f), "unicast-table", mac_table(f.unicast_table, f.nr_unicast),
        "multicast-table", mac_table(f.multicast_table, f.nr_multicast)));
}

json_t *qmp_query_rx_filter(Monitor *mon, json_t *args, Error **errp)
{
    FilterQuery q = { json_array(), qmp_str(args, "name") };

    net_foreach(add_filter, &q);
    if (q.name && !json_array_size(q.list)) {
        json_decref(q.list);
        error_setg(errp, "invalid net client name: %s", q.name);
        return NULL;
    }
    return q.list;
}

/* Announcements ------------------------------------------------------------------------ */

static bool announce_number(json_t *args, const char *name, int64_t max, int64_t *n, Error **errp)
{
    *n = qmp_int(args, name, 0);
    if (*n < 0 || *n > max) {
        error_setg(errp, "Parameter '%s' expects a value between 0 and %" PRId64, name, max);
        return false;
    }
    return true;
}

json_t *qmp_announce_self(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id");
    json_t *list = json_object_get(args, "interfaces"), *item;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    NetAnnounce p;
    size_t i;

    if (!announce_number(args, "initial", 100000, &p.initial, errp) ||
        !announce_number(args, "max", 100000, &p.max, errp) ||
        !announce_number(args, "rounds", 1000, &p.rounds, errp) ||
        !announce_number(args, "step", 10000, &p.step, errp)) {
        return NULL;
    }
    json_array_foreach(list, i, item) {
        g_ptr_array_add(names, (char *)json_string_value(item));
    }
    g_ptr_array_add(names, NULL);
    net_announce_self(id ? id : "", &p, list ? (char **)names->pdata : NULL);
    return NULL;
}
