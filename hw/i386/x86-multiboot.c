/*
 * Multiboot kernels: the header in the first 8 KiB, modules, and the information
 * structure. Multiboot Specification 0.6.96.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot-internal.h"
#include "qemu/cutils.h"
#include "qemu/le.h"

/* 3.1: where to look, and the magic fields. */
#define SEARCH_SIZE         8192
#define HEADER_ALIGN        4
#define HEADER_MAGIC        0x1badb002u
#define HEADER_SIZE         12
#define HEADER_ADDRS_SIZE   (HEADER_SIZE + 20)
/* Flags that we can heed: page-aligned modules, a memory map; a video mode is a wish. */
#define FLAG_PAGE_ALIGN     (1u << 0)
#define FLAG_MEMORY_INFO    (1u << 1)
#define FLAG_VIDEO_MODE     (1u << 2)
#define FLAG_ADDRESSES      (1u << 16)
#define FLAGS_REQUIRED      0xffffu     /* a loader that does not know one must give up */

/* 3.3: offsets in the information structure, and which parts are valid. */
#define INFO_FLAGS          0
#define INFO_MEM_LOWER      4
#define INFO_MEM_UPPER      8
#define INFO_CMDLINE        16
#define INFO_MODS_COUNT     20
#define INFO_MODS_ADDR      24
#define INFO_MMAP_LENGTH    44
#define INFO_MMAP_ADDR      48
#define INFO_LOADER_NAME    64
#define INFO_SIZE           116
#define INFO_HAS_MEMORY     (1u << 0)
#define INFO_HAS_CMDLINE    (1u << 2)
#define INFO_HAS_MODULES    (1u << 3)
#define INFO_HAS_MMAP       (1u << 6)
#define INFO_HAS_LOADER     (1u << 9)
#define MODULE_ENTRY_SIZE   16
#define MMAP_ENTRY_SIZE     24
#define LOADER_NAME         "qemu-system-x86_64"

bool x86_multiboot_find(const X86KernelFile *file, MultibootHeader *h)
{
    g_autofree uint8_t *head = g_malloc(SEARCH_SIZE);
    size_t len = MIN(file->size, SEARCH_SIZE);

    if (!x86_kernel_read(file, 0, head, len, "kernel header", NULL)) {
        return false;
    }
    for (size_t at = 0; x86_range_fits(at, HEADER_SIZE, len); at += HEADER_ALIGN) {
        uint32_t flags = ld_le(head + at + 4, 4);

        if (ld_le(head + at, 4) != HEADER_MAGIC ||
            (uint32_t)(HEADER_MAGIC + flags + ld_le(head + at + 8, 4)) != 0) {
            continue;
        }
        *h = (MultibootHeader) { .offset = at, .flags = flags };
        if ((flags & FLAG_ADDRESSES) && x86_range_fits(at, HEADER_ADDRS_SIZE, len)) {
            const uint8_t *fields = head + at + HEADER_SIZE;

            h->has_addresses = true;
            h->header_addr = ld_le(fields, 4);
            h->load_addr = ld_le(fields + 4, 4);
            h->load_end_addr = ld_le(fields + 8, 4);
            h->bss_end_addr = ld_le(fields + 12, 4);
            h->entry_addr = ld_le(fields + 16, 4);
        }
        return true;
    }
    return false;
}

/* The piece of the file that the header's addresses name (3.1.3). */
static bool flat_segment(const X86KernelFile *file, const MultibootHeader *h, RomSegment *seg,
                         Error **errp)
{
    uint64_t back = (uint64_t)h->header_addr - h->load_addr;

    if (h->load_addr > h->header_addr || back > h->offset) {
        error_setg(errp, "invalid Multiboot header: load address 0x%x, header address 0x%x, "
                   "found at 0x%x", h->load_addr, h->header_addr, h->offset);
        return false;
    }
    seg->offset = h->offset - back;
    seg->addr = h->load_addr;
    seg->size = h->load_end_addr ? (uint64_t)h->load_end_addr - h->load_addr
                                 : file->size - seg->offset;
    if ((h->load_end_addr && h->load_end_addr <= h->load_addr) ||
        !x86_range_fits(seg->offset, seg->size, file->size)) {
        error_setg(errp, "invalid Multiboot header: load address 0x%x, end of data 0x%x, a file "
                   "of %" PRIu64 " bytes", h->load_addr, h->load_end_addr, file->size);
        return false;
    }
    seg->mem_size = seg->size;
    if (h->bss_end_addr > seg->addr + seg->size) {
        seg->mem_size = h->bss_end_addr - seg->addr;
    }
    return true;
}

bool x86_multiboot_parse(const X86KernelFile *file, const MultibootHeader *h, X86Kernel *kernel,
                         Error **errp)
{
    uint32_t unknown = h->flags & FLAGS_REQUIRED &
                       ~(FLAG_PAGE_ALIGN | FLAG_MEMORY_INFO | FLAG_VIDEO_MODE);

    if (unknown) {
        error_setg(errp, "its Multiboot header needs features that are unknown: flags 0x%x",
                   unknown);
        return false;
    }
    kernel->protocol = X86_BOOT_MULTIBOOT;
    kernel->initrd_limit = 1ULL << 32;
    kernel->cmdline_max = KERNEL_CMDLINE_MAX_SIZE;
    if (!h->has_addresses) {
        return true;
    }
    kernel->nr_segments = 1;
    if (!flat_segment(file, h, &kernel->segments[0], errp)) {
        return false;
    }
    kernel->start = kernel->segments[0].addr;
    kernel->end = kernel->start + kernel->segments[0].mem_size;
    kernel->entry = h->entry_addr;
    if (kernel->entry < kernel->start || kernel->entry >= kernel->end) {
        error_setg(errp, "entry point 0x%x is not in a loaded segment", h->entry_addr);
        return false;
    }
    return true;
}

/* What the tables take; the strings are behind them. */
static size_t tables_size(const MultibootInfo *info)
{
    return INFO_SIZE + info->nr_e820 * MMAP_ENTRY_SIZE + info->nr_modules * MODULE_ENTRY_SIZE;
}

size_t x86_multiboot_info_size(const MultibootInfo *info)
{
    size_t size = tables_size(info) + sizeof(LOADER_NAME) + strlen(info->cmdline) + 1;

    for (unsigned i = 0; i < info->nr_modules; i++) {
        size += strlen(info->modules[i].string) + 1;
    }
    return size;
}

/* Copy a string to *pos and move that behind it; its guest-physical address. */
static uint32_t put_string(uint8_t *buf, uint32_t base, size_t *pos, const char *s)
{
    size_t len = strlen(s) + 1;
    uint32_t addr = base + *pos;

    memcpy(buf + *pos, s, len);
    *pos += len;
    return addr;
}

/* KiB of RAM from addr on without a hole, or up to the first one. */
static uint32_t ram_from(const MultibootInfo *info, uint64_t addr)
{
    for (unsigned i = 0; i < info->nr_e820; i++) {
        const E820Entry *e = &info->e820[i];

        if (e->type == E820_RAM && e->addr == addr) {
            return MIN(e->size / KiB, UINT32_MAX);
        }
    }
    return 0;
}

void x86_build_multiboot_info(const MultibootInfo *info, uint32_t base, uint8_t *buf)
{
    size_t mmap = INFO_SIZE, mods = mmap + info->nr_e820 * MMAP_ENTRY_SIZE;
    size_t strings = tables_size(info);

    memset(buf, 0, INFO_SIZE);
    st_le(buf + INFO_FLAGS, INFO_HAS_MEMORY | INFO_HAS_CMDLINE | INFO_HAS_MODULES |
          INFO_HAS_MMAP | INFO_HAS_LOADER, 4);
    st_le(buf + INFO_MEM_LOWER, ram_from(info, 0), 4);
    st_le(buf + INFO_MEM_UPPER, ram_from(info, HIMEM_START), 4);
    st_le(buf + INFO_LOADER_NAME, put_string(buf, base, &strings, LOADER_NAME), 4);
    st_le(buf + INFO_CMDLINE, put_string(buf, base, &strings, info->cmdline), 4);

    st_le(buf + INFO_MMAP_LENGTH, info->nr_e820 * MMAP_ENTRY_SIZE, 4);
    st_le(buf + INFO_MMAP_ADDR, base + mmap, 4);
    for (unsigned i = 0; i < info->nr_e820; i++, mmap += MMAP_ENTRY_SIZE) {
        st_le(buf + mmap, MMAP_ENTRY_SIZE - 4, 4);     /* what follows this field */
        st_le(buf + mmap + 4, info->e820[i].addr, 8);
        st_le(buf + mmap + 12, info->e820[i].size, 8);
        st_le(buf + mmap + 20, info->e820[i].type, 4);
    }

    st_le(buf + INFO_MODS_COUNT, info->nr_modules, 4);
    st_le(buf + INFO_MODS_ADDR, base + mods, 4);
    for (unsigned i = 0; i < info->nr_modules; i++, mods += MODULE_ENTRY_SIZE) {
        const MultibootModule *m = &info->modules[i];

        st_le(buf + mods, m->start, 4);
        st_le(buf + mods + 4, m->start + m->size, 4);
        st_le(buf + mods + 8, put_string(buf, base, &strings, m->string), 4);
        st_le(buf + mods + 12, 0, 4);
    }
}
