/*
 * The qtest accelerator: a machine without guest code, for testing devices.
 *
 * CPUs exist and keep their registers, but never run. The virtual clock stands
 * still and is moved by the test (system/qtest.c).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/timer.h"
#include "sysemu/accel.h"

static bool qtest_init_machine(AccelState *as, MachineState *ms, Error **errp)
{
    qemu_clock_virtual_manual();
    return true;
}

/* An NMI has nobody to interrupt; it is taken all the same. */
static void qtest_inject_nmi(CPUState *cpu)
{
}

static const AccelClass qtest_accel_class = {
    .oc = {
        .name = "qtest",
        .type_name = "qtest-accel",
        .desc = "no guest code, clock stepped by tests",
        .instance_size = sizeof(AccelState),
    },
    .init_machine = qtest_init_machine,
    .inject_nmi = qtest_inject_nmi,
};

DEFINE_CLASS(qtest, &qtest_accel_class.oc);
