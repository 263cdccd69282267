/*
 * A program without migration: what the rest of it asks, answered.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
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

void migration_cancel(MachineState *ms)
{
}

void migration_cleanup(MachineState *ms)
{
}

void migration_expect(MachineState *ms)
{
}

bool migration_incoming(MachineState *ms, const char *uri, Error **errp)
{
    return refuse(errp);
}

void migration_set_autostart(MachineState *ms, bool autostart)
{
}

bool migration_check(MachineState *ms, Error **errp)
{
    return refuse(errp);
}

bool migration_has_events(const MachineState *ms)
{
    return false;
}

void migration_set_events(MachineState *ms, bool on)
{
}

bool migration_has_mapped_ram(const MachineState *ms)
{
    return false;
}

void migration_set_mapped_ram(MachineState *ms, bool on)
{
}

uint64_t migration_max_bandwidth(const MachineState *ms)
{
    return 0;
}

void migration_set_max_bandwidth(MachineState *ms, uint64_t bytes)
{
}
