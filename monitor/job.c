/*
 * Commands that take longer than the main loop may be held: their steps run from the loop,
 * and what the client gets, the answer or the prompt, comes after the last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hmp.h"
#include "qemu/main-loop.h"

struct MonitorJob {
    Monitor *mon;
    MonitorStepFn *step;
    GDestroyNotify free;
    void *opaque;
    guint source;
};

static gboolean job_idle(gpointer data)
{
    MonitorJob *job = data;
    Error *err = NULL;

    if (job->step(job->mon, job->opaque, &err)) {
        return G_SOURCE_CONTINUE;
    }
    job->source = 0;
    monitor_job_done(job->mon, NULL, err);
    return G_SOURCE_REMOVE;
}

static gboolean job_ready(gint fd, GIOCondition cond, gpointer data)
{
    return job_idle(data);
}

void monitor_job_start(Monitor *mon, int fd, MonitorStepFn *step, GDestroyNotify free,
                       void *opaque)
{
    MonitorJob *job = g_new0(MonitorJob, 1);

    g_assert(!mon->job);
    *job = (MonitorJob) { .mon = mon, .step = step, .free = free, .opaque = opaque };
    mon->job = job;
    if (step) {
        /* As urgent as all else: neither starves the other. */
        job->source = fd >= 0 ? qemu_fd_add(fd, G_IO_OUT, job_ready, job) :
                      g_idle_add_full(G_PRIORITY_DEFAULT, job_idle, job, NULL);
    }
}

void monitor_job_cancel(Monitor *mon)
{
    MonitorJob *job = g_steal_pointer(&mon->job);

    if (job) {
        g_clear_handle_id(&job->source, g_source_remove);
        job->free(job->opaque);
        g_free(job);
    }
}

void monitor_job_done(Monitor *mon, json_t *ret, Error *err)
{
    monitor_job_cancel(mon);
    if (mon->internal) {
        hmp_error(mon, err);
        mon->done(mon, mon->opaque);
        return;
    }
    if (mon->mode == MONITOR_CONTROL) {
        qmp_session_answer(mon, ret, err);
    } else {
        hmp_error(mon, err);
        hmp_line_next(mon->line);
    }
    monitor_resume(mon);
}
