/*
 * When the registers of vCPUs go to the accelerator: at a start, at a reset, and after a
 * debugger has changed them, always before any of the CPUs runs.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/boards.h"
#include "hw/core/cpu.h"
#include "qemu/main-loop.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/runstate.h"

#define NR_CPUS 4

/* An accelerator whose guest does nothing but look whether all CPUs are as they should. */
static struct {
    unsigned resets;                    /* of the machine */
    atomic_uint puts[NR_CPUS], gets[NR_CPUS], runs[NR_CPUS];
    atomic_bool early;                  /* one ran before all had their registers */
    bool refuse;
} fake;

static bool fake_put(CPUState *cpu)
{
    if (fake.refuse) {
        return false;
    }
    /* The last one takes its time: enough for others to run if they may. */
    g_usleep(cpu->cpu_index == NR_CPUS - 1 ? 20000 : 0);
    fake.puts[cpu->cpu_index]++;
    return true;
}

static void fake_get(CPUState *cpu)
{
    fake.gets[cpu->cpu_index]++;
}

static void fake_exec(CPUState *cpu)
{
    for (unsigned i = 0; i < NR_CPUS; i++) {
        if (fake.puts[i] < fake.resets) {
            fake.early = true;
        }
    }
    fake.runs[cpu->cpu_index]++;
    while (!atomic_load(&cpu->exit_request)) {
        g_usleep(100);
    }
}

static const AccelClass fake_class = {
    .oc = { .name = "fake", .type_name = "fake-accel", .instance_size = sizeof(AccelState) },
    .has_vcpu_threads = true,
    .vcpu_exec = fake_exec,
    .get_registers = fake_get,
    .put_registers = fake_put,
};

static void machine_reset(MachineState *ms)
{
    fake.resets++;
    for (unsigned i = 0; i < NR_CPUS; i++) {
        cpu_set_dirty(ms->cpus[i]);
    }
}

static const MachineClass machine_class = {
    .oc = {
        .name = "empty",
        .parent = &machine_base_class,
        .instance_size = sizeof(MachineState),
    },
    .reset = machine_reset,
};

static MachineState *machine_new(void)
{
    MachineState *ms = (MachineState *)object_new(&machine_class.oc, NULL);
    Error *err = NULL;

    memset(&fake, 0, sizeof(fake));
    runstate_init(ms);
    ms->accel = (AccelState *)object_new(&fake_class.oc, NULL);
    ms->accel->machine = ms;
    ms->smp.cpus = NR_CPUS;
    ms->cpus = g_new0(CPUState *, NR_CPUS);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        ms->cpus[i] = g_new0(CPUState, 1);
        ms->cpus[i]->machine = ms;
        ms->cpus[i]->cpu_index = i;
        g_assert_true(cpu_start_thread(ms->cpus[i], &err));
        g_assert_true(cpu_wait_created(ms->cpus[i], &err));
    }
    qemu_system_reset(ms, SHUTDOWN_CAUSE_NONE);
    return ms;
}

static void machine_free(MachineState *ms)
{
    vm_stop(ms, RUN_STATE_SHUTDOWN);
    cpu_stop_threads(ms);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        g_free(ms->cpus[i]);
    }
    g_clear_pointer(&ms->cpus, g_free);
    object_free(&ms->accel->obj);
    ms->accel = NULL;
    object_free(&ms->obj);
}

/* Until each CPU has run as often. */
static void wait_for_runs(unsigned count)
{
    bql_unlock();
    for (unsigned i = 0; i < NR_CPUS; i++) {
        while (fake.runs[i] < count) {
            g_usleep(100);
        }
    }
    bql_lock();
}

static gboolean quit_after_reset(gpointer opaque)
{
    if (fake.resets < GPOINTER_TO_UINT(opaque)) {
        return G_SOURCE_CONTINUE;
    }
    qemu_main_loop_quit();
    return G_SOURCE_REMOVE;
}

static void request_reset(MachineState *ms)
{
    unsigned count = fake.resets + 1;

    qemu_system_reset_request(ms, SHUTDOWN_CAUSE_GUEST_RESET);
    g_timeout_add(1, quit_after_reset, GUINT_TO_POINTER(count));
    qemu_main_loop();
}

static void test_reset(void)
{
    MachineState *ms = machine_new();

    vm_start(ms);
    wait_for_runs(1);
    for (unsigned i = 2; i <= 5; i++) {
        request_reset(ms);
        wait_for_runs(i);
        g_assert_cmpuint(fake.puts[0], ==, i);
    }
    /* Also what is reset while it is paused. */
    vm_stop(ms, RUN_STATE_PAUSED);
    request_reset(ms);
    g_assert_cmpuint(fake.puts[NR_CPUS - 1], ==, 6);
    vm_start(ms);
    wait_for_runs(6);
    g_assert_false(fake.early);
    g_assert_cmpuint(fake.puts[0], ==, 6);
    machine_free(ms);
}

/* Events may come to a CPU whose registers somebody reads: nothing is written back. */
static void test_read(void)
{
    MachineState *ms = machine_new();

    vm_start(ms);
    wait_for_runs(1);
    cpu_synchronize_state(ms->cpus[0]);
    cpu_synchronize_state(ms->cpus[0]);
    g_assert_cmpuint(fake.gets[0], ==, 2);
    vm_stop(ms, RUN_STATE_PAUSED);
    cpu_synchronize_state(ms->cpus[0]);
    cpu_synchronize_state(ms->cpus[0]);
    g_assert_cmpuint(fake.gets[0], ==, 3);
    vm_start(ms);
    vm_stop(ms, RUN_STATE_PAUSED);
    g_assert_cmpuint(fake.puts[0], ==, 1);
    cpu_synchronize_state(ms->cpus[0]);
    g_assert_cmpuint(fake.gets[0], ==, 4);
    cpu_set_dirty(ms->cpus[0]);
    cpu_synchronize_state(ms->cpus[0]);     /* ours are newer */
    g_assert_cmpuint(fake.gets[0], ==, 4);
    vm_start(ms);
    g_assert_cmpuint(fake.puts[0], ==, 2);
    g_assert_cmpuint(fake.puts[1], ==, 1);
    machine_free(ms);
}

static void run_pending(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

/* What a CPU asked for before it was paused has been carried out by that: not again later. */
static void test_stop_requests(void)
{
    MachineState *ms = machine_new();

    vm_start(ms);
    qemu_system_vmstop_request(ms, RUN_STATE_DEBUG);
    vm_stop(ms, RUN_STATE_PAUSED);
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_DEBUG);
    vm_start(ms);
    run_pending();
    g_assert_true(runstate_is_running(ms));
    /* Paused, it goes on by "cont" with what failed meanwhile. */
    vm_stop(ms, RUN_STATE_PAUSED);
    qemu_system_vmstop_request(ms, RUN_STATE_IO_ERROR);
    vm_start(ms);
    run_pending();
    g_assert_true(runstate_is_running(ms));
    /* The gravest reason is the one that is told, whichever comes first. */
    qemu_system_vmstop_request(ms, RUN_STATE_INTERNAL_ERROR);
    qemu_system_vmstop_request(ms, RUN_STATE_DEBUG);
    run_pending();
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_INTERNAL_ERROR);
    qemu_system_vmstop_request(ms, RUN_STATE_IO_ERROR);
    run_pending();
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_INTERNAL_ERROR);
    machine_free(ms);
}

static void test_refused(void)
{
    MachineState *ms = machine_new();

    fake.refuse = true;
    vm_start(ms);
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_INTERNAL_ERROR);
    fake.refuse = false;
    request_reset(ms);
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_PRELAUNCH);
    vm_start(ms);
    wait_for_runs(1);
    fake.refuse = true;
    request_reset(ms);
    g_assert_cmpint(ms->rsm.state, ==, RUN_STATE_INTERNAL_ERROR);
    for (unsigned i = 0; i < NR_CPUS; i++) {
        g_assert_true(ms->cpus[i]->stopped);
    }
    machine_free(ms);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/cpus/reset", test_reset);
    g_test_add_func("/cpus/read", test_read);
    g_test_add_func("/cpus/stop-requests", test_stop_requests);
    g_test_add_func("/cpus/refused", test_refused);
    return g_test_run();
}
