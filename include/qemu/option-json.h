/*
 * The JSON form of options: -device and others on the command line, arguments of commands.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_OPTION_JSON_H
#define QEMU_OPTION_JSON_H

#include <jansson.h>

#include "qemu/option.h"

/*
 * Flatten a JSON object into dotted keys: {"a":{"b":1}} is a.b=1, list elements
 * are a.0, a.1, … (a list of {"str": S}, strings or integers repeats the
 * key, as hostfwd does on the command line); true is "on"; null, where it is a backing file,
 * is "". NULL with errp set for other nulls and reals, which no option has, and for more than
 * 16 levels.
 */
QemuOpts *qemu_opts_from_object(const json_t *object, Error **errp);
/* The same from a text with strings in double or single quotes. */
QemuOpts *qemu_opts_from_json(const char *text, Error **errp);
/* A scalar as the command line says it; NULL for what is none. Caller frees. */
char *qemu_json_text(const json_t *v);

#endif
