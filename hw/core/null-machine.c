/*
 * The empty machine: what management programs start to ask questions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"

static const MachineClass null_machine_class = {
    .oc = {
        .name = "none",
        .desc = "empty machine",
        .type_name = "none-machine",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
    .max_cpus = 1,
};

DEFINE_CLASS(none_machine, &null_machine_class.oc);
