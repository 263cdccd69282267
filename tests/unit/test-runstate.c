/*
 * What happens when a guest's kernel crashes, by -action panic=.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/boards.h"
#include "hw/core/event.h"
#include "sysemu/runstate.h"

static const MachineClass empty_class = {
    .oc = {
        .name = "empty",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
};

static const struct {
    const char *path;
    PanicAction action;
    const char *told;
    bool stops, ends;
    int status;
} rows[] = {
    { "/runstate/panic/pause", PANIC_ACTION_PAUSE, "pause", true, false, 0 },
    { "/runstate/panic/shutdown", PANIC_ACTION_SHUTDOWN, "poweroff", false, true, 0 },
    { "/runstate/panic/exit-failure", PANIC_ACTION_EXIT_FAILURE, "poweroff", false, true, 1 },
    { "/runstate/panic/none", PANIC_ACTION_NONE, "run", false, false, 0 },
};

static char *told;

static void note_event(MachineState *ms, const char *event, const EventField *fields, unsigned n)
{
    g_assert_cmpstr(event, ==, "GUEST_PANICKED");
    g_assert_cmpuint(n, ==, 1);
    g_assert_cmpstr(fields[0].name, ==, "action");
    g_assert_null(told);
    told = g_strdup(fields[0].str);
}

static void test_panic(gconstpointer data)
{
    unsigned i = GPOINTER_TO_UINT(data);
    MachineState *ms = (MachineState *)object_new(&empty_class.oc, NULL);

    runstate_init(ms);
    ms->event_fn = note_event;
    ms->rsm.panic_action = rows[i].action;
    qemu_system_guest_panicked(ms);
    g_assert_cmpstr(told, ==, rows[i].told);
    g_clear_pointer(&told, g_free);
    g_assert_cmpint(ms->rsm.stop_requested, ==, rows[i].stops);
    g_assert_cmpint(ms->rsm.shutdown_requested != SHUTDOWN_CAUSE_NONE, ==, rows[i].ends);
    g_assert_cmpint(ms->rsm.exit_status, ==, rows[i].status);
    g_array_unref(ms->rsm.notifiers);
    g_mutex_clear(&ms->rsm.lock);
    object_free(&ms->obj);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_add_data_func(rows[i].path, GUINT_TO_POINTER(i), test_panic);
    }
    return g_test_run();
}
