/*
 * Options about the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "opts.h"
#include "qemu/cutils.h"
#include "sysemu/numa.h"
#include "target/i386/cpuid.h"

/* Runs before there is a machine: only collects. */
bool opt_machine(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!vl->machine_opts) {
        vl->machine_opts = qemu_opts_new();
    }
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        qemu_opt_append(vl->machine_opts, opt->name, opt->str);
    }
    g_free(vl->machine_opts->where);
    vl->machine_opts->where = g_strdup(opts->where);
    return true;
}

bool opt_accel(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!qemu_opt_get(opts, "accel")) {
        error_setg(errp, "no accelerator selected");
        return false;
    }
    if (!vl->accels) {
        vl->accels = g_ptr_array_new_with_free_func((GDestroyNotify)qemu_opts_free);
    }
    g_ptr_array_add(vl->accels, qemu_opts_clone(opts));
    return true;
}

bool opt_enable_kvm(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) kvm = qemu_opts_parse("kvm", "accel", NULL);

    return opt_accel(vl, "kvm", kvm, errp);
}

/* Other accelerators than the software CPU have no such property, and do without. */
bool opt_perfmap(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    qemu_opt_append(vl->ms->accel_opts, "perfmap", "on");
    return true;
}

/* QEMU's other machines get the right word, near misses a guess. Caller frees. */
static char *why_no_machine(const char *type)
{
    static const char *const others[] = {
        "pc", "pc-*", "q35", "isapc", "x-remote", "xen*", "virt", "virt-*",
    };

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (g_pattern_match_simple(others[i], type)) {
            return g_strdup_printf(": '%s' is not here, use microvm", type);
        }
    }
    return object_class_did_you_mean(machine_classes, type);
}

const MachineClass *select_machine(VLState *vl, Error **errp)
{
    const char *type = vl->machine_opts ? qemu_opt_get(vl->machine_opts, "type") : NULL;
    const ObjectClass *oc;

    if (type) {
        oc = object_class_by_name(machine_classes, type);
        if (!oc) {
            g_autofree char *why = why_no_machine(type);

            error_setg(errp, "unsupported machine type%s", why);
            error_append_hint(errp, "Use -machine help to list supported machines\n");
        }
        return downcast(oc, const MachineClass, oc);
    }
    for (const ObjectClass *const *const *p = machine_classes; *p; p++) {
        if (((const MachineClass *)**p)->is_default) {
            return (const MachineClass *)**p;
        }
    }
    error_setg(errp, "No machine specified, and there is no default");
    return NULL;
}

bool opt_cpu(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!*arg) {
        error_setg(errp, "-cpu option cannot be empty");
        return false;
    }
    g_free(vl->ms->cpu_model);
    vl->ms->cpu_model = g_strdup(arg);
    return true;
}

/* As -machine acpi=off, for machines that know what that is. */
bool opt_no_acpi(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    Object *machine = &vl->ms->obj;

    return !property_find(machine->oc, "acpi") || property_set(machine, "acpi", "off", errp);
}

bool opt_smp(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (!machine_parse_smp(vl->ms, opts, errp)) {
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_m(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *size = qemu_opt_get(opts, "size");
    uint64_t bytes;

    qemu_opt_get(opts, "slots");    /* no memory hot-plug: room for it is not kept */
    qemu_opt_get(opts, "maxmem");
    if (!size) {
        return qemu_opts_check_unused(opts, errp);
    }
    switch (qemu_strtosz(size, 'M', &bytes)) {
    case 0:
        break;
    case -ERANGE:
        error_setg(errp, "Value '%s' is too large for parameter 'size'", size);
        return false;
    default:
        error_setg(errp, "Parameter 'size' expects a non-negative number below 2^64");
        error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-,"
                          " tera-, peta-\nand exabytes, respectively.\n");
        return false;
    }
    vl->ms->ram_size = QEMU_ALIGN_UP(bytes, 8192);
    vl->ram_size_given = true;
    if (!bytes || vl->ms->ram_size < bytes) {
        error_setg(errp, bytes ? "ram size too large" : "a machine without RAM runs nothing");
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_mem_path(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(vl->mem_path);
    vl->mem_path = g_strdup(arg);
    return true;
}

bool opt_mem_prealloc(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    vl->mem_prealloc = true;
    return true;
}

bool opt_overcommit(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    Error *err = NULL;

    vl->ms->mem_lock = qemu_opt_get_bool(opts, "mem-lock", vl->ms->mem_lock, &err);
    vl->ms->cpu_pm = qemu_opt_get_bool(opts, "cpu-pm", vl->ms->cpu_pm, err ? NULL : &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    return qemu_opts_check_unused(opts, errp);
}

bool opt_numa(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    return numa_option(vl->ms, opts, errp);
}

bool opt_kernel(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(vl->ms->kernel_filename);
    vl->ms->kernel_filename = g_strdup(arg);
    return true;
}

bool opt_initrd(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(vl->ms->initrd_filename);
    vl->ms->initrd_filename = g_strdup(arg);
    return true;
}

bool opt_append(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_free(vl->ms->kernel_cmdline);
    vl->ms->kernel_cmdline = g_strdup(arg);
    return true;
}

void add_global(MachineState *ms, const char *driver, const char *property,
                const char *value)
{
    GlobalProperty *g = g_new0(GlobalProperty, 1);

    g->driver = g_strdup(driver);
    g->property = g_strdup(property);
    g->value = g_strdup(value);
    g_ptr_array_add(ms->globals, g);
}

bool opt_global(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    g_autoptr(QemuOpts) parsed = NULL;
    const char *eq = strchr(arg, '=');
    const char *dot = strchr(arg, '.');

    if (eq && dot && dot < eq) {
        g_autofree char *driver = g_strndup(arg, dot - arg);
        g_autofree char *property = g_strndup(dot + 1, eq - dot - 1);

        add_global(vl->ms, driver, property, eq + 1);
        return true;
    }
    parsed = qemu_opts_parse(arg, NULL, errp);
    if (!parsed) {
        return false;
    }
    if (!qemu_opt_get(parsed, "driver") || !qemu_opt_get(parsed, "property") ||
        !qemu_opt_get(parsed, "value")) {
        error_setg(errp, "Invalid 'global' value: expected driver.property=value");
        return false;
    }
    add_global(vl->ms, qemu_opt_get(parsed, "driver"), qemu_opt_get(parsed, "property"),
               qemu_opt_get(parsed, "value"));
    return true;
}

/* Classes of QEMU's microvm that clients set and that are in the kernel, or not here. */
static bool is_known_elsewhere(const char *driver)
{
    static const char *const names[] = { "kvm-pit", "fw_cfg", NULL };

    return g_strv_contains(names, driver);
}

void warn_unused_globals(MachineState *ms)
{
    for (guint i = 0; i < ms->globals->len; i++) {
        GlobalProperty *g = g_ptr_array_index(ms->globals, i);

        if (!g->used && !is_known_elsewhere(g->driver) &&
            !object_class_by_name(device_classes, g->driver) &&
            !object_class_by_name(object_classes, g->driver)) {
            g_autofree char *meant = object_class_did_you_mean(device_classes, g->driver);

            warn_report("global %s.%s has invalid class name%s", g->driver, g->property, meant);
        }
    }
}

/* Some are about networks, which come after the objects that these need. */
bool opt_object(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    const char *type = qemu_opt_get(opts, "qom-type");
    const ObjectClass *oc = type ? object_class_by_name(object_classes, type) : NULL;

    if (vl->late_objects != (oc && oc->late)) {
        return true;
    }
    return machine_add_object(vl->ms, opts, errp) != NULL;
}

/*
 * A bus that another -device brings (or none) is what the device needs: it waits
 * for the second pass, so that the order on the command line is free.
 */
static bool is_nested_device(MachineState *ms, const char *driver)
{
    const ObjectClass *oc = driver ? object_class_by_name(device_classes, driver) : NULL;
    const char *type = oc ? downcast(oc, const DeviceClass, oc)->bus_type : NULL;
    const MachineClass *mc = machine_get_class(ms);

    if (type && mc->want_bus) {
        mc->want_bus(ms, type);
    }
    for (guint i = 0; type && i < ms->buses->len; i++) {
        const BusState *bus = ms->buses->pdata[i];

        if (!strcmp(bus->type, type) &&
            (!bus->parent || !device_get_class(bus->parent)->user_creatable)) {
            return false;
        }
    }
    return type != NULL;
}

bool opt_device(VLState *vl, const char *arg, QemuOpts *opts, Error **errp)
{
    if (is_nested_device(vl->ms, qemu_opt_get(opts, "driver")) != vl->nested_devices) {
        return true;
    }
    return qdev_device_add(vl->ms, opts, errp) != NULL;
}

static bool asks_help(const char *arg)
{
    return !strcmp(arg, "help") || !strcmp(arg, "?");
}

bool help_machine(const char *arg, QemuOpts *opts)
{
    const char *type;

    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    type = qemu_opt_get(opts, "type");
    if (type && !asks_help(type) && object_class_by_name(machine_classes, type)) {
        g_autoptr(GString) text = g_string_new(NULL);

        object_class_help(text, object_class_by_name(machine_classes, type));
        printf("%s", text->str);
        return true;
    }
    printf("Supported machines are:\n");
    for (const ObjectClass *const *const *p = machine_classes; *p; p++) {
        const ObjectClass *oc = **p;
        bool def = downcast(oc, const MachineClass, oc)->is_default;

        if (oc->alias) {
            printf("%-20s %s (alias of %s)\n", oc->alias, oc->desc, oc->name);
        }
        printf("%-20s %s%s\n", oc->name, oc->desc, def ? " (default)" : "");
    }
    return true;
}

bool help_accel(const char *arg, QemuOpts *opts)
{
    const char *name = qemu_opt_get(opts, "accel");
    const ObjectClass *oc;

    if (!qemu_opts_has_help(opts)) {
        return false;
    }
    oc = name ? object_class_by_name(accel_classes, name) : NULL;
    if (oc) {
        g_autoptr(GString) text = g_string_new(NULL);

        object_class_help(text, oc);
        printf("%s", text->str);
        return true;
    }
    printf("Accelerators supported in QEMU binary:\n");
    for (const ObjectClass *const *const *p = accel_classes; *p; p++) {
        printf("%s\n", (**p)->name);
    }
    return true;
}

bool help_cpu(const char *arg, QemuOpts *opts)
{
    if (!asks_help(arg) && !g_str_has_suffix(arg, ",help") && !g_str_has_suffix(arg, ",?")) {
        return false;
    }
    x86_cpu_list();
    return true;
}
