/*
 * QMP types: checking what clients send, with QEMU's messages.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qmp-types.h"
#include "qmp.h"

static bool check_members(const char *members, json_t *obj, const char *prefix, Error **errp);

static bool wrong_type(const char *name, const char *expected, Error **errp)
{
    error_setg(errp, "Invalid parameter type for '%s', expected: %s", name, expected);
    return false;
}

/* A few of QEMU's messages have a member's name without those around it. */
static const char *last_name(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? dot + 1 : name;
}

static bool wrong_value(const char *name, const char *value, Error **errp)
{
    error_setg(errp, "Parameter '%s' does not accept value '%s'", last_name(name), value);
    return false;
}

static bool check_unsigned(unsigned bytes, json_t *v, const char *name, Error **errp)
{
    if (!json_is_integer(v)) {
        error_setg(errp, "Parameter '%s' expects uint64", name);
        return false;
    }
    if (bytes < 8 && (uint64_t)json_integer_value(v) >> bytes * 8) {
        error_setg(errp, "Parameter '%s' expects uint%u_t", last_name(name), bytes * 8);
        return false;
    }
    return true;
}

static bool check_enum(const char *type, json_t *v, const char *name, Error **errp)
{
    const char *val = json_string_value(v);
    size_t len, n;

    if (!val) {
        return wrong_type(name, "string", errp);
    }
    len = json_string_length(v);
    for (type++; *type && *type != ')'; type += n + (type[n] == '|')) {
        n = strcspn(type, "|)");
        if (n == len && !memcmp(type, val, n)) {
            return true;
        }
        if (type[n] == ')') {
            break;
        }
    }
    return wrong_value(name, val, errp);
}

/* Whoever makes a network back end has more to say of what there is not. */
static bool check_tag(const char *type, json_t *v, const char *name, Error **errp)
{
    const char *val = json_string_value(v);
    g_autofree char *members = val ? qmp_tag_members(type, val) : NULL;

    if (!val) {
        return wrong_type(name, "string", errp);
    }
    return members || *type == 'N' || wrong_value(name, val, errp);
}

static bool check_array(const char *type, json_t *v, const char *name, Error **errp)
{
    json_t *item;
    size_t i;

    if (!json_is_array(v)) {
        return wrong_type(name, "array", errp);
    }
    json_array_foreach(v, i, item) {
        g_autofree char *elem = g_strdup_printf("%s[%zu]", name, i);

        if (!qmp_check_value(type + 1, item, elem, errp)) {
            return false;
        }
    }
    return true;
}

static bool check_object(const char *members, json_t *v, const char *name, Error **errp)
{
    g_autofree char *prefix = g_strconcat(name, ".", NULL);

    return json_is_object(v) ? check_members(members, v, prefix, errp) :
           wrong_type(name, "object", errp);
}

static bool check_node(json_t *v, const char *name, const char *expected, Error **errp)
{
    return json_is_object(v) ? check_object("driver:B", v, name, errp) :
           wrong_type(last_name(name), expected, errp);
}

bool qmp_check_value(const char *type, json_t *v, const char *name, Error **errp)
{
    switch (*type) {
    case 's':
        return json_is_string(v) || wrong_type(name, "string", errp);
    case 't':
        return json_is_string(v) || json_is_integer(v) || json_is_boolean(v) ||
               wrong_type(name, "string", errp);
    case 'i':
        return json_is_integer(v) || wrong_type(name, "integer", errp);
    case 'u':
        return check_unsigned(8, v, name, errp);
    case '4':
    case '2':
    case '1':
        return check_unsigned(*type - '0', v, name, errp);
    case 'b':
        return json_is_boolean(v) || wrong_type(name, "boolean", errp);
    case 'n':
        return json_is_number(v) || wrong_type(name, "number", errp);
    case '(':
        return check_enum(type, v, name, errp);
    case '<':
    case 'B':
    case 'O':
    case 'N':
        return check_tag(type, v, name, errp);
    case '[':
        return check_array(type, v, name, errp);
    case '{':
        return check_object(type + 1, v, name, errp);
    case 'R':
        return json_is_string(v) || check_node(v, name, "BlockdevRef", errp);
    case 'Q':
        return json_is_string(v) || json_is_null(v) ||
               check_node(v, name, "BlockdevRefOrNull", errp);
    case 'V':
        return json_is_string(v) || json_is_object(v) ||
               wrong_type(last_name(name), "Qcow2OverlapChecks", errp);
    default:
        return true;
    }
}

/* What must be there is, and what is there is right. *more: the members that come with a tag. */
static bool check_present(const char *members, json_t *obj, const char *prefix, char **more,
                          Error **errp)
{
    QmpMember m;

    while (qmp_next_member(&members, &m)) {
        g_autofree char *name = NULL, *full = NULL;
        json_t *v;

        if (m.any) {
            continue;
        }
        name = g_strndup(m.name, m.name_len);
        full = g_strconcat(prefix, name, NULL);
        v = json_object_get(obj, name);
        if (!v && !m.optional) {
            error_setg(errp, "Parameter '%s' is missing", full);
            return false;
        }
        if (v && !qmp_check_value(m.type, v, full, errp)) {
            return false;
        }
        if (v && qmp_is_tag(m.type)) {
            *more = qmp_tag_members(m.type, json_string_value(v));
            /* Of a back end that there is not we know no members. */
            *more = *more ? *more : g_strdup("*");
        }
    }
    return true;
}

static bool check_members(const char *members, json_t *obj, const char *prefix, Error **errp)
{
    g_autofree char *more = NULL, *none = NULL;
    const char *key;
    json_t *v;

    if (!check_present(members, obj, prefix, &more, errp)) {
        return false;
    }
    /* With '*' the command looks at the others itself. */
    if (more && !qmp_has_member(members, "*") && !check_present(more, obj, prefix, &none, errp)) {
        return false;
    }
    json_object_foreach(obj, key, v) {
        if (!qmp_has_member(members, key) && !(more && qmp_has_member(more, key))) {
            error_setg(errp, "Parameter '%s%s' is unexpected", prefix, key);
            return false;
        }
    }
    return true;
}

bool qmp_check_args(const char *members, json_t *args, Error **errp)
{
    return check_members(members, args, "", errp);
}
