/*
 * Kernel files made up for tests.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel-image.h"

#include <string.h>

static void put(uint8_t *p, uint64_t value, unsigned size)
{
    memcpy(p, &value, size);
}

/* Every byte of code and data tells its place. */
static void fill(uint8_t *p, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        p[i] = 0x80 + i % 97;
    }
}

/* A GNU note first: the one that counts must be searched for. */
static size_t build_notes(uint8_t *p, unsigned desc_size)
{
    static const Elf64_Nhdr other = { 4, 5, 1 };
    Elf64_Nhdr pvh = { 4, desc_size, 18 };

    memcpy(p, &other, sizeof(other));
    memcpy(p + 12, "GNU", 4);
    memcpy(p + 16, "12345\0\0\0", 8);
    memcpy(p + 24, &pvh, sizeof(pvh));
    memcpy(p + 36, "Xen", 4);
    put(p + 40, IMG_PVH_ENTRY, desc_size);
    return 40 + desc_size;
}

static void build_elf64(uint8_t *buf, size_t note_size)
{
    Elf64_Ehdr e = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT,
        .e_entry = IMG_ELF_ENTRY, .e_phoff = sizeof(e),
        .e_ehsize = sizeof(e), .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = IMG_ELF_PHNUM,
    };
    Elf64_Phdr ph[IMG_ELF_PHNUM] = {
        { .p_type = PT_LOAD, .p_offset = IMG_ELF_TEXT,
          .p_paddr = IMG_TEXT_ADDR, .p_filesz = IMG_ELF_TEXT_SIZE,
          .p_memsz = IMG_ELF_TEXT_SIZE, .p_align = 0x1000 },
        { .p_type = PT_LOAD, .p_offset = IMG_ELF_DATA,
          .p_paddr = IMG_DATA_ADDR, .p_filesz = IMG_ELF_DATA_SIZE,
          .p_memsz = IMG_DATA_MEM, .p_align = 0x1000 },
        { .p_type = PT_NOTE, .p_offset = IMG_ELF_NOTE,
          .p_filesz = note_size, .p_memsz = note_size, .p_align = 4 },
    };

    memcpy(buf, &e, sizeof(e));
    memcpy(buf + sizeof(e), ph, sizeof(ph));
}

static void build_elf32(uint8_t *buf, size_t note_size)
{
    Elf32_Ehdr e = {
        .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS32, ELFDATA2LSB, EV_CURRENT },
        .e_type = ET_EXEC, .e_machine = EM_386, .e_version = EV_CURRENT,
        .e_entry = IMG_ELF_ENTRY, .e_phoff = sizeof(e),
        .e_ehsize = sizeof(e), .e_phentsize = sizeof(Elf32_Phdr),
        .e_phnum = IMG_ELF_PHNUM,
    };
    Elf32_Phdr ph[IMG_ELF_PHNUM] = {
        { .p_type = PT_LOAD, .p_offset = IMG_ELF_TEXT,
          .p_paddr = IMG_TEXT_ADDR, .p_filesz = IMG_ELF_TEXT_SIZE,
          .p_memsz = IMG_ELF_TEXT_SIZE, .p_align = 0x1000 },
        { .p_type = PT_LOAD, .p_offset = IMG_ELF_DATA,
          .p_paddr = IMG_DATA_ADDR, .p_filesz = IMG_ELF_DATA_SIZE,
          .p_memsz = IMG_DATA_MEM, .p_align = 0x1000 },
        { .p_type = PT_NOTE, .p_offset = IMG_ELF_NOTE,
          .p_filesz = note_size, .p_memsz = note_size, .p_align = 4 },
    };

    memcpy(buf, &e, sizeof(e));
    memcpy(buf + sizeof(e), ph, sizeof(ph));
}

/* Multiboot 0.6.96, 3.1. */
static void build_multiboot_header(uint8_t *p, uint32_t flags)
{
    put(p, 0x1badb002, 4);
    put(p + 4, flags, 4);
    put(p + 8, -(0x1badb002u + flags), 4);
}

static size_t build_multiboot(uint8_t *buf)
{
    uint8_t *p = buf + IMG_MB_HEADER;

    fill(buf, IMG_MB_SIZE);
    build_multiboot_header(p, 1u << 16);
    put(p + 12, IMG_TEXT_ADDR + IMG_MB_HEADER, 4);
    put(p + 16, IMG_TEXT_ADDR, 4);
    put(p + 20, IMG_TEXT_ADDR + IMG_MB_SIZE, 4);
    put(p + 24, IMG_TEXT_ADDR + IMG_MB_MEM, 4);
    put(p + 28, IMG_MB_ENTRY, 4);
    return IMG_MB_SIZE;
}

static size_t build_elf(ImageKind kind, uint8_t *buf)
{
    size_t note_size = 24;      /* just the other note */

    fill(buf + IMG_ELF_TEXT, IMG_ELF_TEXT_SIZE);
    fill(buf + IMG_ELF_DATA, IMG_ELF_DATA_SIZE);
    if (kind != IMAGE_ELF64 && kind != IMAGE_MULTIBOOT32) {
        note_size = build_notes(buf + IMG_ELF_NOTE,
                                kind == IMAGE_ELF32_PVH ? 4 : 8);
    } else {
        build_notes(buf + IMG_ELF_NOTE, 8);
    }
    if (kind == IMAGE_MULTIBOOT32) {
        build_multiboot_header(buf + IMG_MB_ELF_HEADER, 3);
    }
    if (kind == IMAGE_ELF32_PVH || kind == IMAGE_MULTIBOOT32) {
        build_elf32(buf, note_size);
    } else {
        build_elf64(buf, note_size);
    }
    return IMG_ELF_SIZE;
}

/* Offsets: Linux, Documentation/arch/x86/boot.rst, "The real-mode kernel header". */
static size_t build_bzimage(uint8_t *buf)
{
    buf[0x1f1] = IMG_BZ_SETUP_SECTS;
    put(buf + 0x1f4, IMG_BZ_CODE_SIZE / 16, 4);     /* syssize */
    put(buf + 0x1fe, 0xaa55, 2);                    /* boot_flag */
    buf[0x200] = 0xeb;                              /* jump */
    buf[0x201] = 0x6c;                              /* header ends at 0x26e */
    memcpy(buf + 0x202, "HdrS", 4);
    put(buf + 0x206, 0x20f, 2);                     /* version */
    buf[0x211] = 1;                                 /* loadflags: LOADED_HIGH */
    put(buf + 0x214, 0x100000, 4);                  /* code32_start */
    put(buf + 0x22c, 0x7fffffff, 4);                /* initrd_addr_max */
    put(buf + 0x230, 0x200000, 4);                  /* kernel_alignment */
    buf[0x234] = 1;                                 /* relocatable_kernel */
    put(buf + 0x236, 1, 2);                         /* xloadflags: KERNEL_64 */
    put(buf + 0x238, IMG_BZ_CMDLINE, 4);            /* cmdline_size */
    put(buf + 0x258, IMG_TEXT_ADDR, 8);             /* pref_address */
    put(buf + 0x260, IMG_BZ_INIT_SIZE, 4);          /* init_size */
    fill(buf + IMG_BZ_CODE, IMG_BZ_CODE_SIZE);
    return IMG_BZ_SIZE;
}

size_t image_build(ImageKind kind, uint8_t buf[IMG_MAX_SIZE])
{
    memset(buf, 0, IMG_MAX_SIZE);
    return kind == IMAGE_BZIMAGE ? build_bzimage(buf)
           : kind == IMAGE_MULTIBOOT ? build_multiboot(buf) : build_elf(kind, buf);
}
