/*
 * The virtio-mmio transport (virtio 1.2, section 4.2), as boards use it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_MMIO_H
#define HW_VIRTIO_VIRTIO_MMIO_H

#include "hw/boards.h"
#include "hw/irq.h"

/* Bytes of guest-physical address space that a transport takes. */
#define VIRTIO_MMIO_REGION_SIZE 0x200

/* Where the board puts a transport. */
typedef struct VirtioMMIOSlot {
    unsigned index;     /* its bus is called "virtio-mmio-bus.INDEX" */
    hwaddr base;
    unsigned irq_num;   /* as the guest's command line names it */
    qemu_irq irq;
} VirtioMMIOSlot;

/*
 * Make a transport with an empty bus and map its registers into
 * ms->system_memory. Before the map is sealed; devices plug in by -device, the
 * lowest free transport first. False with errp set on failure (-global).
 */
bool virtio_mmio_create(MachineState *ms, const VirtioMMIOSlot *slot,
                        Error **errp);

/* Unmap the registers of each transport without a device. Before sealing. */
void virtio_mmio_unmap_unused(MachineState *ms);

/*
 * Append " virtio_mmio.device=512@0xBASE:IRQ" for each transport with a device,
 * in ascending order of creation, as Linux' driver reads it; before a "--", behind
 * which Linux passes everything on to init.
 */
void virtio_mmio_append_cmdline(MachineState *ms, GString *cmdline);

#endif
