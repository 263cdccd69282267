/*
 * What a kernel finds in memory at its first instruction: boot_params or
 * hvm_start_info, page tables and descriptors. Pure functions into buffers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "hw/i386/x86-boot-internal.h"
#include "hw/i386/x86-setup-header.h"
#include "qemu/le.h"

/* SDM 3A, table 4-14 and following. */
#define PTE_PRESENT     (1u << 0)
#define PTE_WRITE       (1u << 1)
#define PTE_LARGE       (1u << 7)
#define LARGE_PAGE_SIZE 0x200000ULL
#define PTES_PER_PAGE   512

/* SDM 3A, 3.4.5: flat 64-bit (L) and 32-bit code and flat data, accessed. */
#define GDT_FLAT_CODE64 0x00af9b000000ffffULL
#define GDT_FLAT_CODE32 0x00cf9b000000ffffULL
#define GDT_FLAT_DATA   0x00cf93000000ffffULL

/* Xen, public/arch-x86/hvm/start_info.h: struct hvm_start_info, version 1. */
#define START_INFO_MAGIC            0x336ec578
#define START_INFO_VERSION          1
#define START_INFO_NR_MODULES       0x0c
#define START_INFO_MODLIST          0x10
#define START_INFO_CMDLINE          0x18
#define START_INFO_RSDP             0x20
#define START_INFO_MEMMAP           0x28
#define START_INFO_MEMMAP_ENTRIES   0x30
#define START_INFO_HEADER_SIZE      0x38
#define MODLIST_ENTRY_SIZE          32
#define MEMMAP_ENTRY_SIZE           24
/* Where the lists lie behind the header. */
#define MODLIST_OFFSET              0x40
#define MEMMAP_OFFSET               0x80

_Static_assert(MODLIST_OFFSET >= START_INFO_HEADER_SIZE &&
               MEMMAP_OFFSET >= MODLIST_OFFSET + MODLIST_ENTRY_SIZE &&
               X86_START_INFO_SIZE >= MEMMAP_OFFSET +
               E820_MAX * MEMMAP_ENTRY_SIZE, "the lists must not overlap");

void x86_build_boot_params(const X86BootInfo *info,
                           uint8_t page[X86_PAGE_SIZE])
{
    memset(page, 0, X86_PAGE_SIZE);
    memcpy(page + SETUP_HEADER_START, info->setup_header,
           SETUP_HEADER_END - SETUP_HEADER_START);

    page[SETUP_TYPE_OF_LOADER] = SETUP_LOADER_UNDEFINED;
    st_le(page + SETUP_DATA, 0, 8);
    st_le(page + SETUP_CMD_LINE_PTR, info->cmdline_addr, 4);
    st_le(page + BP_EXT_CMD_LINE_PTR, info->cmdline_addr >> 32, 4);
    /* Of a bzImage: the longest that it takes. Others find the length there. */
    if (!ld_le(page + SETUP_CMDLINE_SIZE, 4)) {
        st_le(page + SETUP_CMDLINE_SIZE, info->cmdline_size, 4);
    }
    st_le(page + SETUP_RAMDISK_IMAGE, info->initrd_addr, 4);
    st_le(page + BP_EXT_RAMDISK_IMAGE, info->initrd_addr >> 32, 4);
    st_le(page + SETUP_RAMDISK_SIZE, info->initrd_size, 4);
    st_le(page + BP_EXT_RAMDISK_SIZE, info->initrd_size >> 32, 4);

    st_le(page + BP_ACPI_RSDP_ADDR, info->rsdp_addr, 8);
    page[BP_E820_ENTRIES] = info->nr_e820;
    for (unsigned i = 0; i < info->nr_e820; i++) {
        uint8_t *row = page + BP_E820_TABLE + i * BP_E820_ROW;

        st_le(row, info->e820[i].addr, 8);
        st_le(row + 8, info->e820[i].size, 8);
        st_le(row + 16, info->e820[i].type, 4);
    }
}

void x86_build_start_info(const X86BootInfo *info, uint64_t base,
                          uint8_t buf[X86_START_INFO_SIZE])
{
    memset(buf, 0, X86_START_INFO_SIZE);
    st_le(buf, START_INFO_MAGIC, 4);
    st_le(buf + 4, START_INFO_VERSION, 4);
    st_le(buf + START_INFO_CMDLINE, info->cmdline_addr, 8);
    st_le(buf + START_INFO_RSDP, info->rsdp_addr, 8);
    if (info->initrd_size) {
        st_le(buf + START_INFO_NR_MODULES, 1, 4);
        st_le(buf + START_INFO_MODLIST, base + MODLIST_OFFSET, 8);
        st_le(buf + MODLIST_OFFSET, info->initrd_addr, 8);
        st_le(buf + MODLIST_OFFSET + 8, info->initrd_size, 8);
    }

    st_le(buf + START_INFO_MEMMAP, base + MEMMAP_OFFSET, 8);
    st_le(buf + START_INFO_MEMMAP_ENTRIES, info->nr_e820, 4);
    for (unsigned i = 0; i < info->nr_e820; i++) {
        uint8_t *row = buf + MEMMAP_OFFSET + i * MEMMAP_ENTRY_SIZE;

        st_le(row, info->e820[i].addr, 8);
        st_le(row + 8, info->e820[i].size, 8);
        st_le(row + 16, info->e820[i].type, 4);
    }
}

void x86_build_page_tables(uint64_t base, uint8_t buf[X86_PAGE_TABLES_SIZE])
{
    uint8_t *pdpt = buf + X86_PAGE_SIZE;
    uint8_t *pd = pdpt + X86_PAGE_SIZE;

    memset(buf, 0, X86_PAGE_TABLES_SIZE);
    st_le(buf, (base + X86_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE, 8);
    st_le(pdpt, (base + 2 * X86_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE, 8);
    for (unsigned i = 0; i < PTES_PER_PAGE; i++) {
        st_le(pd + 8 * i,
              i * LARGE_PAGE_SIZE | PTE_PRESENT | PTE_WRITE | PTE_LARGE, 8);
    }
}

void x86_build_gdt(bool is64, uint8_t gdt[X86_BOOT_GDT_SIZE])
{
    memset(gdt, 0, X86_BOOT_GDT_SIZE);
    st_le(gdt + X86_BOOT_CS, is64 ? GDT_FLAT_CODE64 : GDT_FLAT_CODE32, 8);
    st_le(gdt + X86_BOOT_DS, GDT_FLAT_DATA, 8);
}
