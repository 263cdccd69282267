/*
 * Who is at the other end of a network backend's socket, and who is told of it.
 *
 * Main loop and machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PEER_H
#define NET_PEER_H

#include "net/net.h"

/* The address of a socket, as options give it; strings are the caller's. All NULL: not given. */
typedef struct NetAddr {
    char *type;             /* "inet", "unix", "fd" */
    char *host, *port;
    char *path;
    char *str;              /* of "fd": the number */
    OnOffAuto ipv4, ipv6;   /* of "inet": which to take */
    bool keep_alive;
    bool numeric;           /* of "inet": host and port are numbers, nobody is asked for names */
    uint16_t to;            /* of "inet": the last port that a server tries; 0: its port alone */
    bool mptcp;             /* of "inet": not supported */
    bool abstract, tight;   /* of "unix": sock_addr_unix() */
} NetAddr;

/* Who is told of peers of -netdev stream that come and (peer is NULL) go. NULL: nobody. */
typedef void NetStreamFn(const NetClientState *nc, const NetAddr *peer, void *opaque);
void net_set_stream_listener(NetStreamFn *fn, void *opaque);

/* The peer of a stream came; NULL: went. Its listener is told. */
void net_stream_event(const NetClientState *nc, const NetAddr *peer);

#endif
