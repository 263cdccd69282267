/*
 * pvpanic: a port by which a guest's kernel tells of its crash (QEMU, docs/specs/pvpanic).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/aml.h"
#include "hw/core/event.h"
#include "hw/isa/isa.h"
#include "sysemu/runstate.h"

/* Bits of the port: a read tells which a guest may write. */
#define PANICKED        (1u << 0)
#define CRASH_LOADED    (1u << 1)       /* the guest has crashed and will deal with it itself */
#define ALL_EVENTS      (PANICKED | CRASH_LOADED)

typedef struct PVPanicState {
    DeviceState dev;
    uint16_t ioport;
    uint8_t events;
    MemoryRegion io;
    EventLimit limit;
} PVPanicState;

static uint64_t pvpanic_read(void *opaque, hwaddr addr, unsigned size)
{
    const PVPanicState *s = opaque;

    return s->events;
}

static void pvpanic_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    PVPanicState *s = opaque;
    MachineState *ms = s->dev.machine;

    if (!(data & s->events) || !event_limit_allows(&s->limit)) {
        return;
    }
    if (data & s->events & PANICKED) {
        qemu_system_guest_panicked(ms);
    } else {
        machine_event(ms, "GUEST_CRASHLOADED", (EventField[]) { EVENT_STR("action", "run") }, 1);
    }
}

static const MemoryRegionOps pvpanic_ops = {
    .read = pvpanic_read,
    .write = pvpanic_write,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

static bool pvpanic_realize(DeviceState *dev, Error **errp)
{
    PVPanicState *s = downcast(dev, PVPanicState, dev);

    if (s->events & ~ALL_EVENTS) {
        error_setg(errp, "events are bits of %d", ALL_EVENTS);
        return false;
    }
    dev->machine->reports_panics = true;
    memory_region_init_io(&s->io, &pvpanic_ops, s, "pvpanic", 1);
    return isa_register_ioport(dev, &s->io, s->ioport, errp);
}

static void pvpanic_build_aml(DeviceState *dev, Aml *aml)
{
    const PVPanicState *s = downcast(dev, const PVPanicState, dev);

    aml_begin_device(aml, "PEVT");
    aml_name(aml, "_HID");
    aml_string(aml, "QEMU0001");
    aml_name(aml, "_STA");
    aml_integer(aml, 0xf);
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_io(aml, s->ioport, 1, 1);
    aml_end(aml);
    aml_end(aml);
}

STATE_NOT(PVPanicState, limit, "of events for the host's clients");

static const Property pvpanic_props[] = {
    DEFINE_PROP_UINT16("ioport", PVPanicState, ioport, "1285", "I/O port"),
    DEFINE_PROP_UINT8("events", PVPanicState, events, "3",
                      "events that the guest may tell of: 1 a crash, 2 a crash that it handles"),
    DEFINE_PROP_END
};

static const DeviceClass pvpanic_class = {
    .oc = {
        .name = "pvpanic",
        .desc = "port by which the guest tells of its crash",
        .instance_size = sizeof(PVPanicState),
        .props = pvpanic_props,
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = pvpanic_realize,
    .build_aml = pvpanic_build_aml,
    .state = MACHINE_STATE(&state_none),
};
DEFINE_CLASS(pvpanic, &pvpanic_class.oc);
