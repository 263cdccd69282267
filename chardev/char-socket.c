/*
 * The socket chardev: a unix or TCP stream, as server or client.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "char-socket.h"
#include "char-telnet.h"
#include "qemu/confine.h"
#include "qemu/main-loop.h"

#define READ_CHUNK 4096
/* A peer that cannot be accepted now waits so long. */
#define ACCEPT_RETRY_MS 200

static const ChardevClass socket_class;
static gboolean try_connect(gpointer opaque);
static void socket_update_read_handler(Chardev *s);

static void remove_source(guint *tag)
{
    if (*tag) {
        g_source_remove(*tag);
        *tag = 0;
    }
}

static void update_filename(SocketChardev *c)
{
    g_free(c->parent.filename);
    c->parent.filename = socket_describe(c);
}

/* Peers come and go -------------------------------------------------------- */

static void drop_fds(SocketChardev *c)
{
    while (c->nr_fds) {
        close(c->fds[--c->nr_fds]);
    }
}

static gboolean accept_ready(gint fd, GIOCondition cond, gpointer opaque);

/* A second client waits in the backlog until the first is gone. */
static void update_accept(SocketChardev *c)
{
    bool want = c->listen_fd >= 0 && (c->fd < 0 || c->hung_up);

    if (want && !c->accept_tag) {
        c->accept_tag = qemu_fd_add(c->listen_fd, G_IO_IN, accept_ready, c);
    } else if (!want) {
        remove_source(&c->accept_tag);
    }
}

static void peer_connected(SocketChardev *c, int fd)
{
    int one = 1;

    c->fd = fd;
    c->hung_up = false;
    c->told = false;
    c->telnet_state = 0;
    c->telnet_escape = false;
    chr_fd_set_nonblock(fd);
    if (c->nodelay || !c->delay) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    if (c->telnet && c->server) {
        send(fd, telnet_hello, sizeof(telnet_hello), MSG_NOSIGNAL);
    }
    c->parent.be_open = true;
    update_filename(c);
    update_accept(c);
    qemu_chr_be_event(&c->parent, CHR_EVENT_OPENED);
    socket_update_read_handler(&c->parent);
}

/* Never from chr_write: the frontend would be called back while it writes. */
static void peer_gone(SocketChardev *c)
{
    int fd = c->fd;

    remove_source(&c->close_tag);
    remove_source(&c->io_tag);
    if (fd < 0) {
        return;
    }
    c->hung_up = false;
    qemu_chr_be_event(&c->parent, CHR_EVENT_CLOSED);
    c->fd = -1;
    close(fd);
    drop_fds(c);
    update_filename(c);
    update_accept(c);
    if (c->reconnect && !c->connect_tag) {
        c->connect_tag = g_timeout_add(c->reconnect * 1000, try_connect, c);
    }
}

static gboolean accept_again(gpointer opaque)
{
    SocketChardev *c = opaque;

    c->accept_tag = 0;
    update_accept(c);
    return G_SOURCE_REMOVE;
}

static gboolean accept_ready(gint listen_fd, GIOCondition cond, gpointer opaque)
{
    SocketChardev *c = opaque;
    int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
        /* Out of descriptors: whoever knocks would keep the loop awake. */
        c->accept_tag = g_timeout_add(ACCEPT_RETRY_MS, accept_again, c);
        return G_SOURCE_REMOVE;
    }
    if (fd >= 0) {
        /* Somebody new: what a peer that left has not been read of is lost. */
        peer_gone(c);
        peer_connected(c, fd);
    }
    return G_SOURCE_CONTINUE;
}

/* Client with reconnect= --------------------------------------------------- */

static void connect_failed(SocketChardev *c, Error *err)
{
    if (!c->told) {
        error_report("Unable to connect character device %s: %s", c->parent.obj.id,
                     error_get_pretty(err));
        c->told = true;
    }
    error_free(err);
    c->connect_tag = g_timeout_add(c->reconnect * 1000, try_connect, c);
}

static void connect_done(int fd, Error *err, void *opaque)
{
    SocketChardev *c = opaque;

    c->connecting = NULL;
    if (fd >= 0) {
        peer_connected(c, fd);
    } else {
        connect_failed(c, err);
    }
}

static gboolean try_connect(gpointer opaque)
{
    SocketChardev *c = opaque;
    Error *err = NULL;
    int fd = -1;

    c->connect_tag = 0;
    if (c->host) {
        c->connecting = socket_connect_inet(c, connect_done, &err);
    } else {
        fd = socket_connect(c, true, &err);
    }
    if (fd >= 0) {
        peer_connected(c, fd);
    } else if (!c->connecting) {
        connect_failed(c, err);
    }
    return G_SOURCE_REMOVE;
}

/* Input -------------------------------------------------------------------- */

/* Like read(); descriptors that came along take the place of those of the message before. */
static ssize_t receive(SocketChardev *c, uint8_t *buf, size_t len)
{
    int fds[SOCKET_MAX_FDS];
    unsigned nr_fds = SOCKET_MAX_FDS;
    ssize_t n = recv_with_fds(c->fd, buf, len, fds, &nr_fds);

    if (nr_fds) {
        drop_fds(c);
        memcpy(c->fds, fds, nr_fds * sizeof(int));
        c->nr_fds = nr_fds;
    }
    return n;
}

gboolean socket_read_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    SocketChardev *c = opaque;
    uint8_t buf[READ_CHUNK];
    int room = qemu_chr_be_can_write(&c->parent);
    bool brk = false;
    ssize_t n;

    if (room <= 0) {
        socket_update_read_handler(&c->parent);
        return G_SOURCE_CONTINUE;
    }
    n = receive(c, buf, MIN((size_t)room, sizeof(buf)));
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        peer_gone(c);
        return G_SOURCE_CONTINUE;
    }
    if (n > 0 && c->telnet) {
        n = telnet_input(&c->telnet_state, buf, n, &brk);
    }
    if (brk) {
        qemu_chr_be_event(&c->parent, CHR_EVENT_BREAK);
    }
    if (n > 0) {
        qemu_chr_be_write(&c->parent, buf, n);
    }
    socket_update_read_handler(&c->parent);
    return G_SOURCE_CONTINUE;
}

/* The peer left while the frontend takes no input. */
static gboolean hang_up(gint fd, GIOCondition cond, gpointer opaque)
{
    SocketChardev *c = opaque;
    int unread = 0;

    if (!ioctl(fd, FIONREAD, &unread) && unread > 0) {
        /* It may have said something first: keep that, but let others in. */
        c->hung_up = true;
        remove_source(&c->io_tag);
        update_accept(c);
    } else {
        peer_gone(c);
    }
    return G_SOURCE_CONTINUE;
}

static void socket_update_read_handler(Chardev *s)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);
    bool want = qemu_chr_be_can_write(s) > 0;

    if (c->fd < 0) {
        return;
    }
    if (c->io_tag && c->io_is_read == want) {
        return;
    }
    remove_source(&c->io_tag);
    c->io_is_read = want;
    if (want) {
        c->io_tag = qemu_fd_add(c->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, socket_read_ready, c);
    } else if (!c->hung_up) {
        c->io_tag = qemu_fd_add(c->fd, G_IO_HUP | G_IO_ERR, hang_up, c);
    }
}

static int socket_get_msgfd(Chardev *s)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);
    int fd;

    if (!c->nr_fds) {
        return -1;
    }
    fd = c->fds[0];
    memmove(c->fds, c->fds + 1, --c->nr_fds * sizeof(int));
    return fd;
}

/* Output ------------------------------------------------------------------- */

static int send_some(int fd, const uint8_t *buf, int len)
{
    ssize_t n;

    do {
        n = send(fd, buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (int)n;
}

/* A data byte of 0xff goes out doubled; others as they are. */
static int send_telnet(SocketChardev *c, const uint8_t *buf, int len)
{
    static const uint8_t iac[2] = { 0xff, 0xff };
    const uint8_t *ff;
    int n;

    if (c->telnet_escape) {
        n = send_some(c->fd, iac, 1);
        if (n < 0) {
            return n;
        }
        c->telnet_escape = false;
    }
    ff = memchr(buf, 0xff, len);
    if (ff != buf) {
        return send_some(c->fd, buf, ff ? ff - buf : len);
    }
    n = send_some(c->fd, iac, 2);
    c->telnet_escape = n == 1;
    return n > 0 ? 1 : n;
}

static gboolean close_later(gpointer opaque)
{
    SocketChardev *c = opaque;

    c->close_tag = 0;
    hang_up(c->fd, G_IO_HUP, c);
    return G_SOURCE_REMOVE;
}

static int socket_write(Chardev *s, const uint8_t *buf, int len)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);
    int n;

    if (!s->be_open || c->close_tag || c->hung_up) {
        return len;
    }
    n = c->telnet ? send_telnet(c, buf, len) : send_some(c->fd, buf, len);
    if (n >= 0 || n == -EAGAIN) {
        return n;
    }
    /*
     * The peer is gone. If it left something to read, reading finds the end;
     * otherwise close soon, but not under the feet of our caller.
     */
    if (!(c->io_tag && c->io_is_read)) {
        c->close_tag = g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, close_later, c, NULL);
    }
    return len;
}

static int socket_watch_fd(Chardev *s)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);

    return s->be_open && !c->close_tag && !c->hung_up ? c->fd : -1;
}

/* Life --------------------------------------------------------------------- */

/*
 * Nothing goes on before a peer is there, and the main loop does not run yet. Wait for
 * fd (-1: for nothing) up to ms (-1: for ever). False when a blocked signal is pending that
 * asks us to end: it gets its turn, and normally does not come back.
 */
static bool wait_blocked(SocketChardev *c, int fd, int ms, Error **errp)
{
    struct pollfd pfd[2] = { { .fd = fd, .events = POLLIN }, { .fd = -1, .events = POLLIN } };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    pfd[1].fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    poll(pfd, 2, ms);
    if (pfd[1].fd >= 0) {
        close(pfd[1].fd);
    }
    if (!pfd[1].revents) {
        return true;
    }
    /* We may not yet be in the list that is cleaned up at exit. */
    socket_unlink(c);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    error_setg(errp, "terminated while waiting for a connection");
    return false;
}

static bool wait_for_client(SocketChardev *c, Error **errp)
{
    int fd = -1;

    info_report("QEMU waiting for connection on: %s", c->parent.filename);
    while (fd < 0) {
        if (!wait_blocked(c, c->listen_fd, -1, errp)) {
            return false;
        }
        fd = accept4(c->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    peer_connected(c, fd);
    return true;
}

bool socket_wait_connected(SocketChardev *c, Error **errp)
{
    if (c->server) {
        return wait_for_client(c, errp);
    }
    if (!c->reconnect) {
        error_setg(errp, "chardev '%s' is not connected", c->parent.obj.id);
        return false;
    }
    while (!c->parent.be_open) {
        if (!wait_blocked(c, -1, c->reconnect * 1000, errp)) {
            return false;
        }
        remove_source(&c->connect_tag);
        try_connect(c);
    }
    return true;
}

SocketChardev *socket_chardev(const Chardev *s)
{
    return chr_class(s) == &socket_class ? downcast(s, SocketChardev, parent) : NULL;
}

static bool open_server(SocketChardev *c, Error **errp)
{
    c->listen_fd = socket_listen(c, errp);
    if (c->listen_fd < 0) {
        return false;
    }
    chr_fd_set_nonblock(c->listen_fd);
    update_filename(c);
    if (c->wait != ON_OFF_AUTO_OFF) {
        if (!wait_for_client(c, errp)) {
            close(c->listen_fd);
            return false;
        }
        return true;
    }
    update_accept(c);
    return true;
}

static bool socket_open(Chardev *s, Error **errp)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);
    int fd;

    c->fd = c->listen_fd = -1;
    if (!socket_check_address(c, errp)) {
        return false;
    }
    if (c->server) {
        if (c->reconnect) {
            error_setg(errp, "'reconnect' option is incompatible with socket in "
                             "server listen mode");
            return false;
        }
        return open_server(c, errp);
    }
    if (c->wait != ON_OFF_AUTO_AUTO) {
        error_setg(errp, "'wait' option is incompatible with socket in client "
                         "connect mode");
        return false;
    }
    if (c->reconnect && c->fdname) {
        error_setg(errp, "'reconnect' option is incompatible with 'fd'");
        return false;
    }
    update_filename(c);
    if (c->reconnect) {
        confine_need(c->host ? CONFINE_NAMES : CONFINE_SOCKETS);
        try_connect(c);
        return true;
    }
    fd = socket_connect(c, false, errp);
    if (fd < 0) {
        return false;
    }
    peer_connected(c, fd);
    return true;
}

static void socket_close(Chardev *s)
{
    SocketChardev *c = downcast(s, SocketChardev, parent);

    remove_source(&c->accept_tag);
    remove_source(&c->connect_tag);
    sock_connect_cancel(c->connecting);
    remove_source(&c->io_tag);
    remove_source(&c->close_tag);
    drop_fds(c);
    if (c->fd >= 0) {
        close(c->fd);
    }
    if (c->listen_fd >= 0) {
        socket_unlink(c);
        close(c->listen_fd);
    }
}

static const Property socket_props[] = {
    DEFINE_PROP_STRING("path", SocketChardev, path, NULL, "unix socket"),
    DEFINE_PROP_BOOL("abstract", SocketChardev, abstract, "off",
                     "path is a name outside the file system"),
    DEFINE_PROP_BOOL("tight", SocketChardev, tight, "on",
                     "an abstract name has no padding"),
    DEFINE_PROP_STRING("fd", SocketChardev, fdname, NULL,
                       "inherited descriptor of a socket"),
    DEFINE_PROP_STRING("host", SocketChardev, host, NULL, "TCP host"),
    DEFINE_PROP_STRING("port", SocketChardev, port, NULL, "TCP port"),
    DEFINE_PROP_STRING("to", SocketChardev, to, NULL,
                       "last port to try when listening"),
    DEFINE_PROP_ON_OFF_AUTO("ipv4", SocketChardev, ipv4, "auto", "use IPv4"),
    DEFINE_PROP_ON_OFF_AUTO("ipv6", SocketChardev, ipv6, "auto", "use IPv6"),
    DEFINE_PROP_BOOL("server", SocketChardev, server, "off", "listen for a client"),
    DEFINE_PROP_ON_OFF_AUTO("wait", SocketChardev, wait, "auto",
                            "server: wait for a client before starting"),
    DEFINE_PROP_BOOL("delay", SocketChardev, delay, "on", "use Nagle's algorithm"),
    DEFINE_PROP_BOOL("nodelay", SocketChardev, nodelay, "off",
                     "do not use Nagle's algorithm"),
    DEFINE_PROP_BOOL("telnet", SocketChardev, telnet, "off", "speak telnet"),
    DEFINE_PROP_UINT32("reconnect", SocketChardev, reconnect, "0",
                       "client: seconds before connecting again"),
    DEFINE_PROP_END
};

static const ChardevClass socket_class = {
    .oc = {
        .name = "socket",
        .desc = "a unix or TCP socket",
        .parent = &chardev_base_class,
        .instance_size = sizeof(SocketChardev),
        .props = socket_props,
    },
    .open = socket_open,
    .close = socket_close,
    .chr_write = socket_write,
    .chr_watch_fd = socket_watch_fd,
    .chr_update_read_handler = socket_update_read_handler,
    .chr_get_msgfd = socket_get_msgfd,
};
DEFINE_CLASS(chardev_socket, &socket_class.oc);
