/*
 * What a guest, and peers outside, may make libslirp open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_LIMIT_H
#define NET_SLIRP_LIMIT_H

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A guest's sockets in libslirp; those that listen for hostfwd= are not among them. */
typedef struct SlirpLimit {
    unsigned max;           /* at most so many */
    GHashTable *fds;        /* descriptor -> GBytes: UDP source it is for, or NULL */
    GHashTable *sources;    /* set of the UDP sources that have a socket */
    unsigned streams;       /* at most so many without a descriptor: to guestfwd= */
    int64_t recount_ms;     /* not before this time */
    bool by_guest;          /* one was opened for a frame of the guest */
    /* While libslirp looks at a frame that may open a socket. */
    bool opening, opened, stream;
    GBytes *source;
} SlirpLimit;

void slirp_limit_init(SlirpLimit *l, unsigned max);
void slirp_limit_cleanup(SlirpLimit *l);
bool slirp_limit_reached(const SlirpLimit *l);

/*
 * May libslirp see this frame, which passed the filter? If so, slirp_limit_done() is to be
 * called after it did. Whatever cannot open a socket may pass always.
 */
bool slirp_limit_begin(SlirpLimit *l, const uint8_t *frame, size_t len);
void slirp_limit_done(SlirpLimit *l);

/* libslirp has opened, or is about to close, a descriptor; -1: a stream that has none. */
void slirp_limit_opened(SlirpLimit *l, int fd);
void slirp_limit_closed(SlirpLimit *l, int fd);

/*
 * Streams without a descriptor are counted when they may have begun, and some did not. Is it
 * time to count those that libslirp's text shows (slirp_connection_info())?
 */
bool slirp_limit_wants_recount(SlirpLimit *l, int64_t now_ms);
void slirp_limit_recount(SlirpLimit *l, const char *text);

#endif
