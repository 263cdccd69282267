/*
 * -netdev socket, stream and dgram: their options, and how a peer comes and is named.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "socket-internal.h"

/* A peer that cannot be accepted now waits so long. */
#define RETRY_MS 200

/* Peers ---------------------------------------------------------------------- */

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

/* While the machine runs. */
static void peer_came(NetSocket *s, int fd, const char *how)
{
    int one = 1;

    if (s->remote.keep_alive || s->local.keep_alive) {
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    socket_use(s, fd);
    stream_connected(s, how);
    net_set_carrier(&s->nc, true);
    net_notify_readable(&s->nc, 0);
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
    NetSocket *s = downcast(f->nc, NetSocket, nc);
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
    peer_came(s, fd, "connection from");
}

static void socket_listen_on(NetSocket *s, int fd)
{
    s->listener = (NetFD){ .nc = &s->nc, .fd = fd, .in = socket_accept, .gone = socket_accept };
    s->nc.carrier_off = true;
    net_fd_poll(&s->listener, true, false);
}

/* Connecting ----------------------------------------------------------------- */

static void connect_done(int fd, Error *err, void *opaque)
{
    NetSocket *s = opaque;
    int one = 1;

    s->connecting = NULL;
    if (fd < 0) {
        socket_no_peer(s, err);
        return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    s->peer_missed = false;
    peer_came(s, fd, "connect to");
}

static gboolean connect_again(gpointer opaque)
{
    NetSocket *s = opaque;
    Error *err = NULL;
    int fd;

    s->retry = 0;
    if (!net_addr_is_unix(&s->remote)) {
        s->connecting = net_addr_connect_inet(&s->remote, connect_done, s, &err);
        if (!s->connecting) {
            socket_no_peer(s, err);
        }
        return G_SOURCE_REMOVE;
    }
    fd = net_addr_connect_unix(&s->remote, &err);
    if (fd < 0) {
        socket_no_peer(s, err);
    } else {
        s->peer_missed = false;
        peer_came(s, fd, "connect to");
    }
    return G_SOURCE_REMOVE;
}

void socket_no_peer(NetSocket *s, Error *err)
{
    /* One word is enough, however often it is tried. */
    if (!s->peer_missed) {
        warn_report("netdev %s: %s", s->nc.obj.id, error_get_pretty(err));
    }
    error_free(err);
    if (s->reconnect_ms) {
        s->peer_missed = true;
        s->retry = g_timeout_add(s->reconnect_ms, connect_again, s);
    }
}

/* To the peer, without waiting for it. */
static bool start_connect(NetSocket *s, Error **errp)
{
    Error *err = NULL;
    int fd;

    if (s->reconnect_ms) {
        confine_need(net_addr_is_unix(&s->remote) ? CONFINE_SOCKETS : CONFINE_NAMES);
    }
    if (!net_addr_is_unix(&s->remote)) {
        s->nc.carrier_off = true;
        s->connecting = net_addr_connect_inet(&s->remote, connect_done, s, errp);
        return s->connecting;
    }
    fd = net_addr_connect_unix(&s->remote, &err);
    if (fd >= 0) {
        socket_use(s, fd);
        stream_connected(s, "connect to");
    } else if (s->reconnect_ms && s->remote.path) {
        s->nc.carrier_off = true;
        socket_no_peer(s, err);
    } else {
        error_propagate(errp, err);
        return false;
    }
    return true;
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
                        !s->local.str ? "" : sock_is_unix(fd) ? " unix" : " inet");
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
    if (remote && type == SOCK_STREAM && (net_is_running() || s->reconnect_ms)) {
        return start_connect(s, errp);
    }
    fd = net_addr_socket(local, remote, type, errp);
    if (fd < 0) {
        return false;
    }
    if (local && net_addr_is_unix(local) && !local->abstract) {
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

static bool socket_open_mcast(NetSocket *s, const char *localaddr, Error **errp)
{
    g_autofree char *group = net_addr_text(&s->remote);
    const char *what = strcmp(s->nc.obj.oc->name, "socket") ? "" : "socket: ";
    int fd;

    if (!net_addr_group(&s->remote, &s->dest, errp)) {
        return false;
    }
    fd = net_addr_mcast(&s->dest, localaddr, errp);
    if (fd < 0) {
        return false;
    }
    socket_use(s, fd);
    socket_set_info(s, "%smcast=%s", what, group);
    return true;
}

static bool socket_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = downcast(nc, NetSocket, nc);

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
        return net_addr_parse(&s->remote, s->mcast_opt, errp) &&
               socket_open_mcast(s, s->localaddr_opt, errp);
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
    NetSocket *s = downcast(nc, NetSocket, nc);

    s->fd.fd = s->listener.fd = -1;
    socket_set_info(s, "%s", "");
    if (!net_addr_given(&s->remote)) {
        error_setg(errp, "Parameter 'addr' is missing");
        return false;
    }
    if (s->reconnect && s->reconnect_ms) {
        error_setg(errp, "'reconnect' and 'reconnect-ms' are mutually exclusive");
        return false;
    }
    s->reconnect_ms = s->reconnect ? MIN(s->reconnect, UINT32_MAX / 1000) * 1000
                                   : s->reconnect_ms;
    if (s->reconnect_ms && (s->server || !g_strcmp0(s->remote.type, "fd"))) {
        error_setg(errp, "'reconnect' option is incompatible with %s",
                   s->server ? "socket in server mode" : "'fd'");
        return false;
    }
    if (s->server) {
        s->local = s->remote;
        memset(&s->remote, 0, sizeof(s->remote));
    }
    return socket_open_addr(s, SOCK_STREAM, errp);
}

/* To a group: by the interface that has the local address, or by a socket that is a member. */
static bool dgram_open_mcast(NetSocket *s, Error **errp)
{
    const char *type = s->local.type;

    if (type && !strcmp(type, "fd")) {
        return net_addr_group(&s->remote, &s->dest, errp) &&
               socket_open_fd(s, s->local.str ? s->local.str : "", errp);
    }
    if (type && strcmp(type, "inet")) {
        error_setg(errp, "multicast with local.type=%s: it has to be 'inet' or 'fd'", type);
        return false;
    }
    return socket_open_mcast(s, s->local.host, errp);
}

static bool dgram_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = downcast(nc, NetSocket, nc);

    s->fd.fd = s->listener.fd = -1;
    socket_set_info(s, "%s", "");
    if (net_addr_is_mcast(&s->remote)) {
        return dgram_open_mcast(s, errp);
    }
    if (!net_addr_given(&s->local)) {
        error_setg(errp, "dgram requires local= parameter");
        return false;
    }
    if (!net_addr_given(&s->remote) && g_strcmp0(s->local.type, "fd")) {
        error_setg(errp, "type=inet or type=unix requires remote parameter");
        return false;
    }
    if (net_addr_is_unix(&s->remote)) {
        confine_need(CONFINE_SOCKETS);      /* the peer may come later, and again */
    }
    return socket_open_addr(s, SOCK_DGRAM, errp);
}

static void socket_close(NetClientState *nc)
{
    NetSocket *s = downcast(nc, NetSocket, nc);

    if (s->idle) {
        g_source_remove(s->idle);
    }
    if (s->retry) {
        g_source_remove(s->retry);
    }
    sock_connect_cancel(s->connecting);
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
                "of fd: its number"), \
    DEFINE_PROP_ON_OFF_AUTO(prefix ".ipv4", NetSocket, field.ipv4, "auto", "of inet"), \
    DEFINE_PROP_ON_OFF_AUTO(prefix ".ipv6", NetSocket, field.ipv6, "auto", "of inet"), \
    DEFINE_PROP_BOOL(prefix ".numeric", NetSocket, field.numeric, "off", \
                     "of inet: host and port are numbers, no names"), \
    DEFINE_PROP_UINT16(prefix ".to", NetSocket, field.to, "0", \
                       "of inet servers: the last port to try"), \
    DEFINE_PROP_BOOL(prefix ".mptcp", NetSocket, field.mptcp, "off", "not supported"), \
    DEFINE_PROP_BOOL(prefix ".keep-alive", NetSocket, field.keep_alive, "off", \
                     "of inet streams: notice a peer's host that is gone"), \
    DEFINE_PROP_BOOL(prefix ".abstract", NetSocket, field.abstract, "off", \
                     "of unix: a name without a file"), \
    DEFINE_PROP_BOOL(prefix ".tight", NetSocket, field.tight, "on", \
                     "of unix: an abstract name is not padded")

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
    DEFINE_PROP_UINT32("reconnect", NetSocket, reconnect, "0",
                       "seconds after which a peer that is away is tried again (0: never)"),
    DEFINE_PROP_UINT32("reconnect-ms", NetSocket, reconnect_ms, "0", "the same in milliseconds"),
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
