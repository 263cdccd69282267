/*
 * Snapshots of the machine inside of its disks' images: what the command line and monitors use.
 *
 * Main thread with the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_SNAPSHOT_H
#define MIGRATION_SNAPSHOT_H

#include "block/image-info.h"
#include "hw/boards.h"

/*
 * For people: of all disks that are written to; returns when it is done. The guest stands still
 * meanwhile. False with errp set. name NULL: made from the time; a snapshot of that name is
 * replaced.
 */
bool snapshot_save(MachineState *ms, const char *name, Error **errp);
/* The guest runs afterwards if it ran before. After a failure it may be past going on. */
bool snapshot_load(MachineState *ms, const char *name, Error **errp);
bool snapshot_delete(const char *name, Error **errp);
/* All snapshots of one disk after the other. fn NULL: is there a place for them? */
typedef void SnapshotFn(const char *device, const BlockSnapshotInfo *sn, bool in_all,
                        void *opaque);
bool snapshot_foreach(SnapshotFn *fn, void *opaque, Error **errp);

typedef enum SnapshotVerb { SNAPSHOT_SAVE, SNAPSHOT_LOAD, SNAPSHOT_DELETE } SnapshotVerb;
/* The same as a job, which tells what goes wrong: of these nodes, the state in that one. */
typedef struct SnapshotJob {
    const char *id, *tag, *vmstate;
    const char *const *devices;         /* ends with NULL */
} SnapshotJob;
bool snapshot_job(MachineState *ms, SnapshotVerb verb, const SnapshotJob *options, Error **errp);

#endif
