/*
 * What is taken out of frames before libslirp sees them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_SLIRP_FILTER_H
#define NET_SLIRP_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Clear TCP's URG flag in an Ethernet frame of len bytes and correct the
 * checksum. False: the frame must be dropped (a fragment, or lengths that lie).
 */
bool slirp_filter_frame(uint8_t *frame, size_t len);

/* Is it ARP or IPv6 neighbour discovery, which may tell libslirp an address? */
bool slirp_frame_is_address(const uint8_t *frame, size_t len);

/*
 * Does a frame that may pass carry TCP data, by IPv4? Then its destination: the address as
 * it is on the wire, the port as a number.
 */
bool slirp_frame_has_data(const uint8_t *frame, size_t len, uint32_t *addr, int *port);

#endif
