/*
 * Frames on their way to libslirp: no urgent data; fragments are put together here.
 *
 * libslirp 4.7 trusts the urgent pointer of a TCP segment beyond the segment's
 * data (CVE-2026-9539). Nobody misses urgent data behind a NAT: the flag goes.
 *
 * Its reassembly of IPv4 fragments that overlap writes over its own list of them
 * (tests/unit/test-slirp.c, N11, without this filter), and any guest could do that to us. So
 * it never sees one: ip-reassembly.c makes whole datagrams of them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-filter.h"

#include <netinet/in.h>
#include <string.h>

#include "packet.h"

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
    if (load16(ip + IP_FRAGMENT) & (IP_MF | IP_OFFSET_MASK)) {
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
        return len < IP6_HLEN ||
               (payload[IP6_NEXT] != IP6_FRAGMENT &&
                (payload[IP6_NEXT] != IPPROTO_TCP ||
                 filter_tcp(payload + IP6_HLEN, len - IP6_HLEN)));
    default:
        return true;
    }
}

bool slirp_frame_is_address(const uint8_t *frame, size_t len)
{
    size_t payload_len;
    uint8_t proto;

    return (len >= ETH_HLEN && load16(frame + ETH_TYPE) == ETH_TYPE_ARP) ||
           (ip_payload(frame, len, &proto, &payload_len) && proto == IPPROTO_ICMPV6);
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
