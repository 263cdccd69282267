/*
 * vhost: queues that a worker in the host's kernel serves.
 *
 * The device opens the worker and lends it its queues while it runs (vhost-ring.h).
 * Everything here is called in the device's loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_H
#define HW_VIRTIO_VHOST_H

#include "hw/virtio/vhost-ring.h"

#define VHOST_MAX_QUEUES 2

typedef struct VhostDev {
    VirtIODevice *vdev;
    int fd;                     /* the worker; the opener closes it */
    uint64_t features;          /* what it knows */
    VhostRing rings[VHOST_MAX_QUEUES];
    unsigned nvqs;
    bool running;
    EventNotifier err;          /* the driver broke the protocol */
    GSource *err_source;
    uint64_t acked;             /* features that it was told to use */
    struct VhostDev *next;      /* of the same device */
} VhostDev;

/*
 * Take the worker fd for up to VHOST_MAX_QUEUES queues; ring features that it must
 * know come by need (bits). False with errp set; vhost_dev_cleanup() is due on success.
 */
bool vhost_dev_init(VhostDev *hdev, VirtIODevice *vdev, int fd, uint64_t need, Error **errp);
/* Harmless after a failed or missing init. Stopped. */
void vhost_dev_cleanup(VhostDev *hdev);

/*
 * Let the worker serve the device's queues first, first + 1, …, with the features that it and
 * the driver know, and extra bits of its own. They must be live and nothing
 * popped. 0 or negative errno: then our handlers still serve them.
 */
int vhost_dev_start(VhostDev *hdev, unsigned first, unsigned nvqs, uint64_t extra);
/*
 * Take the queues back, their positions as the worker left them. go_on: our handlers
 * serve them from now on; otherwise the device is about to stop. Harmless when not running.
 */
void vhost_dev_stop(VhostDev *hdev, bool go_on);

#endif
