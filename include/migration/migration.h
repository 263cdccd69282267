/*
 * Saving a machine, loading it, and telling how far it is: what the command line and monitors use.
 *
 * A machine goes out on a channel ("file:PATH", "unix:PATH", "tcp:HOST:PORT", "fd:NAME" or
 * "exec:COMMAND") with the guest standing still; docs/devel/machine-state.rst has the format.
 * Everything here is called on the main thread with the machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include "hw/boards.h"

typedef struct Migration Migration;

/* QMP's names. */
typedef enum MigrationStatus {
    MIGRATION_NONE, MIGRATION_SETUP, MIGRATION_ACTIVE, MIGRATION_COMPLETED, MIGRATION_FAILED,
    MIGRATION_CANCELLING, MIGRATION_CANCELLED,
} MigrationStatus;

/* What query-migrate tells; times in milliseconds. */
typedef struct MigrationInfo {
    MigrationStatus status;
    bool incoming;              /* nothing but status is known */
    const char *error;          /* FAILED: why; Migration's own */
    int64_t total_time, setup_time, downtime;
    uint64_t total, remaining, transferred;     /* bytes of RAM, and on the channel */
    uint64_t duplicate, normal;                 /* pages: all zeros, others */
    double mbps;
} MigrationInfo;

const char *migration_status_name(MigrationStatus status);
void migration_get_info(const MachineState *ms, MigrationInfo *info);

/*
 * Begin to save the machine. The guest stops; if all went well it stays so (postmigrate), else it
 * goes on. done (may be NULL) is called at the end, with NULL or why it failed. False with errp
 * set: nothing has begun.
 */
typedef void MigrationDone(const char *error, void *opaque);
bool migration_start(MachineState *ms, const char *uri, MigrationDone *done, void *opaque,
                     Error **errp);
/* Whoever waits for done will not be there any more. */
void migration_forget_waiter(MachineState *ms);
/* Give up what goes out; harmless without. */
void migration_cancel(MachineState *ms);
/* At exit: give up, and wait until nothing reads RAM. */
void migration_cleanup(MachineState *ms);

/*
 * -incoming: the machine waits for a saved one (inmigrate) from uri, or with "defer" for
 * migrate-incoming. expect: before the machine is built; begin: when it is there, the guest shall
 * run afterwards or not. False with errp set.
 */
void migration_expect(MachineState *ms);
bool migration_incoming(MachineState *ms, const char *uri, Error **errp);
/* Whether the guest runs as soon as all is there: "cont" and "stop" while it waits. */
void migration_set_autostart(MachineState *ms, bool autostart);

/* -only-migratable, and query-migrate's blocked-reasons: what of the machine cannot be saved. */
bool migration_check(MachineState *ms, Error **errp);

/* QMP's capability "events": MIGRATION tells of each status. */
bool migration_has_events(const MachineState *ms);
void migration_set_events(MachineState *ms, bool on);

/* "mapped-ram": RAM in the file as an image that is mapped where it is loaded; files only. */
bool migration_has_mapped_ram(const MachineState *ms);
void migration_set_mapped_ram(MachineState *ms, bool on);

/* Bytes a second on the channel, 0: no limit. */
uint64_t migration_max_bandwidth(const MachineState *ms);
void migration_set_max_bandwidth(MachineState *ms, uint64_t bytes);

#endif
