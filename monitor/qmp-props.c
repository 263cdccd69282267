/*
 * Members that become properties: object-add, netdev_add, chardev-add and blockdev-add take
 * them as QAPI's types have them, where the command line has only text. One walk over a
 * command's members beside the rows of its class, with QEMU's messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/image-info.h"
#include "qmp.h"

static bool wrong_type(const char *name, const char *expected, Error **errp)
{
    error_setg(errp, "Invalid parameter type for '%s', expected: %s", name, expected);
    return false;
}

static bool missing(const char *prefix, const char *member, Error **errp)
{
    error_setg(errp, "Parameter '%s%s' is missing", prefix, member);
    return false;
}

/* Values ------------------------------------------------------------------------- */

/* Unsigned; those of less than 64 bits have their limits in QAPI, too. */
bool qmp_check_unsigned(const char *type, json_t *v, const char *name, Error **errp)
{
    const char *last = strrchr(name, '.');
    unsigned bits = strcmp(type, "size") ? atoi(type + strlen("uint")) : 64;

    if (!json_is_integer(v)) {
        error_setg(errp, "Parameter '%s' expects uint64", name);
        return false;
    }
    if (bits < 64 && (uint64_t)json_integer_value(v) >> bits) {
        error_setg(errp, "Parameter '%s' expects %s_t", last ? last + 1 : name, type);
        return false;
    }
    return true;
}

/* A list's element: a text, {"str": text}, or a number where the command line has one. */
static bool check_element(json_t *v, const char *name, Error **errp)
{
    g_autofree char *prefix = g_strconcat(name, ".", NULL);
    g_autofree char *inner = g_strconcat(prefix, "str", NULL);
    json_t *str = json_object_get(v, "str"), *other;
    const char *key;

    if (!json_is_object(v)) {
        return json_is_string(v) || json_is_integer(v) || wrong_type(name, "object", errp);
    }
    if (!json_is_string(str)) {
        return str ? wrong_type(inner, "string", errp) : missing(prefix, "str", errp);
    }
    json_object_foreach(v, key, other) {
        if (other != str) {
            error_setg(errp, "Parameter '%s%s' is unexpected", prefix, key);
            return false;
        }
    }
    return true;
}

static bool check_list(json_t *list, const char *name, Error **errp)
{
    json_t *v;
    size_t i;

    if (!json_is_array(list)) {
        return wrong_type(name, "array", errp);
    }
    json_array_foreach(list, i, v) {
        g_autofree char *element = g_strdup_printf("%s[%zu]", name, i);

        if (!check_element(v, element, errp)) {
            return false;
        }
    }
    return true;
}

/* QAPI's numbers are int for images and chardevs, and sizes for objects and networks. */
static bool has_int(const ObjectClass *oc)
{
    while (oc->parent) {
        oc = oc->parent;
    }
    return oc == &chardev_base_class || oc == (*block_classes[0])->parent;
}

/* name: as the client wrote it, with the members around it. */
static bool check_value(const ObjectClass *oc, const Property *row, json_t *v,
                        const char *name, Error **errp)
{
    const char *type = row->info->name;

    if (row->info == &prop_strlist) {
        return check_list(v, name, errp);
    }
    if (!has_int(oc) && (g_str_has_prefix(type, "uint") || !strcmp(type, "size"))) {
        return qmp_check_unsigned(type, v, name, errp);
    }
    if (row->info->kind == PROP_KIND_INT || row->info->kind == PROP_KIND_SIZE) {
        return json_is_integer(v) || wrong_type(name, "integer", errp);
    }
    /* QAPI has a boolean for some that are three-valued here. */
    if (!strcmp(type, "bool") || (!strcmp(type, "OnOffAuto") && !json_is_string(v))) {
        return json_is_boolean(v) || wrong_type(name, "boolean", errp);
    }
    return !strcmp(type, "any") || json_is_string(v) || wrong_type(name, "string", errp);
}

bool qmp_check_prop(const ObjectClass *oc, const char *prop, json_t *v, const char *name,
                    Error **errp)
{
    const Property *row = property_find(oc, prop);

    if (!row) {
        error_setg(errp, "Parameter '%s' is unexpected", name);
    }
    return row && check_value(oc, row, v, name, errp);
}

/* What must be there --------------------------------------------------------------- */

/* of: a class, or the type of an address. */
static const struct {
    const char *of, *member;
} required[] = {
    { "memory-backend-ram", "size" }, { "memory-backend-memfd", "size" },
    { "memory-backend-file", "size" }, { "memory-backend-file", "mem-path" },
    { "file", "filename" }, { "host_device", "filename" }, { "raw", "file" },
    { "qcow2", "file" }, { "stream", "addr" },
    { "inet", "host" }, { "inet", "port" }, { "unix", "path" }, { "fd", "str" },
};

static bool check_required(const char *of, json_t *obj, const char *prefix, Error **errp)
{
    for (size_t i = 0; i < G_N_ELEMENTS(required); i++) {
        if (!strcmp(required[i].of, of) && !json_object_get(obj, required[i].member)) {
            return missing(prefix, required[i].member, errp);
        }
    }
    return true;
}

bool qmp_check_address(json_t *addr, json_t *data, const char *prefix, Error **errp)
{
    g_autofree char *inner = g_strconcat(prefix, addr == data ? "" : "data.", NULL);
    const char *type = qmp_str(addr, "type");

    if (!type) {
        return missing(prefix, "type", errp);
    }
    if (strcmp(type, "inet") && strcmp(type, "unix") && strcmp(type, "fd")) {
        error_setg(errp, "Parameter 'type' does not accept value '%s'", type);
        return false;
    }
    return check_required(type, data, inner, errp);
}

/* Members ---------------------------------------------------------------------------- */

static bool check_object(const ObjectClass *oc, json_t *obj, const char *prefix, Error **errp);

static bool has_group(const ObjectClass *oc, const char *path)
{
    size_t len = strlen(path);

    for (; oc; oc = oc->parent) {
        for (const Property *row = oc->props; row && row->name; row++) {
            if (!strncmp(row->name, path, len) && row->name[len] == '.') {
                return true;
            }
        }
    }
    return false;
}

/* Another node: by its name, or by its options. */
static bool check_child(json_t *v, const char *name, bool optional, Error **errp)
{
    g_autofree char *prefix = g_strconcat(name, ".", NULL);
    const char *driver = qmp_str(v, "driver");
    const ObjectClass *oc;

    if (json_is_string(v) || (optional && json_is_null(v))) {
        return true;
    }
    if (!json_is_object(v)) {
        return wrong_type(name, optional ? "BlockdevRefOrNull" : "BlockdevRef", errp);
    }
    if (!driver) {
        return missing(prefix, "driver", errp);
    }
    oc = object_class_by_name(block_classes, driver);
    if (!oc) {
        error_setg(errp, "Parameter 'driver' does not accept value '%s'", driver);
        return false;
    }
    return check_object(oc, v, prefix, errp);
}

static bool is_child(const ObjectClass *oc, const char *path)
{
    for (size_t i = 0; block_classes[i]; i++) {
        if (oc == *block_classes[i]) {
            return (!strcmp(path, "file") && !block_class_is_protocol(oc)) ||
                   ((!strcmp(path, "backing") || !strcmp(path, "data-file")) &&
                    block_class_has_backing(oc));
        }
    }
    return false;
}

/* What says which class it is, and the object's name: checked before. */
static bool is_tag(const char *path)
{
    return !strcmp(path, "qom-type") || !strcmp(path, "type") || !strcmp(path, "driver") ||
           !strcmp(path, "id");
}

/*
 * path: of the rows of obj's members, with a dot behind each level; prefix: of the members as
 * the client sees them.
 */
static bool check_members(const ObjectClass *oc, json_t *obj, const char *path,
                          const char *prefix, Error **errp)
{
    const char *key;
    json_t *v;

    json_object_foreach(obj, key, v) {
        g_autofree char *row = g_strconcat(path, key, NULL);
        g_autofree char *name = g_strconcat(prefix, key, NULL);
        bool ok;

        if (!property_find(oc, row) && is_tag(row)) {
            continue;
        }
        if (has_group(oc, row)) {
            g_autofree char *deeper = g_strconcat(row, ".", NULL);
            g_autofree char *inner = g_strconcat(name, ".", NULL);
            g_autofree char *type = g_strconcat(deeper, "type", NULL);

            ok = json_is_object(v) ?
                 check_members(oc, v, deeper, inner, errp) &&
                 (!property_find(oc, type) || qmp_check_address(v, v, inner, errp)) :
                 wrong_type(name, "object", errp);
        } else if (is_child(oc, row)) {
            ok = check_child(v, name, !strcmp(row, "backing"), errp);
        } else {
            ok = qmp_check_prop(oc, row, v, name, errp);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool check_object(const ObjectClass *oc, json_t *obj, const char *prefix, Error **errp)
{
    return check_required(oc->name, obj, prefix, errp) &&
           check_members(oc, obj, "", prefix, errp);
}

bool qmp_check_props(const ObjectClass *oc, json_t *obj, Error **errp)
{
    return !oc || check_object(oc, obj, "", errp);
}
