/*
 * Addresses of the network backends that are sockets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SOCKET_ADDR_H
#define NET_SOCKET_ADDR_H

#include <string.h>
#include <sys/socket.h>

#include "net/peer.h"
#include "qemu/socket.h"

static inline bool net_addr_given(const NetAddr *a)
{
    return a->type || a->host || a->port || a->path || a->str;
}

static inline bool net_addr_is_unix(const NetAddr *a)
{
    return a->type && !strcmp(a->type, "unix");
}

/* The addresses of a stream's other end, SOCK_MAX_ADDRS at most: how many; 0 with errp set. */
unsigned net_addr_resolve(const NetAddr *remote, SockAddr *to, Error **errp);

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
 * A stream to remote without waiting: a UNIX socket is connected or an error, -1; to others
 * sock_connect() finds the way.
 */
int net_addr_connect_unix(const NetAddr *remote, Error **errp);
SockConnect *net_addr_connect_inet(const NetAddr *remote, SockConnectFn *fn, void *opaque,
                                   Error **errp);
/*
 * Datagrams between UNIX sockets: one of the two is made first, so net_addr_socket() returns
 * a socket that has no peer yet. This looks for it, or for another that took its place.
 */
bool net_addr_find_peer(int fd, const NetAddr *remote);
/* Whether it names an IPv4 multicast group by numbers. */
bool net_addr_is_mcast(const NetAddr *a);
/* The group as the kernel has it; false with errp set: it is none. */
bool net_addr_group(const NetAddr *group, SockAddr *to, Error **errp);
/* A UDP socket that is a member of the group, by the interface with localaddr, or -1 with errp. */
int net_addr_mcast(const SockAddr *group, const char *localaddr, Error **errp);

#endif
