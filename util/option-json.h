/*
 * The JSON form of option strings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef UTIL_OPTION_JSON_H
#define UTIL_OPTION_JSON_H

#include "qemu/option.h"

/*
 * Flatten a JSON object into dotted keys: {"a":{"b":1}} is a.b=1, list elements
 * are a.0, a.1, … (a list of {"str": S}, strings or integers repeats the
 * key, as hostfwd does on the command line); true is "on", null is dropped. Strings are in
 * double or single quotes.
 */
QemuOpts *qemu_opts_from_json(const char *text, Error **errp);

#endif
