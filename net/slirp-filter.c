/*
 * Frames on their way to libslirp: no urgent data, no fragments.
 *
 * libslirp 4.7 trusts the urgent pointer of a TCP segment beyond the segment's
 * data (CVE-2026-9539). Nobody misses urgent data behind a NAT: the flag goes.
 *
 * Its reassembly of IPv4 fragments that overlap writes over its own list of them
 * (tests/unit/test-slirp.c, N11, without this filter). Any guest could do that
 * to us; few ever send a datagram larger than the MTU. So fragments are dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-filter.h"

#include <netinet/in.h>
#include <string.h>

#define ETH_HLEN 14
#define ETH_TYPE_IP 0x0800
#define ETH_TYPE_IPV6 0x86dd
#define IP_HLEN 20
#define IP_TOTAL 2
#define IP_PROTOCOL 9
#define IP_DESTINATION 16
#define IP6_HLEN 40
#define IP_MF 0x2000
#define IP_OFFSET_MASK 0x1fff
/* In a TCP header (RFC 9293, section 3.1). */
#define TCP_HLEN 20
#define TCP_DESTINATION 2
#define TCP_OFFSET_FLAGS 12
#define TCP_CHECKSUM 16
#define TCP_URGENT 18
#define TCP_URG 0x20

static unsigned load16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static void store16(uint8_t *p, unsigned val)
{
    p[0] = val >> 8;
    p[1] = val;
}

/* Change a 16-bit word and the checksum over it (RFC 1624, equation 3). */
static void replace_word(uint8_t *word, uint8_t *checksum, unsigned val)
{
    uint32_t sum = (~load16(checksum) & 0xffff) + (~load16(word) & 0xffff) + val;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    store16(checksum, ~sum & 0xffff);
    store16(word, val);
}

static bool filter_tcp(uint8_t *tcp, size_t len)
{
    if (len < TCP_HLEN) {
        return false;
    }
    if (load16(tcp + TCP_OFFSET_FLAGS) & TCP_URG) {
        replace_word(tcp + TCP_OFFSET_FLAGS, tcp + TCP_CHECKSUM,
                     load16(tcp + TCP_OFFSET_FLAGS) & ~TCP_URG);
        replace_word(tcp + TCP_URGENT, tcp + TCP_CHECKSUM, 0);
    }
    return true;
}

static bool filter_ip(uint8_t *ip, size_t len)
{
    unsigned header, total;

    if (len < IP_HLEN) {
        return false;
    }
    header = (ip[0] & 15) * 4;
    total = load16(ip + IP_TOTAL);
    if (header < IP_HLEN || total < header || total > len) {
        return false;
    }
    if (load16(ip + 6) & (IP_MF | IP_OFFSET_MASK)) {
        return false;
    }
    return ip[IP_PROTOCOL] != IPPROTO_TCP || filter_tcp(ip + header, total - header);
}

bool slirp_filter_frame(uint8_t *frame, size_t len)
{
    uint8_t *payload = frame + ETH_HLEN;

    if (len < ETH_HLEN) {
        return false;
    }
    len -= ETH_HLEN;
    switch (load16(frame + 12)) {
    case ETH_TYPE_IP:
        return filter_ip(payload, len);
    case ETH_TYPE_IPV6:
        /* libslirp knows no extension headers, so TCP comes at once or not at all. */
        return len < IP6_HLEN || payload[6] != IPPROTO_TCP ||
               filter_tcp(payload + IP6_HLEN, len - IP6_HLEN);
    default:
        return true;
    }
}

bool slirp_frame_has_data(const uint8_t *frame, size_t len, uint32_t *addr, int *port)
{
    const uint8_t *ip = frame + ETH_HLEN, *tcp;
    unsigned header, total;

    if (len < ETH_HLEN + IP_HLEN || load16(frame + 12) != ETH_TYPE_IP ||
        ip[IP_PROTOCOL] != IPPROTO_TCP) {
        return false;
    }
    header = (ip[0] & 15) * 4;
    total = load16(ip + IP_TOTAL);
    tcp = ip + header;
    memcpy(addr, ip + IP_DESTINATION, sizeof(*addr));
    *port = load16(tcp + TCP_DESTINATION);
    return total - header > (tcp[TCP_OFFSET_FLAGS] >> 4) * 4u;
}
