/*
 * A connection that is made while the machine runs: nobody waits, neither for a name nor a peer.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "qemu/main-loop.h"
#include "qemu/socket.h"
#include "qemu/thread.h"

/* A name that is being looked up. The thread has all of it but owner. */
typedef struct Lookup {
    char *host, *port;
    struct addrinfo hints;
    SockAddr addrs[SOCK_MAX_ADDRS];
    unsigned n;
    Error *err;
    SockConnect *owner;     /* main loop; NULL: nobody wants to know any more */
} Lookup;

struct SockConnect {
    SockConnectFn *fn;
    void *opaque;
    char *failed;
    Lookup *lookup;         /* under way, or NULL */
    SockAddr addrs[SOCK_MAX_ADDRS];
    unsigned n, next;       /* how many, and which is tried after this one */
    int fd;                 /* that is being connected, or -1 */
    int err;                /* of the last address */
    guint tag;              /* of fd, or what tells that there are no more: source */
};

void sock_connect_cancel(SockConnect *c)
{
    if (!c) {
        return;
    }
    if (c->lookup) {
        c->lookup->owner = NULL;
    }
    if (c->tag) {
        g_source_remove(c->tag);
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    g_free(c->failed);
    g_free(c);
}

/* c is gone then. */
static void done(SockConnect *c, int fd, Error *err)
{
    SockConnectFn *fn = c->fn;
    void *opaque = c->opaque;

    c->fd = -1;
    sock_connect_cancel(c);
    fn(fd, err, opaque);
}

static gboolean no_more(gpointer opaque)
{
    SockConnect *c = opaque;
    Error *err = NULL;

    c->tag = 0;
    error_setg_errno(&err, c->err, "%s", c->failed);
    done(c, -1, err);
    return G_SOURCE_REMOVE;
}

static gboolean connected(gint fd, GIOCondition cond, gpointer opaque);

static void try_next(SockConnect *c)
{
    while (c->next < c->n) {
        const SockAddr *a = &c->addrs[c->next++];
        int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd >= 0 && (!connect(fd, (const struct sockaddr *)&a->ss, a->len) ||
                        errno == EINPROGRESS)) {
            c->fd = fd;
            c->tag = qemu_fd_add(fd, G_IO_OUT | G_IO_ERR | G_IO_HUP, connected, c);
            return;
        }
        c->err = errno;
        if (fd >= 0) {
            close(fd);
        }
    }
    c->tag = g_idle_add_full(G_PRIORITY_DEFAULT, no_more, c, NULL);
}

static gboolean connected(gint fd, GIOCondition cond, gpointer opaque)
{
    SockConnect *c = opaque;
    socklen_t len = sizeof(c->err);

    c->tag = 0;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &c->err, &len) < 0) {
        c->err = errno;
    }
    if (c->err) {
        close(fd);
        c->fd = -1;
        try_next(c);
    } else {
        done(c, fd, NULL);
    }
    return G_SOURCE_REMOVE;
}

/* Names ---------------------------------------------------------------------- */

static void lookup_free(Lookup *l)
{
    error_free(l->err);
    g_free(l->host);
    g_free(l->port);
    g_free(l);
}

static gboolean looked_up(gpointer opaque)
{
    Lookup *l = opaque;
    SockConnect *c = l->owner;

    if (c) {
        c->lookup = NULL;
        memcpy(c->addrs, l->addrs, sizeof(l->addrs));
        c->n = l->n;
    }
    if (c && c->n) {
        try_next(c);
    } else if (c) {
        done(c, -1, g_steal_pointer(&l->err));
    }
    lookup_free(l);
    return G_SOURCE_REMOVE;
}

static gpointer lookup_thread(gpointer opaque)
{
    Lookup *l = opaque;

    l->n = sock_addr_resolve(l->addrs, l->host, l->port, &l->hints, &l->err);
    g_idle_add_full(G_PRIORITY_DEFAULT, looked_up, l, NULL);
    return NULL;
}

static bool look_up(SockConnect *c, const SockTarget *to, const struct addrinfo *hints,
                    Error **errp)
{
    g_autoptr(GError) gerr = NULL;
    Lookup *l = g_new0(Lookup, 1);
    GThread *thread;

    l->host = g_strdup(to->host);
    l->port = g_strdup(to->port);
    l->hints = *hints;
    l->owner = c;
    c->lookup = l;
    thread = thread_try_new("lookup", lookup_thread, l, &gerr);
    if (!thread) {
        error_setg(errp, "cannot look up '%s': %s", to->host, gerr->message);
        c->lookup = NULL;
        lookup_free(l);
        return false;
    }
    g_thread_unref(thread);
    return true;
}

static bool is_name(const SockTarget *to)
{
    const struct addrinfo hints = { .ai_family = to->family, .ai_flags = AI_NUMERICHOST };
    SockAddr addrs[SOCK_MAX_ADDRS];

    return to->host && *to->host && !sock_addr_resolve(addrs, to->host, NULL, &hints, NULL);
}

SockConnect *sock_connect(const SockTarget *to, SockConnectFn *fn, void *opaque, Error **errp)
{
    const struct addrinfo hints = { .ai_family = to->family, .ai_socktype = SOCK_STREAM };
    SockConnect *c = g_new0(SockConnect, 1);
    bool begun;

    c->fn = fn;
    c->opaque = opaque;
    c->failed = g_strdup(to->failed);
    c->fd = -1;
    if (is_name(to)) {
        begun = look_up(c, to, &hints, errp);
    } else {
        c->n = sock_addr_resolve(c->addrs, to->host, to->port, &hints, errp);
        begun = c->n;
        if (begun) {
            try_next(c);
        }
    }
    if (!begun) {
        sock_connect_cancel(c);
        return NULL;
    }
    return c;
}
