/*
 * What a reset does, in order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/reset.h"

typedef struct ResetEntry {
    QEMUResetHandler *fn;
    void *opaque;
} ResetEntry;

void qemu_register_reset(MachineState *ms, QEMUResetHandler *fn, void *opaque)
{
    ResetEntry *re = g_new0(ResetEntry, 1);

    re->fn = fn;
    re->opaque = opaque;
    if (!ms->reset_handlers) {
        ms->reset_handlers = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(ms->reset_handlers, re);
}

void qemu_devices_reset(MachineState *ms)
{
    const MachineClass *mc = machine_get_class(ms);

    /* Devices first: they must not touch guest memory after it was restored. */
    qdev_reset_all(ms);
    for (guint i = 0; ms->reset_handlers && i < ms->reset_handlers->len; i++) {
        ResetEntry *re = g_ptr_array_index(ms->reset_handlers, i);

        re->fn(re->opaque);
    }
    if (mc->reset) {
        mc->reset(ms);
    }
}
