/*
 * A program without background-snapshot: the capability cannot be had, so nothing else is called.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "internal.h"

void migration_provide(MachineState *ms)
{
}

bool background_check(MachineState *ms, const bool *caps, Error **errp)
{
    error_setg(errp, "Background-snapshot is not supported: this program was built without it");
    return false;
}

bool background_prepare(Migration *m, Error **errp)
{
    return background_check(m->ms, m->caps, errp);
}

int background_take(Migration *m)
{
    return -ENOSYS;
}

int background_await(Migration *m)
{
    return -ENOSYS;
}

int background_write(Migration *m, SectionWriter *w, uint64_t image)
{
    return -ENOSYS;
}

void background_lift(Migration *m, bool failed)
{
}

void background_end(Migration *m)
{
}

void background_cleanup(Migration *m)
{
}
