/*
 * The PC's interrupt controllers and interval timer in user space, wired up.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_IRQCHIP_H
#define HW_I386_IRQCHIP_H

#include "hw/boards.h"
#include "hw/intc/ioapic.h"
#include "hw/irq.h"
#include "sysemu/accel.h"
#include "target/i386/apic.h"

/*
 * GSI n is input n of the I/O APIC, below 16 it is also IRQ n of the PICs; from IOAPIC_NUM_PINS
 * on it is input n - IOAPIC_NUM_PINS of the second I/O APIC.
 */
#define X86_MAX_IOAPICS 2
#define X86_NUM_GSIS    (IOAPIC_NUM_PINS * X86_MAX_IOAPICS)

typedef struct X86Irqchip X86Irqchip;

typedef struct X86IrqchipConfig {
    /*
     * ACCEL_IRQCHIP_USER: all of them; ms->apic_bus is set, CPUs made later get an
     * APIC. ACCEL_IRQCHIP_SPLIT: all but local APICs, which the accelerator has.
     * ACCEL_IRQCHIP_KERNEL: the accelerator has made its own, only the second I/O APIC
     * is to be added. The kernel does not tell it of EOIs: its inputs are edges, whatever the
     * guest programs.
     */
    AccelIrqchipMode mode;
    bool pic;
    bool ioapic2;               /* a second I/O APIC, with the next id */
    uint8_t ioapic_id;
    uint32_t apic_id_limit;     /* one more than the highest APIC id */
} X86IrqchipConfig;

/*
 * Make the controllers, put them at their places in ms->system_memory and
 * ms->system_io, and register their reset. Before any CPU is made. gsi, an array of
 * X86_NUM_GSIS, gets a line for each input of the I/O APICs made. NULL with errp set when the
 * accelerator fails. They live as long as the machine.
 */
X86Irqchip *x86_irqchip_new(MachineState *ms, const X86IrqchipConfig *config,
                            qemu_irq *gsi, Error **errp);
/* Add the PIT; its output 0 drives irq0, that is (a tap on) GSI 0. */
void x86_irqchip_add_pit(X86Irqchip *chip, MachineState *ms, qemu_irq irq0);
/* After the address spaces were destroyed and all threads have ended. */
void x86_irqchip_free(X86Irqchip *chip);

/* Call fn for each of the controllers and the PIT. */
void x86_irqchip_foreach_state(X86Irqchip *chip, StateFn *fn, void *opaque);
/* The same of those that the accelerator keeps (ACCEL_IRQCHIP_KERNEL). */
void x86_kernel_chips_foreach_state(MachineState *ms, bool pit, StateFn *fn, void *opaque);

/* "info pic": the PICs and the I/O APIC; caller frees. */
char *x86_irqchip_dump(X86Irqchip *chip);
/* How often each input has interrupted, the same way. */
char *x86_irqchip_counts(X86Irqchip *chip);

#endif
