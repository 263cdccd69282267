/*
 * The PC's pair of 8259A interrupt controllers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_INTC_I8259_H
#define HW_INTC_I8259_H

#include "exec/memory.h"
#include "hw/core/state.h"
#include "hw/irq.h"
#include "sysemu/accel-chips.h"

#define PIC_NUM_IRQS 16

typedef struct PICState PICState;

/* obj is a PICState. */
extern const StateDesc pic_state;
/* Of master and slave. Nobody else looks at them meanwhile; pic_state.post_load() acts on them. */
PICChip *pic_chip(PICState *s, unsigned n);

/* Master and slave, cascaded at input 2. intr: INTR to the CPU or LINT0. */
PICState *pic_new(qemu_irq intr);
void pic_free(PICState *s);
/* As before ICW1, all masked; the ELCR is cleared. Input levels stay. */
void pic_reset(PICState *s);

/* Two ports each; accesses need no machine lock. */
MemoryRegion *pic_region(PICState *s, unsigned chip);
/* The two edge/level control registers. */
MemoryRegion *pic_elcr_region(PICState *s);
/* Input n of 16; 2 is the cascade and not connected. Any thread. */
qemu_irq pic_irq(PICState *s, unsigned n);

/*
 * The CPU's acknowledge cycle. Any thread. Returns the vector, a spurious
 * one (input 7 or 15) when the request has gone.
 */
int pic_acknowledge(PICState *s);

/* "info pic", caller frees. */
char *pic_dump(PICState *s);
/* "info irq": how often the CPU took input n. */
uint64_t pic_count(PICState *s, unsigned n);

#endif
