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

bool block_create(const char *driver, BlockNode *file, QemuOpts *opts, Error **errp)
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
    CreateJob *c = (CreateJob *)job;
    Error *err = NULL;

    block_job_set_length(job, 1);
    if (!block_create(c->driver, c->file, c->opts, &err)) {
        job->error = g_strdup(error_get_pretty(err));
        error_free(err);
        return -EINVAL;
    }
    block_job_pace(job, 1);
    return 0;
}

static void create_end(BlockJob *job)
{
    CreateJob *c = (CreateJob *)job;

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
    .type = "create", .run = create_run, .end = create_end,
};

/* The node that a format gets into. */
static bool take_file(CreateJob *c, QemuOpts *opts, bool wanted, Error **errp)
{
    g_autofree char *ref = qemu_opt_take(opts, "file");
    g_autoptr(QemuOpts) file_opts = block_take_prefixed(opts, "file.");

    if (ref) {
        c->file = block_find_node(ref);
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
        if (ref) {
            error_setg(errp, "Cannot find device='' nor node-name='%s'", ref);
        }
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
    c = (CreateJob *)block_job_new(&create_ops, sizeof(*c), NULL, &options, errp);
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
