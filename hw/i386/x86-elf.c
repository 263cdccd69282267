/*
 * ELF kernels: program headers, the note that gives the PVH entry point, and the choice
 * of a boot protocol.
 *
 * The file is hostile until checked: every count is bounded, every sum of its
 * numbers is known not to overflow before it is made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <glib.h>
#include <string.h>

#include "hw/i386/x86-boot-internal.h"
#include "hw/i386/x86-setup-header.h"
#include "qemu/le.h"

#define MAX_PROGRAM_HEADERS 256
#define MAX_NOTE_SIZE       (64 * 1024)
/* Xen's public/elfnote.h: the 32-bit physical entry point of PVH. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
#define XEN_NOTE_NAME       "Xen"
/* Linux' include/linux/elfnote-lto.h and build-salt.h, since 4.19. */
#define LINUX_NOTE_NAME     "Linux"
/* An initrd goes below 4 GiB: segments beyond are not in its way. */
#define ADDRESS_SPAN        (1ULL << 32)

/* One program header, of either class. */
typedef struct ProgramHeader {
    uint32_t type;
    uint64_t offset;
    uint64_t paddr;
    uint64_t filesz;
    uint64_t memsz;
    uint64_t align;
} ProgramHeader;

/* The parts of the ELF header that matter, of either class. */
typedef struct ElfHeader {
    bool is64;
    uint16_t type;
    uint16_t machine;
    uint64_t entry;
    uint64_t phoff;
    uint16_t phentsize;
    uint16_t phnum;
} ElfHeader;

/* What notes tell; seen is false as long as none gave a PVH entry point. */
typedef struct PVHNote {
    bool seen;
    bool is_linux;
    uint64_t entry;
} PVHNote;

bool x86_elf_probe(const uint8_t *head, size_t len)
{
    return len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

#define READ_HEADER(bits) \
    static bool read_header##bits(const X86KernelFile *file, ElfHeader *h, Error **errp) \
    { \
        Elf##bits##_Ehdr e; \
        \
        if (!x86_kernel_read(file, 0, &e, sizeof(e), "ELF header", errp)) { \
            return false; \
        } \
        *h = (ElfHeader) { \
            .is64 = (bits) == 64, .type = e.e_type, .machine = e.e_machine, .entry = e.e_entry, \
            .phoff = e.e_phoff, .phentsize = e.e_phentsize, .phnum = e.e_phnum, \
        }; \
        return true; \
    }

READ_HEADER(64)
READ_HEADER(32)

static bool read_header(const X86KernelFile *file, ElfHeader *h, Error **errp)
{
    unsigned char ident[EI_NIDENT];

    if (!x86_kernel_read(file, 0, ident, sizeof(ident), "ELF header", errp)) {
        return false;
    }
    if (ident[EI_DATA] != ELFDATA2LSB || ident[EI_VERSION] != EV_CURRENT) {
        error_setg(errp, "not a little-endian ELF file of version 1");
        return false;
    }
    if (ident[EI_CLASS] != ELFCLASS64 && ident[EI_CLASS] != ELFCLASS32) {
        error_setg(errp, "ELF class %u is neither 32 nor 64 bits",
                   ident[EI_CLASS]);
        return false;
    }
    return ident[EI_CLASS] == ELFCLASS64 ? read_header64(file, h, errp)
                                         : read_header32(file, h, errp);
}

static bool check_header(const ElfHeader *h, Error **errp)
{
    size_t entsize = h->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);

    if (h->machine != (h->is64 ? EM_X86_64 : EM_386)) {
        error_setg(errp, "ELF machine %u is not x86", h->machine);
        return false;
    }
    if (h->type != ET_EXEC && h->type != ET_DYN) {
        error_setg(errp, "ELF type %u is not executable", h->type);
        return false;
    }
    if (h->phnum == 0) {
        error_setg(errp, "no program headers");
        return false;
    }
    if (h->phnum > MAX_PROGRAM_HEADERS) {
        error_setg(errp, "%u program headers are too many (at most %u)",
                   h->phnum, MAX_PROGRAM_HEADERS);
        return false;
    }
    if (h->phentsize != entsize) {
        error_setg(errp, "program headers of %u bytes instead of %zu",
                   h->phentsize, entsize);
        return false;
    }
    return true;
}

static ProgramHeader decode_phdr(const ElfHeader *h, const uint8_t *raw)
{
    Elf64_Phdr p64;
    Elf32_Phdr p32;

    if (h->is64) {
        memcpy(&p64, raw, sizeof(p64));
        return (ProgramHeader) {
            .type = p64.p_type, .offset = p64.p_offset, .paddr = p64.p_paddr,
            .filesz = p64.p_filesz, .memsz = p64.p_memsz,
            .align = p64.p_align,
        };
    }
    memcpy(&p32, raw, sizeof(p32));
    return (ProgramHeader) {
        .type = p32.p_type, .offset = p32.p_offset, .paddr = p32.p_paddr,
        .filesz = p32.p_filesz, .memsz = p32.p_memsz, .align = p32.p_align,
    };
}

static bool check_phdr(const X86KernelFile *file, const ProgramHeader *ph,
                       unsigned index, Error **errp)
{
    if (!x86_range_fits(ph->offset, ph->filesz, file->size)) {
        error_setg(errp, "program header %u: data ends beyond the end of "
                   "the file", index);
        return false;
    }
    if (ph->type == PT_LOAD && ph->filesz > ph->memsz) {
        error_setg(errp, "program header %u: file size 0x%" PRIx64
                   " is larger than memory size 0x%" PRIx64, index,
                   ph->filesz, ph->memsz);
        return false;
    }
    if (ph->type == PT_LOAD && ph->memsz > UINT64_MAX - ph->paddr) {
        error_setg(errp, "program header %u: address 0x%" PRIx64
                   " and size 0x%" PRIx64 " wrap around", index, ph->paddr,
                   ph->memsz);
        return false;
    }
    return true;
}

static bool add_segment(X86Kernel *kernel, const ProgramHeader *ph,
                        Error **errp)
{
    uint64_t end = ph->paddr + ph->memsz;

    if (ph->memsz == 0) {
        return true;
    }
    if (kernel->nr_segments == X86_KERNEL_MAX_SEGMENTS) {
        error_setg(errp, "more than %u segments", X86_KERNEL_MAX_SEGMENTS);
        return false;
    }
    if (ph->paddr < ADDRESS_SPAN) {
        kernel->start = kernel->end ? MIN(kernel->start, ph->paddr)
                                    : ph->paddr;
        kernel->end = MAX(kernel->end, end);
    }
    kernel->segments[kernel->nr_segments++] = (RomSegment) {
        .offset = ph->offset, .size = ph->filesz, .mem_size = ph->memsz,
        .addr = ph->paddr,
    };
    return true;
}

/*
 * Walk the notes of one segment (gABI, "Note Section"). Each step goes
 * forward by at least a header; sizes are 32 bits, sums 64.
 */
static bool scan_notes(const uint8_t *notes, uint64_t size, unsigned align,
                       PVHNote *pvh, Error **errp)
{
    uint64_t pos = 0;

    while (x86_range_fits(pos, sizeof(Elf64_Nhdr), size)) {
        uint64_t name_size = ld_le(notes + pos, 4);
        uint64_t desc_size = ld_le(notes + pos + 4, 4);
        uint32_t type = ld_le(notes + pos + 8, 4);
        uint64_t name = pos + sizeof(Elf64_Nhdr);
        uint64_t desc = (name + name_size + align - 1) / align * align;

        if (!x86_range_fits(name, name_size, size) ||
            !x86_range_fits(desc, desc_size, size)) {
            error_setg(errp, "a note ends beyond its segment");
            return false;
        }
        pvh->is_linux |= name_size == sizeof(LINUX_NOTE_NAME) &&
            memcmp(notes + name, LINUX_NOTE_NAME, name_size) == 0;
        if (type == XEN_ELFNOTE_PHYS32_ENTRY && !pvh->seen &&
            name_size == sizeof(XEN_NOTE_NAME) &&
            memcmp(notes + name, XEN_NOTE_NAME, name_size) == 0) {
            if (desc_size != 4 && desc_size != 8) {
                error_setg(errp, "the PVH note has %" PRIu64 " bytes instead "
                           "of 4 or 8", desc_size);
                return false;
            }
            pvh->entry = ld_le(notes + desc, desc_size);
            pvh->seen = true;
        }
        pos = (desc + desc_size + align - 1) / align * align;
    }
    return true;
}

static bool read_notes(const X86KernelFile *file, const ProgramHeader *ph,
                       PVHNote *pvh, Error **errp)
{
    g_autofree uint8_t *notes = NULL;

    if (pvh->seen || ph->filesz == 0) {
        return true;
    }
    if (ph->filesz > MAX_NOTE_SIZE) {
        error_setg(errp, "notes of 0x%" PRIx64 " bytes are too large (at most "
                   "0x%x)", ph->filesz, MAX_NOTE_SIZE);
        return false;
    }
    notes = g_malloc(ph->filesz);
    return x86_kernel_read(file, ph->offset, notes, ph->filesz, "note segment",
                           errp) &&
           scan_notes(notes, ph->filesz, ph->align == 8 ? 8 : 4, pvh, errp);
}

static bool read_segments(const X86KernelFile *file, const ElfHeader *h,
                          X86Kernel *kernel, PVHNote *pvh, Error **errp)
{
    size_t table_size = (size_t)h->phnum * h->phentsize;
    g_autofree uint8_t *table = g_malloc(table_size);

    if (!x86_kernel_read(file, h->phoff, table, table_size,
                         "program header table", errp)) {
        return false;
    }
    for (unsigned i = 0; i < h->phnum; i++) {
        ProgramHeader ph = decode_phdr(h, table + (size_t)i * h->phentsize);

        if (ph.type != PT_LOAD && ph.type != PT_NOTE) {
            continue;
        }
        if (!check_phdr(file, &ph, i, errp) ||
            !(ph.type == PT_LOAD ? add_segment(kernel, &ph, errp)
                                 : read_notes(file, &ph, pvh, errp))) {
            return false;
        }
    }
    return true;
}

static bool entry_is_loaded(const X86Kernel *kernel)
{
    for (unsigned i = 0; i < kernel->nr_segments; i++) {
        const RomSegment *s = &kernel->segments[i];

        if (kernel->entry >= s->addr && kernel->entry - s->addr < s->mem_size) {
            return true;
        }
    }
    return false;
}

/* Whether the file can be started by protocol p; fills mb in for Multiboot. */
static bool has_protocol(const X86KernelFile *file, const ElfHeader *h, const PVHNote *pvh,
                         X86BootProtocol p, MultibootHeader *mb)
{
    switch (p) {
    case X86_BOOT_PVH:
        return pvh->seen;
    case X86_BOOT_MULTIBOOT:        /* of either class: its entry is 32-bit code by 3.2 */
        return x86_multiboot_find(file, mb);
    case X86_BOOT_LINUX64:
        return h->is64;
    default:
        return !h->is64;
    }
}

/* The protocol that is wanted, or the first that the kernel has; a 32-bit Linux must be named. */
static bool choose_protocol(const X86KernelFile *file, const ElfHeader *h, const PVHNote *pvh,
                            X86Kernel *kernel, Error **errp)
{
    static const X86BootProtocol best[] = {
        X86_BOOT_PVH, X86_BOOT_MULTIBOOT, X86_BOOT_LINUX64,
    };
    X86BootProtocol wanted = kernel->protocol;
    MultibootHeader mb;
    bool found = wanted != X86_BOOT_NONE && has_protocol(file, h, pvh, wanted, &mb);

    for (unsigned i = 0; wanted == X86_BOOT_NONE && !found && i < G_N_ELEMENTS(best); i++) {
        kernel->protocol = best[i];
        found = has_protocol(file, h, pvh, best[i], &mb);
    }
    if (!found) {
        error_setg(errp, wanted == X86_BOOT_NONE
                   ? "a 32-bit ELF kernel needs a PVH note or a Multiboot header"
                   : "no entry point for the boot protocol that is asked for");
        return false;
    }
    kernel->entry = kernel->protocol == X86_BOOT_PVH ? pvh->entry : h->entry;
    kernel->initrd_limit = ADDRESS_SPAN;
    kernel->cmdline_max = UINT64_MAX;
    return kernel->protocol != X86_BOOT_MULTIBOOT ||
           x86_multiboot_parse(file, &mb, kernel, errp);
}

/* What a loader makes up for a kernel that is no bzImage and hence has none. */
static void default_setup_header(uint8_t header[SETUP_HEADER_END - SETUP_HEADER_START])
{
    st_le(&header[SETUP_BOOT_FLAG - SETUP_HEADER_START],
          SETUP_BOOT_FLAG_VALUE, 2);
    memcpy(&header[SETUP_MAGIC - SETUP_HEADER_START], SETUP_MAGIC_TEXT, 4);
    st_le(&header[SETUP_VERSION - SETUP_HEADER_START], 0x20f, 2);
    header[SETUP_LOADFLAGS - SETUP_HEADER_START] = LOADFLAGS_LOADED_HIGH;
}

static bool read_file(const X86KernelFile *file, ElfHeader *h, X86Kernel *kernel, PVHNote *pvh,
                      Error **errp)
{
    if (!read_header(file, h, errp) || !check_header(h, errp) ||
        !read_segments(file, h, kernel, pvh, errp)) {
        return false;
    }
    if (kernel->nr_segments == 0) {
        error_setg(errp, "no segment to load");
        return false;
    }
    return true;
}

bool x86_elf_segments(const X86KernelFile *file, X86Kernel *kernel, Error **errp)
{
    ElfHeader h = { 0 };
    PVHNote pvh = { 0 };

    return read_file(file, &h, kernel, &pvh, errp);
}

bool x86_elf_parse(const X86KernelFile *file, X86Kernel *kernel, Error **errp)
{
    ElfHeader h = { 0 };
    PVHNote pvh = { 0 };

    if (!read_file(file, &h, kernel, &pvh, errp)) {
        return false;
    }
    if (!choose_protocol(file, &h, &pvh, kernel, errp)) {
        return false;
    }
    kernel->is_linux = pvh.is_linux;
    if (!entry_is_loaded(kernel) ||
        (kernel->protocol != X86_BOOT_LINUX64 && kernel->entry > UINT32_MAX)) {
        error_setg(errp, "entry point 0x%" PRIx64 " is not in a loaded "
                   "segment", kernel->entry);
        return false;
    }
    default_setup_header(kernel->setup_header);
    return true;
}
