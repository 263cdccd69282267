/*
 * Devices that are a piece of memory which the guest finds by ACPI, and an event when it
 * changes: vmgenid and vmclock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_ACPI_SHARED_PAGE_H
#define HW_ACPI_SHARED_PAGE_H

#include "hw/boards.h"

/*
 * For boards, after the device is realized and before the tables are built: put it at addr, in
 * RAM of a page of its own that the memory map reserves, and let ged tell of changes. False
 * with errp set if the range is not RAM.
 */
bool acpi_vmgenid_place(DeviceState *dev, hwaddr addr, DeviceState *ged, Error **errp);
bool acpi_vmclock_place(DeviceState *dev, hwaddr addr, DeviceState *ged, Error **errp);

#endif
