/*
 * Loads libslirp.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-lib.h"

#include "qemu/library.h"

#define SLIRP_SONAME "libslirp.so.0"

bool slirp_lib_load(SlirpLib *lib, Error **errp)
{
    static const LibrarySymbol symbols[] = {
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
    if (!library_load(SLIRP_SONAME, symbols, G_N_ELEMENTS(symbols), lib, errp)) {
        error_prepend(errp, "user networking needs libslirp: ");
        return false;
    }
    return true;
}
