/*
 * Types of the members that become properties: object-add, netdev_add, chardev-add and
 * blockdev-add take numbers for numbers, where the command line has only text.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp.h"

static bool wrong_type(const char *name, const char *expected, Error **errp)
{
    error_setg(errp, "Invalid parameter type for '%s', expected: %s", name, expected);
    return false;
}

/* name: as the client wrote it, with the members around it. */
static bool check_type(const char *type, json_t *v, const char *name, Error **errp)
{
    if (g_str_has_prefix(type, "uint") || !strcmp(type, "size")) {
        if (!json_is_integer(v)) {
            error_setg(errp, "Parameter '%s' expects uint64", name);
            return false;
        }
        return true;
    }
    if (g_str_has_prefix(type, "int")) {
        return json_is_integer(v) || wrong_type(name, "integer", errp);
    }
    if (!strcmp(type, "bool")) {
        return json_is_boolean(v) || wrong_type(name, "boolean", errp);
    }
    /* QAPI has a boolean for some that are three-valued here. */
    if (!strcmp(type, "OnOffAuto") && json_is_boolean(v)) {
        return true;
    }
    /* Lists and objects are looked at when they become options. */
    return !strcmp(type, "any") || json_is_string(v) || json_is_array(v) ||
           json_is_object(v) || wrong_type(name, "string", errp);
}

bool qmp_check_prop(const ObjectClass *oc, const char *prop, json_t *v, const char *name,
                    Error **errp)
{
    const Property *row = property_find(oc, prop);

    return !row || check_type(row->info->name, v, name, errp);
}

/* prefix: the members around obj, each with a dot; parts of names of rows, too. */
static bool check_members(const ObjectClass *oc, json_t *obj, const char *prefix,
                          Error **errp)
{
    const char *key;
    json_t *v;

    json_object_foreach(obj, key, v) {
        g_autofree char *name = g_strconcat(prefix, key, NULL);
        g_autofree char *inner = g_strconcat(name, ".", NULL);

        if (json_is_object(v) ? !check_members(oc, v, inner, errp) :
            !qmp_check_prop(oc, name, v, name, errp)) {
            return false;
        }
    }
    return true;
}

bool qmp_check_props(const ObjectClass *oc, json_t *obj, Error **errp)
{
    return !oc || check_members(oc, obj, "", errp);
}
