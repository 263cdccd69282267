/*
 * virtio-net in a program without vhost-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-net.h"

bool virtio_net_user_init(VirtIONet *n, Error **errp)
{
    return true;
}

void virtio_net_user_cleanup(VirtIONet *n)
{
}

uint64_t virtio_net_user_features(const VirtIONet *n, uint64_t features)
{
    return features;
}

void virtio_net_user_update(VirtIONet *n, bool run)
{
}

void virtio_net_user_reset(VirtIONet *n)
{
}
