/*
 * A client of the NBD server, for the files that talk to it. All on its thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_NBD_CONN_H
#define BLOCK_NBD_CONN_H

#include "nbd.h"

#define NBD_PIECE (1u << 20)    /* bytes that are moved at once */

typedef struct NbdConn {
    int fd;
    bool no_zeroes, structured, ready;
    NbdExport *exp;
    uint64_t length;
    char *meta_name;            /* of the export that contexts were chosen for; NULL: none */
    bool want_base;
    GPtrArray *want_bitmaps;    /* their names */
    uint8_t *buf;               /* of NBD_PIECE bytes */
} NbdConn;

/* All of len bytes; false: the client is gone, or stalls. */
bool nbd_conn_get(NbdConn *c, void *buf, size_t len);
bool nbd_conn_put(NbdConn *c, const void *buf, size_t len);

/* nbd-negotiate.c: up to the first request; false: it is over. */
bool nbd_negotiate(NbdConn *c);
/* Was the bitmap of that name asked for? */
bool nbd_conn_wants(const NbdConn *c, const char *bitmap);

#endif
