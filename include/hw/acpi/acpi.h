/*
 * ACPI tables (ACPI 6.5, chapter 5) in one piece of guest memory.
 *
 * Pure functions into a buffer: the board decides where it goes and what stands in it. The
 * order is acpi_tables_init(), any number of tables, acpi_tables_finish(). A table is
 *
 *     GByteArray *buf = acpi_table_begin(t, "SRAT", 3);
 *     … append what follows the header …
 *     acpi_table_end(t, true);
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_ACPI_ACPI_H
#define HW_ACPI_ACPI_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define ACPI_MAX_TABLES         16
#define ACPI_RSDP_SIZE          36      /* 5.2.5.3, revision 2 */
#define ACPI_HEADER_SIZE        36      /* 5.2.6 */

typedef struct AcpiTables {
    GByteArray *blob;           /* the RSDP, then the tables; owned */
    uint64_t base;              /* guest-physical address of its first byte */
    guint start;                /* of the table that is open; 0: none is */
    unsigned nr_listed;
    uint64_t listed[ACPI_MAX_TABLES];   /* addresses for the XSDT */
} AcpiTables;

/* base: 16-byte aligned; the RSDP will be there. */
void acpi_tables_init(AcpiTables *t, uint64_t base);
void acpi_tables_cleanup(AcpiTables *t);

/* Open a table: its header is in the buffer, to which the caller appends. */
GByteArray *acpi_table_begin(AcpiTables *t, const char *signature, uint8_t revision);
/*
 * Close it: length and checksum. Returns its guest-physical address. listed: the XSDT names it
 * (all but the DSDT, which the FADT names).
 */
uint64_t acpi_table_end(AcpiTables *t, bool listed);

/* XSDT (5.2.8) and RSDP (5.2.5.3). The blob is complete then. */
void acpi_tables_finish(AcpiTables *t);

/* What a hardware-reduced FADT (5.2.9, 4.1) says; addresses are guest-physical. */
typedef struct AcpiFadtInfo {
    uint64_t dsdt;
    uint64_t sleep_control;     /* registers of 8 bits, in memory */
    uint64_t sleep_status;
    uint64_t reset;
    uint8_t reset_value;
    uint16_t boot_arch;         /* ACPI_BOOT_… */
} AcpiFadtInfo;

/* IAPC_BOOT_ARCH, 5.2.9.3. */
#define ACPI_BOOT_8042          (1u << 1)
#define ACPI_BOOT_NO_VGA        (1u << 2)
#define ACPI_BOOT_NO_CMOS_RTC   (1u << 5)

void acpi_build_fadt(AcpiTables *t, const AcpiFadtInfo *info);

typedef struct AcpiIOAPIC {
    uint8_t id;
    uint32_t addr;
    uint32_t gsi_base;
} AcpiIOAPIC;

/* What the MADT (5.2.12) says. */
typedef struct AcpiMadtInfo {
    const uint32_t *apic_ids;   /* nr_cpus of them; CPU n has UID n */
    unsigned nr_cpus;
    uint32_t lapic_addr;
    bool pcat_compat;           /* there are two 8259A, too */
    const AcpiIOAPIC *ioapics;
    unsigned nr_ioapics;
} AcpiMadtInfo;

/* Ids from 255 on are x2APIC entries. */
void acpi_build_madt(AcpiTables *t, const AcpiMadtInfo *info);

typedef struct AcpiNodeMemory {
    uint64_t addr;              /* guest-physical */
    uint64_t size;
    uint32_t node;
} AcpiNodeMemory;

/* What the SRAT (5.2.16) says. */
typedef struct AcpiSratInfo {
    const uint32_t *apic_ids;   /* nr_cpus of them, as the MADT has them */
    const int *cpu_nodes;       /* and their nodes */
    unsigned nr_cpus;
    const AcpiNodeMemory *ranges;
    unsigned nr_ranges;
} AcpiSratInfo;

void acpi_build_srat(AcpiTables *t, const AcpiSratInfo *info);
/* SLIT (5.2.17): nr_nodes rows of as many distances. */
void acpi_build_slit(AcpiTables *t, const uint8_t *distances, unsigned nr_nodes);

#endif
