/*
 * The NBD protocol ("proto.md" of its publishers): numbers, and what the server's files
 * share; the client's have nbd-client.h.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_NBD_H
#define BLOCK_NBD_H

#include "bitmap.h"

#define NBD_MAGIC 0x4e42444d41474943ull
#define NBD_OPTION_MAGIC 0x49484156454f5054ull
#define NBD_OPTION_REPLY_MAGIC 0x0003e889045565a9ull
#define NBD_REQUEST_MAGIC 0x25609513u
#define NBD_SIMPLE_REPLY_MAGIC 0x67446698u
#define NBD_CHUNK_MAGIC 0x668e33efu
#define NBD_REQUEST_BYTES 28
#define NBD_MAX_NAME 4096u
#define NBD_PORT "10809"
#define NBD_MAX_OPTION 65536u   /* bytes of an option's data that we look at */
#define NBD_MAX_PAYLOAD (32u << 20)

enum { NBD_FIXED_NEWSTYLE = 1 << 0, NBD_NO_ZEROES = 1 << 1 };
enum {
    NBD_OPT_EXPORT_NAME = 1, NBD_OPT_ABORT, NBD_OPT_LIST, NBD_OPT_STARTTLS = 5, NBD_OPT_INFO,
    NBD_OPT_GO, NBD_OPT_STRUCTURED_REPLY, NBD_OPT_LIST_META, NBD_OPT_SET_META,
};
#define NBD_REP_ERR 0x80000000u
enum {
    NBD_REP_ACK = 1, NBD_REP_SERVER, NBD_REP_INFO, NBD_REP_META,
    NBD_ERR_UNSUP = 1, NBD_ERR_POLICY, NBD_ERR_INVALID, NBD_ERR_TLS = 5, NBD_ERR_UNKNOWN,
    NBD_ERR_TOO_BIG = 9,
};
enum { NBD_INFO_EXPORT, NBD_INFO_NAME, NBD_INFO_DESCRIPTION, NBD_INFO_BLOCK_SIZE };
/* Of an export. */
enum {
    NBD_HAS_FLAGS = 1 << 0, NBD_READ_ONLY = 1 << 1, NBD_SEND_FLUSH = 1 << 2, NBD_SEND_FUA = 1 << 3,
    NBD_SEND_TRIM = 1 << 5, NBD_SEND_ZEROES = 1 << 6, NBD_SEND_DF = 1 << 7,
    NBD_MULTI_CONN = 1 << 8,
};
enum {
    NBD_CMD_READ, NBD_CMD_WRITE, NBD_CMD_DISC, NBD_CMD_FLUSH, NBD_CMD_TRIM,
    NBD_CMD_ZEROES = 6, NBD_CMD_STATUS,
};
enum { NBD_FUA = 1 << 0, NBD_NO_HOLE = 1 << 1, NBD_REQ_ONE = 1 << 3 };
enum {
    NBD_CHUNK_DONE = 1, NBD_CHUNK_NONE = 0, NBD_CHUNK_DATA = 1, NBD_CHUNK_HOLE = 2,
    NBD_CHUNK_STATUS = 5, NBD_CHUNK_IS_ERROR = 1 << 15, NBD_CHUNK_ERROR = NBD_CHUNK_IS_ERROR | 1,
};
/* Of stretches: base:allocation, qemu:dirty-bitmap. */
enum { NBD_HOLE = 1 << 0, NBD_ZERO = 1 << 1, NBD_DIRTY = 1 << 0 };

/* Errors as the protocol numbers them. */
enum {
    NBD_EPERM = 1, NBD_EIO = 5, NBD_ENOMEM = 12, NBD_EINVAL = 22, NBD_ENOSPC = 28,
    NBD_EOVERFLOW = 75, NBD_ENOTSUP = 95, NBD_ESHUTDOWN = 108,
};

/* Fields, big-endian, one after the other: p moves on. */
static inline void nbd_put16(uint8_t **p, uint16_t v)
{
    *(*p)++ = v >> 8;
    *(*p)++ = v;
}

static inline void nbd_put32(uint8_t **p, uint32_t v)
{
    nbd_put16(p, v >> 16);
    nbd_put16(p, v);
}

static inline void nbd_put64(uint8_t **p, uint64_t v)
{
    nbd_put32(p, v >> 32);
    nbd_put32(p, v);
}

static inline uint64_t nbd_get(const uint8_t **p, unsigned bytes)
{
    uint64_t v = 0;

    while (bytes--) {
        v = v << 8 | *(*p)++;
    }
    return v;
}

/* nbd-server.c: exports, which connections' threads look at -------------------------------- */

typedef struct NbdExport {
    char *id, *name, *description;
    BlockNode *bs;
    bool writable;
    BlockBitmap **bitmaps;      /* NULL-terminated */
    BlockNode **owners;         /* theirs, which stay as long as this does */
    unsigned users;             /* connections; under the server's lock */
    bool closing;               /* the same */
} NbdExport;

/* The export of that name, with one more user; NULL: there is none. */
NbdExport *nbd_export_get(const char *name);
void nbd_export_put(NbdExport *exp);
/* The calling thread's connection is for this one from now on; false: it ends just now. */
bool nbd_export_use(NbdExport *exp);
/* The names of all; free with g_strfreev(). */
char **nbd_export_names(void);

/* nbd-conn.c ---------------------------------------------------------------------------------- */

/* A client is at the other end of fd: everything, up to its end. On a thread of its own. */
void nbd_serve(int fd);

#endif
