/*
 * The PC's 8254 interval timer and the part of port 0x61 that goes with it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_TIMER_I8254_H
#define HW_TIMER_I8254_H

#include "exec/memory.h"
#include "hw/core/state.h"
#include "hw/irq.h"
#include "sysemu/accel-chips.h"

#define PIT_FREQ 1193182    /* Hz */

typedef struct PITState PITState;

/* For who keeps registers elsewhere; nobody else looks at them meanwhile. */
PITChannel *pit_channel(PITState *s, unsigned n);
/* Mode and gate are there: count (0: 65536) was loaded so long ago; -1: it does not count. */
void pit_channel_start(PITChannel *c, uint32_t count, int64_t elapsed_ns);
/* Channels are there: the next interrupt is as they say. */
void pit_restart(PITState *s);

/* obj is a PITState. */
extern const StateDesc pit_state;

/* out: the output of channel 0. Counts on QEMU_CLOCK_VIRTUAL. */
PITState *pit_new(qemu_irq out);
void pit_free(PITState *s);
/* No channel counts until it is programmed. */
void pit_reset(PITState *s);

/* Four ports; accesses need no machine lock. */
MemoryRegion *pit_region(PITState *s);
/*
 * System control port B (0x61): gate 2 (bit 0), speaker data (bit 1), refresh
 * toggle (bit 4), output 2 (bit 5).
 */
MemoryRegion *pit_port_b_region(PITState *s);

#endif
