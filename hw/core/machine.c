/*
 * What all machines share: options, -smp, -global.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>

#include "hw/boards.h"
#include "qemu/cutils.h"
#include "sysemu/accel.h"
#include "sysemu/numa.h"

static const Property machine_props[] = {
    DEFINE_PROP_STRING("accel", MachineState, accel_names, NULL,
                       "Names of accelerators, the first that works is used"),
    DEFINE_PROP_STRING("memory-backend", MachineState, memory_backend, NULL,
                       "The memory backend that is the RAM"),
    DEFINE_PROP_BOOL("mem-merge", MachineState, mem_merge, "on",
                     "Let the host merge equal pages of guest memory"),
    DEFINE_PROP_BOOL("dump-guest-core", MachineState, dump_guest_core, "on",
                     "Guest memory is part of the emulator's core dumps"),
    DEFINE_PROP_BOOL("halt-poweroff", MachineState, halt_poweroff, "on",
                     "The machine is off when all its processors have halted for good"),
    DEFINE_PROP_IGNORED("graphics", "There are no graphics"),
    DEFINE_PROP_END
};

static void free_global(gpointer data)
{
    GlobalProperty *g = data;

    g_free(g->driver);
    g_free(g->property);
    g_free(g->value);
    g_free(g);
}

static void machine_init(Object *obj)
{
    MachineState *ms = downcast(obj, MachineState, obj);
    const MachineClass *mc = machine_get_class(ms);

    memory_region_init(&ms->system_memory, "system", UINT64_MAX);
    address_space_init(&ms->memory, &ms->system_memory, "memory", false);
    memory_region_init(&ms->system_io, "io", 0x10000);
    address_space_init(&ms->io, &ms->system_io, "I/O", true);
    ms->devices = g_ptr_array_new();
    ms->buses = g_ptr_array_new();
    ms->serials = g_ptr_array_new();
    ms->globals = g_ptr_array_new_with_free_func(free_global);
    ms->objects = g_ptr_array_new();
    ms->kernel_cmdline = g_strdup("");
    ms->ram_size = mc->default_ram_size;
    ms->smp = (CpuTopology) { 1, 1, 1, 1, 1, 1 };
}

static void machine_finalize(Object *obj)
{
    MachineState *ms = downcast(obj, MachineState, obj);

    /* Before the objects: memory backends have regions in it. */
    address_space_destroy(&ms->memory);
    address_space_destroy(&ms->io);
    for (guint i = ms->objects->len; i-- > 0;) {
        object_free(g_ptr_array_index(ms->objects, i));
    }
    numa_free(ms->numa);
    g_ptr_array_unref(ms->objects);
    g_ptr_array_unref(ms->devices);
    g_ptr_array_unref(ms->buses);
    g_ptr_array_unref(ms->serials);
    g_ptr_array_unref(ms->globals);
    g_clear_pointer(&ms->reset_handlers, g_ptr_array_unref);
    g_clear_pointer(&ms->fw_cfg_items, g_ptr_array_unref);
    g_clear_pointer(&ms->input_handlers, g_ptr_array_unref);
    qemu_opts_free(ms->accel_opts);
    g_free(ms->kernel_filename);
    g_free(ms->initrd_filename);
    g_free(ms->kernel_cmdline);
    g_free(ms->cpu_model);
    g_free(ms->name);
    g_free(ms->uuid);
}

const ObjectClass machine_base_class = {
    .name = "machine",
    .instance_size = sizeof(MachineState),
    .props = machine_props,
    .init = machine_init,
    .finalize = machine_finalize,
};

Object *machine_find_object(const MachineState *ms, const char *id)
{
    for (guint i = 0; i < ms->objects->len; i++) {
        Object *obj = g_ptr_array_index(ms->objects, i);

        if (!strcmp(obj->id, id)) {
            return obj;
        }
    }
    return NULL;
}

Object *machine_add_object(MachineState *ms, QemuOpts *opts, Error **errp)
{
    const char *type = qemu_opt_get(opts, "qom-type");
    const char *id = qemu_opt_get(opts, "id");
    const ObjectClass *oc = type ? object_class_by_name(object_classes, type) : NULL;
    Object *obj;

    if (!type || !id) {
        error_setg(errp, "Parameter '%s' is missing", type ? "id" : "qom-type");
        return NULL;
    }
    if (!oc) {
        g_autofree char *meant = object_class_did_you_mean(object_classes, type);

        error_setg(errp, "Parameter 'qom-type' does not accept value '%s'%s", type, meant);
        return NULL;
    }
    if (!qemu_check_id(id, errp)) {
        return NULL;
    }
    if (machine_find_object(ms, id)) {
        error_setg(errp, "attempt to add duplicate property '%s' to object (type 'container')",
                   id);
        return NULL;
    }
    obj = object_new(oc, id);
    if (!machine_apply_globals(ms, obj, errp) || !object_set_opts(obj, opts, errp) ||
        (oc->complete && !oc->complete(obj, errp))) {
        object_free(obj);
        return NULL;
    }
    g_ptr_array_add(ms->objects, obj);
    return obj;
}

bool machine_add_device_memory(MachineState *ms, MemoryRegion *mr, uint64_t align, Error **errp)
{
    hwaddr addr = QEMU_ALIGN_UP(ms->device_memory, align);

    if (addr < ms->device_memory || addr >= ms->device_memory_end ||
        mr->size > ms->device_memory_end - addr) {
        error_setg(errp, "no room for 0x%" PRIx64 " bytes of memory: the processors' addresses "
                   "end at 0x%" PRIx64, mr->size, ms->device_memory_end);
        return false;
    }
    memory_region_add_subregion(&ms->system_memory, addr, mr);
    ms->device_memory = addr + mr->size;
    return true;
}

CpuPlace cpu_place(const CpuTopology *t, unsigned index)
{
    unsigned core = index / t->threads, die = core / t->cores;

    return (CpuPlace) { die / t->dies, die % t->dies, core % t->cores, index % t->threads };
}

/* One count of -smp: 0 when it is not given; false on a bad value. */
static bool smp_count(QemuOpts *opts, const char *name, unsigned *count,
                      Error **errp)
{
    const char *str = qemu_opt_get(opts, name);
    uint64_t n;

    *count = 0;
    if (!str) {
        return true;
    }
    if (qemu_strtou64(str, &n)) {
        error_setg(errp, "Parameter '%s' expects a number", name);
        return false;
    }
    if (n == 0) {
        error_setg(errp, "Invalid CPU topology: CPU topology parameters must be greater than zero");
        return false;
    }
    *count = MIN(n, UINT32_MAX);
    return true;
}

/* Compute what was left out: cores grow first, then sockets, then threads. */
static void smp_complete(CpuTopology *t)
{
    uint64_t given;

    t->dies = t->dies ? t->dies : 1;
    if (!t->cpus && !t->max_cpus) {
        t->sockets = t->sockets ? t->sockets : 1;
        t->cores = t->cores ? t->cores : 1;
        t->threads = t->threads ? t->threads : 1;
    } else {
        unsigned max = t->max_cpus ? t->max_cpus : t->cpus;

        if (!t->cores) {
            t->sockets = t->sockets ? t->sockets : 1;
            t->threads = t->threads ? t->threads : 1;
            given = (uint64_t)t->sockets * t->dies * t->threads;
            t->cores = max / given;
        } else if (!t->sockets) {
            t->threads = t->threads ? t->threads : 1;
            given = (uint64_t)t->dies * t->cores * t->threads;
            t->sockets = max / given;
        }
        if (!t->threads) {
            given = (uint64_t)t->sockets * t->dies * t->cores;
            t->threads = given ? max / given : 0;
        }
    }
}

bool machine_parse_smp(MachineState *ms, QemuOpts *opts, Error **errp)
{
    const MachineClass *mc = machine_get_class(ms);
    CpuTopology t = { 0 };
    uint64_t total;

    if (!smp_count(opts, "cpus", &t.cpus, errp) ||
        !smp_count(opts, "maxcpus", &t.max_cpus, errp) ||
        !smp_count(opts, "sockets", &t.sockets, errp) ||
        !smp_count(opts, "dies", &t.dies, errp) ||
        !smp_count(opts, "cores", &t.cores, errp) ||
        !smp_count(opts, "threads", &t.threads, errp)) {
        return false;
    }
    smp_complete(&t);
    /* Four 32-bit factors can overflow 64 bits; any above the limit is wrong. */
    if (MAX(MAX(t.sockets, t.dies), MAX(t.cores, t.threads)) > 0xffff) {
        error_setg(errp, "Invalid CPU topology: too many CPUs");
        return false;
    }
    total = (uint64_t)t.sockets * t.dies * t.cores * t.threads;
    t.max_cpus = t.max_cpus ? t.max_cpus : t.cpus ? t.cpus : total;
    t.cpus = t.cpus ? t.cpus : t.max_cpus;
    if (total != t.max_cpus) {
        error_setg(errp, "Invalid CPU topology: product of the hierarchy must match maxcpus: "
                   "sockets (%u) * dies (%u) * cores (%u) * threads (%u) != maxcpus (%u)",
                   t.sockets, t.dies, t.cores, t.threads, t.max_cpus);
        return false;
    }
    if (t.max_cpus < t.cpus) {
        error_setg(errp, "Invalid CPU topology: maxcpus must be equal to or greater than smp: "
                   "maxcpus (%u) < smp_cpus (%u)", t.max_cpus, t.cpus);
        return false;
    }
    if (mc->max_cpus && t.max_cpus > mc->max_cpus) {
        error_setg(errp, "Invalid SMP CPUs %u. The max CPUs supported by machine '%s' is %u",
                   t.max_cpus, mc->oc.name, mc->max_cpus);
        return false;
    }
    ms->smp = t;
    return true;
}

const char *machine_default_cpu_model(const MachineClass *mc, const AccelState *accel)
{
    bool host = accel && accel_get_class(accel)->host_cpus;

    return host && mc->default_cpu_model ? mc->default_cpu_model : "max";
}

bool machine_apply_globals(MachineState *ms, Object *obj, Error **errp)
{
    for (guint i = 0; i < ms->globals->len; i++) {
        GlobalProperty *g = g_ptr_array_index(ms->globals, i);

        for (const ObjectClass *oc = obj->oc; oc; oc = oc->parent) {
            if (strcmp(oc->name, g->driver) && g_strcmp0(oc->alias, g->driver)) {
                continue;
            }
            g->used = true;
            if (!property_set(obj, g->property, g->value, errp)) {
                error_prepend(errp, "can't apply global %s.%s=%s: ", g->driver,
                              g->property, g->value);
                return false;
            }
            break;
        }
    }
    return true;
}
