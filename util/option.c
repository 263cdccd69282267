/*
 * "key=value,key=value" lists.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/option.h"

#include <string.h>

#include "qemu/cutils.h"
#include "qemu/option-json.h"
#include "qemu/similar.h"

static void opt_clear(void *data)
{
    QemuOpt *opt = data;

    g_free(opt->name);
    g_free(opt->str);
}

QemuOpts *qemu_opts_new(void)
{
    QemuOpts *opts = g_new0(QemuOpts, 1);

    opts->opts = g_array_new(FALSE, TRUE, sizeof(QemuOpt));
    g_array_set_clear_func(opts->opts, opt_clear);
    return opts;
}

void qemu_opts_free(QemuOpts *opts)
{
    if (opts) {
        g_array_unref(opts->opts);
        g_free(opts->where);
        g_free(opts);
    }
}

static QemuOpt *opt_at(const QemuOpts *opts, guint i)
{
    return &g_array_index(opts->opts, QemuOpt, i);
}

QemuOpts *qemu_opts_clone(const QemuOpts *opts)
{
    QemuOpts *copy = qemu_opts_new();

    for (guint i = 0; i < opts->opts->len; i++) {
        qemu_opt_append(copy, opt_at(opts, i)->name, opt_at(opts, i)->str);
    }
    copy->where = g_strdup(opts->where);
    return copy;
}

void qemu_opt_append(QemuOpts *opts, const char *name, const char *str)
{
    QemuOpt opt = { .name = g_strdup(name), .str = g_strdup(str) };

    g_array_append_val(opts->opts, opt);
}

char *qemu_opt_split(const char **p)
{
    GString *s = g_string_new(NULL);
    const char *q = *p;

    while (*q) {
        if (*q == ',') {
            if (q[1] != ',') {
                break;
            }
            q++;
        }
        g_string_append_c(s, *q++);
    }
    *p = *q ? q + 1 : q;
    return g_string_free(s, FALSE);
}

/* A bare "nowait" means "wait=off"; any other bare key is on. */
static void append_bare(QemuOpts *opts, const char *key)
{
    if (!strcmp(key, "nowait")) {
        qemu_opt_append(opts, "wait", "off");
    } else {
        qemu_opt_append(opts, key, "on");
    }
}

QemuOpts *qemu_opts_parse(const char *params, const char *implied_key,
                          Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    const char *p = params;
    bool first = true;

    if (*p == '{') {
        return qemu_opts_from_json(params, errp);
    }
    while (*p) {
        size_t len = strcspn(p, "=,");

        if (p[len] == '=') {
            g_autofree char *key = g_strndup(p, len);
            g_autofree char *value = NULL;

            if (!len) {
                error_setg(errp, "Invalid parameter '%s'", p);
                return NULL;
            }
            p += len + 1;
            value = qemu_opt_split(&p);
            qemu_opt_append(opts, key, value);
        } else {
            g_autofree char *word = qemu_opt_split(&p);

            if (first && implied_key) {
                qemu_opt_append(opts, implied_key, word);
            } else if (*word) {
                append_bare(opts, word);
            }
        }
        first = false;
    }
    return g_steal_pointer(&opts);
}

static QemuOpt *opt_find(const QemuOpts *opts, const char *name)
{
    for (guint i = opts->opts->len; i-- > 0;) {
        if (!strcmp(opt_at(opts, i)->name, name)) {
            return opt_at(opts, i);
        }
    }
    return NULL;
}

const char *qemu_opt_get(QemuOpts *opts, const char *name)
{
    QemuOpt *last = opt_find(opts, name);

    for (guint i = 0; last && i < opts->opts->len; i++) {
        if (!strcmp(opt_at(opts, i)->name, name)) {
            opt_at(opts, i)->used = true;
        }
    }
    if (!last && opts->n_asked < G_N_ELEMENTS(opts->asked)) {
        opts->asked[opts->n_asked++] = name;
    }
    return last ? last->str : NULL;
}

bool qemu_opt_get_bool(QemuOpts *opts, const char *name, bool def,
                       Error **errp)
{
    const char *str = qemu_opt_get(opts, name);
    bool value = def;

    if (str && !qemu_parse_bool(str, &value)) {
        error_setg(errp, "Parameter '%s' expects 'on' or 'off'", name);
    }
    return value;
}

void qemu_opt_set(QemuOpts *opts, const char *name, const char *str)
{
    g_free(qemu_opt_take(opts, name));
    qemu_opt_append(opts, name, str);
}

char *qemu_opt_take(QemuOpts *opts, const char *name)
{
    char *value = NULL;

    for (guint i = opts->opts->len; i-- > 0;) {
        if (strcmp(opt_at(opts, i)->name, name)) {
            continue;
        }
        if (!value) {
            value = g_steal_pointer(&opt_at(opts, i)->str);
        }
        g_array_remove_index(opts->opts, i);
    }
    return value;
}

static bool is_help_word(const char *s)
{
    return !strcmp(s, "help") || !strcmp(s, "?");
}

bool qemu_opts_has_help(QemuOpts *opts)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = opt_at(opts, i);

        /* "help" as the implied value of the first key, or as a bare key. */
        if ((is_help_word(opt->name) && !strcmp(opt->str, "on")) ||
            (i == 0 && is_help_word(opt->str))) {
            return true;
        }
    }
    return false;
}

const QemuOpt *qemu_opts_first_unused(const QemuOpts *opts)
{
    for (guint i = 0; i < opts->opts->len; i++) {
        if (!opt_at(opts, i)->used) {
            return opt_at(opts, i);
        }
    }
    return NULL;
}

bool qemu_opts_check_unused(const QemuOpts *opts, Error **errp)
{
    const QemuOpt *opt = qemu_opts_first_unused(opts);

    if (opt) {
        g_autofree char *meant = NULL;
        Similar s;

        similar_init(&s, opt->name);
        for (unsigned i = 0; i < opts->n_asked; i++) {
            similar_try(&s, opts->asked[i]);
        }
        meant = similar_text(&s, "");
        error_setg(errp, "Invalid parameter '%s'%s", opt->name, meant);
    }
    return !opt;
}

bool qemu_check_id(const char *id, Error **errp)
{
    const char *p = id;

    while (g_ascii_isalnum(*p) || (*p && strchr("-._", *p))) {
        p++;
    }
    if (g_ascii_isalpha(*id) && !*p) {
        return true;
    }
    error_setg(errp, "Parameter 'id' expects an identifier");
    error_append_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_',"
                            " starting with a letter.\n");
    return false;
}
