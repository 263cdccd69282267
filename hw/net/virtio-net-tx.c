/*
 * virtio-net: from the guest to the backend.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "qemu/iov.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "virtio-net.h"

/* Frames between two looks at the rest of the world. */
#define TX_BURST 256
/* More buffers than that are copied into one first. */
#define TX_MAX_IOV 64
/* A frame that is to be cut counts as so many of the usual size. */
#define TX_SEGMENT 1500

/* The header as the backend gets it, from the guest's; false: drop the frame. */
static bool tx_check_header(VirtIONet *n, struct virtio_net_hdr *hdr, size_t frame_len)
{
    unsigned gso = hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
    bool csum = hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

    /* Section 5.1.6.2.2: unknown flags are ignored. */
    hdr->flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
    if (csum && (!net_has(n, VIRTIO_NET_F_CSUM) ||
                 (size_t)hdr->csum_start + hdr->csum_offset + 2 > frame_len)) {
        return false;
    }
    if (gso == VIRTIO_NET_HDR_GSO_NONE) {
        hdr->gso_type = hdr->gso_size = hdr->hdr_len = 0;
        return true;
    }
    if (gso != VIRTIO_NET_HDR_GSO_TCPV4 && gso != VIRTIO_NET_HDR_GSO_TCPV6) {
        return false;
    }
    if (!net_has(n, gso == VIRTIO_NET_HDR_GSO_TCPV4 ? VIRTIO_NET_F_HOST_TSO4
                                                    : VIRTIO_NET_F_HOST_TSO6) ||
        ((hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN) && !net_has(n, VIRTIO_NET_F_HOST_ECN))) {
        return false;
    }
    if (!csum || !hdr->gso_size) {
        return false;
    }
    /* A hint, never to be trusted. */
    if (hdr->hdr_len > frame_len) {
        hdr->hdr_len = frame_len;
    }
    return true;
}

/*
 * Send one request's frame. 0: sent or dropped; -EAGAIN: not yet. The element's
 * lists stay as they are, so that it can be tried again.
 */
static int tx_send(NetQueuePair *p, const VirtQueueElement *elem)
{
    VirtIONet *n = p->n;
    struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = 0 };
    struct iovec first, iov[TX_MAX_IOV + 1];
    const struct iovec *sg = elem->out_sg;
    size_t skip = n->hdr_len, frame_len = elem->out_len - n->hdr_len;
    unsigned cnt = 0, i = 0;

    iov_to_buf(sg, elem->out_num, 0, &hdr, n->hdr_len);
    hdr.num_buffers = 0;
    if (!tx_check_header(n, &hdr.hdr, frame_len)) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: frame with a bad header dropped\n",
                      qdev_name(&n->vdev.dev));
        return 0;
    }
    if (n->backend_hdr) {
        iov[cnt++] = (struct iovec){ &hdr, n->hdr_len };
    }
    while (skip >= sg[i].iov_len) {
        skip -= sg[i++].iov_len;
    }
    if (elem->out_num - i > TX_MAX_IOV) {
        /* Rare, and the kernel's limit of 1024 is near: one copy. */
        if (!n->bounce) {
            n->bounce = g_malloc(NET_FRAME_MAX);
        }
        iov_to_buf(sg, elem->out_num, n->hdr_len, n->bounce, frame_len);
        iov[cnt++] = (struct iovec){ n->bounce, frame_len };
        return net_send(&n->nic, p->index, iov, cnt);
    }
    first = sg[i++];
    iov[cnt++] = (struct iovec){ (uint8_t *)first.iov_base + skip, first.iov_len - skip };
    while (i < elem->out_num) {
        iov[cnt++] = sg[i++];
    }
    return net_send(&n->nic, p->index, iov, cnt);
}

static bool tx_size_ok(NetQueuePair *p, const VirtQueueElement *elem)
{
    size_t hdr_len = p->n->hdr_len;

    if (elem->out_len >= hdr_len + NET_ETH_HLEN && elem->out_len <= NET_FRAME_MAX) {
        return true;
    }
    if (elem->out_len < hdr_len) {
        virtio_error(&p->n->vdev, "transmit buffer of %zu bytes has no room for the header",
                     elem->out_len);
    }
    return false;
}

/* Publish what was sent, and tell the guest once. */
static void tx_complete(NetQueuePair *p, unsigned done, size_t bytes)
{
    qemu_loop_found_work(bytes / TX_SEGMENT);
    if (done) {
        virtqueue_flush(p->tx, done);
        virtio_notify(p->tx);
    }
}

/*
 * Send until the queue is empty (true), the budget is used up or the backend is full. To
 * find the queue empty costs as much as a frame.
 */
static bool tx_burst(NetQueuePair *p, unsigned *budget)
{
    VirtQueueElement *elem;
    unsigned done = 0;
    size_t bytes = 0;

    while (*budget) {
        --*budget;
        elem = p->tx_waiting ? p->tx_waiting : virtqueue_pop(p->tx);
        if (!elem) {
            tx_complete(p, done, bytes);
            return true;
        }
        p->tx_waiting = NULL;
        if (tx_size_ok(p, elem) && tx_send(p, elem) == -EAGAIN) {
            p->tx_waiting = elem;
            tx_complete(p, done, bytes);
            return false;
        }
        bytes += elem->out_len;
        virtqueue_fill(p->tx, elem, 0, done++);
    }
    tx_complete(p, done, bytes);
    virtio_queue_kick(p->tx);
    return false;
}

void virtio_net_tx(NetQueuePair *p)
{
    unsigned budget = TX_BURST;

    do {
        virtio_queue_set_notification(p->tx, false);
        if (!tx_burst(p, &budget)) {
            return;
        }
        virtio_queue_set_notification(p->tx, true);
    } while (!virtio_queue_empty(p->tx));
}

void virtio_net_tx_stop(NetQueuePair *p)
{
    if (p->tx_waiting) {
        virtqueue_unpop(p->tx, p->tx_waiting);
        p->tx_waiting = NULL;
    }
}
