/*
 * The connection to an NBD server: a thread that has it, and the calls that are under way.
 *
 * Whatever the server says (nbd-reply.c), a call ends: with its reply, or with an
 * error when the connection breaks, when nothing has been answered for as long as a reply may
 * take, or when a new connection is too long in coming.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nbd-link.h"
#include "qemu/confine.h"
#include "qemu/iov.h"
#include "qemu/thread.h"

#define HELLO_US (10 * G_USEC_PER_SEC)  /* for a connection and its terms */
#define MAX_PAUSE_US (16 * G_USEC_PER_SEC)
#define WANTED_US G_USEC_PER_SEC        /* the longest pause while calls wait, or have failed */

extern const ThreadFilter nbd_link_filter;

static int64_t now_us(void)
{
    return g_get_monotonic_time();
}

/* Calls --------------------------------------------------------------------------------------- */

void nbd_link_submit(NbdLink *l, NbdCall *calls)
{
    bool first;

    g_mutex_lock(&l->lock);
    first = !l->incoming;
    *l->incoming_end = calls;
    for (; calls; calls = calls->next) {
        calls->at = 0;
        calls->flushing = calls->known = calls->zero = false;
        l->incoming_end = &calls->next;
    }
    g_mutex_unlock(&l->lock);
    if (first) {
        event_notifier_set(&l->wake);
    }
}

/* Does a call still wait for a connection? Else it fails. */
static bool may_wait(const NbdLink *l)
{
    return l->fd >= 0 || (l->delay_us && now_us() < l->lost_at + l->delay_us);
}

static void fail_waiting(NbdLink *l)
{
    NbdCall *call;

    while (!may_wait(l) && (call = g_queue_pop_head(&l->waiting))) {
        call->done(call, -EIO);
    }
    l->again &= may_wait(l);
}

/* What came in meanwhile; false: the link ends. */
static bool take_incoming(NbdLink *l)
{
    NbdCall *list;

    event_notifier_test_and_clear(&l->wake);
    g_mutex_lock(&l->lock);
    list = l->incoming;
    l->incoming = NULL;
    l->incoming_end = &l->incoming;
    l->over = l->ending;
    g_mutex_unlock(&l->lock);
    l->wanted |= list != NULL;
    while (list) {
        NbdCall *call = list;

        list = call->next;
        g_queue_push_tail(&l->waiting, call);
    }
    fail_waiting(l);
    return !l->over;
}

bool nbd_stream_wait(NbdStream *s, short events)
{
    struct pollfd fds[] = {
        { .fd = s->link->wake.fd, .events = POLLIN }, { .fd = s->fd, .events = events },
    };

    while (!s->link->over) {
        int64_t left = s->deadline - now_us();

        if (left <= 0 || (poll(fds, G_N_ELEMENTS(fds), left / 1000 + 1) < 0 && errno != EINTR)) {
            return false;
        }
        if (fds[0].revents && !take_incoming(s->link)) {
            return false;
        }
        if (fds[1].revents) {
            return true;
        }
    }
    return false;
}

/* Sending ------------------------------------------------------------------------------------- */

/* The next call that has a piece to be sent gets a slot. */
static void begin_piece(NbdLink *l)
{
    NbdCall *call;
    unsigned slot = 0;
    uint8_t *p = l->tx_head;

    while ((call = g_queue_pop_head(&l->waiting)) && !nbd_call_next(call, &l->terms)) {
        nbd_call_finish(call);
    }
    if (!call) {
        return;
    }
    while (l->slots[slot]) {
        slot++;
    }
    if (!l->under_way++) {
        l->answered = now_us();
    }
    l->slots[slot] = l->tx = call;
    l->tx_at = 0;
    call->cookie = l->sent++ * NBD_SLOTS + slot;
    call->got = call->errors = 0;
    call->front = 0;
    call->scattered = false;
    call->error = 0;
    nbd_put32(&p, NBD_REQUEST_MAGIC);
    nbd_put16(&p, nbd_call_flags(call, &l->terms));
    nbd_put16(&p, call->cmd);
    nbd_put64(&p, call->cookie);
    nbd_put64(&p, call->cmd == NBD_CMD_FLUSH ? 0 : call->req->pos + call->at);
    nbd_put32(&p, call->piece);
}

static size_t tx_bytes(const NbdCall *call)
{
    return NBD_REQUEST_BYTES + (call->cmd == NBD_CMD_WRITE ? call->piece : 0);
}

/* Some of tx; 1, 0: not now, or negative errno. */
static int send_some(NbdLink *l)
{
    const NbdCall *call = l->tx;
    const BlockRequest *req = call->req;
    size_t head = l->tx_at < NBD_REQUEST_BYTES ? NBD_REQUEST_BYTES - l->tx_at : 0;
    size_t at = l->tx_at + head - NBD_REQUEST_BYTES, left = tx_bytes(call) - l->tx_at - head;
    struct iovec iov[NBD_MAX_IOV + 1] = { { l->tx_head + NBD_REQUEST_BYTES - head, head } };
    struct msghdr msg = { .msg_iov = iov + !head, .msg_iovlen = head != 0 };
    ssize_t n;

    if (left && req->node_op == BLOCK_OP_WRITE_ZEROES) {
        iov[1] = (struct iovec) { (void *)nbd_zeroes, left };
        msg.msg_iovlen++;
    } else if (left) {
        msg.msg_iovlen += iov_slice(iov + 1, NBD_MAX_IOV, req->iov, req->niov, call->at + at, left);
    }
    n = sendmsg(l->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    }
    l->tx_at += n;
    return 1;
}

static bool send_calls(NbdLink *l)
{
    for (;;) {
        int ret;

        if (!l->tx && l->under_way < NBD_SLOTS) {
            begin_piece(l);
        }
        if (!l->tx) {
            return true;
        }
        ret = send_some(l);
        if (ret <= 0) {
            return ret == 0;
        }
        if (l->tx_at == tx_bytes(l->tx)) {
            l->tx = NULL;
        }
    }
}

/* The connection ------------------------------------------------------------------------------ */

static void disconnect(NbdLink *l)
{
    close(l->fd);
    l->fd = -1;
    /* A server that greets each time and answers nothing would hold its calls for ever. */
    if (!l->again) {
        l->lost_at = now_us();
    }
    l->again = l->under_way > 0;
    l->tx = NULL;
    l->rx = (NbdReceiver) { 0 };
    l->under_way = 0;
    /* What was under way is asked for once more: to write it twice is to write it. */
    for (unsigned i = 0; i < NBD_SLOTS; i++) {
        if (l->slots[i]) {
            l->slots[i]->flushing = false;
            l->slots[i]->cmd = NBD_CMD_READ;
            g_queue_push_head(&l->waiting, g_steal_pointer(&l->slots[i]));
        }
    }
    fail_waiting(l);
}

static bool connected(NbdStream *s, const SockAddr *a)
{
    int error = 0, one = 1;
    socklen_t len = sizeof(error);

    if (connect(s->fd, (const struct sockaddr *)&a->ss, a->len) < 0) {
        if (errno != EINPROGRESS || !nbd_stream_wait(s, POLLOUT) ||
            getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || error) {
            errno = error ? error : ETIMEDOUT;
            return false;
        }
    }
    if (a->ss.ss_family != AF_UNIX) {
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
    }
    return true;
}

static bool same_terms(const NbdTerms *a, const NbdTerms *b)
{
    return a->size == b->size && a->min_block == b->min_block &&
           !((a->flags & NBD_READ_ONLY) < (b->flags & NBD_READ_ONLY));
}

/* False: there is no such host, or nobody waits any more. */
static bool resolve(NbdLink *l, Error **errp)
{
    bool ending;

    g_mutex_lock(&l->lock);
    l->resolving = !l->ending;
    g_mutex_unlock(&l->lock);
    l->n_addrs = net_addr_resolve(&l->server, l->addrs, errp);
    g_mutex_lock(&l->lock);
    l->resolving = false;
    ending = l->ending;
    g_mutex_unlock(&l->lock);
    return l->n_addrs && !ending;
}

/* One try, each address in turn. */
static bool try_connect(NbdLink *l, Error **errp)
{
    NbdStream s = { .link = l };
    NbdTerms terms;

    if (!l->n_addrs && !resolve(l, errp)) {
        return false;
    }
    s.deadline = now_us() + MIN(HELLO_US, l->reply_us);
    for (unsigned i = 0; i < l->n_addrs; i++) {
        Error **last = i + 1 == l->n_addrs ? errp : NULL;

        s.fd = socket(l->addrs[i].ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (s.fd < 0 || !connected(&s, &l->addrs[i])) {
            error_setg_errno(last, errno, "Failed to connect to the NBD server");
        } else if (nbd_hello(&s, l->export_name, &terms, last)) {
            if (l->settled && !same_terms(&l->first, &terms)) {
                error_setg(last, "The NBD server's export is another one now");
            } else {
                l->terms = terms;
                l->fd = s.fd;
                return true;
            }
        }
        if (s.fd >= 0) {
            close(s.fd);
        }
    }
    return false;
}

/*
 * Wait us, a second only where somebody wants the connection, or until calls wait no longer;
 * false: the link ends.
 */
static bool pause_for(NbdLink *l, int64_t us)
{
    int64_t start = now_us(), end;
    struct pollfd fd = { .fd = l->wake.fd, .events = POLLIN };

    while (take_incoming(l) && now_us() < (end = start + (l->wanted ? MIN(us, WANTED_US) : us))) {
        int64_t left = end - now_us();

        if (l->waiting.head) {
            left = MIN(left, l->lost_at + l->delay_us - now_us());
        }
        poll(&fd, 1, MAX(left, 0) / 1000 + 1);
    }
    return !l->over;
}

/* Who made the link wants to know. */
static void settle(NbdLink *l, Error *err)
{
    g_mutex_lock(&l->lock);
    l->error = err ? g_strdup(error_get_pretty(err)) : NULL;
    l->first = l->terms;
    l->settled = true;
    g_cond_broadcast(&l->cond);
    if (l->ready) {
        event_notifier_set(l->ready);
    }
    g_mutex_unlock(&l->lock);
}

/* False: the link ends. */
static bool make_connection(NbdLink *l)
{
    int64_t begin = now_us(), pause = 0;
    int64_t first = l->settled ? G_USEC_PER_SEC : G_USEC_PER_SEC / 10;

    while (pause_for(l, pause)) {
        Error *err = NULL;
        bool ok, over;

        l->wanted = l->waiting.head;
        ok = try_connect(l, &err);
        over = !ok && !l->settled && now_us() >= begin + l->open_us;
        if (!l->settled && (ok || over)) {
            settle(l, err);
        }
        error_free(err);
        if (ok || over) {
            return ok;
        }
        pause = pause ? MIN(2 * pause, MAX_PAUSE_US) : first;
    }
    return false;
}

/* False: the connection is of no use any more. */
static bool serve(NbdLink *l)
{
    struct pollfd fds[] = {
        { .fd = l->wake.fd, .events = POLLIN }, { .fd = l->fd, .events = POLLIN },
    };
    int64_t left = l->under_way ? l->answered + l->reply_us - now_us() : -1;

    if (l->under_way && left <= 0) {
        return false;
    }
    fds[1].events |= l->tx ? POLLOUT : 0;
    if (poll(fds, G_N_ELEMENTS(fds), l->under_way ? left / 1000 + 1 : -1) < 0) {
        return errno == EINTR;
    }
    return !(fds[1].revents & (POLLIN | POLLHUP | POLLERR)) || nbd_receive(l);
}

static void destroy(NbdLink *l)
{
    event_notifier_cleanup(&l->wake);
    g_mutex_clear(&l->lock);
    g_cond_clear(&l->cond);
    net_addr_clear(&l->server);
    g_free(l->export_name);
    g_free(l->error);
    g_free(l);
}

static gpointer link_thread(gpointer opaque)
{
    NbdLink *l = opaque;
    NbdCall *call;

    while (make_connection(l)) {
        bool going = true;

        thread_confine(&nbd_link_filter);
        while (going && send_calls(l) && serve(l)) {
            thread_confine(&nbd_link_filter);
            going = take_incoming(l);
        }
        disconnect(l);
        if (!going) {
            break;
        }
    }
    take_incoming(l);
    while ((call = g_queue_pop_head(&l->waiting))) {
        call->done(call, -EIO);
    }
    if (l->lingers) {
        destroy(l);
    }
    return NULL;
}

/* Making and ending --------------------------------------------------------------------------- */

static NbdLink *alloc_link(const NbdLinkOptions *o, EventNotifier *ready)
{
    NbdLink *l = g_new0(NbdLink, 1);

    l->refs = 1;
    l->incoming_end = &l->incoming;
    l->fd = -1;
    l->server = *o->server;
    l->server.type = g_strdup(o->server->type);
    l->server.host = g_strdup(o->server->host);
    l->server.port = g_strdup(o->server->port);
    l->server.path = g_strdup(o->server->path);
    l->server.str = g_strdup(o->server->str);
    l->export_name = g_strdup(o->export_name);
    l->open_us = o->open_timeout * G_USEC_PER_SEC;
    l->delay_us = o->reconnect_delay * G_USEC_PER_SEC;
    l->reply_us = o->reply_timeout * G_USEC_PER_SEC;
    l->ready = ready;
    g_mutex_init(&l->lock);
    g_cond_init(&l->cond);
    return l;
}

NbdLink *nbd_link_new(const NbdLinkOptions *o, EventNotifier *ready, Error **errp)
{
    NbdLink *l = alloc_link(o, ready);
    g_autoptr(GError) gerr = NULL;

    if (event_notifier_init(&l->wake) < 0) {
        error_setg(errp, "Cannot create an eventfd");
        l->wake.fd = -1;
        destroy(l);
        return NULL;
    }
    l->thread = thread_try_new("nbd-client", link_thread, l, &gerr);
    if (!l->thread) {
        error_setg(errp, "Cannot create a thread: %s", gerr->message);
        destroy(l);
        return NULL;
    }
    return l;
}

bool nbd_link_is_settled(NbdLink *l)
{
    bool settled;

    g_mutex_lock(&l->lock);
    settled = l->settled;
    g_mutex_unlock(&l->lock);
    return settled;
}

bool nbd_link_wait(NbdLink *l, NbdTerms *terms, Error **errp)
{
    bool ok;

    g_mutex_lock(&l->lock);
    l->ready = NULL;
    while (!l->settled) {
        g_cond_wait(&l->cond, &l->lock);
    }
    ok = !l->error;
    if (ok) {
        *terms = l->first;
    } else {
        error_setg(errp, "%s", l->error);
    }
    g_mutex_unlock(&l->lock);
    return ok;
}

NbdLink *nbd_link_ref(NbdLink *l)
{
    l->refs++;
    return l;
}

void nbd_link_unref(NbdLink *l)
{
    GThread *lingers = NULL;

    if (!l || --l->refs) {
        return;
    }
    g_mutex_lock(&l->lock);
    l->ending = true;
    l->ready = NULL;
    l->lingers = l->resolving;
    if (l->lingers) {
        lingers = l->thread;    /* l is its thread's, from the unlocking on */
    }
    g_mutex_unlock(&l->lock);
    if (lingers) {
        g_thread_unref(lingers);
        return;
    }
    event_notifier_set(&l->wake);
    g_thread_join(l->thread);
    destroy(l);
}
