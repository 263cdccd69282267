/*
 * -readconfig: options from a file.
 *
 * A group "[device "id"]" is an option, the lines "key = "value"" after it are its parameters.
 * Groups have the names of options but for a few. Comments begin with "#".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/loader.h"
#include "options.h"

#define CONFIG_MAX (1u << 20)       /* bytes of a file */

/* The option under way. */
typedef struct ConfigGroup {
    VLState *vl;
    const char *filename;
    unsigned line;
    const OptionRow *row;           /* NULL: none yet */
    char *where;
    GString *arg;                   /* "key=value,…", a comma in a value being two */
    bool named;                     /* the error's message says where it is */
} ConfigGroup;

static void append(GString *arg, const char *key, const char *value)
{
    g_string_append_printf(arg, "%s%s=", arg->len ? "," : "", key);
    for (; *value; value++) {
        g_string_append_printf(arg, *value == ',' ? ",%c" : "%c", *value);
    }
}

/* What has been collected is an option now. */
static bool group_end(ConfigGroup *g, Error **errp)
{
    const OptionRow *row = g->row;

    g->row = NULL;
    g->named = row && !options_store(g->vl, row, g_steal_pointer(&g->where),
                                     g_string_free(g_steal_pointer(&g->arg), FALSE), errp);
    return !g->named;
}

static const OptionRow *find_group(const char *name)
{
    static const char *const others[][2] = {
        { "memory", "m" }, { "smp-opts", "smp" }, { "boot-opts", "boot" },
    };
    const OptionRow *row;

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        name = strcmp(name, others[i][0]) ? name : others[i][1];
    }
    row = options_find(name);
    return row && row->keyval ? row : NULL;
}

/* "group" or "group "id"", without the brackets. */
static bool group_begin(ConfigGroup *g, char *text, Error **errp)
{
    char *id = strchr(text, '"'), *end = id ? strchr(id + 1, '"') : NULL;

    if (id && (!end || end[1])) {
        error_setg(errp, "parse error");
        return false;
    }
    if (id) {
        *id++ = *end = '\0';
    }
    g->row = find_group(g_strstrip(text));
    if (!g->row) {
        error_setg(errp, "There is no option group '%s'", text);
        return false;
    }
    g->where = g_strdup_printf("-readconfig %s: line %u: %s", g->filename, g->line, text);
    g->arg = g_string_new(NULL);
    if (id) {
        append(g->arg, "id", id);
    }
    return true;
}

/* "key = "value"". */
static bool add_parameter(ConfigGroup *g, char *text, Error **errp)
{
    char *eq = strchr(text, '='), *value = eq ? g_strstrip(eq + 1) : NULL;
    size_t len = value ? strlen(value) : 0;

    if (len < 2 || value[0] != '"' || strchr(value + 1, '"') != value + len - 1) {
        error_setg(errp, "parse error");
        return false;
    }
    if (!g->row) {
        error_setg(errp, "no group defined");
        return false;
    }
    *eq = value[len - 1] = '\0';
    append(g->arg, g_strstrip(text), value + 1);
    return true;
}

static bool take_line(ConfigGroup *g, char *line, Error **errp)
{
    size_t len;

    g_strstrip(line);
    len = strlen(line);
    if (!len || line[0] == '#') {
        return true;
    }
    if (line[0] != '[') {
        return add_parameter(g, line, errp);
    }
    if (line[len - 1] != ']') {
        error_setg(errp, "parse error");
        return false;
    }
    line[len - 1] = '\0';
    return group_end(g, errp) && group_begin(g, line + 1, errp);
}

static bool read_lines(ConfigGroup *g, char *text, Error **errp)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);

    while (lines[g->line] && !g->vl->done) {
        char *line = lines[g->line++];

        if (!take_line(g, line, errp)) {
            return false;
        }
    }
    return g->vl->done || group_end(g, errp);
}

bool options_read_config(VLState *vl, const char *filename, Error **errp)
{
    ConfigGroup g = { .vl = vl, .filename = filename };
    g_autoptr(GBytes) bytes = load_file_bytes(filename, CONFIG_MAX, errp);
    g_autofree char *text = NULL;
    const char *data;
    size_t size;
    bool ok;

    if (!bytes) {
        error_prepend(errp, "-readconfig %s: ", filename);
        return false;
    }
    data = g_bytes_get_data(bytes, &size);
    text = g_strndup(data, size);
    ok = read_lines(&g, text, errp);
    if (!ok && !g.named) {
        error_prepend(errp, "-readconfig %s: line %u: ", filename, g.line);
    }
    g_free(g.where);
    if (g.arg) {
        g_string_free(g.arg, TRUE);
    }
    return ok;
}
