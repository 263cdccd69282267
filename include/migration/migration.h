/*
 * Saving a machine, loading it, and telling how far it is: what the command line and monitors use.
 *
 * A machine goes out on a channel ("file:PATH", "unix:PATH", "tcp:HOST:PORT", "fd:NAME" or
 * "exec:COMMAND"). Its guest runs meanwhile, but where it goes to a file, and stands still for the
 * last of it; docs/devel/machine-state.rst has the format.
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
    MIGRATION_PRE_SWITCHOVER,   /* the guest has stopped; migration_continue() */
    MIGRATION_DEVICE,           /* after that */
    MIGRATION_POSTCOPY_ACTIVE,  /* the guest is there, not all of its memory */
} MigrationStatus;

/* QMP's capabilities: what is off at first. */
typedef enum MigrationCap {
    MIGRATION_CAP_EVENTS,           /* MIGRATION tells of each status */
    MIGRATION_CAP_MAPPED_RAM,       /* RAM as an image that is mapped where it is loaded; files */
    MIGRATION_CAP_AUTO_CONVERGE,    /* CPUs run less while they write faster than we send */
    MIGRATION_CAP_PAUSE_BEFORE_SWITCHOVER,
    MIGRATION_CAP_LATE_BLOCK_ACTIVATE,  /* coming in, paused: images are taken with "cont" */
    MIGRATION_CAP_RETURN_PATH,      /* only to who answers */
    MIGRATION_CAP_POSTCOPY_RAM,     /* migration_start_postcopy() may come; on both sides */
    MIGRATION_CAP_BACKGROUND_SNAPSHOT,  /* the guest goes on while what it had is saved */
    MIGRATION_CAP_IGNORE_SHARED,    /* RAM that both sides map is not sent; on both sides */
    MIGRATION_CAP__MAX
} MigrationCap;

/* QMP's parameters. */
typedef struct MigrationParams {
    uint64_t max_bandwidth;     /* bytes a second on the channel, 0: no limit */
    uint64_t max_postcopy_bandwidth;    /* the same in post-copy, but for what is asked for */
    uint64_t downtime_limit;    /* ms that the guest may stand still */
    uint64_t throttle_initial, throttle_increment, throttle_max;    /* percent of CPUs' time */
} MigrationParams;

/* What query-migrate tells; times in milliseconds. */
typedef struct MigrationInfo {
    MigrationStatus status;
    bool incoming;              /* nothing but status is known */
    const char *error;          /* FAILED: why; Migration's own */
    int64_t total_time, setup_time;
    int64_t downtime;           /* what is expected until it is COMPLETED */
    uint64_t total, remaining, transferred;     /* bytes of RAM, and on the channel */
    uint64_t duplicate, normal;                 /* pages: all zeros, others */
    uint64_t rounds, dirty_pages_rate;          /* of RAM; pages a second that were written to */
    unsigned throttle;                          /* percent */
    uint64_t postcopy_requests, postcopy_bytes; /* pages asked for; of transferred */
    double mbps;
} MigrationInfo;

const char *migration_status_name(MigrationStatus status);
void migration_get_info(const MachineState *ms, MigrationInfo *info);

/*
 * Begin to save the machine. The guest stops, now or later; if all went well it stays so
 * (postmigrate), else it goes on. done (may be NULL) is called at the end, with NULL or why it
 * failed. False with errp set: nothing has begun.
 */
typedef void MigrationDone(const char *error, void *opaque);
bool migration_start(MachineState *ms, const char *uri, MigrationDone *done, void *opaque,
                     Error **errp);
/* Something goes out. */
bool migration_in_progress(const MachineState *ms);
/* Whoever waits for done will not be there any more. */
void migration_forget_waiter(MachineState *ms);
/* Status is PRE_SWITCHOVER (or errp is set): go on. */
bool migration_continue(MachineState *ms, Error **errp);
/* Give up what goes out; harmless without. False with errp set: too late. */
bool migration_cancel(MachineState *ms, Error **errp);
/* What is under way: let the guest go on there now, its memory follows. False with errp set. */
bool migration_start_postcopy(MachineState *ms, Error **errp);
/* Before a machine that has been sent goes on here: its images must not be somebody else's. */
bool migration_take_images(MachineState *ms, Error **errp);
/* At exit: give up, and wait until nothing reads RAM. */
void migration_cleanup(MachineState *ms);

/*
 * -incoming: the machine waits for a saved one (inmigrate) from uri, or with "defer" for
 * migrate-incoming. expect: before the process is confined; begin: when it is there, the guest
 * shall run afterwards or not. False with errp set.
 */
void migration_expect(MachineState *ms, const char *uri);
bool migration_incoming(MachineState *ms, const char *uri, Error **errp);
/* Whether the guest runs as soon as all is there: "cont" and "stop" while it waits. */
void migration_set_autostart(MachineState *ms, bool autostart);
/* In finish-migrate: the guest does not run afterwards, be it here or where it goes to. */
void migration_stay_stopped(MachineState *ms);

/* -only-migratable, and query-migrate's blocked-reasons: what of the machine cannot be saved. */
bool migration_check(MachineState *ms, Error **errp);

/*
 * Before the process is confined, if somebody may ask for a background snapshot later: what cannot
 * be had then.
 */
void migration_provide(MachineState *ms);

/* Whether it can be turned on in this process, where caps are what will be on; or errp. */
bool migration_check_capability(MachineState *ms, MigrationCap cap, const bool *caps, Error **errp);
bool migration_capability(const MachineState *ms, MigrationCap cap);
void migration_set_capability(MachineState *ms, MigrationCap cap, bool on);

MigrationParams migration_params(const MachineState *ms);
void migration_set_params(MachineState *ms, const MigrationParams *params);

#endif
