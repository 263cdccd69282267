/*
 * ACPI of the microvm machine: whether there is any, and what its tables say.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/acpi/acpi.h"
#include "hw/acpi/aml.h"
#include "hw/acpi/ged.h"
#include "hw/acpi/shared-page.h"
#include "hw/i386/cpu-internal.h"
#include "hw/i386/microvm.h"
#include "hw/loader.h"
#include "qemu/log.h"

#define DSDT_REVISION   2       /* integers have 64 bits */

/* Whether ------------------------------------------------------------------ */

/* What Linux takes from its command line: the last of these words before a "--". */
static bool cmdline_says_off(const char *cmdline)
{
    g_auto(GStrv) words = g_strsplit_set(cmdline, " \t\n", -1);
    bool off = false;

    for (char **word = words; *word && strcmp(*word, "--"); word++) {
        if (!strcmp(*word, "acpi=off")) {
            off = true;
        } else if (!strcmp(*word, "acpi=force") || !strcmp(*word, "acpi=on")) {
            off = false;
        }
    }
    return off;
}

static bool kernel_wants_acpi(MicrovmMachineState *mms)
{
    const MachineState *ms = &mms->parent;

    if (!ms->kernel_filename) {
        mms->acpi_reason = "there is no kernel";
        return false;
    }
    if (cmdline_says_off(ms->kernel_cmdline)) {
        mms->acpi_reason = "the kernel's command line says acpi=off";
        return false;
    }
    return x86_kernel_uses_acpi(ms, mms->kernel_protocol, &mms->acpi_reason);
}

bool microvm_decide_acpi(MicrovmMachineState *mms, Error **errp)
{
    mms->acpi_reason = "-machine acpi says so";
    mms->has_acpi = mms->acpi == ON_OFF_AUTO_ON ||
                    (mms->acpi == ON_OFF_AUTO_AUTO && kernel_wants_acpi(mms));
    mms->has_ioapic2 = mms->has_acpi && mms->ioapic2 != ON_OFF_AUTO_OFF;
    qemu_log_mask(LOG_BOOT, "ACPI is %s: %s\n", mms->has_acpi ? "on" : "off", mms->acpi_reason);
    if (mms->ioapic2 == ON_OFF_AUTO_ON && !mms->has_acpi) {
        error_setg(errp, "-machine microvm,ioapic2=on: a second I/O APIC needs ACPI, which is "
                   "off: %s", mms->acpi_reason);
        return false;
    }
    return true;
}

char *microvm_acpi_info(MachineState *ms)
{
    const MicrovmMachineState *mms = microvm_machine(ms);

    return g_strdup_printf("ACPI: %s (%s)\n", mms->has_acpi ? "on" : "off", mms->acpi_reason);
}

bool microvm_init_ged(MicrovmMachineState *mms, Error **errp)
{
    AcpiGedSlot slot = {
        .selector_base = GED_SELECTOR_BASE,
        .regs_base = GED_REGS_BASE,
        .gsi = GED_GSI,
        .irq = mms->gsi[GED_GSI],
    };

    if (!mms->has_acpi) {
        return true;
    }
    mms->ged = acpi_ged_create(&mms->parent, &slot, errp);
    return mms->ged;
}

/* Devices in memory -------------------------------------------------------- */

static bool place_page(MicrovmMachineState *mms, const char *name, hwaddr addr,
                       bool (*place)(DeviceState *, hwaddr, DeviceState *, Error **),
                       Error **errp)
{
    const GPtrArray *devices = mms->parent.devices;
    DeviceState *found = NULL;

    for (guint i = 0; i < devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(devices, i);

        if (strcmp(dev->obj.oc->name, name)) {
            continue;
        }
        if (found || !mms->ged) {
            error_setg(errp, "-device %s: %s%s", name, found ? "there can be only one"
                       : "it needs ACPI, which is off: ", found ? "" : mms->acpi_reason);
            return false;
        }
        found = dev;
    }
    return !found || place(found, addr, mms->ged, errp);
}

static bool place_pages(MicrovmMachineState *mms, Error **errp)
{
    return place_page(mms, "vmgenid", VMGENID_START, acpi_vmgenid_place, errp) &&
           place_page(mms, "vmclock", VMCLOCK_START, acpi_vmclock_place, errp);
}

/* Tables ------------------------------------------------------------------- */

static void build_rtc(Aml *aml)
{
    aml_begin_device(aml, "RTC");
    aml_name(aml, "_HID");
    aml_eisa_id(aml, "PNP0B00");
    aml_name(aml, "_CRS");
    aml_begin_resources(aml);
    aml_res_io(aml, RTC_PORT, 8, 1);
    aml_res_irq(aml, RTC_IRQ);
    aml_end(aml);
    aml_end(aml);
}

/* 7.4.2.6: the only sleep state is S5; what is written to the sleep control register. */
static void build_s5(Aml *aml)
{
    aml_name(aml, "_S5");
    aml_begin_package(aml, 4);
    aml_integer(aml, ACPI_GED_SLP_TYP_S5);
    for (unsigned i = 1; i < 4; i++) {
        aml_integer(aml, 0);
    }
    aml_end(aml);
}

static uint64_t build_dsdt(const MicrovmMachineState *mms, AcpiTables *t)
{
    const GPtrArray *devices = mms->parent.devices;
    Aml aml;

    aml_init(&aml, acpi_table_begin(t, "DSDT", DSDT_REVISION));
    aml_begin_scope(&aml, "_SB");
    for (guint i = 0; i < devices->len; i++) {
        DeviceState *dev = g_ptr_array_index(devices, i);

        if (device_get_class(dev)->build_aml) {
            device_get_class(dev)->build_aml(dev, &aml);
        }
    }
    if (mms->has_rtc) {
        build_rtc(&aml);
    }
    aml_end(&aml);
    build_s5(&aml);
    return acpi_table_end(t, false);
}

/* MADT, and SRAT and SLIT where there are nodes. */
static void build_cpus(const MicrovmMachineState *mms, AcpiTables *t)
{
    static const AcpiIOAPIC ioapics[] = {
        { 0, IO_APIC_DEFAULT_ADDRESS, 0 },
        { 1, IO_APIC_SECONDARY_ADDRESS, IOAPIC_NUM_PINS },
    };
    const MachineState *ms = &mms->parent;
    g_autofree uint32_t *apic_ids = g_new(uint32_t, ms->smp.cpus);
    AcpiMadtInfo info = {
        .apic_ids = apic_ids,
        .nr_cpus = ms->smp.cpus,
        .lapic_addr = APIC_DEFAULT_ADDRESS,
        .pcat_compat = mms->has_pic,
        .ioapics = ioapics,
        .nr_ioapics = mms->has_ioapic2 ? 2 : 1,
    };

    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        apic_ids[i] = x86_apic_id_from_index(&ms->smp, i);
    }
    acpi_build_madt(t, &info);
    microvm_build_numa(mms, apic_ids, t);
}

static void build_tables(const MicrovmMachineState *mms, AcpiTables *t)
{
    AcpiFadtInfo fadt = {
        .dsdt = build_dsdt(mms, t),
        .sleep_control = GED_REGS_BASE + ACPI_GED_SLEEP_CONTROL,
        .sleep_status = GED_REGS_BASE + ACPI_GED_SLEEP_STATUS,
        .reset = GED_REGS_BASE + ACPI_GED_RESET,
        .reset_value = ACPI_GED_RESET_VALUE,
        .boot_arch = ACPI_BOOT_NO_VGA | (mms->has_rtc ? 0 : ACPI_BOOT_NO_CMOS_RTC) |
                     (qdev_find_class(&mms->parent, "i8042") ? ACPI_BOOT_8042 : 0),
    };

    acpi_build_fadt(t, &fadt);
    build_cpus(mms, t);
    acpi_tables_finish(t);
}

bool microvm_add_acpi(MicrovmMachineState *mms, uint64_t *rsdp, Error **errp)
{
    AcpiTables t;
    uint8_t *rom = NULL;

    *rsdp = 0;
    if (!place_pages(mms, errp)) {
        return false;
    }
    if (!mms->has_acpi) {
        return true;
    }
    acpi_tables_init(&t, ACPI_TABLES_START);
    build_tables(mms, &t);
    if (t.blob->len > ACPI_TABLES_MAX_SIZE) {
        error_setg(errp, "ACPI tables of %u bytes do not fit into %u", t.blob->len,
                   ACPI_TABLES_MAX_SIZE);
    } else {
        rom = rom_add(&mms->parent, "ACPI tables", ACPI_TABLES_START, t.blob->len, errp);
    }
    if (rom) {
        memcpy(rom, t.blob->data, t.blob->len);
        *rsdp = ACPI_TABLES_START;
    }
    acpi_tables_cleanup(&t);
    return rom != NULL;
}
