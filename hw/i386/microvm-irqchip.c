/*
 * Interrupt controllers of the microvm machine, wherever they are, and the MP
 * tables that describe them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/i386/cpu-internal.h"
#include "hw/i386/microvm.h"
#include "hw/i386/mptable.h"
#include "hw/loader.h"
#include "sysemu/accel.h"
#include "target/i386/cpuid.h"

/* MSI writes must reach the APICs even where something else is mapped. */
#define LAPIC_PRIORITY 4096

static void show_kernel_region(MicrovmMachineState *mms, MemoryRegion *parent,
                               const char *name, hwaddr addr, uint64_t size)
{
    MemoryRegion *mr = &mms->kernel_regions[mms->nr_kernel_regions++];

    g_assert(mms->nr_kernel_regions <= MICROVM_NUM_KERNEL_REGIONS);
    memory_region_init_kernel(mr, name, size);
    memory_region_add_subregion_overlap(parent, addr, mr,
                                        addr == APIC_DEFAULT_ADDRESS
                                        ? LAPIC_PRIORITY : 0);
}

/* The host kernel answers at these places; the map shows them. */
static void show_kernel_irqchip(MicrovmMachineState *mms, bool pic, bool pit)
{
    MemoryRegion *memory = &mms->parent.system_memory;
    MemoryRegion *io = &mms->parent.system_io;

    show_kernel_region(mms, memory, "kvm-ioapic", IO_APIC_DEFAULT_ADDRESS,
                       IO_APIC_SIZE);
    show_kernel_region(mms, memory, "kvm-apic-msi", APIC_DEFAULT_ADDRESS,
                       LAPIC_SIZE);
    if (pic) {
        show_kernel_region(mms, io, "kvm-pic", PIC_MASTER_PORT, 2);
        show_kernel_region(mms, io, "kvm-pic", PIC_SLAVE_PORT, 2);
        show_kernel_region(mms, io, "kvm-elcr", ELCR_PORT, 1);
        show_kernel_region(mms, io, "kvm-elcr", ELCR_PORT + 1, 1);
    }
    if (pit) {
        show_kernel_region(mms, io, "kvm-pit", PIT_PORT, 4);
        show_kernel_region(mms, io, "kvm-pit", PIT_SPEAKER_PORT, 1);
    }
}

static bool init_kernel_irqchip(MicrovmMachineState *mms, Error **errp)
{
    AccelState *accel = mms->parent.accel;
    AccelIrqchip chip = {
        .pic = mms->pic != ON_OFF_AUTO_OFF,
        .pit = mms->pit != ON_OFF_AUTO_OFF,
        .wide_ids = x86_apic_id_limit(&mms->parent.smp) > XAPIC_ID_LIMIT,
        .nr_gsis = IOAPIC_NUM_PINS,
        .nr_pins = mms->has_ioapic2 ? X86_NUM_GSIS : IOAPIC_NUM_PINS,
        .gsi = mms->gsi,
    };
    X86IrqchipConfig second = {
        .mode = ACCEL_IRQCHIP_KERNEL, .ioapic2 = true,
    };

    if (!accel_get_class(accel)->create_irqchip(accel, &chip, errp)) {
        return false;
    }
    mms->has_pic = chip.pic;
    mms->kernel_chips = true;
    mms->kernel_pit = chip.pit;
    show_kernel_irqchip(mms, chip.pic, chip.pit);
    if (mms->has_ioapic2) {
        mms->irqchip = x86_irqchip_new(&mms->parent, &second, mms->gsi, errp);
    }
    return !mms->has_ioapic2 || mms->irqchip;
}

/* 8 bits have room for the ids of all processors that may come, and for the I/O APIC's. */
static bool has_mptable(const MachineState *ms)
{
    return ms->smp.max_cpus <= MPTABLE_MAX_CPUS &&
           x86_apic_id_limit(&ms->smp) <= XAPIC_ID_LIMIT;
}

bool microvm_check_cpus(const MicrovmMachineState *mms, Error **errp)
{
    const MachineState *ms = &mms->parent;

    if (mms->has_acpi || has_mptable(ms)) {
        return true;
    }
    error_setg(errp, "-smp: %u processors with APIC ids up to %u need ACPI, which is off (%s); "
               "%u with ids up to %u do not", ms->smp.max_cpus, x86_apic_id_limit(&ms->smp) - 1,
               mms->acpi_reason, MPTABLE_MAX_CPUS, XAPIC_ID_LIMIT - 1);
    return false;
}

/* The APIC id that no CPU has: there are fewer CPUs than ids. */
static uint8_t free_apic_id(const uint8_t *ids, unsigned n)
{
    unsigned id = 0;

    while (memchr(ids, id, n)) {
        id++;
    }
    g_assert(id < XAPIC_ID_LIMIT);
    return id;
}

/* Returns the I/O APIC's id. */
static uint8_t fill_apic_ids(const MachineState *ms,
                             uint8_t apic_ids[MPTABLE_MAX_CPUS])
{
    for (unsigned i = 0; i < ms->smp.cpus; i++) {
        apic_ids[i] = x86_apic_id_from_index(&ms->smp, i);
    }
    return free_apic_id(apic_ids, ms->smp.cpus);
}

/* Ours, or with the local APICs in the host kernel. */
static bool init_user_irqchip(MicrovmMachineState *mms, AccelIrqchipMode mode,
                              Error **errp)
{
    MachineState *ms = &mms->parent;
    uint8_t apic_ids[MPTABLE_MAX_CPUS];
    X86IrqchipConfig config = {
        .mode = mode,
        .pic = mms->pic != ON_OFF_AUTO_OFF,
        .ioapic2 = mms->has_ioapic2,
        .ioapic_id = mms->has_acpi ? 0 : fill_apic_ids(ms, apic_ids),
        .apic_id_limit = x86_apic_id_limit(&ms->smp),
    };

    mms->irqchip = x86_irqchip_new(ms, &config, mms->gsi, errp);
    if (!mms->irqchip) {
        return false;
    }
    mms->has_pic = config.pic;
    if (mode == ACCEL_IRQCHIP_SPLIT) {
        show_kernel_region(mms, &ms->system_memory, "kvm-apic-msi",
                           APIC_DEFAULT_ADDRESS, LAPIC_SIZE);
    }
    return true;
}

static bool connect_lines(MicrovmMachineState *mms, AccelIrqchipMode *mode, Error **errp)
{
    AccelState *accel = mms->parent.accel;
    const AccelClass *ac = accel_get_class(accel);
    const AccelIrqchip wanted = {
        .pic = mms->pic != ON_OFF_AUTO_OFF,
        .wide_ids = x86_apic_id_limit(&mms->parent.smp) > XAPIC_ID_LIMIT,
    };

    *mode = ac->irqchip_mode ? ac->irqchip_mode(accel, &wanted) : ACCEL_IRQCHIP_USER;
    if (*mode == ACCEL_IRQCHIP_KERNEL) {
        return init_kernel_irqchip(mms, errp);
    }
    return init_user_irqchip(mms, *mode, errp);
}

bool microvm_init_irqchip(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;
    unsigned nr_gsis = mms->has_ioapic2 ? X86_NUM_GSIS : IOAPIC_NUM_PINS;
    AccelIrqchipMode mode;

    if (!connect_lines(mms, &mode, errp)) {
        return false;
    }
    for (unsigned i = 0; ms->tap_irq && i < nr_gsis; i++) {
        mms->gsi[i] = ms->tap_irq(ms, i, mms->gsi[i]);
    }
    if (mode != ACCEL_IRQCHIP_KERNEL && mms->pit != ON_OFF_AUTO_OFF) {
        x86_irqchip_add_pit(mms->irqchip, ms, mms->gsi[0]);
    }
    /*
     * An accelerator with a choice of modes offers no deadline timer in this one, and Linux
     * compares the APIC timer's other modes with the PIT before it relies on them.
     */
    if (mode == ACCEL_IRQCHIP_USER && mms->pit == ON_OFF_AUTO_OFF &&
        accel_get_class(ms->accel)->irqchip_mode) {
        warn_report("kernel-irqchip=off: without the PIT (pit=off) Linux has no clock tick");
    }
    return true;
}

static void describe(const MicrovmMachineState *mms,
                     uint8_t apic_ids[MPTABLE_MAX_CPUS], MPTableInfo *info)
{
    const MachineState *ms = &mms->parent;
    const CPUIDTable *cpuid = x86_cpu(ms->cpus[0])->cpuid;
    uint8_t ioapic_id = fill_apic_ids(ms, apic_ids);
    uint32_t leaf1[4] = { 0 };

    if (cpuid) {
        x86_cpuid_lookup(cpuid, 1, 0, leaf1);
    }
    *info = (MPTableInfo) {
        .nr_cpus = ms->smp.cpus,
        .apic_ids = apic_ids,
        .ioapic_id = ioapic_id,
        .ioapic_addr = IO_APIC_DEFAULT_ADDRESS,
        .lapic_addr = APIC_DEFAULT_ADDRESS,
        .cpu_signature = leaf1[0],
        .cpu_features = leaf1[3],
        .pic = mms->has_pic,
        /* The lines of virtio transports and ISA devices. */
        .nr_gsis = ISA_NUM_IRQS,
        .gsi_mask = (1u << ISA_NUM_IRQS) - 1,
    };
}

static bool add_bios_data_area(MachineState *ms, Error **errp)
{
    uint8_t *ebda, *base_memory;

    if (!(ebda = rom_add(ms, "EBDA segment", BDA_EBDA_SEGMENT, 2, errp)) ||
        !(base_memory = rom_add(ms, "base memory size", BDA_BASE_MEMORY, 2, errp))) {
        return false;
    }
    ebda[0] = (EBDA_START >> 4) & 0xff;
    ebda[1] = EBDA_START >> 12;
    base_memory[0] = (MPTABLE_START / 1024) & 0xff;
    base_memory[1] = (MPTABLE_START / 1024) >> 8;
    return true;
}

bool microvm_add_mptable(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;
    uint8_t apic_ids[MPTABLE_MAX_CPUS];
    uint8_t *table, *floating;
    MPTableInfo info;
    size_t size;

    if (!has_mptable(ms)) {
        return true;
    }
    describe(mms, apic_ids, &info);
    size = mptable_size(&info);
    g_assert(size <= MPTABLE_MAX_SIZE);
    if (!(table = rom_add(ms, "MP table", MPTABLE_START, size, errp)) ||
        !(floating = rom_add(ms, "MP floating pointer", EBDA_START, MPTABLE_FLOATING_SIZE,
                             errp))) {
        return false;
    }
    mptable_generate(&info, table, size);
    mptable_generate_floating(MPTABLE_START, floating);
    return add_bios_data_area(ms, errp);
}
