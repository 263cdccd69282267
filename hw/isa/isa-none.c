/*
 * A build without an ISA bus, and without the devices that would be on it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/isa/isa.h"

void isa_bus_init(ISABus *isa, MachineState *ms, MemoryRegion *io,
                  const qemu_irq *irqs)
{
}
