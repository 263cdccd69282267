/*
 * QMP about images for others: the NBD server and its exports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/export.h"
#include "qmp.h"

static json_t *qmp_nbd_server_start(Monitor *mon, json_t *args, Error **errp)
{
    json_t *addr = json_object_get(args, "addr"), *data = json_object_get(addr, "data");
    NetAddr a = {
        .type = (char *)qmp_str(addr, "type"), .host = (char *)qmp_str(data, "host"),
        .port = (char *)qmp_str(data, "port"), .path = (char *)qmp_str(data, "path"),
    };

    if (qmp_str(args, "tls-creds") || qmp_str(args, "tls-authz")) {
        error_setg(errp, "'%s' is not supported: there is no TLS",
                   qmp_str(args, "tls-creds") ? "tls-creds" : "tls-authz");
    } else {
        block_nbd_start(&a, qmp_int(args, "max-connections", 0), errp);
    }
    return NULL;
}

static json_t *qmp_nbd_server_stop(Monitor *mon, json_t *args, Error **errp)
{
    block_nbd_stop(errp);
    return NULL;
}

static json_t *qmp_block_export_add(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_object_get(args, "bitmaps"), *item;
    unsigned n = json_array_size(list);
    g_autofree BlockBitmapName *bitmaps = g_new0(BlockBitmapName, n + 1);
    BlockExportOptions o = {
        .id = qmp_str(args, "id"), .node = qmp_str(args, "node-name"),
        .name = qmp_str(args, "name"), .description = qmp_str(args, "description"),
        .writable = qmp_bool(args, "writable", false), .bitmaps = bitmaps, .n_bitmaps = n,
    };
    size_t i;

    json_array_foreach(list, i, item) {
        if (!qmp_bitmap_name(item, &bitmaps[i], errp)) {
            return NULL;
        }
    }
    if (qmp_str(args, "iothread")) {
        error_setg(errp, "Parameter 'iothread' is not supported: each client has a thread");
    } else if (qmp_bool(args, "allocation-depth", false)) {
        error_setg(errp, "Parameter 'allocation-depth' is not supported");
    } else {
        block_export_add(&o, errp);
    }
    return NULL;
}

/* The older command: its export's id is its name. */
static json_t *qmp_nbd_server_add(Monitor *mon, json_t *args, Error **errp)
{
    const char *name = qmp_str(args, "name");
    BlockBitmapName bitmap = { .name = qmp_str(args, "bitmap") };
    BlockExportOptions o = {
        .node = qmp_str(args, "device"), .description = qmp_str(args, "description"),
        .writable = qmp_bool(args, "writable", false), .bitmaps = &bitmap,
        .n_bitmaps = bitmap.name != NULL,
    };

    o.id = o.name = name ? name : o.node;
    block_export_add(&o, errp);
    return NULL;
}

static json_t *qmp_block_export_del(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id"), *mode = qmp_str(args, "mode");

    block_export_del(id ? id : qmp_str(args, "name"), mode && !strcmp(mode, "hard"), errp);
    return NULL;
}

static void add_export(const BlockExportInfo *info, void *opaque)
{
    json_array_append_new(opaque, json_pack("{s:s, s:s, s:s, s:b}", "id", info->id,
                                            "type", "nbd", "node-name", info->node,
                                            "shutting-down", info->shutting_down));
}

static json_t *qmp_query_block_exports(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    block_export_foreach(add_export, list);
    return list;
}

const QmpCommand qmp_export_commands[] = {
    { "nbd-server-start", "addr:" QMP_ADDRESS ",?tls-creds:s,?tls-authz:s,?max-connections:4", NULL,
      qmp_nbd_server_start, DOC("let NBD's clients connect") },
    { "nbd-server-stop", "", NULL, qmp_nbd_server_stop, DOC("end all exports and the server") },
    { "nbd-server-add", "device:s,?name:s,?description:s,?writable:b,?bitmap:s", NULL,
      qmp_nbd_server_add, DOC("as block-export-add") },
    { "nbd-server-remove", "name:s,?mode:(safe|hard)", NULL, qmp_block_export_del,
      DOC("as block-export-del") },
    { "block-export-add", "type:(nbd),id:s,node-name:s,?name:s,?description:s,?bitmaps:[a],"
      "?writable:b,?writethrough:b,?allocation-depth:b,?iothread:s,?fixed-iothread:b", NULL,
      qmp_block_export_add, DOC("show a node to NBD's clients") },
    { "block-export-del", "id:s,?mode:(safe|hard)", NULL, qmp_block_export_del,
      DOC("end that; hard: also while there are clients") },
    { "query-block-exports", "", "[{id:s,type:(nbd),node-name:s,shutting-down:b}]",
      qmp_query_block_exports, DOC("exports") },
    { NULL }
};

const QmpEvent qmp_export_events[] = {
    { "BLOCK_EXPORT_DELETED", "id:s", DOC("an export has ended") },
    { NULL }
};
