/*
 * I/O APIC with 24 inputs (82093AA, with the EOI register of version 0x20).
 *
 * It knows nobody at its other end: interrupts leave as messages, in the form
 * of the SDM's "Message Signalled Interrupts", through IOAPICOps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_INTC_IOAPIC_H
#define HW_INTC_IOAPIC_H

#include "exec/memory.h"
#include "hw/core/state.h"
#include "hw/irq.h"
#include "sysemu/accel-chips.h"

typedef struct IOAPICState IOAPICState;

/* obj is an IOAPICState. */
extern const StateDesc ioapic_state;

/* For who keeps them elsewhere; nobody else looks at them meanwhile. */
void ioapic_get_registers(const IOAPICState *s, IOAPICRegisters *r);
void ioapic_set_registers(IOAPICState *s, const IOAPICRegisters *r);

/*
 * All are called with the IOAPIC's own lock held, on any thread: they must not
 * call back into it.
 */
typedef struct IOAPICOps {
    /* Deliver. Returns how many CPUs took it; 0: none, asked again later. */
    int (*send_msi)(void *opaque, uint64_t addr, uint32_t data);
    /*
     * The redirection entry of pin was written; for who must know in advance
     * which messages come and which vectors need ioapic_eoi(). May be NULL.
     */
    void (*route_changed)(void *opaque, unsigned pin, uint64_t addr,
                          uint32_t data, bool masked);
} IOAPICOps;

/*
 * ops and opaque stay the caller's. id: the first value of the ID register. ext_dest: bits 55:49
 * of an entry are bits 14:8 of its destination, and bits 11:5 of its message's address, as KVM's
 * paravirtual MSI_EXT_DEST_ID has it (Linux, Documentation/virt/kvm/x86/cpuid.rst).
 */
IOAPICState *ioapic_new(uint8_t id, bool ext_dest, const IOAPICOps *ops, void *opaque);
void ioapic_free(IOAPICState *s);
/* Power-on state: all masked. Levels of the inputs stay. */
void ioapic_reset(IOAPICState *s);

/* The 4 KiB of registers; accesses need no machine lock. */
MemoryRegion *ioapic_region(IOAPICState *s);
/* Input pin, below IOAPIC_NUM_PINS. Any thread. */
qemu_irq ioapic_irq(IOAPICState *s, unsigned pin);
/* A CPU ended level-triggered vector. Any thread. */
void ioapic_eoi(IOAPICState *s, uint8_t vector);

/* "info pic": the redirection table in a person's form, as number index; caller frees. */
char *ioapic_dump(IOAPICState *s, unsigned index);
/* "info irq": messages sent for pin. Those of irqfds do not come by here. */
uint64_t ioapic_count(IOAPICState *s, unsigned pin);

#endif
