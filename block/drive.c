/*
 * -drive: from options to nodes and a backend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/throttle.h"
#include "blockdev.h"
#include "file-posix.h"
#include "qemu/similar.h"

/* -drive's own options; what is left goes to the image. */
typedef struct DriveOptions {
    DriveThrottle throttle;
    char *if_name, *media, *file, *format, *driver, *cache, *aio, *werror, *rerror;
    char *serial, *node_name, *discard, *detect_zeroes, *locking;
    bool snapshot, read_only, auto_read_only, force_share;
    OnOffAuto writeback, direct, no_flush;
} DriveOptions;

static const Property drive_props[] = {
    DEFINE_PROP_STRING("if", DriveOptions, if_name, "none",
                       "virtio makes a virtio-blk-device for it; none: a -device takes it"),
    DEFINE_PROP_STRING("media", DriveOptions, media, "disk", "disk or cdrom (read-only)"),
    DEFINE_PROP_STRING("file", DriveOptions, file, NULL, "the image"),
    DEFINE_PROP_STRING("format", DriveOptions, format, NULL, "its format: raw, qcow2, …"),
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
    DEFINE_PROP_OFF("copy-on-read", "copy-on-read is not supported"),
    DEFINE_PROP_STRING("serial", DriveOptions, serial, NULL, "the disk's serial number"),
    DEFINE_PROP_STRING("node-name", DriveOptions, node_name, NULL, "name of the node"),
    DEFINE_PROP_STRING("locking", DriveOptions, locking, NULL, "lock the image: on, off, auto"),
    DEFINE_PROP_IGNORED("index", "accepted, without effect"),
    DEFINE_PROP_IGNORED("bus", "accepted, without effect"),
    DEFINE_PROP_IGNORED("unit", "accepted, without effect"),
    DEFINE_PROP_END
};

const ObjectClass drive_class = {
    .name = "drive",
    .parent = &drive_throttle_class,
    .instance_size = sizeof(DriveOptions),
    .props = drive_props,
};

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
    g_autofree char *meant = NULL;
    Similar s;

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
    similar_init(&s, d->cache);
    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        similar_try(&s, modes[i].name);
    }
    meant = similar_text(&s, "");
    error_setg(errp, "invalid cache option%s", meant);
    return false;
}

bool block_on_error_by_name(const char *name, int *policy)
{
    /* In the order of BlockOnError. */
    static const char *const names[] = { "report", "ignore", "enospc", "stop" };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!strcmp(name, names[i])) {
            *policy = i;
            return true;
        }
    }
    return false;
}

static bool parse_on_error(const char *text, bool is_read, int *policy,
                           Error **errp)
{
    int found;

    if (!text) {
        return true;
    }
    if (!block_on_error_by_name(text, &found) || (is_read && found == ON_ERROR_ENOSPC)) {
        error_setg(errp, "'%s' invalid %s error action", text,
                   is_read ? "read" : "write");
        return false;
    }
    *policy = found;
    return true;
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

static BlockNode *drive_protocol(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    bool is_file;

    if (!d->file && !opts->opts->len) {
        error_setg(errp, "Device needs media, but drive is empty");
        return NULL;
    }
    if (d->file && !block_parse_filename(d->file, opts, errp)) {
        return NULL;
    }
    block_opt_default(opts, "driver", "file");
    is_file = !strcmp(qemu_opt_get(opts, "driver"), "file");
    if (is_file) {
        block_opt_default(opts, "aio", d->aio);
        block_opt_default(opts, "locking", d->locking);
    }
    block_opt_default(opts, "cache.direct", on_off(d->direct == ON_OFF_AUTO_ON));
    block_opt_default(opts, "cache.no-flush", on_off(d->no_flush == ON_OFF_AUTO_ON));
    block_opt_default(opts, "read-only", on_off(d->read_only || d->snapshot));
    block_opt_default(opts, "auto-read-only", on_off(d->auto_read_only));
    block_opt_default(opts, "force-share", on_off(d->force_share));
    block_opt_default(opts, "discard", "unmap");
    return block_node_new(opts, errp);
}

/* Nobody said what the image is. */
static void warn_probed(const BlockNode *file)
{
    error_printf("WARNING: Image format was not specified for '%s' and probing guessed raw.\n"
                 "         Automatically detecting the format is dangerous for raw images, "
                 "write operations on block 0 will be restricted.\n"
                 "         Specify the 'raw' format explicitly to remove the "
                 "restrictions.\n", file->filename);
}

/* The format's node over file, which is closed on failure. */
static BlockNode *drive_format(DriveOptions *d, BlockNode *file, QemuOpts *opts,
                               Error **errp)
{
    const char *format = d->format ? d->format : block_probe(file);
    const BlockDriver *drv = block_find_driver(format, d->file, errp);

    if (!drv || drv->is_protocol) {
        /* format=file and the like: nothing comes between. */
        if (!drv) {
            block_node_close(file);
        }
        return drv ? file : NULL;
    }
    if (!d->format && drv == &block_raw && block_driver(file) == &block_file) {
        warn_probed(file);
    }
    block_opt_default(opts, "node-name", d->node_name);
    block_opt_default(opts, "read-only", on_off(d->read_only || d->snapshot));
    block_opt_default(opts, "discard", d->discard);
    block_opt_default(opts, "detect-zeroes", d->detect_zeroes);
    return block_format_node(drv, opts, file, !d->format, errp);
}

static bool names_protocol(const char *format)
{
    const ObjectClass *oc = format ? object_class_by_name(block_classes, format) : NULL;

    return oc && block_class_is_protocol(oc);
}

static BlockNode *drive_nodes(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) file_opts = block_take_prefixed(opts, "file.");
    BlockNode *bs;

    if (!d->file && !file_opts->opts->len && names_protocol(d->format)) {
        /* driver=null-co: there is no format, all options are the protocol's. */
        qemu_opts_free(file_opts);
        file_opts = block_take_prefixed(opts, "");
        qemu_opt_append(file_opts, "driver", d->format);
        block_opt_default(file_opts, "node-name", d->node_name);
    }
    bs = drive_protocol(d, file_opts, errp);
    if (bs) {
        bs = drive_format(d, bs, opts, errp);
    }
    if (bs && !block_open_chain(bs, errp)) {
        block_node_close(bs);
        bs = NULL;
    }
    if (bs && d->snapshot) {
        BlockNode *top = downcast(object_new(&block_overlay.oc, NULL), BlockNode, obj);

        top->detect_zeroes = bs->detect_zeroes;
        top->discard = bs->discard;
        block_attach(top, BLOCK_FILE, bs, true);
        bs = block_node_open(top, errp) ? top : NULL;
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

static bool check_aio(const char *aio, Error **errp)
{
    static const char *const names[] = { "threads", "native", "io_uring", NULL };

    if (aio && !g_strv_contains(names, aio)) {
        g_autofree char *meant = similar_of(aio, names);

        error_setg(errp, "invalid aio option%s", meant);
        return false;
    }
    return true;
}

static bool is_image_option(const char *name)
{
    for (const ObjectClass *const *const *oc = block_classes; *oc; oc++) {
        if (property_find(**oc, name)) {
            return true;
        }
    }
    return strchr(name, '.') != NULL;
}

/* What no image could take, and is nearly one of ours: said before any image is looked at. */
static bool check_slips(const QemuOpts *opts, Error **errp)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        const char *name = g_array_index(opts->opts, QemuOpt, i).name;
        g_autofree char *meant = property_did_you_mean(&drive_class, name);

        if (*meant && !is_image_option(name)) {
            error_setg(errp, "Invalid parameter '%s'%s", name, meant);
            return false;
        }
    }
    return true;
}

/* Split opts: rows of -drive are set, the rest stays. */
static bool take_drive_opts(DriveOptions *d, QemuOpts *opts, Error **errp)
{
    if (!check_twice(opts, errp) || !drive_throttle_rename(opts, errp)) {
        return false;
    }
    for (unsigned i = 0; i < opts->opts->len;) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);
        g_autofree char *name = g_strdup(opt->name);

        if (!strcmp(name, "id") || property_find(&drive_class, name)) {
            g_autofree char *value = qemu_opt_take(opts, name);

            if (strcmp(name, "id") && !property_set(&d->throttle.obj, name, value, errp)) {
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
    if (!check_slips(opts, errp)) {
        return false;
    }
    if (!drive_check_interface(d->if_name, errp)) {
        return false;
    }
    if (!strcmp(d->media, "cdrom")) {
        d->read_only = true;
    } else if (strcmp(d->media, "disk")) {
        error_setg(errp, "'%s' invalid media", d->media);
        return false;
    }
    return check_aio(d->aio, errp) && parse_cache(d, errp);
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
    if (!drive_throttle_apply(&d->throttle, blk, errp)) {
        blk_free(blk);
        block_node_close(root);
        return false;
    }
    return true;
}

bool drive_new(QemuOpts *opts, Error **errp)
{
    DriveOptions *d = downcast(object_new(&drive_class, NULL), DriveOptions, throttle.obj);
    g_autofree char *id = g_strdup(qemu_opt_get(opts, "id"));
    g_autoptr(QemuOpts) rest = qemu_opts_clone(opts);
    bool ok = take_drive_opts(d, rest, errp) && drive_new_from(d, id, rest, errp);

    object_free(&d->throttle.obj);
    return ok;
}
