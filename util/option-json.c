/*
 * The JSON form of option strings, by jansson.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/option-json.h"

char *qemu_json_text(const json_t *v)
{
    return json_is_string(v) ? g_strdup(json_string_value(v)) :
           json_is_boolean(v) ? g_strdup(json_is_true(v) ? "on" : "off") :
           json_is_integer(v) ? g_strdup_printf("%" JSON_INTEGER_FORMAT, json_integer_value(v)) :
           NULL;
}

static bool flatten(QemuOpts *opts, const char *key, const json_t *value,
                    unsigned depth, Error **errp);

static bool flatten_object(QemuOpts *opts, const char *prefix,
                           const json_t *object, unsigned depth, Error **errp)
{
    const char *name;
    json_t *member;

    json_object_foreach((json_t *)object, name, member) {
        g_autofree char *key = prefix ? g_strconcat(prefix, ".", name, NULL)
                                      : g_strdup(name);

        if (!flatten(opts, key, member, depth, errp)) {
            return false;
        }
    }
    return true;
}

static bool flatten_array(QemuOpts *opts, const char *prefix,
                          const json_t *array, unsigned depth, Error **errp)
{
    size_t i;
    json_t *element;

    json_array_foreach(array, i, element) {
        g_autofree char *key = g_strdup_printf("%s.%zu", prefix, i);
        const json_t *str = json_object_get(element, "str");
        const json_t *value = json_is_string(str) ? str : element;
        /* Lists of strings or numbers stand for a repeated key on the command line. */
        bool repeats = json_is_string(value) || json_is_integer(value);

        if (!flatten(opts, repeats ? prefix : key, value, depth, errp)) {
            return false;
        }
    }
    return true;
}

static bool flatten(QemuOpts *opts, const char *key, const json_t *value,
                    unsigned depth, Error **errp)
{
    g_autofree char *text = qemu_json_text(value);

    if (depth > 16) {
        error_setg(errp, "JSON nesting too deep");
        return false;
    }
    if (text) {
        qemu_opt_append(opts, key, text);
        return true;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return flatten_object(opts, key, value, depth + 1, errp);
    case JSON_ARRAY:
        return flatten_array(opts, key, value, depth + 1, errp);
    case JSON_NULL:
        /* No backing file, whatever the image says: not the same as not saying anything. */
        if (g_str_equal(key, "backing") || g_str_has_suffix(key, ".backing")) {
            qemu_opt_append(opts, key, "");
            return true;
        }
        break;
    default:
        break;
    }
    error_setg(errp, "Invalid parameter type for '%s'", key);
    return false;
}

QemuOpts *qemu_opts_from_object(const json_t *object, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_new();

    return flatten_object(opts, NULL, object, 0, errp) ? g_steal_pointer(&opts) : NULL;
}

/* Strings may be in single quotes, which shells make a habit of; double ones in the result. */
static char *double_quotes(const char *text)
{
    GString *s = g_string_new(NULL);
    char quote = '\0';      /* that ends the string at p */

    for (const char *p = text; *p; p++) {
        if (!quote && (*p == '"' || *p == '\'')) {
            quote = *p;
            g_string_append_c(s, '"');
        } else if (quote && *p == quote) {
            quote = '\0';
            g_string_append_c(s, '"');
        } else if (quote && *p == '\\' && p[1]) {
            p++;
            g_string_append_printf(s, "%s%c", *p == '\'' ? "" : "\\", *p);
        } else {
            g_string_append_printf(s, "%s%c", quote && *p == '"' ? "\\" : "", *p);
        }
    }
    return g_string_free(s, FALSE);
}

QemuOpts *qemu_opts_from_json(const char *text, Error **errp)
{
    json_error_t jerr;
    g_autofree char *quoted = double_quotes(text);
    json_t *root = json_loads(quoted, JSON_REJECT_DUPLICATES, &jerr);
    QemuOpts *opts;

    if (!root) {
        error_setg(errp, "JSON parse error, %s", jerr.text);
        return NULL;
    }
    opts = qemu_opts_from_object(root, errp);
    json_decref(root);
    return opts;
}
