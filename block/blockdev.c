/*
 * -drive and -blockdev: from options to nodes and backends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qemu/cutils.h"
#include "raw.h"

/* What a child takes from its parent when its own options do not say it. */
static const char *const inherited[] = {
    "read-only", "auto-read-only", "cache.direct", "cache.no-flush", "force-share",
};

/* -drive's own options; what is left goes to the image. */
typedef struct DriveOptions {
    Object obj;
    char *if_name, *media, *file, *format, *driver, *cache, *aio, *werror, *rerror;
    char *serial, *node_name, *discard, *detect_zeroes, *locking;
    bool snapshot, read_only, auto_read_only, force_share, copy_on_read;
    OnOffAuto writeback, direct, no_flush;
} DriveOptions;

static const Property drive_props[] = {
    DEFINE_PROP_STRING("if", DriveOptions, if_name, "none", "none: a -device takes it"),
    DEFINE_PROP_STRING("media", DriveOptions, media, "disk", "disk or cdrom (read-only)"),
    DEFINE_PROP_STRING("file", DriveOptions, file, NULL, "the image"),
    DEFINE_PROP_STRING("format", DriveOptions, format, NULL, "its format: raw"),
    DEFINE_PROP_STRING("driver", DriveOptions, driver, NULL, "the same"),
    DEFINE_PROP_STRING("cache", DriveOptions, cache, NULL,
                       "writeback, none, writethrough, directsync or unsafe"),
    DEFINE_PROP_ON_OFF_AUTO("cache.writeback", DriveOptions, writeback, "auto", NULL),
    DEFINE_PROP_ON_OFF_AUTO("cache.direct", DriveOptions, direct, "auto", NULL),
    DEFINE_PROP_ON_OFF_AUTO("cache.no-flush", DriveOptions, no_flush, "auto", NULL),
    DEFINE_PROP_STRING("aio", DriveOptions, aio, NULL, "io_uring, threads or native"),
    DEFINE_PROP_STRING("discard", DriveOptions, discard, NULL, "ignore or unmap"),
    DEFINE_PROP_STRING("detect-zeroes", DriveOptions, detect_zeroes, NULL,
                       "off, on or unmap"),
    DEFINE_PROP_STRING("werror", DriveOptions, werror, NULL,
                       "on write errors: report, ignore, stop or enospc"),
    DEFINE_PROP_STRING("rerror", DriveOptions, rerror, NULL,
                       "on read errors: report, ignore or stop"),
    DEFINE_PROP_BOOL("snapshot", DriveOptions, snapshot, "off",
                     "writes are temporary"),
    DEFINE_PROP_BOOL("read-only", DriveOptions, read_only, "off", "never write"),
    DEFINE_PROP_BOOL("readonly", DriveOptions, read_only, "off", "the same"),
    DEFINE_PROP_BOOL("auto-read-only", DriveOptions, auto_read_only, "on",
                     "fall back to read-only"),
    DEFINE_PROP_BOOL("force-share", DriveOptions, force_share, "off",
                     "tolerate other writers"),
    DEFINE_PROP_BOOL("copy-on-read", DriveOptions, copy_on_read, "off",
                     "not available: off"),
    DEFINE_PROP_STRING("serial", DriveOptions, serial, NULL, "the disk's serial number"),
    DEFINE_PROP_STRING("node-name", DriveOptions, node_name, NULL, "name of the node"),
    DEFINE_PROP_STRING("locking", DriveOptions, locking, NULL, "lock the image: on, off, auto"),
    DEFINE_PROP_IGNORED("index", "accepted, without effect"),
    DEFINE_PROP_IGNORED("bus", "accepted, without effect"),
    DEFINE_PROP_IGNORED("unit", "accepted, without effect"),
    DEFINE_PROP_END
};

static const ObjectClass drive_class = {
    .name = "drive",
    .instance_size = sizeof(DriveOptions),
    .props = drive_props,
};

/* Nodes -------------------------------------------------------------------- */

/* Move the options whose names begin with prefix, without it, to new opts. */
static QemuOpts *take_prefixed(QemuOpts *opts, const char *prefix)
{
    QemuOpts *sub = qemu_opts_new();

    for (unsigned i = 0; i < opts->opts->len;) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (g_str_has_prefix(opt->name, prefix)) {
            g_autofree char *name = g_strdup(opt->name);

            qemu_opt_append(sub, name + strlen(prefix), opt->str);
            g_free(qemu_opt_take(opts, name));
            i = 0;
        } else {
            i++;
        }
    }
    return sub;
}

static const BlockDriver *find_driver(const char *name, Error **errp)
{
    static const char *const others[] = {
        "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "vhdx", "luks", "parallels",
        "bochs", "cloop", NULL,
    };
    const ObjectClass *oc = name ? object_class_by_name(block_classes, name) : NULL;

    if (!name) {
        error_setg(errp, "Parameter 'driver' is missing");
    } else if (!oc && g_strv_contains(others, name)) {
        error_setg(errp, "Block format '%s' is not supported: convert the image to "
                   "raw", name);
    } else if (!oc) {
        error_setg(errp, "Unknown driver '%s'", name);
    }
    return (const BlockDriver *)oc;
}

bool block_class_is_protocol(const ObjectClass *oc)
{
    return ((const BlockDriver *)oc)->is_protocol;
}

static bool set_node_opts(BlockNode *bs, QemuOpts *opts, Error **errp)
{
    for (unsigned i = 0; i < opts->opts->len; i++) {
        const char *name = g_array_index(opts->opts, QemuOpt, i).name;

        if (!property_find(bs->obj.oc, name)) {
            error_setg(errp, "Block %s '%s' does not support the option '%s'",
                       block_driver(bs)->is_protocol ? "protocol" : "format",
                       bs->obj.oc->name, name);
            return false;
        }
    }
    return object_set_opts(&bs->obj, opts, errp);
}

/* The node called name, or a twin of it for a second one that only reads. */
static BlockNode *find_child(const char *name, QemuOpts *opts, Error **errp)
{
    BlockNode *child = block_find_node(name);
    const char *read_only = qemu_opt_get(opts, "read-only");

    if (!child) {
        error_setg(errp, "Cannot find device='' nor node-name='%s'", name);
    } else if (child->parent || child->blk) {
        if (read_only && !strcmp(read_only, "on")) {
            return block_node_twin(child, errp);
        }
        error_setg(errp, "Node '%s' is busy: it is in use already", name);
        child = NULL;
    }
    return child;
}

static BlockNode *node_new(QemuOpts *opts, Error **errp);

static BlockNode *inline_child(QemuOpts *opts, QemuOpts *child_opts, Error **errp)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(inherited); i++) {
        const char *value = qemu_opt_get(opts, inherited[i]);

        if (value && !qemu_opt_get(child_opts, inherited[i])) {
            qemu_opt_append(child_opts, inherited[i], value);
        }
    }
    if (!qemu_opt_get(child_opts, "discard")) {
        qemu_opt_append(child_opts, "discard", "unmap");
    }
    return node_new(child_opts, errp);
}

/* -drive takes it: there it means "on". */
static bool check_detect_zeroes(const BlockNode *bs, Error **errp)
{
    if (bs->detect_zeroes == DETECT_ZEROES_UNMAP && !(bs->discard & 1)) {
        error_setg(errp, "setting detect-zeroes to unmap is not allowed without "
                   "setting discard operation to unmap");
        return false;
    }
    return true;
}

/* Open bs over file; on failure nothing of it is left. */
static BlockNode *node_open(BlockNode *bs, BlockNode *file, bool own_file,
                            Error **errp)
{
    bs->file = file;
    if (!block_node_open(bs, errp)) {
        if (own_file) {
            block_node_close(file);
        }
        return NULL;
    }
    if (file) {
        file->parent = bs;
        bs->own_file = own_file;
    }
    return bs;
}

/* The node that opts describe. opts are consumed; nested "file.…" included. */
static BlockNode *node_new(QemuOpts *opts, Error **errp)
{
    g_autofree char *name = qemu_opt_take(opts, "driver");
    const BlockDriver *drv = find_driver(name, errp);
    g_autoptr(QemuOpts) child_opts = NULL;
    g_autofree char *ref = NULL;
    BlockNode *bs, *file = NULL;

    if (!drv) {
        return NULL;
    }
    if (!drv->is_protocol) {
        child_opts = take_prefixed(opts, "file.");
        ref = qemu_opt_take(opts, "file");
        if (!ref && !child_opts->opts->len) {
            error_setg(errp, "A block device must be specified for \"file\"");
            return NULL;
        }
        file = ref ? find_child(ref, opts, errp) : inline_child(opts, child_opts, errp);
        if (!file) {
            return NULL;
        }
    }
    bs = (BlockNode *)object_new(&drv->oc, NULL);
    for (unsigned i = 0; i < opts->opts->len; i++) {
        g_array_index(opts->opts, QemuOpt, i).used = false;
    }
    if (!set_node_opts(bs, opts, errp) || !check_detect_zeroes(bs, errp)) {
        object_free(&bs->obj);
        if (!ref || file->is_twin) {
            block_node_close(file);
        }
        return NULL;
    }
    return node_open(bs, file, !ref || file->is_twin, errp);
}

BlockNode *blockdev_add(QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) copy = qemu_opts_clone(opts);

    if (!qemu_opt_get(copy, "node-name")) {
        error_setg(errp, "'node-name' must be specified for the root node");
        return NULL;
    }
    return node_new(copy, errp);
}

bool blockdev_del(const char *node_name, Error **errp)
{
    BlockNode *bs = block_find_node(node_name);
    BlockBackend *idle;

    while ((idle = blk_idle_twin(node_name))) {
        blk_free(idle);
    }
    if (!bs) {
        error_setg(errp, "Failed to find node with node-name='%s'", node_name);
    } else if (bs->blk) {
        error_setg(errp, "Node %s is in use", node_name);
    } else if (bs->parent || bs->twins) {
        error_setg(errp, "Block device %s is in use", node_name);
    } else {
        block_node_close(bs);
        return true;
    }
    return false;
}

/* -drive ------------------------------------------------------------------- */

static bool parse_cache(DriveOptions *d, Error **errp)
{
    static const struct {
        const char *name;
        bool writeback, direct, no_flush;
    } modes[] = {
        { "writeback", true, false, false },
        { "none", true, true, false },
        { "off", true, true, false },
        { "writethrough", false, false, false },
        { "directsync", false, true, false },
        { "unsafe", true, false, true },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        if (strcmp(d->cache ? d->cache : "writeback", modes[i].name)) {
            continue;
        }
        /* The members win over the name. */
        if (d->writeback == ON_OFF_AUTO_AUTO) {
            d->writeback = modes[i].writeback ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
        }
        if (d->direct == ON_OFF_AUTO_AUTO) {
            d->direct = modes[i].direct ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
        }
        if (d->no_flush == ON_OFF_AUTO_AUTO) {
            d->no_flush = modes[i].no_flush ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
        }
        return true;
    }
    error_setg(errp, "invalid cache option");
    return false;
}

static bool parse_on_error(const char *text, bool is_read, int *policy,
                           Error **errp)
{
    /* In the order of BlockOnError. */
    static const char *const names[] = { "report", "ignore", "enospc", "stop" };

    for (unsigned i = 0; text && i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(text, names[i]) && !(is_read && i == ON_ERROR_ENOSPC)) {
            *policy = i;
            return true;
        }
    }
    if (text) {
        error_setg(errp, "'%s' invalid %s error action", text,
                   is_read ? "read" : "write");
    }
    return !text;
}

bool blk_set_error_policy(BlockBackend *blk, bool is_read, const char *policy,
                          Error **errp)
{
    return !strcmp(policy, "auto") ||
           parse_on_error(policy, is_read, is_read ? &blk->rerror : &blk->werror, errp);
}

static const char *on_off(bool on)
{
    return on ? "on" : "off";
}

static void append_if(QemuOpts *opts, const char *name, const char *value)
{
    if (value && !qemu_opt_get(opts, name)) {
        qemu_opt_append(opts, name, value);
    }
}

/* A file name may be a protocol's: with a colon before any slash. */
static bool parse_filename(const char *file, QemuOpts *opts, Error **errp)
{
    size_t len = strcspn(file, ":/");

    if (g_str_has_prefix(file, "null-co://") || g_str_has_prefix(file, "null-aio://")) {
        append_if(opts, "driver", "null-co");
    } else if (file[len] == ':' && !g_str_has_prefix(file, "file:")) {
        error_setg(errp, "Unknown protocol '%.*s'", (int)len, file);
        return false;
    }
    append_if(opts, "filename", file);
    return true;
}

static BlockNode *drive_protocol(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    bool is_file;

    if (!d->file && !opts->opts->len) {
        error_setg(errp, "Device needs media, but drive is empty");
        return NULL;
    }
    if (d->file && !parse_filename(d->file, opts, errp)) {
        return NULL;
    }
    append_if(opts, "driver", "file");
    is_file = !strcmp(qemu_opt_get(opts, "driver"), "file");
    if (is_file) {
        append_if(opts, "aio", d->aio);
        append_if(opts, "locking", d->locking);
    }
    append_if(opts, "cache.direct", on_off(d->direct == ON_OFF_AUTO_ON));
    append_if(opts, "cache.no-flush", on_off(d->no_flush == ON_OFF_AUTO_ON));
    append_if(opts, "read-only", on_off(d->read_only || d->snapshot));
    append_if(opts, "auto-read-only", on_off(d->auto_read_only));
    append_if(opts, "force-share", on_off(d->force_share));
    append_if(opts, "discard", "unmap");
    return node_new(opts, errp);
}

/* Nobody said what the image is: look, and be careful with it. */
static const char *probe(BlockNode *file)
{
    uint8_t sector[BDRV_SECTOR_SIZE] __attribute__((aligned(BDRV_SECTOR_SIZE))) = { 0 };
    struct iovec iov = { sector, sizeof(sector) };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .bytes = sizeof(sector),
                         .iov = &iov, .niov = 1 };
    const char *format;

    if (block_run(file, &req) < 0) {
        return "raw";
    }
    format = block_probe_format(sector);
    if (!strcmp(format, "raw") && block_driver(file) == &block_file) {
        error_printf("WARNING: Image format was not specified for '%s' and probing "
                     "guessed raw.\n"
                     "         Automatically detecting the format is dangerous for "
                     "raw images, write operations on block 0 will be restricted.\n"
                     "         Specify the 'raw' format explicitly to remove the "
                     "restrictions.\n", file->filename);
    }
    return format;
}

/* The format's node over file, which is closed on failure. */
static BlockNode *drive_format(DriveOptions *d, BlockNode *file, QemuOpts *opts,
                               Error **errp)
{
    const char *format = d->format ? d->format : probe(file);
    const BlockDriver *drv = find_driver(format, errp);
    BlockNode *bs;

    if (!drv || drv->is_protocol) {
        /* format=file and the like: nothing comes between. */
        if (!drv) {
            block_node_close(file);
        }
        return drv ? file : NULL;
    }
    append_if(opts, "node-name", d->node_name);
    append_if(opts, "read-only", on_off(d->read_only || d->snapshot));
    append_if(opts, "discard", d->discard);
    append_if(opts, "detect-zeroes", d->detect_zeroes);
    bs = (BlockNode *)object_new(&drv->oc, NULL);
    for (unsigned i = 0; i < opts->opts->len; i++) {
        g_array_index(opts->opts, QemuOpt, i).used = false;
    }
    if (!set_node_opts(bs, opts, errp)) {
        object_free(&bs->obj);
        block_node_close(file);
        return NULL;
    }
    if (drv == &block_raw) {
        ((RawNode *)bs)->probed = !d->format && block_driver(file) == &block_file;
    }
    return node_open(bs, file, true, errp);
}

static bool names_protocol(const char *format)
{
    const ObjectClass *oc = format ? object_class_by_name(block_classes, format) : NULL;

    return oc && block_class_is_protocol(oc);
}

static BlockNode *drive_nodes(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) file_opts = take_prefixed(opts, "file.");
    BlockNode *bs;

    if (!d->file && !file_opts->opts->len && names_protocol(d->format)) {
        /* driver=null-co: there is no format, all options are the protocol's. */
        qemu_opts_free(file_opts);
        file_opts = take_prefixed(opts, "");
        qemu_opt_append(file_opts, "driver", d->format);
        append_if(file_opts, "node-name", d->node_name);
    }
    bs = drive_protocol(d, file_opts, errp);
    if (bs) {
        bs = drive_format(d, bs, opts, errp);
    }
    if (bs && d->snapshot) {
        BlockNode *top = (BlockNode *)object_new(&block_overlay.oc, NULL);

        top->detect_zeroes = bs->detect_zeroes;
        top->discard = bs->discard;
        bs = node_open(top, bs, true, errp);
    }
    return bs;
}

static bool check_twice(QemuOpts *opts, Error **errp)
{
    if (qemu_opt_get(opts, "readonly") && qemu_opt_get(opts, "read-only")) {
        error_setg(errp, "'read-only' and its alias 'readonly' can't be used at the same time");
        return false;
    }
    if (qemu_opt_get(opts, "driver") && qemu_opt_get(opts, "format")) {
        error_setg(errp, "Cannot specify both 'driver' and 'format'");
        return false;
    }
    if (qemu_opt_get(opts, "file") && qemu_opt_get(opts, "file.filename")) {
        error_setg(errp, "Can't specify 'file' and 'filename' options at the same time");
        return false;
    }
    return true;
}

/* Split opts: rows of -drive are set, the rest stays. */
static bool take_drive_opts(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    if (!check_twice(opts, errp)) {
        return false;
    }
    for (unsigned i = 0; i < opts->opts->len;) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);
        g_autofree char *name = g_strdup(opt->name);

        if (!strcmp(name, "id") || property_find(&drive_class, name)) {
            g_autofree char *value = qemu_opt_take(opts, name);

            if (strcmp(name, "id") && !property_set(&d->obj, name, value, errp)) {
                return false;
            }
            i = 0;
        } else {
            i++;
        }
    }
    if (!d->format) {
        d->format = g_steal_pointer(&d->driver);
    }
    if (!strcmp(d->media, "cdrom")) {
        d->read_only = true;
    } else if (strcmp(d->media, "disk")) {
        error_setg(errp, "'%s' invalid media", d->media);
        return false;
    }
    if (d->copy_on_read) {
        error_setg(errp, "copy-on-read is not supported");
        return false;
    }
    if (d->aio && strcmp(d->aio, "threads") && strcmp(d->aio, "native") &&
        strcmp(d->aio, "io_uring")) {
        error_setg(errp, "invalid aio option");
        return false;
    }
    return parse_cache(d, errp);
}

static bool drive_new_from(DriveOptions *d, const char *id, QemuOpts *opts,
                           Error **errp)
{
    int werror = ON_ERROR_ENOSPC, rerror = ON_ERROR_REPORT;
    g_autofree char *name = id ? g_strdup(id) : NULL;
    BlockBackend *blk;
    BlockNode *root;

    for (unsigned i = 0; !name || (!id && blk_find(name)); i++) {
        g_free(name);
        name = g_strdup_printf("%s%u", d->if_name, i);
    }
    if (id && !qemu_check_id(id, errp)) {
        return false;
    }
    if (blk_by_id(name)) {
        error_setg(errp, "Duplicate ID '%s' for drive", name);
        return false;
    }
    if (!parse_on_error(d->werror, false, &werror, errp) ||
        !parse_on_error(d->rerror, true, &rerror, errp)) {
        return false;
    }
    root = drive_nodes(d, opts, errp);
    if (!root) {
        return false;
    }
    if (block_find_node(name)) {
        error_setg(errp, "Device name '%s' conflicts with an existing node name", name);
        block_node_close(root);
        return false;
    }
    blk = blk_new(name, root);
    blk->werror = werror;
    blk->rerror = rerror;
    blk->writeback = d->writeback == ON_OFF_AUTO_ON;
    blk->serial = g_strdup(d->serial);
    blk->if_name = g_strdup(d->if_name);
    return true;
}

bool drive_new(QemuOpts *opts, Error **errp)
{
    DriveOptions *d = (DriveOptions *)object_new(&drive_class, NULL);
    g_autofree char *id = g_strdup(qemu_opt_get(opts, "id"));
    g_autoptr(QemuOpts) rest = qemu_opts_clone(opts);
    bool ok = take_drive_opts(d, rest, errp) && drive_new_from(d, id, rest, errp);

    object_free(&d->obj);
    return ok;
}
