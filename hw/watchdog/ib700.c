/*
 * ib700: a watchdog of two ports. A write to the first arms it, for 30 seconds less twice
 * what is written; a write to the other one stops it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/isa/isa.h"
#include "qemu/timer.h"
#include "sysemu/watchdog.h"

#define PORT_STOP       0x441
#define PORT_START      0x443
#define MAX_SECONDS     30
#define STEP_SECONDS    2
#define COUNT_MASK      0xf

typedef struct IB700State {
    DeviceState dev;
    MemoryRegion stop, start;
    QEMUTimer timer;
} IB700State;

static void ib700_expired(void *opaque)
{
    IB700State *s = opaque;

    watchdog_perform_action(s->dev.machine);
}

static uint64_t ib700_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0xff;
}

static void ib700_start(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    IB700State *s = opaque;
    int64_t seconds = MAX_SECONDS - STEP_SECONDS * (int64_t)(data & COUNT_MASK);

    timer_mod_ns(&s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                 seconds * NANOSECONDS_PER_SECOND);
}

static void ib700_stop(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    IB700State *s = opaque;

    timer_del(&s->timer);
}

static const MemoryRegionOps start_ops = {
    .read = ib700_read,
    .write = ib700_start,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

static const MemoryRegionOps stop_ops = {
    .read = ib700_read,
    .write = ib700_stop,
    .valid = { .min_access_size = 1, .max_access_size = 1 },
};

static bool ib700_realize(DeviceState *dev, Error **errp)
{
    IB700State *s = downcast(dev, IB700State, dev);

    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, ib700_expired, s);
    memory_region_init_io(&s->stop, &stop_ops, s, "ib700-stop", 1);
    memory_region_init_io(&s->start, &start_ops, s, "ib700-start", 1);
    return isa_register_ioport(dev, &s->stop, PORT_STOP, errp) &&
           isa_register_ioport(dev, &s->start, PORT_START, errp);
}

static void ib700_unrealize(DeviceState *dev)
{
    timer_del(&downcast(dev, IB700State, dev)->timer);
}

static void ib700_reset(DeviceState *dev)
{
    timer_del(&downcast(dev, IB700State, dev)->timer);
}

static const StateField ib700_fields[] = {
    STATE_TIMER(IB700State, timer),
    STATE_END
};

static const StateDesc ib700_state = { .version = 1, .fields = ib700_fields };

static const DeviceClass ib700_class = {
    .oc = {
        .name = "ib700",
        .desc = "watchdog of the iBASE 700",
        .instance_size = sizeof(IB700State),
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = ib700_realize,
    .unrealize = ib700_unrealize,
    .reset = ib700_reset,
    .state = MACHINE_STATE(&ib700_state),
};
DEFINE_CLASS(ib700, &ib700_class.oc);
