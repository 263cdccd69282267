/*
 * The structures of Intel's MultiProcessor Specification, version 1.4 (1997).
 *
 * Section numbers are the specification's. Everything is little-endian and
 * packed as it lies in the guest's memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef STANDARD_HEADERS_LINUX_MPSPEC_DEF_H
#define STANDARD_HEADERS_LINUX_MPSPEC_DEF_H

#include <stdint.h>

#define MP_SPEC_REVISION 4      /* 1.4, in both revision fields */

/* 4.1 MP floating pointer structure: 16 bytes on a 16-byte boundary. */
#define MP_FLOATING_SIGNATURE "_MP_"
typedef struct __attribute__((packed)) MPFloatingPointer {
    char signature[4];
    uint32_t table_addr;        /* of the configuration table */
    uint8_t length;             /* in units of 16 bytes: 1 */
    uint8_t spec_revision;
    uint8_t checksum;           /* all bytes add up to 0 */
    uint8_t feature1;           /* 0: there is a configuration table */
    uint8_t feature2;           /* bit 7: IMCR present (PIC mode) */
    uint8_t reserved[3];
} MPFloatingPointer;

/* 4.2 MP configuration table header: 44 bytes. */
#define MP_TABLE_SIGNATURE "PCMP"
typedef struct __attribute__((packed)) MPTableHeader {
    char signature[4];
    uint16_t base_length;       /* header and entries, in bytes */
    uint8_t spec_revision;
    uint8_t checksum;           /* over base_length bytes */
    char oem_id[8];             /* padded with blanks */
    char product_id[12];
    uint32_t oem_table;         /* 0: none */
    uint16_t oem_table_size;
    uint16_t entry_count;
    uint32_t lapic_addr;
    uint16_t extended_length;   /* 0: no extended table */
    uint8_t extended_checksum;
    uint8_t reserved;
} MPTableHeader;

/* 4.3 Base table entry types. Entries are sorted by type. */
enum {
    MP_ENTRY_PROCESSOR  = 0,
    MP_ENTRY_BUS        = 1,
    MP_ENTRY_IOAPIC     = 2,
    MP_ENTRY_IO_INT     = 3,
    MP_ENTRY_LOCAL_INT  = 4,
};

/* 4.3.1 Processor entry: 20 bytes. */
#define MP_CPU_ENABLED          0x01
#define MP_CPU_BOOT_PROCESSOR   0x02
#define MP_LAPIC_VERSION        0x14    /* integrated APIC */
typedef struct __attribute__((packed)) MPProcessorEntry {
    uint8_t type;
    uint8_t lapic_id;
    uint8_t lapic_version;
    uint8_t cpu_flags;
    uint32_t cpu_signature;     /* CPUID.1:EAX: family, model, stepping */
    uint32_t feature_flags;     /* CPUID.1:EDX */
    uint32_t reserved[2];
} MPProcessorEntry;

/* 4.3.2 Bus entry: 8 bytes. */
#define MP_BUS_ISA "ISA   "
typedef struct __attribute__((packed)) MPBusEntry {
    uint8_t type;
    uint8_t bus_id;
    char bus_type[6];           /* padded with blanks */
} MPBusEntry;

/* 4.3.3 I/O APIC entry: 8 bytes. */
#define MP_IOAPIC_ENABLED       0x01
#define MP_IOAPIC_VERSION       0x11    /* 82093AA */
typedef struct __attribute__((packed)) MPIOAPICEntry {
    uint8_t type;
    uint8_t ioapic_id;
    uint8_t ioapic_version;
    uint8_t flags;
    uint32_t addr;
} MPIOAPICEntry;

/* 4.3.4, 4.3.5 Interrupt types. */
enum {
    MP_INT_VECTORED = 0,        /* the vector is in the APIC's register */
    MP_INT_NMI      = 1,
    MP_INT_SMI      = 2,
    MP_INT_EXTINT   = 3,        /* the 8259A gives the vector */
};
/* Polarity in bits 1:0 and trigger mode in bits 3:2: 0 is "as the bus does it". */
#define MP_INT_FLAGS_CONFORM    0x0000
#define MP_DEST_ALL             0xff    /* every local (or I/O) APIC */

/* 4.3.4 I/O interrupt entry and 4.3.5 local interrupt entry: 8 bytes. */
typedef struct __attribute__((packed)) MPInterruptEntry {
    uint8_t type;
    uint8_t interrupt_type;
    uint16_t flags;
    uint8_t source_bus;
    uint8_t source_irq;
    uint8_t dest_apic;          /* I/O or local APIC id */
    uint8_t dest_pin;           /* INTINn or LINTINn */
} MPInterruptEntry;

_Static_assert(sizeof(MPFloatingPointer) == 16, "MP 1.4, figure 4-2");
_Static_assert(sizeof(MPTableHeader) == 44, "MP 1.4, figure 4-3");
_Static_assert(sizeof(MPProcessorEntry) == 20, "MP 1.4, figure 4-4");
_Static_assert(sizeof(MPBusEntry) == 8, "MP 1.4, figure 4-5");
_Static_assert(sizeof(MPIOAPICEntry) == 8, "MP 1.4, figure 4-6");
_Static_assert(sizeof(MPInterruptEntry) == 8, "MP 1.4, figures 4-7 and 4-8");

#endif
