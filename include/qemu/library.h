/*
 * Libraries that are loaded when they are used. Linked in the usual way, each would cost
 * every VM's start: the dynamic loader would spend a tenth of it on one, used or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_LIBRARY_H
#define QEMU_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "qemu/error.h"

/* A function, and where its pointer goes in the caller's structure. */
typedef struct LibrarySymbol {
    const char *name;
    size_t offset;
} LibrarySymbol;

/*
 * Load the library of that soname and fill in n pointers of *functions. It is never
 * closed again: its timers and threads may outlive what used it. False with errp set:
 * it is not there, or lacks one of them.
 */
bool library_load(const char *soname, const LibrarySymbol *symbols, size_t n, void *functions,
                  Error **errp);

#endif
