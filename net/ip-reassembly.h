/*
 * Whole datagrams of a guest's IPv4 and IPv6 fragments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_IP_REASSEMBLY_H
#define NET_IP_REASSEMBLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Datagrams under way; the oldest makes room for one more. */
#define IP_REASSEMBLY_MAX 16
/* A datagram whose fragments take longer never comes (RFC 1122, 3.3.2; RFC 8200, 4.5). */
#define IP_REASSEMBLY_MS 60000

struct IPDatagram;

/* Zeroed is empty. Never more than 66 KiB for each datagram under way. */
typedef struct IPReassembly {
    struct IPDatagram *datagram[IP_REASSEMBLY_MAX];
} IPReassembly;

/* Is that an IPv4 fragment, or an IPv6 packet whose first extension header is a fragment's? */
bool ip_is_fragment(const uint8_t *frame, size_t len);
/*
 * Take a fragment, an Ethernet frame of len bytes. When it completes its datagram, write that
 * as one frame to out (out_size bytes; may be frame) and return its length. 0: not yet, or
 * never: what overlaps, has no end, ends twice or is longer than a datagram may be is
 * dropped with all that came of its datagram (RFC 5722).
 */
size_t ip_reassemble(IPReassembly *r, const uint8_t *frame, size_t len, int64_t now_ms,
                     uint8_t *out, size_t out_size);
void ip_reassembly_clear(IPReassembly *r);

#endif
