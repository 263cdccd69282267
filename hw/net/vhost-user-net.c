/*
 * virtio-net with -netdev vhost-user: another process moves the frames.
 *
 * The back end has all the pairs of queues; the control queue is ours. It has them while the
 * device runs, the back end is there and the link is up; else our own handlers do, whose frames
 * are dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net.h"

/* How long the back end may take to answer. */
#define TIMEOUT_MS 30000

/* What we do ourselves, whatever the back end knows. */
#define OWN_FEATURES (1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_NET_F_STATUS | \
                      1ull << VIRTIO_NET_F_CTRL_VQ | 1ull << VIRTIO_NET_F_CTRL_RX | \
                      1ull << VIRTIO_NET_F_CTRL_RX_EXTRA | 1ull << VIRTIO_NET_F_CTRL_VLAN | \
                      1ull << VIRTIO_NET_F_CTRL_MAC_ADDR | \
                      1ull << VIRTIO_NET_F_GUEST_ANNOUNCE | 1ull << VIRTIO_NET_F_MTU | \
                      1ull << VIRTIO_NET_F_SPEED_DUPLEX)
/* A back end does not hear of offloads that are switched later. */
#define NO_FEATURES  (1ull << VIRTIO_NET_F_CTRL_GUEST_OFFLOADS)

static void user_link(VirtIODevice *vdev, bool up)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    if (n->nic.nc) {
        net_set_carrier(n->nic.nc, up);
    }
}

bool virtio_net_user_init(VirtIONet *n, Error **errp)
{
    VhostUserConfig cfg = {
        .nr_queues = 2 * n->max_pairs,
        .queue_size = MAX(n->rx_queue_size, n->tx_queue_size),
        .need = n->max_pairs > 1 ? 1ull << VIRTIO_NET_F_MQ : 0,
        .timeout_ms = TIMEOUT_MS,
        .link = user_link,
    };

    if (!n->nic.nc || !n->nic.nc->vhost_user) {
        return true;
    }
    cfg.chr = n->nic.nc->vhost_user;
    n->user = vhost_user_new(&n->vdev, &cfg, errp);
    return n->user != NULL;
}

void virtio_net_user_cleanup(VirtIONet *n)
{
    g_clear_pointer(&n->user, vhost_user_free);
}

uint64_t virtio_net_user_features(const VirtIONet *n, uint64_t features)
{
    return n->user ? features & ~NO_FEATURES & (vhost_user_features(n->user) | OWN_FEATURES)
                   : features;
}

static void user_start(VirtIONet *n)
{
    for (unsigned i = 0; i < n->max_pairs; i++) {
        net_set_receive(&n->nic, i, false);
        virtio_net_rx_stop(&n->pairs[i]);
        virtio_net_tx_stop(&n->pairs[i]);
    }
    n->user_queues = 2 * n->cur_pairs;
    vhost_user_start(n->user, n->user_queues);
}

void virtio_net_user_update(VirtIONet *n, bool run)
{
    bool want = run && net_link_up(&n->nic) && virtio_queue_live(n->pairs[0].rx) &&
                virtio_queue_live(n->pairs[0].tx);

    if (!n->user) {
        return;
    }
    if (n->user_queues && (!want || n->user_queues != 2 * n->cur_pairs)) {
        vhost_user_stop(n->user, run);
        n->user_queues = 0;
    }
    if (!n->nic.nc) {
        virtio_net_user_cleanup(n);     /* the netdev goes, and the chardev's user with it */
    } else if (want && !n->user_queues) {
        user_start(n);
    }
}

void virtio_net_user_reset(VirtIONet *n)
{
    if (n->user) {
        vhost_user_reset(n->user);
    }
}
