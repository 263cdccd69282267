/*
 * -smp: what is left out is computed, what does not fit is refused.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"

static const MachineClass machine = {
    .oc = { .name = "microvm", .parent = &machine_base_class,
            .instance_size = sizeof(MachineState) },
    .max_cpus = 254,
};

static void test_smp(void)
{
    static const struct {
        const char *text;
        CpuTopology want;       /* cpus, max, sockets, dies, cores, threads */
    } good[] = {
        { "1", { 1, 1, 1, 1, 1, 1 } }, { "cpus=4", { 4, 4, 1, 1, 4, 1 } },
        { "8,sockets=2", { 8, 8, 2, 1, 4, 1 } }, { "8,cores=2", { 8, 8, 4, 1, 2, 1 } },
        { "8,threads=2", { 8, 8, 1, 1, 4, 2 } },
        { "8,sockets=2,cores=2", { 8, 8, 2, 1, 2, 2 } },
        { "16,sockets=2,dies=2,cores=2,threads=2", { 16, 16, 2, 2, 2, 2 } },
        { "2,maxcpus=4", { 2, 4, 1, 1, 4, 1 } }, { "sockets=2,cores=3", { 6, 6, 2, 1, 3, 1 } },
        { "1,cores=1,threads=1,sockets=1,maxcpus=1", { 1, 1, 1, 1, 1, 1 } },
        { "254", { 254, 254, 1, 1, 254, 1 } }, { "maxcpus=6", { 6, 6, 1, 1, 6, 1 } },
    };
    static const char *const bad[] = {
        "0", "abc", "-1", "255", "300", "3,cores=2", "8,sockets=3", "4,maxcpus=2", "cores=0",
        "2,sockets=65536,cores=65536", "99999999999", "1,threads=4294967296", "8,threads=0",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        MachineState *ms = (MachineState *)object_new(&machine.oc, NULL);
        g_autoptr(QemuOpts) opts = qemu_opts_parse(good[i].text, "cpus", NULL);
        Error *err = NULL;

        g_test_message("-smp %s", good[i].text);
        machine_parse_smp(ms, opts, &err);
        g_assert_null(err);
        g_assert_cmpmem(&ms->smp, sizeof(ms->smp), &good[i].want, sizeof(ms->smp));
        object_free(&ms->obj);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        MachineState *ms = (MachineState *)object_new(&machine.oc, NULL);
        g_autoptr(QemuOpts) opts = qemu_opts_parse(bad[i], "cpus", NULL);
        Error *err = NULL;

        g_test_message("-smp %s", bad[i]);
        g_assert_false(machine_parse_smp(ms, opts, &err));
        g_assert_nonnull(err);
        error_free(err);
        object_free(&ms->obj);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smp", test_smp);
    return g_test_run();
}
