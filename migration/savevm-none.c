/*
 * A program without snapshots of the machine inside of images: what the rest of it asks, answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration/snapshot.h"

static bool refuse(Error **errp)
{
    error_setg(errp, "this program was built without snapshots of machines");
    return false;
}

bool snapshot_save(MachineState *ms, const char *name, Error **errp)
{
    return refuse(errp);
}

bool snapshot_load(MachineState *ms, const char *name, Error **errp)
{
    return refuse(errp);
}

bool snapshot_delete(const char *name, Error **errp)
{
    return refuse(errp);
}

bool snapshot_foreach(SnapshotFn *fn, void *opaque, Error **errp)
{
    return refuse(errp);
}

bool snapshot_job(MachineState *ms, SnapshotVerb verb, const SnapshotJob *options, Error **errp)
{
    return refuse(errp);
}
