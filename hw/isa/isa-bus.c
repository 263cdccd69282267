/*
 * The ISA bus: where its devices get their ports and interrupt lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/boards.h"
#include "hw/isa/isa.h"

#define ISA_NUM_PORTS 0x10000

void isa_bus_init(ISABus *isa, MachineState *ms, MemoryRegion *io,
                  const qemu_irq *irqs)
{
    isa->address_space_io = io;
    memcpy(isa->irqs, irqs, sizeof(isa->irqs));
    qbus_init(&isa->bus, TYPE_ISA_BUS, "isa.0", NULL, ms);
}

static ISABus *bus_of(const DeviceState *dev)
{
    return (ISABus *)dev->parent_bus;
}

qemu_irq isa_get_irq(const DeviceState *dev, unsigned n, Error **errp)
{
    if (n >= ISA_NUM_IRQS) {
        error_setg(errp, "ISA interrupt %u does not exist: the maximum is %d", n,
                   ISA_NUM_IRQS - 1);
        return (qemu_irq){ 0 };
    }
    return bus_of(dev)->irqs[n];
}

typedef struct PortRange {
    hwaddr start;
    uint64_t size;
    const MemoryRegion *taken_by;
} PortRange;

static void look_for_overlap(const MemoryRegion *mr, hwaddr start, unsigned depth,
                             void *opaque)
{
    PortRange *range = opaque;

    if (mr->kind != MEMORY_REGION_CONTAINER && start < range->start + range->size &&
        range->start < start + mr->size) {
        range->taken_by = mr;
    }
}

bool isa_register_ioport(DeviceState *dev, MemoryRegion *mr, uint32_t iobase,
                         Error **errp)
{
    MemoryRegion *io = bus_of(dev)->address_space_io;
    PortRange range = { .start = iobase, .size = mr->size };

    if (range.start + range.size > ISA_NUM_PORTS) {
        error_setg(errp, "I/O ports 0x%x-0x%" PRIx64 " are beyond 0xffff", iobase,
                   range.start + range.size - 1);
        return false;
    }
    memory_region_foreach(io, look_for_overlap, &range);
    if (range.taken_by) {
        error_setg(errp, "I/O ports 0x%x-0x%" PRIx64 " overlap those of '%s'", iobase,
                   range.start + range.size - 1, range.taken_by->name);
        return false;
    }
    memory_region_add_subregion(io, iobase, mr);
    return true;
}
