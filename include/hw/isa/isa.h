/*
 * The ISA bus: I/O ports and sixteen interrupt lines.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_ISA_ISA_H
#define HW_ISA_ISA_H

#include "exec/memory.h"
#include "hw/irq.h"
#include "hw/qdev.h"

#define TYPE_ISA_BUS "ISA"
#define ISA_NUM_IRQS 16

typedef struct ISABus {
    BusState bus;
    MemoryRegion *address_space_io;
    qemu_irq irqs[ISA_NUM_IRQS];
} ISABus;

/* irqs: ISA_NUM_IRQS lines. The bus registers with the machine as "isa.0". */
void isa_bus_init(ISABus *isa, MachineState *ms, MemoryRegion *io,
                  const qemu_irq *irqs);

/*
 * For realize() of a device on the bus: the line. errp is set and an unconnected line
 * returned if n is no ISA line.
 */
qemu_irq isa_get_irq(const DeviceState *dev, unsigned n, Error **errp);
/*
 * Put mr at port iobase; false with errp set when it does not fit into the
 * 64 KiB of ports or overlaps another device's.
 */
bool isa_register_ioport(DeviceState *dev, MemoryRegion *mr, uint32_t iobase,
                         Error **errp);

#endif
