/*
 * The host's end of all sockets between guest and host: who listens, who connects, whose turn it
 * is.
 *
 * System calls: accept4 bind close connect epoll_create1 epoll_ctl epoll_wait fcntl listen recv
 * socket unlink.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vsock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "qemu/socket.h"

#define EVENTS          64      /* of sockets, in one round of the loop */
#define TICK_MS         250
#define HELLO_US        (8 * G_USEC_PER_SEC)
#define REQUEST_US      (2 * G_USEC_PER_SEC)
#define FIRST_HOST_PORT (1u << 30)
#define FEW_CONNS       64
#define BUF_OF_FEW      (256 * 1024)
#define BUF_OF_MANY     (64 * 1024)
#define LISTENER        UINT64_MAX      /* in epoll's data: else generation and slot */

/* Ports ----------------------------------------------------------------------- */

static guint ports_hash(gconstpointer key)
{
    const VsockConn *c = key;

    return c->guest_port * 0x9e3779b1u ^ c->host_port;
}

static gboolean ports_equal(gconstpointer a, gconstpointer b)
{
    const VsockConn *x = a, *y = b;

    return x->guest_port == y->guest_port && x->host_port == y->host_port;
}

static VsockConn *find_conn(VsockHost *h, uint32_t guest_port, uint32_t host_port)
{
    VsockConn key = { .guest_port = guest_port, .host_port = host_port };

    return g_hash_table_lookup(h->by_ports, &key);
}

void vsock_conn_unpublish(VsockConn *c)
{
    VsockHost *h = c->host;

    if (g_hash_table_lookup(h->by_ports, c) == c) {
        g_hash_table_remove(h->by_ports, c);
    }
}

/* Connections ----------------------------------------------------------------- */

static gboolean tick(gpointer opaque);

static void want_tick(VsockHost *h)
{
    if (!h->timer && h->source) {
        h->timer = g_timeout_source_new(TICK_MS);
        g_source_set_callback(h->timer, tick, h, NULL);
        g_source_attach(h->timer, h->ctx);
    }
}

static void no_tick(VsockHost *h)
{
    if (h->timer) {
        g_source_destroy(h->timer);
        g_clear_pointer(&h->timer, g_source_unref);
    }
}

void vsock_conn_set_deadline(VsockConn *c, int64_t us)
{
    c->deadline = us ? g_get_monotonic_time() + us : 0;
    if (us) {
        want_tick(c->host);
    }
}

void vsock_conn_queue(VsockConn *c, unsigned send)
{
    c->send |= send;
    if (!c->queued) {
        c->queued = true;
        g_queue_push_tail_link(&c->host->ready, &c->link);
    }
}

static unsigned slot_of(const VsockConn *c)
{
    return c - c->host->conns;
}

/* Where there is no slot left, one whose guest is gone has had its time. */
static bool have_slot(VsockHost *h)
{
    for (unsigned i = 0; !h->nr_free && i < VSOCK_CONNS; i++) {
        if (h->conns[i].state == VSOCK_LINGER) {
            vsock_conn_free(&h->conns[i]);
        }
    }
    return h->nr_free;
}

/* Give a fresh slot a socket, which it owns. NULL: there is no slot; fd is closed. */
static VsockConn *conn_new(VsockHost *h, int fd, bool from_guest)
{
    bool few = h->nr_free > VSOCK_CONNS - FEW_CONNS;
    struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
    VsockConn *c;
    unsigned slot;

    if (!have_slot(h)) {
        close(fd);
        return NULL;
    }
    slot = h->free_slots[h->nr_free - 1];
    c = &h->conns[slot];
    event.data.u64 = (uint64_t)(c->generation + 1) << 32 | slot;
    if (epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
        close(fd);
        return NULL;
    }
    h->nr_free--;
    h->nr_from_guest += from_guest;
    *c = (VsockConn) {
        .host = h,
        .fd = fd,
        .generation = c->generation + 1,
        .from_guest = from_guest,
        .buf_alloc = few ? BUF_OF_FEW : BUF_OF_MANY,
        .link.data = c,
    };
    return c;
}

void vsock_conn_free(VsockConn *c)
{
    VsockHost *h = c->host;

    vsock_conn_unpublish(c);
    if (c->queued) {
        g_queue_unlink(&h->ready, &c->link);
    }
    if (c->fd >= 0) {
        close(c->fd);
    }
    g_free(c->buf);
    h->nr_from_guest -= c->from_guest;
    h->free_slots[h->nr_free++] = slot_of(c);
    *c = (VsockConn) { .host = h, .fd = -1, .generation = c->generation };
}

/* Programs of the host's that connect ----------------------------------------- */

/* A number that no connection to this port of the guest's has. */
static uint32_t new_host_port(VsockHost *h, uint32_t guest_port)
{
    do {
        h->next_port = h->next_port < FIRST_HOST_PORT || h->next_port >= INT32_MAX ?
            FIRST_HOST_PORT : h->next_port + 1;
    } while (find_conn(h, guest_port, h->next_port));
    return h->next_port;
}

/* "CONNECT 1024": nothing before, between or behind but one blank. */
static bool parse_hello(const char *line, uint32_t *port)
{
    uint64_t val;

    if (!g_str_has_prefix(line, "CONNECT ") || !g_ascii_isdigit(line[8]) ||
        qemu_strtou64(line + 8, &val) || val >= UINT32_MAX) {
        return false;
    }
    *port = val;
    return true;
}

/* The line is there: ask the guest. */
static void hello_done(VsockConn *c)
{
    c->line[c->line_len - 1] = '\0';
    if (!parse_hello(c->line, &c->guest_port)) {
        vsock_conn_free(c);
        return;
    }
    c->host_port = new_host_port(c->host, c->guest_port);
    c->state = VSOCK_REQUESTED;
    g_hash_table_add(c->host->by_ports, c);
    vsock_conn_set_deadline(c, REQUEST_US);
    vsock_conn_queue(c, VSOCK_SEND_REQUEST);
}

/* The line, in however many pieces, and not a byte of what follows it. */
static void read_hello(VsockConn *c)
{
    for (;;) {
        char *at = c->line + c->line_len, *end;
        ssize_t len = recv(c->fd, at, sizeof(c->line) - c->line_len, MSG_PEEK);

        if (len < 0 && errno == EAGAIN) {
            return;
        }
        end = len > 0 ? memchr(at, '\n', len) : NULL;
        len = end ? end - at + 1 : len;
        if (len <= 0 || recv(c->fd, at, len, 0) != len) {
            vsock_conn_free(c);
            return;
        }
        c->line_len += len;
        if (end) {
            hello_done(c);
            return;
        }
    }
}

/* As many as there are slots and descriptors for; the others wait in the kernel. */
static void accept_all(VsockHost *h)
{
    h->accept_later = false;
    while (have_slot(h)) {
        int fd = accept4(h->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        VsockConn *c;

        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) {
            continue;
        }
        if (fd < 0 && errno == EAGAIN) {
            return;
        }
        c = fd < 0 ? NULL : conn_new(h, fd, false);
        if (!c) {
            break;
        }
        c->state = VSOCK_HELLO;
        vsock_conn_set_deadline(c, HELLO_US);
        read_hello(c);
    }
    h->accept_later = true;
    want_tick(h);
}

/* The guest connects ---------------------------------------------------------- */

static int connect_to(const VsockHost *h, uint32_t port)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd;

    /* vsock_host_init() has measured it. */
    snprintf(un.sun_path, sizeof(un.sun_path), "%s_%u", h->path, port);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static bool guest_connects(VsockHost *h, const struct virtio_vsock_hdr *hdr)
{
    int fd = h->nr_from_guest < VSOCK_GUEST_CONNS ? connect_to(h, hdr->dst_port) : -1;
    VsockConn *c = fd < 0 ? NULL : conn_new(h, fd, true);

    if (!c) {
        return false;
    }
    c->state = VSOCK_OPEN;
    c->guest_port = hdr->src_port;
    c->host_port = hdr->dst_port;
    g_hash_table_add(c->host->by_ports, c);
    vsock_conn_credit(c, hdr);
    vsock_conn_queue(c, VSOCK_SEND_RESPONSE);
    return true;
}

/* Packets --------------------------------------------------------------------- */

bool vsock_host_full(const VsockHost *h)
{
    return h->nr_replies == VSOCK_REPLIES;
}

void vsock_host_reply(VsockHost *h, const struct virtio_vsock_hdr *hdr)
{
    g_assert(!vsock_host_full(h));
    h->replies[(h->first_reply + h->nr_replies++) % VSOCK_REPLIES] = (VsockReply) {
        .src_port = hdr->dst_port, .dst_port = hdr->src_port, .type = hdr->type,
    };
}

void vsock_host_receive(VsockHost *h, const struct virtio_vsock_hdr *hdr,
                        const struct iovec *data, unsigned n)
{
    VsockConn *c;

    if (hdr->src_cid != h->guest_cid || hdr->dst_cid != VSOCK_HOST_CID) {
        return;
    }
    c = hdr->type == VIRTIO_VSOCK_TYPE_STREAM ?
        find_conn(h, hdr->src_port, hdr->dst_port) : NULL;
    if (c) {
        vsock_conn_receive(c, hdr, data, n);
    } else if (hdr->op != VIRTIO_VSOCK_OP_RST &&
               (hdr->op != VIRTIO_VSOCK_OP_REQUEST || hdr->type != VIRTIO_VSOCK_TYPE_STREAM ||
                !guest_connects(h, hdr))) {
        vsock_host_reply(h, hdr);
    }
}

static void next_reply(VsockHost *h, struct virtio_vsock_hdr *hdr)
{
    const VsockReply *r = &h->replies[h->first_reply];

    *hdr = (struct virtio_vsock_hdr) {
        .src_cid = VSOCK_HOST_CID, .dst_cid = h->guest_cid,
        .src_port = r->src_port, .dst_port = r->dst_port,
        .type = r->type, .op = VIRTIO_VSOCK_OP_RST,
    };
    h->first_reply = (h->first_reply + 1) % VSOCK_REPLIES;
    h->nr_replies--;
}

bool vsock_host_pending(const VsockHost *h)
{
    return h->nr_replies || h->ready.length;
}

/* A reply, one of each connection, a reply … */
bool vsock_host_next(VsockHost *h, struct virtio_vsock_hdr *hdr, const struct iovec *data,
                     unsigned n, size_t room)
{
    while (vsock_host_pending(h)) {
        GList *link;
        VsockConn *c;
        bool found;

        h->reply_next = !h->reply_next;
        if (h->nr_replies && (h->reply_next || !h->ready.length)) {
            next_reply(h, hdr);
            return true;
        }
        link = g_queue_pop_head_link(&h->ready);
        if (!link) {
            continue;
        }
        c = link->data;
        c->queued = false;
        found = vsock_conn_next(c, hdr, data, n, room);
        if (vsock_conn_pending(c)) {
            vsock_conn_queue(c, 0);
        }
        if (found) {
            return true;
        }
    }
    return false;
}

/* Events ---------------------------------------------------------------------- */

static void socket_event(VsockHost *h, const struct epoll_event *event)
{
    VsockConn *c = &h->conns[event->data.u64 % VSOCK_CONNS];

    if (event->data.u64 == LISTENER) {
        accept_all(h);
    } else if (c->state != VSOCK_FREE && c->generation == event->data.u64 >> 32) {
        vsock_conn_event(c, event->events);
        if (c->state == VSOCK_HELLO) {
            read_hello(c);
        }
    }
}

static gboolean sockets_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    VsockHost *h = opaque;
    struct epoll_event events[EVENTS];
    int n = epoll_wait(h->epoll_fd, events, EVENTS, 0);

    for (int i = 0; i < n; i++) {
        socket_event(h, &events[i]);
    }
    if (vsock_host_pending(h)) {
        h->wake(h->opaque);
    }
    return G_SOURCE_CONTINUE;
}

static gboolean tick(gpointer opaque)
{
    VsockHost *h = opaque;
    int64_t now = g_get_monotonic_time();
    bool more = false;

    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        VsockConn *c = &h->conns[i];

        if (c->deadline && c->deadline <= now) {
            vsock_conn_expire(c);
        }
        more |= c->deadline != 0;
    }
    if (h->accept_later) {
        accept_all(h);
    }
    if (vsock_host_pending(h)) {
        h->wake(h->opaque);
    }
    if (!more && !h->accept_later) {
        no_tick(h);
        return G_SOURCE_REMOVE;
    }
    return G_SOURCE_CONTINUE;
}

/* Life ------------------------------------------------------------------------ */

static bool listen_at(VsockHost *h, Error **errp)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.u64 = LISTENER };

    g_strlcpy(un.sun_path, h->path, sizeof(un.sun_path));
    sock_remove_stale(h->path);
    h->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    h->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (h->epoll_fd < 0 || h->listen_fd < 0 ||
        bind(h->listen_fd, (struct sockaddr *)&un, sizeof(un)) < 0 ||
        listen(h->listen_fd, SOMAXCONN) < 0 ||
        epoll_ctl(h->epoll_fd, EPOLL_CTL_ADD, h->listen_fd, &event) < 0) {
        error_setg_errno(errp, errno, "cannot listen at '%s'", h->path);
        return false;
    }
    return true;
}

bool vsock_host_init(VsockHost *h, const char *path, Error **errp)
{
    /* Room for "_4294967295" and the end. */
    const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 12;

    /* -daemonize will change the directory. */
    h->path = g_canonicalize_filename(path, NULL);
    h->listen_fd = h->epoll_fd = -1;
    if (strlen(h->path) > max) {
        error_setg(errp, "uds-path '%s' is longer than %zu bytes", h->path, max);
        vsock_host_cleanup(h);
        return false;
    }
    h->conns = g_new0(VsockConn, VSOCK_CONNS);
    h->by_ports = g_hash_table_new(ports_hash, ports_equal);
    g_queue_init(&h->ready);
    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        h->conns[i].host = h;
        h->free_slots[h->nr_free++] = VSOCK_CONNS - 1 - i;
    }
    if (!listen_at(h, errp)) {
        vsock_host_cleanup(h);
        return false;
    }
    confine_need(CONFINE_SOCKETS);      /* the guest's connections to ports of the host */
    confine_need_path(h->path, CONFINE_REMOVE);
    return true;
}

void vsock_host_cleanup(VsockHost *h)
{
    g_assert(!h->source);
    if (h->conns) {
        vsock_host_reset(h);
    }
    if (h->listen_fd >= 0) {
        close(h->listen_fd);
    }
    if (h->epoll_fd >= 0) {
        close(h->epoll_fd);
        unlink(h->path);
    }
    g_clear_pointer(&h->by_ports, g_hash_table_unref);
    g_clear_pointer(&h->conns, g_free);
    g_clear_pointer(&h->path, g_free);
}

/* The machine may have stood still for long: nobody's time is over. */
void vsock_host_start(VsockHost *h, GMainContext *ctx)
{
    h->ctx = ctx;
    h->source = qemu_fd_source(ctx, h->epoll_fd, G_IO_IN, sockets_ready, h, NULL);
    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        if (h->conns[i].deadline) {
            vsock_conn_set_deadline(&h->conns[i], REQUEST_US);
        }
    }
    if (h->accept_later) {
        want_tick(h);
    }
}

void vsock_host_stop(VsockHost *h)
{
    no_tick(h);
    g_source_destroy(h->source);
    g_clear_pointer(&h->source, g_source_unref);
}

void vsock_host_reset(VsockHost *h)
{
    for (unsigned i = 0; i < VSOCK_CONNS; i++) {
        if (h->conns[i].state != VSOCK_FREE) {
            vsock_conn_free(&h->conns[i]);
        }
    }
    h->nr_replies = 0;
}
