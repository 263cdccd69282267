/*
 * ACPI tables about NUMA nodes: SRAT and SLIT.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/acpi/acpi.h"
#include "qemu/le.h"

#define SRAT_REVISION   3
#define SLIT_REVISION   1

/* 5.2.16: SRAT entries. */
enum {
    SRAT_LAPIC = 0,
    SRAT_MEMORY = 1,
    SRAT_X2APIC = 2,
};
#define SRAT_ENABLED    1
#define XAPIC_ID_LIMIT  255

/* 5.2.16.1, 5.2.16.3. */
static void put_cpu(GByteArray *buf, uint32_t apic_id, uint32_t node)
{
    bool x2apic = apic_id >= XAPIC_ID_LIMIT;

    append_le(buf, x2apic ? SRAT_X2APIC : SRAT_LAPIC, 1);
    append_le(buf, x2apic ? 24 : 16, 1);
    if (x2apic) {
        append_le(buf, 0, 2);
        append_le(buf, node, 4);
        append_le(buf, apic_id, 4);
        append_le(buf, SRAT_ENABLED, 4);
    } else {
        append_le(buf, node & 0xff, 1);
        append_le(buf, apic_id, 1);
        append_le(buf, SRAT_ENABLED, 4);
        append_le(buf, 0, 1);           /* local SAPIC EID */
        append_le(buf, node >> 8, 3);
    }
    append_le(buf, 0, 4);               /* clock domain */
    append_le(buf, 0, x2apic ? 4 : 0);
}

/* 5.2.16.2. */
static void put_memory(GByteArray *buf, const AcpiNodeMemory *m)
{
    append_le(buf, SRAT_MEMORY, 1);
    append_le(buf, 40, 1);
    append_le(buf, m->node, 4);
    append_le(buf, 0, 2);
    append_le(buf, m->addr, 8);
    append_le(buf, m->size, 8);
    append_le(buf, 0, 4);
    append_le(buf, SRAT_ENABLED, 4);
    append_le(buf, 0, 8);
}

void acpi_build_srat(AcpiTables *t, const AcpiSratInfo *info)
{
    GByteArray *buf = acpi_table_begin(t, "SRAT", SRAT_REVISION);

    append_le(buf, 1, 4);               /* reserved, 1 for compatibility */
    append_le(buf, 0, 8);
    for (unsigned i = 0; i < info->nr_cpus; i++) {
        put_cpu(buf, info->apic_ids[i], info->cpu_nodes[i]);
    }
    for (unsigned i = 0; i < info->nr_ranges; i++) {
        put_memory(buf, &info->ranges[i]);
    }
    acpi_table_end(t, true);
}

void acpi_build_slit(AcpiTables *t, const uint8_t *distances, unsigned nr_nodes)
{
    GByteArray *buf = acpi_table_begin(t, "SLIT", SLIT_REVISION);

    append_le(buf, nr_nodes, 8);
    g_byte_array_append(buf, distances, nr_nodes * nr_nodes);
    acpi_table_end(t, true);
}
