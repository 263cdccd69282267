/*
 * Network backends that are sockets: names, binding, connecting.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "socket-addr.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_ADDRS 8     /* of a name that are tried */

typedef struct SockAddr {
    struct sockaddr_storage ss;
    socklen_t len;
} SockAddr;

bool net_addr_parse(NetAddr *a, const char *text, Error **errp)
{
    const char *colon = strrchr(text, ':');

    if (!colon || !colon[1]) {
        error_setg(errp, "'%s' is not an address of the form HOST:PORT", text);
        return false;
    }
    a->type = g_strdup("inet");
    a->host = g_strndup(text, colon - text);
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

/* a is zeroed, and stays so for what has no name. */
static void from_sockaddr(const struct sockaddr_storage *ss, socklen_t len, NetAddr *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)ss;
    size_t max = len - offsetof(struct sockaddr_un, sun_path);
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (ss->ss_family == AF_UNIX) {
        a->type = g_strdup("unix");
        /* The name of a socket without one has no bytes; an abstract one begins with 0. */
        a->path = len > offsetof(struct sockaddr_un, sun_path) ? g_strndup(un->sun_path, max) :
            g_strdup("");
    } else if (!getnameinfo((const struct sockaddr *)ss, len, host, sizeof(host), port,
                            sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV)) {
        a->type = g_strdup("inet");
        a->host = g_strdup(host);
        a->port = g_strdup(port);
    }
}

void net_addr_of_socket(int fd, NetAddr *a)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t len = sizeof(ss);

    if (!getsockname(fd, (struct sockaddr *)&ss, &len)) {
        from_sockaddr(&ss, len, a);
    }
}

void net_addr_of_peer(int fd, NetAddr *a)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t len = sizeof(ss);

    if (!getpeername(fd, (struct sockaddr *)&ss, &len)) {
        from_sockaddr(&ss, len, a);
    }
}

char *net_addr_text(const NetAddr *a)
{
    return a->path ? g_strdup(a->path) :
        g_strdup_printf("%s:%s", a->host ? a->host : "", a->port ? a->port : "");
}

static bool resolve_unix(const NetAddr *a, SockAddr *to, Error **errp)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&to->ss;

    if (!a->path || strlen(a->path) >= sizeof(un->sun_path)) {
        error_setg(errp, a->path ? "UNIX socket path '%s' is too long"
                                 : "Parameter 'path' is missing%s", a->path ? a->path : "");
        return false;
    }
    *to = (SockAddr){ .len = sizeof(*un) };
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, a->path, strlen(a->path) + 1);
    return true;
}

/* How many addresses a has, at most MAX_ADDRS; 0 with errp set. */
static unsigned resolve(const NetAddr *a, const struct addrinfo *hints, SockAddr *to,
                        Error **errp)
{
    const char *any = hints->ai_flags & AI_PASSIVE ? "0.0.0.0" : "127.0.0.1";
    struct addrinfo *list;
    unsigned n = 0;
    int ret;

    if (a->type && !strcmp(a->type, "unix")) {
        return resolve_unix(a, to, errp);
    }
    if (!a->type || strcmp(a->type, "inet")) {
        error_setg(errp, "Parameter 'type' does not accept value '%s'", a->type ? a->type : "");
        return 0;
    }
    if (!a->port) {
        error_setg(errp, "Parameter 'port' is missing");
        return 0;
    }
    ret = getaddrinfo(a->host && *a->host ? a->host : any, a->port, hints, &list);
    if (ret) {
        error_setg(errp, "address resolution failed for %s:%s: %s", a->host ? a->host : "",
                   a->port, gai_strerror(ret));
        return 0;
    }
    for (struct addrinfo *ai = list; ai && n < MAX_ADDRS; ai = ai->ai_next) {
        to[n].len = ai->ai_addrlen;
        memcpy(&to[n++].ss, ai->ai_addr, ai->ai_addrlen);
    }
    freeaddrinfo(list);
    return n;
}

static bool bind_to(int fd, const SockAddr *at, Error **errp)
{
    int one = 1;

    if (at->ss.ss_family == AF_UNIX) {
        const char *path = ((const struct sockaddr_un *)&at->ss)->sun_path;
        struct stat st;

        /* A socket that an earlier process left behind, never another file. */
        if (!stat(path, &st) && S_ISSOCK(st.st_mode)) {
            unlink(path);
        }
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
    if (ret < 0 && errno == EINPROGRESS) {
        ret = 0;
    }
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
    SockAddr at[MAX_ADDRS];

    return (!local || (resolve(local, &hints, at, errp) && bind_to(fd, at, errp))) &&
           connect_to(fd, to, type, errp);
}

int net_addr_socket(const NetAddr *local, const NetAddr *remote, int type, Error **errp)
{
    const struct addrinfo hints = { .ai_socktype = type, .ai_flags = remote ? 0 : AI_PASSIVE };
    SockAddr addrs[MAX_ADDRS];
    Error *err = NULL;
    unsigned n = resolve(remote ? remote : local, &hints, addrs, &err);

    for (const SockAddr *a = addrs; a < addrs + n; a++) {
        int fd = socket(a->ss.ss_family, type | SOCK_CLOEXEC, 0);

        error_free(err);
        err = NULL;
        if (fd < 0) {
            error_setg_errno(&err, errno, "can't create socket");
        } else if (remote ? connect_from(fd, local, a, type, &err)
                          : listen_at(fd, a, type, &err)) {
            fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
            return fd;
        } else {
            close(fd);
        }
    }
    error_propagate(errp, err);
    return -1;
}

int net_addr_connect(const NetAddr *remote, unsigned *next, Error **errp)
{
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
    SockAddr addrs[MAX_ADDRS];
    unsigned n = resolve(remote, &hints, addrs, errp);

    while (*next < n) {
        const SockAddr *a = &addrs[(*next)++];
        int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 && connect_to(fd, a, SOCK_STREAM, *next == n ? errp : NULL)) {
            return fd;
        }
        if (fd < 0 && *next == n) {
            error_setg_errno(errp, errno, "can't create socket");
        } else if (fd >= 0) {
            close(fd);
        }
    }
    return -1;
}

bool net_addr_find_peer(int fd, const NetAddr *remote)
{
    SockAddr to;

    return remote->type && !strcmp(remote->type, "unix") && resolve_unix(remote, &to, NULL) &&
           connect(fd, (struct sockaddr *)&to.ss, to.len) == 0;
}

int net_addr_mcast(const NetAddr *group, const char *localaddr, struct sockaddr_storage *ss,
                   socklen_t *len, Error **errp)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ss;
    struct ip_mreq mreq = { .imr_interface.s_addr = INADDR_ANY };
    const struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
    SockAddr to[MAX_ADDRS];
    int fd, one = 1;

    if (!resolve(group, &hints, to, errp)) {
        return -1;
    }
    *ss = to->ss;
    *len = to->len;
    if (ss->ss_family != AF_INET || !IN_MULTICAST(ntohl(in->sin_addr.s_addr)) ||
        (localaddr && !inet_aton(localaddr, &mreq.imr_interface))) {
        error_setg(errp, "not an IPv4 multicast group, or not a local address");
        return -1;
    }
    mreq.imr_multiaddr = in->sin_addr;
    fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, (struct sockaddr *)ss, *len) < 0 ||
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
