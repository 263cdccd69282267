/*
 * Sockets: addresses, connections that nobody waits for, descriptors that come with a message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_SOCKET_H
#define QEMU_SOCKET_H

#include <netdb.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "qemu/error.h"

/* An address as the kernel has it. */
typedef struct SockAddr {
    struct sockaddr_storage ss;
    socklen_t len;
} SockAddr;

#define SOCK_MAX_ADDRS 8    /* of a name that are tried */

/*
 * The UNIX socket at path, or of that name in the abstract namespace (unix(7)), which is padded
 * with zeros unless tight. False with errp set: it is too long.
 */
bool sock_addr_unix(SockAddr *to, const char *path, bool abstract, bool tight, Error **errp);
/*
 * The addresses of port at host ("" as NULL: getaddrinfo(3)), which may ask other machines and
 * take its time. How many; 0 with errp set.
 */
unsigned sock_addr_resolve(SockAddr to[SOCK_MAX_ADDRS], const char *host, const char *port,
                           const struct addrinfo *hints, Error **errp);
/* The address of fd's own end, or its peer's. False: it has none. */
bool sock_addr_of(int fd, bool peer, SockAddr *a);
/* Host and port as numbers, new strings. False: no address of the internet. */
bool sock_addr_numbers(const SockAddr *a, char **host, char **port);
bool sock_is_unix(int fd);
/* Remove a socket that an earlier process left at path; nothing else may go. */
void sock_remove_stale(const char *path);

/* A connection that is being made. Main loop. */
typedef struct SockConnect SockConnect;
/* It has come: fd, non-blocking, is the callee's. Or fd is -1, and so is err, which says why. */
typedef void SockConnectFn(int fd, Error *err, void *opaque);
typedef struct SockTarget {
    const char *host, *port;
    int family;             /* AF_UNSPEC: any */
    const char *failed;     /* begins the message about the last address */
} SockTarget;
/*
 * Connect a stream to what is copied from to, trying all addresses of a name, which a thread looks
 * up, and call fn from the main loop, never from here. NULL with errp set: what is neither an
 * address nor a name.
 */
SockConnect *sock_connect(const SockTarget *to, SockConnectFn *fn, void *opaque, Error **errp);
/* fn will not be called. c may be NULL. */
void sock_connect_cancel(SockConnect *c);

/*
 * Like recv() without waiting. Descriptors that came along, at most as many as *n says, go to fds
 * and are the caller's; *n becomes their number. Others are closed.
 */
ssize_t recv_with_fds(int fd, void *buf, size_t len, int *fds, unsigned *n);

#endif
