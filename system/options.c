/*
 * Matching the command line with the option table.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "options.h"

#include <stdio.h>
#include <string.h>

#include "qemu/similar.h"
#include "version.h"

static void stored_clear(void *data)
{
    StoredOption *so = data;

    qemu_opts_free(so->opts);
    g_free(so->where);
    g_free(so->owned);
}

const OptionRow *options_find(const char *name)
{
    for (const OptionRow *row = option_table; row->name; row++) {
        if (!strcmp(row->name, name)) {
            return row;
        }
    }
    return NULL;
}

/* Whether name is one of those in "hda|hdb". */
static bool name_among(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = names; p; p = strchr(p, '|')) {
        p += *p == '|';
        if (!strncmp(p, name, len) && (!p[len] || p[len] == '|')) {
            return true;
        }
    }
    return false;
}

/* The message for an option without a row: those of other machines get a reason. */
static void report_unknown(const char *word, const char *name, Error **errp)
{
    g_autofree char *meant = NULL;
    Similar s;

    for (const RefusedOption *ro = refused_options; ro->names; ro++) {
        if (name_among(ro->names, name)) {
            error_setg(errp, "%s: %s", word, ro->why);
            return;
        }
    }
    similar_init(&s, name);
    for (const OptionRow *row = option_table; row->name; row++) {
        similar_try(&s, row->name);
    }
    meant = similar_text(&s, "-");
    error_setg(errp, "%s: invalid option%s", word, meant);
}

/* "-name" or "--name"; NULL when word is no option at all. */
static const char *option_name(const char *word)
{
    if (word[0] != '-' || !word[1]) {
        return NULL;
    }
    return word + (word[1] == '-' ? 2 : 1);
}

#define HELP_COLUMN 28  /* where the words about an option begin */

static void print_row(const OptionRow *row)
{
    g_autofree char *left = g_strdup_printf("-%s%s%s", row->name, row->arg ? " " : "",
                                            row->arg ? row->arg : "");
    int width = g_utf8_strlen(left, -1);

    if (width < HELP_COLUMN) {
        printf("%s%*s %s\n", left, HELP_COLUMN - width, "", row->help);
    } else {
        printf("%s\n%*s %s\n", left, HELP_COLUMN, "", row->help);
    }
}

/* The option's own list; or for a list of parameters that has none its row. */
static bool print_help(const OptionRow *row, const char *arg, QemuOpts *opts)
{
    if (row->print_help) {
        return row->print_help(arg, opts);
    }
    if (!row->keyval || !row->help || !qemu_opts_has_help(opts)) {
        return false;
    }
    print_row(row);
    return true;
}

/* Parse what can be parsed now and keep it; or print the help it asks for. */
static bool store(VLState *vl, StoredOption so, Error **errp)
{
    const OptionRow *row = so.row;
    const char *arg = so.arg;

    if (row->keyval) {
        loc_set(so.where);
        so.opts = qemu_opts_parse(arg, row->implied_key, errp);
        if (!so.opts) {
            return false;   /* so.where stays: the message names it */
        }
        loc_set(NULL);
        so.opts->where = g_strdup(so.where);
    }
    g_array_append_val(vl->stored, so);
    vl->done = print_help(row, arg, so.opts);
    return true;
}

bool options_store(VLState *vl, const OptionRow *row, char *where, char *arg, Error **errp)
{
    return store(vl, (StoredOption) { .row = row, .arg = arg, .where = where, .owned = arg },
                 errp);
}

/* One option of argv's. */
static bool take(VLState *vl, const OptionRow *row, const char *word, const char *arg,
                 Error **errp)
{
    StoredOption so = { .row = row, .arg = arg };

    if (row->is_file) {
        return options_read_config(vl, arg, errp);
    }
    so.where = arg ? g_strdup_printf("%s %s", word, arg) : g_strdup(word);
    return store(vl, so, errp);
}

bool options_parse(VLState *vl, int argc, char **argv, Error **errp)
{
    vl->stored = g_array_new(FALSE, FALSE, sizeof(StoredOption));
    g_array_set_clear_func(vl->stored, stored_clear);
    for (int i = 1; i < argc && !vl->done; i++) {
        const char *word = argv[i];
        const char *name = option_name(word);
        const OptionRow *row = name ? options_find(name) : NULL;
        const char *arg = NULL;

        if (!name) {
            error_setg(errp, "%s: drives must be given by -drive or -blockdev", word);
            return false;
        }
        if (!row) {
            report_unknown(word, name, errp);
            return false;
        }
        if (row->arg) {
            if (++i == argc) {
                error_setg(errp, "%s: requires an argument", word);
                return false;
            }
            arg = argv[i];
        }
        if (!take(vl, row, word, arg, errp)) {
            return false;
        }
    }
    return true;
}

bool options_run_phase(VLState *vl, OptionPhase phase, Error **errp)
{
    for (guint i = 0; i < vl->stored->len; i++) {
        StoredOption *so = &g_array_index(vl->stored, StoredOption, i);

        if (so->row->phase != phase || !so->row->fn) {
            continue;
        }
        loc_set(so->where);
        if (!so->row->fn(vl, so->arg, so->opts, errp)) {
            return false;
        }
        loc_set(NULL);
    }
    return true;
}

void options_print_version(void)
{
    printf("QEMU emulator version " QEMU_INTERFACE_VERSION " (microvm " MICROVM_VERSION ")\n"
           "An independent implementation of the microvm machine; free software,"
           " GPL-2.0-or-later\n");
}

void options_print_help(void)
{
    options_print_version();
    printf("usage: qemu-system-x86_64 [options]\n\n"
           "Every option may be written with one dash or two. Where an option takes a list,\n"
           "\"help\" as its argument shows the choice: -device help, -device NAME,help.\n");
    for (const OptionRow *row = option_table; row->name; row++) {
        if (row->section) {
            printf("\n%s:\n", row->section);
        }
        if (row->help) {
            print_row(row);
        }
    }
    printf("\nExamples:\n"
           "  A kernel whose console is this terminal; Ctrl-A x ends the machine:\n"
           "    qemu-system-x86_64 -m 512m -kernel vmlinux -initrd initrd \\\n"
           "        -append console=ttyS0 -nographic\n"
           "  The same with a disk, a network card, and port 8080 here leading to 80 there:\n"
           "    qemu-system-x86_64 -m 512m -kernel vmlinux -initrd initrd \\\n"
           "        -append \"console=ttyS0 root=/dev/vda rw\" -nographic \\\n"
           "        -drive file=disk.img,format=raw,if=virtio \\\n"
           "        -nic user,hostfwd=tcp:127.0.0.1:8080-:80\n");
}
