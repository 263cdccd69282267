/*
 * The connection to an NBD server: what sending and receiving share.
 *
 * The link's thread alone, but for what its lock guards.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_NBD_LINK_H
#define BLOCK_NBD_LINK_H

#include "nbd-client.h"

#define NBD_SLOTS 64u           /* calls that are under way */
#define NBD_MAX_IOV 64u

/* What of a reply is there as yet. */
typedef struct NbdReceiver {
    enum { NBD_RX_HEAD, NBD_RX_CHUNK, NBD_RX_FACTS, NBD_RX_DATA } state;
    uint8_t head[20];
    size_t at;                  /* bytes of it */
    size_t want;                /* facts: bytes that it is to have */
    NbdCall *call;              /* whose reply it is */
    uint16_t flags, type;       /* of a chunk */
    uint32_t left;              /* bytes of data that follow, after the head */
    uint64_t to;                /* where they go: from the beginning of the call's piece */
    bool skip;                  /* nowhere */
} NbdReceiver;

struct NbdLink {
    unsigned refs;              /* main thread's */
    NetAddr server;
    SockAddr addrs[SOCK_MAX_ADDRS];
    unsigned n_addrs;           /* the thread's; 0: the name is not resolved */
    char *export_name;
    int64_t open_us, delay_us, reply_us;
    EventNotifier wake;
    GThread *thread;

    GMutex lock;                /* what follows; a leaf */
    GCond cond;
    NbdCall *incoming, **incoming_end;
    bool ending, settled;       /* settled: how the first connection went is known */
    bool resolving;             /* nothing can interrupt that: who gives it up does not wait */
    bool lingers;               /* given up so: its thread frees it */
    EventNotifier *ready;       /* set when it is settled; NULL: nobody waits */
    char *error;                /* of that; NULL: it went well */
    NbdTerms first;             /* terms; later ones must be the same */

    /* The thread's. */
    NbdTerms terms;
    int fd;                     /* -1: not connected */
    GQueue waiting;             /* calls that no piece is under way of */
    bool wanted;                /* calls wait, or have failed, since the last try to connect */
    NbdCall *slots[NBD_SLOTS];
    unsigned under_way;
    uint64_t sent;              /* pieces, for cookies */
    NbdCall *tx;                /* which is being sent */
    uint8_t tx_head[NBD_REQUEST_BYTES];
    size_t tx_at;               /* bytes of it, head included, that are sent */
    NbdReceiver rx;
    int64_t answered;           /* us: when a reply came, or the first call was sent */
    int64_t lost_at;            /* us: when the connection broke, the first time since a reply */
    bool over;                  /* it was told to end */
    bool again;                 /* calls wait that a connection was lost with; no reply since */
};

/* nbd-reply.c: all that has come; false: the server is gone, or makes no sense. */
bool nbd_receive(NbdLink *l);

#endif
