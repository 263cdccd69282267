/*
 * What a guest, and peers outside, may make libslirp open: a count of its sockets, and which
 * frames would make one more.
 *
 * libslirp opens what a frame asks for; to refuse, the frame is dropped before. It tells of
 * descriptors that it opens and closes, so their number is exact. UDP has no first segment:
 * the sources that have a socket are kept, and may go on when the limit is reached.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-limit.h"

#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <stdio.h>
#include <string.h>

#include "packet.h"

#define RECOUNT_MS 1000
/* An address and a port. */
#define SOURCE_LEN 18

void slirp_limit_init(SlirpLimit *l, unsigned max)
{
    *l = (SlirpLimit) {
        .max = max,
        .fds = g_hash_table_new_full(NULL, NULL, NULL, (GDestroyNotify)g_bytes_unref),
        .sources = g_hash_table_new(g_bytes_hash, g_bytes_equal),
    };
}

void slirp_limit_cleanup(SlirpLimit *l)
{
    g_clear_pointer(&l->sources, g_hash_table_unref);
    g_clear_pointer(&l->fds, g_hash_table_unref);
}

static unsigned sockets(const SlirpLimit *l)
{
    return g_hash_table_size(l->fds) + l->streams;
}

bool slirp_limit_reached(const SlirpLimit *l)
{
    return sockets(l) >= l->max;
}

static GBytes *udp_source(const uint8_t *frame, const uint8_t *udp)
{
    uint8_t source[SOURCE_LEN] = { 0 };

    if (load16(frame + ETH_TYPE) == ETH_TYPE_IP) {
        memcpy(source, frame + ETH_HLEN + IP_SOURCE, 4);
    } else {
        memcpy(source, frame + ETH_HLEN + IP6_SOURCE, 16);
    }
    memcpy(source + 16, udp, 2);
    return g_bytes_new(source, sizeof(source));
}

/* Can it open a socket? With UDP *source says whose (a new reference). */
static bool may_open(const uint8_t *frame, size_t len, bool *stream, GBytes **source)
{
    size_t payload_len;
    uint8_t proto;
    const uint8_t *payload = ip_payload(frame, len, &proto, &payload_len);

    if (!payload) {
        return false;
    }
    *stream = proto == IPPROTO_TCP;
    switch (proto) {
    case IPPROTO_TCP:
        return payload_len >= TCP_HLEN &&
               (payload[TCP_OFFSET_FLAGS + 1] & (TCP_SYN | TCP_ACK)) == TCP_SYN;
    case IPPROTO_UDP:
        if (payload_len < UDP_HLEN) {
            return false;
        }
        *source = udp_source(frame, payload);
        return true;
    case IPPROTO_ICMPV6:    /* neighbour discovery must go on */
        return payload_len && payload[0] == ICMP6_ECHO_REQUEST;
    default:
        return true;
    }
}

bool slirp_limit_begin(SlirpLimit *l, const uint8_t *frame, size_t len)
{
    g_autoptr(GBytes) source = NULL;

    l->opened = l->stream = false;
    l->opening = may_open(frame, len, &l->stream, &source);
    if (!l->opening) {
        return true;
    }
    if (source && g_hash_table_lookup(l->sources, source)) {
        l->opening = false;
        return true;
    }
    if (slirp_limit_reached(l)) {
        l->opening = false;
        return false;
    }
    l->source = g_steal_pointer(&source);
    return true;
}

void slirp_limit_done(SlirpLimit *l)
{
    /* A stream to guestfwd=, or another segment of one that has a socket. */
    if (l->opening && !l->opened && l->stream) {
        l->streams++;
        l->by_guest = true;
    }
    l->opening = false;
    g_clear_pointer(&l->source, g_bytes_unref);
}

void slirp_limit_opened(SlirpLimit *l, int fd)
{
    if (fd < 0) {
        return;
    }
    slirp_limit_closed(l, fd);
    if (l->opening) {
        l->opened = l->by_guest = true;
    }
    if (l->source) {
        g_hash_table_add(l->sources, l->source);
    }
    g_hash_table_insert(l->fds, GINT_TO_POINTER(fd),
                        l->source ? g_bytes_ref(l->source) : g_bytes_new(NULL, 0));
}

void slirp_limit_closed(SlirpLimit *l, int fd)
{
    GBytes *source;

    if (fd < 0) {
        l->streams -= l->streams > 0;
        return;
    }
    source = g_hash_table_lookup(l->fds, GINT_TO_POINTER(fd));
    if (source) {
        g_hash_table_remove(l->sources, source);
        g_hash_table_remove(l->fds, GINT_TO_POINTER(fd));
    }
}

bool slirp_limit_wants_recount(SlirpLimit *l, int64_t now_ms)
{
    if (!slirp_limit_reached(l) || !l->streams || now_ms < l->recount_ms) {
        return false;
    }
    l->recount_ms = now_ms + RECOUNT_MS;
    return true;
}

/* Rows are "PROTOCOL[STATE] DESCRIPTOR …". */
void slirp_limit_recount(SlirpLimit *l, const char *text)
{
    unsigned n = 0;
    int fd;

    for (const char *p = text; (p = strchr(p, ']')); p++) {
        n += sscanf(p + 1, "%d", &fd) == 1 && fd < 0;
    }
    l->streams = MIN(l->streams, n);
}
