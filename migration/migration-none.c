/*
 * A program without migration: what the rest of it asks, answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration/dirty-rate.h"
#include "migration/migration.h"

static bool refuse(Error **errp)
{
    error_setg(errp, "this program was built without migration: machines cannot be saved");
    return false;
}

const char *migration_status_name(MigrationStatus status)
{
    return "none";
}

void migration_get_info(const MachineState *ms, MigrationInfo *info)
{
    *info = (MigrationInfo) { .status = MIGRATION_NONE };
}

bool migration_start(MachineState *ms, const char *uri, MigrationDone *done, void *opaque,
                     Error **errp)
{
    return refuse(errp);
}

void migration_forget_waiter(MachineState *ms)
{
}

bool migration_cancel(MachineState *ms, Error **errp)
{
    return true;
}

bool migration_start_postcopy(MachineState *ms, Error **errp)
{
    return refuse(errp);
}

void migration_provide(MachineState *ms)
{
}

bool migration_check_capability(MachineState *ms, MigrationCap cap, const bool *caps, Error **errp)
{
    return true;
}

void migration_cleanup(MachineState *ms)
{
}

void migration_expect(MachineState *ms, const char *uri)
{
}

bool migration_incoming(MachineState *ms, const char *uri, Error **errp)
{
    return refuse(errp);
}

void migration_set_autostart(MachineState *ms, bool autostart)
{
}

void migration_stay_stopped(MachineState *ms)
{
}

bool migration_in_progress(const MachineState *ms)
{
    return false;
}

bool migration_check(MachineState *ms, Error **errp)
{
    return refuse(errp);
}

bool migration_take_images(MachineState *ms, Error **errp)
{
    return true;
}

bool migration_continue(MachineState *ms, Error **errp)
{
    return refuse(errp);
}

bool migration_capability(const MachineState *ms, MigrationCap cap)
{
    return false;
}

void migration_set_capability(MachineState *ms, MigrationCap cap, bool on)
{
}

MigrationParams migration_params(const MachineState *ms)
{
    return (MigrationParams) { 0 };
}

bool dirty_rate_start(MachineState *ms, unsigned seconds, unsigned samples, DirtyRateMode mode,
                      Error **errp)
{
    return refuse(errp);
}

void dirty_rate_get(const MachineState *ms, DirtyRateInfo *info)
{
    *info = (DirtyRateInfo) { .samples = DIRTY_RATE_SAMPLES };
}

void migration_set_params(MachineState *ms, const MigrationParams *params)
{
}
