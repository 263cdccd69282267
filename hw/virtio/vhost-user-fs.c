/*
 * vhost-user-fs-device: a shared folder, served by a virtiofsd (virtio 1.2, section 5.11).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_fs.h>
#include <string.h>

#include "hw/virtio/vhost-user.h"

/* The queue before the request queues, for what must not wait (FORGET, INTERRUPT). */
#define HIPRIO_QUEUES 1

typedef struct VhostUserFS {
    VhostUserDevice d;
    /* Properties. */
    char *tag;
    uint16_t num_request_queues;
    uint16_t queue_size;
} VhostUserFS;

static void fs_get_config(VirtIODevice *vdev, void *config)
{
    const VhostUserFS *fs = downcast(vdev, VhostUserFS, d.vdev);
    struct virtio_fs_config *c = config;

    memcpy(c->tag, fs->tag, strlen(fs->tag));
    c->num_request_queues = fs->num_request_queues;
}

static uint64_t fs_get_features(VirtIODevice *vdev, bool modern)
{
    return 0;
}

static bool fs_check_props(const VhostUserFS *fs, Error **errp)
{
    const size_t tag_max = sizeof(((struct virtio_fs_config *)0)->tag);

    if (!fs->tag) {
        error_setg(errp, "missing tag property");
    } else if (!*fs->tag) {
        error_setg(errp, "tag property cannot be empty");
    } else if (strlen(fs->tag) > tag_max) {
        error_setg(errp, "tag property must be %zu bytes or less", tag_max);
    } else if (!fs->num_request_queues ||
               fs->num_request_queues > VHOST_USER_MAX_QUEUES - HIPRIO_QUEUES) {
        error_setg(errp, "num-request-queues property must be between 1 and %d",
                   VHOST_USER_MAX_QUEUES - HIPRIO_QUEUES);
    } else if (fs->queue_size < 2 || (fs->queue_size & (fs->queue_size - 1))) {
        error_setg(errp, "queue-size property must be a power of 2");
    } else if (fs->queue_size > VIRTQUEUE_MAX_SIZE) {
        error_setg(errp, "queue-size property must be %u or smaller", VIRTQUEUE_MAX_SIZE);
    } else {
        return true;
    }
    return false;
}

static bool fs_realize(VirtIODevice *vdev, Error **errp)
{
    VhostUserFS *fs = downcast(vdev, VhostUserFS, d.vdev);
    VhostUserConfig cfg = {
        .nr_queues = HIPRIO_QUEUES + fs->num_request_queues, .queue_size = fs->queue_size,
    };

    vdev->config_len = sizeof(struct virtio_fs_config);
    return fs_check_props(fs, errp) && vhost_user_device_realize(&fs->d, &cfg, errp);
}

static const Property fs_props[] = {
    DEFINE_VHOST_USER_PROPS(VhostUserFS),
    DEFINE_PROP_STRING("tag", VhostUserFS, tag, NULL, "name by which the guest mounts it"),
    DEFINE_PROP_UINT16("num-request-queues", VhostUserFS, num_request_queues, "1",
                       "queues for requests"),
    DEFINE_PROP_UINT16("queue-size", VhostUserFS, queue_size, "128", "entries of each queue"),
    DEFINE_PROP_IGNORED("bootindex", "accepted, without effect"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass vhost_user_fs_class = {
    .dc = {
        .oc = {
            .name = "vhost-user-fs-device",
            .desc = "shared folder, served by a vhost-user back end",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VhostUserFS),
            .props = fs_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = VIRTIO_ID_FS,
    .realize = fs_realize,
    .get_features = fs_get_features,
    .get_config = fs_get_config,
    VHOST_USER_DEVICE_HOOKS,
};
DEFINE_CLASS(vhost_user_fs, &vhost_user_fs_class.dc.oc);
