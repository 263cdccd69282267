/*
 * Messages with file descriptors through the socket chardev, and waiting for its peer.
 *
 * System calls: sendmsg poll shutdown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "chardev/char-peer.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "char-socket.h"

bool qemu_chr_passes_fds(const Chardev *s)
{
    const SocketChardev *c = socket_chardev(s);

    return c && !c->host && !c->telnet;
}

bool qemu_chr_fe_wait_connected(CharBackend *b, Error **errp)
{
    return b->chr->be_open || socket_wait_connected(downcast(b->chr, SocketChardev, parent), errp);
}

/* Wait for an event until the end; 0 or negative errno. */
static int wait_fd(int fd, short events, gint64 end)
{
    struct pollfd pfd = { .fd = fd, .events = events };

    for (;;) {
        gint64 left = end - g_get_monotonic_time();
        int n = poll(&pfd, 1, left > 0 ? (left + 999) / 1000 : 0);

        if (n > 0) {
            return 0;
        }
        if (n == 0) {
            return -ETIMEDOUT;
        }
        if (errno != EINTR) {
            return -errno;
        }
    }
}

static gint64 end_of(int timeout_ms)
{
    return g_get_monotonic_time() + timeout_ms * 1000ll;
}

/* What of the list could be sent now, with the descriptors; or negative errno. */
static ssize_t send_now(int sock, struct iovec *iov, const int *fds, unsigned nr_fds)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * SOCKET_MAX_FDS)];
    } control = { 0 };
    struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 1 };
    ssize_t n;

    if (nr_fds) {
        struct cmsghdr *cmsg;

        g_assert(nr_fds <= SOCKET_MAX_FDS);
        msg.msg_control = control.buf;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * nr_fds);
    }
    n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    return n < 0 ? -errno : n;
}

int qemu_chr_fe_send_fds(CharBackend *b, const void *buf, size_t len, const int *fds,
                         unsigned nr_fds, int timeout_ms)
{
    SocketChardev *c = downcast(b->chr, SocketChardev, parent);
    struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };
    gint64 end = end_of(timeout_ms);

    if (!c->parent.be_open) {
        return -ENOTCONN;
    }
    while (iov.iov_len) {
        ssize_t n = send_now(c->fd, &iov, fds, nr_fds);

        if (n > 0) {
            iov.iov_base = (char *)iov.iov_base + n;
            iov.iov_len -= n;
            nr_fds = 0;
        } else if (n == -EAGAIN) {
            n = wait_fd(c->fd, POLLOUT, end);
        }
        if (n < 0 && n != -EINTR) {
            return n;
        }
    }
    return 0;
}

int qemu_chr_fe_wait_input(CharBackend *b, int timeout_ms)
{
    SocketChardev *c = downcast(b->chr, SocketChardev, parent);
    int ret;

    if (!c->parent.be_open) {
        return -ENOTCONN;
    }
    ret = wait_fd(c->fd, POLLIN, end_of(timeout_ms));
    if (ret == 0) {
        socket_read_ready(c->fd, G_IO_IN, c);
    }
    return ret;
}

void qemu_chr_fe_hang_up(CharBackend *b)
{
    SocketChardev *c = downcast(b->chr, SocketChardev, parent);

    if (c->parent.be_open) {
        shutdown(c->fd, SHUT_RDWR);
    }
}
