/*
 * The MC146818 real-time clock with 114 bytes of memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_RTC_MC146818RTC_H
#define HW_RTC_MC146818RTC_H

#include "exec/memory.h"
#include "hw/irq.h"
#include "hw/qdev.h"

#define TYPE_MC146818_RTC "mc146818rtc"

/*
 * Make the clock; ms->rtc says what time it starts with. The machine owns it. irq: its
 * interrupt output, high while any flag of an enabled interrupt is set. NULL with errp
 * set when a -global does not fit.
 */
DeviceState *mc146818_rtc_create(MachineState *ms, qemu_irq irq, Error **errp);
/* Its two ports, index and data, for the board to map. */
MemoryRegion *mc146818_rtc_region(DeviceState *dev);

#endif
