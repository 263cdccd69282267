/*
 * Libraries that are loaded when they are used.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/library.h"

#include <dlfcn.h>

bool library_load(const char *soname, const LibrarySymbol *symbols, size_t n, void *functions,
                  Error **errp)
{
    void *handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);

    if (!handle) {
        error_setg(errp, "%s", dlerror());
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        void *fn = dlsym(handle, symbols[i].name);

        if (!fn) {
            error_setg(errp, "%s", dlerror());
            return false;
        }
        *(void **)((char *)functions + symbols[i].offset) = fn;
    }
    return true;
}
