/*
 * virtio-net: what its files share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_NET_VIRTIO_NET_H
#define HW_NET_VIRTIO_NET_H

#include <linux/virtio_net.h>

#include "hw/virtio/vhost-user.h"
#include "hw/virtio/vhost.h"
#include "hw/virtio/virtio.h"
#include "net/net.h"

/* Addresses in the filter's table; more make it let all pass, as is allowed. */
#define NET_MAC_TABLE 64
/* Requests taken out of the receive queue ahead of frames. */
#define NET_RX_STASH 64

typedef struct VirtIONet VirtIONet;

/* One receive and one transmit queue, and what is under way between them. */
typedef struct NetQueuePair {
    VirtIONet *n;
    unsigned index;
    VirtQueue *rx, *tx;
    /* Buffers waiting for the next frame, in order. */
    VirtQueueElement *stash[NET_RX_STASH];
    unsigned nr_stash;
    size_t stash_len;       /* bytes in them */
    size_t rx_want;         /* bytes worth having ready: the last frame's size */
    /* A frame that is longer than the stash: its length, header included; or 0. */
    size_t rx_frame;
    size_t rx_direct;       /* of it, already in the stash; the rest is in spill */
    uint8_t *spill;         /* NET_FRAME_MAX bytes */
    VirtQueueElement *tx_waiting;   /* the backend did not take it */
} NetQueuePair;

/* What the control queue sets. */
typedef struct NetFilter {
    bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
    bool uni_overflow, multi_overflow;
    uint32_t nr_uni, nr_multi;
    uint8_t uni[NET_MAC_TABLE][6];
    uint8_t multi[NET_MAC_TABLE][6];
    uint8_t mac[6];             /* in use now */
    uint32_t vlans[4096 / 32];
} NetFilter;

struct VirtIONet {
    VirtIODevice vdev;
    /* Properties. */
    NICState nic;
    MACAddr mac;
    bool csum, guest_csum, gso;
    bool guest_tso4, guest_tso6, guest_ecn, host_tso4, host_tso6, host_ecn;
    bool mrg_rxbuf, status_prop, ctrl_vq, ctrl_rx, ctrl_vlan, ctrl_rx_extra;
    bool ctrl_mac_addr, ctrl_guest_offloads, guest_announce, mq;
    uint16_t rx_queue_size, tx_queue_size, host_mtu;
    int32_t speed;
    char *duplex;

    unsigned max_pairs;         /* of queues that exist */
    NetQueuePair *pairs;
    VhostDev *vhost;            /* of each pair; NULL: not used */
    VhostUser *user;            /* a back end in another process; NULL: none */
    unsigned user_queues;       /* that it has enabled; 0: none are lent */
    uint8_t *bounce;            /* for frames in very many pieces; or NULL */
    unsigned cur_pairs;         /* of queues in use */
    unsigned saved_pairs;       /* the same when the machine was saved */
    unsigned hdr_len;           /* of the header in the guest's buffers */
    bool backend_hdr;           /* the backend's frames have one, too */
    bool announce;              /* the guest shall tell its neighbours */
    uint64_t guest_offloads;    /* feature bits in force for received frames */
    NetFilter filter;
    bool filter_told;           /* of a change since somebody last looked */
};

/* Has the driver agreed to the feature? */
static inline bool net_has(const VirtIONet *n, unsigned bit)
{
    return virtio_has_feature(&n->vdev, bit);
}

/* The feature bits of received offloads, which the driver can switch. */
#define NET_GUEST_OFFLOADS (1ull << VIRTIO_NET_F_GUEST_CSUM | \
                            1ull << VIRTIO_NET_F_GUEST_TSO4 | \
                            1ull << VIRTIO_NET_F_GUEST_TSO6 | \
                            1ull << VIRTIO_NET_F_GUEST_ECN)

/* virtio-net.c: tell the backend about header length and offloads. */
void virtio_net_apply_offloads(VirtIONet *n);
/* Take n pairs into use. False when the backend cannot. */
bool virtio_net_set_pairs(VirtIONet *n, unsigned pairs);

/* virtio-net-ctrl.c */
void virtio_net_ctrl(VirtIONet *n, VirtQueue *vq);
void virtio_net_filter_reset(VirtIONet *n);
/* NICOps.rx_filter */
void virtio_net_rx_filter(void *opaque, NetRxFilter *f);
/* Is a frame that begins with these bytes (of len in all) for the guest? */
bool virtio_net_filter_accepts(const VirtIONet *n, const uint8_t *frame, size_t len);

/* virtio-net-rx.c: fetch frames while there are frames and buffers. */
void virtio_net_rx(NetQueuePair *p);
/* Give the stash back to the queue; a frame under way is lost. */
void virtio_net_rx_stop(NetQueuePair *p);

/* virtio-net-tx.c: send what the guest made available. */
void virtio_net_tx(NetQueuePair *p);
void virtio_net_tx_stop(NetQueuePair *p);

/* vhost-net.c: take the backend's workers, if it has any. */
bool virtio_net_vhost_init(VirtIONet *n, Error **errp);
void virtio_net_vhost_cleanup(VirtIONet *n);
/* Let workers serve the pairs that are in use; run: false when the device stops. */
void virtio_net_vhost_update(VirtIONet *n, bool run);


/* vhost-user-net.c: the same for a netdev that is the way to another process. */
bool virtio_net_user_init(VirtIONet *n, Error **errp);
void virtio_net_user_cleanup(VirtIONet *n);
/* What remains of features to offer. */
uint64_t virtio_net_user_features(const VirtIONet *n, uint64_t features);
void virtio_net_user_update(VirtIONet *n, bool run);
void virtio_net_user_reset(VirtIONet *n);

#endif
