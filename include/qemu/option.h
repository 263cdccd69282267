/*
 * Option strings: "key=value,key=value" lists and their JSON form.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_OPTION_H
#define QEMU_OPTION_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#include "qemu/error.h"

typedef struct QemuOpt {
    char *name;
    char *str;
    bool used;          /* consumed: see qemu_opts_first_unused() */
} QemuOpt;

/*
 * An ordered list of keys and values. A key may stand more than once; plain
 * look-ups return the last one. Nested members are written with dots
 * ("file.driver"), as on the command line.
 */
typedef struct QemuOpts {
    GArray *opts;       /* of QemuOpt */
    char *where;        /* "-device foo", for messages; may be NULL */
    const char *asked[16];  /* names looked up in vain: what else could stand there */
    unsigned n_asked;
} QemuOpts;

QemuOpts *qemu_opts_new(void);
void qemu_opts_free(QemuOpts *opts);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(QemuOpts, qemu_opts_free)
QemuOpts *qemu_opts_clone(const QemuOpts *opts);

/*
 * Parse params by QEMU's rules: ',' separates, ",," is a comma in a value,
 * a bare "key" means key=on (and "nowait" wait=off, as users write it), a first
 * bare word is the value of implied_key when that is not NULL. Text that starts
 * with '{' is a JSON object. Trailing commas are accepted. Returns NULL with errp set when
 * the text cannot be parsed.
 */
QemuOpts *qemu_opts_parse(const char *params, const char *implied_key,
                          Error **errp);

/*
 * The value at *p up to a single ',' or the end, with ",," taken for a comma; *p moves past
 * it. Caller frees.
 */
char *qemu_opt_split(const char **p);

/* The last value of name, or NULL; marks it used. Owned by opts; name must outlive it. */
const char *qemu_opt_get(QemuOpts *opts, const char *name);
/* The same with the value's type checked; def when absent. */
bool qemu_opt_get_bool(QemuOpts *opts, const char *name, bool def,
                       Error **errp);
/* Append; name and str are copied. */
void qemu_opt_append(QemuOpts *opts, const char *name, const char *str);
/* Replace every value of name by str. */
void qemu_opt_set(QemuOpts *opts, const char *name, const char *str);
/* Remove every value of name; returns the last one (caller frees) or NULL. */
char *qemu_opt_take(QemuOpts *opts, const char *name);
/* True when opts asks for help ("help" or "?" as a bare key or value). */
bool qemu_opts_has_help(QemuOpts *opts);
/* The first option nobody has looked at, or NULL. */
const QemuOpt *qemu_opts_first_unused(const QemuOpts *opts);
/* False with errp set when there is one: "Invalid parameter 'X'", and which name it is near. */
bool qemu_opts_check_unused(const QemuOpts *opts, Error **errp);
/* Whether a user may call something id: letters, digits, "-._", a letter first; or errp. */
bool qemu_check_id(const char *id, Error **errp);

#endif
