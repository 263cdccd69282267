/*
 * QMP and HMP about disks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "block/image-info.h"
#include "block/opening.h"
#include "hmp.h"
#include "hw/qdev.h"
#include "qmp.h"

const char *const qmp_iostatus_names[] = { "ok", "failed", "nospace" };

/* Bytes that the host really uses; 0 where nobody knows. */
static json_int_t actual_size(const char *filename)
{
    struct stat st;

    return stat(filename, &st) < 0 ? 0 : (json_int_t)st.st_blocks * 512;
}

/* Snapshots inside of the image. */
static json_t *snapshots_json(const BlockImageInfo *image)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < image->nr_snapshots; i++) {
        const BlockSnapshotInfo *sn = &image->snapshots[i];
        json_t *item = json_pack("{s:s+, s:s+, s:I, s:I, s:I, s:I, s:I}", "id", sn->id, "",
                                 "name", sn->name, "",
                                 "vm-state-size", (json_int_t)sn->vm_state_size,
                                 "date-sec", (json_int_t)sn->date_sec,
                                 "date-nsec", (json_int_t)sn->date_nsec,
                                 "vm-clock-sec", (json_int_t)(sn->vm_clock_ns / 1000000000),
                                 "vm-clock-nsec", (json_int_t)(sn->vm_clock_ns % 1000000000));

        if (item && sn->icount >= 0) {
            json_object_set_new(item, "icount", json_integer(sn->icount));
        }
        json_array_append_new(list, item ? item : json_object());
    }
    return list;
}

/* What the image itself has, as far as it is there already. */
static void add_stored_bitmap(const BlockBitmapInfo *info, void *opaque)
{
    json_t *item = info->stored ? json_pack("{s:s, s:I, s:[]}", "name", info->name, "granularity",
                                            (json_int_t)info->granularity, "flags") : NULL;
    json_t *flags = json_object_get(item, "flags");

    if (info->in_use) {
        json_array_append_new(flags, json_string("in-use"));
    }
    if (info->recording) {
        json_array_append_new(flags, json_string("auto"));
    }
    if (item) {
        json_array_append_new(opaque, item);
    }
}

static json_t *specific_json(const BlockNode *bs, const BlockImageInfo *image)
{
    json_t *bitmaps = json_array();
    json_t *data = json_pack("{s:s, s:s, s:b, s:i, s:b, s:b}", "compat", image->compat,
                             "compression-type", image->compression,
                             "lazy-refcounts", image->lazy_refcounts,
                             "refcount-bits", image->refcount_bits,
                             "corrupt", image->corrupt, "extended-l2", image->extended_l2);

    if (image->data_file) {
        json_object_set_new(data, "data-file", json_string(image->data_file));
        json_object_set_new(data, "data-file-raw", json_boolean(image->raw_data_file));
    }
    block_foreach_bitmap(bs, add_stored_bitmap, bitmaps);
    if (json_array_size(bitmaps)) {
        json_object_set(data, "bitmaps", bitmaps);
    }
    json_decref(bitmaps);
    return json_pack("{s:s, s:o}", "type", image->format, "data", data);
}

static void set_string(json_t *object, const char *name, const char *value)
{
    /* What is no text (a hostile image's names) is left out. */
    json_t *text = value ? json_string(value) : NULL;

    if (text) {
        json_object_set_new(object, name, text);
    }
}

/* An image and those below it. */
static json_t *image_json(const BlockNode *bs)
{
    BlockImageInfo image;
    json_t *o;

    block_image_info(bs, &image);
    o = json_pack("{s:s, s:s, s:I, s:I, s:b}", "filename", image.filename,
                  "format", image.format, "virtual-size", (json_int_t)image.length,
                  "actual-size", actual_size(image.filename), "dirty-flag", image.dirty);
    if (image.cluster_size) {
        json_object_set_new(o, "cluster-size", json_integer(image.cluster_size));
    }
    set_string(o, "backing-filename", image.backing_filename);
    set_string(o, "full-backing-filename", image.full_backing_filename);
    set_string(o, "backing-filename-format", image.backing_format);
    if (image.nr_snapshots) {
        json_object_set_new(o, "snapshots", snapshots_json(&image));
    }
    if (image.compat) {
        json_object_set_new(o, "format-specific", specific_json(bs, &image));
    }
    if (image.backing) {
        json_object_set_new(o, "backing-image", image_json(image.backing));
    }
    return o;
}

static void add_bitmap(const BlockBitmapInfo *info, void *opaque)
{
    json_t *item = json_pack("{s:s+, s:I, s:I, s:b, s:b, s:b}", "name", info->name, "",
                             "count", (json_int_t)info->count,
                             "granularity", (json_int_t)info->granularity,
                             "recording", info->recording, "busy", info->busy,
                             "persistent", info->persistent);

    if (item && info->inconsistent) {
        json_object_set_new(item, "inconsistent", json_true());
    }
    json_array_append_new(opaque, item ? item : json_object());
}

static void add_bitmaps(json_t *o, const BlockNode *bs)
{
    json_t *list = json_array();

    block_foreach_bitmap(bs, add_bitmap, list);
    if (json_array_size(list)) {
        json_object_set_new(o, "dirty-bitmaps", list);
    } else {
        json_decref(list);
    }
}

/* What query-block and query-named-block-nodes say of an open image. */
static json_t *node_json(const BlockInfo *info, const BlockBackend *blk)
{
    json_t *o = json_pack("{s:s, s:b, s:s, s:b, s:s, s:i, s:s,"
                          " s:i,"
                          " s:{s:b, s:b, s:b}, s:o}",
                          "node-name", info->node_name, "ro", info->read_only,
                          "drv", info->driver, "encrypted", 0, "file", info->filename,
                          "backing_file_depth", block_backing_depth(info->node),
                          "detect_zeroes", info->detect_zeroes,
                          "write_threshold", 0,
                          "cache", "writeback", info->writeback, "direct", info->direct,
                          "no-flush", info->no_flush, "image", image_json(info->node));
    BlockImageInfo image;

    add_bitmaps(o, info->node);
    qmp_add_throttle(o, blk);
    block_image_info(info->node, &image);
    if (image.backing) {
        set_string(o, "backing_file", image.full_backing_filename ? image.full_backing_filename :
                   block_node_filename(image.backing));
    }
    return o;
}

/* A list of backends to be filled. */
typedef struct BackendList {
    json_t *list;
    MachineState *ms;
} BackendList;

/*
 * The device that has blk, by its id, or else by its path; NULL: none. A backend without a
 * name is asked for by the path of QEMU's virtio devices of other buses: libvirt finds its
 * disks by that.
 */
static char *device_of(MachineState *ms, BlockBackend *blk, const BlockInfo *info)
{
    for (guint i = 0; info->dev_id && i < ms->devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(ms->devices, i);
        const Property *prop = property_find(dev->obj.oc, "drive");

        if (!prop || *(BlockBackend **)property_field(&dev->obj, prop) != blk) {
            continue;
        }
        return !dev->obj.id ? qdev_get_path(dev) : *info->id ? g_strdup(dev->obj.id) :
            g_strdup_printf("/machine/peripheral/%s/virtio-backend", dev->obj.id);
    }
    return g_strdup(info->dev_id);
}

static void add_backend(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    BackendList *bl = opaque;
    g_autofree char *qdev = device_of(bl->ms, blk, info);
    json_t *item = json_pack("{s:s, s:b, s:b, s:s, s:o}", "device", info->id,
                             "locked", 0, "removable", 0, "type", "unknown",
                             "inserted", node_json(info, blk));

    if (qdev) {
        json_object_set_new(item, "qdev", json_string(qdev));
        json_object_set_new(item, "io-status",
                            json_string(qmp_iostatus_names[info->iostatus]));
    }
    json_array_append_new(bl->list, item);
}

json_t *qmp_query_block(Monitor *mon, json_t *args, Error **errp)
{
    BackendList bl = { .list = json_array(), .ms = mon->ms };

    blk_foreach(add_backend, &bl);
    return bl.list;
}

static void add_node(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    json_array_append_new(opaque, node_json(info, blk));
}

json_t *qmp_query_named_block_nodes(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    block_foreach_node(add_node, list);
    return list;
}

/* A counter of one kind of request, as "rd" and so on; writes of zeroes are writes. */
static json_int_t sum_of(const uint64_t *counter, BlockOp op)
{
    return counter[op] + (op == BLOCK_OP_WRITE ? counter[BLOCK_OP_WRITE_ZEROES] : 0);
}

static json_t *stats_json(const BlockStats *s)
{
    static const struct { const char *name; BlockOp op; } kinds[] = {
        { "rd", BLOCK_OP_READ }, { "wr", BLOCK_OP_WRITE },
        { "unmap", BLOCK_OP_DISCARD }, { "flush", BLOCK_OP_FLUSH },
    };
    const struct { const char *format; const uint64_t *counter; } counters[] = {
        { "%s_bytes", s->bytes }, { "%s_operations", s->ops },
        { "%s_total_time_ns", s->time_ns }, { "%s_merged", NULL },
        { "failed_%s_operations", s->failed }, { "invalid_%s_operations", s->invalid },
    };
    json_t *stats = json_pack("{s:I, s:b, s:b, s:[]}",
                              "wr_highest_offset", (json_int_t)s->wr_highest_offset,
                              "account_invalid", 1, "account_failed", 1, "timed_stats");

    for (unsigned k = 0; k < G_N_ELEMENTS(kinds); k++) {
        for (unsigned c = 0; c < G_N_ELEMENTS(counters); c++) {
            g_autofree char *name = g_strdup_printf(counters[c].format, kinds[k].name);
            bool merged = !counters[c].counter;     /* we never merge requests */

            if (kinds[k].op == BLOCK_OP_FLUSH && (merged || counters[c].counter == s->bytes)) {
                continue;
            }
            json_object_set_new(stats, name, json_integer(
                merged ? 0 : sum_of(counters[c].counter, kinds[k].op)));
        }
    }
    if (s->last_end) {
        json_object_set_new(stats, "idle_time_ns", json_integer(
            g_get_monotonic_time() * 1000 - s->last_end));
    }
    return stats;
}

static void add_stats(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    BackendList *bl = opaque;
    g_autofree char *qdev = device_of(bl->ms, blk, info);
    BlockStats s;
    json_t *item;

    blk_get_stats(blk, &s);
    item = json_pack("{s:s, s:s, s:o}", "device", info->id, "node-name", info->node_name,
                     "stats", stats_json(&s));
    if (qdev) {
        json_object_set_new(item, "qdev", json_string(qdev));
    }
    json_array_append_new(bl->list, item);
}

json_t *qmp_query_blockstats(Monitor *mon, json_t *args, Error **errp)
{
    BackendList bl = { .list = json_array(), .ms = mon->ms };

    blk_foreach(add_stats, &bl);
    return bl.list;
}

json_t *qmp_block_resize(Monitor *mon, json_t *args, Error **errp)
{
    const char *device = qmp_str(args, "device");
    const char *node = qmp_str(args, "node-name");
    const char *name = device ? device : node;
    int64_t size = qmp_int(args, "size", -1);
    bool force = qmp_bool(args, "force", false);
    BlockBackend *blk = device ? blk_find(device) : NULL;

    if (!name || (device && node)) {
        error_setg(errp, "Need exactly one of 'device' and 'node-name'");
    } else if (device && !blk) {
        error_setg(errp, "Cannot find device='%s' nor node-name=''", device);
    } else if (size < 0) {
        error_setg(errp, "Parameter 'size' expects a >0 size");
    } else if (!blk) {
        block_resize(node, size, force, errp);
    } else if (force || blk_check_shrink(blk, size, errp)) {
        blk_truncate(blk, size, errp);
    }
    return NULL;
}

/* A node that is added when what takes long about it is done. */
typedef struct Adding {
    Monitor *mon;
    QemuOpts *opts;
    BlockOpening *opening;
} Adding;

static void adding_free(void *opaque)
{
    Adding *a = opaque;

    block_opening_free(a->opening);
    qemu_opts_free(a->opts);
    g_free(a);
}

static void adding_ready(void *opaque)
{
    Adding *a = opaque;
    Error *err = NULL;

    blockdev_add(a->opts, &err);
    monitor_job_done(a->mon, NULL, err);
}

json_t *qmp_blockdev_add(Monitor *mon, json_t *args, Error **errp)
{
    Adding *a = g_new0(Adding, 1);

    a->mon = mon;
    a->opts = qemu_opts_from_object(args, errp);
    a->opening = a->opts ? block_opening_new(a->opts, adding_ready, a) : NULL;
    if (a->opening) {
        monitor_job_start(mon, -1, NULL, adding_free, a);
        return NULL;
    }
    if (a->opts) {
        blockdev_add(a->opts, errp);
    }
    adding_free(a);
    return NULL;
}

json_t *qmp_blockdev_del(Monitor *mon, json_t *args, Error **errp)
{
    blockdev_del(qmp_str(args, "node-name"), errp);
    return NULL;
}

/* "info block": which of them, and how they are shown. */
typedef struct InfoBlock {
    Monitor *mon;
    const char *name;           /* of the only one to show, or NULL */
    bool nodes, verbose;
    bool any;                   /* one was shown */
} InfoBlock;

char *monitor_size_text(uint64_t size)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = size;
    unsigned u = 0;

    while (value >= 1000 && u < G_N_ELEMENTS(units) - 1) {
        value /= 1024;
        u++;
    }
    return g_strdup_printf("%.3g %s", value, units[u]);
}

static void print_size(Monitor *mon, const char *title, uint64_t size, bool bytes)
{
    g_autofree char *text = monitor_size_text(size);

    monitor_printf(mon, "%s: %s", title, text);
    if (bytes) {
        monitor_printf(mon, " (%" PRIu64 " bytes)", size);
    }
    monitor_puts(mon, "\n");
}

static void print_image(Monitor *mon, const BlockInfo *info)
{
    BlockImageInfo image;

    monitor_printf(mon, "\nImages:\nimage: %s\nfile format: %s\n", info->filename,
                   info->driver);
    print_size(mon, "virtual size", info->length, true);
    print_size(mon, "disk size", actual_size(info->filename), false);
    block_image_info(info->node, &image);
    if (image.cluster_size) {
        monitor_printf(mon, "cluster_size: %u\n", image.cluster_size);
    }
    if (image.backing_filename) {
        monitor_printf(mon, "backing file: %s\n", image.full_backing_filename);
    }
    for (unsigned i = 0; i < image.nr_snapshots; i++) {
        monitor_printf(mon, "%ssnapshot: %s (%s)\n", i ? "" : "\n", image.snapshots[i].id,
                       image.snapshots[i].name);
    }
}

static void print_title(const InfoBlock *ib, const BlockInfo *info)
{
    bool both = !ib->nodes && *info->id;

    monitor_printf(ib->mon, "%s%s%s%s%s: %s (%s%s)\n", ib->any ? "\n" : "",
                   both ? info->id : "", both ? " (" : "", info->node_name, both ? ")" : "",
                   info->filename, info->driver, info->read_only ? ", read-only" : "");
}

static void print_backing(Monitor *mon, const BlockInfo *info)
{
    BlockImageInfo image;
    unsigned depth = block_backing_depth(info->node);

    block_image_info(info->node, &image);
    if (depth) {
        monitor_printf(mon, "    Backing file:     %s (chain depth: %u)\n",
                       image.full_backing_filename ? image.full_backing_filename :
                       block_node_filename(image.backing), depth);
    }
}

static void print_backend(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    InfoBlock *ib = opaque;
    Monitor *mon = ib->mon;

    if (ib->name && strcmp(ib->name, info->node_name) &&
        (ib->nodes || strcmp(ib->name, info->id))) {
        return;
    }
    print_title(ib, info);
    ib->any = true;
    if (info->dev_id && !ib->nodes) {
        monitor_printf(mon, "    Attached to:      %s\n", info->dev_id);
    }
    monitor_printf(mon, "    Cache mode:       %s%s%s\n",
                   info->writeback ? "writeback" : "writethrough",
                   info->direct ? ", direct" : "",
                   info->no_flush ? ", ignore flushes" : "");
    print_backing(mon, info);
    if (strcmp(info->detect_zeroes, "off")) {
        monitor_printf(mon, "    Detect zeroes:    %s\n", info->detect_zeroes);
    }
    hmp_print_throttle(mon, blk);
    if (info->iostatus != BLOCK_IO_STATUS_OK) {
        monitor_printf(mon, "    I/O status:       %s\n", qmp_iostatus_names[info->iostatus]);
    }
    if (ib->verbose) {
        print_image(mon, info);
    }
}

void hmp_info_block(Monitor *mon, json_t *args)
{
    InfoBlock ib = {
        .mon = mon, .name = hmp_str(args, "device"),
        .nodes = hmp_bool(args, "nodes"), .verbose = hmp_bool(args, "verbose"),
    };

    if (ib.nodes) {
        block_foreach_node(print_backend, &ib);
    } else {
        blk_foreach(print_backend, &ib);
    }
}

void hmp_info_blockstats(Monitor *mon, json_t *args)
{
    static const char *const shown[] = {
        "rd_bytes", "wr_bytes", "rd_operations", "wr_operations", "flush_operations",
        "wr_total_time_ns", "rd_total_time_ns", "flush_total_time_ns", "rd_merged",
        "wr_merged", "idle_time_ns",
    };
    json_t *list = hmp_qmp(mon, "query-blockstats", NULL), *item;
    size_t i;

    json_array_foreach(list, i, item) {
        const char *device = hmp_str(item, "device");

        monitor_printf(mon, "%s:", *device ? device : hmp_str(item, "node-name"));
        for (unsigned n = 0; n < G_N_ELEMENTS(shown); n++) {
            json_t *stats = json_object_get(item, "stats");

            monitor_printf(mon, " %s=%" PRId64, shown[n], hmp_int(stats, shown[n], 0));
        }
        monitor_puts(mon, "\n");
    }
    json_decref(list);
}

void qmp_block_corrupted(void *opaque, const BlockCorruption *c)
{
    qmp_emit(opaque, "BLOCK_IMAGE_CORRUPTED",
             json_pack("{s:s, s:s, s:s, s:I, s:b}", "device", c->device, "node-name", c->node_name,
                       "msg", c->what, "offset", (json_int_t)c->offset, "fatal", c->fatal));
}
