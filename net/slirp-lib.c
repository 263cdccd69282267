/*
 * Loads libslirp. Linked in the usual way, the dynamic loader would spend a
 * tenth of the program's whole start on it, in every VM, used or not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-lib.h"

#include <dlfcn.h>
#include <stddef.h>

#define SLIRP_SONAME "libslirp.so.0"

bool slirp_lib_load(SlirpLib *lib, Error **errp)
{
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
        { "slirp_new", offsetof(SlirpLib, new) },
        { "slirp_cleanup", offsetof(SlirpLib, cleanup) },
        { "slirp_pollfds_fill", offsetof(SlirpLib, pollfds_fill) },
        { "slirp_pollfds_poll", offsetof(SlirpLib, pollfds_poll) },
        { "slirp_input", offsetof(SlirpLib, input) },
        { "slirp_handle_timer", offsetof(SlirpLib, handle_timer) },
        { "slirp_add_hostfwd", offsetof(SlirpLib, add_hostfwd) },
        { "slirp_remove_hostfwd", offsetof(SlirpLib, remove_hostfwd) },
        { "slirp_add_exec", offsetof(SlirpLib, add_exec) },
        { "slirp_add_guestfwd", offsetof(SlirpLib, add_guestfwd) },
        { "slirp_socket_can_recv", offsetof(SlirpLib, socket_can_recv) },
        { "slirp_socket_recv", offsetof(SlirpLib, socket_recv) },
        { "slirp_connection_info", offsetof(SlirpLib, connection_info) },
        { "slirp_version_string", offsetof(SlirpLib, version_string) },
    };
    /* Never closed again: its timers and sockets may outlive a backend. */
    void *handle = dlopen(SLIRP_SONAME, RTLD_NOW | RTLD_LOCAL);

    if (!handle) {
        error_setg(errp, "user networking needs libslirp: %s", dlerror());
        return false;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(symbols); i++) {
        void *fn = dlsym(handle, symbols[i].name);

        if (!fn) {
            error_setg(errp, "libslirp is too old: %s", dlerror());
            return false;
        }
        *(void **)((char *)lib + symbols[i].offset) = fn;
    }
    return true;
}
