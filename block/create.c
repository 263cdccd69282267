/*
 * blockdev-create: new files, and images in them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "blockdev.h"
#include "job-internal.h"

typedef struct CreateJob {
    BlockJob job;
    char *driver;
    QemuOpts *opts;
    BlockNode *file;            /* a format's; NULL: a protocol */
    bool own;                   /* file was opened for this */
} CreateJob;

static bool create(const char *driver, BlockNode *file, QemuOpts *opts, Error **errp)
{
    const BlockDriver *drv = block_find_driver(driver, NULL, errp);

    if (!drv) {
        return false;
    }
    if (!drv->create) {
        error_setg(errp, "Driver '%s' does not support image creation", driver);
        return false;
    }
    return drv->create(file, opts, errp);
}

static int create_run(BlockJob *job)
{
    CreateJob *c = downcast(job, CreateJob, job);
    Error *err = NULL;

    block_job_set_length(job, 1);
    if (!create(c->driver, c->file, c->opts, &err)) {
        job->error = g_strdup(error_get_pretty(err));
        error_free(err);
        return -EINVAL;
    }
    block_job_pace(job, 1);
    return 0;
}

static void create_end(BlockJob *job)
{
    CreateJob *c = downcast(job, CreateJob, job);

    if (c->file) {
        c->file->busy = false;
    }
    if (c->own) {
        block_node_close(c->file);
    }
    qemu_opts_free(c->opts);
    g_free(c->driver);
}

static const BlockJobOps create_ops = {
    .type = "create", .opens = true, .run = create_run, .end = create_end,
};

/* The node that a format gets into. */
static bool take_file(CreateJob *c, QemuOpts *opts, bool wanted, Error **errp)
{
    g_autofree char *ref = qemu_opt_take(opts, "file");
    g_autoptr(QemuOpts) file_opts = block_take_prefixed(opts, "file.");

    if (ref) {
        c->file = block_get_node(ref, errp);
    } else if (file_opts->opts->len) {
        c->file = block_node_new(file_opts, errp);
        c->own = c->file;
    } else {
        if (wanted) {
            error_setg(errp, "Parameter 'file' is missing");
        }
        return !wanted;
    }
    if (!c->file) {
        return false;
    }
    if (c->file->parent || c->file->blk || c->file->busy || c->file->is_ro) {
        error_setg(errp, "Node '%s' is busy or read-only", c->file->node_name);
        c->file = NULL;
        return false;
    }
    c->file->busy = true;
    return true;
}

bool block_create_start(QemuOpts *opts, const char *job_id, Error **errp)
{
    BlockJobOptions options = { .id = job_id, .manual_dismiss = true };
    g_autofree char *driver = qemu_opt_take(opts, "driver");
    const BlockDriver *drv = block_find_driver(driver, NULL, errp);
    CreateJob *c;

    if (!drv) {
        qemu_opts_free(opts);
        return false;
    }
    c = downcast(block_job_new(&create_ops, sizeof(*c), NULL, &options, errp), CreateJob, job);
    if (!c) {
        qemu_opts_free(opts);
        return false;
    }
    c->opts = opts;
    c->driver = g_steal_pointer(&driver);
    if (!take_file(c, opts, !drv->is_protocol, errp)) {
        create_end(&c->job);
        block_job_free(&c->job);
        return false;
    }
    block_job_start(&c->job);
    return true;
}

/* Images that jobs and snapshots fill ------------------------------------------------------ */

static bool make_image(const BlockImageFor *image, const char *format, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_new(), file_opts = qemu_opts_new();
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, image->disk->length);
    bool raw = !strcmp(format, "raw");
    BlockNode *file;
    bool ok;

    qemu_opt_append(file_opts, "filename", image->file);
    qemu_opt_append(file_opts, "size", raw ? size : "0");
    if (!create("file", NULL, file_opts, errp)) {
        return false;
    }
    if (raw) {
        return true;
    }
    block_opt_default(opts, "driver", "file");
    block_opt_default(opts, "filename", image->file);
    file = block_node_new(opts, errp);
    if (!file) {
        return false;
    }
    qemu_opts_free(opts);
    opts = qemu_opts_new();
    block_opt_default(opts, "size", size);
    if (image->backing) {
        block_opt_default(opts, "backing-file", image->backing->filename);
        block_opt_default(opts, "backing-fmt", image->backing->obj.oc->name);
    }
    ok = create(format, file, opts, errp);
    block_node_close(file);
    return ok;
}

BlockNode *block_image_for(const BlockImageFor *image, Error **errp)
{
    const BlockNode *disk = image->disk;
    const char *format = image->format ? image->format : disk->obj.oc->name;
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    const BlockDriver *drv = block_find_driver(format, image->file, errp);
    BlockNode *bs;

    if (!drv || (!image->existing && !make_image(image, format, errp))) {
        return NULL;
    }
    block_opt_default(opts, "driver", format);
    block_opt_default(opts, "node-name", image->node_name);
    block_opt_default(opts, "file.driver", "file");
    block_opt_default(opts, "file.filename", image->file);
    block_opt_default(opts, "discard", disk->discard ? "unmap" : "ignore");
    block_opt_default(opts, "cache.direct", disk->direct ? "on" : "off");
    block_opt_default(opts, "cache.no-flush", disk->no_flush ? "on" : "off");
    if (drv->has_backing) {
        block_opt_default(opts, "backing", "");
    }
    bs = block_node_new(opts, errp);
    if (bs) {
        bs->detect_zeroes = disk->detect_zeroes;
    }
    return bs;
}
