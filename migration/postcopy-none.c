/*
 * A program without post-copy: the capability cannot be had, so that nothing else is called.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "postcopy.h"

#include <errno.h>

#include "internal.h"

static bool refuse(Error **errp)
{
    error_setg(errp, "Postcopy is not supported: this program was built without it");
    return false;
}

bool postcopy_built(Error **errp)
{
    return refuse(errp);
}

Pager *pager_new(HostMemoryBackend *ram, Error **errp)
{
    refuse(errp);
    return NULL;
}

Postcopy *postcopy_new(Pager *pager)
{
    return NULL;
}

bool postcopy_start(Postcopy *p, Error **errp)
{
    return refuse(errp);
}

void postcopy_free(Postcopy *p)
{
}

bool postcopy_take_missing(Postcopy *p, const uint8_t *data, size_t len, Error **errp)
{
    return refuse(errp);
}

bool postcopy_take_switch(Postcopy *p, Error **errp)
{
    return refuse(errp);
}

bool postcopy_take_yours(Postcopy *p, Error **errp)
{
    return refuse(errp);
}

bool postcopy_take_pages(Postcopy *p, uint64_t offset, const uint8_t *data, uint64_t len,
                         Error **errp)
{
    return refuse(errp);
}

bool postcopy_take_zeros(Postcopy *p, const uint8_t *data, size_t len, Error **errp)
{
    return refuse(errp);
}

bool postcopy_take_end(Postcopy *p, Error **errp)
{
    return refuse(errp);
}

int postcopy_say(Postcopy *p, SectionType type, const void *data, size_t len)
{
    return -ENOSYS;
}

void postcopy_end(Postcopy *p)
{
}

int postcopy_send(Migration *m, SectionWriter *w)
{
    return -ENOSYS;
}

void postcopy_note_unsent(Migration *m, uint64_t reached, bool first)
{
}

bool migration_start_postcopy(MachineState *ms, Error **errp)
{
    return refuse(errp);
}
