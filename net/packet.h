/*
 * Where things are in Ethernet, IP, TCP and UDP headers, for the files that look at frames.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_PACKET_H
#define NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ETH_HLEN 14
#define ETH_TYPE 12
#define ETH_TYPE_IP 0x0800
#define ETH_TYPE_ARP 0x0806
#define ETH_TYPE_IPV6 0x86dd
/* IPv4 (RFC 791, section 3.1). */
#define IP_HLEN 20
#define IP_TOTAL 2
#define IP_ID 4
#define IP_FRAGMENT 6
#define IP_MF 0x2000
#define IP_OFFSET_MASK 0x1fff
#define IP_PROTOCOL 9
#define IP_HEADER_SUM 10
#define IP_SOURCE 12
#define IP_DESTINATION 16
/* IPv6 (RFC 8200, sections 3 and 4.5). */
#define IP6_HLEN 40
#define IP6_PAYLOAD 4
#define IP6_NEXT 6
#define IP6_SOURCE 8
#define IP6_DESTINATION 24
#define IP6_FRAGMENT 44
#define IP6_FRAG_HLEN 8
/* TCP (RFC 9293, section 3.1). */
#define TCP_HLEN 20
#define TCP_DESTINATION 2
#define TCP_OFFSET_FLAGS 12
#define TCP_CHECKSUM 16
#define TCP_URGENT 18
#define TCP_SYN 0x02
#define TCP_ACK 0x10
#define TCP_URG 0x20
/* UDP (RFC 768). */
#define UDP_HLEN 8
#define UDP_DESTINATION 2
#define UDP_LENGTH 4
#define UDP_CHECKSUM 6

static inline unsigned load16(const uint8_t *p)
{
    return p[0] << 8 | p[1];
}

static inline void store16(uint8_t *p, unsigned val)
{
    p[0] = val >> 8;
    p[1] = val;
}

/* Add len bytes to a sum of 16-bit words, kept within 16 bits (RFC 1071). */
static inline uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : p[i] << 8;
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (sum & 0xffff) + (sum >> 16);
}

/* The IP header's protocol and payload of a frame that is an IP packet; NULL: it is none. */
static inline const uint8_t *ip_payload(const uint8_t *frame, size_t len, uint8_t *proto,
                                        size_t *payload_len)
{
    const uint8_t *ip = frame + ETH_HLEN;
    size_t header = 0, total = 0;

    if (len < ETH_HLEN + IP_HLEN) {
        return NULL;
    }
    len -= ETH_HLEN;
    if (load16(frame + ETH_TYPE) == ETH_TYPE_IP) {
        header = (ip[0] & 15) * 4;
        total = load16(ip + IP_TOTAL);
        *proto = ip[IP_PROTOCOL];
    } else if (load16(frame + ETH_TYPE) == ETH_TYPE_IPV6 && len >= IP6_HLEN) {
        header = IP6_HLEN;
        total = IP6_HLEN + load16(ip + IP6_PAYLOAD);
        *proto = ip[IP6_NEXT];
    }
    if (header < IP_HLEN || total < header || total > len) {
        return NULL;
    }
    *payload_len = total - header;
    return ip + header;
}

#endif
