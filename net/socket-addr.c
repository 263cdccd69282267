/*
 * Network backends that are sockets: names, binding, connecting.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "socket-addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

bool net_addr_parse(NetAddr *a, const char *text, Error **errp)
{
    const char *colon = strrchr(text, ':');

    if (!colon || !colon[1]) {
        error_setg(errp, "'%s' is not an address of the form HOST:PORT", text);
        return false;
    }
    a->type = g_strdup("inet");
    /* RFC 3986, 3.2.2: an address of IPv6 stands in brackets. */
    a->host = *text == '[' && colon[-1] == ']' ? g_strndup(text + 1, colon - text - 2)
                                               : g_strndup(text, colon - text);
    a->port = g_strdup(colon + 1);
    return true;
}

void net_addr_clear(NetAddr *a)
{
    g_free(a->type);
    g_free(a->host);
    g_free(a->port);
    g_free(a->path);
    g_free(a->str);
    memset(a, 0, sizeof(*a));
}

static void name_of(int fd, bool peer, NetAddr *a)
{
    SockAddr sa;
    const struct sockaddr_un *un = (const struct sockaddr_un *)&sa.ss;
    const socklen_t head = offsetof(struct sockaddr_un, sun_path);

    if (!sock_addr_of(fd, peer, &sa)) {
        return;
    }
    if (sa.ss.ss_family == AF_UNIX) {
        a->type = g_strdup("unix");
        /* The name of a socket without one has no bytes; an abstract one begins with 0. */
        a->abstract = sa.len > head && !un->sun_path[0];
        a->path = g_strndup(un->sun_path + a->abstract,
                            sa.len > head ? sa.len - head - a->abstract : 0);
    } else if (sock_addr_numbers(&sa, &a->host, &a->port)) {
        a->type = g_strdup("inet");
    }
}

void net_addr_of_socket(int fd, NetAddr *a)
{
    name_of(fd, false, a);
}

void net_addr_of_peer(int fd, NetAddr *a)
{
    name_of(fd, true, a);
}

char *net_addr_text(const NetAddr *a)
{
    const char *host = a->host ? a->host : "";

    return a->path ? g_strconcat(a->abstract ? "@" : "", a->path, NULL) :
        g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, a->port ? a->port : "");
}

static bool resolve_unix(const NetAddr *a, SockAddr *to, Error **errp)
{
    if (!a->path) {
        error_setg(errp, "Parameter 'path' is missing");
        return false;
    }
    return sock_addr_unix(to, a->path, a->abstract, a->tight, errp);
}

/* What ipv4= and ipv6= leave: one that is on is the only one, unless both are. */
static int family_of(const NetAddr *a)
{
    bool no4 = a->ipv4 == ON_OFF_AUTO_OFF ||
               (a->ipv6 == ON_OFF_AUTO_ON && a->ipv4 != ON_OFF_AUTO_ON);
    bool no6 = a->ipv6 == ON_OFF_AUTO_OFF ||
               (a->ipv4 == ON_OFF_AUTO_ON && a->ipv6 != ON_OFF_AUTO_ON);

    return no4 ? AF_INET6 : no6 ? AF_INET : AF_UNSPEC;
}

/* The host that is meant where none is given. */
static const char *host_of(const NetAddr *a, bool passive)
{
    bool v6 = family_of(a) == AF_INET6;

    return a->host && *a->host ? a->host : passive ? (v6 ? "::" : "0.0.0.0")
                                                   : v6 ? "::1" : "127.0.0.1";
}

static bool check_inet(const NetAddr *a, bool server, Error **errp)
{
    if (a->mptcp) {
        error_setg(errp, "'mptcp': multipath TCP is not supported");
        return false;
    }
    if (a->to && !server) {
        error_setg(errp, "'to' needs a stream with server=on");
        return false;
    }
    if (a->ipv4 == ON_OFF_AUTO_OFF && a->ipv6 == ON_OFF_AUTO_OFF) {
        error_setg(errp, "Cannot disable IPv4 and IPv6 at same time");
        return false;
    }
    if (!a->type || strcmp(a->type, "inet")) {
        error_setg(errp, "Parameter 'type' does not accept value '%s'", a->type ? a->type : "");
        return false;
    }
    if (!a->port) {
        error_setg(errp, "Parameter 'port' is missing");
    }
    return a->port;
}

static int numeric_flags(const NetAddr *a)
{
    return a->numeric ? AI_NUMERICHOST | AI_NUMERICSERV : 0;
}

/* How many addresses a has; 0 with errp set. */
static unsigned resolve(const NetAddr *a, const struct addrinfo *hints,
                        SockAddr to[SOCK_MAX_ADDRS], Error **errp)
{
    struct addrinfo own = *hints;
    bool passive = hints->ai_flags & AI_PASSIVE;

    if (net_addr_is_unix(a)) {
        return resolve_unix(a, to, errp);
    }
    own.ai_flags |= numeric_flags(a);
    own.ai_family = own.ai_family == AF_UNSPEC ? family_of(a) : own.ai_family;
    return !check_inet(a, passive && own.ai_socktype == SOCK_STREAM, errp) ? 0 :
        sock_addr_resolve(to, host_of(a, passive), a->port, &own, errp);
}

unsigned net_addr_resolve(const NetAddr *remote, SockAddr *to, Error **errp)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };

    return resolve(remote, &hints, to, errp);
}

static bool bind_to(int fd, const SockAddr *at, Error **errp)
{
    int one = 1;

    if (at->ss.ss_family == AF_UNIX) {
        sock_remove_stale(((const struct sockaddr_un *)&at->ss)->sun_path);
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (bind(fd, (const struct sockaddr *)&at->ss, at->len) < 0) {
        error_setg_errno(errp, errno, "can't bind socket");
        return false;
    }
    return true;
}

static bool listen_at(int fd, const SockAddr *at, int type, Error **errp)
{
    if (!bind_to(fd, at, errp)) {
        return false;
    }
    if (type == SOCK_STREAM && listen(fd, 1) < 0) {
        error_setg_errno(errp, errno, "can't listen on socket");
        return false;
    }
    return true;
}

static bool connect_to(int fd, const SockAddr *to, int type, Error **errp)
{
    int ret, one = 1;

    do {
        ret = connect(fd, (const struct sockaddr *)&to->ss, to->len);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0 && type == SOCK_DGRAM && to->ss.ss_family == AF_UNIX &&
        (errno == ENOENT || errno == ECONNREFUSED)) {
        return true;        /* net_addr_find_peer() */
    }
    if (ret < 0) {
        error_setg_errno(errp, errno, "can't connect socket");
        return false;
    }
    if (type == SOCK_STREAM && to->ss.ss_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return true;
}

/* From local, if it is given, whose address is to be of the family that to has. */
static bool connect_from(int fd, const NetAddr *local, const SockAddr *to, int type,
                         Error **errp)
{
    const struct addrinfo hints = {
        .ai_family = to->ss.ss_family, .ai_socktype = type, .ai_flags = AI_PASSIVE,
    };
    SockAddr at[SOCK_MAX_ADDRS];

    return (!local || (resolve(local, &hints, at, errp) && bind_to(fd, at, errp))) &&
           connect_to(fd, to, type, errp);
}

/* A socket that is bound to at, or, if remote is given, goes from local to at. */
static int open_socket(const NetAddr *local, const NetAddr *remote, const SockAddr *at, int type,
                       Error **errp)
{
    int fd = socket(at->ss.ss_family, type | SOCK_CLOEXEC, 0);

    if (fd < 0) {
        error_setg_errno(errp, errno, "can't create socket");
    } else if (remote ? connect_from(fd, local, at, type, errp)
                      : listen_at(fd, at, type, errp)) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    } else {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The next port of those that a server may have. */
static bool next_port(SockAddr *at, uint16_t to)
{
    /* It is at the same place in both families. */
    struct sockaddr_in *in = (struct sockaddr_in *)&at->ss;
    uint16_t port = at->ss.ss_family == AF_UNIX ? 0 : ntohs(in->sin_port);

    if (!port || port >= to) {
        return false;
    }
    in->sin_port = htons(port + 1);
    return true;
}

int net_addr_socket(const NetAddr *local, const NetAddr *remote, int type, Error **errp)
{
    const struct addrinfo hints = { .ai_socktype = type, .ai_flags = remote ? 0 : AI_PASSIVE };
    SockAddr addrs[SOCK_MAX_ADDRS];
    Error *err = NULL;
    unsigned n = resolve(remote ? remote : local, &hints, addrs, &err);

    for (SockAddr *a = addrs; a < addrs + n; a++) {
        do {
            int fd;

            error_free(err);
            err = NULL;
            fd = open_socket(local, remote, a, type, &err);
            if (fd >= 0) {
                return fd;
            }
        } while (!remote && next_port(a, local->to));
    }
    error_propagate(errp, err);
    return -1;
}

int net_addr_connect_unix(const NetAddr *remote, Error **errp)
{
    SockAddr to;
    int fd;

    if (!resolve_unix(remote, &to, errp)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        error_setg_errno(errp, errno, "can't create socket");
    } else if (!connect_to(fd, &to, SOCK_STREAM, errp)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

SockConnect *net_addr_connect_inet(const NetAddr *remote, SockConnectFn *fn, void *opaque,
                                   Error **errp)
{
    const SockTarget to = { host_of(remote, false), remote->port, family_of(remote),
                            "can't connect socket" };

    /* A name is looked up by a thread, and numbers are not: so what is none is told here. */
    if (remote->numeric && !net_addr_resolve(remote, (SockAddr[SOCK_MAX_ADDRS]){ 0 }, errp)) {
        return NULL;
    }
    return check_inet(remote, false, errp) ? sock_connect(&to, fn, opaque, errp) : NULL;
}

bool net_addr_find_peer(int fd, const NetAddr *remote)
{
    SockAddr to;

    return net_addr_is_unix(remote) && resolve_unix(remote, &to, NULL) &&
           connect(fd, (struct sockaddr *)&to.ss, to.len) == 0;
}

bool net_addr_is_mcast(const NetAddr *a)
{
    struct in_addr in;

    return a->type && !strcmp(a->type, "inet") && a->host && inet_aton(a->host, &in) &&
           IN_MULTICAST(ntohl(in.s_addr));
}

bool net_addr_group(const NetAddr *group, SockAddr *to, Error **errp)
{
    const struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_DGRAM };
    SockAddr addrs[SOCK_MAX_ADDRS];

    if (!resolve(group, &hints, addrs, errp)) {
        return false;
    }
    *to = *addrs;
    if (!IN_MULTICAST(ntohl(((struct sockaddr_in *)&to->ss)->sin_addr.s_addr))) {
        error_setg(errp, "not an IPv4 multicast group");
        return false;
    }
    return true;
}

int net_addr_mcast(const SockAddr *group, const char *localaddr, Error **errp)
{
    struct ip_mreq mreq = { .imr_interface.s_addr = INADDR_ANY };
    int fd, one = 1;

    mreq.imr_multiaddr = ((const struct sockaddr_in *)&group->ss)->sin_addr;
    if (localaddr && !inet_aton(localaddr, &mreq.imr_interface)) {
        error_setg(errp, "'%s' is not a local address", localaddr);
        return -1;
    }
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (const struct sockaddr *)&group->ss, group->len) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &mreq, sizeof(mreq)) < 0 ||
        (localaddr && setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &mreq.imr_interface,
                                 sizeof(mreq.imr_interface)) < 0)) {
        error_setg_errno(errp, errno, "can't join the multicast group");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}
