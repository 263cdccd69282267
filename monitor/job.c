/*
 * Commands that take longer than the main loop may be held: their steps run from the loop,
 * and what the client gets, the answer or the prompt, comes after the last.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hmp.h"

struct MonitorJob {
    Monitor *mon;
    MonitorStepFn *step;
    GDestroyNotify free;
    void *opaque;
    guint source;
};

static gboolean job_step(gpointer data)
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

void monitor_job_start(Monitor *mon, MonitorStepFn *step, GDestroyNotify free, void *opaque)
{
    MonitorJob *job = g_new0(MonitorJob, 1);

    g_assert(!mon->job);
    *job = (MonitorJob) { .mon = mon, .step = step, .free = free, .opaque = opaque };
    mon->job = job;
    if (!monitor_can_wait(mon)) {
        while (job_step(job) == G_SOURCE_CONTINUE) {
        }
        return;
    }
    if (step) {
        /* As urgent as all else: neither starves the other. */
        job->source = g_idle_add_full(G_PRIORITY_DEFAULT, job_step, job, NULL);
    }
}

bool monitor_can_wait(const Monitor *mon)
{
    return !mon->internal || mon->parent;
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
    Monitor *parent = mon->parent;

    monitor_job_cancel(mon);
    if (mon->internal) {
        /* The job of the client's own session is this monitor. */
        hmp_error(mon, err);
        if (parent) {
            monitor_job_done(parent, monitor_internal_text(mon), NULL);
        }
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
