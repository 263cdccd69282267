/*
 * The socket chardev's two halves: addresses, and the stream on top of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_SOCKET_H
#define CHARDEV_CHAR_SOCKET_H

#include "char-internal.h"
#include "qemu/socket.h"

/* Descriptors that may come with one message. */
#define SOCKET_MAX_FDS 16

typedef struct SocketChardev {
    Chardev parent;
    /* Options. */
    char *path;
    char *fdname;
    char *host;
    char *port;
    char *to;
    OnOffAuto ipv4;
    OnOffAuto ipv6;
    bool abstract;
    bool tight;
    bool server;
    OnOffAuto wait;
    bool delay;
    bool nodelay;
    bool telnet;
    uint32_t reconnect;     /* seconds; 0: never */

    int listen_fd;
    int fd;                 /* of the peer; -1 */
    SockConnect *connecting;
    bool inherited;         /* the listening socket is somebody else's */
    bool hung_up;           /* the peer is gone, its last words are still here */
    guint accept_tag;
    guint connect_tag;      /* the next attempt's timer */
    guint io_tag;           /* input, or only the hang-up */
    bool io_is_read;
    guint close_tag;        /* idle: the peer failed while we wrote */
    bool told;              /* of a failed connect */
    int fds[SOCKET_MAX_FDS];
    int nr_fds;
    unsigned telnet_state;  /* of the input parser */
    bool telnet_escape;     /* half of a doubled 0xff is still to be sent */
} SocketChardev;

/* Exactly one address must be given, and in a form that can be. */
bool socket_check_address(SocketChardev *c, Error **errp);
/* A listening socket; or -1 with errp set. */
int socket_listen(SocketChardev *c, Error **errp);
/*
 * A connected socket; nonblock fails where a UNIX socket would have to wait. -1 with errp set on
 * failure.
 */
int socket_connect(SocketChardev *c, bool nonblock, Error **errp);
/* The same without waiting, to a host: sock_connect(); fn gets c. */
SockConnect *socket_connect_inet(SocketChardev *c, SockConnectFn *fn, Error **errp);
/* What "info chardev" shows; caller frees. */
char *socket_describe(const SocketChardev *c);
/* Remove the path of a listening unix socket that we made. */
void socket_unlink(const SocketChardev *c);

/* s as what it is; NULL: a chardev of another kind. */
SocketChardev *socket_chardev(const Chardev *s);
/* Hand to the frontend what there is to read, or that the peer has gone; for GLib's sources. */
gboolean socket_read_ready(gint fd, GIOCondition cond, gpointer opaque);
/* See qemu_chr_fe_wait_connected(). */
bool socket_wait_connected(SocketChardev *c, Error **errp);

#endif
