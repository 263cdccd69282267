/*
 * The build without ACPI: it is always off.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/microvm.h"

bool microvm_decide_acpi(MicrovmMachineState *mms, Error **errp)
{
    bool wanted = mms->acpi == ON_OFF_AUTO_ON;

    if (wanted || mms->ioapic2 == ON_OFF_AUTO_ON) {
        error_setg(errp, "-machine microvm,%s=on: ACPI is not compiled into this binary",
                   wanted ? "acpi" : "ioapic2");
        return false;
    }
    mms->acpi_reason = "it is not compiled into this binary";
    return true;
}

bool microvm_init_ged(MicrovmMachineState *mms, Error **errp)
{
    return true;
}

bool microvm_add_acpi(MicrovmMachineState *mms, uint64_t *rsdp, Error **errp)
{
    *rsdp = 0;
    return true;
}

char *microvm_acpi_info(MachineState *ms)
{
    return g_strdup("ACPI: not compiled\n");
}
