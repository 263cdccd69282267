/*
 * Being the guest of a user network, frame by frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_SLIRP_HARNESS_H
#define TESTS_UNIT_SLIRP_HARNESS_H

#include "net-harness.h"

#define GUEST_IP "\x0a\x00\x02\x0f"
#define HOST_IP "\x0a\x00\x02\x02"
#define GUEST_MAC "\x52\x54\x00\x01\x02\x03"
#define USER "user,id=n0,ipv6=off,hostname=visitor"
#define SLIRP_FRAME_MAX 70000
enum { TCP_FIN = 1, TCP_SYN = 2, TCP_RST = 4, TCP_ACK = 16 };

/* The frame to send, and the last one that came. */
extern uint8_t frame[SLIRP_FRAME_MAX], reply[SLIRP_FRAME_MAX];

/* USER and more options, begun with ','; started, with receive buffers. */
NT *slirp_start(const char *options);
/* Before the first network: confine its process as a machine's is, with programs or without. */
void slirp_confine(bool programs);
/* The process of user networks, and how many descriptors it has. */
pid_t slirp_process(void);
unsigned slirp_open_files(void);
/* Send it, and wait until it has gone to the process. */
void slirp_send(NT *n, const void *data, size_t len);
/* The next frame into reply, or 0 if none comes for long. */
size_t next_frame(NT *n);
/* The same for one that may not come, within 200 ms. */
size_t maybe_frame(NT *n);
/* Add to a sum of big-endian words (RFC 1071). */
uint16_t ip_sum(const uint8_t *p, size_t len, uint32_t sum);
void put16(uint8_t *p, unsigned val);
void put32(uint8_t *p, uint32_t val);
uint32_t get32(const uint8_t *p);
/* An Ethernet and IPv4 header in frame for len bytes of payload; the frame's length. */
size_t make_ip(uint8_t proto, const char *src, const char *dst, size_t len);
/* The transport checksum of an IPv4 frame: 0 when right. */
uint16_t check_transport(const uint8_t *f);
void send_arp(NT *n);
/* The stack answers ARP: it lives. Other frames may come before. */
void assert_alive(NT *n);

#endif
