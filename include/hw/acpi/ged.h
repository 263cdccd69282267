/*
 * The generic event device (ACPI 6.5, 5.6.9), and the registers of a hardware-reduced
 * machine: sleep control and status (4.8.3.7), reset (4.8.3.6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_ACPI_GED_H
#define HW_ACPI_GED_H

#include "exec/memory.h"
#include "hw/boards.h"
#include "hw/irq.h"

/* The registers, 8 bits each, at AcpiGedSlot.regs_base. */
#define ACPI_GED_SLEEP_CONTROL  0
#define ACPI_GED_SLEEP_STATUS   1
#define ACPI_GED_RESET          2
#define ACPI_GED_REG_COUNT      3
#define ACPI_GED_RESET_VALUE    0x42
/* SLP_TYP of S5, as the board's \_S5 object has to say. */
#define ACPI_GED_SLP_TYP_S5     5

#define ACPI_GED_SELECTOR_SIZE  4

/* Bits of the event selector; each belongs to one device. */
#define ACPI_GED_POWER_BUTTON   (1u << 1)
#define ACPI_GED_VMGENID        (1u << 4)
#define ACPI_GED_VMCLOCK        (1u << 5)

/* Where the board puts it. */
typedef struct AcpiGedSlot {
    hwaddr selector_base;
    hwaddr regs_base;
    uint32_t gsi;               /* as the tables name it */
    qemu_irq irq;
} AcpiGedSlot;

/*
 * Make it and map its registers into ms->system_memory; the machine owns it. It has a power
 * button, which the machine's powerdown request presses. Before the map is sealed. NULL with
 * errp set when a -global does not fit.
 */
DeviceState *acpi_ged_create(MachineState *ms, const AcpiGedSlot *slot, Error **errp);

/*
 * Let bit of the selector notify the device called path (in the DSDT, seen from \_SB) with
 * value. Before the tables are built.
 */
void acpi_ged_add_event(DeviceState *ged, uint32_t bit, const char *path, uint8_t value);
/* It has happened. Machine lock. */
void acpi_ged_send_event(DeviceState *ged, uint32_t bit);

#endif
