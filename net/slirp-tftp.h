/*
 * TFTP of a user network: which files a guest may read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_TFTP_H
#define NET_SLIRP_TFTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As many transfers as libslirp has at once; one more takes the place of the first. */
#define SLIRP_TFTP_SLOTS 20
/* What libslirp is told to serve: it opens names below, that we gave to it. */
#define SLIRP_TFTP_PATH "/proc/self/fd"

typedef struct SlirpTFTP {
    int dir;                        /* -1: there is none */
    int slot[SLIRP_TFTP_SLOTS];     /* always ours: files that the guest may read, or nothing */
    unsigned next;
} SlirpTFTP;

/* Without a path, or a folder there, nothing is served. */
void slirp_tftp_init(SlirpTFTP *t, const char *path);
void slirp_tftp_cleanup(SlirpTFTP *t);
/*
 * Put the number of a slot, with the file open in it, in the place of the name in a request of
 * len bytes (size: of the buffer) that libslirp takes for itself; everything else is left
 * alone. The new length, or 0: to be dropped.
 */
size_t slirp_tftp_filter(SlirpTFTP *t, uint8_t *frame, size_t len, size_t size);

#endif
