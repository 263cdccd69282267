/*
 * QMP's queries about the machine and its backends.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp.h"
#include "sysemu/accel.h"
#include "sysemu/hostmem.h"
#include "system/confine.h"
#include "system/options.h"

json_t *qmp_query_status(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:s,s:b,s:b}", "status", runstate_name(mon->ms->rsm.state),
                     "singlestep", 0, "running", (int)runstate_is_running(mon->ms));
}

json_t *qmp_query_name(Monitor *mon, json_t *args, Error **errp)
{
    return mon->ms->name ? json_pack("{s:s}", "name", mon->ms->name) : NULL;
}

json_t *qmp_query_uuid(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:s}", "UUID", mon->ms->uuid ? mon->ms->uuid :
                     "00000000-0000-0000-0000-000000000000");
}

json_t *qmp_query_vm_generation_id(Monitor *mon, json_t *args, Error **errp)
{
    const DeviceState *dev = qdev_find_class(mon->ms, "vmgenid");
    g_autofree char *guid = dev ? property_get(&dev->obj, "guid", NULL) : NULL;

    if (!dev) {
        error_setg(errp, "VM Generation ID device not found");
        return NULL;
    }
    return json_pack("{s:s}", "guid", guid);
}

static const char *accel_name(const MachineState *ms)
{
    return ms->accel ? ms->accel->obj.oc->name : "";
}

json_t *qmp_query_kvm(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:b,s:b}", "enabled", (int)!strcmp(accel_name(mon->ms), "kvm"),
                     "present", (int)(object_class_by_name(accel_classes, "kvm") != NULL));
}

json_t *qmp_query_target(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:s}", "arch", "x86_64");
}

json_t *qmp_query_memory_size_summary(Monitor *mon, json_t *args, Error **errp)
{
    MachineState *ms = mon->ms;

    return json_pack("{s:I,s:i}", "base-memory",
                     (json_int_t)(ms->memdev ? ms->ram_size : 0), "plugged-memory", 0);
}

json_t *qmp_query_current_machine(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:b}", "wakeup-suspend-support", 0);
}

json_t *qmp_query_machines(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (unsigned i = 0; machine_classes[i]; i++) {
        const MachineClass *mc = (const MachineClass *)*machine_classes[i];
        const char *cpu = machine_default_cpu_model(mc, mon->ms->accel);
        json_t *m = json_pack("{s:b,s:s,s:b,s:i,s:b}", "hotpluggable-cpus", 0,
                              "name", mc->oc.name, "numa-mem-supported", 0,
                              "cpu-max", (int)MAX(mc->max_cpus, 1u), "deprecated", 0);

        if (mc->is_default) {
            json_object_set_new(m, "is-default", json_true());
        }
        if (mc->oc.alias) {
            json_object_set_new(m, "alias", json_string(mc->oc.alias));
        }
        /* libvirt passes it back as -cpu, but knows no "max": left out, it passes none. */
        if (strcmp(cpu, "max")) {
            g_autofree char *type = g_strdup_printf("%s-x86_64-cpu", cpu);

            json_object_set_new(m, "default-cpu-type", json_string(type));
        }
        if (mc->default_ram_id) {
            json_object_set_new(m, "default-ram-id", json_string(mc->default_ram_id));
        }
        json_array_append_new(list, m);
    }
    return list;
}

static void add_chardev(Chardev *s, void *opaque)
{
    json_array_append_new(opaque, json_pack("{s:b,s:s,s:s}",
        "frontend-open", (int)(s->be && s->be->fe_open),
        "filename", s->filename ? s->filename : s->obj.oc->name,
        "label", s->obj.id ? s->obj.id : ""));
}

json_t *qmp_query_chardev(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    qemu_chr_foreach(add_chardev, list);
    return list;
}

json_t *qmp_query_chardev_backends(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (unsigned i = 0; chardev_classes[i]; i++) {
        const ChardevClass *cc = (const ChardevClass *)*chardev_classes[i];

        if (!cc->internal) {
            json_array_append_new(list, json_pack("{s:s}", "name", cc->oc.name));
        }
    }
    return list;
}

static json_int_t number_property(const Object *obj, const char *name)
{
    g_autofree char *text = property_get(obj, name, NULL);

    return text ? g_ascii_strtoll(text, NULL, 10) : 0;
}

/* How long to poll does not change here, nor how much is done at once: 0. */
json_t *qmp_query_iothreads(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (guint i = 0; i < mon->ms->objects->len; i++) {
        Object *obj = g_ptr_array_index(mon->ms->objects, i);

        if (strcmp(obj->oc->name, "iothread")) {
            continue;
        }
        json_array_append_new(list, json_pack("{s:s,s:I,s:I,s:i,s:i,s:i}", "id", obj->id,
                                              "thread-id", number_property(obj, "thread-id"),
                                              "poll-max-ns", number_property(obj, "poll-max-ns"),
                                              "poll-grow", 0, "poll-shrink", 0,
                                              "aio-max-batch", 0));
    }
    return list;
}

static json_t *host_nodes_json(const HostMemoryBackend *b)
{
    const unsigned bits = 8 * sizeof(b->node_mask[0]);
    json_t *list = json_array();

    for (unsigned n = 0; n < HOST_NODES_MAX; n++) {
        if (b->node_mask[n / bits] >> n % bits & 1) {
            json_array_append_new(list, json_integer(n));
        }
    }
    return list;
}

json_t *qmp_query_memdev(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (guint i = 0; i < mon->ms->objects->len; i++) {
        Object *obj = g_ptr_array_index(mon->ms->objects, i);
        HostMemoryBackend *b = downcast(obj, HostMemoryBackend, obj);

        if (!object_is_memory_backend(obj)) {
            continue;
        }
        json_array_append_new(list,
            json_pack("{s:s,s:I,s:b,s:b,s:b,s:b,s:b,s:o,s:s}", "id", obj->id,
                      "size", (json_int_t)b->size, "merge", (int)b->merge,
                      "dump", (int)b->dump, "prealloc", (int)b->prealloc,
                      "share", (int)b->share, "reserve", (int)b->reserve,
                      "host-nodes", host_nodes_json(b), "policy", host_mem_policies[b->policy]));
    }
    return list;
}

/* Options -------------------------------------------------------------------- */

/* What QEMU calls the lists of some options. */
static const char *option_list_name(const OptionRow *row)
{
    return !strcmp(row->name, "smp") ? "smp-opts" : !strcmp(row->name, "m") ? "memory" : row->name;
}

static void add_property(const Property *prop, void *opaque)
{
    static const char *const types[] = {
        [PROP_KIND_STRING] = "string", [PROP_KIND_BOOL] = "boolean", [PROP_KIND_INT] = "number",
        [PROP_KIND_SIZE] = "size", [PROP_KIND_ENUM] = "string", [PROP_KIND_ANY] = "string",
        [PROP_KIND_LINK] = "string",
    };
    const char *type = types[prop->info->kind];
    json_t *p, *other;
    size_t i;

    json_array_foreach(opaque, i, other) {
        if (!strcmp(qmp_str(other, "name"), prop->name)) {
            return;     /* several classes have it */
        }
    }
    p = json_pack("{s:s,s:s}", "name", prop->name, "type", type);
    if (prop->help) {
        json_object_set_new(p, "help", json_string(prop->help));
    }
    json_array_append_new(opaque, p);
}

/* The names in a usage like "[cpus=]N[,maxcpus=]". */
static void add_named(json_t *list, const char *usage)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    size_t n;

    for (; *usage; usage += MAX(n, 1)) {
        n = strspn(usage, letters);
        if (n && usage[n] == '=' && !g_str_has_prefix(usage, "prop=")) {
            json_array_append_new(list, json_pack("{s:s%,s:s}", "name", usage, n,
                                                  "type", "string"));
        }
    }
}

static json_t *option_parameters(const OptionRow *row)
{
    static const struct {
        const char *option;
        const ObjectClass *const *const *classes;
    } by_class[] = {
        { "machine", machine_classes }, { "accel", accel_classes },
        { "chardev", chardev_classes }, { "netdev", netdev_classes },
        { "device", NULL }, { "object", NULL },     /* which depends on their type */
    };
    json_t *list = json_array();

    for (size_t i = 0; i < G_N_ELEMENTS(by_class); i++) {
        if (strcmp(row->name, by_class[i].option)) {
            continue;
        }
        for (unsigned c = 0; by_class[i].classes && by_class[i].classes[c]; c++) {
            property_foreach(*by_class[i].classes[c], add_property, list);
        }
        return list;
    }
    add_named(list, row->arg);
    return list;
}

/*
 * Options that take lists of properties. Clients pass every such option they
 * know of when it is listed, so what has no effect here is left out.
 */
json_t *qmp_query_command_line_options(Monitor *mon, json_t *args, Error **errp)
{
    const char *only = qmp_str(args, "option");
    json_t *list = json_array();

    for (const OptionRow *row = option_table; row->name; row++) {
        const char *name = option_list_name(row);

        if (!row->keyval || !row->help || !strcmp(name, "M") || (only && strcmp(only, name)) ||
            (!strcmp(name, "sandbox") && !sandbox_available(NULL))) {
            continue;
        }
        json_array_append_new(list, json_pack("{s:s,s:o}", "option", name, "parameters",
                                              option_parameters(row)));
    }
    if (only && !json_array_size(list)) {
        json_decref(list);
        error_setg(errp, "invalid option name: %s", only);
        return NULL;
    }
    return list;
}

json_t *qmp_empty_list(Monitor *mon, json_t *args, Error **errp)
{
    return json_array();
}
