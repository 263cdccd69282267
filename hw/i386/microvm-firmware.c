/*
 * What firmware would tell the guest of the microvm machine: SMBIOS tables, fw_cfg. Both are
 * there only if asked for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/i386/microvm.h"
#include "hw/loader.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/smbios/smbios.h"
#include "target/i386/cpuid.h"

_Static_assert(SMBIOS_TABLES_START >= SMBIOS_ENTRY_START + SMBIOS_ENTRY_SIZE &&
               SMBIOS_TABLES_START + SMBIOS_TABLES_MAX_SIZE <= BIOS_RESTART,
               "the tables must not overlap");

DeviceState *microvm_get_fw_cfg(MachineState *ms, Error **errp)
{
    MicrovmMachineState *mms = microvm_machine(ms);

    if (!mms->fw_cfg) {
        mms->fw_cfg = fw_cfg_create(ms, FW_CFG_PORT, errp);
    }
    return mms->fw_cfg;
}

bool microvm_init_fw_cfg(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;

    return !ms->fw_cfg_items || microvm_get_fw_cfg(ms, errp);
}

static GByteArray *build_smbios(const MachineState *ms)
{
    uint64_t low = MIN(ms->ram_size, MICROVM_LOWMEM_END);
    const SmbiosRange ram[] = {
        { 0, low }, { MICROVM_HIGHMEM_START, ms->ram_size - low },
    };
    SmbiosInfo info = {
        .product = "microvm",
        .version = "1.0",
        .uuid = ms->uuid,
        .sockets = ms->smp.sockets,
        .cores = ms->smp.dies * ms->smp.cores,
        .threads = ms->smp.threads,
        .ram_size = ms->ram_size,
        .ram = ram,
        .nr_ram = ram[1].size ? 2 : 1,
    };
    const X86CPU *cpu = x86_cpu(ms->cpus[0]);

    if (cpu->cpuid) {
        uint32_t regs[4];

        x86_cpuid_lookup(cpu->cpuid, 1, 0, regs);
        info.cpu_signature = regs[0];
        info.cpu_features = regs[3];
    }
    return smbios_build_tables(ms->smbios, &info);
}

bool microvm_add_smbios(MicrovmMachineState *mms, Error **errp)
{
    MachineState *ms = &mms->parent;
    g_autoptr(GByteArray) tables = NULL;
    uint8_t *entry, *buf;

    if (!ms->smbios && !ms->uuid) {
        return true;
    }
    tables = build_smbios(ms);
    if (!tables) {
        return true;
    }
    if (tables->len > SMBIOS_TABLES_MAX_SIZE) {
        error_setg(errp, "-smbios: tables of %u bytes are too large (at most %u)", tables->len,
                   SMBIOS_TABLES_MAX_SIZE);
        return false;
    }
    entry = rom_add(ms, "SMBIOS entry point", SMBIOS_ENTRY_START, SMBIOS_ENTRY_SIZE, errp);
    buf = entry ? rom_add(ms, "SMBIOS tables", SMBIOS_TABLES_START, tables->len, errp) : NULL;
    if (!buf) {
        return false;
    }
    smbios_build_entry(SMBIOS_TABLES_START, tables->len, entry);
    memcpy(buf, tables->data, tables->len);
    return true;
}
