/*
 * Classes, instances and their property rows.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/object.h"

#include <string.h>

#include "qemu/similar.h"

const ObjectClass *object_class_by_name(const ObjectClass *const *const *table,
                                        const char *name)
{
    for (; *table; table++) {
        const ObjectClass *oc = **table;

        if (!strcmp(oc->name, name) || (oc->alias && !strcmp(oc->alias, name))) {
            return oc;
        }
    }
    return NULL;
}

char *object_class_did_you_mean(const ObjectClass *const *const *table, const char *name)
{
    Similar s;

    similar_init(&s, name);
    for (; *table; table++) {
        similar_try(&s, (**table)->name);
    }
    return similar_text(&s, "");
}

void property_foreach(const ObjectClass *oc, PropertyFn *fn, void *opaque)
{
    for (; oc; oc = oc->parent) {
        for (const Property *prop = oc->props; prop && prop->name; prop++) {
            fn(prop, opaque);
        }
    }
}

static void set_default(const Property *prop, void *opaque)
{
    Error *err = NULL;

    if (prop->defval && !prop->info->set(opaque, prop, prop->defval, &err)) {
        g_error("default of property '%s': %s", prop->name, error_get_pretty(err));
    }
}

/* The oldest parent's init first. */
static void call_init(const ObjectClass *oc, Object *obj)
{
    if (oc->parent) {
        call_init(oc->parent, obj);
    }
    if (oc->init) {
        oc->init(obj);
    }
}

Object *object_new(const ObjectClass *oc, const char *id)
{
    Object *obj;

    g_assert(oc->instance_size >= sizeof(*obj));
    obj = g_malloc0(oc->instance_size);
    obj->oc = oc;
    obj->id = g_strdup(id);
    property_foreach(oc, set_default, obj);
    call_init(oc, obj);
    return obj;
}

static void release_property(const Property *prop, void *opaque)
{
    if (prop->info->release) {
        prop->info->release(opaque, prop);
    }
}

void object_free(Object *obj)
{
    if (!obj) {
        return;
    }
    for (const ObjectClass *oc = obj->oc; oc; oc = oc->parent) {
        if (oc->finalize) {
            oc->finalize(obj);
        }
    }
    property_foreach(obj->oc, release_property, obj);
    g_free(obj->id);
    g_free(obj);
}

/* QEMU's users write some names with '_' and some with '-'. */
static bool name_matches(const char *row, const char *name)
{
    while (*row && (*row == *name || (*row == '-' && *name == '_'))) {
        row++;
        name++;
    }
    return *row == *name;
}

const Property *property_find(const ObjectClass *oc, const char *name)
{
    for (; oc; oc = oc->parent) {
        for (const Property *prop = oc->props; prop && prop->name; prop++) {
            if (name_matches(prop->name, name)) {
                return prop;
            }
        }
    }
    return NULL;
}

static void try_property(const Property *prop, void *opaque)
{
    similar_try(opaque, prop->name);
}

char *property_did_you_mean(const ObjectClass *oc, const char *name)
{
    Similar s;

    similar_init(&s, name);
    property_foreach(oc, try_property, &s);
    return similar_text(&s, "");
}

static const Property *find_or_error(const Object *obj, const char *name,
                                     Error **errp)
{
    const Property *prop = property_find(obj->oc, name);

    if (!prop) {
        g_autofree char *meant = property_did_you_mean(obj->oc, name);

        error_setg(errp, "Property '%s.%s' not found%s", object_class_type_name(obj->oc), name,
                   meant);
    }
    return prop;
}

bool property_set(Object *obj, const char *name, const char *value,
                  Error **errp)
{
    const Property *prop = find_or_error(obj, name, errp);

    return prop && prop->info->set(obj, prop, value, errp);
}

char *property_get(const Object *obj, const char *name, Error **errp)
{
    const Property *prop = find_or_error(obj, name, errp);

    return prop && prop->info->get ? prop->info->get(obj, prop) : NULL;
}

bool object_set_opts(Object *obj, QemuOpts *opts, Error **errp)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (opt->used || !strcmp(opt->name, "id")) {
            continue;
        }
        opt->used = true;
        if (!property_set(obj, opt->name, opt->str, errp)) {
            return false;
        }
    }
    return true;
}

static void collect(const Property *prop, void *opaque)
{
    g_ptr_array_add(opaque, (void *)prop);
}

static gint compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const Property *const *)a)->name,
                  (*(const Property *const *)b)->name);
}

void object_class_help(GString *out, const ObjectClass *oc)
{
    g_autoptr(GPtrArray) rows = g_ptr_array_new();

    property_foreach(oc, collect, rows);
    g_ptr_array_sort(rows, compare_names);
    g_string_append_printf(out, "%s options:\n", object_class_type_name(oc));
    for (guint i = 0; i < rows->len; i++) {
        const Property *prop = g_ptr_array_index(rows, i);
        g_autofree char *left = g_strdup_printf("%s=<%s>", prop->name, prop->info->name);

        g_string_append_printf(out, "  %-*s", prop->help ? 24 : 0, left);
        if (prop->help) {
            g_string_append_printf(out, " - %s", prop->help);
        }
        if (prop->defval) {
            g_string_append_printf(out, " (default: %s)", prop->defval);
        }
        g_string_append_c(out, '\n');
    }
}
