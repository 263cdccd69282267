/*
 * Offsets in Linux's boot_params (the zero page) and in the setup header that
 * is part of it: Documentation/arch/x86/{boot,zero-page}.rst.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_I386_X86_SETUP_HEADER_H
#define HW_I386_X86_SETUP_HEADER_H

/* boot_params proper. */
#define BP_ACPI_RSDP_ADDR       0x070
#define BP_EXT_RAMDISK_IMAGE    0x0c0
#define BP_EXT_RAMDISK_SIZE     0x0c4
#define BP_EXT_CMD_LINE_PTR     0x0c8
#define BP_E820_ENTRIES         0x1e8
#define BP_E820_TABLE           0x2d0
#define BP_E820_ROW             20

/* The setup header, "Offset/Size" in the document's table. */
#define SETUP_SECTS             0x1f1   /* 1 */
#define SETUP_SYSSIZE           0x1f4   /* 4, in 16-byte units */
#define SETUP_BOOT_FLAG         0x1fe   /* 2 */
#define SETUP_BOOT_FLAG_VALUE   0xaa55
#define SETUP_JUMP              0x200   /* 2: opcode and offset */
#define SETUP_MAGIC             0x202   /* 4 */
#define SETUP_MAGIC_TEXT        "HdrS"
#define SETUP_VERSION           0x206   /* 2 */
#define SETUP_TYPE_OF_LOADER    0x210   /* 1 */
#define SETUP_LOADER_UNDEFINED  0xff
#define SETUP_LOADFLAGS         0x211   /* 1 */
#define LOADFLAGS_LOADED_HIGH   0x01
#define SETUP_RAMDISK_IMAGE     0x218   /* 4 */
#define SETUP_RAMDISK_SIZE      0x21c   /* 4 */
#define SETUP_CMD_LINE_PTR      0x228   /* 4 */
#define SETUP_INITRD_ADDR_MAX   0x22c   /* 4 */
#define SETUP_ALIGNMENT         0x230   /* 4 */
#define SETUP_RELOCATABLE       0x234   /* 1 */
#define SETUP_XLOADFLAGS        0x236   /* 2 */
#define XLF_KERNEL_64           0x0001
#define SETUP_CMDLINE_SIZE      0x238   /* 4 */
#define SETUP_PAYLOAD_OFFSET    0x248   /* 4, from the end of the setup part */
#define SETUP_PAYLOAD_LENGTH    0x24c   /* 4 */
#define SETUP_DATA              0x250   /* 8 */
#define SETUP_PREF_ADDRESS      0x258   /* 8 */
#define SETUP_INIT_SIZE         0x260   /* 4 */

#endif
