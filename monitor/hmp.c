/*
 * HMP: the monitor for people. Parsing of lines, help and completion.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "qemu/cutils.h"
#include "qemu/trace.h"
#include "version.h"

/* The arguments' values ------------------------------------------------- */

const char *hmp_str(json_t *args, const char *name)
{
    return json_string_value(json_object_get(args, name));
}

int64_t hmp_int(json_t *args, const char *name, int64_t def)
{
    json_t *v = json_object_get(args, name);

    return v ? json_integer_value(v) : def;
}

bool hmp_bool(json_t *args, const char *name)
{
    return json_is_true(json_object_get(args, name));
}

bool hmp_error(Monitor *mon, Error *err)
{
    if (!err) {
        return false;
    }
    monitor_printf(mon, "Error: %s\n", error_get_pretty(err));
    error_free(err);
    return true;
}

json_t *hmp_qmp(Monitor *mon, const char *name, json_t *args)
{
    Error *err = NULL;
    json_t *ret = qmp_call(mon, name, args, &err);

    hmp_error(mon, err);
    return ret;
}

/* Parsing ------------------------------------------------------------------ */

static void skip_spaces(const char **p)
{
    while (g_ascii_isspace(**p)) {
        (*p)++;
    }
}

/* Whether word (of len bytes) is one of the names in "quit|q". */
static bool name_matches(const char *names, const char *word, size_t len)
{
    const char *end;

    for (;; names = end + 1) {
        end = names + strcspn(names, "|");
        if ((size_t)(end - names) == len && !memcmp(names, word, len)) {
            return true;
        }
        if (!*end) {
            return false;
        }
    }
}

/* Move *p over a command's name. */
static size_t command_word(const char **p)
{
    const char *start;

    skip_spaces(p);
    start = *p;
    while (**p && **p != '/' && !g_ascii_isspace(**p)) {
        (*p)++;
    }
    return *p - start;
}

static const HmpCommand *find_command(const HmpCommand *table, const char *word,
                                      size_t len)
{
    for (; table->name; table++) {
        if (len && name_matches(table->name, word, len)) {
            return table;
        }
    }
    return NULL;
}

/* A word, or text in double quotes with C-like escapes. */
static char *parse_string(const char **p, Error **errp)
{
    g_autoptr(GString) s = g_string_new(NULL);
    static const char from[] = "nrt\\'\"", to[] = "\n\r\t\\'\"";

    if (**p != '"') {
        while (**p && !g_ascii_isspace(**p)) {
            g_string_append_c(s, *(*p)++);
        }
        return g_string_free(g_steal_pointer(&s), FALSE);
    }
    for ((*p)++; **p && **p != '"'; (*p)++) {
        if (**p == '\\') {
            const char *c = *++(*p) ? strchr(from, **p) : NULL;

            if (!c) {
                error_setg(errp, "unsupported escape code: '\\%c'", **p);
                return NULL;
            }
            g_string_append_c(s, to[c - from]);
        } else {
            g_string_append_c(s, **p);
        }
    }
    if (**p != '"') {
        error_setg(errp, "unterminated string");
        return NULL;
    }
    (*p)++;
    return g_string_free(g_steal_pointer(&s), FALSE);
}

static bool set_text(json_t *args, const char *name, const char *text, Error **errp)
{
    json_t *v = json_string(text);

    if (!v) {
        error_setg(errp, "%s: not valid UTF-8", name);
        return false;
    }
    json_object_set_new(args, name, v);
    return true;
}

static bool parse_bool(const char *cmd, const char *name, const char *text,
                       json_t *args, Error **errp)
{
    if (strcmp(text, "on") && strcmp(text, "off")) {
        error_setg(errp, "%s: expected 'on' or 'off'", cmd);
        return false;
    }
    json_object_set_new(args, name, json_boolean(!strcmp(text, "on")));
    return true;
}

static bool parse_int(Monitor *mon, const char *name, char type, const char **p,
                      json_t *args, Error **errp)
{
    int64_t val;

    if (!hmp_expr(mon, p, &val, errp)) {
        return false;
    }
    if (type == 'i' && (val < INT32_MIN || val > UINT32_MAX)) {
        error_setg(errp, "'%s' has failed: integer is for 32-bit values", name);
        return false;
    }
    json_object_set_new(args, name, json_integer(val));
    return true;
}

static bool parse_size(const char *name, const char *text, json_t *args, Error **errp)
{
    uint64_t size;

    if (qemu_strtosz(text, 'M', &size) || size > INT64_MAX) {
        error_setg(errp, "invalid %s", name);
        return false;
    }
    json_object_set_new(args, name, json_integer(size));
    return true;
}

static const char *expected_text(char type)
{
    return type == 'F' ? "filename" : type == 'B' ? "block device name" : "string";
}

/* One argument of type type at *p. */
static bool parse_arg(Monitor *mon, const char *cmd, const char *spec, const char **p,
                      json_t *args, Error **errp)
{
    const char *type = strchr(spec, ':') + 1;
    g_autofree char *name = g_strndup(spec, type - 1 - spec);
    bool optional = type[1] == '?';
    g_autofree char *text = NULL;

    skip_spaces(p);
    if (type[0] == '-') {
        if ((*p)[0] == '-' && (*p)[1] == type[1] &&
            (!(*p)[2] || g_ascii_isspace((*p)[2]))) {
            *p += 2;
            json_object_set_new(args, name, json_true());
        }
        return true;
    }
    if (type[0] == '/') {
        return hmp_format(p, args, errp);
    }
    if (!**p && optional) {
        return true;
    }
    if (type[0] == 'i' || type[0] == 'l') {
        return parse_int(mon, name, type[0], p, args, errp);
    }
    if (type[0] == 'S') {
        text = g_strdup(*p);
        *p += strlen(*p);
    } else {
        text = parse_string(p, errp);
    }
    if (!text) {
        return false;
    }
    if (type[0] == 'o') {
        return parse_size(name, text, args, errp);
    }
    if (!*text) {
        error_setg(errp, "%s: %s expected", cmd, expected_text(type[0]));
        return false;
    }
    return type[0] == 'b' ? parse_bool(cmd, name, text, args, errp) :
        set_text(args, name, text, errp);
}

static json_t *parse_args(Monitor *mon, const HmpCommand *cmd, const char *p,
                          Error **errp)
{
    json_t *args = json_object();
    g_auto(GStrv) specs = g_strsplit(cmd->args, ",", -1);

    for (char **spec = specs; *spec; spec++) {
        if (!parse_arg(mon, cmd->name, *spec, &p, args, errp)) {
            json_decref(args);
            return NULL;
        }
    }
    skip_spaces(&p);
    if (*p) {
        error_setg(errp, "%s: extraneous characters at the end of line", cmd->name);
        json_decref(args);
        return NULL;
    }
    return args;
}

void hmp_execute(Monitor *mon, const char *line)
{
    const HmpCommand *cmd;
    const char *p = line, *sub = "", *word;
    Error *err = NULL;
    json_t *args;
    size_t len = command_word(&p);

    word = p - len;
    if (!len && !*p) {
        return;
    }
    trace(handle_hmp_command, "%.80s", line);
    cmd = find_command(hmp_commands, word, len);
    if (cmd && !strcmp(cmd->name, "info")) {
        len = command_word(&p);
        sub = "info ";
        word = p - len;
        if (len) {
            cmd = find_command(hmp_info_commands, word, len);
        }
    }
    if (!cmd) {
        monitor_printf(mon, "unknown command: '%s%.*s'\n", sub, (int)MIN(len, 256u), word);
        return;
    }
    args = parse_args(mon, cmd, p, &err);
    if (!args) {
        monitor_printf(mon, "%s\nTry \"help %s%.*s\" for more information\n",
                       error_get_pretty(err), sub, (int)len, word);
        error_free(err);
        return;
    }
    if (cmd->fn) {
        cmd->fn(mon, args);
    } else {
        json_decref(hmp_qmp(mon, cmd->qmp, args));
    }
    json_decref(args);
}

/* Help --------------------------------------------------------------------- */

static void help_line(Monitor *mon, const char *prefix, const HmpCommand *cmd)
{
    monitor_printf(mon, "%s%s %s -- %s\n", prefix, cmd->name, cmd->params, cmd->help);
}

void hmp_info_help(Monitor *mon, json_t *args)
{
    for (const HmpCommand *c = hmp_info_commands; c->name; c++) {
        help_line(mon, "info ", c);
    }
}

void hmp_help(Monitor *mon, json_t *args)
{
    const char *p = hmp_str(args, "name");
    const HmpCommand *cmd, *info = NULL;
    const char *word;
    size_t len;

    if (!p) {
        for (const HmpCommand *c = hmp_commands; c->name; c++) {
            help_line(mon, "", c);
        }
        return;
    }
    len = command_word(&p);
    word = p - len;
    cmd = find_command(hmp_commands, word, len);
    if (cmd && !strcmp(cmd->name, "info")) {
        len = command_word(&p);
        if (!len) {
            hmp_info_help(mon, args);
            return;
        }
        word = p - len;
        info = find_command(hmp_info_commands, word, len);
        cmd = info;
    }
    if (cmd) {
        help_line(mon, info ? "info " : "", cmd);
    } else {
        monitor_printf(mon, "unknown command: '%s'\n", hmp_str(args, "name"));
    }
}

/* Sessions ------------------------------------------------------------------- */

static void hmp_line_done(Monitor *mon, const char *line)
{
    hmp_execute(mon, line);
}

void hmp_session_start(Monitor *mon)
{
    hmp_session_free(mon);
    mon->line = hmp_line_new(mon, "(qemu) ", hmp_line_done, hmp_complete);
    monitor_puts(mon, "QEMU " QEMU_INTERFACE_VERSION
                 " monitor - type 'help' for more information\n");
    hmp_line_show(mon->line);
}

void hmp_session_resume(Monitor *mon)
{
    if (!monitor_out_len(mon) && !mon->job) {
        hmp_line_show(mon->line);
    }
}

void hmp_session_run(Monitor *mon)
{
    guint done = 0;

    while (done < mon->in->len && mon->line && !mon->job && !chr_txq_full(&mon->tx)) {
        hmp_line_input(mon->line, mon->in->data[done++]);
    }
    /* Without a session nobody listens. */
    g_byte_array_remove_range(mon->in, 0, mon->line ? done : mon->in->len);
}

void hmp_session_free(Monitor *mon)
{
    g_clear_pointer(&mon->line, hmp_line_free);
}
