/*
 * The client's side of NBD: what its files share.
 *
 * A link is a thread that has the connection: it makes it, anew where it breaks, sends what
 * calls ask for and tells them how that went.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_NBD_CLIENT_H
#define BLOCK_NBD_CLIENT_H

#include "block-internal.h"
#include "nbd.h"
#include "net/socket-addr.h"

typedef struct NbdLink NbdLink;
typedef struct NbdCall NbdCall;

/* What an export is. */
typedef struct NbdTerms {
    uint64_t size;              /* bytes */
    uint16_t flags;             /* NBD_READ_ONLY, … */
    uint32_t min_block, max_block;  /* bytes of a request */
    bool structured;            /* replies to reads come in chunks */
    bool has_base;              /* it tells what reads as zeroes, under this number */
    uint32_t base_id;
} NbdTerms;

typedef struct NbdLinkOptions {
    const NetAddr *server;
    const char *export_name;
    unsigned open_timeout, reconnect_delay, reply_timeout;  /* seconds */
} NbdLinkOptions;

/*
 * A request for the server. The link's from nbd_link_submit() to done(), which is called on the
 * link's thread.
 */
struct NbdCall {
    BlockRequest *req;          /* at req->pos, as node_op and node_flags say */
    bool status;                /* not that: what its bytes are, as known, zero and extent tell */
    void (*done)(NbdCall *call, int ret);
    /* The link's. */
    NbdCall *next;
    uint64_t at;                /* bytes done */
    uint32_t piece;             /* bytes that are under way */
    uint16_t cmd;               /* of the piece */
    bool flushing;              /* a flush in place of FUA */
    uint64_t cookie;
    uint32_t error;             /* NBD's number */
    unsigned errors;            /* chunks that told of one */
    uint32_t got;               /* bytes of the piece that came */
    uint64_t front;             /* the piece is there up to here, unless it is scattered */
    bool scattered;
    bool known, zero;           /* status: the server said of extent bytes whether they are zero */
    uint32_t extent;
};

/*
 * Main thread. A link that begins to connect; NULL with errp set. ready (NULL: nobody's) is set
 * when nbd_link_wait() would not wait any more, unless the link is given up before.
 */
NbdLink *nbd_link_new(const NbdLinkOptions *options, EventNotifier *ready, Error **errp);
bool nbd_link_is_settled(NbdLink *link);
/* It is connected; or false with errp set, after no longer than connecting may take. */
bool nbd_link_wait(NbdLink *link, NbdTerms *terms, Error **errp);
/* One user more, and one less: without any it ends. NULL is harmless. */
NbdLink *nbd_link_ref(NbdLink *link);
void nbd_link_unref(NbdLink *link);
/* Calls in a list by next. Any thread. Each ends, whatever the server does. */
void nbd_link_submit(NbdLink *link, NbdCall *calls);

/* nbd-call.c, for nbd-link.c ------------------------------------------------------------------- */

/* What writes of zeroes send where the server has no command for them. */
#define NBD_ZEROES (64u * 1024)
extern const uint8_t nbd_zeroes[NBD_ZEROES];
/* What the call asks for next: cmd and piece; false: nothing more. */
bool nbd_call_next(NbdCall *call, const NbdTerms *terms);
/* Of its command. */
uint16_t nbd_call_flags(const NbdCall *call, const NbdTerms *terms);
/* All is done but what the export has no place for: the call ends. */
void nbd_call_finish(NbdCall *call);

/* nbd-hello.c, for nbd-link.c: on the link's thread ------------------------------------------ */

typedef struct NbdStream {
    int fd;
    int64_t deadline;           /* us: of all that is waited for */
    NbdLink *link;
} NbdStream;

/* Until fd is ready for events (poll()); false: it is too late, or the link ends. */
bool nbd_stream_wait(NbdStream *s, short events);
/* From the greeting to the terms. False with errp set. */
bool nbd_hello(NbdStream *s, const char *export_name, NbdTerms *terms, Error **errp);

/* nbd-name.c: what a name means ("nbd:unix:PATH", "nbd://HOST/EXPORT", …) as options. */
bool nbd_parse_filename(const char *name, QemuOpts *opts, Error **errp);

#endif
