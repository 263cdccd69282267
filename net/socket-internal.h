/*
 * What the two halves of -netdev socket, stream and dgram share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SOCKET_INTERNAL_H
#define NET_SOCKET_INTERNAL_H

#include "net-fd.h"
#include "socket-addr.h"

typedef struct NetSocket {
    NetClientState nc;
    /* Options of "socket". */
    char *fd_opt, *listen_opt, *connect_opt, *mcast_opt, *udp_opt, *localaddr_opt;
    /* Options of "stream" (addr is remote, or local with server=on) and "dgram". */
    NetAddr local, remote;
    bool server;
    uint32_t reconnect, reconnect_ms;   /* the second is the one that counts; 0: never */

    NetFD fd;               /* of the peer */
    NetFD listener;
    SockConnect *connecting;
    int type;               /* SOCK_* of fd */
    SockAddr dest;          /* of datagrams on a socket that has no peer; len 0: it has */
    /* Streams: input not yet handed on, output not yet written. */
    uint8_t *in, *out;      /* BUF_SIZE each */
    size_t in_pos, in_len, out_pos, out_len;
    guint idle;             /* frames are waiting in the buffer: source, or 0 */
    guint retry;            /* a peer could not be accepted or found: timer, or 0 */
    bool peer_missed;       /* the user was told that there is no peer */
    char *unlink_path;      /* of the socket that we made */
} NetSocket;

/* Frames (socket.c) ---------------------------------------------------------- */

/* fd is the peer's, or a datagram socket, from now on. */
void socket_use(NetSocket *s, int fd);
/* Of NetClientClass. */
int socket_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt);
ssize_t socket_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt);
void socket_set_receive(NetClientState *nc, unsigned q, bool on);

/* The peer of a stream that we connected is gone, or there was none: why, freed here. */
void socket_no_peer(NetSocket *s, Error *err);

/* What "info network" shows: the type, and what is given in QEMU's words. */
void socket_set_info(NetSocket *s, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* Whether it is -netdev stream, whose peers are events. */
bool socket_is_netdev_stream(const NetSocket *s);

#endif
