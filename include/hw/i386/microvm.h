/*
 * The microvm machine: every address and interrupt number it has.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_MICROVM_H
#define HW_I386_MICROVM_H

#include "exec/memory.h"
#include "hw/boards.h"
#include "hw/isa/isa.h"

/* Guest-physical memory map. */
#define MICROVM_LOWMEM_END      0xc0000000ULL   /* RAM below; devices above */
#define MICROVM_HIGHMEM_START   0x100000000ULL  /* the rest of RAM */
#define VIRTIO_MMIO_BASE        0xd0000000ULL
#define VIRTIO_MMIO_SIZE        0x200ULL
#define VIRTIO_NUM_TRANSPORTS   8
#define VIRTIO_IRQ_BASE         5
#define IO_APIC_DEFAULT_ADDRESS 0xfec00000ULL
#define IO_APIC_SIZE            0x1000ULL
#define LAPIC_SIZE              0x100000ULL     /* the MSI window included */

/* Low memory, written before the first instruction. */
#define START_INFO_START        0x6000          /* PVH hvm_start_info and its lists */
#define BOOT_PARAMS_START       0x7000          /* the zero page */
#define BOOT_STACK_POINTER      0x8ff0
#define PML4_START              0x9000
#define PDPTE_START             0xa000
#define PDE_START               0xb000
#define BOOT_GDT_START          0xc000
#define KERNEL_CMDLINE_START    0x20000
#define KERNEL_CMDLINE_MAX_SIZE 0x10000
/*
 * The MP floating pointer is at the start of the EBDA, where every system looks
 * for it; the table of 254 CPUs is larger than the EBDA's KiB and lies below it.
 * All from MPTABLE_START up to HIMEM_START is reserved in the memory map.
 */
#define MPTABLE_START           0x9e000
#define MPTABLE_MAX_SIZE        (EBDA_START - MPTABLE_START)
#define EBDA_START              0x9fc00
#define EBDA_END                0xa0000
/* BIOS data area: two words, base memory in KiB and the EBDA's segment. */
#define BDA_EBDA_SEGMENT        0x40e
#define BDA_BASE_MEMORY         0x413
#define HIMEM_START             0x100000

#define MICROVM_NUM_GSIS        24
#define MICROVM_MAX_CPUS        254

/* I/O ports. */
#define PIC_MASTER_PORT         0x20
#define PIC_SLAVE_PORT          0xa0
#define PIT_PORT                0x40
#define ELCR_PORT               0x4d0

#endif
