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
    return downcast(dev->parent_bus, ISABus, bus);
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

bool isa_register_ioport(DeviceState *dev, MemoryRegion *mr, uint32_t iobase,
                         Error **errp)
{
    MemoryRegion *io = bus_of(dev)->address_space_io;
    const MemoryRegion *other = memory_region_find(io, iobase, mr->size);

    if (iobase + mr->size > ISA_NUM_PORTS) {
        error_setg(errp, "I/O ports 0x%x-0x%" PRIx64 " are beyond 0xffff", iobase,
                   iobase + mr->size - 1);
        return false;
    }
    if (other) {
        error_setg(errp, "I/O ports 0x%x-0x%" PRIx64 " overlap those of '%s'", iobase,
                   iobase + mr->size - 1, other->name);
        return false;
    }
    memory_region_add_subregion(io, iobase, mr);
    return true;
}
