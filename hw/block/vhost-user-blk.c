/*
 * vhost-user-blk-device: a disk, served by another process (virtio 1.2, section 5.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_blk.h>
#include <stddef.h>
#include <string.h>

#include "hw/virtio/vhost-user.h"

/* As long as some back end's: what is missing behind it would be zero. */
#define CONFIG_LEN (offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4)
/* num-queues= that leaves the number to us. */
#define AUTO_NUM_QUEUES UINT16_MAX

/* What we pass on of the back end's features. */
#define BLK_FEATURES (1ull << VIRTIO_BLK_F_SIZE_MAX | 1ull << VIRTIO_BLK_F_SEG_MAX | \
                      1ull << VIRTIO_BLK_F_GEOMETRY | 1ull << VIRTIO_BLK_F_BLK_SIZE | \
                      1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_RO | \
                      1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD | \
                      1ull << VIRTIO_BLK_F_WRITE_ZEROES)

typedef struct VhostUserBlk {
    VhostUserDevice d;
    /* Properties. */
    uint16_t num_queues;
    uint32_t queue_size;
    bool config_wce;
} VhostUserBlk;

static void blk_get_config(VirtIODevice *vdev, void *config)
{
    VhostUserBlk *s = downcast(vdev, VhostUserBlk, d.vdev);
    struct virtio_blk_config *c = config;

    memcpy(config, vhost_user_config(s->d.vu), CONFIG_LEN);
    c->num_queues = s->num_queues;
}

/* Only the cache's mode can be written. */
static void blk_set_config(VirtIODevice *vdev, unsigned offset, const void *data, unsigned len)
{
    VhostUserBlk *s = downcast(vdev, VhostUserBlk, d.vdev);

    if (virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE) && len == 1 &&
        offset == offsetof(struct virtio_blk_config, wce)) {
        vhost_user_set_config(s->d.vu, offset, data, len);
    }
}

static uint64_t blk_get_features(VirtIODevice *vdev, bool modern)
{
    VhostUserBlk *s = downcast(vdev, VhostUserBlk, d.vdev);
    uint64_t mask = BLK_FEATURES;

    if (s->config_wce) {
        mask |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    }
    if (s->num_queues > 1) {
        mask |= 1ull << VIRTIO_BLK_F_MQ;
    }
    return vhost_user_features(s->d.vu) & mask;
}

static bool blk_check_props(VhostUserBlk *s, Error **errp)
{
    if (s->num_queues == AUTO_NUM_QUEUES) {
        s->num_queues = 1;
    }
    if (!s->num_queues || s->num_queues > VHOST_USER_MAX_QUEUES) {
        error_setg(errp, "invalid number of IO queues");
    } else if (!s->queue_size) {
        error_setg(errp, "queue size must be non-zero");
    } else if (s->queue_size < 2 || s->queue_size > VIRTQUEUE_MAX_SIZE ||
               (s->queue_size & (s->queue_size - 1))) {
        error_setg(errp, "queue size must be a power of 2 and not exceed %d",
                   VIRTQUEUE_MAX_SIZE);
    } else {
        return true;
    }
    return false;
}

static bool blk_realize(VirtIODevice *vdev, Error **errp)
{
    VhostUserBlk *s = downcast(vdev, VhostUserBlk, d.vdev);
    VhostUserConfig cfg = { .config_len = CONFIG_LEN };

    if (!blk_check_props(s, errp)) {
        return false;
    }
    cfg.nr_queues = s->num_queues;
    cfg.queue_size = s->queue_size;
    vdev->config_len = CONFIG_LEN;
    if (s->num_queues > 1) {
        cfg.need |= 1ull << VIRTIO_BLK_F_MQ;
    }
    return vhost_user_device_realize(&s->d, &cfg, errp);
}

static const Property blk_props[] = {
    DEFINE_VHOST_USER_PROPS(VhostUserBlk),
    DEFINE_PROP_UINT16("num-queues", VhostUserBlk, num_queues, "65535",
                       "queues (65535: one)"),
    DEFINE_PROP_UINT32("queue-size", VhostUserBlk, queue_size, "128", "entries of each queue"),
    DEFINE_PROP_BOOL("config-wce", VhostUserBlk, config_wce, "on",
                     "let the guest choose the mode of the cache"),
    DEFINE_PROP_IGNORED("bootindex", "accepted, without effect"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass vhost_user_blk_class = {
    .dc = {
        .oc = {
            .name = "vhost-user-blk-device",
            .desc = "disk, served by a vhost-user back end",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VhostUserBlk),
            .props = blk_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = VIRTIO_ID_BLOCK,
    .realize = blk_realize,
    .get_features = blk_get_features,
    .get_config = blk_get_config,
    .set_config = blk_set_config,
    VHOST_USER_DEVICE_HOOKS,
};
DEFINE_CLASS(vhost_user_blk, &vhost_user_blk_class.dc.oc);
