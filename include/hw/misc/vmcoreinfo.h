/*
 * Where a guest's kernel says its VMCOREINFO note is: fw_cfg file etc/vmcoreinfo (QEMU,
 * docs/specs/vmcoreinfo). Dumps carry the note, and crash(8) wants it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_MISC_VMCOREINFO_H
#define HW_MISC_VMCOREINFO_H

#include <stdint.h>

#define VMCOREINFO_FORMAT_ELF   1

/* Little-endian, as the guest wrote it: not to be trusted. */
typedef struct VMCoreInfo {
    uint16_t host_format;       /* what we can do with it */
    uint16_t guest_format;      /* 0: the guest has said nothing */
    uint32_t size;              /* of the note, its header included */
    uint64_t paddr;
} __attribute__((packed)) VMCoreInfo;

#endif
