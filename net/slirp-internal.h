/*
 * The stack of a user network: what its files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_INTERNAL_H
#define NET_SLIRP_INTERNAL_H

#include <glib.h>

#include "ip-fragment.h"
#include "ip-reassembly.h"
#include "slirp-lib.h"
#include "slirp-limit.h"
#include "slirp-options.h"
#include "slirp-tftp.h"
#include "usernet-proto.h"

/* A descriptor that libslirp wants to have polled; an array's index is its number. */
typedef struct SlirpPoll {
    GIOCondition cond;
    gpointer tag;           /* of g_source_add_unix_fd(); NULL: not polled */
    unsigned round;         /* the last one in which it was wanted */
    bool listens;
} SlirpPoll;

/* A port of the host that leads into the guest. */
typedef struct HostForward {
    bool udp;
    struct in_addr addr, guest;
    int port, guest_port;
} HostForward;

/* libslirp as a source of the main loop. */
typedef struct SlirpSource {
    GSource source;
    struct SlirpStack *s;
} SlirpSource;

typedef struct SlirpStack {
    SlirpOptions o;
    UserNetShared *shared;
    FrameRing from_guest, to_guest;
    int wake_fd;            /* a socket: a byte wakes the other side */
    gpointer wake_tag;
    uint32_t resets;        /* of the card that we know of */
    bool wake;              /* the card's side, before we sleep */

    SlirpLib lib;
    Slirp *slirp;
    struct in_addr guest;   /* where hostfwd goes by default */
    bool accept;            /* guest forwards may take more input */
    bool held;              /* one takes none: until the guest connects, or has taken what it got */
    bool flush;             /* libslirp may have packets that waited for an address */
    SlirpSource *source;
    GArray *polls;          /* of SlirpPoll */
    GArray *polled;         /* of int: those that have a tag */
    unsigned round;         /* of asking libslirp what to poll */
    gint64 deadline;        /* of libslirp's timers, µs; -1: none */
    SlirpLimit limit;
    SlirpTFTP files;
    struct in_addr vnetwork, vnetmask;  /* the guest's network */
    struct in6_addr vprefix;
    unsigned vprefix_len;
    IPReassembly fragments;
    uint32_t fragment_id;   /* of the last IPv6 datagram to the guest */
    GArray *host_forwards;  /* of HostForward */
    GPtrArray *forwards;    /* of GuestForward */
    uint8_t frame[NET_FRAME_MAX];
} SlirpStack;

/* slirp-stack.c --- what the process of user networks does with them ---------- */

/* A stack with default options. */
SlirpStack *slirp_stack_new(const char *id);
/* fds as of USERNET_ADD become its own. False with errp set: free it. */
bool slirp_stack_open(SlirpStack *s, const int *fds, Error **errp);
void slirp_stack_free(SlirpStack *s);
/* The text of "info usernet"; free() it. */
char *slirp_stack_connections(SlirpStack *s);

/* slirp-config.c: the addresses and names that the options give. */
bool slirp_fill_config(SlirpStack *s, SlirpConfig *cfg, Error **errp);
/* Is a frame that passed the filter for a host of libslirp's own, and not for the outside? */
bool slirp_frame_is_inside(const SlirpStack *s, const uint8_t *frame, size_t len);

/* slirp-fwd.c: "hostfwd" and "guestfwd". */
/* fds: a socket for each rule of guestfwd= that leads to a chardev; ours. */
bool slirp_add_forwards(SlirpStack *s, const int *fds, Error **errp);
void slirp_remove_forwards(SlirpStack *s);
/* The same forwards in a new stack. */
void slirp_restore_forwards(SlirpStack *s);
/* rule as of hostfwd=, or, to end it, up to the host's port. */
bool slirp_change_hostfwd(SlirpStack *s, const char *rule, bool add, Error **errp);
/*
 * Is a frame that passed the filter data for a chardev that has enough to take already?
 * libslirp cannot wait with it: dropped, it comes again.
 */
bool slirp_forward_is_full(const SlirpStack *s, const uint8_t *frame, size_t len);
/* libslirp has room again: look at the chardevs behind the forwards. */
void slirp_accept_forwards(SlirpStack *s);

#endif
