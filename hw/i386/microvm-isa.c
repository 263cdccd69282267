/*
 * Legacy mode of the microvm machine: the ISA bus and its serial ports.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "chardev/char.h"
#include "hw/i386/microvm.h"

static bool has_serials(const MachineState *ms)
{
    for (guint i = 0; i < ms->serials->len; i++) {
        if (g_ptr_array_index(ms->serials, i)) {
            return true;
        }
    }
    return false;
}

static bool add_serial(MicrovmMachineState *mms, const DeviceClass *dc,
                       unsigned index, Error **errp)
{
    MachineState *ms = &mms->parent;
    Chardev *chr = g_ptr_array_index(ms->serials, index);
    g_autofree char *number = g_strdup_printf("%u", index);
    DeviceState *dev = qdev_new(dc, NULL);

    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !property_set(&dev->obj, "index", number, errp) ||
        !property_set(&dev->obj, "chardev", chr->obj.id, errp) ||
        !qdev_realize(dev, ms, &mms->isa.bus, errp)) {
        object_free(&dev->obj);
        return false;
    }
    return true;
}

static bool add_serials(MicrovmMachineState *mms, Error **errp)
{
    const GPtrArray *serials = mms->parent.serials;
    const ObjectClass *oc = object_class_by_name(device_classes, "isa-serial");

    for (guint i = 0; i < serials->len; i++) {
        if (!g_ptr_array_index(serials, i)) {
            continue;
        }
        if (!oc) {
            error_setg(errp, "serial ports are not compiled into this binary");
            return false;
        }
        if (!add_serial(mms, downcast(oc, const DeviceClass, oc), i, errp)) {
            return false;
        }
    }
    return true;
}

static void make_bus(MicrovmMachineState *mms)
{
    if (!mms->has_isa) {
        mms->has_isa = true;
        isa_bus_init(&mms->isa, &mms->parent, &mms->parent.system_io, mms->gsi);
    }
}

void microvm_want_bus(MachineState *ms, const char *type)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    if (!strcmp(type, "ISA") && mms->legacy != ON_OFF_AUTO_OFF) {
        make_bus(mms);
    }
}

bool microvm_init_isa(MicrovmMachineState *mms, Error **errp)
{
    bool serials = has_serials(&mms->parent);

    if (mms->legacy == ON_OFF_AUTO_ON || (mms->legacy == ON_OFF_AUTO_AUTO && serials)) {
        make_bus(mms);
        return add_serials(mms, errp);
    }
    /* As with QEMU's isa-serial=off the backend is opened, and unused. */
    if (serials) {
        warn_report("legacy=off leaves no serial port for -serial");
    }
    return true;
}
