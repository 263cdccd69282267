/*
 * -netdev socket, stream and dgram: frames to and from another process.
 *
 * On a stream each frame is preceded by its length, 32 bits, the highest byte first.
 * On other sockets a frame is a datagram.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "net-fd.h"
#include "qemu/iov.h"
#include "socket-addr.h"

#define PREFIX 4
#define MAX_IOV 128
#define BUF_SIZE (NET_FRAME_MAX + PREFIX)
/* A peer that cannot be accepted now waits so long. */
#define RETRY_MS 200

typedef struct NetSocket {
    NetClientState nc;
    /* Options of "socket". */
    char *fd_opt, *listen_opt, *connect_opt, *mcast_opt, *udp_opt, *localaddr_opt;
    /* Options of "stream" (addr is remote, or local with server=on) and "dgram". */
    NetAddr local, remote;
    bool server;

    NetFD fd;               /* of the peer */
    NetFD listener;
    int type;               /* SOCK_* of fd */
    struct sockaddr_storage dest;   /* of datagrams on a socket that has no peer */
    socklen_t dest_len;
    /* Streams: input not yet handed on, output not yet written. */
    uint8_t *in, *out;      /* BUF_SIZE each */
    size_t in_pos, in_len, out_pos, out_len;
    guint idle;             /* frames are waiting in the buffer: source, or 0 */
    guint retry;            /* the host had no descriptor for a peer: timer, or 0 */
    char *unlink_path;      /* of the socket that we made */
} NetSocket;

static void socket_gone(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;

    net_fd_close(&s->fd);
    s->in_pos = s->in_len = s->out_pos = s->out_len = 0;
    net_set_carrier(&s->nc, false);
    if (s->listener.fd >= 0) {
        /* One peer at a time: now the next one may come. */
        net_fd_poll(&s->listener, true, false);
    } else {
        warn_report("netdev %s: the peer has closed the connection", s->nc.obj.id);
    }
}

/*
 * Of datagrams the host tells that nobody was there to take one: the next may find
 * somebody. Looking at the error ends it.
 */
static void socket_error(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;
    struct pollfd pfd = { .fd = f->fd };
    socklen_t len = sizeof(int);
    int err;

    if (s->type != SOCK_DGRAM || getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0 ||
        poll(&pfd, 1, 0) < 0 || (pfd.revents & (POLLHUP | POLLNVAL))) {
        socket_gone(f);
    }
}

/* To the peer -------------------------------------------------------------- */

static void stream_flush(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;
    ssize_t n = 0;

    while (s->out_len) {
        n = send(f->fd, s->out + s->out_pos, s->out_len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            break;
        }
        s->out_pos += n;
        s->out_len -= n;
    }
    if (n < 0 && errno != EAGAIN) {
        socket_gone(f);
        return;
    }
    net_fd_poll(f, f->want_in, s->out_len);
    if (!s->out_len) {
        s->out_pos = 0;
        net_notify_writable(&s->nc, 0);
    }
}

/* sendmsg() without signals; bytes or negative errno. */
static ssize_t socket_sendmsg(NetSocket *s, struct iovec *iov, unsigned cnt)
{
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = cnt };
    ssize_t n;

    if (s->dest_len) {
        msg.msg_name = &s->dest;
        msg.msg_namelen = s->dest_len;
    }
    do {
        n = sendmsg(s->fd.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == ENOTCONN || errno == ECONNREFUSED) && s->type == SOCK_DGRAM &&
        net_addr_find_peer(s->fd.fd, &s->remote)) {
        n = sendmsg(s->fd.fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    return n < 0 ? -errno : n;
}

static int stream_send(NetSocket *s, struct iovec *iov, unsigned cnt, size_t len)
{
    ssize_t n;

    if (s->out_len) {
        return -EAGAIN;     /* stream_flush() will call */
    }
    n = socket_sendmsg(s, iov, cnt);
    if (n == -EAGAIN) {
        net_fd_poll(&s->fd, s->fd.want_in, true);
        return -EAGAIN;
    }
    if (n < 0) {
        socket_gone(&s->fd);
        return 0;
    }
    if ((size_t)n < len) {
        /* Half a frame cannot be taken back: the rest is ours now. */
        s->out_len = iov_to_buf(iov, cnt, n, s->out, BUF_SIZE);
        s->out_pos = 0;
        net_fd_poll(&s->fd, s->fd.want_in, true);
    }
    return 0;
}

static int socket_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetSocket *s = (NetSocket *)nc;
    struct iovec list[MAX_IOV + 1];
    size_t len = iov_size(iov, cnt);
    uint32_t prefix = htonl(len);

    if (cnt > MAX_IOV || len > NET_FRAME_MAX || s->fd.fd < 0) {
        return 0;
    }
    list[0] = (struct iovec){ &prefix, sizeof(prefix) };
    memcpy(list + 1, iov, cnt * sizeof(*iov));
    if (s->type == SOCK_STREAM) {
        return stream_send(s, list, cnt + 1, len + PREFIX);
    }
    if (socket_sendmsg(s, list + 1, cnt) == -EAGAIN) {
        net_fd_poll(&s->fd, s->fd.want_in, true);
        return -EAGAIN;
    }
    return 0;
}

static void socket_writable(NetFD *f)
{
    NetSocket *s = (NetSocket *)f->nc;

    if (s->type == SOCK_STREAM) {
        stream_flush(f);
    } else {
        net_fd_poll(f, f->want_in, false);
        net_notify_writable(&s->nc, 0);
    }
}

/* From the peer ------------------------------------------------------------ */

/* The length of the frame at the front if all of it is there, else -1. */
static ssize_t stream_front(const NetSocket *s)
{
    uint32_t len;

    if (s->in_len < PREFIX) {
        return -1;
    }
    memcpy(&len, s->in + s->in_pos, PREFIX);
    len = ntohl(len);
    return s->in_len - PREFIX < len ? -1 : (ssize_t)len;
}

/* Read what fits; 0, or negative errno when there is nothing or no peer. */
static int stream_read(NetSocket *s)
{
    uint32_t len;
    ssize_t n;

    if (s->in_pos) {
        memmove(s->in, s->in + s->in_pos, s->in_len);
        s->in_pos = 0;
    }
    do {
        n = read(s->fd.fd, s->in + s->in_len, BUF_SIZE - s->in_len);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN) {
        return -EAGAIN;
    }
    s->in_len += n > 0 ? n : 0;
    memcpy(&len, s->in, PREFIX);
    if (n > 0 && (s->in_len < PREFIX || ntohl(len) <= NET_FRAME_MAX)) {
        return 0;
    }
    if (n > 0) {
        warn_report("netdev %s: the peer announces a frame of %u bytes", s->nc.obj.id,
                    ntohl(len));
    }
    socket_gone(&s->fd);
    return -EPIPE;
}

static ssize_t stream_recv(NetSocket *s, const struct iovec *iov, unsigned cnt)
{
    ssize_t len;

    while ((len = stream_front(s)) < 0) {
        if (stream_read(s) < 0) {
            return -EAGAIN;
        }
    }
    iov_from_buf(iov, cnt, 0, s->in + s->in_pos + PREFIX, len);
    s->in_pos += PREFIX + len;
    s->in_len -= PREFIX + len;
    /* The next length is checked where it came in whole, too. */
    if (s->in_len >= PREFIX) {
        uint32_t next;

        memcpy(&next, s->in + s->in_pos, PREFIX);
        if (ntohl(next) > NET_FRAME_MAX) {
            socket_gone(&s->fd);
        }
    }
    return len;
}

static ssize_t socket_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetSocket *s = (NetSocket *)nc;
    struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = cnt };
    ssize_t n;

    if (s->fd.fd < 0) {
        return -EAGAIN;
    }
    if (s->type == SOCK_STREAM) {
        return stream_recv(s, iov, cnt);
    }
    do {
        n = recvmsg(s->fd.fd, &msg, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n == 0 && s->type == SOCK_SEQPACKET) {
        socket_gone(&s->fd);
        return -EAGAIN;
    }
    return n < 0 ? -EAGAIN : n;
}

static void socket_readable(NetFD *f)
{
    net_notify_readable(f->nc, 0);
}

static gboolean socket_idle(gpointer opaque)
{
    NetSocket *s = opaque;

    s->idle = 0;
    if (s->fd.want_in) {
        net_notify_readable(&s->nc, 0);
    }
    return G_SOURCE_REMOVE;
}

static void socket_set_receive(NetClientState *nc, unsigned q, bool on)
{
    NetSocket *s = (NetSocket *)nc;

    net_fd_poll(&s->fd, on, s->fd.want_out);
    /* No poll() wakes us for what has been read already. */
    if (on && !s->idle && s->type == SOCK_STREAM && stream_front(s) >= 0) {
        s->idle = g_idle_add_full(G_PRIORITY_DEFAULT, socket_idle, s, NULL);
    }
}

/* Opening ------------------------------------------------------------------ */

static void socket_use(NetSocket *s, int fd)
{
    socklen_t len = sizeof(s->type);

    s->fd = (NetFD){
        .nc = &s->nc, .fd = fd,
        .in = socket_readable, .out = socket_writable, .gone = socket_error,
    };
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &s->type, &len) < 0) {
        s->type = SOCK_DGRAM;
    }
    if (s->type == SOCK_STREAM && !s->in) {
        s->in = g_malloc0(BUF_SIZE);
        s->out = g_malloc(BUF_SIZE);
    }
    /* Whoever hangs up makes room for the next, even if the guest sleeps. */
    s->fd.watch = s->type == SOCK_STREAM;
    net_fd_poll(&s->fd, false, false);
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
    net_set_carrier(&s->nc, true);
    net_notify_readable(&s->nc, 0);
}

static void socket_listen_on(NetSocket *s, int fd)
{
    s->listener = (NetFD){ .nc = &s->nc, .fd = fd, .in = socket_accept, .gone = socket_accept };
    s->nc.carrier_off = true;
    net_fd_poll(&s->listener, true, false);
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
        return false;
    }
    socket_use(s, fd);
    return true;
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
    fd = net_addr_socket(local, remote, type, errp);
    if (fd < 0) {
        return false;
    }
    if (local && local->type && !strcmp(local->type, "unix")) {
        s->unlink_path = g_strdup(local->path);
    }
    if (type == SOCK_STREAM && !remote) {
        socket_listen_on(s, fd);
    } else {
        socket_use(s, fd);
    }
    return true;
}

static bool socket_open(NetClientState *nc, Error **errp)
{
    NetSocket *s = (NetSocket *)nc;
    int fd;

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
    nc->info = g_strdup("type=socket");
    if (s->fd_opt) {
        return socket_open_fd(s, s->fd_opt, errp);
    }
    if (s->mcast_opt) {
        if (!net_addr_parse(&s->remote, s->mcast_opt, errp)) {
            return false;
        }
        fd = net_addr_mcast(&s->remote, s->localaddr_opt, &s->dest, &s->dest_len, errp);
        if (fd >= 0) {
            socket_use(s, fd);
        }
        return fd >= 0;
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
    nc->info = g_strdup("type=stream");
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
    nc->info = g_strdup("type=dgram");
    if (!net_addr_given(&s->local)) {
        error_setg(errp, "dgram requires local= parameter");
        return false;
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
