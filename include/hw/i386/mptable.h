/*
 * MultiProcessor Specification 1.4 tables.
 *
 * Pure functions into buffers: the board decides where they go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_MPTABLE_H
#define HW_I386_MPTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the MP floating pointer structure (4.1). */
#define MPTABLE_FLOATING_SIZE 16

/* What the tables describe; everything a board knows and a guest must find. */
typedef struct MPTableInfo {
    uint32_t nr_cpus;           /* 1 to 254 */
    const uint8_t *apic_ids;    /* nr_cpus of them; [0] is the boot processor */
    uint8_t ioapic_id;          /* none of apic_ids, nor 0xff */
    uint32_t ioapic_addr;
    uint32_t lapic_addr;
    uint32_t cpu_signature;     /* CPUID.1:EAX */
    uint32_t cpu_features;      /* CPUID.1:EDX */
    bool pic;                   /* an 8259A drives LINT0 of the boot processor */
    uint8_t nr_gsis;            /* I/O APIC inputs wired up: 16 or 24 */
    uint32_t gsi_mask;          /* bit n: GSI n is in use and gets an entry */
    uint8_t irq0_pin;           /* the I/O APIC input of GSI 0; GSI n > 0 is on input n */
} MPTableInfo;

/* Bytes that mptable_generate() writes: header and all entries. */
size_t mptable_size(const MPTableInfo *info);

/*
 * Write the configuration table (4.2, 4.3) at buf. Returns the bytes written,
 * or 0 if len is too small.
 */
size_t mptable_generate(const MPTableInfo *info, uint8_t *buf, size_t len);

/*
 * Write the floating pointer structure (4.1) that leads to a table at
 * guest-physical table_addr. It belongs on a 16-byte boundary in the first
 * KiB of the EBDA, the last KiB of base memory or 0xf0000-0xfffff.
 */
void mptable_generate_floating(uint32_t table_addr,
                               uint8_t buf[MPTABLE_FLOATING_SIZE]);

#endif
