/*
 * A 9P2000.L server: messages in, answers out, whatever carries them.
 *
 * v9fs_serve() is called by several threads at once, one for each message, each with a scratch
 * area of its own (and after fs_thread_enter()). What one message does is done when it returns.
 * Messages are hostile: a wrong one is answered with an error, one that is none breaks the
 * connection.
 *
 * The protocol is that of Linux' include/net/9p/9p.h: names begin with P9_ in its documentation.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_9PFS_9P_H
#define HW_9PFS_9P_H

#include <limits.h>
#include <pthread.h>
#include <sys/uio.h>

#include "fsdev/fsdev.h"

#define V9FS_MSIZE_MAX (1024 * 1024)    /* of a message, at most; and at least: */
#define V9FS_MSIZE_MIN 4096
#define V9FS_HEADER    7                /* size[4] type[1] tag[2] */
#define V9FS_READ_HEADER  (V9FS_HEADER + 4)     /* before an Rread's data */
#define V9FS_WRITE_HEADER (V9FS_HEADER + 16)    /* before a Twrite's */
#define V9FS_MIN_REPLY (V9FS_HEADER + 4)        /* an Rlerror */
#define V9FS_IN_MAX    (16 * 1024)      /* of a message that is no Twrite */
#define V9FS_OUT_MAX   (64 * 1024)      /* of an answer that is no Rread */
#define V9FS_IOV_MAX   1024             /* buffers of a message */
#define V9FS_WALK_MAX  16               /* names of a Twalk */
#define V9FS_XATTR_MAX 65536            /* bytes of an attribute */
#define V9FS_XATTR_ALL (4 * 1024 * 1024)    /* of all that are being read or written */
#define V9FS_LOCKS_MAX 4096

enum {
    P9_RLERROR = 7, P9_TSTATFS = 8, P9_TLOPEN = 12, P9_TLCREATE = 14, P9_TSYMLINK = 16,
    P9_TMKNOD = 18, P9_TRENAME = 20, P9_TREADLINK = 22, P9_TGETATTR = 24, P9_TSETATTR = 26,
    P9_TXATTRWALK = 30, P9_TXATTRCREATE = 32, P9_TREADDIR = 40, P9_TFSYNC = 50, P9_TLOCK = 52,
    P9_TGETLOCK = 54, P9_TLINK = 70, P9_TMKDIR = 72, P9_TRENAMEAT = 74, P9_TUNLINKAT = 76,
    P9_TVERSION = 100, P9_TAUTH = 102, P9_TATTACH = 104, P9_TFLUSH = 108, P9_TWALK = 110,
    P9_TREAD = 116, P9_TWRITE = 118, P9_TCLUNK = 120, P9_TREMOVE = 122,
};

/* What a thread works with. */
typedef struct V9fsScratch {
    uint8_t in[V9FS_IN_MAX];
    uint8_t out[V9FS_OUT_MAX];
    uint8_t names[V9FS_OUT_MAX];        /* of a folder or of attributes, as the host gives them */
    char path[2][PATH_MAX];
    struct iovec iov[V9FS_IOV_MAX];
} V9fsScratch;

/* A message that is being served. */
typedef struct V9fsCall {
    /* By the caller; lists may be consumed. */
    struct iovec *out_sg, *in_sg;       /* the message; room for the answer */
    unsigned out_num, in_num;
    size_t out_len, in_len;
    uint32_t size;                      /* of the message, as checked by v9fs_parse_header() */
    uint8_t type;
    uint16_t tag;
    V9fsScratch *scratch;
    /* The server's. */
    const uint8_t *in, *in_end;         /* what is to be parsed; NULL: it was too short */
    uint32_t out;                       /* bytes of scratch->out in use */
    uint32_t payload;                   /* bytes behind them that are in place already */
} V9fsCall;

typedef struct V9fsState V9fsState;

/* max_fids: files that a guest may know at a time. */
V9fsState *v9fs_new(FsExport *fs, unsigned max_fids);
FsExport *v9fs_export(const V9fsState *s);
/* Nobody serves. */
void v9fs_free(V9fsState *s);
/* Forget all that the guest has open and knows. Nobody serves; any thread. */
void v9fs_reset(V9fsState *s);

/* Fill in size, type and tag. False: it is no message. */
bool v9fs_parse_header(V9fsCall *c);
/* Bytes of the answer, which is in place; 0: the connection is broken. */
uint32_t v9fs_serve(V9fsState *s, V9fsCall *c);
/* Put an answer without a body in place (Rflush): its length. */
uint32_t v9fs_answer_empty(V9fsCall *c);

#endif
