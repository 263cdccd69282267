/*
 * isa-debug-exit: a port that ends the emulator with an exit status.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/isa/isa.h"
#include "sysemu/runstate.h"

#define MAX_IOSIZE 0x100

typedef struct ISADebugExit {
    DeviceState dev;
    uint32_t iobase;
    uint32_t iosize;
    MemoryRegion io;
} ISADebugExit;

static uint64_t debug_exit_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

/* Always odd: a test that ends well is told from an emulator that does. */
static void debug_exit_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    ISADebugExit *d = opaque;
    unsigned value = data;

    qemu_system_shutdown_request_with_code(d->dev.machine,
                                           SHUTDOWN_CAUSE_GUEST_SHUTDOWN,
                                           (int)(value << 1 | 1));
}

static const MemoryRegionOps debug_exit_ops = {
    .read = debug_exit_read,
    .write = debug_exit_write,
    .valid = { .min_access_size = 1, .max_access_size = 4 },
};

static bool debug_exit_realize(DeviceState *dev, Error **errp)
{
    ISADebugExit *d = downcast(dev, ISADebugExit, dev);

    if (!d->iosize || d->iosize > MAX_IOSIZE) {
        error_setg(errp, "iosize must be between 1 and %d", MAX_IOSIZE);
        return false;
    }
    memory_region_init_io(&d->io, &debug_exit_ops, d, "isa-debug-exit", d->iosize);
    return isa_register_ioport(dev, &d->io, d->iobase, errp);
}

static const Property debug_exit_props[] = {
    DEFINE_PROP_UINT32("iobase", ISADebugExit, iobase, "1281", "first I/O port"),
    DEFINE_PROP_UINT32("iosize", ISADebugExit, iosize, "2", "number of ports"),
    DEFINE_PROP_END
};

static const DeviceClass debug_exit_class = {
    .oc = {
        .name = "isa-debug-exit",
        .desc = "port that ends the emulator with status value * 2 + 1",
        .instance_size = sizeof(ISADebugExit),
        .props = debug_exit_props,
    },
    .bus_type = TYPE_ISA_BUS,
    .user_creatable = true,
    .realize = debug_exit_realize,
    .state = MACHINE_STATE(&state_none),
};
DEFINE_CLASS(isa_debug_exit, &debug_exit_class.oc);
