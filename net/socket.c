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

#include "qemu/iov.h"
#include "socket-internal.h"

#define PREFIX 4
#define MAX_IOV 128
#define BUF_SIZE (NET_FRAME_MAX + PREFIX)

void socket_set_info(NetSocket *s, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    g_free(s->nc.info);
    s->nc.info = g_strdup_printf("type=%s,%s", s->nc.obj.oc->name, text);
}

bool socket_is_netdev_stream(const NetSocket *s)
{
    return !strcmp(s->nc.obj.oc->name, "stream");
}

static void socket_gone(NetFD *f)
{
    NetSocket *s = downcast(f->nc, NetSocket, nc);

    net_fd_close(&s->fd);
    socket_set_info(s, "%s", "");
    if (socket_is_netdev_stream(s)) {
        net_stream_event(&s->nc, NULL);
    }
    s->in_pos = s->in_len = s->out_pos = s->out_len = 0;
    net_set_carrier(&s->nc, false);
    if (s->listener.fd >= 0) {
        /* One peer at a time: now the next one may come. */
        net_fd_poll(&s->listener, true, false);
    } else {
        Error *err = NULL;

        error_setg(&err, "the peer has closed the connection");
        socket_no_peer(s, err);
    }
}

/*
 * Of datagrams the host tells that nobody was there to take one: the next may find
 * somebody. Looking at the error ends it.
 */
static void socket_error(NetFD *f)
{
    NetSocket *s = downcast(f->nc, NetSocket, nc);
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
    NetSocket *s = downcast(f->nc, NetSocket, nc);
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

    if (s->dest.len) {
        msg.msg_name = &s->dest.ss;
        msg.msg_namelen = s->dest.len;
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

int socket_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetSocket *s = downcast(nc, NetSocket, nc);
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
    NetSocket *s = downcast(f->nc, NetSocket, nc);

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

ssize_t socket_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetSocket *s = downcast(nc, NetSocket, nc);
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

void socket_set_receive(NetClientState *nc, unsigned q, bool on)
{
    NetSocket *s = downcast(nc, NetSocket, nc);

    net_fd_poll(&s->fd, on, s->fd.want_out);
    /* No poll() wakes us for what has been read already. */
    if (on && !s->idle && s->type == SOCK_STREAM && stream_front(s) >= 0) {
        s->idle = g_idle_add_full(G_PRIORITY_DEFAULT, socket_idle, s, NULL);
    }
}

void socket_use(NetSocket *s, int fd)
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
