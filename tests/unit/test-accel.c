/*
 * Choice of the accelerator.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <unistd.h>

#include "hw/boards.h"
#include "qemu/main-loop.h"
#include "sysemu/accel.h"

static const MachineClass empty_class = {
    .oc = {
        .name = "empty",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
};

/* What accel_init() says, with everything that went to stderr. */
static void choose(const char *names, const char *props)
{
    MachineState *ms = (MachineState *)object_new(&empty_class.oc, NULL);
    g_autoptr(GPtrArray) candidates = accel_candidates(names);
    Error *err = NULL;

    error_init("test");
    if (props) {
        qemu_opt_append(candidates->pdata[0], props, "on");
    }
    if (accel_init(ms, candidates, &err)) {
        error_printf("chose %s\n", ms->accel->obj.oc->name);
    } else {
        g_assert_null(ms->accel);
        error_report_err(err);
    }
    if (ms->accel) {
        object_free(&ms->accel->obj);
    }
    object_free(&ms->obj);
}

static const struct {
    const char *path, *names, *props, *expected;
} rows[] = {
    { "/accel/qtest", "qtest", NULL, "chose qtest\n" },
    { "/accel/unknown", "bogus", NULL, "test: invalid accelerator bogus\n" },
    { "/accel/two-unknown", "bogus:other", NULL,
      "test: invalid accelerator bogus\ntest: invalid accelerator other\n" },
    { "/accel/unknown-first", "bogus:qtest", NULL,
      "test: invalid accelerator bogus\ntest: falling back to qtest\nchose qtest\n" },
    { "/accel/unknown-last", "qtest:bogus", NULL,
      "test: invalid accelerator bogus\nchose qtest\n" },
    { "/accel/empty", "", NULL, "test: no accelerator found\n" },
    { "/accel/property", "qtest", "nosuch",
      "test: Property 'qtest-accel.nosuch' not found\n" },
    /* A wrong property is final: the next one does not get a try. */
    { "/accel/property-final", "kvm:qtest", "nosuch",
      "test: Property 'kvm-accel.nosuch' not found\n" },
};

static void test_row(gconstpointer data)
{
    unsigned i = GPOINTER_TO_UINT(data);

    if (g_test_subprocess()) {
        choose(rows[i].names, rows[i].props);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    g_test_trap_assert_stderr(rows[i].expected);
}

static void test_kvm(void)
{
    if (g_test_subprocess()) {
        choose("kvm:qtest", NULL);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_passed();
    if (access("/dev/kvm", F_OK) < 0) {
        g_test_trap_assert_stderr(
            "Could not access KVM kernel module: No such file or directory\n"
            "test: failed to initialize kvm: No such file or directory\n"
            "test: falling back to qtest\nchose qtest\n");
    } else {
        g_test_trap_assert_stderr("*chose *\n");
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_add_data_func(rows[i].path, GUINT_TO_POINTER(i), test_row);
    }
    g_test_add_func("/accel/kvm-first", test_kvm);
    return g_test_run();
}
