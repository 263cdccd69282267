/*
 * Whole datagrams of a guest's IPv4 and IPv6 fragments (RFC 791, RFC 8200 section 4.5).
 *
 * The guest is hostile. Data goes to a buffer of the datagram, and a bitmap says which units
 * of eight bytes it has: no lists, and a unit that comes twice ends the datagram. Memory,
 * number and time are bounded; no step takes longer than the fragment is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ip-reassembly.h"

#include <glib.h>
#include <string.h>

#include "packet.h"

#define UNIT 8
#define DATA_MAX 65535
#define HEADER_MAX (ETH_HLEN + 60)
#define KEY_MAX 38

/* What a fragment says, checked against its own length. */
typedef struct Fragment {
    uint8_t key[KEY_MAX];       /* addresses, identification, protocol; zeros */
    const uint8_t *data;
    unsigned offset, len;       /* of the data, bytes */
    bool more;
    bool ipv6;
    uint8_t next;               /* IPv6: the header behind the fragment's */
    unsigned header_len;        /* Ethernet and IP, of a packet that is whole */
} Fragment;

typedef struct IPDatagram {
    uint8_t key[KEY_MAX];
    int64_t since_ms;
    unsigned have;              /* bytes of data that are there */
    unsigned end;               /* of all data; 0: the last fragment has not come */
    unsigned highest;           /* end of the data that is there */
    uint8_t next;
    unsigned header_len;        /* 0: the first fragment has not come */
    uint8_t header[HEADER_MAX];
    uint8_t *data;              /* highest bytes, and what is missing between */
    uint8_t unit[(DATA_MAX / UNIT + 1 + 7) / 8];    /* a bit for each that is there */
} IPDatagram;

static void datagram_free(IPDatagram *d)
{
    g_free(d->data);
    g_free(d);
}

static void drop(IPReassembly *r, unsigned i)
{
    g_clear_pointer(&r->datagram[i], datagram_free);
}

/* What a fragment says ----------------------------------------------------- */

static bool parse_ip(const uint8_t *ip, size_t len, Fragment *f)
{
    unsigned header, total, word;

    if (len < IP_HLEN) {
        return false;
    }
    header = (ip[0] & 15) * 4;
    total = load16(ip + IP_TOTAL);
    word = load16(ip + IP_FRAGMENT);
    if (header < IP_HLEN || total <= header || total > len) {
        return false;
    }
    memcpy(f->key, ip + IP_SOURCE, 8);
    memcpy(f->key + 8, ip + IP_ID, 2);
    f->key[10] = ip[IP_PROTOCOL];
    f->key[KEY_MAX - 1] = 4;
    f->offset = (word & IP_OFFSET_MASK) * UNIT;
    f->more = word & IP_MF;
    f->data = ip + header;
    f->len = total - header;
    f->header_len = ETH_HLEN + header;
    return true;
}

static bool parse_ip6(const uint8_t *ip, size_t len, Fragment *f)
{
    const uint8_t *frag = ip + IP6_HLEN;
    unsigned payload;

    if (len < IP6_HLEN + IP6_FRAG_HLEN) {
        return false;
    }
    payload = load16(ip + IP6_PAYLOAD);
    if (payload <= IP6_FRAG_HLEN || payload > len - IP6_HLEN) {
        return false;
    }
    memcpy(f->key, ip + IP6_SOURCE, 32);
    memcpy(f->key + 32, frag + 4, 4);
    f->key[KEY_MAX - 1] = 6;
    f->ipv6 = true;
    f->next = frag[0];
    f->offset = load16(frag + 2) & ~(UNIT - 1);
    f->more = frag[3] & 1;
    f->data = frag + IP6_FRAG_HLEN;
    f->len = payload - IP6_FRAG_HLEN;
    f->header_len = ETH_HLEN + IP6_HLEN;
    return true;
}

bool ip_is_fragment(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + ETH_HLEN;

    if (len < ETH_HLEN + IP_HLEN) {
        return false;
    }
    switch (load16(frame + ETH_TYPE)) {
    case ETH_TYPE_IP:
        return load16(ip + IP_FRAGMENT) & (IP_MF | IP_OFFSET_MASK);
    case ETH_TYPE_IPV6:
        return ip[IP6_NEXT] == IP6_FRAGMENT;
    default:
        return false;
    }
}

static bool parse(const uint8_t *frame, size_t len, Fragment *f)
{
    const uint8_t *ip = frame + ETH_HLEN;
    unsigned header;

    *f = (Fragment) { .len = 0 };
    if (!ip_is_fragment(frame, len) ||
        !(load16(frame + ETH_TYPE) == ETH_TYPE_IP ? parse_ip(ip, len - ETH_HLEN, f)
                                               : parse_ip6(ip, len - ETH_HLEN, f))) {
        return false;
    }
    header = f->ipv6 ? 0 : f->header_len - ETH_HLEN;    /* counts in IPv4's length only */
    return f->offset + f->len + header <= DATA_MAX && !(f->more && f->len % UNIT);
}

/* Datagrams ---------------------------------------------------------------- */

static IPDatagram *find(IPReassembly *r, const Fragment *f, int64_t now_ms, unsigned *index)
{
    unsigned oldest = 0;

    for (unsigned i = 0; i < IP_REASSEMBLY_MAX; i++) {
        IPDatagram *d = r->datagram[i];

        if (d && now_ms - d->since_ms >= IP_REASSEMBLY_MS) {
            drop(r, i);
            d = NULL;
        }
        if (d && !memcmp(d->key, f->key, KEY_MAX)) {
            *index = i;
            return d;
        }
        if (r->datagram[oldest] && (!d || d->since_ms < r->datagram[oldest]->since_ms)) {
            oldest = i;
        }
    }
    drop(r, oldest);
    *index = oldest;
    r->datagram[oldest] = g_new0(IPDatagram, 1);
    memcpy(r->datagram[oldest]->key, f->key, KEY_MAX);
    r->datagram[oldest]->since_ms = now_ms;
    return r->datagram[oldest];
}

/* Mark the fragment's units; false: one was there. */
static bool take_units(IPDatagram *d, const Fragment *f)
{
    unsigned first = f->offset / UNIT, last = (f->offset + f->len - 1) / UNIT;

    for (unsigned u = first; u <= last; u++) {
        if (d->unit[u / 8] >> u % 8 & 1) {
            return false;
        }
        d->unit[u / 8] |= 1u << u % 8;
    }
    return true;
}

/* False: the datagram is nonsense. */
static bool add(IPDatagram *d, const Fragment *f, const uint8_t *frame)
{
    unsigned end = f->offset + f->len;

    if (!take_units(d, f) || (d->end && (!f->more || end > d->end)) ||
        (!f->more && end < d->highest)) {
        return false;
    }
    if (!f->more) {
        d->end = end;
    }
    if (end > d->highest) {
        d->data = g_renew(uint8_t, d->data, end);
        d->highest = end;
    }
    memcpy(d->data + f->offset, f->data, f->len);
    d->have += f->len;
    if (!f->offset) {
        d->header_len = f->header_len;
        d->next = f->next;
        memcpy(d->header, frame, f->header_len);
    }
    return true;
}

static size_t build(const IPDatagram *d, bool ipv6, uint8_t *out, size_t out_size)
{
    uint8_t *ip = out + ETH_HLEN;
    unsigned header = d->header_len - ETH_HLEN;

    if (header + d->end > DATA_MAX + (ipv6 ? IP6_HLEN : 0u) ||
        d->header_len + d->end > out_size) {
        return 0;
    }
    memcpy(out, d->header, d->header_len);
    memcpy(out + d->header_len, d->data, d->end);
    if (ipv6) {
        store16(ip + IP6_PAYLOAD, d->end);
        ip[IP6_NEXT] = d->next;
    } else {
        store16(ip + IP_TOTAL, header + d->end);
        store16(ip + IP_FRAGMENT, 0);
        store16(ip + IP_HEADER_SUM, 0);
        store16(ip + IP_HEADER_SUM, ~sum16(ip, header, 0) & 0xffff);
    }
    return d->header_len + d->end;
}

size_t ip_reassemble(IPReassembly *r, const uint8_t *frame, size_t len, int64_t now_ms,
                     uint8_t *out, size_t out_size)
{
    IPDatagram *d;
    unsigned index;
    Fragment f;
    size_t total;

    if (!parse(frame, len, &f)) {
        return 0;
    }
    d = find(r, &f, now_ms, &index);
    if (!add(d, &f, frame)) {
        drop(r, index);
        return 0;
    }
    if (!d->end || d->have != d->end) {
        return 0;       /* no gap, since nothing overlaps: the first one is there, too */
    }
    total = build(d, f.ipv6, out, out_size);
    drop(r, index);
    return total;
}

void ip_reassembly_clear(IPReassembly *r)
{
    for (unsigned i = 0; i < IP_REASSEMBLY_MAX; i++) {
        drop(r, i);
    }
}
