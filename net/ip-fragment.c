/*
 * Datagrams that are longer than the guest's network allows, in fragments (RFC 791, RFC 8200
 * section 4.5).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "ip-fragment.h"

#include <glib.h>
#include <netinet/in.h>
#include <string.h>

#include "packet.h"

#define MTU_MAX 1500
#define UNIT 8

/* The header of a fragment with part bytes at offset of the packet's data. */
static void set_ip(uint8_t *ip, const uint8_t *whole, size_t offset, size_t part, bool last)
{
    size_t header = (ip[0] & 15) * 4;
    unsigned word = load16(whole + IP_FRAGMENT);    /* it may be a fragment itself */

    store16(ip + IP_TOTAL, header + part);
    store16(ip + IP_FRAGMENT, (word & IP_MF) | (last ? 0 : IP_MF) |
            ((word & IP_OFFSET_MASK) + offset / UNIT));
    store16(ip + IP_HEADER_SUM, 0);
    store16(ip + IP_HEADER_SUM, ~sum16(ip, header, 0));
}

static void set_ip6(uint8_t *ip, size_t offset, size_t part, bool last, uint32_t id)
{
    uint8_t *frag = ip + IP6_HLEN;

    frag[0] = ip[IP6_NEXT];
    frag[1] = 0;
    store16(frag + 2, offset | !last);
    store16(frag + 4, id >> 16);
    store16(frag + 6, id);
    ip[IP6_NEXT] = IP6_FRAGMENT;
    store16(ip + IP6_PAYLOAD, IP6_FRAG_HLEN + part);
}

void ip_fragment(const uint8_t *frame, size_t len, unsigned mtu, uint32_t id, IPFragmentFn *fn,
                 void *opaque)
{
    uint8_t piece[ETH_HLEN + MTU_MAX], proto;
    size_t data_len, header, extra, step;
    const uint8_t *data = ip_payload(frame, len, &proto, &data_len);

    if (len <= ETH_HLEN + mtu || !data || proto == IPPROTO_TCP) {
        fn(frame, len, opaque);
        return;
    }
    header = data - frame;
    extra = load16(frame + ETH_TYPE) == ETH_TYPE_IPV6 ? IP6_FRAG_HLEN : 0;
    step = (ETH_HLEN + MIN(mtu, MTU_MAX) - header - extra) & ~(size_t)(UNIT - 1);
    for (size_t offset = 0; offset < data_len; offset += step) {
        size_t part = MIN(step, data_len - offset);
        bool last = offset + part == data_len;

        memcpy(piece, frame, header);
        memcpy(piece + header + extra, data + offset, part);
        if (extra) {
            set_ip6(piece + ETH_HLEN, offset, part, last, id);
        } else {
            set_ip(piece + ETH_HLEN, frame + ETH_HLEN, offset, part, last);
        }
        fn(piece, header + extra + part, opaque);
    }
}
