/*
 * Datagrams that are longer than the guest's network allows, in fragments.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_IP_FRAGMENT_H
#define NET_IP_FRAGMENT_H

#include <stddef.h>
#include <stdint.h>

typedef void IPFragmentFn(const uint8_t *frame, size_t len, void *opaque);

/*
 * Call fn with a frame of no more than mtu bytes of IP, or with its fragments. What is no IP
 * packet, and TCP, whose segments are as long as both sides want, is handed on as it is. id
 * tells the fragments of IPv6 datagrams apart. mtu is 68 at least, and 1500 at most.
 */
void ip_fragment(const uint8_t *frame, size_t len, unsigned mtu, uint32_t id, IPFragmentFn *fn,
                 void *opaque);

#endif
