/*
 * -blockdev: from options to nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "blockdev.h"
#include "raw.h"

/* What a child takes from its parent when its own options do not say it. */
static const char *const inherited[] = {
    "read-only", "auto-read-only", "cache.direct", "cache.no-flush", "force-share",
};

/* Nodes -------------------------------------------------------------------- */

void block_opt_default(QemuOpts *opts, const char *name, const char *value)
{
    if (value && !qemu_opt_get(opts, name)) {
        qemu_opt_append(opts, name, value);
    }
}

QemuOpts *block_take_prefixed(QemuOpts *opts, const char *prefix)
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

const BlockDriver *block_find_driver(const char *name, const char *filename, Error **errp)
{
    static const char *const others[] = {
        "qcow2", "qcow", "qed", "vmdk", "vdi", "vpc", "vhdx", "luks", "parallels",
        "bochs", "cloop", NULL,
    };
    const ObjectClass *oc = name ? object_class_by_name(block_classes, name) : NULL;
    const char *to = object_class_by_name(block_classes, "qcow2") ? "qcow2" : "raw";

    if (!name) {
        error_setg(errp, "Parameter 'driver' is missing");
    } else if (!oc && g_strv_contains(others, name)) {
        error_setg(errp, "Block format '%s' is not supported: convert the image with "
                   "qemu-img convert -f %s -O %s %s NEW", name, name, to,
                   filename ? filename : "OLD");
    } else if (!oc) {
        g_autofree char *meant = object_class_did_you_mean(block_classes, name);

        error_setg(errp, "Unknown driver '%s'%s", name, meant);
    }
    return downcast(oc, const BlockDriver, oc);
}

bool block_class_is_protocol(const ObjectClass *oc)
{
    return downcast(oc, const BlockDriver, oc)->is_protocol;
}

bool block_set_node_opts(BlockNode *bs, QemuOpts *opts, Error **errp)
{
    for (unsigned i = 0; i < opts->opts->len; i++) {
        const char *name = g_array_index(opts->opts, QemuOpt, i).name;

        g_array_index(opts->opts, QemuOpt, i).used = false;
        if (!property_find(bs->obj.oc, name)) {
            error_setg(errp, "Block %s '%s' does not support the option '%s'",
                       block_driver(bs)->is_protocol ? "protocol" : "format",
                       bs->obj.oc->name, name);
            return false;
        }
    }
    bs->opts = qemu_opts_clone(opts);
    return object_set_opts(&bs->obj, opts, errp);
}

BlockNode *block_find_child(const char *name, QemuOpts *opts, Error **errp)
{
    const char *value = qemu_opt_get(opts, "read-only");
    bool read_only = value && !strcmp(value, "on");
    BlockNode *child = block_find_node(name);

    /* What writes to an inactive node is inactive, too, until both become active. */
    if (!child || (read_only && child->inactive)) {
        child = block_get_node(name, errp);
    }
    if (child && (child->busy || child->parent || child->blk)) {
        if (read_only) {
            return child->blk && !child->is_ro ? block_node_live(child, errp) :
                   block_node_twin(child, errp);
        }
        error_setg(errp, "Node '%s' is busy: it is in use already", name);
        child = NULL;
    }
    return child;
}

const char *block_probe(BlockNode *file)
{
    uint8_t sector[BDRV_SECTOR_SIZE] __attribute__((aligned(BDRV_SECTOR_SIZE))) = { 0 };
    struct iovec iov = { sector, sizeof(sector) };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .bytes = sizeof(sector),
                         .iov = &iov, .niov = 1 };

    return block_run(file, &req) < 0 ? "raw" : block_probe_format(sector);
}

/* A colon before any slash ends a protocol's name. */
bool block_parse_filename(const char *file, QemuOpts *opts, Error **errp)
{
    size_t len = strcspn(file, ":/");
    g_autofree char *protocol = g_strndup(file, strcspn(file, ":/+"));
    const ObjectClass *oc = object_class_by_name(block_classes, protocol);

    if (g_str_has_prefix(file, "null-co://") || g_str_has_prefix(file, "null-aio://")) {
        block_opt_default(opts, "driver", "null-co");
    } else if (file[len] == ':' && oc && downcast(oc, const BlockDriver, oc)->parse_filename) {
        return downcast(oc, const BlockDriver, oc)->parse_filename(file, opts, errp);
    } else if (file[len] == ':' && !g_str_has_prefix(file, "file:")) {
        error_setg(errp, "Unknown protocol '%.*s'", (int)len, file);
        return false;
    }
    block_opt_default(opts, "filename", file);
    return true;
}

void block_inherit_opts(QemuOpts *opts, QemuOpts *child_opts)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(inherited); i++) {
        const char *value = qemu_opt_get(opts, inherited[i]);

        block_opt_default(child_opts, inherited[i], value);
    }
    block_opt_default(child_opts, "discard", "unmap");
}

static BlockNode *inline_child(QemuOpts *opts, QemuOpts *child_opts, Error **errp)
{
    block_inherit_opts(opts, child_opts);
    return block_node_new(child_opts, errp);
}

const char *const block_child_names[] = { "file", "backing", "data-file" };

/* A child by name or by its own options, which begin with the slot's name. */
static bool take_child(BlockNode *bs, BlockChild slot, QemuOpts *opts, Error **errp)
{
    const char *name = block_child_names[slot];
    g_autofree char *prefix = g_strconcat(name, ".", NULL);
    g_autoptr(QemuOpts) child_opts = block_take_prefixed(opts, prefix);
    g_autofree char *ref = qemu_opt_take(opts, name);
    BlockNode *child;

    if (!ref && !child_opts->opts->len) {
        return true;
    }
    if (ref && !*ref && slot == BLOCK_BACKING) {
        bs->no_backing = true;
        return true;
    }
    if (slot == BLOCK_BACKING) {
        qemu_opt_set(child_opts, "read-only", "on");
    }
    child = ref ? block_find_child(ref, slot == BLOCK_BACKING ? child_opts : opts, errp)
                : inline_child(opts, child_opts, errp);
    if (child) {
        block_attach(bs, slot, child, !ref || child->is_twin);
    }
    return child;
}

/* -drive takes it: there it means "on". */
bool block_check_detect_zeroes(QemuOpts *opts, Error **errp)
{
    const char *zeroes = qemu_opt_get(opts, "detect-zeroes");
    const char *discard = qemu_opt_get(opts, "discard");

    if (zeroes && !strcmp(zeroes, "unmap") &&
        (!discard || (strcmp(discard, "unmap") && strcmp(discard, "on")))) {
        error_setg(errp, "setting detect-zeroes to unmap is not allowed without "
                   "setting discard operation to unmap");
        return false;
    }
    return true;
}

/* The rows and the children, but "file", of a node; then it is opened. */
static BlockNode *finish_node(BlockNode *bs, QemuOpts *opts, Error **errp)
{
    bool ok = !block_driver(bs)->has_backing ||
              (take_child(bs, BLOCK_BACKING, opts, errp) &&
               take_child(bs, BLOCK_DATA_FILE, opts, errp));

    if (!ok || !block_set_node_opts(bs, opts, errp)) {
        block_node_abandon(bs);
        return NULL;
    }
    return block_node_open(bs, errp) ? bs : NULL;
}

BlockNode *block_format_node(const BlockDriver *drv, QemuOpts *opts, BlockNode *file,
                             bool probed, Error **errp)
{
    BlockNode *bs = downcast(object_new(&drv->oc, NULL), BlockNode, obj);

    block_attach(bs, BLOCK_FILE, file, true);
    if (drv == &block_raw) {
        downcast(bs, RawNode, bs)->probed = probed && block_driver(file) == &block_file;
    }
    return finish_node(bs, opts, errp);
}

BlockNode *block_node_new_alone(QemuOpts *opts, Error **errp)
{
    g_autofree char *name = qemu_opt_take(opts, "driver");
    const BlockDriver *drv = block_find_driver(name, NULL, errp);
    BlockNode *bs;

    if (!drv || !block_check_detect_zeroes(opts, errp)) {
        return NULL;
    }
    bs = downcast(object_new(&drv->oc, NULL), BlockNode, obj);
    if (!drv->is_protocol) {
        if (!take_child(bs, BLOCK_FILE, opts, errp)) {
            block_node_abandon(bs);
            return NULL;
        }
        if (!bs->file) {
            error_setg(errp, "A block device must be specified for \"file\"");
            block_node_abandon(bs);
            return NULL;
        }
    }
    return finish_node(bs, opts, errp);
}

BlockNode *block_node_new(QemuOpts *opts, Error **errp)
{
    BlockNode *bs = block_node_new_alone(opts, errp);

    if (bs && !block_open_chain(bs, errp)) {
        block_node_close(bs);
        bs = NULL;
    }
    return bs;
}

BlockNode *blockdev_add(QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) copy = qemu_opts_clone(opts);

    if (!qemu_opt_get(copy, "node-name")) {
        error_setg(errp, "'node-name' must be specified for the root node");
        return NULL;
    }
    return block_node_new(copy, errp);
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
    } else if (bs->parent || bs->twins || bs->busy) {
        error_setg(errp, "Block device %s is in use", node_name);
    } else {
        block_node_close(bs);
        return true;
    }
    return false;
}

