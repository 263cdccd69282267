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

static bool resolve_unix(const NetAddr *a, struct sockaddr_storage *ss, socklen_t *len,
                         Error **errp)
{
    struct sockaddr_un *un = (struct sockaddr_un *)ss;

    if (!a->path || strlen(a->path) >= sizeof(un->sun_path)) {
        error_setg(errp, a->path ? "UNIX socket path '%s' is too long"
                                 : "Parameter 'path' is missing%s", a->path ? a->path : "");
        return false;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, a->path, strlen(a->path) + 1);
    *len = sizeof(*un);
    return true;
}

static bool resolve(const NetAddr *a, int type, bool passive, struct sockaddr_storage *ss,
                    socklen_t *len, Error **errp)
{
    struct addrinfo hints = { .ai_socktype = type, .ai_flags = passive ? AI_PASSIVE : 0 };
    struct addrinfo *list;
    int ret;

    memset(ss, 0, sizeof(*ss));
    if (a->type && !strcmp(a->type, "unix")) {
        return resolve_unix(a, ss, len, errp);
    }
    if (!a->type || strcmp(a->type, "inet")) {
        error_setg(errp, "Parameter 'type' does not accept value '%s'", a->type ? a->type : "");
        return false;
    }
    if (!a->port) {
        error_setg(errp, "Parameter 'port' is missing");
        return false;
    }
    ret = getaddrinfo(a->host && *a->host ? a->host : passive ? "0.0.0.0" : "127.0.0.1",
                      a->port, &hints, &list);
    if (ret) {
        error_setg(errp, "address resolution failed for %s:%s: %s", a->host ? a->host : "",
                   a->port, gai_strerror(ret));
        return false;
    }
    memcpy(ss, list->ai_addr, list->ai_addrlen);
    *len = list->ai_addrlen;
    freeaddrinfo(list);
    return true;
}

static bool bind_local(int fd, const NetAddr *local, int type, Error **errp)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int one = 1;

    if (!resolve(local, type, true, &ss, &len, errp)) {
        return false;
    }
    if (ss.ss_family == AF_UNIX) {
        const char *path = ((struct sockaddr_un *)&ss)->sun_path;
        struct stat st;

        /* A socket that an earlier process left behind, never another file. */
        if (!stat(path, &st) && S_ISSOCK(st.st_mode)) {
            unlink(path);
        }
    } else {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    }
    if (bind(fd, (struct sockaddr *)&ss, len) < 0) {
        error_setg_errno(errp, errno, "can't bind socket");
        return false;
    }
    return true;
}

static int family_of(const NetAddr *a, int type, Error **errp)
{
    struct sockaddr_storage ss;
    socklen_t len;

    return resolve(a, type, true, &ss, &len, errp) ? ss.ss_family : -1;
}

static bool connect_remote(int fd, const NetAddr *remote, int type, Error **errp)
{
    struct sockaddr_storage ss;
    socklen_t len;
    int ret, one = 1;

    if (!resolve(remote, type, false, &ss, &len, errp)) {
        return false;
    }
    do {
        ret = connect(fd, (struct sockaddr *)&ss, len);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0 && type == SOCK_DGRAM && ss.ss_family == AF_UNIX &&
        (errno == ENOENT || errno == ECONNREFUSED)) {
        return true;        /* net_addr_find_peer() */
    }
    if (ret < 0) {
        error_setg_errno(errp, errno, "can't connect socket");
        return false;
    }
    if (type == SOCK_STREAM && ss.ss_family != AF_UNIX) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return true;
}

int net_addr_socket(const NetAddr *local, const NetAddr *remote, int type, Error **errp)
{
    int family = family_of(remote ? remote : local, type, errp);
    int fd = family < 0 ? -1 : socket(family, type | SOCK_CLOEXEC, 0);

    if (family < 0) {
        return -1;
    }
    if (fd < 0) {
        error_setg_errno(errp, errno, "can't create socket");
        return -1;
    }
    if ((local && !bind_local(fd, local, type, errp)) ||
        (remote && !connect_remote(fd, remote, type, errp))) {
        close(fd);
        return -1;
    }
    if (!remote && type == SOCK_STREAM && listen(fd, 1) < 0) {
        error_setg_errno(errp, errno, "can't listen on socket");
        close(fd);
        return -1;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    return fd;
}

bool net_addr_find_peer(int fd, const NetAddr *remote)
{
    struct sockaddr_storage ss = { 0 };
    socklen_t len;

    return remote->type && !strcmp(remote->type, "unix") &&
           resolve_unix(remote, &ss, &len, NULL) &&
           connect(fd, (struct sockaddr *)&ss, len) == 0;
}

int net_addr_mcast(const NetAddr *group, const char *localaddr, struct sockaddr_storage *ss,
                   socklen_t *len, Error **errp)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ss;
    struct ip_mreq mreq = { .imr_interface.s_addr = INADDR_ANY };
    int fd, one = 1;

    if (!resolve(group, SOCK_DGRAM, false, ss, len, errp)) {
        return -1;
    }
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
