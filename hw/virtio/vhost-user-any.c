/*
 * vhost-user-device: any virtio device that a vhost-user back end is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/virtio/vhost-user.h"

/* Feature bits of device types (virtio 1.2, section 2.2): the rest is the transport's. */
#define DEVICE_FEATURES (0xffffffull | ~0ull << 50)

typedef struct VhostUserAny {
    VhostUserDevice d;
    uint16_t virtio_id, num_vqs, vq_size;
    uint32_t config_size;
} VhostUserAny;

static uint64_t any_get_features(VirtIODevice *vdev, bool modern)
{
    return vhost_user_features(downcast(vdev, VhostUserAny, d.vdev)->d.vu) & DEVICE_FEATURES;
}

static void any_get_config(VirtIODevice *vdev, void *config)
{
    memcpy(config, vhost_user_config(downcast(vdev, VhostUserAny, d.vdev)->d.vu), vdev->config_len);
}

static void any_set_config(VirtIODevice *vdev, unsigned offset, const void *data, unsigned len)
{
    vhost_user_set_config(downcast(vdev, VhostUserAny, d.vdev)->d.vu, offset, data, len);
}

static bool any_check_props(const VhostUserAny *s, Error **errp)
{
    if (!s->virtio_id) {
        error_setg(errp, "need to define device id: virtio-id=");
    } else if (!s->num_vqs || s->num_vqs > VHOST_USER_MAX_QUEUES) {
        error_setg(errp, "num_vqs must be between 1 and %d", VHOST_USER_MAX_QUEUES);
    } else if (s->vq_size < 2 || s->vq_size > VIRTQUEUE_MAX_SIZE ||
               (s->vq_size & (s->vq_size - 1))) {
        error_setg(errp, "vq_size must be a power of 2 between 2 and %u", VIRTQUEUE_MAX_SIZE);
    } else if (s->config_size > VIRTIO_CONFIG_MAX) {
        error_setg(errp, "config_size must be at most %u", VIRTIO_CONFIG_MAX);
    } else {
        return true;
    }
    return false;
}

static bool any_realize(VirtIODevice *vdev, Error **errp)
{
    VhostUserAny *s = downcast(vdev, VhostUserAny, d.vdev);
    VhostUserConfig cfg = {
        .nr_queues = s->num_vqs, .queue_size = s->vq_size, .config_len = s->config_size,
    };

    vdev->device_id = s->virtio_id;
    vdev->config_len = s->config_size;
    return any_check_props(s, errp) && vhost_user_device_realize(&s->d, &cfg, errp);
}

static const Property any_props[] = {
    DEFINE_VHOST_USER_PROPS(VhostUserAny),
    DEFINE_PROP_UINT16("virtio-id", VhostUserAny, virtio_id, "0", "what kind of device it is"),
    DEFINE_PROP_UINT16("num_vqs", VhostUserAny, num_vqs, "1", "its queues"),
    DEFINE_PROP_UINT16("vq_size", VhostUserAny, vq_size, "64", "entries of each queue"),
    DEFINE_PROP_UINT32("config_size", VhostUserAny, config_size, "0",
                       "bytes of configuration space, which the back end has"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass vhost_user_any_class = {
    .dc = {
        .oc = {
            .name = "vhost-user-device",
            .desc = "any virtio device, served by a vhost-user back end",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VhostUserAny),
            .props = any_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .realize = any_realize,
    .get_features = any_get_features,
    .get_config = any_get_config,
    .set_config = any_set_config,
    VHOST_USER_DEVICE_HOOKS,
};
DEFINE_CLASS(vhost_user_any, &vhost_user_any_class.dc.oc);
