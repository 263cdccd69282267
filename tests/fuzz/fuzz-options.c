/*
 * Fuzz target: arguments of options, as key=value lists and as JSON. What is accepted is a list
 * whose parts are text, and quoted by the rules it is read the same again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "qemu/option.h"

static void append_quoted(GString *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        g_string_append(out, *p == ',' ? ",," : (char []){ *p, 0 });
    }
}

static void check_again(const QemuOpts *opts)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(QemuOpts) again = NULL;

    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *opt = &g_array_index(opts->opts, QemuOpt, i);

        if (!*opt->name || strpbrk(opt->name, "=,") || *opt->name == '{') {
            return;     /* JSON has keys that cannot be written otherwise */
        }
        g_string_append_printf(text, "%s%s=", i ? "," : "", opt->name);
        append_quoted(text, opt->str);
    }
    again = qemu_opts_parse(text->str, NULL, NULL);
    if (!again || again->opts->len != opts->opts->len) {
        abort();
    }
    for (guint i = 0; i < opts->opts->len; i++) {
        const QemuOpt *a = &g_array_index(opts->opts, QemuOpt, i);
        const QemuOpt *b = &g_array_index(again->opts, QemuOpt, i);

        if (strcmp(a->name, b->name) || strcmp(a->str, b->str)) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *text = g_strndup((const char *)data, size);
    Error *err = NULL;

    for (unsigned i = 0; i < 2; i++) {
        g_autoptr(QemuOpts) opts = qemu_opts_parse(text, i ? "driver" : NULL, &err);

        if (!opts == !err) {
            abort();
        }
        if (opts) {
            qemu_opts_has_help(opts);
            check_again(opts);
        }
        g_clear_pointer(&err, error_free);
    }
    return 0;
}
