/*
 * QMP without jobs, snapshots and dirty bitmaps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp.h"

const QmpCommand qmp_job_commands[] = { { NULL } };
const QmpEvent qmp_job_events[] = { { NULL } };

const BlockListener qmp_block_listener = {
    .corrupted = qmp_block_corrupted,
};
