/*
 * The images that an image names: its backing file and that one's, and where its data is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/stat.h>

#include "block/image-info.h"
#include "blockdev.h"
#include "file-posix.h"

#define MAX_CHAIN 200

void block_image_info(const BlockNode *bs, BlockImageInfo *info)
{
    *info = (BlockImageInfo) {
        .filename = bs->filename,
        .format = bs->obj.oc->name,
        .length = __atomic_load_n(&bs->length, __ATOMIC_RELAXED),
        .backing = bs->backing,
    };
    if (block_driver(bs)->get_info) {
        block_driver(bs)->get_info(bs, info);
    }
}

const char *block_node_filename(const BlockNode *bs)
{
    return bs->filename;
}

unsigned block_backing_depth(const BlockNode *bs)
{
    unsigned n = 0;

    for (bs = bs->backing; bs; bs = bs->backing) {
        n++;
    }
    return n;
}

char *block_backing_path(const char *image, const char *name)
{
    size_t protocol = strcspn(name, ":/");
    const char *slash = strrchr(image, '/');

    if (name[0] == '/' || name[protocol] == ':' || !slash || strchr(image, ':')) {
        return g_strdup(name);
    }
    return g_strdup_printf("%.*s%s", (int)(slash + 1 - image), image, name);
}

/* What a named image takes over from the one that names it. */
static void inherit(QemuOpts *opts, const BlockNode *bs, bool read_only)
{
    static const char *const of_file[] = { "aio", "locking" };

    block_opt_default(opts, "cache.direct", bs->direct ? "on" : "off");
    block_opt_default(opts, "cache.no-flush", bs->no_flush ? "on" : "off");
    block_opt_default(opts, "force-share", bs->force_share ? "on" : "off");
    block_opt_default(opts, "read-only", read_only ? "on" : "off");
    block_opt_default(opts, "discard", "unmap");
    for (unsigned i = 0; i < G_N_ELEMENTS(of_file); i++) {
        g_autofree char *value = block_driver(bs->file) == &block_file ?
            property_get(&bs->file->obj, of_file[i], NULL) : NULL;
        const char *driver = qemu_opt_get(opts, "driver");

        if (driver && !strcmp(driver, "file")) {
            block_opt_default(opts, of_file[i], value);
        }
    }
}

/* Whom we connect to is for the user to say, not for an image. */
static bool check_local(const QemuOpts *opts, const BlockNode *bs, Error **errp)
{
    for (unsigned i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);
        const ObjectClass *oc = object_class_by_name(block_classes, opt->str);

        if (oc && downcast(oc, const BlockDriver, oc)->is_remote &&
            (!strcmp(opt->name, "driver") || g_str_has_suffix(opt->name, ".driver"))) {
            error_setg(errp, "Image '%s' names an image by '%s': only -blockdev and -drive can",
                       bs->filename, oc->name);
            return false;
        }
    }
    return true;
}

/* The protocol's node of a file name, or whatever "json:" describes. */
static BlockNode *open_name(const BlockNode *bs, const char *name, bool read_only, Error **errp)
{
    g_autofree char *path = block_backing_path(bs->filename, name);
    g_autoptr(QemuOpts) opts = NULL;

    if (g_str_has_prefix(name, "json:")) {
        opts = qemu_opts_parse(name + strlen("json:"), NULL, errp);
    } else {
        opts = qemu_opts_new();
        if (!block_parse_filename(path, opts, errp)) {
            return NULL;
        }
        block_opt_default(opts, "driver", "file");
    }
    if (!opts || !check_local(opts, bs, errp)) {
        return NULL;
    }
    inherit(opts, bs, read_only);
    return block_node_new_alone(opts, errp);
}

static const FileNode *file_of(const BlockNode *bs)
{
    while (bs->file) {
        bs = bs->file;
    }
    return block_driver(bs) == &block_file ? downcast(bs, const FileNode, bs) : NULL;
}

static bool same_file(const BlockNode *a, const BlockNode *b)
{
    const FileNode *fa = file_of(a), *fb = file_of(b);
    struct stat sa, sb;

    return fa && fb && fstat(fa->fd, &sa) == 0 && fstat(fb->fd, &sb) == 0 &&
           sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

bool block_open_data_file(BlockNode *bs, const char *name, Error **errp)
{
    BlockNode *data = open_name(bs, name, bs->read_only || bs->file->is_ro, errp);

    if (!data) {
        error_prepend(errp, "Could not open data file: ");
        return false;
    }
    if (same_file(bs->file, data)) {
        error_setg(errp, "Image '%s' is its own data file", bs->file->filename);
        block_node_close(data);
        return false;
    }
    block_attach(bs, BLOCK_DATA_FILE, data, true);
    return true;
}

bool block_check_chain(const BlockNode *parent, const BlockNode *bs, Error **errp)
{
    unsigned n = 0;

    for (const BlockNode *p = parent; p; p = p->parent) {
        if (same_file(p, bs)) {
            error_setg(errp, "Image '%s' is in its own backing chain", bs->filename);
            return false;
        }
        if (++n >= MAX_CHAIN) {
            error_setg(errp, "Backing chain of '%s' is too long", p->filename);
            return false;
        }
    }
    return true;
}

static BlockNode *open_backing(BlockNode *bs, const char *name, const char *format, Error **errp)
{
    BlockNode *node = open_name(bs, name, true, errp);
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    const BlockDriver *drv;

    if (!node || !block_driver(node)->is_protocol) {
        return node;
    }
    drv = block_find_driver(format ? format : block_probe(node), node->filename, errp);
    if (!drv) {
        block_node_close(node);
        return NULL;
    }
    if (drv->is_protocol) {
        return node;
    }
    qemu_opt_append(opts, "read-only", "on");
    qemu_opt_append(opts, "force-share", bs->force_share ? "on" : "off");
    return block_format_node(drv, opts, node, false, errp);
}

/* The next one below bs; true if there is none. */
static bool open_next(BlockNode *bs, Error **errp)
{
    BlockImageInfo info;
    BlockNode *child;

    block_image_info(bs, &info);
    if (bs->backing || bs->no_backing || !info.backing_filename) {
        return true;
    }
    child = open_backing(bs, info.backing_filename, info.backing_format, errp);
    if (!child) {
        error_prepend(errp, "Could not open backing file: ");
        return false;
    }
    if (!block_check_chain(bs, child, errp)) {
        block_node_close(child);
        return false;
    }
    block_attach(bs, BLOCK_BACKING, child, true);
    return true;
}

/* Whoever writes to an image below would change this one's. */
bool block_open_chain(BlockNode *bs, Error **errp)
{
    for (; bs; bs = bs->backing) {
        if (!open_next(bs, errp) ||
            (bs->backing && !block_set_perm(bs->backing, BLOCK_PERM_READ,
                                            BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, errp))) {
            return false;
        }
    }
    return true;
}
