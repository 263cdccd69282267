/*
 * QMP and HMP about disks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sys/stat.h>

#include "block/block.h"
#include "hmp.h"
#include "qmp.h"

static const char *const iostatus_names[] = { "ok", "failed", "nospace" };

/* Bytes that the host really uses; 0 where nobody knows. */
static json_int_t actual_size(const char *filename)
{
    struct stat st;

    return stat(filename, &st) < 0 ? 0 : (json_int_t)st.st_blocks * 512;
}

/* What query-block and query-named-block-nodes say of an open image. */
static json_t *node_json(const BlockInfo *info)
{
    return json_pack("{s:s, s:b, s:s, s:b, s:s, s:i, s:s,"
                     " s:i, s:i, s:i, s:i, s:i, s:i, s:i,"
                     " s:{s:b, s:b, s:b}, s:{s:s, s:s, s:I, s:I, s:b}}",
                     "node-name", info->node_name, "ro", info->read_only,
                     "drv", info->driver, "encrypted", 0, "file", info->filename,
                     "backing_file_depth", 0,
                     "detect_zeroes", info->detect_zeroes ? "on" : "off",
                     "bps", 0, "bps_rd", 0, "bps_wr", 0, "iops", 0, "iops_rd", 0,
                     "iops_wr", 0, "write_threshold", 0,
                     "cache", "writeback", info->writeback, "direct", info->direct,
                     "no-flush", info->no_flush,
                     "image", "filename", info->filename, "format", info->driver,
                     "virtual-size", (json_int_t)info->length,
                     "actual-size", actual_size(info->filename), "dirty-flag", 0);
}

static void add_backend(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    json_t *item = json_pack("{s:s, s:b, s:b, s:s, s:o}", "device", info->id,
                             "locked", 0, "removable", 0, "type", "unknown",
                             "inserted", node_json(info));

    if (info->dev_id) {
        json_object_set_new(item, "qdev", json_string(info->dev_id));
        json_object_set_new(item, "io-status",
                            json_string(iostatus_names[info->iostatus]));
    }
    json_array_append_new(opaque, item);
}

json_t *qmp_query_block(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    blk_foreach(add_backend, list);
    return list;
}

static void add_node(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    json_array_append_new(opaque, node_json(info));
}

json_t *qmp_query_named_block_nodes(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    blk_foreach(add_node, list);
    return list;
}

static void add_stats(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    static const struct { const char *prefix; BlockOp op; } kinds[] = {
        { "rd", BLOCK_OP_READ }, { "wr", BLOCK_OP_WRITE },
        { "unmap", BLOCK_OP_DISCARD }, { "flush", BLOCK_OP_FLUSH },
    };
    json_t *stats = json_object();
    BlockStats s;

    blk_get_stats(blk, &s);
    for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
        g_autofree char *bytes = g_strdup_printf("%s_bytes", kinds[i].prefix);
        g_autofree char *ops = g_strdup_printf("%s_operations", kinds[i].prefix);
        g_autofree char *failed = g_strdup_printf("failed_%s_operations", kinds[i].prefix);

        if (kinds[i].op != BLOCK_OP_FLUSH) {
            json_object_set_new(stats, bytes, json_integer(s.bytes[kinds[i].op]));
        }
        json_object_set_new(stats, ops, json_integer(s.ops[kinds[i].op]));
        json_object_set_new(stats, failed, json_integer(s.failed[kinds[i].op]));
    }
    json_array_append_new(opaque, json_pack("{s:s, s:s, s:s, s:o}", "device", info->id,
                                            "node-name", info->node_name, "qdev",
                                            info->dev_id ? info->dev_id : "",
                                            "stats", stats));
}

json_t *qmp_query_blockstats(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    blk_foreach(add_stats, list);
    return list;
}

json_t *qmp_block_resize(Monitor *mon, json_t *args, Error **errp)
{
    const char *device = qmp_str(args, "device");
    const char *node = qmp_str(args, "node-name");
    const char *name = device ? device : node;
    int64_t size = qmp_int(args, "size", -1);
    BlockBackend *blk = name ? blk_find(name) : NULL;

    if (!name || (device && node)) {
        error_setg(errp, "Need exactly one of 'device' and 'node-name'");
    } else if (!blk) {
        error_setg(errp, "Cannot find device='%s' nor node-name='%s'",
                   device ? device : "", node ? node : "");
    } else if (size < 0) {
        error_setg(errp, "Parameter 'size' expects a >0 size");
    } else {
        blk_truncate(blk, size, errp);
    }
    return NULL;
}

json_t *qmp_blockdev_add(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QemuOpts) opts = qmp_to_opts(args, errp);

    if (opts) {
        blockdev_add(opts, errp);
    }
    return NULL;
}

static void print_backend(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    Monitor *mon = opaque;

    monitor_printf(mon, "%s%s%s%s: %s (%s%s)\n", info->id, *info->id ? " (" : "",
                   info->node_name, *info->id ? ")" : "", info->filename, info->driver,
                   info->read_only ? ", read-only" : "");
    if (info->dev_id) {
        monitor_printf(mon, "    Attached to:      %s\n", info->dev_id);
    }
    monitor_printf(mon, "    Cache mode:       %s%s%s\n",
                   info->writeback ? "writeback" : "writethrough",
                   info->direct ? ", direct" : "",
                   info->no_flush ? ", ignore flushes" : "");
    if (info->detect_zeroes) {
        monitor_printf(mon, "    Detect zeroes:    on\n");
    }
    if (info->iostatus != BLOCK_IO_STATUS_OK) {
        monitor_printf(mon, "    I/O status:       %s\n", iostatus_names[info->iostatus]);
    }
}

void hmp_info_block(Monitor *mon, json_t *args)
{
    blk_foreach(print_backend, mon);
}

void hmp_info_blockstats(Monitor *mon, json_t *args)
{
    json_t *list = hmp_qmp(mon, "query-blockstats", NULL), *item, *v;
    const char *key;
    size_t i;

    json_array_foreach(list, i, item) {
        const char *device = hmp_str(item, "device");

        monitor_printf(mon, "%s:", *device ? device : hmp_str(item, "node-name"));
        json_object_foreach(json_object_get(item, "stats"), key, v) {
            monitor_printf(mon, " %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(v));
        }
        monitor_puts(mon, "\n");
    }
    json_decref(list);
}
