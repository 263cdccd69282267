/*
 * A virtio-net device on the fake machine, with a backend of the test's choice.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef TESTS_UNIT_NET_HARNESS_H
#define TESTS_UNIT_NET_HARNESS_H

#include <linux/virtio_net.h>

#include "net/net.h"
#include "virtio-harness.h"

#define NT_RX_BUF   0x1000000ull / 2    /* 8 MiB: receive buffers from here on */
#define NT_RX_SIZE  1526u
#define NT_TX_BUF   0x10000ull
#define NT_CTRL_BUF 0x8000ull
#define NT_ALL_FEATURES 0xffffffffull

/* The device, its queues in use, and the other end of its backend. */
typedef struct NT {
    VT *t;
    VTRing *rx, *tx, *ctrl;
    unsigned hdr;               /* bytes of the header */
    int peer;                   /* of a socketpair; -1 */
    unsigned nr_rx;             /* buffers given so far */
} NT;

/* -netdev netdev -device virtio-net-device,device; not started. */
NT *nt_new(gconstpointer legacy, const char *netdev, const char *device);
/* The same with a pair of sockets of this type. */
NT *nt_new_pair(gconstpointer legacy, int type, const char *device);
/* Negotiate, set three queues of 64 entries up, DRIVER_OK. */
void nt_start(NT *n, uint64_t want);
void nt_free(NT *n);

/* Give count receive buffers of size bytes. */
void nt_give(NT *n, unsigned count, unsigned size);
/* Transmit a frame behind a header (NULL: zeroes), and kick. */
void nt_send(NT *n, const struct virtio_net_hdr *hdr, const void *frame, size_t len);
/*
 * The next received frame (up to 5 s for it), joined if it was merged; its length. The
 * header goes to hdr (may be NULL); buffers: how many it took (may be NULL).
 */
size_t nt_receive(NT *n, void *frame, size_t max, struct virtio_net_hdr_mrg_rxbuf *hdr,
                  unsigned *buffers);
/* Is no frame there? */
bool nt_quiet(NT *n);
/* A control command; the answer, or -1 when there was none. */
int nt_ctrl(NT *n, unsigned cmd_class, unsigned cmd, const void *data, size_t len);
/* A frame of len bytes (14 or more) to dst (NULL: broadcast), with a pattern. */
void nt_frame(uint8_t *frame, size_t len, const uint8_t *dst, uint8_t seed);
/* A frame from the guest to the pair's other end, and one back: all is well. */
void nt_assert_works(NT *n);

#endif
