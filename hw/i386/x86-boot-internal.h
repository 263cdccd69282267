/*
 * Between the files that boot a kernel: what a kernel file says, and the
 * tables built for it. Formats: Linux, Documentation/arch/x86/boot.rst and
 * zero-page.rst; Xen, docs/misc/pvh.pandoc; ELF gABI 4.1.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_X86_BOOT_INTERNAL_H
#define HW_I386_X86_BOOT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hw/i386/x86-boot.h"
#include "hw/loader.h"
#include "qemu/error.h"
#include "qemu/le.h"

#define X86_KERNEL_MAX_SEGMENTS 64
#define X86_MAX_MODULES         64
#define X86_PAGE_SIZE           4096
#define X86_PAGE_TABLES_SIZE    (3 * X86_PAGE_SIZE)
#define X86_PAGE_TABLES_SPAN    0x40000000ULL   /* what they map: 1 GiB */
#define X86_BOOT_GDT_SIZE       (4 * 8)
#define X86_BOOT_CS             0x10
#define X86_BOOT_DS             0x18

/* The setup header inside a bzImage and inside boot_params. */
#define SETUP_HEADER_START      0x1f1
#define SETUP_HEADER_END        0x290   /* where boot_params goes on */

/* What the headers of a kernel file say, checked against the file's size. */
typedef struct X86Kernel {
    /*
     * Before parsing what the user wants, X86_BOOT_NONE for the kernel's best: PVH,
     * Multiboot, 64 bits, 32 bits. After it one of the others.
     */
    X86BootProtocol protocol;
    uint64_t entry;             /* inside a segment */
    unsigned nr_segments;
    RomSegment segments[X86_KERNEL_MAX_SEGMENTS];
    /* Memory below 4 GiB that the kernel needs until it manages its own. */
    uint64_t start, end;
    uint64_t initrd_limit;      /* one more than an initrd's highest address */
    uint64_t cmdline_max;       /* characters, without the final NUL */
    bool is_linux;              /* ELF: its notes say so */
    uint8_t setup_header[SETUP_HEADER_END - SETUP_HEADER_START];
} X86Kernel;

/* A kernel file while its headers are read. */
typedef struct X86KernelFile {
    int fd;
    uint64_t size;
} X86KernelFile;

/* The compressed kernel in a bzImage. */
typedef struct X86Payload {
    uint64_t offset;            /* in the file */
    uint64_t size;
    uint64_t limit;             /* unpacked, it has at most this many bytes */
} X86Payload;

/*
 * Read len bytes of headers at offset. False with errp set when the file ends
 * before that ("what" is cut off) or cannot be read.
 */
bool x86_kernel_read(const X86KernelFile *file, uint64_t offset, void *buf,
                     size_t len, const char *what, Error **errp);

/*
 * Both work in bounded time and memory on any file; kernel is zero before, but
 * for the protocol. False with errp set when the file is not one that can be booted,
 * or not by that protocol.
 */
bool x86_elf_parse(const X86KernelFile *file, X86Kernel *kernel, Error **errp);
bool x86_bzimage_parse(const X86KernelFile *file, X86Kernel *kernel,
                       Error **errp);
/* Only where an ELF file's segments go, whatever it is for. */
bool x86_elf_segments(const X86KernelFile *file, X86Kernel *kernel, Error **errp);
/* The same for a file of any format: finds out which. */
bool x86_kernel_parse(const X86KernelFile *file, X86Kernel *kernel, Error **errp);
/* Which of the two formats do the first bytes of the file promise? */
bool x86_elf_probe(const uint8_t *head, size_t len);
bool x86_bzimage_probe(const uint8_t *head, size_t len);
/* False when the headers do not say, or say nonsense. */
bool x86_bzimage_payload(const X86KernelFile *file, X86Payload *payload);
/*
 * Unpack a payload (gzip, XZ, Zstandard or LZ4, as Linux packs itself) of the file fd
 * into a new memory file of *size bytes. Its descriptor, or negative errno:
 * -ENOTSUP for formats that are unknown, -EINVAL for payloads that are broken or too
 * large. Time and memory are bounded by the payload's size and limit.
 */
int x86_unpack(int fd, const X86Payload *payload, uint64_t *size);
/* Multiboot 0.6.96, 3.1: what the kernel's header says. */
typedef struct MultibootHeader {
    uint32_t offset;            /* in the file */
    uint32_t flags;
    bool has_addresses;         /* these, instead of what ELF says */
    uint32_t header_addr, load_addr, load_end_addr, bss_end_addr, entry_addr;
} MultibootHeader;

/* Look for a header in the first 8 KiB; false if there is none. */
bool x86_multiboot_find(const X86KernelFile *file, MultibootHeader *h);
/*
 * Set kernel's protocol and limits, and with addresses in the header also its segment
 * and entry. False with errp set when the header asks for what we do not have or makes
 * no sense.
 */
bool x86_multiboot_parse(const X86KernelFile *file, const MultibootHeader *h, X86Kernel *kernel,
                         Error **errp);

/* A file that a Multiboot kernel finds in memory. */
typedef struct MultibootModule {
    uint32_t start;             /* page-aligned */
    uint32_t size;
    char *string;               /* its name and arguments; owned by whoever made it */
} MultibootModule;

typedef struct MultibootInfo {
    const char *cmdline;
    const E820Entry *e820;
    unsigned nr_e820;
    const MultibootModule *modules;
    unsigned nr_modules;
} MultibootInfo;

/* 3.3: the information structure with its lists and strings behind it, to lie at base. */
size_t x86_multiboot_info_size(const MultibootInfo *info);
void x86_build_multiboot_info(const MultibootInfo *info, uint32_t base, uint8_t *buf);

/* Enough of a file's start for the probes. */
#define X86_KERNEL_PROBE_SIZE 0x210

/*
 * The highest page-aligned place for size bytes from HIMEM_START up to limit
 * that is not the kernel's. 0 when there is none.
 */
uint64_t x86_place_initrd(const X86Kernel *kernel, uint64_t limit,
                          uint64_t size);

/* What a kernel is told at its start; addresses are guest-physical. */
typedef struct X86BootInfo {
    const uint8_t *setup_header;    /* as in X86Kernel; boot_params only */
    uint64_t cmdline_addr;
    uint32_t cmdline_size;          /* with its NUL; for kernels that do not say theirs */
    uint64_t initrd_addr;
    uint64_t initrd_size;           /* 0: none */
    uint64_t rsdp_addr;             /* 0: none */
    const E820Entry *e820;
    unsigned nr_e820;
} X86BootInfo;

/* The Linux zero page. */
void x86_build_boot_params(const X86BootInfo *info,
                           uint8_t page[X86_PAGE_SIZE]);

/* hvm_start_info, module list and memory map, to lie at base. */
#define X86_START_INFO_SIZE 0x200
void x86_build_start_info(const X86BootInfo *info, uint64_t base,
                          uint8_t buf[X86_START_INFO_SIZE]);

/* PML4, page directory pointers and page directory, to lie at base in a row. */
void x86_build_page_tables(uint64_t base, uint8_t buf[X86_PAGE_TABLES_SIZE]);
/* Descriptors for X86_BOOT_CS, of 64 or 32 bits, and X86_BOOT_DS. */
void x86_build_gdt(bool is64, uint8_t gdt[X86_BOOT_GDT_SIZE]);

/* Is [offset, offset + len) inside size bytes? No sum overflows. */
static inline bool x86_range_fits(uint64_t offset, uint64_t len, uint64_t size)
{
    return offset <= size && len <= size - offset;
}

#endif
