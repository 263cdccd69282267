/*
 * Jobs of a transaction that end together: all of them well, or none (completion-mode=grouped).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "job-group.h"

void job_group_join(GPtrArray *group, BlockJob *job)
{
    g_assert(!job->group);
    job->group = g_ptr_array_ref(group);
    g_ptr_array_add(group, job);
}

bool job_group_is_waiting(const BlockJob *job)
{
    for (guint i = 0; job->group && i < job->group->len; i++) {
        const BlockJob *other = job->group->pdata[i];

        if (other->status != JOB_WAITING) {
            return false;
        }
    }
    return job->status == JOB_WAITING;
}

GPtrArray *job_group_members(BlockJob *job)
{
    GPtrArray *members = g_ptr_array_new();

    if (!job->group) {
        g_ptr_array_add(members, job);
    }
    for (guint i = 0; job->group && i < job->group->len; i++) {
        g_ptr_array_add(members, job->group->pdata[i]);
    }
    return members;
}

GPtrArray *job_group_dissolve(BlockJob *job)
{
    GPtrArray *members = job_group_members(job);

    for (guint i = 0; i < members->len; i++) {
        g_clear_pointer(&((BlockJob *)members->pdata[i])->group, g_ptr_array_unref);
    }
    return members;
}
