/*
 * Addresses of the socket chardev: listening, connecting, describing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "char-socket.h"
#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/fd-param.h"

bool socket_check_address(SocketChardev *c, Error **errp)
{
    if (!!c->path + !!c->fdname + !!c->host > 1) {
        error_setg(errp, "None or one of 'path', 'fd' or 'host' option required.");
        return false;
    }
    if (c->port && !c->path && !c->fdname && !c->host) {
        c->host = g_strdup("");     /* listen on every address, or connect to ourselves */
    }
    if (!c->path && !c->host && !c->fdname) {
        error_setg(errp, "chardev: socket: no 'path', 'fd' or 'host' given");
        return false;
    }
    if (c->host && !c->port) {
        error_setg(errp, "chardev: socket: no port given");
        return false;
    }
    return true;
}

/* unix --------------------------------------------------------------------- */

static int unix_listen(SocketChardev *c, Error **errp)
{
    SockAddr at;
    int fd;

    if (!sock_addr_unix(&at, c->path, c->abstract, c->tight, errp)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Failed to create Unix socket");
        return -1;
    }
    if (!c->abstract) {
        sock_remove_stale(c->path);
    }
    if (bind(fd, (struct sockaddr *)&at.ss, at.len) < 0) {
        error_setg_errno(errp, confine_errno(c->path, true, errno), "Failed to bind socket to %s",
                         c->path);
    } else if (listen(fd, 1) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on socket");
        socket_unlink(c);
    } else {
        if (!c->abstract) {
            confine_need_path(c->path, CONFINE_REMOVE);
        }
        return fd;
    }
    close(fd);
    return -1;
}

void socket_unlink(const SocketChardev *c)
{
    if (c->path && c->server && !c->abstract) {
        unlink(c->path);
    }
}

/* inet --------------------------------------------------------------------- */

static int inet_family(const SocketChardev *c)
{
    bool four = c->ipv4 == ON_OFF_AUTO_ON, six = c->ipv6 == ON_OFF_AUTO_ON;

    if (c->ipv6 == ON_OFF_AUTO_OFF || (four && !six)) {
        return AF_INET;
    }
    return c->ipv4 == ON_OFF_AUTO_OFF || (six && !four) ? AF_INET6 : AF_UNSPEC;
}

static unsigned inet_resolve(const SocketChardev *c, int flags, SockAddr *to, Error **errp)
{
    const struct addrinfo hints = {
        .ai_family = inet_family(c), .ai_socktype = SOCK_STREAM, .ai_flags = flags,
    };

    return sock_addr_resolve(to, c->host, c->port, &hints, errp);
}

/* A socket that listens there; -1 with errno. */
static int inet_listen_at(const SockAddr *at, int v6only)
{
    int one = 1, fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int err;

    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->ss.ss_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof(v6only));
    }
    if (!bind(fd, (const struct sockaddr *)&at->ss, at->len) && !listen(fd, 1)) {
        return fd;
    }
    err = errno;
    close(fd);
    errno = err;
    return -1;
}

/*
 * Listen at the address, at its port or one up to to; -1 with errno. Unless v6only, the
 * address of IPv6 that means any takes IPv4, too.
 */
static int inet_bind(SockAddr *at, uint16_t to, int v6only)
{
    /* The port is at the same place in both families. */
    struct sockaddr_in *in = (struct sockaddr_in *)&at->ss;
    int port = ntohs(in->sin_port);
    int fd;

    do {
        in->sin_port = htons(port);
        /* Each port has a socket of its own: one that is bound stays so when it cannot listen. */
        fd = inet_listen_at(at, v6only);
    } while (fd < 0 && errno == EADDRINUSE && port && ++port <= to);
    return fd;
}

static int inet_listen(SocketChardev *c, Error **errp)
{
    SockAddr addrs[SOCK_MAX_ADDRS];
    unsigned n = inet_resolve(c, AI_PASSIVE, addrs, errp);
    bool v6only = inet_family(c) == AF_INET6;
    uint64_t to = 0;
    int fd = -1;

    if (!n) {
        return -1;
    }
    if (c->to && (qemu_strtou64(c->to, &to) < 0 || to > 65535)) {
        error_setg(errp, "Parameter 'to' expects a port number");
    } else {
        /* Without a host, the address that takes both families comes first. */
        for (unsigned i = 0; !*c->host && i < n && fd < 0; i++) {
            fd = addrs[i].ss.ss_family == AF_INET6 ? inet_bind(&addrs[i], to, v6only) : -1;
        }
        for (unsigned i = 0; i < n && fd < 0; i++) {
            fd = inet_bind(&addrs[i], to, v6only);
        }
        if (fd < 0) {
            error_setg_errno(errp, errno, "Failed to find an available port");
        }
    }
    return fd;
}

static int inet_connect(SocketChardev *c, Error **errp)
{
    SockAddr addrs[SOCK_MAX_ADDRS];
    unsigned n = inet_resolve(c, 0, addrs, errp);
    int err = 0;

    for (const SockAddr *a = addrs; a < addrs + n; a++) {
        int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd >= 0 && !connect(fd, (const struct sockaddr *)&a->ss, a->len)) {
            return fd;
        }
        err = errno;
        if (fd >= 0) {
            close(fd);
        }
    }
    if (n) {
        error_setg_errno(errp, err, "Failed to connect to '%s:%s'", c->host, c->port);
    }
    return -1;
}

/* Both, and inherited descriptors ------------------------------------------ */

static int inherited_fd(const SocketChardev *c, Error **errp)
{
    int fd = fd_param_open(c->fdname, errp);
    struct stat st;

    if (fd >= 0 && (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))) {
        error_setg(errp, "File descriptor '%s' is not a socket", c->fdname);
        fd_param_put(fd);
        return -1;
    }
    return fd;
}

int socket_listen(SocketChardev *c, Error **errp)
{
    int fd;

    if (c->path) {
        return unix_listen(c, errp);
    }
    if (c->host) {
        return inet_listen(c, errp);
    }
    fd = inherited_fd(c, errp);
    if (fd >= 0 && listen(fd, 1) < 0) {
        error_setg_errno(errp, errno, "Failed to listen on fd socket");
        fd_param_put(fd);
        return -1;
    }
    c->inherited = true;
    return fd;
}

static int unix_connect(SocketChardev *c, bool nonblock, Error **errp)
{
    SockAddr to;
    int fd;

    if (!sock_addr_unix(&to, c->path, c->abstract, c->tight, errp)) {
        return -1;
    }
    /* A full backlog then is a failure like others, to be tried again. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC |
                (nonblock ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to.ss, to.len) < 0) {
        error_setg_errno(errp, errno, "Failed to connect to '%s'", c->path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

int socket_connect(SocketChardev *c, bool nonblock, Error **errp)
{
    int fd, listening = 0;
    socklen_t len = sizeof(listening);

    if (c->path) {
        return unix_connect(c, nonblock, errp);
    }
    if (c->host) {
        return inet_connect(c, errp);
    }
    fd = inherited_fd(c, errp);
    if (fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) &&
        listening) {
        error_setg(errp, "File descriptor '%s' is a listening socket: it needs server=on",
                   c->fdname);
        fd_param_put(fd);
        return -1;
    }
    return fd;
}

SockConnect *socket_connect_inet(SocketChardev *c, SockConnectFn *fn, Error **errp)
{
    g_autofree char *failed = g_strdup_printf("Failed to connect to '%s:%s'", c->host, c->port);

    return sock_connect(&(SockTarget) { c->host, c->port, inet_family(c), failed }, fn, c, errp);
}

/* Names -------------------------------------------------------------------- */

/* What IPv4 knows a host by whom a socket of both families has in numbers of IPv6. */
static const char *plain_host(int fd, const char *host)
{
    static const char mapped[] = "::ffff:";
    int v6only = 1;
    socklen_t len = sizeof(v6only);

    if (g_str_has_prefix(host, mapped) && strchr(host, '.')) {
        return host + strlen(mapped);
    }
    if (!strcmp(host, "::")) {
        getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len);
    }
    return v6only ? host : "0.0.0.0";
}

/* "host:port" of one end of fd, as numbers; "" when it has none. */
static char *inet_name(int fd, bool peer)
{
    g_autofree char *own = NULL, *port = NULL;
    const char *host;
    SockAddr a;

    if (!sock_addr_of(fd, peer, &a) || !sock_addr_numbers(&a, &own, &port)) {
        return g_strdup("");
    }
    host = plain_host(fd, own);
    return strchr(host, ':') ? g_strdup_printf("[%s]:%s", host, port)
                             : g_strdup_printf("%s:%s", host, port);
}

/* The path of fd's own end, "" when it has none or an abstract one. */
static char *unix_name(int fd)
{
    const struct sockaddr_un *un;
    SockAddr a;

    if (!sock_addr_of(fd, false, &a)) {
        return g_strdup("");
    }
    un = (const struct sockaddr_un *)&a.ss;
    return g_strndup(un->sun_path, sizeof(un->sun_path));
}

static char *describe_connected(const SocketChardev *c)
{
    const char *server = c->server ? ",server=on" : "";
    g_autofree char *local = NULL, *peer = NULL;

    if (sock_is_unix(c->fd)) {
        local = unix_name(c->fd);
        return g_strdup_printf("unix:%s%s", local, server);
    }
    local = inet_name(c->fd, false);
    peer = inet_name(c->fd, true);
    return g_strdup_printf("%s:%s%s <-> %s", c->telnet ? "telnet" : "tcp", local,
                           server, peer);
}

char *socket_describe(const SocketChardev *c)
{
    const char *server = c->server ? ",server=on" : "";
    g_autofree char *local = NULL;

    if (c->parent.be_open) {
        return describe_connected(c);
    }
    if (c->path) {
        return g_strdup_printf("disconnected:unix:%s%s%s%s", c->path,
                               c->abstract ? ",abstract=on" : "",
                               c->abstract && c->tight ? ",tight=on" : "", server);
    }
    if (c->fdname) {
        return g_strdup_printf("disconnected:fd:%s%s", c->fdname, server);
    }
    local = c->listen_fd >= 0 ? inet_name(c->listen_fd, false)
                              : g_strdup_printf("%s:%s", c->host, c->port);
    return g_strdup_printf("disconnected:%s:%s%s", c->telnet ? "telnet" : "tcp", local,
                           server);
}
