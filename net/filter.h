/*
 * Who looks at a network back end's frames as they pass.
 *
 * Main loop and machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_FILTER_H
#define NET_FILTER_H

#include "net/net.h"

typedef struct NetFilterState {
    NetClientState *nc;         /* NULL: none, or it has gone */
    struct NetFilterState *next;     /* of the same back end */
    /* A frame of len bytes, without a virtio-net header, is in the list from offset on. */
    void (*see)(struct NetFilterState *f, bool to_guest, const struct iovec *iov, unsigned cnt,
                size_t offset, size_t len);
} NetFilterState;

void net_filter_attach(NetFilterState *f, NetClientState *nc);
void net_filter_detach(NetFilterState *f);
/* All of nc's look at it: len bytes of the list, header included. */
void net_filter_frame(NetClientState *nc, bool to_guest, const struct iovec *iov, unsigned cnt,
                      size_t len);
/* nc goes. */
void net_filter_detach_all(NetClientState *nc);

#endif
