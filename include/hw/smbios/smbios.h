/*
 * SMBIOS tables (DMTF DSP0134, version 3.0 and later): what the machine says of its maker,
 * serial number, UUID, memory, and what its owner adds in "OEM strings".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_SMBIOS_SMBIOS_H
#define HW_SMBIOS_SMBIOS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "qemu/error.h"
#include "qemu/option.h"

#define SMBIOS_ENTRY_SIZE   24      /* 5.2.2, the 64-bit entry point */

/* What -smbios says, all of them together. */
typedef struct SmbiosOptions {
    GHashTable *fields;         /* "1.serial" to its text; owned */
    GPtrArray *oem_strings;     /* type 11, in order */
    GByteArray *files;          /* whole structures, one behind the other */
    bool has_file[256];         /* of this type: none of ours then */
    bool has_type[256];         /* fields of this type were given */
} SmbiosOptions;

SmbiosOptions *smbios_options_new(void);
void smbios_options_free(SmbiosOptions *o);
/*
 * One -smbios: "file=NAME", or "type=N" and fields of it. False with errp set when there is no
 * such type or field, or the file is not a row of whole structures.
 */
bool smbios_options_add(SmbiosOptions *o, QemuOpts *opts, Error **errp);

/* A piece of RAM. */
typedef struct SmbiosRange {
    uint64_t addr;
    uint64_t size;
} SmbiosRange;

/* What the board says. */
typedef struct SmbiosInfo {
    const char *product;
    const char *version;
    const char *uuid;           /* -uuid; NULL: none */
    unsigned sockets, cores, threads;   /* cores per socket, threads per core */
    uint32_t cpu_signature;     /* CPUID 1, EAX */
    uint32_t cpu_features;      /* CPUID 1, EDX */
    uint64_t ram_size;
    const SmbiosRange *ram;
    unsigned nr_ram;
} SmbiosInfo;

/* All structures, the last of type 127. Pure; options may be NULL. Caller frees. */
GByteArray *smbios_build_tables(const SmbiosOptions *options, const SmbiosInfo *info);
/* The entry point for a table of size bytes at addr. */
void smbios_build_entry(uint64_t addr, uint32_t size, uint8_t entry[SMBIOS_ENTRY_SIZE]);

#endif
