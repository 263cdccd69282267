/*
 * The build without NUMA: one node is the machine itself, and may name its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "sysemu/numa.h"

bool numa_option(MachineState *ms, QemuOpts *opts, Error **errp)
{
    const char *type = qemu_opt_get(opts, "type");
    const char *memdev = qemu_opt_get(opts, "memdev");
    const char *id = qemu_opt_get(opts, "nodeid");

    qemu_opt_get(opts, "cpus");
    if (g_strcmp0(type, "node") || (id && g_strcmp0(id, "0"))) {
        error_setg(errp, "several NUMA nodes are not compiled into this binary");
        return false;
    }
    if (memdev && g_strcmp0(ms->memory_backend, memdev)) {
        if (ms->memory_backend) {
            error_setg(errp, "the machine has one NUMA node and its memory is '%s'",
                       ms->memory_backend);
            return false;
        }
        ms->memory_backend = g_strdup(memdev);
    }
    return qemu_opts_check_unused(opts, errp);
}

bool numa_complete(MachineState *ms, bool ram_size_given, Error **errp)
{
    return true;
}

char *numa_info(const MachineState *ms)
{
    return g_strdup("0 nodes\n");
}

void numa_free(NumaState *numa)
{
}
