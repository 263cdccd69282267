/*
 * QMP about what is done to images in the background.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp.h"

/* Events -------------------------------------------------------------------------------- */

static json_t *progress_json(const BlockJobInfo *info)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I}", "type", info->type, "device", info->id,
                     "len", (json_int_t)info->len, "offset", (json_int_t)info->offset,
                     "speed", (json_int_t)info->speed);
}

static void on_job(void *opaque, const BlockJobInfo *info, BlockJobEvent event)
{
    static const char *const names[] = {
        [JOB_EVENT_READY] = "BLOCK_JOB_READY", [JOB_EVENT_PENDING] = "BLOCK_JOB_PENDING",
        [JOB_EVENT_COMPLETED] = "BLOCK_JOB_COMPLETED",
        [JOB_EVENT_CANCELLED] = "BLOCK_JOB_CANCELLED",
        [JOB_EVENT_ERROR_STOP] = "stop", [JOB_EVENT_ERROR_REPORT] = "report",
        [JOB_EVENT_ERROR_IGNORE] = "ignore",
    };
    json_t *data;

    switch (event) {
    case JOB_EVENT_STATUS:
        qmp_emit(opaque, "JOB_STATUS_CHANGE", json_pack("{s:s, s:s}", "id", info->id, "status",
                                                        block_job_status_name(info->status)));
        break;
    case JOB_EVENT_ERROR_STOP:
    case JOB_EVENT_ERROR_REPORT:
    case JOB_EVENT_ERROR_IGNORE:
        qmp_emit(opaque, "BLOCK_JOB_ERROR",
                 json_pack("{s:s, s:s, s:s}", "device", info->id, "operation",
                           info->failed_reading ? "read" : "write", "action", names[event]));
        break;
    case JOB_EVENT_PENDING:
        qmp_emit(opaque, names[event], json_pack("{s:s, s:s}", "type", info->type,
                                                 "id", info->id));
        break;
    default:
        data = progress_json(info);
        if (event == JOB_EVENT_COMPLETED && info->error) {
            json_object_set_new(data, "error", json_string(info->error));
        }
        qmp_emit(opaque, names[event], data);
        break;
    }
}

static void on_export_deleted(void *opaque, const char *id)
{
    qmp_emit(opaque, "BLOCK_EXPORT_DELETED", json_pack("{s:s}", "id", id));
}

const BlockListener qmp_block_listener = {
    .corrupted = qmp_block_corrupted,
    .job = on_job,
    .export_deleted = on_export_deleted,
};

/* Queries ----------------------------------------------------------------------------------- */

static void add_job(const BlockJobInfo *info, void *opaque)
{
    json_t *item = json_pack("{s:s, s:s, s:s, s:I, s:I}", "id", info->id, "type", info->type,
                             "status", block_job_status_name(info->status),
                             "current-progress", (json_int_t)info->offset,
                             "total-progress", (json_int_t)info->len);

    if (info->error) {
        json_object_set_new(item, "error", json_string(info->error));
    }
    json_array_append_new(opaque, item);
}

json_t *qmp_query_jobs(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    block_job_foreach(add_job, list);
    return list;
}

static void add_block_job(const BlockJobInfo *info, void *opaque)
{
    json_t *item, *more;

    if (!info->is_block) {
        return;
    }
    item = progress_json(info);
    more = json_pack("{s:b, s:b, s:s, s:b, s:s, s:b, s:b}", "busy", info->busy,
                     "paused", info->paused, "io-status", qmp_iostatus_names[info->io_status],
                     "ready", info->status == JOB_READY || info->status == JOB_STANDBY,
                     "status", block_job_status_name(info->status),
                     "auto-finalize", info->auto_finalize, "auto-dismiss", info->auto_dismiss);
    json_object_update(item, more);
    json_decref(more);
    if (info->error) {
        json_object_set_new(item, "error", json_string(info->error));
    }
    json_array_append_new(opaque, item);
}

json_t *qmp_query_block_jobs(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    block_job_foreach(add_block_job, list);
    return list;
}

/* What is done to jobs ------------------------------------------------------------------------ */

/* By id, or by the older commands' name of the disk, which is the same. */
static json_t *job_do(json_t *args, BlockJobVerb verb, uint64_t value, Error **errp)
{
    const char *id = qmp_str(args, "id");
    BlockJob *job = block_job_find(id ? id : qmp_str(args, "device"), errp);

    if (job) {
        block_job_do(job, verb, value, errp);
    }
    return NULL;
}

json_t *qmp_job_cancel(Monitor *mon, json_t *args, Error **errp)
{
    /* The new command knows no half measures. */
    return job_do(args, JOB_VERB_CANCEL, qmp_bool(args, "force", qmp_str(args, "id")), errp);
}

json_t *qmp_job_pause(Monitor *mon, json_t *args, Error **errp)
{
    return job_do(args, JOB_VERB_PAUSE, 0, errp);
}

json_t *qmp_job_resume(Monitor *mon, json_t *args, Error **errp)
{
    return job_do(args, JOB_VERB_RESUME, 0, errp);
}

json_t *qmp_job_complete(Monitor *mon, json_t *args, Error **errp)
{
    return job_do(args, JOB_VERB_COMPLETE, 0, errp);
}

json_t *qmp_job_finalize(Monitor *mon, json_t *args, Error **errp)
{
    return job_do(args, JOB_VERB_FINALIZE, 0, errp);
}

json_t *qmp_job_dismiss(Monitor *mon, json_t *args, Error **errp)
{
    return job_do(args, JOB_VERB_DISMISS, 0, errp);
}

json_t *qmp_block_job_set_speed(Monitor *mon, json_t *args, Error **errp)
{
    int64_t speed = qmp_int(args, "speed", 0);

    if (speed < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        return NULL;
    }
    return job_do(args, JOB_VERB_SET_SPEED, speed, errp);
}

/* What makes jobs ---------------------------------------------------------------------------- */

bool qmp_job_options(json_t *args, BlockJobOptions *o, Error **errp)
{
    int64_t speed = qmp_int(args, "speed", 0);
    const char *on_error = qmp_str(args, "on-error");
    const char *on_source = qmp_str(args, "on-source-error");
    const char *on_target = qmp_str(args, "on-target-error");

    if (speed < 0) {
        error_setg(errp, "Parameter 'speed' expects a non-negative value");
        return false;
    }
    *o = (BlockJobOptions) {
        .id = qmp_str(args, "job-id"), .speed = speed,
        .manual_finalize = !qmp_bool(args, "auto-finalize", true),
        .manual_dismiss = !qmp_bool(args, "auto-dismiss", true),
        .on_read_error = on_source ? on_source : on_error,
        .on_write_error = on_target ? on_target : on_error,
    };
    return true;
}

/* The node that args name by itself or by its file; NULL: none, or errp is set. */
static const char *chain_node(json_t *args, const char *node_arg, const char *file_arg,
                              Error **errp)
{
    const char *node = qmp_str(args, node_arg), *file = qmp_str(args, file_arg);

    if (node && file) {
        error_setg(errp, "'%s' and '%s' cannot be specified at the same time", node_arg, file_arg);
    } else if (file) {
        node = block_chain_node(qmp_str(args, "device"), file);
        if (!node) {
            error_setg(errp, "Can't find '%s' in the backing chain", file);
        }
        return node;
    }
    return node;
}

json_t *qmp_block_stream(Monitor *mon, json_t *args, Error **errp)
{
    Error *err = NULL;
    const char *base = chain_node(args, "base-node", "base", &err);
    BlockJobOptions o;

    if (err) {
        error_propagate(errp, err);
    } else if (qmp_job_options(args, &o, errp)) {
        block_stream_start(qmp_str(args, "device"), base, qmp_str(args, "backing-file"), &o,
                           errp);
    }
    return NULL;
}

json_t *qmp_block_commit(Monitor *mon, json_t *args, Error **errp)
{
    Error *err = NULL;
    BlockCommitOptions c = {
        .device = qmp_str(args, "device"), .backing_file = qmp_str(args, "backing-file"),
        .top_node = chain_node(args, "top-node", "top", &err),
    };
    BlockJobOptions o;

    if (!err) {
        c.base_node = chain_node(args, "base-node", "base", &err);
    }
    if (err) {
        error_propagate(errp, err);
    } else if (qmp_job_options(args, &o, errp)) {
        block_commit_start(&c, &o, errp);
    }
    return NULL;
}

static void start_mirror(json_t *args, BlockMirrorOptions *m, Error **errp)
{
    const char *mode = qmp_str(args, "copy-mode");
    BlockJobOptions o;

    m->device = qmp_str(args, "device");
    m->sync = qmp_str(args, "sync");
    m->write_blocking = mode && !strcmp(mode, "write-blocking");
    if (qmp_str(args, "replaces")) {
        error_setg(errp, "Parameter 'replaces' is not supported: the copy takes the disk's place");
    } else if (qmp_job_options(args, &o, errp)) {
        block_mirror_start(m, &o, errp);
    }
}

json_t *qmp_blockdev_mirror(Monitor *mon, json_t *args, Error **errp)
{
    BlockMirrorOptions m = { .target = qmp_str(args, "target") };

    start_mirror(args, &m, errp);
    return NULL;
}

json_t *qmp_drive_mirror(Monitor *mon, json_t *args, Error **errp)
{
    const char *mode = qmp_str(args, "mode");
    BlockMirrorOptions m = {
        .file = qmp_str(args, "target"), .format = qmp_str(args, "format"),
        .node_name = qmp_str(args, "node-name"), .existing = mode && !strcmp(mode, "existing"),
        .keep_room = json_is_false(json_object_get(args, "unmap")),
    };

    start_mirror(args, &m, errp);
    return NULL;
}

json_t *qmp_blockdev_create(Monitor *mon, json_t *args, Error **errp)
{
    QemuOpts *opts = qemu_opts_from_object(json_object_get(args, "options"), errp);

    if (opts) {
        block_create_start(opts, qmp_str(args, "job-id"), errp);
    }
    return NULL;
}
