/*
 * QMP's commands that change something.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest-memory.h"
#include "hw/core/event.h"
#include "hw/qdev.h"
#include "migration/migration.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/fdset.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"
#include "qmp-types.h"
#include "qmp.h"
#include "sysemu/accel.h"
#include "sysemu/balloon.h"
#include "sysemu/watchdog.h"

/* Run states ------------------------------------------------------------------- */

json_t *qmp_stop(Monitor *mon, json_t *args, Error **errp)
{
    if (runstate_is_running(mon->ms)) {
        vm_stop(mon->ms, RUN_STATE_PAUSED);
    } else if (mon->ms->rsm.state == RUN_STATE_INMIGRATE) {
        migration_set_autostart(mon->ms, false);
    } else if (mon->ms->rsm.state == RUN_STATE_FINISH_MIGRATE) {
        migration_stay_stopped(mon->ms);
    } else {
        dump_stay_stopped(mon->hub);
    }
    return NULL;
}

json_t *qmp_cont(Monitor *mon, json_t *args, Error **errp)
{
    RunState state = mon->ms->rsm.state;

    if (state == RUN_STATE_SHUTDOWN || state == RUN_STATE_INTERNAL_ERROR) {
        error_setg(errp, "Resetting the Virtual Machine is required");
        return NULL;
    }
    if (dump_in_progress(mon->hub)) {
        error_setg(errp, "There is a dump in process, please wait.");
        return NULL;
    }
    if (state == RUN_STATE_FINISH_MIGRATE) {
        error_setg(errp, "Migration is not finalized yet");
        return NULL;
    }
    if (state == RUN_STATE_INMIGRATE) {
        migration_set_autostart(mon->ms, true);
        return NULL;
    }
    if (migration_take_images(mon->ms, errp)) {
        vm_start(mon->ms);
    }
    return NULL;
}

json_t *qmp_quit(Monitor *mon, json_t *args, Error **errp)
{
    qemu_system_shutdown_request(mon->ms, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    return NULL;
}

json_t *qmp_system_reset(Monitor *mon, json_t *args, Error **errp)
{
    RunState state = mon->ms->rsm.state;

    if (state == RUN_STATE_FINISH_MIGRATE || state == RUN_STATE_INMIGRATE) {
        error_setg(errp, "Migration is not finalized yet");
        return NULL;
    }
    qemu_system_reset_request(mon->ms, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    return NULL;
}

json_t *qmp_system_powerdown(Monitor *mon, json_t *args, Error **errp)
{
    if (mon->ms->has_power_button) {
        qemu_system_powerdown_request(mon->ms);
    } else {
        error_setg(errp, "This machine has no power button, as it has no ACPI: shut the guest "
                   "down from within, or use 'quit'");
    }
    return NULL;
}

json_t *qmp_system_wakeup(Monitor *mon, json_t *args, Error **errp)
{
    error_setg(errp, "wake-up from suspend is not supported by this guest");
    return NULL;
}

json_t *qmp_inject_nmi(Monitor *mon, json_t *args, Error **errp)
{
    if (!vm_inject_nmi(mon->ms)) {
        error_setg(errp, "this feature or command is not currently supported");
    }
    return NULL;
}

json_t *qmp_set_action(Monitor *mon, json_t *args, Error **errp)
{
    RunStateMachine *rsm = &mon->ms->rsm;
    const char *reboot = qmp_str(args, "reboot");
    const char *shutdown = qmp_str(args, "shutdown");
    const char *panic = qmp_str(args, "panic");
    const char *watchdog = qmp_str(args, "watchdog");

    if (reboot) {
        rsm->reboot_action = !strcmp(reboot, "reset") ? REBOOT_ACTION_RESET :
            REBOOT_ACTION_SHUTDOWN;
    }
    if (shutdown) {
        rsm->shutdown_action = !strcmp(shutdown, "poweroff") ? SHUTDOWN_ACTION_POWEROFF :
            SHUTDOWN_ACTION_PAUSE;
    }
    if (panic) {
        rsm->panic_action = !strcmp(panic, "none") ? PANIC_ACTION_NONE :
            !strcmp(panic, "pause") ? PANIC_ACTION_PAUSE :
            !strcmp(panic, "shutdown") ? PANIC_ACTION_SHUTDOWN :
            PANIC_ACTION_EXIT_FAILURE;
    }
    if (watchdog) {
        rsm->watchdog_action = watchdog_action_by_name(watchdog);
    }
    return NULL;
}

/* Trace events --------------------------------------------------------------------- */

static json_t *unknown_event(const char *pattern, Error **errp)
{
    error_setg(errp, "unknown event \"%s\"", pattern);
    return NULL;
}

json_t *qmp_trace_event_get_state(Monitor *mon, json_t *args, Error **errp)
{
    const char *pattern = qmp_str(args, "name");
    json_t *list = json_array();

    for (unsigned i = 0; i < TRACE_COUNT; i++) {
        if (g_pattern_match_simple(pattern, trace_name(i))) {
            json_array_append_new(list, json_pack("{s:s,s:s,s:b}", "name", trace_name(i), "state",
                                                  trace_is_on(i) ? "enabled" : "disabled",
                                                  "vcpu", 0));
        }
    }
    if (!json_array_size(list) && !pattern[strcspn(pattern, "*?")]) {
        json_decref(list);
        return unknown_event(pattern, errp);
    }
    return list;
}

json_t *qmp_trace_event_set_state(Monitor *mon, json_t *args, Error **errp)
{
    const char *pattern = qmp_str(args, "name");

    if (!trace_set(pattern, qmp_bool(args, "enable", false)) && !pattern[strcspn(pattern, "*?")]) {
        return unknown_event(pattern, errp);
    }
    return NULL;
}

/* Memory to files ---------------------------------------------------------------- */

static void bad_range(uint64_t addr, uint64_t size, Error **errp)
{
    error_setg(errp, "Invalid addr 0x%016" PRIx64 "/size %" PRId64 " specified", addr,
               (int64_t)size);
}

/* Written at a time, bytes. */
#define SAVE_STEP (1 * MiB)

typedef struct SaveJob {
    CPUState *cs;           /* whose virtual memory; NULL: physical */
    uint64_t addr, size, done;
    char *filename;
    int fd;
    uint8_t buf[64 * KiB];
} SaveJob;

static void save_free(gpointer opaque)
{
    SaveJob *s = opaque;

    close(s->fd);
    g_free(s->filename);
    g_free(s);
}

/* *full: the file takes no more now. */
static bool save_chunk(Monitor *mon, SaveJob *s, bool *full, Error **errp)
{
    uint64_t n = MIN(s->size - s->done, sizeof(s->buf));
    bool ok = s->cs ? guest_virtual_rw(s->cs, s->addr + s->done, s->buf, n, false) :
        address_space_read(&mon->ms->memory, s->addr + s->done, s->buf, n);
    ssize_t written;
    int err;

    if (!ok) {
        bad_range(s->addr, s->size, errp);
        return false;
    }
    /* The file may take its time: the CPUs do not wait for it. */
    bql_unlock();
    written = write(s->fd, s->buf, n);
    err = errno;
    bql_lock();
    *full = written < 0 && (err == EAGAIN || err == EINTR);
    if (written < 0 && !*full) {
        error_setg(errp, "writing '%s' failed: %s", s->filename, strerror(err));
        return false;
    }
    s->done += MAX(written, 0);
    return true;
}

static bool save_step(Monitor *mon, void *opaque, Error **errp)
{
    SaveJob *s = opaque;
    uint64_t until = MIN(s->size, s->done + SAVE_STEP);
    bool full = false;

    while (s->done < until && !full) {
        if (!save_chunk(mon, s, &full, errp)) {
            return false;
        }
    }
    return s->done < s->size;
}

/* cs: whose virtual memory; NULL: physical. No more than there is: pages can repeat. */
static void save_memory(Monitor *mon, json_t *args, CPUState *cs, Error **errp)
{
    uint64_t addr = qmp_int(args, "val", 0), size = qmp_int(args, "size", 0);
    const char *filename = qmp_str(args, "filename");
    SaveJob *s;
    int fd;

    if (size > mon->ms->ram_size) {
        bad_range(addr, size, errp);
        return;
    }
    fd = qemu_open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0666);
    if (fd < 0) {
        error_setg(errp, "Could not open '%s': %s", filename, confine_strerror(errno));
        return;
    }
    s = g_new0(SaveJob, 1);
    *s = (SaveJob) { .cs = cs, .addr = addr, .size = size, .fd = fd };
    s->filename = g_strdup(filename);
    monitor_job_start(mon, fd, save_step, save_free, s);
}

json_t *qmp_memsave(Monitor *mon, json_t *args, Error **errp)
{
    MachineState *ms = mon->ms;
    int64_t index = qmp_int(args, "cpu-index", 0);

    if (!ms->cpus || index < 0 || index >= ms->smp.cpus) {
        error_setg(errp, "Parameter 'cpu-index' expects a CPU number");
        return NULL;
    }
    save_memory(mon, args, ms->cpus[index], errp);
    return NULL;
}

json_t *qmp_pmemsave(Monitor *mon, json_t *args, Error **errp)
{
    save_memory(mon, args, NULL, errp);
    return NULL;
}

/* Devices and objects ---------------------------------------------------------------- */

json_t *qmp_device_add(Monitor *mon, json_t *args, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_from_object(args, errp);

    if (opts) {
        qdev_device_add(mon->ms, opts, errp);
    }
    return NULL;
}

json_t *qmp_device_del(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id");
    const char *name = strrchr(id, '/') ? strrchr(id, '/') + 1 : id;
    DeviceState *dev = qdev_find(mon->ms, name);
    g_autofree char *path = NULL, *copy = NULL;

    if (!dev) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return NULL;
    }
    if (!device_get_class(dev)->hotpluggable ||
        (dev->parent_bus && !dev->parent_bus->hotpluggable)) {
        error_setg(errp, "Bus '%s' does not support hotplugging",
                   dev->parent_bus ? dev->parent_bus->name : "main-system-bus");
        return NULL;
    }
    copy = g_strdup(name);
    path = qdev_get_path(dev);
    qdev_unrealize(dev);
    machine_event(mon->ms, "DEVICE_DELETED",
                  (EventField []) { EVENT_STR("device", copy), EVENT_STR("path", path) }, 2);
    return NULL;
}

/*
 * Clients that know QEMU from before 6.0, or do not find their classes in the schema, put
 * the properties into "props".
 */
json_t *qmp_object_add(Monitor *mon, json_t *args, Error **errp)
{
    json_t *props = json_object_get(args, "props"), *flat = json_copy(args);
    g_autoptr(QemuOpts) opts = NULL;

    if (json_is_object(props)) {
        json_object_del(flat, "props");
        json_object_update_missing(flat, props);
    }
    opts = qmp_check_args("qom-type:O,id:s", flat, errp) ? qemu_opts_from_object(flat, errp) : NULL;
    json_decref(flat);
    if (opts) {
        machine_add_object(mon->ms, opts, errp);
    }
    return NULL;
}

typedef struct UserSearch {
    const Object *user;
    const Object *used;
    bool found;
} UserSearch;

static void look_for_user(const Property *prop, void *opaque)
{
    UserSearch *s = opaque;

    s->found |= prop->info->kind == PROP_KIND_LINK &&
                ((const ObjectLink *)property_field(s->user, prop))->obj == s->used;
}

static bool object_in_use(MachineState *ms, const Object *obj)
{
    UserSearch s = { .used = obj, .found = obj->oc->in_use && obj->oc->in_use(obj) };

    for (guint i = 0; i < ms->devices->len; i++) {
        s.user = g_ptr_array_index(ms->devices, i);
        property_foreach(s.user->oc, look_for_user, &s);
    }
    return s.found;
}

json_t *qmp_object_del(Monitor *mon, json_t *args, Error **errp)
{
    const char *id = qmp_str(args, "id");
    Object *obj = machine_find_object(mon->ms, id);

    if (!obj) {
        error_setg(errp, "object '%s' not found", id);
        return NULL;
    }
    if (object_in_use(mon->ms, obj)) {
        error_setg(errp, "object '%s' is in use, can not be deleted", id);
        return NULL;
    }
    g_ptr_array_remove(mon->ms->objects, obj);
    object_free(obj);
    return NULL;
}

/* Memory --------------------------------------------------------------------------- */

static Balloon *find_balloon(const MachineState *ms, Error **errp)
{
    if (!ms->balloon) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_ACTIVE, "No balloon device has been activated");
    }
    return ms->balloon;
}

json_t *qmp_balloon(Monitor *mon, json_t *args, Error **errp)
{
    Balloon *balloon = find_balloon(mon->ms, errp);
    int64_t bytes = qmp_int(args, "value", 0);

    if (balloon && bytes <= 0) {
        error_setg(errp, "Parameter 'target' expects a size");
    } else if (balloon) {
        balloon->set_target(balloon, bytes);
    }
    return NULL;
}

json_t *qmp_query_balloon(Monitor *mon, json_t *args, Error **errp)
{
    Balloon *balloon = find_balloon(mon->ms, errp);

    return balloon ? json_pack("{s:I}", "actual", (json_int_t)balloon->actual(balloon)) : NULL;
}

/* What has nothing behind it --------------------------------------------------------- */

json_t *qmp_query_hotpluggable_cpus(Monitor *mon, json_t *args, Error **errp)
{
    error_setg(errp, "The feature 'query-hotpluggable-cpus' is not enabled");
    return NULL;
}
