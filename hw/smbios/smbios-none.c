/*
 * A build without SMBIOS tables.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/smbios/smbios.h"

SmbiosOptions *smbios_options_new(void)
{
    return NULL;
}

void smbios_options_free(SmbiosOptions *o)
{
}

bool smbios_options_add(SmbiosOptions *o, QemuOpts *opts, Error **errp)
{
    error_setg(errp, "SMBIOS tables are not compiled into this binary");
    return false;
}

GByteArray *smbios_build_tables(const SmbiosOptions *o, const SmbiosInfo *info)
{
    return NULL;
}

void smbios_build_entry(uint64_t addr, uint32_t size, uint8_t entry[SMBIOS_ENTRY_SIZE])
{
}
