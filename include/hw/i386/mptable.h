/*
 * MultiProcessor Specification 1.4 tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_MPTABLE_H
#define HW_I386_MPTABLE_H

#include <stddef.h>
#include <stdint.h>

/* What the tables describe; everything a board knows and a guest must find. */
typedef struct MPTableInfo {
    uint32_t nr_cpus;
    const uint8_t *apic_ids;    /* nr_cpus of them; [0] is the boot processor */
    uint8_t ioapic_id;
    uint32_t ioapic_addr;
    uint32_t lapic_addr;
    uint32_t cpu_signature;     /* CPUID.1:EAX */
    uint32_t cpu_features;      /* CPUID.1:EDX */
    uint8_t nr_gsis;            /* I/O interrupt entries: 16 or 24 */
    uint32_t isa_mask;          /* unused lines are left out: bit n = GSI n used */
} MPTableInfo;

/* Bytes that mptable_generate() writes: floating pointer plus table. */
size_t mptable_size(const MPTableInfo *info);

/*
 * Write the floating pointer structure (4.1) at buf and the configuration
 * table (4.2) right behind it. base is the guest-physical address of buf.
 * Returns the bytes written, or 0 if len is too small. Pure.
 */
size_t mptable_generate(const MPTableInfo *info, uint32_t base, uint8_t *buf,
                        size_t len);

#endif
