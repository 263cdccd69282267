/*
 * QMP's types: classes by the names that QOM has for them, their parents and their properties.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp.h"
#include "sysemu/accel.h"
#include "target/i386/cpuid.h"

/* What a class is called as a type, and what it is a kind of. */
typedef struct TypeKind {
    const ObjectClass *const *const *table;
    const char *prefix;
    const char *suffix;
    const char *parent;
} TypeKind;

static const TypeKind type_kinds[] = {
    { device_classes, "", "", "device" },
    { machine_classes, "", "-machine", "machine" },
    { object_classes, "", "", "object" },
    { chardev_classes, "chardev-", "", "chardev" },
    { accel_classes, "", "-accel", "accel" },
};

static char *type_name(const TypeKind *k, const ObjectClass *oc)
{
    return g_strconcat(k->prefix, oc->name, k->suffix, NULL);
}

/* The class of a type; *is_device tells its kind. NULL: unknown or without rows. */
static const ObjectClass *find_type(const char *name, bool *is_device)
{
    for (size_t k = 0; k < G_N_ELEMENTS(type_kinds); k++) {
        for (unsigned i = 0; type_kinds[k].table[i]; i++) {
            const ObjectClass *oc = *type_kinds[k].table[i];
            g_autofree char *type = type_name(&type_kinds[k], oc);

            if (!strcmp(type, name)) {
                *is_device = k == 0;
                return oc;
            }
        }
    }
    return NULL;
}

/* "MODEL-x86_64-cpu": a type without rows. */
static char *cpu_type_name(unsigned i)
{
    g_autofree char *model = x86_cpu_model_name(i);

    return model ? g_strconcat(model, "-x86_64-cpu", NULL) : NULL;
}

static bool is_cpu_type(const char *name)
{
    char *type;
    bool same = false;

    for (unsigned i = 0; !same && (type = cpu_type_name(i)); i++) {
        same = !strcmp(name, type);
        g_free(type);
    }
    return same;
}

static void append_type(json_t *list, const char *name, const char *parent)
{
    json_array_append_new(list, json_pack("{s:s,s:s}", "name", name, "parent", parent));
}

/* Whether oc or one of its parents is called name, or its kind is. */
static bool implements(const TypeKind *k, const ObjectClass *oc, const char *name)
{
    bool found = !name || !strcmp(name, "object") || !strcmp(name, k->parent);

    for (; oc && !found; oc = oc->parent) {
        g_autofree char *type = type_name(k, oc);

        found = !strcmp(type, name) || !strcmp(oc->name, name);
    }
    return found;
}

/* Once; parent may be NULL. */
static void append_abstract(json_t *list, const char *name, const char *parent)
{
    json_t *v;
    size_t i;

    json_array_foreach(list, i, v) {
        if (!strcmp(qmp_str(v, "name"), name)) {
            return;
        }
    }
    json_array_append_new(list, json_pack("{s:s,s:b,s:s*}", "name", name, "abstract", 1,
                                          "parent", parent));
}

static void append_parents(json_t *list, const TypeKind *k, const ObjectClass *oc,
                           const char *want)
{
    while ((oc = oc->parent)) {
        if (implements(k, oc, want)) {
            append_abstract(list, oc->name, oc->parent ? oc->parent->name :
                            strcmp(oc->name, k->parent) ? k->parent : "object");
        }
    }
}

/* What has no instances: the parents of classes, and the kinds. */
static void append_abstract_types(json_t *list, const char *want)
{
    static const char *const kinds[][2] = {
        { "object", NULL }, { "device", "object" }, { "machine", "object" },
        { "chardev", "object" }, { "accel", "object" }, { "cpu", "device" },
        { "x86_64-cpu", "cpu" },
    };

    for (size_t k = 0; k < G_N_ELEMENTS(type_kinds); k++) {
        for (unsigned i = 0; type_kinds[k].table[i]; i++) {
            append_parents(list, &type_kinds[k], *type_kinds[k].table[i], want);
        }
    }
    for (size_t i = 0; i < G_N_ELEMENTS(kinds); i++) {
        const char *parent = kinds[i][1];

        if (!want || !strcmp(want, kinds[i][0]) || !g_strcmp0(want, parent) ||
            !strcmp(want, "object")) {
            append_abstract(list, kinds[i][0], parent);
        }
    }
}

json_t *qmp_qom_list_types(Monitor *mon, json_t *args, Error **errp)
{
    const char *want = qmp_str(args, "implements");
    json_t *list = json_array();

    for (size_t k = 0; k < G_N_ELEMENTS(type_kinds); k++) {
        for (unsigned i = 0; type_kinds[k].table[i]; i++) {
            const ObjectClass *oc = *type_kinds[k].table[i];
            g_autofree char *type = type_name(&type_kinds[k], oc);

            if (implements(&type_kinds[k], oc, want)) {
                append_type(list, type, oc->parent ? oc->parent->name :
                            type_kinds[k].parent);
            }
        }
    }
    if (!want || !strcmp(want, "x86_64-cpu") || !strcmp(want, "cpu") ||
        !strcmp(want, "device") || !strcmp(want, "object")) {
        char *type;

        for (unsigned i = 0; (type = cpu_type_name(i)); i++) {
            append_type(list, type, "x86_64-cpu");
            g_free(type);
        }
    }
    if (qmp_bool(args, "abstract", false)) {
        append_abstract_types(list, want);
    }
    return list;
}

static void describe_property(const Property *prop, void *opaque)
{
    json_t *p = json_pack("{s:s,s:s}", "name", prop->name, "type", prop->info->name);

    if (prop->help) {
        json_object_set_new(p, "description", json_string(prop->help));
    }
    if (prop->defval) {
        json_object_set_new(p, "default-value", prop->info->kind == PROP_KIND_BOOL ?
            json_boolean(!strcmp(prop->defval, "on") || !strcmp(prop->defval, "true")) :
            json_string(prop->defval));
    }
    json_array_append_new(opaque, p);
}

json_t *qmp_qom_list_properties(Monitor *mon, json_t *args, Error **errp)
{
    const char *name = qmp_str(args, "typename");
    bool is_device;
    const ObjectClass *oc = find_type(name, &is_device);
    json_t *list;

    if (!oc && !is_cpu_type(name)) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Class '%s' not found", name);
        return NULL;
    }
    list = json_pack("[{s:s,s:s}]", "name", "type", "type", "string");
    if (oc) {
        property_foreach(oc, describe_property, list);
    }
    return list;
}

json_t *qmp_device_list_properties(Monitor *mon, json_t *args, Error **errp)
{
    const char *name = qmp_str(args, "typename");
    bool is_device = false;
    const ObjectClass *oc = find_type(name, &is_device);
    json_t *list;

    if (!oc && !is_cpu_type(name)) {
        error_set(errp, ERROR_CLASS_DEVICE_NOT_FOUND, "Device '%s' not found", name);
        return NULL;
    }
    if (oc && !is_device) {
        error_setg(errp, "Parameter 'typename' expects a non-abstract device type");
        return NULL;
    }
    list = json_array();
    if (oc) {
        property_foreach(oc, describe_property, list);
    }
    return list;
}
