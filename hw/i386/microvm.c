/*
 * The microvm machine: virtio-mmio transports, interrupt controllers, and an ISA
 * bus if asked for. Boots a kernel without firmware.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/i386/microvm.h"

#include <inttypes.h>
#include <stddef.h>

#include "hw/i386/cpu-internal.h"
#include "hw/loader.h"
#include "hw/rtc/mc146818rtc.h"
#include "hw/virtio/virtio-mmio.h"
#include "qemu/cutils.h"
#include "sysemu/accel.h"
#include "sysemu/hostmem.h"
#include "sysemu/reset.h"
#include "sysemu/runstate.h"
#include "target/i386/cpuid.h"

#define MIN_ADDRESS_BITS 36     /* where CPUID does not say */
#define MAX_ADDRESS_BITS 52

static bool init_memory(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;
    const MachineClass *mc = machine_get_class(ms);
    uint64_t below = MIN(ms->ram_size, MICROVM_LOWMEM_END);
    uint64_t above = ms->ram_size - below;

    if (ms->ram_size < MICROVM_MIN_RAM) {
        error_setg(errp, "RAM of %" PRIu64 " bytes is too small: the machine "
                   "needs at least %llu MiB", ms->ram_size,
                   MICROVM_MIN_RAM / MiB);
        return false;
    }
    memory_region_init_ram_ptr(&mms->ram, mc->default_ram_id, ms->ram_size,
                               ms->memdev->host);
    memory_region_init_alias(&mms->ram_below_4g, "ram-below-4g", &mms->ram, 0,
                             below);
    memory_region_add_subregion(&ms->system_memory, 0, &mms->ram_below_4g);
    if (above) {
        memory_region_init_alias(&mms->ram_above_4g, "ram-above-4g",
                                 &mms->ram, below, above);
        memory_region_add_subregion(&ms->system_memory, MICROVM_HIGHMEM_START,
                                    &mms->ram_above_4g);
    }
    return true;
}

/*
 * RAM that no processor of this model can address would be RAM lost. Devices' memory comes behind
 * it.
 */
static bool check_address_bits(MachineState *ms, Error **errp)
{
    const X86CPU *cpu = x86_cpu(ms->cpus[0]);
    uint64_t top = MICROVM_HIGHMEM_START +
        (ms->ram_size - MIN(ms->ram_size, MICROVM_LOWMEM_END));
    uint32_t regs[4] = { MAX_ADDRESS_BITS };
    unsigned bits;

    if (cpu->cpuid) {
        x86_cpuid_lookup(cpu->cpuid, 0x80000008, 0, regs);
    }
    bits = MIN(regs[0] & 0xff, MAX_ADDRESS_BITS);
    bits = bits ? bits : MIN_ADDRESS_BITS;
    ms->device_memory = QEMU_ALIGN_UP(top, 1 * GiB);
    ms->device_memory_end = 1ULL << bits;
    if (ms->ram_size > MICROVM_LOWMEM_END && top > 1ULL << bits) {
        error_setg(errp, "-m: RAM would end at 0x%" PRIx64 ", the processors "
                   "address %u bits", top, bits);
        return false;
    }
    return true;
}

/* The transports go where nothing else is, whatever else the machine has. */
static bool check_virtio_base(const MicrovmMachineState *mms, Error **errp)
{
    uint64_t base = mms->virtio_base;
    uint64_t size = VIRTIO_NUM_TRANSPORTS_IOAPIC2 * VIRTIO_MMIO_SIZE;

    if (base % VIRTIO_MMIO_SIZE == 0 && base >= MICROVM_LOWMEM_END &&
        base <= IO_APIC_DEFAULT_ADDRESS - size &&
        (base + size <= GED_SELECTOR_BASE || base >= GED_END)) {
        return true;
    }
    error_setg(errp, "-machine virtio-mmio-base=0x%" PRIx64 ": the transports need 0x%" PRIx64
               " bytes between 0x%llx and 0x%llx, without 0x%llx-0x%llx, aligned to 0x%llx",
               base, size, MICROVM_LOWMEM_END, IO_APIC_DEFAULT_ADDRESS, GED_SELECTOR_BASE,
               GED_END - 1, VIRTIO_MMIO_SIZE);
    return false;
}

static bool microvm_init_virtio(MicrovmMachineState *mms, Error **errp)
{
    unsigned n = mms->has_ioapic2 ? VIRTIO_NUM_TRANSPORTS_IOAPIC2 : VIRTIO_NUM_TRANSPORTS;
    unsigned gsi = mms->has_ioapic2 ? IOAPIC_NUM_PINS :
                   mms->has_acpi ? VIRTIO_IRQ_BASE_ACPI : VIRTIO_IRQ_BASE;

    if (!check_virtio_base(mms, errp)) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        VirtioMMIOSlot slot = {
            .index = i,
            .base = mms->virtio_base + i * VIRTIO_MMIO_SIZE,
            .irq_num = gsi + i,
            .irq = mms->gsi[gsi + i],
        };

        if (!virtio_mmio_create(&mms->parent, &slot, errp)) {
            return false;
        }
    }
    return true;
}

static bool microvm_init_rtc(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;
    DeviceState *rtc;

    if (mms->rtc == ON_OFF_AUTO_OFF ||
        (mms->rtc == ON_OFF_AUTO_AUTO && !accel_get_class(ms->accel)->rtc_by_default)) {
        return true;
    }
    rtc = mc146818_rtc_create(ms, mms->gsi[RTC_IRQ], errp);
    if (!rtc) {
        return false;
    }
    memory_region_add_subregion(&ms->system_io, RTC_PORT, mc146818_rtc_region(rtc));
    mms->has_rtc = true;
    return true;
}

static bool microvm_init(MachineState *ms, Error **errp)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    /* Asked for by habit. A PCI device, which would need it, is an error of its own. */
    if (mms->pcie == ON_OFF_AUTO_ON) {
        warn_report("-machine microvm,pcie=on: this machine does not have PCI Express");
    }
    return microvm_decide_acpi(mms, errp) &&
           microvm_check_cpus(mms, errp) &&
           init_memory(mms, errp) &&
           microvm_init_irqchip(mms, errp) &&
           x86_cpus_init(ms, errp) &&
           check_address_bits(ms, errp) &&
           microvm_init_virtio(mms, errp) &&
           microvm_init_rtc(mms, errp) &&
           microvm_init_ged(mms, errp) &&
           microvm_init_isa(mms, errp);
}

static bool microvm_init_done(MachineState *ms, Error **errp)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    if (!mms->unused_transports) {
        virtio_mmio_unmap_unused(ms);
    }
    return microvm_init_fw_cfg(mms, errp);
}

/*
 * Linux without reboot=t ends up at the BIOS's entry. There is no BIOS: the code there loads an
 * IDT without vectors and makes an interrupt, which resets the machine.
 */
static void add_bios_restart(MachineState *ms)
{
    static const uint8_t code[16] = {
        0x2e, 0x0f, 0x01, 0x1e, 0xf9, 0xff,     /* lidt %cs:0xfff9, all zeros */
        0xcc,                                   /* int3 */
    };

    uint8_t *buf = rom_add(ms, "BIOS restart", BIOS_RESTART, sizeof(code), NULL);

    /* A kernel that was loaded there needs the place itself. */
    if (buf) {
        memcpy(buf, code, sizeof(code));
    }
}

static bool load_kernel(MachineState *ms, Error **errp)
{
    MicrovmMachineState *mms = microvm_machine(ms);
    g_autoptr(GString) cmdline = g_string_new(ms->kernel_cmdline);
    uint64_t rsdp;

    if (!microvm_add_acpi(mms, &rsdp, errp)) {
        return false;
    }
    if (!ms->kernel_filename) {
        /* Without CPUs that run there is nothing to be run. */
        if (!accel_get_class(ms->accel)->has_vcpu_threads) {
            return true;
        }
        error_setg(errp, "missing kernel image file name, required by microvm");
        return false;
    }
    /* With ACPI the interrupts that it names would not be those of the tables. */
    if (mms->auto_kernel_cmdline && !mms->has_acpi) {
        virtio_mmio_append_cmdline(ms, cmdline);
    }
    mms->boot.protocol = mms->kernel_protocol;
    if (!microvm_add_mptable(mms, errp) || !microvm_add_smbios(mms, errp) ||
        !x86_load_linux(ms, cmdline->str, rsdp, &mms->boot, errp)) {
        return false;
    }
    add_bios_restart(ms);
    return true;
}

/* Once in a start, and all of x86-boot.c's in it: short rather than fast. */
static __attribute__((cold)) bool microvm_load_kernel(MachineState *ms, Error **errp)
{
    return load_kernel(ms, errp) && x86_run_loaders(ms, errp);
}

/* Memory of a file may hold anything, all other kinds start as zeros. */
static bool ram_is_fresh(const MicrovmMachineState *mms)
{
    return !mms->was_reset && !mms->parent.memdev->mem_path;
}

static void microvm_reset(MachineState *ms)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    /* What comes in brings its own RAM. */
    if (ms->rsm.state != RUN_STATE_INMIGRATE && !rom_reset_all(ms, ram_is_fresh(mms))) {
        qemu_system_shutdown_request_with_code(ms, SHUTDOWN_CAUSE_HOST_ERROR,
                                               1);
    }
    mms->was_reset = true;
    x86_cpus_reset(ms);
    x86_boot_cpu(x86_cpu(ms->cpus[0]), &mms->boot);
}

static char *microvm_irqchip_info(MachineState *ms, bool counts)
{
    X86Irqchip *chip = microvm_machine(ms)->irqchip;

    return !chip ? NULL : counts ? x86_irqchip_counts(chip) : x86_irqchip_dump(chip);
}

static void microvm_foreach_state(MachineState *ms, StateFn *fn, void *opaque)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    if (mms->irqchip) {
        x86_irqchip_foreach_state(mms->irqchip, fn, opaque);
    }
    if (mms->kernel_chips) {
        x86_kernel_chips_foreach_state(ms, mms->kernel_pit, fn, opaque);
    }
}

static const char *const protocol_names[] = {
    [X86_BOOT_NONE] = "auto",
    [X86_BOOT_LINUX64] = "linux64",
    [X86_BOOT_PVH] = "pvh",
    [X86_BOOT_LINUX32] = "linux32",
    [X86_BOOT_MULTIBOOT] = "multiboot",
    NULL
};

#define PROP_REFUSED(name, what) \
    DEFINE_PROP_OFF_AUTO(name, "-machine microvm," name "=on: this machine does not have " what)

static const Property microvm_props[] = {
    DEFINE_PROP_ON_OFF_AUTO("legacy", MicrovmMachineState, legacy, "auto",
                            "ISA bus with serial ports (auto: if asked for)"),
    DEFINE_PROP_ON_OFF_AUTO("isa-serial", MicrovmMachineState, legacy, "auto",
                            "Same as legacy"),
    DEFINE_PROP_ON_OFF_AUTO("pic", MicrovmMachineState, pic, "auto",
                            "A pair of 8259A interrupt controllers"),
    DEFINE_PROP_ON_OFF_AUTO("pit", MicrovmMachineState, pit, "auto",
                            "An 8254 timer and port 0x61"),
    DEFINE_PROP_ON_OFF_AUTO("rtc", MicrovmMachineState, rtc, "auto",
                            "An MC146818 real-time clock (auto: with -accel tcg)"),
    DEFINE_PROP_BOOL("auto-kernel-cmdline", MicrovmMachineState,
                     auto_kernel_cmdline, "on",
                     "Name the transports in use on the kernel command line (without ACPI)"),
    DEFINE_PROP_ENUM("kernel-protocol", MicrovmMachineState, kernel_protocol, protocol_names,
                     "auto", "How to start the kernel (auto: the best that it has)"),
    DEFINE_PROP_BOOL("unused-transports", MicrovmMachineState,
                     unused_transports, "on",
                     "The transports without a device are there, too"),
    DEFINE_PROP_ON_OFF_AUTO("acpi", MicrovmMachineState, acpi, "auto",
                            "ACPI tables and power button (auto: if the kernel can use them)"),
    DEFINE_PROP_ON_OFF_AUTO("ioapic2", MicrovmMachineState, ioapic2, "auto",
                            "With ACPI, a second I/O APIC and 24 transports"),
    DEFINE_PROP_UINT64("virtio-mmio-base", MicrovmMachineState, virtio_base, "0xd0000000",
                       "Address of the first virtio-mmio transport"),
    DEFINE_PROP_ON_OFF_AUTO("pcie", MicrovmMachineState, pcie, "auto",
                            "Not available: without effect"),
    PROP_REFUSED("usb", "USB"),
    PROP_REFUSED("smm", "system management mode"),
    PROP_REFUSED("x-option-roms", "option ROMs"),
    DEFINE_PROP_END
};

static const MachineClass microvm_class = {
    .oc = {
        .name = "microvm",
        .alias = "microvm-1.0",
        .desc = "microvm (i386)",
        .type_name = "microvm-machine",
        .parent = &machine_base_class,
        .instance_size = sizeof(MicrovmMachineState),
        .props = microvm_props,
    },
    .is_default = true,
    .max_cpus = MICROVM_MAX_CPUS,
    .default_ram_size = 128 * MiB,
    .default_ram_id = "microvm.ram",
    .default_cpu_model = "host",
    .init = microvm_init,
    .init_done = microvm_init_done,
    .load_kernel = microvm_load_kernel,
    .reset = microvm_reset,
    .want_bus = microvm_want_bus,
    .get_fw_cfg = microvm_get_fw_cfg,
    .irqchip_info = microvm_irqchip_info,
    .foreach_state = MACHINE_STATE(microvm_foreach_state),
    .acpi_info = microvm_acpi_info,
};

DEFINE_CLASS(microvm_machine, &microvm_class.oc);
