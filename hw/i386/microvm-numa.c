/*
 * The guest's NUMA nodes in its memory map: what SRAT and SLIT say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/acpi.h"
#include "hw/i386/microvm.h"
#include "sysemu/numa.h"

/* Bytes [start, end) of RAM, which has a hole below 4 GiB. */
static unsigned add_ranges(AcpiNodeMemory *ranges, unsigned n, uint32_t node, uint64_t start,
                           uint64_t end)
{
    uint64_t low_end = MIN(end, MICROVM_LOWMEM_END), high = MAX(start, MICROVM_LOWMEM_END);

    if (start < low_end) {
        ranges[n++] = (AcpiNodeMemory) { start, low_end - start, node };
    }
    if (high < end) {
        ranges[n++] = (AcpiNodeMemory) {
            high - MICROVM_LOWMEM_END + MICROVM_HIGHMEM_START, end - high, node };
    }
    return n;
}

void microvm_build_numa(const MicrovmMachineState *mms, const uint32_t *apic_ids, AcpiTables *t)
{
    const MachineState *ms = &mms->parent;
    const NumaState *numa = ms->numa;
    AcpiNodeMemory ranges[NUMA_NODES_MAX + 1];
    g_autofree uint8_t *distances = NULL;
    uint64_t start = 0;
    unsigned n = 0;

    if (!numa) {
        return;
    }
    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        n = add_ranges(ranges, n, i, start, start + numa->nodes[i].size);
        start += numa->nodes[i].size;
    }
    acpi_build_srat(t, &(AcpiSratInfo) {
        .apic_ids = apic_ids, .cpu_nodes = numa->cpu_node, .nr_cpus = ms->smp.cpus,
        .ranges = ranges, .nr_ranges = n });
    if (!numa->distance) {
        return;
    }
    distances = g_malloc(numa->nr_nodes * numa->nr_nodes);
    for (unsigned i = 0; i < numa->nr_nodes; i++) {
        memcpy(distances + i * numa->nr_nodes, numa->distance[i], numa->nr_nodes);
    }
    acpi_build_slit(t, distances, numa->nr_nodes);
}
