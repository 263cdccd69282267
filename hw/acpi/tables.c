/*
 * ACPI tables: RSDP, XSDT, FADT, MADT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/acpi.h"
#include "qemu/le.h"

#define OEM_ID          "QEMU  "
#define OEM_TABLE_ID    "MICROVM "
#define CREATOR_ID      "QEMU"
#define OEM_REVISION    1

/* 5.2.6, table 5.4. */
#define HEADER_LENGTH   4
#define HEADER_CHECKSUM 9
#define TABLE_ALIGN     16

/* 5.2.5.3, table 5.3. */
#define RSDP_CHECKSUM           8
#define RSDP_ACPI1_SIZE         20
#define RSDP_EXTENDED_CHECKSUM  32
#define RSDP_REVISION           2

#define XSDT_REVISION   1
#define FADT_REVISION   5
#define FADT_SIZE       268
#define MADT_REVISION   3

/* FADT fields, 5.2.9, table 5.9. */
#define FADT_BOOT_ARCH      109
#define FADT_FLAGS          112
#define FADT_RESET_REG      116
#define FADT_RESET_VALUE    128
#define FADT_X_DSDT         140
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256
/* 4.8.2.2, tables 4.9 and 4.10: no button is fixed hardware; one is a device. */
#define FLAG_PWR_BUTTON     (1u << 4)
#define FLAG_SLP_BUTTON     (1u << 5)
#define FLAG_RESET_REG      (1u << 10)
#define FLAG_HW_REDUCED     (1u << 20)
#define FADT_FLAGS_VALUE \
    (FLAG_PWR_BUTTON | FLAG_SLP_BUTTON | FLAG_RESET_REG | FLAG_HW_REDUCED)

/* Generic Address Structure, 5.2.3.2. */
#define GAS_SYSTEM_MEMORY   0
#define GAS_BYTE_ACCESS     1

/* MADT entries, 5.2.12, table 5.20. */
enum {
    MADT_LAPIC = 0,
    MADT_IOAPIC = 1,
    MADT_LAPIC_NMI = 4,
    MADT_X2APIC = 9,
    MADT_X2APIC_NMI = 10,
};
#define MADT_PCAT_COMPAT    1
#define MADT_ENABLED        1
#define MADT_ALL_XAPICS     0xff
#define MADT_ALL_X2APICS    0xffffffff
#define MADT_NMI_LINT       1
#define XAPIC_ID_LIMIT      255

static void put_text(GByteArray *buf, const char *text)
{
    g_byte_array_append(buf, (const uint8_t *)text, strlen(text));
}

/* The byte that makes len bytes (which hold 0 in its place) add up to 0. */
static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    while (len--) {
        sum += *data++;
    }
    return -sum;
}

static void align(GByteArray *buf)
{
    while (buf->len % TABLE_ALIGN) {
        append_le(buf, 0, 1);
    }
}

void acpi_tables_init(AcpiTables *t, uint64_t base)
{
    g_assert(base % TABLE_ALIGN == 0);
    *t = (AcpiTables) { .blob = g_byte_array_new(), .base = base };
    g_byte_array_set_size(t->blob, ACPI_RSDP_SIZE);
}

void acpi_tables_cleanup(AcpiTables *t)
{
    g_clear_pointer(&t->blob, g_byte_array_unref);
}

GByteArray *acpi_table_begin(AcpiTables *t, const char *signature, uint8_t revision)
{
    GByteArray *buf = t->blob;

    g_assert(!t->start && strlen(signature) == 4);
    align(buf);
    t->start = buf->len;
    put_text(buf, signature);
    append_le(buf, 0, 4);           /* length */
    append_le(buf, revision, 1);
    append_le(buf, 0, 1);           /* checksum */
    put_text(buf, OEM_ID);
    put_text(buf, OEM_TABLE_ID);
    append_le(buf, OEM_REVISION, 4);
    put_text(buf, CREATOR_ID);
    append_le(buf, OEM_REVISION, 4);
    return buf;
}

uint64_t acpi_table_end(AcpiTables *t, bool listed)
{
    uint8_t *table = t->blob->data + t->start;
    uint32_t size = t->blob->len - t->start;
    uint64_t addr = t->base + t->start;

    g_assert(t->start && size >= ACPI_HEADER_SIZE);
    st_le(table + HEADER_LENGTH, size, 4);
    table[HEADER_CHECKSUM] = checksum(table, size);
    if (listed) {
        g_assert(t->nr_listed < ACPI_MAX_TABLES);
        t->listed[t->nr_listed++] = addr;
    }
    t->start = 0;
    return addr;
}

static uint64_t build_xsdt(AcpiTables *t)
{
    GByteArray *buf = acpi_table_begin(t, "XSDT", XSDT_REVISION);

    for (unsigned i = 0; i < t->nr_listed; i++) {
        append_le(buf, t->listed[i], 8);
    }
    return acpi_table_end(t, false);
}

void acpi_tables_finish(AcpiTables *t)
{
    g_autoptr(GByteArray) rsdp = g_byte_array_new();
    uint64_t xsdt = build_xsdt(t);

    put_text(rsdp, "RSD PTR ");
    append_le(rsdp, 0, 1);          /* checksum of the first 20 bytes */
    put_text(rsdp, OEM_ID);
    append_le(rsdp, RSDP_REVISION, 1);
    append_le(rsdp, 0, 4);          /* no RSDT */
    append_le(rsdp, ACPI_RSDP_SIZE, 4);
    append_le(rsdp, xsdt, 8);
    append_le(rsdp, 0, 4);          /* checksum of all, and reserved */
    g_assert(rsdp->len == ACPI_RSDP_SIZE);
    rsdp->data[RSDP_CHECKSUM] = checksum(rsdp->data, RSDP_ACPI1_SIZE);
    rsdp->data[RSDP_EXTENDED_CHECKSUM] = checksum(rsdp->data, ACPI_RSDP_SIZE);
    memcpy(t->blob->data, rsdp->data, ACPI_RSDP_SIZE);
}

/* FADT --------------------------------------------------------------------- */

/* A register of 8 bits in memory. */
static void store_gas(uint8_t *at, uint64_t addr)
{
    at[0] = GAS_SYSTEM_MEMORY;
    at[1] = 8;                      /* bits */
    at[2] = 0;                      /* from bit */
    at[3] = GAS_BYTE_ACCESS;
    st_le(at + 4, addr, 8);
}

/* Hardware-reduced (4.1): there is no FACS, no SCI, no fixed register block. */
void acpi_build_fadt(AcpiTables *t, const AcpiFadtInfo *info)
{
    GByteArray *buf = acpi_table_begin(t, "FACP", FADT_REVISION);
    guint start = t->start;
    uint8_t *fadt;

    g_byte_array_set_size(buf, start + FADT_SIZE);
    fadt = buf->data + start;
    memset(fadt + ACPI_HEADER_SIZE, 0, FADT_SIZE - ACPI_HEADER_SIZE);
    st_le(fadt + FADT_BOOT_ARCH, info->boot_arch, 2);
    st_le(fadt + FADT_FLAGS, FADT_FLAGS_VALUE, 4);
    store_gas(fadt + FADT_RESET_REG, info->reset);
    fadt[FADT_RESET_VALUE] = info->reset_value;
    st_le(fadt + FADT_X_DSDT, info->dsdt, 8);
    store_gas(fadt + FADT_SLEEP_CONTROL, info->sleep_control);
    store_gas(fadt + FADT_SLEEP_STATUS, info->sleep_status);
    acpi_table_end(t, true);
}

/* MADT --------------------------------------------------------------------- */

static void put_entry_head(GByteArray *buf, uint8_t type, uint8_t size)
{
    append_le(buf, type, 1);
    append_le(buf, size, 1);
}

/* 5.2.12.2, 5.2.12.12. */
static void put_cpu(GByteArray *buf, uint32_t uid, uint32_t apic_id)
{
    if (apic_id < XAPIC_ID_LIMIT) {
        put_entry_head(buf, MADT_LAPIC, 8);
        append_le(buf, uid, 1);     /* never more than the id */
        append_le(buf, apic_id, 1);
        append_le(buf, MADT_ENABLED, 4);
    } else {
        put_entry_head(buf, MADT_X2APIC, 16);
        append_le(buf, 0, 2);
        append_le(buf, apic_id, 4);
        append_le(buf, MADT_ENABLED, 4);
        append_le(buf, uid, 4);
    }
}

/* 5.2.12.3. */
static void put_ioapic(GByteArray *buf, const AcpiIOAPIC *ioapic)
{
    put_entry_head(buf, MADT_IOAPIC, 12);
    append_le(buf, ioapic->id, 1);
    append_le(buf, 0, 1);
    append_le(buf, ioapic->addr, 4);
    append_le(buf, ioapic->gsi_base, 4);
}

/* 5.2.12.7, 5.2.12.13: NMI is LINT1 of every processor. */
static void put_nmis(GByteArray *buf, bool x2apic)
{
    put_entry_head(buf, MADT_LAPIC_NMI, 6);
    append_le(buf, MADT_ALL_XAPICS, 1);
    append_le(buf, 0, 2);           /* as the bus has it: edge, active high */
    append_le(buf, MADT_NMI_LINT, 1);
    if (x2apic) {
        put_entry_head(buf, MADT_X2APIC_NMI, 12);
        append_le(buf, 0, 2);
        append_le(buf, MADT_ALL_X2APICS, 4);
        append_le(buf, MADT_NMI_LINT, 1);
        append_le(buf, 0, 3);
    }
}

void acpi_build_madt(AcpiTables *t, const AcpiMadtInfo *info)
{
    GByteArray *buf = acpi_table_begin(t, "APIC", MADT_REVISION);
    bool x2apic = false;

    append_le(buf, info->lapic_addr, 4);
    append_le(buf, info->pcat_compat ? MADT_PCAT_COMPAT : 0, 4);
    for (unsigned i = 0; i < info->nr_cpus; i++) {
        put_cpu(buf, i, info->apic_ids[i]);
        x2apic |= info->apic_ids[i] >= XAPIC_ID_LIMIT;
    }
    for (unsigned i = 0; i < info->nr_ioapics; i++) {
        put_ioapic(buf, &info->ioapics[i]);
    }
    put_nmis(buf, x2apic);
    acpi_table_end(t, true);
}
