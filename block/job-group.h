/*
 * Jobs that end together. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_JOB_GROUP_H
#define BLOCK_JOB_GROUP_H

#include "job-internal.h"

/* A job that has not been started. group: of BlockJob, each of which keeps it. */
void job_group_join(GPtrArray *group, BlockJob *job);
/* Has the job, and all others of its group, done its work? */
bool job_group_is_waiting(const BlockJob *job);
/* All of the job's group, or the job alone; g_ptr_array_unref(). / They are no group any more. */
GPtrArray *job_group_members(BlockJob *job);
GPtrArray *job_group_dissolve(BlockJob *job);

#endif
