/*
 * Addresses of sockets, and descriptors that come with a message.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/socket.h"

#include <errno.h>
#include <glib.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool sock_addr_unix(SockAddr *to, const char *path, bool abstract, bool tight, Error **errp)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&to->ss;
    size_t len = strlen(path), room = sizeof(un->sun_path) - abstract;

    if (len > room || (len == room && !abstract)) {
        error_setg(errp, "UNIX socket path '%s' is too long", path);
        error_append_hint(errp, "Path must be less than %zu bytes\n", room);
        return false;
    }
    *to = (SockAddr) { .len = sizeof(*un) };
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + abstract, path, len);
    if (abstract && tight) {
        to->len = offsetof(struct sockaddr_un, sun_path) + 1 + len;
    }
    return true;
}

unsigned sock_addr_resolve(SockAddr to[SOCK_MAX_ADDRS], const char *host, const char *port,
                           const struct addrinfo *hints, Error **errp)
{
    struct addrinfo *list;
    unsigned n = 0;
    int ret = getaddrinfo(host && *host ? host : NULL, port, hints, &list);

    if (ret) {
        error_setg(errp, "address resolution failed for %s:%s: %s", host ? host : "", port,
                   gai_strerror(ret));
        return 0;
    }
    for (struct addrinfo *ai = list; ai && n < SOCK_MAX_ADDRS; ai = ai->ai_next) {
        to[n].len = ai->ai_addrlen;
        memcpy(&to[n++].ss, ai->ai_addr, ai->ai_addrlen);
    }
    freeaddrinfo(list);
    return n;
}

bool sock_addr_of(int fd, bool peer, SockAddr *a)
{
    *a = (SockAddr) { .len = sizeof(a->ss) };
    return !(peer ? getpeername : getsockname)(fd, (struct sockaddr *)&a->ss, &a->len);
}

bool sock_addr_numbers(const SockAddr *a, char **host, char **port)
{
    char h[NI_MAXHOST], p[NI_MAXSERV];

    if (getnameinfo((const struct sockaddr *)&a->ss, a->len, h, sizeof(h), p, sizeof(p),
                    NI_NUMERICHOST | NI_NUMERICSERV)) {
        return false;
    }
    *host = g_strdup(h);
    *port = g_strdup(p);
    return true;
}

bool sock_is_unix(int fd)
{
    int domain = 0;
    socklen_t len = sizeof(domain);

    return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) && domain == AF_UNIX;
}

void sock_remove_stale(const char *path)
{
    struct stat st;

    if (!lstat(path, &st) && S_ISSOCK(st.st_mode)) {
        unlink(path);
    }
}

/* Descriptors ---------------------------------------------------------------- */

#define MAX_FDS 64      /* that are taken from a message */

static unsigned take_fds(struct msghdr *msg, int *fds)
{
    unsigned n = 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);

        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            memcpy(fds + n, CMSG_DATA(c), len);
            n += len / sizeof(int);
        }
    }
    return n;
}

ssize_t recv_with_fds(int fd, void *buf, size_t len, int *fds, unsigned *n)
{
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int) * MAX_FDS)];
    } control;
    struct iovec iov = { .iov_base = buf, .iov_len = len };
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
        /* The kernel closes those for which there is no room. */
        .msg_controllen = CMSG_LEN(sizeof(int) * MIN(*n, MAX_FDS)),
    };
    ssize_t got = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    *n = got > 0 ? take_fds(&msg, fds) : 0;
    return got;
}
