/*
 * -netdev socket, stream and dgram: their options, and how a peer comes and is named.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "socket-internal.h"

/* A peer that cannot be accepted now waits so long. */
#define RETRY_MS 200

/* A stream has a peer: how says who began. */
static void stream_connected(NetSocket *s, const char *how)
{
    NetAddr peer = { 0 };
    g_autofree char *text = NULL;

    net_addr_of_peer(s->fd.fd, &peer);
    /* Who connects to a UNIX socket mostly has no name: the socket has. */
    if (peer.path && !*peer.path) {
        net_addr_clear(&peer);
        net_addr_of_socket(s->fd.fd, &peer);
    }
    text = net_addr_text(&peer);
    if (socket_is_netdev_stream(s)) {
        socket_set_info(s, "%s:%s", peer.path ? "unix" : "tcp", text);
        net_stream_event(&s->nc, &peer);
    } else {
        socket_set_info(s, "socket: %s %s", how, text);
    }
    net_addr_clear(&peer);
}

static gboolean socket_listen_again(gpointer opaque)
{
    NetSocket *s = opaque;

    s->retry = 0;
    net_fd_poll(&s->listener, true, false);
    return G_SOURCE_REMOVE;
}

static void socket_accept(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;
    int fd = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)) {
        return;
    }
    net_fd_poll(f, false, false);
    if (fd < 0) {
        /* Out of descriptors: whoever knocks would keep the loop awake. */
        s->retry = g_timeout_add(RETRY_MS, socket_listen_again, s);
        return;
    }
    socket_use(s, fd);
    stream_connected(s, "connection from");
    net_set_carrier(&s->nc, true);
    net_notify_readable(&s->nc, 0);
}

static void socket_listen_on(NetSocket *s, int fd)
{
    s->listener = (NetFD){ .nc = &s->nc, .fd = fd, .in = socket_accept, .gone = socket_accept };
    s->nc.carrier_off = true;
    net_fd_poll(&s->listener, true, false);
}

static bool start_connect(NetSocket *s, Error **errp);

static void connect_done(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;
    int fd = f->fd, err = 0;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(err), peer_len = sizeof(peer);

    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    /* Told of the last one while the next is under way. */
    if (!err && getpeername(fd, (struct sockaddr *)&peer, &peer_len) < 0) {
        return;
    }
    if (err) {
        net_fd_close(f);
        if (!start_connect(s, NULL)) {
            warn_report("netdev %s: can't connect socket: %s", s->nc.obj.id, strerror(err));
        }
        return;
    }
    net_fd_poll(f, false, false);
    f->fd = -1;
    socket_use(s, fd);
    stream_connected(s, "connect to");
    net_set_carrier(&s->nc, true);
    net_notify_readable(&s->nc, 0);
}

/* To the next of the peer's addresses, without waiting for it. */
static bool start_connect(NetSocket *s, Error **errp)
{
    int fd = net_addr_connect(&s->remote, &s->tried, errp);

    if (fd >= 0) {
        s->listener = (NetFD){ .nc = &s->nc, .fd = fd, .out = connect_done, .gone = connect_done };
        s->nc.carrier_off = true;
        net_fd_poll(&s->listener, false, true);
    }
    return fd >= 0;
}

static bool socket_is_unix(int fd)
{
    int domain;
    socklen_t len = sizeof(domain);

    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX;
}

static bool socket_open_fd(NetSocket *s, const char *str, Error **errp)
{
    int fd = net_parse_fd(&s->nc, str, errp);
    int type;
    socklen_t len = sizeof(type);

    if (fd < 0) {
        return false;
    }
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0) {
        error_setg_errno(errp, errno, "fd=%s is not a socket", str);
        net_put_fds(&fd, 1);
        return false;
    }
    socket_use(s, fd);
    if (socket_is_netdev_stream(s)) {
        stream_connected(s, "");
    } else {
        socket_set_info(s, "%sfd=%d%s", s->local.str ? "" : "socket: ", fd,
                        !s->local.str ? "" : socket_is_unix(fd) ? " unix" : " inet");
    }
    return true;
}

/* Datagrams go from one address to another. */
static void dgram_info(NetSocket *s)
{
    NetAddr local = { 0 }, remote = { 0 };
    g_autofree char *from = NULL, *to = NULL;

    net_addr_of_socket(s->fd.fd, &local);
    net_addr_of_peer(s->fd.fd, &remote);
    from = net_addr_text(&local);
    /* Before a UNIX peer is there, we know its name alone. */
    to = net_addr_text(remote.type ? &remote : &s->remote);
    if (!strcmp(s->nc.obj.oc->name, "socket")) {
        socket_set_info(s, "socket: udp=%s", to);
    } else {
        socket_set_info(s, "udp=%s%c%s", from, local.path ? ':' : '/', to);
    }
    net_addr_clear(&local);
    net_addr_clear(&remote);
}

/* Connect or listen, as local and remote say. */
static bool socket_open_addr(NetSocket *s, int type, Error **errp)
{
    const NetAddr *local = net_addr_given(&s->local) ? &s->local : NULL;
    const NetAddr *remote = net_addr_given(&s->remote) ? &s->remote : NULL;
    const NetAddr *only = remote ? remote : local;
    int fd;

    if (only->type && !strcmp(only->type, "fd")) {
        return socket_open_fd(s, only->str ? only->str : "", errp);
    }
    if (remote && type == SOCK_STREAM && net_is_running()) {
        return start_connect(s, errp);
    }
    fd = net_addr_socket(local, remote, type, errp);
    if (fd < 0) {
        return false;
    }
    if (local && local->type && !strcmp(local->type, "unix")) {
        s->unlink_path = g_strdup(local->path);
    }
    if (type == SOCK_STREAM && !remote) {
        socket_listen_on(s, fd);
        return true;
    }
    socket_use(s, fd);
    if (type == SOCK_STREAM) {
        stream_connected(s, "connect to");
    } else {
        dgram_info(s);
    }
    return true;
}

static bool socket_open_mcast(NetSocket *s, Error **errp)
{
    int fd = net_addr_mcast(&s->remote, s->localaddr_opt, &s->dest, &s->dest_len, errp);
    g_autofree char *group = net_addr_text(&s->remote);

    if (fd < 0) {
        return false;
    }
    socket_use(s, fd);
    socket_set_info(s, "socket: mcast=%s", group);
    return true;
}

static bool socket_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = (NetSocket *)nc;

    s->fd.fd = s->listener.fd = -1;
    if (!!s->fd_opt + !!s->listen_opt + !!s->connect_opt + !!s->mcast_opt + !!s->udp_opt != 1) {
        error_setg(errp, "exactly one of listen=, connect=, mcast= or udp= is required");
        return false;
    }
    if (s->localaddr_opt && !s->mcast_opt && !s->udp_opt) {
        error_setg(errp, "localaddr= is only valid with mcast= or udp=");
        return false;
    }
    if (s->udp_opt && !s->localaddr_opt) {
        error_setg(errp, "localaddr= is mandatory with udp=");
        return false;
    }
    socket_set_info(s, "%s", "");
    if (s->fd_opt) {
        return socket_open_fd(s, s->fd_opt, errp);
    }
    if (s->mcast_opt) {
        return net_addr_parse(&s->remote, s->mcast_opt, errp) && socket_open_mcast(s, errp);
    }
    if ((s->listen_opt && !net_addr_parse(&s->local, s->listen_opt, errp)) ||
        (s->connect_opt && !net_addr_parse(&s->remote, s->connect_opt, errp)) ||
        (s->udp_opt && (!net_addr_parse(&s->remote, s->udp_opt, errp) ||
                        !net_addr_parse(&s->local, s->localaddr_opt, errp)))) {
        return false;
    }
    return socket_open_addr(s, s->udp_opt ? SOCK_DGRAM : SOCK_STREAM, errp);
}

static bool stream_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = (NetSocket *)nc;

    s->fd.fd = s->listener.fd = -1;
    socket_set_info(s, "%s", "");
    if (!net_addr_given(&s->remote)) {
        error_setg(errp, "Parameter 'addr' is missing");
        return false;
    }
    if (s->server) {
        s->local = s->remote;
        memset(&s->remote, 0, sizeof(s->remote));
    }
    return socket_open_addr(s, SOCK_STREAM, errp);
}

static bool dgram_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = (NetSocket *)nc;

    s->fd.fd = s->listener.fd = -1;
    socket_set_info(s, "%s", "");
    if (!net_addr_given(&s->local)) {
        error_setg(errp, "dgram requires local= parameter");
        return false;
    }
    if (s->remote.type && !strcmp(s->remote.type, "unix")) {
        confine_need(CONFINE_SOCKETS);      /* the peer may come later, and again */
    }
    return socket_open_addr(s, SOCK_DGRAM, errp);
}

static void socket_close(NetClientState *nc)
{
    NetSocket *s = (NetSocket *)nc;

    if (s->idle) {
        g_source_remove(s->idle);
    }
    if (s->retry) {
        g_source_remove(s->retry);
    }
    net_fd_close(&s->fd);
    net_fd_close(&s->listener);
    if (s->unlink_path) {
        unlink(s->unlink_path);
        g_free(s->unlink_path);
    }
    g_free(s->in);
    g_free(s->out);
    net_addr_clear(&s->local);
    net_addr_clear(&s->remote);
}

/* Strings of an address that net_addr_clear() frees: rows without a release. */
static bool set_addr(Object *obj, const Property *prop, const char *value, Error **errp)
{
    char **field = property_field(obj, prop);

    g_free(*field);
    *field = g_strdup(value);
    return true;
}

static char *get_addr(const Object *obj, const Property *prop)
{
    return g_strdup(*(char **)property_field(obj, prop));
}

static const PropertyInfo prop_addr = { .name = "str", .set = set_addr, .get = get_addr };

#define ADDR_PROPS(prefix, field) \
    DEFINE_PROP(prefix ".type", NetSocket, field.type, prop_addr, char *, NULL, \
                "inet, unix or fd"), \
    DEFINE_PROP(prefix ".host", NetSocket, field.host, prop_addr, char *, NULL, "of inet"), \
    DEFINE_PROP(prefix ".port", NetSocket, field.port, prop_addr, char *, NULL, "of inet"), \
    DEFINE_PROP(prefix ".path", NetSocket, field.path, prop_addr, char *, NULL, "of unix"), \
    DEFINE_PROP(prefix ".str", NetSocket, field.str, prop_addr, char *, NULL, \
                "of fd: its number")

static const Property socket_props[] = {
    DEFINE_PROP_STRING("fd", NetSocket, fd_opt, NULL, "descriptor of a socket"),
    DEFINE_PROP_STRING("listen", NetSocket, listen_opt, NULL, "[HOST]:PORT to wait on"),
    DEFINE_PROP_STRING("connect", NetSocket, connect_opt, NULL, "HOST:PORT to connect to"),
    DEFINE_PROP_STRING("mcast", NetSocket, mcast_opt, NULL, "multicast GROUP:PORT"),
    DEFINE_PROP_STRING("udp", NetSocket, udp_opt, NULL, "HOST:PORT to send to"),
    DEFINE_PROP_STRING("localaddr", NetSocket, localaddr_opt, NULL,
                       "own HOST:PORT (udp) or address (mcast)"),
    DEFINE_PROP_END
};

static const Property stream_props[] = {
    ADDR_PROPS("addr", remote),
    DEFINE_PROP_BOOL("server", NetSocket, server, "off", "wait for the peer"),
    DEFINE_PROP_END
};

static const Property dgram_props[] = {
    ADDR_PROPS("local", local),
    ADDR_PROPS("remote", remote),
    DEFINE_PROP_END
};

#define SOCKET_CLASS(type_name, rows, open_fn) { \
        .oc = { \
            .name = (type_name), \
            .parent = &netdev_base_class, \
            .instance_size = sizeof(NetSocket), \
            .props = (rows), \
        }, \
        .open = (open_fn), \
        .close = socket_close, \
        .send = socket_send, \
        .recv = socket_recv, \
        .set_receive = socket_set_receive, \
    }

static const NetClientClass socket_class = SOCKET_CLASS("socket", socket_props, socket_open);
static const NetClientClass stream_class = SOCKET_CLASS("stream", stream_props, stream_open);
static const NetClientClass dgram_class = SOCKET_CLASS("dgram", dgram_props, dgram_open);
DEFINE_CLASS(netdev_socket, &socket_class.oc);
DEFINE_CLASS(netdev_stream, &stream_class.oc);
DEFINE_CLASS(netdev_dgram, &dgram_class.oc);
