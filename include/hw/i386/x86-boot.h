/*
 * From a kernel file to the first instruction, without firmware.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_X86_BOOT_H
#define HW_I386_X86_BOOT_H

#include "hw/boards.h"
#include "target/i386/cpu.h"

typedef enum X86BootProtocol {
    X86_BOOT_NONE,
    X86_BOOT_LINUX64,       /* 64-bit entry, boot_params in RSI */
    X86_BOOT_PVH,           /* 32-bit entry, hvm_start_info in EBX */
    X86_BOOT_LINUX32,       /* 32-bit entry, boot_params in ESI */
    X86_BOOT_MULTIBOOT,     /* 32-bit entry, Multiboot information in EBX */
} X86BootProtocol;

/* How CPU 0 starts. */
typedef struct X86BootState {
    X86BootProtocol protocol;
    uint64_t entry;         /* guest-physical */
    uint64_t info;          /* boot_params, hvm_start_info or Multiboot information */
    uint64_t rsp;
    uint64_t cr3;
} X86BootState;

/*
 * Read ms->kernel_filename (ELF, bzImage or Multiboot) and ms->initrd_filename,
 * check them and register every piece (kernel, initrd, command line, boot
 * parameters, page tables) as roms. cmdline is the full command line, rsdp where the ACPI
 * tables' RSDP is (0: none; Multiboot kernels look for it). boot->protocol
 * is the one to use, X86_BOOT_NONE for the best that the kernel has. Errors
 * name the file. On success boot tells how CPU 0 starts.
 */
bool x86_load_linux(MachineState *ms, const char *cmdline, uint64_t rsdp, X86BootState *boot,
                    Error **errp);

/* Register what each -device loader has as roms; the memory map is complete. */
bool x86_run_loaders(MachineState *ms, Error **errp);

/*
 * Can the kernel that ms->kernel_filename names use ACPI? A Linux that can has the RSDP's
 * signature in its read-only data, and in the part of a bzImage that is not compressed; other PVH
 * kernels are taken to. protocol: as boot->protocol above. *reason gets a constant text. False
 * for a file that cannot be read.
 */
bool x86_kernel_uses_acpi(const MachineState *ms, X86BootProtocol protocol, const char **reason);
/* After every reset: put CPU 0's registers where boot says. */
void x86_boot_cpu(X86CPU *cpu, const X86BootState *boot);

/* One row of the guest's memory map. */
typedef struct E820Entry {
    uint64_t addr;
    uint64_t size;
    uint32_t type;          /* 1 RAM, 2 reserved */
} E820Entry;
#define E820_RAM        1
#define E820_RESERVED   2
#define E820_MAX        8

/*
 * The memory map for ram_size bytes of RAM: low memory with the EBDA and the BIOS hole
 * reserved, RAM up to MICROVM_LOWMEM_END, the rest from 4 GiB. Returns the number of
 * rows. Pure.
 */
unsigned x86_build_e820(uint64_t ram_size, E820Entry map[E820_MAX]);

#endif
