/*
 * Kernel files made up for tests: small, valid, and easy to break.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_KERNEL_IMAGE_H
#define TESTS_UNIT_KERNEL_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

/* Where things are in the ELF files. */
#define IMG_ELF_PHNUM       3
#define IMG_ELF_NOTE        0x400
#define IMG_ELF_TEXT        0x1000
#define IMG_ELF_TEXT_SIZE   0x800
#define IMG_ELF_DATA        0x1800
#define IMG_ELF_DATA_SIZE   0x100
#define IMG_ELF_SIZE        0x1900
#define IMG_TEXT_ADDR       0x1000000
#define IMG_DATA_ADDR       0x1200000
#define IMG_DATA_MEM        0x3000
#define IMG_ELF64_DATA_PADDR (sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr) + \
                              offsetof(Elf64_Phdr, p_paddr))
#define IMG_ELF_ENTRY       (IMG_TEXT_ADDR + 0x40)
#define IMG_PVH_ENTRY       (IMG_TEXT_ADDR + 0x80)

/* And in the bzImage. */
#define IMG_BZ_SETUP_SECTS  5
#define IMG_BZ_CODE         ((IMG_BZ_SETUP_SECTS + 1) * 512)
#define IMG_BZ_CODE_SIZE    0x1000
#define IMG_BZ_SIZE         (IMG_BZ_CODE + IMG_BZ_CODE_SIZE)
#define IMG_BZ_INIT_SIZE    0x200000
#define IMG_BZ_CMDLINE      2047

/* Multiboot headers: in ELF32 behind the notes, and in a file of its own. */
#define IMG_MB_ELF_HEADER   0x480
#define IMG_MB_HEADER       0x100
#define IMG_MB_SIZE         0x1000
#define IMG_MB_MEM          0x3000
#define IMG_MB_ENTRY        (IMG_TEXT_ADDR + 0x200)

#define IMG_MAX_SIZE        0x2000

typedef enum ImageKind {
    IMAGE_ELF64,
    IMAGE_ELF64_PVH,
    IMAGE_ELF32_PVH,
    IMAGE_BZIMAGE,
    IMAGE_MULTIBOOT32,      /* ELF32 */
    IMAGE_MULTIBOOT,        /* no ELF: the header has addresses */
    IMAGE__MAX
} ImageKind;

/* Write the image; returns its size. */
size_t image_build(ImageKind kind, uint8_t buf[IMG_MAX_SIZE]);

#endif
