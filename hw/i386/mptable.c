/*
 * MultiProcessor Specification 1.4 tables: processors, I/O APIC, interrupts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/mptable.h"

#include <string.h>

#include "standard-headers/linux/mpspec_def.h"

/* The only bus the tables know; interrupt lines are its. */
#define MPTABLE_ISA_BUS_ID 0

/* Appends entries and counts them. The buffer is known to be large enough. */
typedef struct MPTableWriter {
    uint8_t *pos;
    uint16_t entries;
} MPTableWriter;

static bool gsi_has_entry(const MPTableInfo *info, unsigned gsi)
{
    return info->gsi_mask & (1u << gsi);
}

static unsigned count_io_ints(const MPTableInfo *info)
{
    unsigned n = 0;

    for (unsigned gsi = 0; gsi < info->nr_gsis; gsi++) {
        n += gsi_has_entry(info, gsi);
    }
    return n;
}

static unsigned count_local_ints(const MPTableInfo *info)
{
    return info->pic ? 2 : 1;
}

/* The byte that makes len bytes (which hold 0 in its place) add up to 0. */
static uint8_t checksum(const uint8_t *data, size_t len)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < len; i++) {
        sum += data[i];
    }
    return -sum;
}

static void put_entry(MPTableWriter *w, const void *entry, size_t size)
{
    memcpy(w->pos, entry, size);
    w->pos += size;
    w->entries++;
}

static void put_processors(MPTableWriter *w, const MPTableInfo *info)
{
    for (uint32_t i = 0; i < info->nr_cpus; i++) {
        MPProcessorEntry cpu = {
            .type = MP_ENTRY_PROCESSOR,
            .lapic_id = info->apic_ids[i],
            .lapic_version = MP_LAPIC_VERSION,
            .cpu_flags = MP_CPU_ENABLED | (i ? 0 : MP_CPU_BOOT_PROCESSOR),
            .cpu_signature = info->cpu_signature,
            .feature_flags = info->cpu_features,
        };

        put_entry(w, &cpu, sizeof(cpu));
    }
}

static void put_bus(MPTableWriter *w)
{
    MPBusEntry bus = {
        .type = MP_ENTRY_BUS,
        .bus_id = MPTABLE_ISA_BUS_ID,
    };

    memcpy(bus.bus_type, MP_BUS_ISA, sizeof(bus.bus_type));
    put_entry(w, &bus, sizeof(bus));
}

static void put_ioapic(MPTableWriter *w, const MPTableInfo *info)
{
    MPIOAPICEntry ioapic = {
        .type = MP_ENTRY_IOAPIC,
        .ioapic_id = info->ioapic_id,
        .ioapic_version = MP_IOAPIC_VERSION,
        .flags = MP_IOAPIC_ENABLED,
        .addr = info->ioapic_addr,
    };

    put_entry(w, &ioapic, sizeof(ioapic));
}

/* Lines conform to the ISA bus: edge-triggered, active high. */
static void put_io_ints(MPTableWriter *w, const MPTableInfo *info)
{
    for (unsigned gsi = 0; gsi < info->nr_gsis; gsi++) {
        MPInterruptEntry irq = {
            .type = MP_ENTRY_IO_INT,
            .interrupt_type = MP_INT_VECTORED,
            .flags = MP_INT_FLAGS_CONFORM,
            .source_bus = MPTABLE_ISA_BUS_ID,
            .source_irq = gsi,
            .dest_apic = info->ioapic_id,
            .dest_pin = gsi ? gsi : info->irq0_pin,
        };

        if (gsi_has_entry(info, gsi)) {
            put_entry(w, &irq, sizeof(irq));
        }
    }
}

/* The 8259A is wired to the boot processor alone, NMI to all of them. */
static void put_local_ints(MPTableWriter *w, const MPTableInfo *info)
{
    MPInterruptEntry extint = {
        .type = MP_ENTRY_LOCAL_INT,
        .interrupt_type = MP_INT_EXTINT,
        .flags = MP_INT_FLAGS_CONFORM,
        .source_bus = MPTABLE_ISA_BUS_ID,
        .dest_apic = info->apic_ids[0],
        .dest_pin = 0,
    };
    MPInterruptEntry nmi = {
        .type = MP_ENTRY_LOCAL_INT,
        .interrupt_type = MP_INT_NMI,
        .flags = MP_INT_FLAGS_CONFORM,
        .source_bus = MPTABLE_ISA_BUS_ID,
        .dest_apic = MP_DEST_ALL,
        .dest_pin = 1,
    };

    if (info->pic) {
        put_entry(w, &extint, sizeof(extint));
    }
    put_entry(w, &nmi, sizeof(nmi));
}

size_t mptable_size(const MPTableInfo *info)
{
    return sizeof(MPTableHeader) +
           info->nr_cpus * sizeof(MPProcessorEntry) +
           sizeof(MPBusEntry) + sizeof(MPIOAPICEntry) +
           (count_io_ints(info) + count_local_ints(info)) *
           sizeof(MPInterruptEntry);
}

size_t mptable_generate(const MPTableInfo *info, uint8_t *buf, size_t len)
{
    MPTableWriter w = { .pos = buf + sizeof(MPTableHeader) };
    MPTableHeader header = {
        .base_length = mptable_size(info),
        .spec_revision = MP_SPEC_REVISION,
        .lapic_addr = info->lapic_addr,
    };

    if (len < mptable_size(info)) {
        return 0;
    }
    put_processors(&w, info);
    put_bus(&w);
    put_ioapic(&w, info);
    put_io_ints(&w, info);
    put_local_ints(&w, info);

    memcpy(header.signature, MP_TABLE_SIGNATURE, sizeof(header.signature));
    memcpy(header.oem_id, "QEMU    ", sizeof(header.oem_id));
    memcpy(header.product_id, "microvm     ", sizeof(header.product_id));
    header.entry_count = w.entries;
    memcpy(buf, &header, sizeof(header));
    buf[offsetof(MPTableHeader, checksum)] =
        checksum(buf, header.base_length);
    return header.base_length;
}

void mptable_generate_floating(uint32_t table_addr,
                               uint8_t buf[MPTABLE_FLOATING_SIZE])
{
    MPFloatingPointer fp = {
        .table_addr = table_addr,
        .length = sizeof(fp) / 16,
        .spec_revision = MP_SPEC_REVISION,
    };

    memcpy(fp.signature, MP_FLOATING_SIGNATURE, sizeof(fp.signature));
    memcpy(buf, &fp, sizeof(fp));
    buf[offsetof(MPFloatingPointer, checksum)] = checksum(buf, sizeof(fp));
}
