/*
 * User networking: what its files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_INTERNAL_H
#define NET_SLIRP_INTERNAL_H

#include "frame-queue.h"
#include "ip-fragment.h"
#include "ip-reassembly.h"
#include "net/net.h"
#include "slirp-lib.h"
#include "slirp-limit.h"
#include "slirp-tftp.h"

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
    struct UserState *s;
} SlirpSource;

typedef struct UserState {
    NetClientState nc;
    /* Options. */
    char *hostname;
    bool restricted;
    bool ipv4, ipv6;
    char *net, *host;
    char *dhcpstart, *dns;
    char *ipv6_prefix, *ipv6_host, *ipv6_dns;
    uint8_t ipv6_prefixlen;
    char *ipv6_net;
    char *tftp, *bootfile, *tftp_server_name;
    char *domainname;
    GPtrArray *dnssearch;   /* of char * */
    GPtrArray *hostfwd;
    GPtrArray *guestfwd;
    uint32_t max_connections;

    SlirpLib lib;
    Slirp *slirp;
    struct in_addr guest;   /* where hostfwd goes by default */
    FrameQueue in;          /* to the guest */
    bool receiving;         /* the NIC waits for frames */
    bool outdated;          /* the guest has started anew since: see renew_stack() */
    bool accept;            /* guest forwards may take more input */
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
} UserState;

/* slirp-config.c: the addresses and names that the options give. */
bool slirp_fill_config(UserState *s, SlirpConfig *cfg, Error **errp);
/* Is a frame that passed the filter for a host of libslirp's own, and not for the outside? */
bool slirp_frame_is_inside(const UserState *s, const uint8_t *frame, size_t len);

/* slirp-fwd.c: "hostfwd" and "guestfwd". */
bool slirp_add_forwards(UserState *s, Error **errp);
void slirp_remove_forwards(UserState *s);
/* The same forwards in a new stack. */
void slirp_restore_forwards(UserState *s);
/* NetClientClass.change_hostfwd */
bool slirp_change_hostfwd(NetClientState *nc, const char *rule, bool add, Error **errp);
/*
 * Is a frame that passed the filter data for a chardev that has enough to take already?
 * libslirp cannot wait with it: dropped, it comes again.
 */
bool slirp_forward_is_full(const UserState *s, const uint8_t *frame, size_t len);
/* libslirp has room again: look at the chardevs behind the forwards. */
void slirp_accept_forwards(UserState *s);

#endif
