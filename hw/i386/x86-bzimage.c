/*
 * bzImage kernels: the setup header and the entry points of 64 and 32 bits.
 *
 * Offsets are those of Linux's Documentation/arch/x86/boot.rst; they hold for
 * the file and for boot_params alike.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>

#include "hw/i386/microvm.h"
#include "hw/i386/x86-boot-internal.h"
#include "hw/i386/x86-setup-header.h"
#include "qemu/le.h"

/* The first protocols that tell about memory (init_size) and a 64-bit entry (xloadflags). */
#define MIN_PROTOCOL        0x20a
#define MIN_PROTOCOL64      0x20c
#define ENTRY64_OFFSET      0x200
#define SECTOR_SIZE         512
#define PARAGRAPH           16
#define DEFAULT_SETUP_SECTS 4

/* The fields of a setup header that decide how the kernel is loaded. */
typedef struct SetupFields {
    uint64_t setup_size;        /* real-mode part with the boot sector, bytes */
    uint64_t image_size;        /* protected-mode part, bytes */
    uint64_t stored_size;       /* of them in the file */
    uint16_t protocol;
    uint8_t loadflags;
    uint16_t xloadflags;
    bool relocatable;
    uint32_t alignment;
    uint64_t pref_address;
    uint32_t init_size;
    uint32_t initrd_addr_max;
    uint32_t cmdline_size;
    uint32_t payload_offset, payload_length;
} SetupFields;

bool x86_bzimage_probe(const uint8_t *head, size_t len)
{
    return len >= SETUP_VERSION + 2 &&
           ld_le(head + SETUP_BOOT_FLAG, 2) == SETUP_BOOT_FLAG_VALUE &&
           memcmp(head + SETUP_MAGIC, SETUP_MAGIC_TEXT, 4) == 0;
}

static void decode_fields(const X86KernelFile *file, const uint8_t *head, SetupFields *f)
{
    unsigned sects = head[SETUP_SECTS];
    uint64_t stored;

    f->setup_size = ((sects ? sects : DEFAULT_SETUP_SECTS) + 1) * SECTOR_SIZE;
    f->image_size = ld_le(head + SETUP_SYSSIZE, 4) * PARAGRAPH;
    /* The last paragraph may be cut short (memtest86+); the rest of it is zeros. */
    stored = file->size < f->setup_size ? 0 : file->size - f->setup_size;
    f->stored_size = stored < f->image_size && f->image_size - stored < PARAGRAPH
                     ? stored : f->image_size;
    f->protocol = ld_le(head + SETUP_VERSION, 2);
    f->loadflags = head[SETUP_LOADFLAGS];
    f->xloadflags = ld_le(head + SETUP_XLOADFLAGS, 2);
    f->relocatable = head[SETUP_RELOCATABLE];
    f->alignment = ld_le(head + SETUP_ALIGNMENT, 4);
    f->pref_address = ld_le(head + SETUP_PREF_ADDRESS, 8);
    f->init_size = ld_le(head + SETUP_INIT_SIZE, 4);
    f->initrd_addr_max = ld_le(head + SETUP_INITRD_ADDR_MAX, 4);
    f->cmdline_size = ld_le(head + SETUP_CMDLINE_SIZE, 4);
    f->payload_offset = ld_le(head + SETUP_PAYLOAD_OFFSET, 4);
    f->payload_length = ld_le(head + SETUP_PAYLOAD_LENGTH, 4);
}

static bool check_fields(const X86KernelFile *file, const SetupFields *f,
                         Error **errp)
{
    if (f->protocol < MIN_PROTOCOL) {
        error_setg(errp, "boot protocol %u.%02u is too old (at least 2.10)",
                   f->protocol >> 8, f->protocol & 0xff);
        return false;
    }
    if (!(f->loadflags & LOADFLAGS_LOADED_HIGH)) {
        error_setg(errp, "invalid kernel header: a zImage, not a bzImage");
        return false;
    }
    if (!x86_range_fits(f->setup_size, f->stored_size, file->size)) {
        error_setg(errp, "invalid kernel header: the file has %" PRIu64
                   " bytes, the header says %" PRIu64, file->size,
                   f->setup_size + f->image_size);
        return false;
    }
    if (f->image_size <= ENTRY64_OFFSET) {
        error_setg(errp, "invalid kernel header: %" PRIu64 " bytes of code",
                   f->image_size);
        return false;
    }
    if (f->init_size < f->image_size) {
        error_setg(errp, "invalid kernel header: init_size 0x%x is less than "
                   "the image's 0x%" PRIx64, f->init_size, f->image_size);
        return false;
    }
    return true;
}

/*
 * The preferred address, which a kernel moves to anyway when it is loaded
 * lower; a relocatable one may have to be aligned. False when it makes no sense.
 */
static bool choose_address(const SetupFields *f, uint64_t *addr, Error **errp)
{
    uint64_t align = f->alignment;

    if (f->pref_address < HIMEM_START || f->pref_address > UINT32_MAX) {
        error_setg(errp, "invalid kernel header: preferred address 0x%" PRIx64,
                   f->pref_address);
        return false;
    }
    *addr = f->pref_address;
    if (!f->relocatable) {
        return true;
    }
    if (align == 0 || (align & (align - 1))) {
        error_setg(errp, "invalid kernel header: alignment 0x%" PRIx64
                   " is not a power of two", align);
        return false;
    }
    *addr = (*addr + align - 1) & ~(align - 1);
    return true;
}

/* The protocol that is wanted, or that of 64 bits if there is one. */
static bool choose_protocol(const SetupFields *f, X86Kernel *kernel, Error **errp)
{
    bool is64 = f->protocol >= MIN_PROTOCOL64 && (f->xloadflags & XLF_KERNEL_64);
    X86BootProtocol wanted = kernel->protocol;

    if (wanted == X86_BOOT_NONE) {
        kernel->protocol = is64 ? X86_BOOT_LINUX64 : X86_BOOT_LINUX32;
    } else if (wanted != X86_BOOT_LINUX32 && (wanted != X86_BOOT_LINUX64 || !is64)) {
        error_setg(errp, "no entry point for the boot protocol that is asked for");
        return false;
    }
    return true;
}

bool x86_bzimage_parse(const X86KernelFile *file, X86Kernel *kernel,
                       Error **errp)
{
    uint8_t head[SETUP_HEADER_END];
    SetupFields f;
    size_t header_end;
    uint64_t addr;

    if (!x86_kernel_read(file, 0, head, sizeof(head), "kernel header", errp)) {
        return false;
    }
    decode_fields(file, head, &f);
    if (!check_fields(file, &f, errp) || !choose_address(&f, &addr, errp) ||
        !choose_protocol(&f, kernel, errp)) {
        return false;
    }

    /* The byte behind the jump's opcode tells where the header ends. */
    header_end = SETUP_MAGIC + head[SETUP_JUMP + 1];
    header_end = MIN(header_end, sizeof(head));
    if (header_end < SETUP_INIT_SIZE + 4) {
        error_setg(errp, "invalid kernel header: it ends at 0x%zx",
                   header_end);
        return false;
    }
    memcpy(kernel->setup_header, head + SETUP_HEADER_START,
           header_end - SETUP_HEADER_START);

    kernel->entry = kernel->protocol == X86_BOOT_LINUX64 ? addr + ENTRY64_OFFSET : addr;
    kernel->start = addr;
    kernel->end = addr + f.init_size;
    kernel->initrd_limit = f.initrd_addr_max + 1ULL;
    kernel->cmdline_max = f.cmdline_size;
    kernel->nr_segments = 1;
    kernel->segments[0] = (RomSegment) {
        .offset = f.setup_size, .size = f.stored_size,
        .mem_size = f.image_size, .addr = addr,
    };
    return true;
}

bool x86_bzimage_payload(const X86KernelFile *file, X86Payload *payload)
{
    uint8_t head[SETUP_HEADER_END];
    SetupFields f;

    if (!x86_kernel_read(file, 0, head, sizeof(head), "kernel header", NULL) ||
        !x86_bzimage_probe(head, sizeof(head))) {
        return false;
    }
    decode_fields(file, head, &f);
    /* An unpacked kernel fits where its own stub would put it. */
    *payload = (X86Payload) {
        .offset = f.setup_size + f.payload_offset,
        .size = f.payload_length,
        .limit = f.init_size,
    };
    return check_fields(file, &f, NULL) &&
           x86_range_fits(payload->offset, payload->size, file->size);
}
