/*
 * virtio-net with vhost=on: the host's kernel moves the frames.
 *
 * Each queue pair has a worker that copies between the rings and the TAP queue.
 * It runs while the device does, the pair is in use and the link is up;
 * otherwise, and when the kernel refuses, our own handlers serve the pair.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <linux/vhost.h>
#include <sys/ioctl.h>

#include "virtio-net.h"

/* What we offer the guest whatever the worker is. */
#define NEED_FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_EVENT_IDX | \
                       1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_NET_F_MRG_RXBUF)

bool virtio_net_vhost_init(VirtIONet *n, Error **errp)
{
    const NetClientState *nc = n->nic.nc;

    if (!nc || !nc->vhost) {
        return true;
    }
    n->vhost = g_new0(VhostDev, n->max_pairs);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        if (!vhost_dev_init(&n->vhost[i], &n->vdev, nc->vhost[i].fd, NEED_FEATURES, errp)) {
            virtio_net_vhost_cleanup(n);
            return false;
        }
    }
    return true;
}

void virtio_net_vhost_cleanup(VirtIONet *n)
{
    for (unsigned i = 0; n->vhost && i < n->max_pairs; i++) {
        vhost_dev_cleanup(&n->vhost[i]);
    }
    g_clear_pointer(&n->vhost, g_free);
}

/* Let the worker's two queues send to and receive from fd; -1: stop that. */
static int set_backend(VhostDev *hdev, int fd)
{
    int ret = 0;

    for (unsigned i = 0; i < 2; i++) {
        struct vhost_vring_file backend = { i, fd };

        if (ioctl(hdev->fd, VHOST_NET_SET_BACKEND, &backend) < 0) {
            ret = -errno;
        }
    }
    return ret;
}

static void vhost_net_stop(VhostDev *hdev, bool go_on)
{
    set_backend(hdev, -1);
    vhost_dev_stop(hdev, go_on);
}

static void vhost_net_start(VirtIONet *n, unsigned i)
{
    VhostDev *hdev = &n->vhost[i];
    /* The TAP interface has the header itself, or the worker makes one up. */
    uint64_t extra = n->backend_hdr ? 0 : 1ull << VHOST_NET_F_VIRTIO_NET_HDR;
    int ret;

    net_set_receive(&n->nic, i, false);
    virtio_net_rx_stop(&n->pairs[i]);
    virtio_net_tx_stop(&n->pairs[i]);
    ret = vhost_dev_start(hdev, 2 * i, 2, extra);
    if (ret == 0) {
        ret = set_backend(hdev, n->nic.nc->vhost[i].backend);
    }
    if (ret < 0) {
        vhost_net_stop(hdev, true);
        warn_report("unable to start vhost net: %s: falling back on userspace virtio",
                    strerror(-ret));
    }
}

void virtio_net_vhost_update(VirtIONet *n, bool run)
{
    for (unsigned i = 0; n->vhost && i < n->max_pairs; i++) {
        NetQueuePair *p = &n->pairs[i];
        bool want = run && i < n->cur_pairs && net_link_up(&n->nic) &&
                    virtio_queue_live(p->rx) && virtio_queue_live(p->tx);

        if (want && !n->vhost[i].running) {
            vhost_net_start(n, i);
            virtio_queue_kick(p->rx);
            virtio_queue_kick(p->tx);
        } else if (!want && n->vhost[i].running) {
            vhost_net_stop(&n->vhost[i], run);
        }
    }
}
