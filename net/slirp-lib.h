/*
 * libslirp, loaded when a user network is made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_LIB_H
#define NET_SLIRP_LIB_H

#include <slirp/libslirp.h>

#include "qemu/error.h"

/* The functions that we use, with the library's types. */
typedef struct SlirpLib {
    __typeof__(slirp_new) *new;
    __typeof__(slirp_cleanup) *cleanup;
    __typeof__(slirp_pollfds_fill) *pollfds_fill;
    __typeof__(slirp_pollfds_poll) *pollfds_poll;
    __typeof__(slirp_input) *input;
    __typeof__(slirp_handle_timer) *handle_timer;
    __typeof__(slirp_add_hostfwd) *add_hostfwd;
    __typeof__(slirp_remove_hostfwd) *remove_hostfwd;
    __typeof__(slirp_add_exec) *add_exec;
    __typeof__(slirp_add_guestfwd) *add_guestfwd;
    __typeof__(slirp_socket_can_recv) *socket_can_recv;
    __typeof__(slirp_socket_recv) *socket_recv;
    __typeof__(slirp_connection_info) *connection_info;
    __typeof__(slirp_version_string) *version_string;
} SlirpLib;

/* Fill lib in. False with errp set when the library is not there. */
bool slirp_lib_load(SlirpLib *lib, Error **errp);

#endif
