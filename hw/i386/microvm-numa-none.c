/*
 * The build without NUMA or without ACPI: tables say nothing about nodes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/microvm.h"

void microvm_build_numa(const MicrovmMachineState *mms, const uint32_t *apic_ids,
                        struct AcpiTables *t)
{
}
