/*
 * Models of processors that can be bought.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TARGET_I386_CPU_NAMED_H
#define TARGET_I386_CPU_NAMED_H

#include <glib.h>

/* Texts about a model. */
enum {
    X86_ROW_NAME,               /* with its version: "Haswell-v2" */
    X86_ROW_ALIAS,              /* another name, or empty */
    X86_ROW_VENDOR,             /* "I", "A" or "H" */
    X86_ROW_FAMILY, X86_ROW_MODEL, X86_ROW_STEPPING,
    X86_ROW_TEXT,               /* what it calls itself */
    X86_ROW_PARENT,
    X86_ROW_FEATURES,           /* with blanks between; "-f": not after all */
};

/* The model of that name, all its features together (g_strfreev()); NULL: there is none. */
char **x86_named_model_find(const char *name);
/* The i-th name; caller frees. NULL behind the last. */
char *x86_named_model_name(unsigned i);

#endif
