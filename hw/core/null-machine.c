/*
 * The empty machine: what management programs start to ask questions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"

static bool null_machine_init(MachineState *ms, Error **errp)
{
    memory_region_init(&ms->system_memory, "system", UINT64_MAX);
    memory_region_init(&ms->system_io, "io", 0x10000);
    address_space_init(&ms->memory, &ms->system_memory, "memory", false);
    address_space_init(&ms->io, &ms->system_io, "I/O", true);
    return true;
}

static const MachineClass null_machine_class = {
    .oc = {
        .name = "none",
        .desc = "empty machine",
        .type_name = "none-machine",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
    .max_cpus = 1,
    .init = null_machine_init,
};

DEFINE_CLASS(none_machine, &null_machine_class.oc);
