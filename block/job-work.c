/*
 * Jobs whose work is somebody else's.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "job-internal.h"

typedef struct WorkJob {
    BlockJob job;
    BlockJobOps ops;
    const BlockJobWork *work;
    void *opaque;
} WorkJob;

static int work_run(BlockJob *job)
{
    WorkJob *w = downcast(job, WorkJob, job);

    return w->work->run(job, w->opaque);
}

static bool work_finish(BlockJob *job, Error **errp)
{
    WorkJob *w = downcast(job, WorkJob, job);

    return w->work->finish(w->opaque, errp);
}

static void work_end(BlockJob *job)
{
    WorkJob *w = downcast(job, WorkJob, job);

    w->work->end(w->opaque);
}

bool block_job_work(const BlockJobWork *work, void *opaque, const char *id, Error **errp)
{
    static const BlockJobOps ops = { .run = work_run, .finish = work_finish, .end = work_end };
    const BlockJobOptions options = { .id = id, .manual_dismiss = true };
    WorkJob *w = downcast(block_job_new(&ops, sizeof(*w), NULL, &options, errp), WorkJob, job);

    if (!w) {
        return false;
    }
    w->ops = ops;
    w->ops.type = work->type;
    w->job.ops = &w->ops;
    w->work = work;
    w->opaque = opaque;
    block_job_start(&w->job);
    return true;
}
