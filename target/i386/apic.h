/*
 * The seam between an x86 CPU that we run ourselves and its local APIC.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 *
 * References "SDM" are to the Intel manual, volume 3A, chapter "Advanced
 * Programmable Interrupt Controller".
 *
 * Three parties:
 *   the CPU     software CPU, or KVM with kernel-irqchip=off
 *   APICState   one for each CPU: target/i386/apic/apic*.c
 *   APICBus     all APICs of a machine; IPIs, MSIs, EOI broadcasts, ExtINT
 *
 * Threads. "Own thread" is the thread that runs the CPU (or any thread while
 * the CPU is paused). Nothing here takes or needs the machine lock. Posting an
 * interrupt is lock-free and allowed on any thread: an atomic OR into IRR, then
 * APICCPUOps.interrupt().
 *
 * The CPU's side of the protocol:
 *   1. interrupt() sets a bit in the CPU's poll word and wakes it from HLT.
 *   2. The CPU clears that bit FIRST, then looks: apic_has_interrupt().
 *   3. If true and interrupts can be taken (IF=1, no shadow), it calls
 *      apic_get_interrupt() and delivers the vector; then looks again when
 *      interrupts can be taken again. If IF=0 it remembers that something waits
 *      and looks again at STI, POPF, IRET and so on.
 *   4. If false it may forget: whatever becomes deliverable later (new request,
 *      EOI, lower TPR, LINT0) calls interrupt() once more.
 *   5. HLT: sleep until the poll word is set. The main loop fires the timer.
 */
#ifndef HW_I386_APIC_H
#define HW_I386_APIC_H

#include "exec/memory.h"
#include "hw/core/state.h"
#include "hw/irq.h"
#include "target/i386/msr.h"

typedef struct APICState APICState;
typedef struct APICBus APICBus;
typedef struct X86CPU X86CPU;

/* APIC to CPU. All on any thread, must not block, must not call back. */
typedef struct APICCPUOps {
    /* Something may be deliverable: set the poll word, wake the CPU. */
    void (*interrupt)(void *cpu);
    void (*nmi)(void *cpu);             /* latch an NMI, wake */
    void (*init)(void *cpu);            /* latch an INIT, wake */
    /* Latch a start-up IPI (start at vector << 12), wake; CPU drops it unless it waits. */
    void (*sipi)(void *cpu, uint8_t vector);
    /* The guest's TSC now; NULL: no deadline timer. */
    uint64_t (*read_tsc)(void *cpu);
} APICCPUOps;

/* What this CPU's CPUID says; decides which bits are reserved. */
typedef struct APICFeatures {
    unsigned phys_bits;         /* MAXPHYADDR */
    bool x2apic;
    bool tsc_deadline;          /* needs tsc_hz and APICCPUOps.read_tsc */
    uint64_t tsc_hz;
} APICFeatures;

/*
 * Tell the APIC who its CPU is; before it first runs (vcpu_init()). ops and cpu
 * stay the caller's and outlive the APIC's use. Without it (-accel qtest)
 * requests just stay in IRR.
 */
void apic_connect_cpu(APICState *apic, const APICCPUOps *ops, void *cpu,
                      const APICFeatures *features);

/* Interrupt delivery: own thread ------------------------------------------- */

/* True when apic_get_interrupt() would return a vector. */
bool apic_has_interrupt(APICState *apic);
/*
 * Acknowledge: the vector to deliver now, or -1. Moves it from IRR to ISR, or
 * runs the 8259's acknowledge cycle for ExtINT. As looking and acknowledging
 * are one step the APIC's spurious vector is never needed.
 */
int apic_get_interrupt(APICState *apic);
/* EOI, as by a write to the register; broadcasts to I/O APICs if level. */
void apic_eoi(APICState *apic);
/* CR8, the class of TPR: 0-15. The CPU checks CR8's reserved bits. */
uint8_t apic_get_cr8(const APICState *apic);
void apic_set_cr8(APICState *apic, uint8_t cr8);
/*
 * KVM's paravirtual EOI: flag is the word in guest RAM (found by the CPU through
 * address_space_map(); 4-byte aligned) that MSR_KVM_PV_EOI_EN names; NULL: off.
 */
void apic_set_pv_eoi(APICState *apic, uint32_t *flag);

/* Registers: own thread ---------------------------------------------------- */

/*
 * The guest-physical page that this CPU's APIC registers are at, or
 * UINT64_MAX in x2APIC mode and when disabled. The CPU routes its own accesses
 * to that page here, past the address space, and asks again after
 * apic_msr_write(MSR_APIC_BASE) and after reset. 4-byte aligned accesses
 * are architectural; others read as the part of the register or are dropped.
 */
uint64_t apic_mmio_page(const APICState *apic);
uint32_t apic_mmio_read(APICState *apic, uint32_t offset, unsigned size);
void apic_mmio_write(APICState *apic, uint32_t offset, uint32_t value,
                     unsigned size);
/*
 * MSR_APIC_BASE, MSR_TSC_DEADLINE, MSR_X2APIC_FIRST to MSR_X2APIC_LAST. False: #GP(0). Outside
 * x2APIC mode those last give #GP, as do reserved bits, read-only registers and illegal mode
 * changes (SDM, "x2APIC State Transitions").
 */
bool apic_msr_read(APICState *apic, uint32_t msr, uint64_t *value);
bool apic_msr_write(APICState *apic, uint32_t msr, uint64_t value);
uint64_t apic_get_base(const APICState *apic);

/*
 * An IPI to one CPU by its APIC id, outside the ICR: KVM's hypercall. icr: the
 * delivery mode (fixed or NMI) and the vector. Returns 1, or 0: nobody took it.
 */
int apic_send_ipi_to(APICState *apic, uint32_t apic_id, uint32_t icr);

/* The guest's TSC was written or TSC_ADJUST changed: re-arm the deadline. */
void apic_tsc_changed(APICState *apic);
/* It has another rate from now on; apic_tsc_changed() follows. */
void apic_set_tsc_hz(APICState *apic, uint64_t hz);
/* Next expiry in ns of QEMU_CLOCK_VIRTUAL, or -1. */
int64_t apic_timer_deadline(APICState *apic);

/* Power-on state; INIT keeps IA32_APIC_BASE (and so the mode) and the id. */
void apic_reset(APICState *apic);
void apic_init_reset(APICState *apic);

/* "info lapic": registers in a person's form; caller frees. */
char *apic_dump(APICState *apic);

/* The bus ------------------------------------------------------------------ */

/* What the board wires to the bus; NULL members: not there. Any thread. */
typedef struct APICBusOps {
    /* A level-triggered vector was EOIed: to the I/O APICs. */
    void (*eoi)(void *opaque, uint8_t vector);
    /* 8259 acknowledge cycle: the vector. */
    int (*extint_ack)(void *opaque);
} APICBusOps;

/* APIC ids from here on need x2APIC mode: an id of 8 bits is none, or everybody. */
#define XAPIC_ID_LIMIT 255u

/*
 * id_limit: one more than the highest APIC id. Above XAPIC_ID_LIMIT all APICs come out of reset in
 * x2APIC mode, as firmware leaves them then (SDM, "x2APIC State Transitions"), and bits 11:5 of a
 * message's address are bits 14:8 of its destination (KVM's MSI_EXT_DEST_ID), none of which is a
 * broadcast.
 */
APICBus *apic_bus_new(uint32_t id_limit, const APICBusOps *ops, void *opaque);
/* Frees the bus and its APICs; CPUs and I/O threads have ended. */
void apic_bus_free(APICBus *bus);
/* apic_reset() for all; CPUs paused. */
void apic_bus_reset(APICBus *bus);
/*
 * Make the APIC of one CPU; ids are unique and below id_limit. The bus owns
 * it. Before any CPU runs.
 */
APICState *apic_new(APICBus *bus, uint32_t apic_id, bool bsp);
/* By id; NULL: none. */
APICState *apic_bus_find(const APICBus *bus, uint32_t apic_id);

/* All of them, of APICState; the bus's own. */
const GPtrArray *apic_bus_list(const APICBus *bus);
/* obj is an APICState. */
extern const StateDesc apic_state;

/*
 * A message-signalled interrupt (SDM, "Message Signalled Interrupts"): addr is
 * 0xfeexxxxx. Any thread. Returns how many CPUs took it: 0, none.
 */
int apic_bus_send_msi(APICBus *bus, uint64_t addr, uint32_t data);
#define MSI_DATA_LEVEL  (1u << 15)
/* The line to LINTn of every APIC: 0, the 8259's INTR; 1, a source of NMIs. Any thread. */
qemu_irq apic_bus_lint(APICBus *bus, unsigned n);
/*
 * The MSI window (1 MiB at 0xfee00000): writes become messages. No CPU's own
 * registers are in it, see apic_mmio_page(). The bus owns it.
 */
MemoryRegion *apic_bus_window(APICBus *bus);

#endif
