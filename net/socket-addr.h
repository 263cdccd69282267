/*
 * Addresses of the network backends that are sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SOCKET_ADDR_H
#define NET_SOCKET_ADDR_H

#include <sys/socket.h>

#include "net/peer.h"

static inline bool net_addr_given(const NetAddr *a)
{
    return a->type || a->host || a->port || a->path || a->str;
}

/* "HOST:PORT" or ":PORT" taken apart into new strings; false with errp set. */
bool net_addr_parse(NetAddr *a, const char *text, Error **errp);
void net_addr_clear(NetAddr *a);
/* Who is at the other end of a connected socket; a is zeroed, and empty if it has no name. */
void net_addr_of_peer(int fd, NetAddr *a);
/* The address that the socket is bound to, likewise. */
void net_addr_of_socket(int fd, NetAddr *a);
/* "HOST:PORT" or the path; to be freed. */
char *net_addr_text(const NetAddr *a);

/*
 * A new non-blocking socket (SOCK_STREAM or SOCK_DGRAM) bound to local and
 * connected to remote; either may be NULL. A stream socket without remote
 * listens. A name's addresses are tried in turn. -1 with errp set, for the last of them,
 * on failure.
 */
int net_addr_socket(const NetAddr *local, const NetAddr *remote, int type, Error **errp);
/*
 * A new stream socket that is or will be connected to remote: SO_ERROR says how it went when it
 * takes output. *next counts remote's addresses that have been tried. -1 on failure, with errp
 * set unless they had all been tried before.
 */
int net_addr_connect(const NetAddr *remote, unsigned *next, Error **errp);
/*
 * Datagrams between UNIX sockets: one of the two is made first, so net_addr_socket() returns
 * a socket that has no peer yet. This looks for it, or for another that took its place.
 */
bool net_addr_find_peer(int fd, const NetAddr *remote);
/* A UDP socket that is a member of the multicast group. -1 with errp set. */
int net_addr_mcast(const NetAddr *group, const char *localaddr, struct sockaddr_storage *ss,
                   socklen_t *len, Error **errp);

#endif
