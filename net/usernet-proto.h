/*
 * What the process of user networks and the machine's process tell each other.
 *
 * Over a SOCK_SEQPACKET pair the machine asks and waits for the answer; both are the same program.
 * Frames of each network go through memory that the two share. What comes from the process of
 * user networks is checked: a guest may have taken it over.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_USERNET_PROTO_H
#define NET_USERNET_PROTO_H

#include "frame-ring.h"

/* The first argument of the program when it is to be the process, whose socket is this. */
#define USERNET_ARGV0 "usernet"
#define USERNET_SOCKET 3

#define USERNET_TEXT_MAX (60u * 1024)

typedef enum UserNetOp {
    /* Text: id, then names and values of properties. Descriptors: see below. */
    USERNET_ADD,
    USERNET_DEL,
    USERNET_HOSTFWD_ADD,        /* text: the rule */
    USERNET_HOSTFWD_REMOVE,     /* text: its host's side */
    USERNET_CONNECTIONS,        /* answer: the text of "info usernet" */
    /* Text: flags, user and group as numbers, user's name, root folder; folders of path=. */
    USERNET_CONFINE,
} UserNetOp;

/* With USERNET_ADD, in this order; then a socket for each guestfwd= that leads to a chardev. */
enum { USERNET_FD_MEMORY, USERNET_FD_WAKE, USERNET_FDS };
#define USERNET_MAX_FDS 64      /* of recv_with_fds() */

/* A request; text is a row of strings, each with its terminating zero. */
typedef struct UserNetRequest {
    uint32_t op;
    uint32_t net;           /* number that the machine gave it */
    char text[USERNET_TEXT_MAX];
} UserNetRequest;

typedef enum UserNetStatus {
    USERNET_OK,
    USERNET_ERROR,          /* text is the message */
    USERNET_MORE,           /* as much text as there can be; the answer goes on */
} UserNetStatus;

typedef struct UserNetAnswer {
    uint32_t status;
    char text[USERNET_TEXT_MAX];    /* as long as the packet is; no terminating zero */
} UserNetAnswer;

/* USERNET_CONFINE */
enum {
    USERNET_UNCONFINED = 1,     /* -sandbox off */
    USERNET_STRICT = 2,
    USERNET_PROGRAMS = 4,       /* may be started */
    USERNET_DUMPABLE = 8,
    USERNET_DAEMON = 16,        /* nobody reads standard error */
    USERNET_USER = 32,          /* user and group are given */
};

/* Types of records in the rings. */
enum { USERNET_FRAME, USERNET_LOG };
#define USERNET_LOG_MAX 512

/*
 * The shared memory of one network: this, on a page, then the two rings' data. A word is written by
 * one side only.
 */
typedef struct UserNetShared {
    FrameRingShared from_guest, to_guest;
    /* By the machine: how often the card was reset, and where in from_guest the last time. */
    _Alignas(64) _Atomic uint32_t resets;
    _Atomic uint32_t reset_pos;
    _Atomic uint32_t stopped;       /* the machine's clock stands */
    /* By the stack: the same when it has begun anew, and where in to_guest. */
    _Alignas(64) _Atomic uint32_t resets_done;
    _Atomic uint32_t done_pos;
} UserNetShared;

#define USERNET_HEADER 4096u
#define USERNET_FROM_GUEST (256u << 10)
#define USERNET_TO_GUEST (1u << 20)     /* some TCP windows; beyond that frames are lost */
#define USERNET_MEMORY (USERNET_HEADER + USERNET_FROM_GUEST + USERNET_TO_GUEST)

#endif
