/*
 * What devices that are nothing but a vhost-user back end's have in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost-user.h"

/* The queues are always lent. */
static void never_kicked(VirtIODevice *vdev, VirtQueue *vq)
{
}

bool vhost_user_device_realize(VhostUserDevice *d, const VhostUserConfig *cfg, Error **errp)
{
    VhostUserConfig own = *cfg;

    own.chr = &d->chardev;
    own.timeout_ms = d->reply_timeout;
    d->vu = vhost_user_new(&d->vdev, &own, errp);
    if (!d->vu) {
        return false;
    }
    for (unsigned i = 0; i < cfg->nr_queues; i++) {
        virtio_add_queue(&d->vdev, cfg->queue_size, sizeof(VirtQueueElement), never_kicked);
    }
    return true;
}

void vhost_user_device_unrealize(VirtIODevice *vdev)
{
    VhostUserDevice *d = downcast(vdev, VhostUserDevice, vdev);

    g_clear_pointer(&d->vu, vhost_user_free);
}

void vhost_user_device_start(VirtIODevice *vdev)
{
    VhostUserDevice *d = downcast(vdev, VhostUserDevice, vdev);

    vhost_user_start(d->vu, UINT_MAX);
}

void vhost_user_device_stop(VirtIODevice *vdev)
{
    vhost_user_stop(downcast(vdev, VhostUserDevice, vdev)->vu, false);
}

void vhost_user_device_reset(VirtIODevice *vdev)
{
    vhost_user_reset(downcast(vdev, VhostUserDevice, vdev)->vu);
}
