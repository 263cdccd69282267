/*
 * Jobs: their life, from a command to what the client dismisses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "block/events.h"
#include "job-group.h"
#include "qemu/confine.h"
#include "qemu/thread.h"

#define SPEED_SLICE 100000      /* us: how long a speed limit may be overstepped */
#define RETRY_PAUSE 100000      /* us, after an error that is ignored */

static GPtrArray *jobs;

const char *block_job_status_name(BlockJobStatus status)
{
    static const char *const names[] = {
        "created", "running", "paused", "ready", "standby", "waiting", "pending", "aborting",
        "concluded", "null",
    };

    return names[status];
}

static void fill_info(BlockJob *job, BlockJobInfo *info)
{
    g_mutex_lock(&job->lock);
    *info = (BlockJobInfo) {
        .id = job->id, .type = job->ops->type, .status = job->status,
        .is_block = job->ops->is_block, .paused = job->paused,
        .busy = job->status == JOB_RUNNING || job->status == JOB_READY,
        .auto_finalize = job->auto_finalize, .auto_dismiss = job->auto_dismiss,
        .cancelled = job->cancelled, .offset = job->offset, .len = MAX(job->len, job->offset),
        .speed = job->speed, .error = job->error,
        .io_status = job->io_status, .failed_reading = job->failed_reading,
    };
    g_mutex_unlock(&job->lock);
}

static void tell(BlockJob *job, BlockJobEvent event)
{
    BlockJobInfo info;

    fill_info(job, &info);
    block_job_event(&info, event);
}

static void set_status(BlockJob *job, BlockJobStatus status)
{
    if (job->status != status) {
        job->status = status;
        tell(job, JOB_EVENT_STATUS);
    }
}

/* Making and ending --------------------------------------------------------------- */

static BlockJob *find(const char *id)
{
    for (unsigned i = 0; jobs && i < jobs->len; i++) {
        BlockJob *job = jobs->pdata[i];

        if (!strcmp(job->id, id)) {
            return job;
        }
    }
    return NULL;
}

static bool parse_on_error(const char *text, int *policy, Error **errp)
{
    if (!text || block_on_error_by_name(text, policy)) {
        return true;
    }
    error_setg(errp, "Parameter 'on-error' does not accept value '%s'", text);
    return false;
}

BlockJob *block_job_new(const BlockJobOps *ops, size_t size, BlockBackend *blk,
                        const BlockJobOptions *options, Error **errp)
{
    const char *id = options->id ? options->id : blk ? blk_name(blk) : "";
    int on_write = ON_ERROR_REPORT, on_read = ON_ERROR_REPORT;
    BlockJob *job;

    if (!*id) {
        error_setg(errp, "An explicit job ID is required for this node");
    } else if (!qemu_check_id(id, NULL)) {
        error_setg(errp, "Invalid job ID '%s'", id);
    } else if (find(id)) {
        error_setg(errp, "Job ID '%s' already in use", id);
    } else if (blk && blk->job) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job: %s",
                   blk->root->node_name, blk->job->ops->type);
    } else if (parse_on_error(options->on_write_error, &on_write, errp) &&
               parse_on_error(options->on_read_error, &on_read, errp)) {
        job = g_malloc0(size);
        job->ops = ops;
        job->id = g_strdup(id);
        job->blk = blk;
        job->speed = options->speed;
        job->auto_finalize = !options->manual_finalize;
        job->auto_dismiss = !options->manual_dismiss;
        job->on_error[false] = on_write;
        job->on_error[true] = on_read;
        job->status = JOB_NULL;
        g_mutex_init(&job->lock);
        g_cond_init(&job->cond);
        if (!jobs) {
            jobs = g_ptr_array_new();
        }
        g_ptr_array_add(jobs, job);
        if (blk) {
            blk->job = job;
        }
        return job;
    }
    return NULL;
}

static void let_go(BlockJob *job)
{
    if (job->blk) {
        job->blk->job = NULL;
        job->blk = NULL;
    }
}

void block_job_free(BlockJob *job)
{
    while (g_source_remove_by_user_data(job)) {
    }
    let_go(job);
    g_ptr_array_remove(jobs, job);
    if (!jobs->len) {
        g_clear_pointer(&jobs, g_ptr_array_unref);
    }
    g_mutex_clear(&job->lock);
    g_cond_clear(&job->cond);
    g_free(job->error);
    g_free(job->id);
    g_free(job);
}

static void dismiss(BlockJob *job)
{
    set_status(job, JOB_NULL);
    block_job_free(job);
}

static void conclude(BlockJob *job, bool ok);

/* It ends before its time: now, or when its thread has seen it. May free it. */
static void call_off(BlockJob *job)
{
    if (job->status == JOB_PENDING || job->status == JOB_WAITING) {
        job->cancelled = true;
        conclude(job, false);
        return;
    }
    g_mutex_lock(&job->lock);
    job->cancelled = true;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

/* Those that end together with it cannot end well any more. */
static void call_off_others(BlockJob *job)
{
    g_autoptr(GPtrArray) group = job_group_dissolve(job);

    for (guint i = 0; i < group->len; i++) {
        if (group->pdata[i] != job) {
            call_off(group->pdata[i]);
        }
    }
}

/* May free it. */
static void conclude(BlockJob *job, bool ok)
{
    if (!ok) {
        set_status(job, JOB_ABORTING);
        call_off_others(job);
    }
    if (job->ops->end) {
        job->ops->end(job);
    }
    let_go(job);
    if (job->ops->is_block) {
        tell(job, job->cancelled && !ok ? JOB_EVENT_CANCELLED : JOB_EVENT_COMPLETED);
    }
    set_status(job, JOB_CONCLUDED);
    if (job->auto_dismiss) {
        dismiss(job);
    }
}

static bool finish(BlockJob *job)
{
    Error *err = NULL;
    bool ok = !job->ops->finish || job->ops->finish(job, &err);

    if (!ok) {
        job->error = g_strdup(error_get_pretty(err));
        error_free(err);
    }
    return ok;
}

/* With all that end together with it; may free them. */
static void finalize(BlockJob *job)
{
    g_autoptr(GPtrArray) group = job_group_dissolve(job);
    bool ok = true;

    for (guint i = 0; ok && i < group->len; i++) {
        ok = finish(group->pdata[i]);
    }
    for (guint i = 0; i < group->len; i++) {
        BlockJob *one = group->pdata[i];

        one->cancelled |= !ok && !one->error;
        conclude(one, ok);
    }
}

/* The job and all that end together with it have done their work. May free them. */
static void all_are_waiting(BlockJob *job)
{
    g_autoptr(GPtrArray) group = job_group_members(job);
    bool by_hand = false;

    for (guint i = 0; i < group->len; i++) {
        set_status(group->pdata[i], JOB_PENDING);
        by_hand |= !((BlockJob *)group->pdata[i])->auto_finalize;
    }
    for (guint i = 0; by_hand && i < group->len; i++) {
        BlockJob *one = group->pdata[i];

        if (one->ops->is_block && !one->auto_finalize) {
            tell(one, JOB_EVENT_PENDING);
        }
    }
    if (!by_hand) {
        finalize(job);
    }
}

static gboolean worker_done(gpointer data)
{
    BlockJob *job = data;

    g_clear_pointer(&job->thread, g_thread_join);
    if (job->ret < 0 || job->cancelled) {
        if (!job->cancelled && !job->error) {
            job->error = g_strdup(strerror(-job->ret));
        }
        conclude(job, false);
        return G_SOURCE_REMOVE;
    }
    set_status(job, JOB_WAITING);
    if (job_group_is_waiting(job)) {
        all_are_waiting(job);
    }
    return G_SOURCE_REMOVE;
}

static gpointer worker(gpointer data)
{
    BlockJob *job = data;

    if (!job->ops->opens) {
        thread_confine(&iothread_filter);
    }
    job->ret = job->ops->run(job);
    g_idle_add_full(G_PRIORITY_DEFAULT, worker_done, job, NULL);
    return NULL;
}

void block_job_start(BlockJob *job)
{
    g_autoptr(GError) err = NULL;

    set_status(job, JOB_CREATED);
    set_status(job, JOB_RUNNING);
    job->slice_start = g_get_monotonic_time();
    job->thread = thread_try_new("block-job", worker, job, &err);
    if (!job->thread) {     /* it has begun, and fails at once */
        job->ret = -EAGAIN;
        job->error = g_strdup(err->message);
        g_idle_add_full(G_PRIORITY_DEFAULT, worker_done, job, NULL);
    }
}

static void abort_job(BlockJob *job)
{
    g_mutex_lock(&job->lock);
    job->cancelled = true;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    g_clear_pointer(&job->thread, g_thread_join);
    while (g_source_remove_by_user_data(job)) {
    }
    conclude(job, false);
}

void block_job_abort(BlockBackend *blk)
{
    if (blk->job) {
        abort_job(blk->job);
    }
}

void block_job_abort_all(void)
{
    while (jobs) {
        BlockJob *job = jobs->pdata[0];

        job->auto_dismiss = true;
        if (job->status == JOB_CONCLUDED) {
            dismiss(job);
        } else {
            abort_job(job);
        }
    }
}

/* On its thread ---------------------------------------------------------------------- */

void block_job_set_length(BlockJob *job, uint64_t len)
{
    g_mutex_lock(&job->lock);
    job->len = len;
    g_mutex_unlock(&job->lock);
}

void block_job_add_length(BlockJob *job, uint64_t bytes)
{
    g_mutex_lock(&job->lock);
    job->len += bytes;
    g_mutex_unlock(&job->lock);
}

/* With the lock: when the next bytes are allowed; 0: now. */
static int64_t allowed_at(BlockJob *job)
{
    int64_t now = g_get_monotonic_time(), due;

    if (!job->speed) {
        return 0;
    }
    due = job->slice_start + (int64_t)((double)job->slice_bytes * 1e6 / job->speed);
    if (due <= now) {
        job->slice_start = MAX(due, now - SPEED_SLICE);
        job->slice_bytes = 0;
        return 0;
    }
    return due;
}

void block_job_progress(BlockJob *job, uint64_t bytes)
{
    g_mutex_lock(&job->lock);
    job->offset += bytes;
    g_mutex_unlock(&job->lock);
}

int block_job_wait_turn(BlockJob *job, uint64_t bytes)
{
    int64_t at = 0;
    int ret;

    g_mutex_lock(&job->lock);
    job->slice_bytes += bytes;
    while (!job->cancelled && (job->paused || (at = allowed_at(job)))) {
        if (job->paused) {
            g_cond_wait(&job->cond, &job->lock);
        } else {
            g_cond_wait_until(&job->cond, &job->lock, at);
        }
    }
    ret = job->cancelled ? -ECANCELED : 0;
    g_mutex_unlock(&job->lock);
    return ret;
}

int block_job_pace(BlockJob *job, uint64_t bytes)
{
    block_job_progress(job, bytes);
    return block_job_wait_turn(job, bytes);
}

/* What the main thread tells for the job's thread. */
static gboolean report_ready(gpointer data)
{
    BlockJob *job = data;

    set_status(job, job->paused ? JOB_STANDBY : JOB_READY);
    tell(job, JOB_EVENT_READY);
    return G_SOURCE_REMOVE;
}

static gboolean report_stopped(gpointer data)
{
    BlockJob *job = data;

    tell(job, JOB_EVENT_ERROR_STOP);
    set_status(job, job->status == JOB_READY ? JOB_STANDBY : JOB_PAUSED);
    return G_SOURCE_REMOVE;
}

static gboolean report_error(gpointer data)
{
    tell(data, JOB_EVENT_ERROR_REPORT);
    return G_SOURCE_REMOVE;
}

static gboolean report_ignored(gpointer data)
{
    tell(data, JOB_EVENT_ERROR_IGNORE);
    return G_SOURCE_REMOVE;
}

static void pause_before_retry(BlockJob *job)
{
    int64_t end = g_get_monotonic_time() + RETRY_PAUSE;

    g_mutex_lock(&job->lock);
    while (!job->cancelled && g_cond_wait_until(&job->cond, &job->lock, end)) {
    }
    g_mutex_unlock(&job->lock);
}

int block_job_failed(BlockJob *job, int ret)
{
    static const GSourceFunc reports[] = {
        [BLOCK_ERROR_ACTION_STOP] = report_stopped, [BLOCK_ERROR_ACTION_REPORT] = report_error,
        [BLOCK_ERROR_ACTION_IGNORE] = report_ignored,
    };
    BlockErrorAction action = block_error_action(job->on_error[job->reading], -ret);

    if (ret == -ECANCELED) {
        return ret;
    }
    g_mutex_lock(&job->lock);
    job->failed_reading = job->reading;
    if (action == BLOCK_ERROR_ACTION_STOP) {
        job->paused = true;
        job->io_status = block_io_status(-ret);
    }
    g_mutex_unlock(&job->lock);
    g_idle_add_full(G_PRIORITY_DEFAULT, reports[action], job, NULL);
    if (action == BLOCK_ERROR_ACTION_IGNORE) {
        pause_before_retry(job);
    }
    return action == BLOCK_ERROR_ACTION_REPORT ? ret : block_job_pace(job, 0);
}

void block_job_set_ready(BlockJob *job)
{
    bool was;

    g_mutex_lock(&job->lock);
    was = job->ready;
    job->ready = true;
    g_mutex_unlock(&job->lock);
    if (!was) {
        g_idle_add_full(G_PRIORITY_DEFAULT, report_ready, job, NULL);
    }
}

bool block_job_wait(BlockJob *job, int64_t us)
{
    bool completing;

    g_mutex_lock(&job->lock);
    if (!job->cancelled && !job->completing) {
        g_cond_wait_until(&job->cond, &job->lock, g_get_monotonic_time() + us);
    }
    completing = job->completing;
    g_mutex_unlock(&job->lock);
    return completing;
}

/* Commands ----------------------------------------------------------------------------- */

BlockJob *block_job_find(const char *id, Error **errp)
{
    BlockJob *job = find(id);

    if (!job) {
        error_setg(errp, "Job not found");
    }
    return job;
}

static bool allows(const BlockJob *job, BlockJobVerb verb)
{
    static const unsigned states[] = {
        [JOB_VERB_CANCEL] = 1u << JOB_CREATED | 1u << JOB_RUNNING | 1u << JOB_PAUSED |
            1u << JOB_READY | 1u << JOB_STANDBY | 1u << JOB_WAITING | 1u << JOB_PENDING,
        [JOB_VERB_PAUSE] = 1u << JOB_CREATED | 1u << JOB_RUNNING | 1u << JOB_PAUSED |
            1u << JOB_READY | 1u << JOB_STANDBY,
        [JOB_VERB_RESUME] = 1u << JOB_CREATED | 1u << JOB_RUNNING | 1u << JOB_PAUSED |
            1u << JOB_READY | 1u << JOB_STANDBY,
        [JOB_VERB_SET_SPEED] = 1u << JOB_CREATED | 1u << JOB_RUNNING | 1u << JOB_PAUSED |
            1u << JOB_READY | 1u << JOB_STANDBY,
        [JOB_VERB_COMPLETE] = 1u << JOB_READY,
        [JOB_VERB_FINALIZE] = 1u << JOB_PENDING,
        [JOB_VERB_DISMISS] = 1u << JOB_CONCLUDED,
    };

    return states[verb] & 1u << job->status;
}

static bool set_paused(BlockJob *job, bool paused, Error **errp)
{
    bool ready = job->status == JOB_READY || job->status == JOB_STANDBY;

    if (job->paused == paused) {
        error_setg(errp, paused ? "Job is already paused" : "Can't resume a job that was not "
                   "paused");
        return false;
    }
    g_mutex_lock(&job->lock);
    job->paused = paused;
    job->io_status = BLOCK_IO_STATUS_OK;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
    set_status(job, paused ? (ready ? JOB_STANDBY : JOB_PAUSED) :
               ready ? JOB_READY : JOB_RUNNING);
    return true;
}

/* A job that is ready ends well if it need not be at once, but its disk stays where it is. */
static void cancel(BlockJob *job, bool force)
{
    bool ends = job->status == JOB_PENDING || job->status == JOB_WAITING || force || !job->ready;

    if (ends) {
        call_off(job);
        return;
    }
    g_mutex_lock(&job->lock);
    job->completing = job->stays = true;
    job->paused = false;
    g_cond_broadcast(&job->cond);
    g_mutex_unlock(&job->lock);
}

bool block_job_do(BlockJob *job, BlockJobVerb verb, uint64_t value, Error **errp)
{
    static const char *const names[] = {
        "cancel", "pause", "resume", "set-speed", "complete", "finalize", "dismiss",
    };

    if (!allows(job, verb)) {
        error_setg(errp, "Job '%s' in state '%s' cannot accept command verb '%s'", job->id,
                   block_job_status_name(job->status), names[verb]);
        return false;
    }
    switch (verb) {
    case JOB_VERB_CANCEL:
        cancel(job, value);
        break;
    case JOB_VERB_PAUSE:
    case JOB_VERB_RESUME:
        return set_paused(job, verb == JOB_VERB_PAUSE, errp);
    case JOB_VERB_FINALIZE:
        finalize(job);
        break;
    case JOB_VERB_DISMISS:
        dismiss(job);
        break;
    default:
        g_mutex_lock(&job->lock);
        job->completing |= verb == JOB_VERB_COMPLETE;
        job->speed = verb == JOB_VERB_SET_SPEED ? value : job->speed;
        g_cond_broadcast(&job->cond);
        g_mutex_unlock(&job->lock);
        break;
    }
    return true;
}

void block_job_foreach(BlockJobInfoFn *fn, void *opaque)
{
    for (unsigned i = 0; jobs && i < jobs->len; i++) {
        BlockJobInfo info;

        fill_info(jobs->pdata[i], &info);
        fn(&info, opaque);
    }
}
