/*
 * What devices that are nothing but a vhost-user back end's have in common.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/vhost-user.h"

VhostUserConfig vhost_user_device_config(VhostUserDevice *d)
{
    return (VhostUserConfig) { .chr = &d->chardev, .timeout_ms = d->reply_timeout };
}

void vhost_user_device_handle(VirtIODevice *vdev, VirtQueue *vq)
{
}

void vhost_user_device_start(VirtIODevice *vdev)
{
    VhostUserDevice *d = (VhostUserDevice *)vdev;

    vhost_user_start(d->vu, UINT_MAX);
}

void vhost_user_device_stop(VirtIODevice *vdev)
{
    vhost_user_stop(((VhostUserDevice *)vdev)->vu);
}

void vhost_user_device_reset(VirtIODevice *vdev)
{
    vhost_user_reset(((VhostUserDevice *)vdev)->vu);
}

void vhost_user_device_unrealize(VirtIODevice *vdev)
{
    VhostUserDevice *d = (VhostUserDevice *)vdev;

    g_clear_pointer(&d->vu, vhost_user_free);
}
