/*
 * The dirty log of a machine that runs, begun and ended; whoever needs it has it alone.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/iothread.h"
#include "sysemu/accel.h"
#include "sysemu/hostmem.h"

static void nothing(void *opaque)
{
}

/* Iothreads have seen it when they have done something. */
static void tell_iothreads(MachineState *ms)
{
    for (guint i = 0; ms->objects && i < ms->objects->len; i++) {
        if (object_is_iothread(ms->objects->pdata[i])) {
            iothread_run(ms->objects->pdata[i], nothing, NULL);
        }
    }
}

bool dirty_begin(Migration *m, Error **errp)
{
    MachineState *ms = m->ms;
    const HostMemoryBackend *b = ms->memdev;
    const AccelClass *ac = accel_get_class(ms->accel);

    if (!m->log) {
        m->log = dirty_log_new(b->host, b->size);
    }
    m->pages = g_try_malloc0(QEMU_ALIGN_UP(b->size / FORMAT_PAGE, 64) / 8);
    if (!m->log || !m->pages) {
        error_setg(errp, "no memory for the dirty log");
        g_clear_pointer(&m->pages, g_free);
        return false;
    }
    address_space_set_dirty_log(&ms->memory, m->log);
    tell_iothreads(ms);
    if (ac->dirty_start && !ac->dirty_start(ms->accel, errp)) {
        address_space_set_dirty_log(&ms->memory, NULL);
        g_clear_pointer(&m->pages, g_free);
        return false;
    }
    return true;
}

void dirty_end(Migration *m)
{
    const AccelClass *ac = accel_get_class(m->ms->accel);

    address_space_set_dirty_log(&m->ms->memory, NULL);
    if (ac->dirty_stop) {
        ac->dirty_stop(m->ms->accel);
    }
    g_clear_pointer(&m->pages, g_free);
}

uint64_t dirty_take(Migration *m)
{
    const AccelClass *ac = accel_get_class(m->ms->accel);
    uint64_t n = ac->dirty_take ? ac->dirty_take(m->ms->accel, m->log, m->pages)
                                : dirty_log_take(m->log, m->pages);

    return n * FORMAT_PAGE;
}
