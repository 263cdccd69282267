/*
 * The microvm machine: every address and interrupt number it has, and its state.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_MICROVM_H
#define HW_I386_MICROVM_H

#include "exec/memory.h"
#include "hw/boards.h"
#include "hw/i386/irqchip.h"
#include "hw/i386/x86-boot.h"
#include "hw/irq.h"
#include "hw/isa/isa.h"

/* Guest-physical memory map. */
#define MICROVM_LOWMEM_END      0xc0000000ULL   /* RAM below; devices above */
#define MICROVM_HIGHMEM_START   0x100000000ULL  /* the rest of RAM */
#define VIRTIO_MMIO_BASE        0xd0000000ULL
#define VIRTIO_MMIO_SIZE        0x200ULL
#define VIRTIO_NUM_TRANSPORTS   8
#define VIRTIO_IRQ_BASE         5
#define IO_APIC_DEFAULT_ADDRESS 0xfec00000ULL
#define IO_APIC_SECONDARY_ADDRESS 0xfec10000ULL
#define IO_APIC_SIZE            0x1000ULL
#define LAPIC_SIZE              0x100000ULL     /* the MSI window included */

/* With ACPI. */
#define VIRTIO_NUM_TRANSPORTS_IOAPIC2 24        /* with a second I/O APIC, on its inputs */
#define VIRTIO_IRQ_BASE_ACPI    16              /* without: what ISA interrupts leave */
#define GED_SELECTOR_BASE       0xfea00000ULL
#define GED_REGS_BASE           0xfea00200ULL
#define GED_END                 0xfea01000ULL
#define GED_GSI                 9

/* Low memory, written before the first instruction. */
#define START_INFO_START        0x6000          /* PVH hvm_start_info and its lists */
#define BOOT_PARAMS_START       0x7000          /* the zero page */
#define BOOT_STACK_POINTER      0x8ff0          /* down to the end of the zero page */
#define PML4_START              0x9000
#define PDPTE_START             0xa000
#define PDE_START               0xb000
#define BOOT_GDT_START          0xc000
#define MULTIBOOT_INFO_START    0x10000         /* Multiboot information, lists and strings */
#define MULTIBOOT_INFO_MAX_SIZE 0x10000u
#define KERNEL_CMDLINE_START    0x20000
#define KERNEL_CMDLINE_MAX_SIZE 0x10000
/*
 * The MP floating pointer is at the start of the EBDA, where every system looks
 * for it; the table of 254 CPUs is larger than the EBDA's KiB and lies below it. There is no
 * table of what it has no place for: microvm_add_mptable().
 * All from MPTABLE_START up to HIMEM_START is reserved in the memory map.
 */
#define MPTABLE_START           0x9e000
#define MPTABLE_MAX_SIZE        (EBDA_START - MPTABLE_START)
#define EBDA_START              0x9fc00
#define EBDA_END                0xa0000
/* BIOS data area: two words, base memory in KiB and the EBDA's segment. */
#define BDA_EBDA_SEGMENT        0x40e
#define BDA_BASE_MEMORY         0x413
/* The RSDP and all tables: systems look for it there, too. Reserved in the memory map. */
#define ACPI_TABLES_START       0xe0000
#define ACPI_TABLES_MAX_SIZE    0xe000
/* Pages of their own, reserved, too. */
#define VMGENID_START           0xee000
#define VMCLOCK_START           0xef000
/* Systems look for the SMBIOS entry point from here up to 1 MiB. */
#define SMBIOS_ENTRY_START      0xf0000
#define SMBIOS_TABLES_START     0xf0020
#define SMBIOS_TABLES_MAX_SIZE  0xff00u
/* f000:fff0, where real-mode code goes that wants the BIOS to restart the machine. */
#define BIOS_RESTART            0xffff0
#define HIMEM_START             0x100000

#define MICROVM_MAX_CPUS        288
#define MPTABLE_MAX_CPUS        254             /* one of the 255 ids is the I/O APIC's */
#define MICROVM_MIN_RAM         0x100000ULL

/* I/O ports. */
#define PIC_MASTER_PORT         0x20
#define PIC_SLAVE_PORT          0xa0
#define PIT_PORT                0x40
#define PIT_SPEAKER_PORT        0x61
#define RTC_PORT                0x70
#define RTC_IRQ                 8
#define ELCR_PORT               0x4d0
#define FW_CFG_PORT             0x510

/* Shown in the map where the host kernel has the controllers. */
#define MICROVM_NUM_KERNEL_REGIONS 8

typedef struct MicrovmMachineState {
    MachineState parent;

    /* Properties. */
    OnOffAuto legacy;           /* the ISA bus */
    OnOffAuto pic;
    OnOffAuto pit;
    OnOffAuto rtc;
    bool auto_kernel_cmdline;
    bool unused_transports;
    OnOffAuto acpi;
    OnOffAuto ioapic2;
    uint64_t virtio_base;       /* of transport 0 */
    /* Known, and refused when on: what other versions of this machine have. */
    OnOffAuto pcie;

    MemoryRegion ram;           /* all of it, as the backend has it */
    MemoryRegion ram_below_4g;
    MemoryRegion ram_above_4g;
    MemoryRegion kernel_regions[MICROVM_NUM_KERNEL_REGIONS];
    unsigned nr_kernel_regions;

    qemu_irq gsi[X86_NUM_GSIS];
    struct X86Irqchip *irqchip; /* hw/i386/irqchip.h; NULL: the accelerator's */
    bool has_acpi;
    const char *acpi_reason;    /* why, or why not */
    bool has_ioapic2;
    bool has_rtc;
    DeviceState *ged;           /* hw/acpi/ged.h; NULL: no ACPI */
    bool has_pic;               /* an 8259A drives the boot processor's LINT0 */
    bool kernel_chips, kernel_pit;      /* the accelerator keeps controllers, and the PIT */
    bool has_isa;
    ISABus isa;
    DeviceState *fw_cfg;        /* hw/nvram/fw_cfg.h; NULL: not asked for */
    X86BootState boot;
    int kernel_protocol;        /* X86BootProtocol; 0: the kernel's best */
    bool was_reset;
} MicrovmMachineState;

static inline MicrovmMachineState *microvm_machine(MachineState *ms)
{
    return downcast(ms, MicrovmMachineState, parent);
}

/*
 * Parts of the machine's init(), in this order; each returns false with errp set.
 * The first connects gsi[].
 */
bool microvm_init_irqchip(MicrovmMachineState *mms, Error **errp);
bool microvm_init_isa(MicrovmMachineState *mms, Error **errp);
void microvm_want_bus(MachineState *ms, const char *type);

/*
 * Decide has_acpi: before all others, from the properties, the kernel file and its command
 * line. False with errp set when what is asked for cannot be.
 */
bool microvm_decide_acpi(MicrovmMachineState *mms, Error **errp);
/* Whether the tables that there will be can tell a guest of all processors; else errp is set. */
bool microvm_check_cpus(const MicrovmMachineState *mms, Error **errp);
/* The GED, if there is ACPI. */
bool microvm_init_ged(MicrovmMachineState *mms, Error **errp);
/* Register the tables as a rom; *rsdp is where, 0: no ACPI. Devices are realized. */
bool microvm_add_acpi(MicrovmMachineState *mms, uint64_t *rsdp, Error **errp);
/* What t is to say of -numa, if that was given; apic_ids are the MADT's. */
struct AcpiTables;
void microvm_build_numa(const MicrovmMachineState *mms, const uint32_t *apic_ids,
                        struct AcpiTables *t);
/* "info acpi", caller frees. */
char *microvm_acpi_info(MachineState *ms);

/* The fw_cfg device, if -fw_cfg or a device asks for it. Before the map is sealed. */
bool microvm_init_fw_cfg(MicrovmMachineState *mms, Error **errp);
DeviceState *microvm_get_fw_cfg(MachineState *ms, Error **errp);
/* Register SMBIOS tables as roms, if -smbios or -uuid asks for them. */
bool microvm_add_smbios(MicrovmMachineState *mms, Error **errp);
/* Register the MP tables as roms, if they have room for all processors. */
bool microvm_add_mptable(MicrovmMachineState *mms, Error **errp);

#endif
