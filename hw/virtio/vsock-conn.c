/*
 * A connection between guest and host: states, credit, data (virtio 1.2, section 5.10.6).
 *
 * System calls: close readv sendmsg sendto shutdown.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vsock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "qemu/cutils.h"
#include "qemu/iov.h"

#define SHUTDOWN_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)
#define CLOSE_US (8 * G_USEC_PER_SEC)   /* until the guest has confirmed the end */

/* To the host ----------------------------------------------------------------- */

static void drop_buffer(VsockConn *c)
{
    g_clear_pointer(&c->buf, g_free);
    c->buf_start = c->buf_len = 0;
}

/* The host's end is no more: what the guest sends goes nowhere. */
static void close_socket(VsockConn *c)
{
    if (c->fd >= 0) {
        close(c->fd);
        c->fd = -1;
    }
    drop_buffer(c);
    c->fwd_cnt = c->rx_cnt;
    c->readable = false;
}

/* Tell the guest that the host will not send, or not receive, any more. */
static void host_shuts(VsockConn *c, unsigned flags)
{
    if ((c->shut_host | flags) != c->shut_host) {
        c->shut_host |= flags;
        vsock_conn_queue(c, VSOCK_SEND_SHUTDOWN);
    }
}

/* Nobody reads what the guest sends: it goes on for the guest until it knows. */
static void host_is_deaf(VsockConn *c)
{
    drop_buffer(c);
    c->fwd_cnt = c->rx_cnt;
    if (c->state == VSOCK_LINGER) {
        vsock_conn_free(c);
        return;
    }
    c->hung_up = true;
    host_shuts(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
}

/* Enough room for another packet or two: worth to be told. */
static void consider_credit(VsockConn *c)
{
    if (c->state == VSOCK_OPEN && c->fwd_cnt - c->told_fwd >= c->buf_alloc / 2) {
        vsock_conn_queue(c, VSOCK_SEND_CREDIT);
    }
}

static void keep(VsockConn *c, const struct iovec *data, unsigned n, size_t skip)
{
    size_t len = iov_size(data, n) - skip;

    if (!c->buf) {
        c->buf = g_malloc(c->buf_alloc);
    }
    if (c->buf_start + c->buf_len + len > c->buf_alloc) {
        memmove(c->buf, c->buf + c->buf_start, c->buf_len);
        c->buf_start = 0;
    }
    g_assert(c->buf_start + c->buf_len + len <= c->buf_alloc);
    iov_to_buf(data, n, skip, c->buf + c->buf_start + c->buf_len, len);
    c->buf_len += len;
}

/* No more comes from the guest, and all has been passed on. */
static void end_of_guest_data(VsockConn *c)
{
    if (c->state == VSOCK_LINGER) {
        vsock_conn_free(c);
    } else if (c->fd >= 0) {
        shutdown(c->fd, SHUT_WR);
    }
}

/* 0 when the socket is full, or negative errno. */
static ssize_t send_to_host(VsockConn *c, const struct iovec *data, unsigned n)
{
    struct msghdr msg = { .msg_iov = (struct iovec *)data, .msg_iovlen = n };
    ssize_t len = sendmsg(c->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);

    return len >= 0 ? len : errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

static void flush_buffer(VsockConn *c)
{
    while (c->buf_len) {
        struct iovec iov = { c->buf + c->buf_start, c->buf_len };
        ssize_t len = send_to_host(c, &iov, 1);

        if (len < 0) {
            host_is_deaf(c);
            return;
        }
        if (len == 0) {
            return;
        }
        c->buf_start += len;
        c->buf_len -= len;
        c->fwd_cnt += len;
    }
    if (c->buf) {
        drop_buffer(c);
        consider_credit(c);
        if (c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_SEND) {
            end_of_guest_data(c);
        }
    }
}

/* A guest that sends more than it was granted, or after it has said the last, is cut off. */
static bool receive_data(VsockConn *c, const struct virtio_vsock_hdr *hdr,
                         const struct iovec *data, unsigned n)
{
    ssize_t len = 0;

    if ((c->state != VSOCK_OPEN && c->state != VSOCK_CLOSING) ||
        (c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_SEND) ||
        hdr->len > c->buf_alloc - (c->rx_cnt - c->fwd_cnt)) {
        return false;
    }
    c->rx_cnt += hdr->len;
    if (c->fd < 0 || c->hung_up) {
        c->fwd_cnt = c->rx_cnt;
        consider_credit(c);
        return true;
    }
    if (!c->buf_len && hdr->len) {
        len = send_to_host(c, data, n);
        if (len < 0) {
            host_is_deaf(c);
            return true;
        }
        c->fwd_cnt += len;
    }
    if (len < hdr->len) {
        keep(c, data, n, len);
    }
    consider_credit(c);
    return true;
}

/* Packets from the guest ------------------------------------------------------ */

/* What the guest has room for, by its own account: a lie makes it 0 at worst. */
static uint32_t guest_room(const VsockConn *c)
{
    uint32_t under_way = c->tx_cnt - c->peer_fwd;

    return under_way < c->peer_alloc ? c->peer_alloc - under_way : 0;
}

void vsock_conn_credit(VsockConn *c, const struct virtio_vsock_hdr *hdr)
{
    c->peer_alloc = hdr->buf_alloc;
    c->peer_fwd = hdr->fwd_cnt;
    if (guest_room(c)) {
        c->asked_credit = false;    /* else the same question would get the same answer */
    }
    if (c->readable) {
        vsock_conn_queue(c, 0);
    }
}

/* The guest has accepted: whoever connected is told. */
static bool receive_response(VsockConn *c)
{
    char ok[32];
    int len = snprintf(ok, sizeof(ok), "OK %u\n", c->host_port);

    if (c->state != VSOCK_REQUESTED || (c->send & VSOCK_SEND_REQUEST)) {
        return false;
    }
    c->state = VSOCK_OPEN;
    vsock_conn_set_deadline(c, 0);
    if (send(c->fd, ok, len, MSG_NOSIGNAL | MSG_DONTWAIT) != len) {
        host_is_deaf(c);
    }
    c->readable = true;
    vsock_conn_queue(c, 0);
    return true;
}

/*
 * Once the guest neither sends nor receives, RST confirms that (section 5.10.6.5); what it sent is
 * ours to deliver. False: the connection ends with RST.
 */
static bool receive_shutdown(VsockConn *c, const struct virtio_vsock_hdr *hdr)
{
    unsigned added = hdr->flags & SHUTDOWN_BOTH & ~c->shut_guest;

    if (c->state != VSOCK_OPEN && c->state != VSOCK_CLOSING) {
        return false;
    }
    c->shut_guest |= added;
    if (c->shut_guest == SHUTDOWN_BOTH && c->buf_len && c->fd >= 0) {
        vsock_host_reply(c->host, hdr);
        vsock_conn_unpublish(c);
        c->state = VSOCK_LINGER;
        c->send = 0;
        c->readable = false;
        shutdown(c->fd, SHUT_RD);
        return true;
    }
    if (c->shut_guest == SHUTDOWN_BOTH) {
        return false;
    }
    if ((added & VIRTIO_VSOCK_SHUTDOWN_RCV) && c->fd >= 0) {
        c->readable = false;
        shutdown(c->fd, SHUT_RD);
    }
    if ((added & VIRTIO_VSOCK_SHUTDOWN_SEND) && !c->buf_len) {
        end_of_guest_data(c);
    }
    return true;
}

static bool receive_packet(VsockConn *c, const struct virtio_vsock_hdr *hdr,
                           const struct iovec *data, unsigned n)
{
    switch (hdr->op) {
    case VIRTIO_VSOCK_OP_RESPONSE:
        return receive_response(c);
    case VIRTIO_VSOCK_OP_SHUTDOWN:
        return receive_shutdown(c, hdr);
    case VIRTIO_VSOCK_OP_RW:
        return receive_data(c, hdr, data, n);
    case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
        return c->state != VSOCK_REQUESTED;
    case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
        vsock_conn_queue(c, VSOCK_SEND_CREDIT);
        return c->state != VSOCK_REQUESTED;
    default:
        /* Nobody knows it; or a second REQUEST: which connection is meant? */
        return false;
    }
}

void vsock_conn_receive(VsockConn *c, const struct virtio_vsock_hdr *hdr,
                        const struct iovec *data, unsigned n)
{
    if (hdr->op == VIRTIO_VSOCK_OP_RST) {
        vsock_conn_free(c);
        return;
    }
    vsock_conn_credit(c, hdr);
    if (!receive_packet(c, hdr, data, n)) {
        vsock_host_reply(c->host, hdr);
        vsock_conn_free(c);
    }
}

/* Packets to the guest -------------------------------------------------------- */

static void fill_header(VsockConn *c, struct virtio_vsock_hdr *hdr, unsigned op)
{
    *hdr = (struct virtio_vsock_hdr) {
        .src_cid = VSOCK_HOST_CID,
        .dst_cid = c->host->guest_cid,
        .src_port = c->host_port,
        .dst_port = c->guest_port,
        .type = VIRTIO_VSOCK_TYPE_STREAM,
        .op = op,
        .flags = op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->shut_host : 0,
        .buf_alloc = c->buf_alloc,
        .fwd_cnt = c->fwd_cnt,
    };
    c->told_fwd = c->fwd_cnt;
    c->send &= ~VSOCK_SEND_CREDIT;
}

static bool may_read(const VsockConn *c)
{
    return c->state == VSOCK_OPEN && c->readable &&
        !(c->shut_guest & VIRTIO_VSOCK_SHUTDOWN_RCV) &&
        !(c->shut_host & VIRTIO_VSOCK_SHUTDOWN_SEND);
}

bool vsock_conn_pending(const VsockConn *c)
{
    return c->send || (may_read(c) && (guest_room(c) || !c->asked_credit));
}

/* Data from the host, its end, or the question for room. False: there is nothing. */
static bool read_from_host(VsockConn *c, struct virtio_vsock_hdr *hdr, const struct iovec *data,
                           unsigned n, size_t room)
{
    struct iovec iov[16];
    size_t want = MIN(room, MIN(guest_room(c), VSOCK_PACKET_MAX));
    ssize_t len;

    if (!want) {
        bool ask = !c->asked_credit && !guest_room(c);

        c->asked_credit = true;
        if (ask) {
            fill_header(c, hdr, VIRTIO_VSOCK_OP_CREDIT_REQUEST);
        }
        return ask;
    }
    len = readv(c->fd, iov, iov_slice(iov, G_N_ELEMENTS(iov), data, n, 0, want));
    if (len > 0) {
        c->tx_cnt += len;
        fill_header(c, hdr, VIRTIO_VSOCK_OP_RW);
        hdr->len = len;
        return true;
    }
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) {
        c->readable = errno == EINTR;
        return false;
    }
    if (len < 0) {
        c->hung_up = true;
    }
    host_shuts(c, VIRTIO_VSOCK_SHUTDOWN_SEND | (c->hung_up ? VIRTIO_VSOCK_SHUTDOWN_RCV : 0));
    return false;
}

/* SHUTDOWN in full is the host's last word but RST. */
static void shutdown_sent(VsockConn *c)
{
    if (c->shut_host == SHUTDOWN_BOTH && c->state == VSOCK_OPEN) {
        c->state = VSOCK_CLOSING;
        close_socket(c);
        vsock_conn_set_deadline(c, CLOSE_US);
    }
}

static bool next_order(VsockConn *c, struct virtio_vsock_hdr *hdr)
{
    static const struct {
        unsigned send, op;
    } orders[] = {
        { VSOCK_SEND_RST, VIRTIO_VSOCK_OP_RST },
        { VSOCK_SEND_REQUEST, VIRTIO_VSOCK_OP_REQUEST },
        { VSOCK_SEND_RESPONSE, VIRTIO_VSOCK_OP_RESPONSE },
        { VSOCK_SEND_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN },
        { VSOCK_SEND_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(orders); i++) {
        if (c->send & orders[i].send) {
            c->send &= ~orders[i].send;
            fill_header(c, hdr, orders[i].op);
            if (orders[i].send == VSOCK_SEND_RST) {
                vsock_conn_free(c);
            } else if (orders[i].send == VSOCK_SEND_SHUTDOWN) {
                shutdown_sent(c);
            }
            return true;
        }
    }
    return false;
}

bool vsock_conn_next(VsockConn *c, struct virtio_vsock_hdr *hdr, const struct iovec *data,
                     unsigned n, size_t room)
{
    /* Data tells of credit, too. */
    if (!(c->send & ~VSOCK_SEND_CREDIT) && may_read(c) &&
        read_from_host(c, hdr, data, n, room)) {
        return true;
    }
    return next_order(c, hdr);
}

/* The host's socket ----------------------------------------------------------- */

void vsock_conn_event(VsockConn *c, unsigned events)
{
    if (events & (EPOLLHUP | EPOLLERR)) {
        c->hung_up = true;
        if (c->state == VSOCK_OPEN || c->state == VSOCK_LINGER) {
            host_is_deaf(c);
        }
    } else if (events & EPOLLOUT) {
        flush_buffer(c);
    }
    if (c->state != VSOCK_FREE && (events & ~EPOLLOUT)) {
        c->readable = true;
        if (c->state == VSOCK_OPEN) {
            vsock_conn_queue(c, 0);
        }
    }
}

void vsock_conn_expire(VsockConn *c)
{
    vsock_conn_set_deadline(c, 0);
    if (c->state == VSOCK_HELLO) {
        vsock_conn_free(c);
        return;
    }
    close_socket(c);
    c->state = VSOCK_CLOSING;
    c->send = 0;
    vsock_conn_queue(c, VSOCK_SEND_RST);
}
