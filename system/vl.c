/*
 * From the command line to a running machine, and its end: the phases.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "system/vl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "chardev/char.h"
#include "confine.h"
#include "hints.h"
#include "hw/loader.h"
#include "migration/migration.h"
#include "migration/snapshot.h"
#include "monitor/monitor.h"
#include "net/net.h"
#include "opts.h"
#include "qemu/iothread.h"
#include "qemu/main-loop.h"
#include "sysemu/accel.h"
#include "sysemu/cpus.h"
#include "sysemu/hostmem.h"
#include "sysemu/numa.h"

/* Options of the accelerator that may stand in -machine. */
static void take_accel_options(VLState *vl)
{
    static const char *const names[] = { "kernel-irqchip", "kernel_irqchip", "kvm-shadow-mem" };

    vl->ms->accel_opts = qemu_opts_new();
    for (size_t i = 0; vl->machine_opts && i < G_N_ELEMENTS(names); i++) {
        g_autofree char *value = qemu_opt_take(vl->machine_opts, names[i]);

        if (value) {
            qemu_opt_append(vl->ms->accel_opts, names[i], value);
        }
    }
}

/* The machine with its -machine properties; still without parts. */
static bool create_machine(VLState *vl, Error **errp)
{
    const MachineClass *mc = select_machine(vl, errp);

    if (!mc) {
        return false;
    }
    vl->ms = downcast(object_new(&mc->oc, NULL), MachineState, obj);
    runstate_init(vl->ms);
    take_accel_options(vl);
    if (vl->machine_opts && !object_set_opts(&vl->ms->obj, vl->machine_opts, errp)) {
        return false;
    }
    /* The property's default is "on", as QEMU's: to be asked for is another thing. */
    vl->dump_guest_core = vl->machine_opts &&
        qemu_opt_get_bool(vl->machine_opts, "dump-guest-core", false, NULL);
    return true;
}

/* Each -accel, or what "-machine accel=" says, or what there is. */
static bool init_accelerator(VLState *vl, Error **errp)
{
    if (!vl->accels) {
        vl->accels = accel_candidates(vl->ms->accel_names);
    }
    return accel_init(vl->ms, vl->accels, errp);
}

/* The backend that -machine memory-backend= names, or a new one. */
static bool init_ram(VLState *vl, Error **errp)
{
    MachineState *ms = vl->ms;
    const MachineClass *mc = machine_get_class(ms);
    Object *obj;

    if (!mc->default_ram_size) {
        return true;
    }
    if (!numa_complete(ms, vl->ram_size_given, errp)) {
        return false;
    }
    if (ms->numa && ms->numa->ram) {
        ms->memdev = downcast(ms->numa->ram, HostMemoryBackend, obj);
        return true;
    }
    if (!ms->memory_backend) {
        ms->memdev = host_memory_backend_new_default(ms, vl->mem_path, vl->mem_prealloc,
                                                     errp);
        if (ms->memdev) {
            g_ptr_array_add(ms->objects, ms->memdev);
        }
        return ms->memdev != NULL;
    }
    obj = machine_find_object(ms, ms->memory_backend);
    if (!obj || !object_is_memory_backend(obj)) {
        error_setg(errp, "Memory backend '%s' not found", ms->memory_backend);
        return false;
    }
    if (downcast(obj, HostMemoryBackend, obj)->readonly) {
        error_setg(errp, "Memory backend '%s' is readonly, RAM cannot be", ms->memory_backend);
        return false;
    }
    ms->memdev = downcast(obj, HostMemoryBackend, obj);
    if (ms->memdev->size != ms->ram_size) {
        if (vl->ram_size_given) {
            error_setg(errp, "Size specified by -m option must match size of explicitly "
                       "specified 'memory-backend' property");
            return false;
        }
        ms->ram_size = ms->memdev->size;
    }
    ms->memdev->in_use = true;
    return true;
}

/* C-a x on a console that is shared with a monitor. */
static void quit_from_console(void *opaque)
{
    VLState *vl = opaque;

    qemu_system_shutdown_request(vl->ms, SHUTDOWN_CAUSE_HOST_UI);
}

static void setup_chardevs(VLState *vl)
{
    ChardevSetup setup = {
        .quit = quit_from_console, .opaque = vl, .escape = vl->escape,
        .no_stdio = vl->daemonize,
    };

    qemu_chr_setup(&setup);
}

/* What exists outside the machine: objects, backends, monitors. */
static bool create_backends(VLState *vl, Error **errp)
{
    setup_chardevs(vl);
    return options_run_phase(vl, PHASE_OBJECT, errp) &&
           options_run_phase(vl, PHASE_CHARDEV, errp) &&
           options_run_phase(vl, PHASE_BLOCKDEV, errp) &&
           options_run_phase(vl, PHASE_DRIVE, errp) &&
           options_run_phase(vl, PHASE_NETDEV, errp) &&
           options_run_phase(vl, PHASE_MONITOR, errp) &&
           options_run_phase(vl, PHASE_SERIAL, errp) &&
           add_default_serial(vl, errp);
}

/* First what sits on the board's buses, then what sits on a device's. */
static bool create_devices(VLState *vl, Error **errp)
{
    if (!options_run_phase(vl, PHASE_DEVICE, errp)) {
        return false;
    }
    vl->nested_devices = true;
    vl->late_objects = true;
    return options_run_phase(vl, PHASE_DEVICE, errp) && add_net_card(vl, errp) &&
           add_virtio_drives(vl, errp) && options_run_phase(vl, PHASE_OBJECT, errp);
}

/* The machine itself, up to its state before the first instruction. */
static bool build_machine(VLState *vl, Error **errp)
{
    MachineState *ms = vl->ms;
    const MachineClass *mc = machine_get_class(ms);

    if (!init_ram(vl, errp) || (mc->init && !mc->init(ms, errp)) ||
        !create_devices(vl, errp)) {
        return false;
    }
    if (mc->init_done && !mc->init_done(ms, errp)) {
        return false;
    }
    if (!ms->reports_panics && (ms->rsm.panic_action == PANIC_ACTION_PAUSE ||
                                ms->rsm.panic_action == PANIC_ACTION_EXIT_FAILURE)) {
        error_setg(errp, "-action panic=: nothing tells of a panic here: add -device pvpanic");
        return false;
    }
    warn_unused_globals(ms);
    net_check_clients();
    drive_check_orphans();
    if (!address_space_seal(&ms->memory, errp) || !address_space_seal(&ms->io, errp)) {
        return false;
    }
    if (mc->load_kernel && !mc->load_kernel(ms, errp)) {
        return false;
    }
    if (vl->only_migratable && !migration_check(ms, errp)) {
        return false;
    }
    if (vl->incoming) {
        migration_expect(ms, vl->incoming);
    }
    if (confine_needs() & CONFINE_MONITOR) {
        migration_provide(ms);
    }
    qemu_system_reset(ms, SHUTDOWN_CAUSE_NONE);
    if (ms->rsm.shutdown_requested) {
        error_setg(errp, "cannot load the guest");      /* why was said already */
        return false;
    }
    return true;
}

static bool check_combinations(VLState *vl, Error **errp)
{
    const MachineState *ms = vl->ms;

    if (vl->daemonize && vl->nographic && !vl->nodefaults) {
        error_setg(errp, "-nographic cannot be used with -daemonize");
        return false;
    }
    if (ms->kernel_filename && !machine_get_class(ms)->load_kernel) {
        error_setg(errp, "The -kernel parameter is not supported by this machine");
        return false;
    }
    if (!ms->kernel_filename && *ms->kernel_cmdline) {
        error_setg(errp, "-append only allowed with -kernel option");
        return false;
    }
    if (!ms->kernel_filename && ms->initrd_filename) {
        error_setg(errp, "-initrd only allowed with -kernel option");
        return false;
    }
    return true;
}

/* Everything that must not outlive us on the host; works after a failed start. */
static void cleanup(VLState *vl)
{
    MachineState *ms = vl->ms;

    if (ms) {
        if (runstate_is_running(ms)) {
            vm_stop(ms, RUN_STATE_SHUTDOWN);
        }
        migration_cleanup(ms);      /* it looks at CPUs */
        if (ms->cpus) {
            cpu_stop_threads(ms);
        }
        monitor_cleanup(ms);
    }
    blk_flush_all();
    net_cleanup();
    qemu_chr_cleanup();
    os_remove_pidfile();
}

/* While things are still being set up, nobody else would look at a request. */
static void end_by_signal(void *opaque, int signum, const char *sender)
{
    VLState *vl = opaque;

    if (signum == SIGTERM && vl->sigterm_powerdown && vl->running && !vl->button_pressed &&
        vl->ms->has_power_button && runstate_is_running(vl->ms)) {
        vl->button_pressed = true;
        info_report("pressing the power button on signal %d%s; another one ends the machine",
                    signum, sender);
        qemu_system_powerdown_request(vl->ms);
        return;
    }
    error_report("terminating on signal %d%s", signum, sender);
    if (!vl->running) {
        cleanup(vl);
        exit(0);
    }
    qemu_system_shutdown_request(vl->ms, SHUTDOWN_CAUSE_HOST_SIGNAL);
}

static void confine_iothreads(const MachineState *ms)
{
    for (guint i = 0; i < ms->objects->len; i++) {
        Object *obj = g_ptr_array_index(ms->objects, i);

        if (object_is_iothread(obj)) {
            iothread_confine(downcast(obj, IOThread, obj));
        }
    }
}

static bool begin_incoming(VLState *vl, Error **errp)
{
    if (vl->loadvm && vl->incoming) {
        error_setg(errp, "-loadvm and -incoming cannot be used together");
        return false;
    }
    if (vl->loadvm) {
        return snapshot_load(vl->ms, vl->loadvm, errp);
    }
    if (!vl->incoming) {
        return true;
    }
    migration_set_autostart(vl->ms, !vl->paused);
    if (strcmp(vl->incoming, "defer") && !migration_incoming(vl->ms, vl->incoming, errp)) {
        error_prepend(errp, "-incoming %s: ", vl->incoming);
        return false;
    }
    return true;
}

bool vl_start(VLState *vl, int argc, char **argv, Error **errp)
{
    if (!options_parse(vl, argc, argv, errp) || vl->done) {
        return vl->done;
    }
    if (!options_run_phase(vl, PHASE_SELECT, errp) || !confine_early(argc, argv, errp) ||
        !create_machine(vl, errp) ||
        !options_run_phase(vl, PHASE_EARLY, errp) ||
        !options_run_phase(vl, PHASE_MACHINE, errp) ||
        !options_run_phase(vl, PHASE_NUMA, errp) || !check_combinations(vl, errp)) {
        return false;
    }
    if (vl->daemonize && !os_daemonize(errp)) {
        return false;
    }
    if (vl->process_name) {
        os_set_process_name(vl->process_name);
    }
    os_limit_stacks();
    qemu_init_main_loop();
    if (!os_setup_signals(end_by_signal, vl, errp) ||
        (vl->pidfile && !os_create_pidfile(vl->pidfile, errp)) ||
        (vl->ms->mem_lock && !os_mlock(errp)) || !init_accelerator(vl, errp) ||
        !create_backends(vl, errp) || !build_machine(vl, errp) ||
        !options_run_phase(vl, PHASE_LATE, errp)) {
        return false;
    }
    if (vl->hints == ON_OFF_AUTO_ON ||
        (vl->hints == ON_OFF_AUTO_AUTO && !vl->daemonize && isatty(STDERR_FILENO))) {
        hints_start(vl->ms);
    }
    if (!begin_incoming(vl, errp) || !confine_process(vl->dump_guest_core, vl->daemonize, errp)) {
        return false;
    }
    confine_iothreads(vl->ms);
    return os_daemonize_done(errp);
}

int qemu_main(int argc, char **argv)
{
    VLState vl = { 0 };
    Error *err = NULL;
    int status = 0;

    os_open_standard_fds();
    error_init(argv[0]);
    if (!vl_start(&vl, argc, argv, &err)) {
        error_report_err(err);
        status = 1;
    } else if (!vl.done) {
        if (!vl.paused) {
            vm_start(vl.ms);
        }
        vl.running = true;
        qemu_main_loop();
        status = vl.ms->rsm.exit_status;
    }
    cleanup(&vl);
    confine_end();
    /* The rest of the memory goes with the process. */
    exit(status);
}
