/*
 * virtio-net: from the backend to the guest.
 *
 * Buffers are taken out of the queue ahead of time (the stash), enough for
 * a frame like the last one; the backend reads straight into them. What does not fit
 * spills into memory of our own and is copied on into further buffers,
 * once the guest has them. Buffers that a frame did not use wait for the next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/if_ether.h>
#include <stddef.h>
#include <string.h>

#include "qemu/iov.h"
#include "qemu/main-loop.h"
#include "virtio-net.h"

/* Frames between two looks at the rest of the world. */
#define RX_BURST 64
#define RX_MAX_IOV 64
/* Addresses, a VLAN tag: what the filter looks at. */
#define RX_PEEK 18
#define RX_WANT_MIN 2048

/* The stash as one list -------------------------------------------------- */

typedef enum StashOp { STASH_WRITE, STASH_READ } StashOp;

/* Copy between buf and the bytes from offset on in all buffers of the stash. */
static void stash_copy(NetQueuePair *p, StashOp op, size_t offset, void *buf, size_t len)
{
    for (unsigned i = 0; i < p->nr_stash && len; i++) {
        VirtQueueElement *elem = p->stash[i];
        size_t n;

        if (offset >= elem->in_len) {
            offset -= elem->in_len;
            continue;
        }
        n = op == STASH_WRITE ? iov_from_buf(elem->in_sg, elem->in_num, offset, buf, len)
                              : iov_to_buf(elem->in_sg, elem->in_num, offset, buf, len);
        buf = (uint8_t *)buf + n;
        len -= n;
        offset = 0;
    }
}

/*
 * Have at least want bytes of buffers ready; without merging one buffer is all a
 * frame may have. False: the guest has to give more first.
 */
static bool stash_fill(NetQueuePair *p, size_t want)
{
    bool merge = net_has(p->n, VIRTIO_NET_F_MRG_RXBUF);

    while (!p->nr_stash ||
           (merge && p->stash_len < want && p->nr_stash < NET_RX_STASH)) {
        VirtQueueElement *elem = virtqueue_pop(p->rx);

        if (!elem) {
            return false;
        }
        /* Section 5.1.6.3.1: each has room for a header. */
        if (elem->in_len < p->n->hdr_len) {
            virtio_error(&p->n->vdev, "receive buffer of %zu bytes has no room for the header",
                         elem->in_len);
            virtqueue_detach(p->rx, elem);
            return false;
        }
        p->stash[p->nr_stash++] = elem;
        p->stash_len += elem->in_len;
    }
    return true;
}

/* The stash as an iovec list without its first skip bytes; how many entries. */
static unsigned stash_iov(NetQueuePair *p, size_t skip, struct iovec *iov, size_t *total)
{
    unsigned cnt = 0;

    *total = 0;
    for (unsigned i = 0; i < p->nr_stash; i++) {
        const VirtQueueElement *elem = p->stash[i];

        for (unsigned j = 0; j < elem->in_num; j++) {
            struct iovec v = elem->in_sg[j];
            size_t cut = skip < v.iov_len ? skip : v.iov_len;

            skip -= cut;
            if (v.iov_len == cut) {
                continue;
            }
            if (cnt == RX_MAX_IOV) {
                return cnt;
            }
            iov[cnt++] = (struct iovec){ (uint8_t *)v.iov_base + cut, v.iov_len - cut };
            *total += v.iov_len - cut;
        }
    }
    return cnt;
}

/* Frames ------------------------------------------------------------------- */

/*
 * Hand the first buffers of the stash, filled with frame_len bytes, to the guest;
 * all become visible at once (section 5.1.6.4.1).
 */
static void rx_deliver(NetQueuePair *p, size_t frame_len)
{
    VirtIONet *n = p->n;
    size_t left = frame_len;
    unsigned used = 0;
    uint16_t count;

    while (left) {
        size_t len = p->stash[used]->in_len;

        left -= len < left ? len : left;
        used++;
    }
    if (n->hdr_len == sizeof(struct virtio_net_hdr_mrg_rxbuf)) {
        count = used;
        stash_copy(p, STASH_WRITE, offsetof(struct virtio_net_hdr_mrg_rxbuf, num_buffers),
                   &count, sizeof(count));
    }
    left = frame_len;
    for (unsigned i = 0; i < used; i++) {
        VirtQueueElement *elem = p->stash[i];
        size_t len = elem->in_len < left ? elem->in_len : left;

        p->stash_len -= elem->in_len;
        left -= len;
        virtqueue_fill(p->rx, elem, len, i);
    }
    virtqueue_flush(p->rx, used);
    p->nr_stash -= used;
    memmove(p->stash, p->stash + used, p->nr_stash * sizeof(p->stash[0]));
}

/*
 * The header's flags, as far as the driver agreed to know them. The kernel says
 * "checked" (DATA_VALID) whether or not it was asked.
 */
static void rx_fix_header(NetQueuePair *p)
{
    static const struct virtio_net_hdr_mrg_rxbuf none;
    uint8_t flags = 0;

    if (!p->n->backend_hdr) {
        stash_copy(p, STASH_WRITE, 0, (void *)&none, p->n->hdr_len);
    } else if (!(p->n->guest_offloads >> VIRTIO_NET_F_GUEST_CSUM & 1)) {
        stash_copy(p, STASH_WRITE, offsetof(struct virtio_net_hdr, flags), &flags,
                   sizeof(flags));
    }
}

/* Section 5.1.4.1: no frame is longer than the driver was told, unless it is cut later. */
static bool rx_fits_mtu(NetQueuePair *p, const uint8_t *head, size_t len)
{
    bool tagged = (head[12] << 8 | head[13]) == ETH_P_8021Q;
    uint8_t gso = VIRTIO_NET_HDR_GSO_NONE;

    if (!net_has(p->n, VIRTIO_NET_F_MTU)) {
        return true;
    }
    if (p->n->backend_hdr) {
        stash_copy(p, STASH_READ, offsetof(struct virtio_net_hdr, gso_type), &gso, 1);
    }
    return (gso & ~VIRTIO_NET_HDR_GSO_ECN) != VIRTIO_NET_HDR_GSO_NONE ||
           len <= p->n->host_mtu + NET_ETH_HLEN + (tagged ? 4u : 0);
}

/* Is the frame in the stash (and the spill) one that the guest gets? */
static bool rx_wanted(NetQueuePair *p, size_t frame_len)
{
    VirtIONet *n = p->n;
    uint8_t head[RX_PEEK] = { 0 };
    size_t len = frame_len - n->hdr_len, peek = len < RX_PEEK ? len : RX_PEEK;
    size_t direct = p->rx_direct - n->hdr_len;

    if (frame_len < n->hdr_len + NET_ETH_HLEN || frame_len > NET_FRAME_MAX) {
        return false;
    }
    if (direct > peek) {
        direct = peek;
    }
    stash_copy(p, STASH_READ, n->hdr_len, head, direct);
    memcpy(head + direct, p->spill, peek - direct);
    return rx_fits_mtu(p, head, len) && virtio_net_filter_accepts(n, head, len);
}

/*
 * Finish the frame that is under way. False: more buffers are needed first.
 */
static bool rx_finish(NetQueuePair *p)
{
    size_t spilled = p->rx_frame - p->rx_direct;

    if (p->stash_len < p->rx_frame) {
        bool full = p->nr_stash == NET_RX_STASH;

        if (full || !net_has(p->n, VIRTIO_NET_F_MRG_RXBUF)) {
            /* It will never fit: dropped. The buffers wait for the next one. */
            p->rx_frame = 0;
            return true;
        }
        if (!stash_fill(p, p->rx_frame)) {
            return false;
        }
        return rx_finish(p);
    }
    if (spilled) {
        stash_copy(p, STASH_WRITE, p->rx_direct, p->spill, spilled);
    }
    rx_fix_header(p);
    rx_deliver(p, p->rx_frame);
    p->rx_frame = 0;
    return true;
}

typedef enum RxResult { RX_DONE, RX_NO_FRAME, RX_NO_BUFFERS } RxResult;

/* Fetch one frame and begin to deliver it. */
static RxResult rx_frame(NetQueuePair *p)
{
    VirtIONet *n = p->n;
    size_t skip = n->backend_hdr ? 0 : n->hdr_len, direct;
    struct iovec iov[RX_MAX_IOV + 1];
    unsigned cnt;
    ssize_t len;

    stash_fill(p, p->rx_want);
    if (!p->nr_stash) {
        return RX_NO_BUFFERS;
    }
    cnt = stash_iov(p, skip, iov, &direct);
    iov[cnt++] = (struct iovec){ p->spill, NET_FRAME_MAX };
    len = net_recv(&n->nic, p->index, iov, cnt);
    if (len < 0) {
        return RX_NO_FRAME;
    }
    p->rx_frame = len + skip;
    p->rx_direct = p->rx_frame < direct + skip ? p->rx_frame : direct + skip;
    if (p->rx_frame < n->hdr_len || !rx_wanted(p, p->rx_frame)) {
        p->rx_frame = 0;
        return RX_DONE;
    }
    p->rx_want = p->rx_frame > RX_WANT_MIN ? p->rx_frame : RX_WANT_MIN;
    return rx_finish(p) ? RX_DONE : RX_NO_BUFFERS;
}

/* Frames until one of both, or the budget, runs out. RX_DONE: there may be more. */
static RxResult rx_burst(NetQueuePair *p, unsigned *budget)
{
    RxResult result = RX_DONE;
    unsigned i;

    if (p->rx_frame && !rx_finish(p)) {
        --*budget;
        return RX_NO_BUFFERS;
    }
    for (i = 0; *budget && result == RX_DONE; i++, --*budget) {
        result = rx_frame(p);
    }
    qemu_loop_found_work(result == RX_DONE ? i : i - 1);
    return result;
}

/* Between the wish for a notification and the sleep buffers may have come. */
static bool rx_missed_buffers(NetQueuePair *p, RxResult result)
{
    return result == RX_NO_BUFFERS && !virtio_queue_empty(p->rx);
}

void virtio_net_rx(NetQueuePair *p)
{
    unsigned budget = RX_BURST;
    RxResult result;

    do {
        virtio_queue_set_notification(p->rx, false);
        result = rx_burst(p, &budget);
        if (result == RX_NO_BUFFERS) {
            virtio_queue_set_notification(p->rx, true);
        }
    } while (budget && rx_missed_buffers(p, result));
    if (rx_missed_buffers(p, result)) {
        virtio_queue_kick(p->rx);
    }
    virtio_notify(p->rx);
    /* With the link down nobody fetches what would be reported again and again. */
    net_set_receive(&p->n->nic, p->index,
                    result != RX_NO_BUFFERS && net_link_up(&p->n->nic));
}

void virtio_net_rx_stop(NetQueuePair *p)
{
    while (p->nr_stash) {
        virtqueue_unpop(p->rx, p->stash[--p->nr_stash]);
    }
    p->stash_len = 0;
    p->rx_frame = 0;
}
