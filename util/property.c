/*
 * The types that property rows have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "qemu/cutils.h"
#include "qemu/object.h"
#include "qemu/similar.h"

static bool set_bool(Object *obj, const Property *prop, const char *value,
                     Error **errp)
{
    if (!qemu_parse_bool(value, property_field(obj, prop))) {
        error_setg(errp, "Parameter '%s' expects 'on' or 'off'", prop->name);
        return false;
    }
    return true;
}

static char *get_bool(const Object *obj, const Property *prop)
{
    return g_strdup(*(bool *)property_field(obj, prop) ? "on" : "off");
}

const PropertyInfo prop_bool = {
    .name = "bool", .kind = PROP_KIND_BOOL, .set = set_bool, .get = get_bool,
};

static bool set_names(int *field, const EnumNames names, const Property *prop,
                      const char *value, Error **errp)
{
    g_autofree char *meant = NULL;

    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], value)) {
            *field = i;
            return true;
        }
    }
    meant = similar_of(value, names);
    error_setg(errp, "Parameter '%s' does not accept value '%s'%s", prop->name, value, meant);
    return false;
}

static const char *const on_off_auto_names[] = { "auto", "on", "off", NULL };

static bool parse_on_off_auto(int *choice, const Property *prop, const char *value,
                              Error **errp)
{
    bool on;

    if (qemu_parse_bool(value, &on)) {
        *choice = on ? ON_OFF_AUTO_ON : ON_OFF_AUTO_OFF;
        return true;
    }
    return set_names(choice, on_off_auto_names, prop, value, errp);
}

static bool set_on_off_auto(Object *obj, const Property *prop,
                            const char *value, Error **errp)
{
    int choice;

    if (!parse_on_off_auto(&choice, prop, value, errp)) {
        return false;
    }
    *(OnOffAuto *)property_field(obj, prop) = choice;
    return true;
}

static char *get_on_off_auto(const Object *obj, const Property *prop)
{
    return g_strdup(on_off_auto_names[*(OnOffAuto *)property_field(obj, prop)]);
}

const PropertyInfo prop_on_off_auto = {
    .name = "OnOffAuto", .kind = PROP_KIND_ENUM, .set = set_on_off_auto, .get = get_on_off_auto,
};

static bool set_enum(Object *obj, const Property *prop, const char *value,
                     Error **errp)
{
    return set_names(property_field(obj, prop), *(const EnumNames *)prop->arg, prop,
                     value, errp);
}

static char *get_enum(const Object *obj, const Property *prop)
{
    return g_strdup((*(const EnumNames *)prop->arg)[*(int *)property_field(obj, prop)]);
}

const PropertyInfo prop_enum = {
    .name = "str", .kind = PROP_KIND_ENUM, .set = set_enum, .get = get_enum,
};

const char *const *property_names(const Property *prop)
{
    return prop->info == &prop_enum ? *(const EnumNames *)prop->arg : on_off_auto_names;
}

/*
 * Unsigned numbers and sizes: parse as 64 bits, check against the width of the
 * field, store.
 */
static bool set_unsigned(Object *obj, const Property *prop, const char *value,
                         unsigned width, bool is_size, Error **errp)
{
    uint64_t max = width == 8 ? UINT64_MAX : (1ULL << (width * 8)) - 1;
    uint64_t n = 0;
    int ret = is_size ? qemu_strtosz(value, 'B', &n) : qemu_strtou64(value, &n);

    if (ret == -EINVAL) {
        error_setg(errp, is_size ? "Parameter '%s' expects a non-negative number below 2^64"
                                 : "Parameter '%s' expects a number", prop->name);
        if (is_size) {
            error_append_hint(errp, "Optional suffix k, M, G, T, P or E means kilo-, mega-,"
                              " giga-, tera-, peta-\nand exabytes, respectively.\n");
        }
        return false;
    }
    if (ret || n > max) {
        error_setg(errp, "Property %s.%s doesn't take value '%s' (minimum: 0, maximum: %"
                   PRIu64 ")", object_class_type_name(obj->oc), prop->name, value, max);
        return false;
    }
    /* x86 hosts only: the low bytes come first. */
    memcpy(property_field(obj, prop), &n, width);
    return true;
}

static char *get_unsigned(const Object *obj, const Property *prop,
                          unsigned width)
{
    uint64_t n = 0;

    memcpy(&n, property_field(obj, prop), width);
    return g_strdup_printf("%" PRIu64, n);
}

#define UNSIGNED_PROP(info, type_name, type, is_size) \
    static bool set_##info(Object *obj, const Property *prop, \
                           const char *value, Error **errp) \
    { \
        return set_unsigned(obj, prop, value, sizeof(type), is_size, errp); \
    } \
    static char *get_##info(const Object *obj, const Property *prop) \
    { \
        return get_unsigned(obj, prop, sizeof(type)); \
    } \
    const PropertyInfo prop_##info = { \
        .name = type_name, .kind = (is_size) ? PROP_KIND_SIZE : PROP_KIND_INT, \
        .set = set_##info, .get = get_##info, \
    }

UNSIGNED_PROP(uint8, "uint8", uint8_t, false);
UNSIGNED_PROP(uint16, "uint16", uint16_t, false);
UNSIGNED_PROP(uint32, "uint32", uint32_t, false);
UNSIGNED_PROP(uint64, "uint64", uint64_t, false);
UNSIGNED_PROP(size, "size", uint64_t, true);
UNSIGNED_PROP(size32, "size", uint32_t, true);

static bool set_int32(Object *obj, const Property *prop, const char *value,
                      Error **errp)
{
    int64_t n;

    if (qemu_strtoi64(value, &n) || n < INT32_MIN || n > INT32_MAX) {
        error_setg(errp, "Parameter '%s' expects a number", prop->name);
        return false;
    }
    *(int32_t *)property_field(obj, prop) = n;
    return true;
}

static char *get_int32(const Object *obj, const Property *prop)
{
    return g_strdup_printf("%" PRId32, *(int32_t *)property_field(obj, prop));
}

const PropertyInfo prop_int32 = {
    .name = "int32", .kind = PROP_KIND_INT, .set = set_int32, .get = get_int32,
};

static void release_string(Object *obj, const Property *prop)
{
    g_free(*(char **)property_field(obj, prop));
}

static bool set_string(Object *obj, const Property *prop, const char *value,
                       Error **errp)
{
    release_string(obj, prop);
    *(char **)property_field(obj, prop) = g_strdup(value);
    return true;
}

static char *get_string(const Object *obj, const Property *prop)
{
    return g_strdup(*(char **)property_field(obj, prop));
}

const PropertyInfo prop_string = {
    .name = "str", .set = set_string, .get = get_string, .release = release_string,
};

static bool set_strlist(Object *obj, const Property *prop, const char *value,
                        Error **errp)
{
    GPtrArray **field = property_field(obj, prop);

    if (!*field) {
        *field = g_ptr_array_new_with_free_func(g_free);
    }
    g_ptr_array_add(*field, g_strdup(value));
    return true;
}

static char *get_strlist(const Object *obj, const Property *prop)
{
    GPtrArray *list = *(GPtrArray **)property_field(obj, prop);
    GString *s = g_string_new(NULL);

    for (guint i = 0; list && i < list->len; i++) {
        g_string_append_printf(s, "%s%s", i ? "," : "", (char *)list->pdata[i]);
    }
    return g_string_free(s, FALSE);
}

static void release_strlist(Object *obj, const Property *prop)
{
    GPtrArray *list = *(GPtrArray **)property_field(obj, prop);

    if (list) {
        g_ptr_array_unref(list);
    }
}

const PropertyInfo prop_strlist = {
    .name = "str", .set = set_strlist, .get = get_strlist, .release = release_strlist,
};

/* The id is the link's first member: as a text. */
const PropertyInfo prop_link = {
    .name = "str", .kind = PROP_KIND_LINK, .set = set_string, .get = get_string,
    .release = release_string,
};

static bool set_ignored(Object *obj, const Property *prop, const char *value,
                        Error **errp)
{
    return true;
}

const PropertyInfo prop_ignored = {
    .name = "any", .kind = PROP_KIND_ANY, .set = set_ignored,
};

static bool set_off(Object *obj, const Property *prop, const char *value, Error **errp)
{
    int choice;

    if (!parse_on_off_auto(&choice, prop, value, errp)) {
        return false;
    }
    if (choice == ON_OFF_AUTO_ON) {
        error_setg(errp, "%s", (const char *)prop->arg);
    }
    return choice != ON_OFF_AUTO_ON;
}

static bool set_no_string(Object *obj, const Property *prop, const char *value, Error **errp)
{
    error_setg(errp, "%s", (const char *)prop->arg);
    return false;
}

static char *get_default(const Object *obj, const Property *prop)
{
    return g_strdup(prop->defval);
}

const PropertyInfo prop_off = {
    .name = "bool", .kind = PROP_KIND_BOOL, .set = set_off, .get = get_default,
};
const PropertyInfo prop_off_auto = {
    .name = "OnOffAuto", .kind = PROP_KIND_ENUM, .set = set_off, .get = get_default,
};
const PropertyInfo prop_no_string = {
    .name = "str", .set = set_no_string, .get = get_default,
};
