/*
 * virtio-blk-device: a disk on a virtio transport (virtio 1.2, section 5.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-blk.h"

#include <string.h>

#include "hw/boards.h"
#include "qemu/cutils.h"

/* Up to and including the fields that come with WRITE_ZEROES. */
#define CONFIG_LEN (offsetof(struct virtio_blk_config, unused1) + 3)

static VirtIOBlock *virtio_blk(VirtIODevice *vdev)
{
    return downcast(vdev, VirtIOBlock, vdev);
}

/* Features and configuration space ------------------------------------------ */

static uint64_t virtio_blk_get_features(VirtIODevice *vdev, bool modern)
{
    const VirtIOBlock *s = downcast(vdev, const VirtIOBlock, vdev);
    uint64_t f = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_GEOMETRY |
                 1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_BLK_SIZE;

    if (s->config_wce) {
        f |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    }
    if (s->config_wce || s->initial_wce) {
        f |= 1ull << VIRTIO_BLK_F_FLUSH;
    }
    if (blk_is_read_only(s->conf.blk)) {
        f |= 1ull << VIRTIO_BLK_F_RO;
    }
    if (s->num_queues > 1) {
        f |= 1ull << VIRTIO_BLK_F_MQ;
    }
    if (s->discard) {
        f |= 1ull << VIRTIO_BLK_F_DISCARD;
    }
    if (s->write_zeroes) {
        f |= 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
    }
    return f;
}

/* Section 5.2.6.2: a driver that cannot flush relies on every write being stable. */
static void virtio_blk_set_features(VirtIODevice *vdev)
{
    VirtIOBlock *s = virtio_blk(vdev);

    if (!virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH)) {
        blk_set_write_cache(s->conf.blk, false);
    }
}

static void fill_geometry(const VirtIOBlock *s, uint64_t sectors,
                          struct virtio_blk_config *cfg)
{
    uint32_t heads = s->heads ? s->heads : 16;
    uint32_t secs = s->secs ? s->secs : 63;
    uint64_t cyls = s->cyls ? s->cyls : sectors / (heads * secs);

    cfg->geometry.cylinders = MIN(MAX(cyls, 2), 16383);
    cfg->geometry.heads = heads;
    cfg->geometry.sectors = secs;
}

static void virtio_blk_get_config(VirtIODevice *vdev, void *config)
{
    const VirtIOBlock *s = downcast(vdev, const VirtIOBlock, vdev);
    uint64_t sectors = blk_getlength(s->conf.blk) / BDRV_SECTOR_SIZE;
    uint32_t lbs = s->conf.logical_block_size;
    struct virtio_blk_config cfg = {
        .capacity = sectors,
        .seg_max = s->queue_size - 2,       /* header and status */
        .blk_size = lbs,
        .physical_block_exp = g_bit_storage(s->conf.physical_block_size / lbs) - 1,
        .min_io_size = s->conf.min_io_size / lbs,
        .opt_io_size = s->conf.opt_io_size / lbs,
        .num_queues = s->num_queues,
        .max_discard_sectors = s->max_discard_sectors,
        .max_discard_seg = 1,
        .discard_sector_alignment = s->conf.discard_granularity / BDRV_SECTOR_SIZE,
        .max_write_zeroes_sectors = s->max_write_zeroes_sectors,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = blk_can_discard(s->conf.blk),
    };

    fill_geometry(s, sectors, &cfg);
    cfg.wce = blk_get_write_cache(s->conf.blk);
    memcpy(config, &cfg, CONFIG_LEN);
}

static void virtio_blk_set_config(VirtIODevice *vdev, unsigned offset,
                           const void *data, unsigned len)
{
    VirtIOBlock *s = virtio_blk(vdev);

    if (offset == offsetof(struct virtio_blk_config, wce) && len == 1 &&
        virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE) &&
        virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH)) {
        blk_set_write_cache(s->conf.blk, *(const uint8_t *)data & 1);
    }
}

static void virtio_blk_resized(void *opaque)
{
    virtio_notify_config(opaque);
}

static const BlockDevOps virtio_blk_dev_ops = {
    .batch_end = virtio_blk_notify,
    .resized = virtio_blk_resized,
};

/* Life ---------------------------------------------------------------------- */

static void virtio_blk_start(VirtIODevice *vdev)
{
    VirtIOBlock *s = virtio_blk(vdev);

    blk_iostatus_reset(s->conf.blk);
    virtio_blk_retry(s);
}

static void virtio_blk_stop(VirtIODevice *vdev)
{
    blk_drain(virtio_blk(vdev)->conf.blk);
    virtio_blk_notify(vdev);
}

static void virtio_blk_reset(VirtIODevice *vdev)
{
    VirtIOBlock *s = virtio_blk(vdev);

    s->failed = NULL;
    s->failed_tail = &s->failed;
    blk_set_write_cache(s->conf.blk, s->initial_wce);
}

/* Stopped, so whatever waits to be tried again is a queue's element: drop it. */
static void virtio_blk_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOBlock *s = virtio_blk(vdev);
    VirtIOBlockReq **p = &s->failed;

    while (*p) {
        if ((*p)->elem.vq == vq) {
            *p = (*p)->next;
        } else {
            p = &(*p)->next;
        }
    }
    s->failed_tail = p;
}

static bool check_properties(VirtIOBlock *s, Error **errp)
{
    if (!s->conf.blk) {
        error_setg(errp, "drive property not set");
        return false;
    }
    if (!s->num_queues || s->num_queues > 1024) {
        error_setg(errp, "num-queues property must be between 1 and 1024");
        return false;
    }
    if (s->queue_size < 4 || s->queue_size > VIRTQUEUE_MAX_SIZE ||
        (s->queue_size & (s->queue_size - 1))) {
        error_setg(errp, "invalid queue-size property (%u), must be a power of 2 "
                   "between 4 and %u", s->queue_size, VIRTQUEUE_MAX_SIZE);
        return false;
    }
    if (s->heads > 255 || s->secs > 255) {
        error_setg(errp, "heads and secs must be at most 255");
        return false;
    }
    return block_conf_check(&s->conf, BDRV_SECTOR_SIZE, errp);
}

static bool virtio_blk_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOBlock *s = virtio_blk(vdev);

    vdev->iothread = downcast(s->iothread.obj, IOThread, obj);
    if (!check_properties(s, errp) ||
        !block_conf_attach(&s->conf, qdev_name(&vdev->dev), true, errp)) {
        return false;
    }
    if (!s->serial) {
        s->serial = g_strdup(blk_get_serial(s->conf.blk));
    }
    s->initial_wce = blk_get_write_cache(s->conf.blk);
    s->failed_tail = &s->failed;
    s->dirty = g_new0(uint64_t, DIV_ROUND_UP(s->num_queues, 64));
    vdev->config_len = CONFIG_LEN;
    blk_set_context(s->conf.blk, virtio_get_context(vdev), &virtio_blk_dev_ops, s);
    for (unsigned i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, sizeof(VirtIOBlockReq),
                         virtio_blk_handle_output);
    }
    return true;
}

/* In the loop, whose sources the backend's engines are. */
static void virtio_blk_leave_loop(void *opaque)
{
    blk_set_context(opaque, NULL, NULL, NULL);
}

static void virtio_blk_unrealize(VirtIODevice *vdev)
{
    VirtIOBlock *s = virtio_blk(vdev);

    virtio_run_in_loop(vdev, virtio_blk_leave_loop, s->conf.blk);
    blk_detach(s->conf.blk);
    s->conf.blk = NULL;
    g_free(s->dirty);
}

/* Properties ---------------------------------------------------------------- */

static const ObjectLinkTarget iothread_target = { "iothread", object_is_iothread };

static const Property virtio_blk_props[] = {
    DEFINE_BLOCK_PROPS(VirtIOBlock, conf),
    DEFINE_PROP_STRING("serial", VirtIOBlock, serial, NULL, "up to 20 bytes"),
    DEFINE_PROP_LINK("iothread", VirtIOBlock, iothread, &iothread_target,
                     "ID of the -object iothread that serves the queues"),
    DEFINE_PROP_UINT16("num-queues", VirtIOBlock, num_queues, "1", "request queues"),
    DEFINE_PROP_UINT16("queue-size", VirtIOBlock, queue_size, "256", "entries of each"),
    DEFINE_PROP_UINT32("cyls", VirtIOBlock, cyls, "0", NULL),
    DEFINE_PROP_UINT32("heads", VirtIOBlock, heads, "0", NULL),
    DEFINE_PROP_UINT32("secs", VirtIOBlock, secs, "0", NULL),
    DEFINE_PROP_BOOL("config-wce", VirtIOBlock, config_wce, "on",
                     "the guest may switch the write cache"),
    DEFINE_PROP_BOOL("discard", VirtIOBlock, discard, "on", "offer discard"),
    DEFINE_PROP_BOOL("write-zeroes", VirtIOBlock, write_zeroes, "on",
                     "offer write-zeroes"),
    DEFINE_PROP_UINT32("max-discard-sectors", VirtIOBlock, max_discard_sectors,
                       "4194303", NULL),
    DEFINE_PROP_UINT32("max-write-zeroes-sectors", VirtIOBlock,
                       max_write_zeroes_sectors, "4194303", NULL),
    DEFINE_PROP_BOOL("request-merging", VirtIOBlock, request_merging, "on",
                     "adjacent requests at hand are one for the host"),
    DEFINE_PROP_OFF("scsi", "scsi=on is not supported: use scsi=off"),
    DEFINE_PROP_IGNORED("bootindex", "accepted: there is no firmware"),
    DEFINE_PROP_IGNORED("seg-max-adjust", "accepted: always on"),
    DEFINE_PROP_IGNORED("account-invalid", "accepted, without effect"),
    DEFINE_PROP_IGNORED("account-failed", "accepted, without effect"),
    DEFINE_PROP_IGNORED("report-discard-granularity", "accepted: always on"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIOBlock, conf, "properties");
STATE_NOT(VirtIOBlock, initial_wce, "what a property says");
STATE_NOT(VirtIOBlock, dirty, "the guest was told of all that is done");
STATE_NOT(VirtIOBlock, failed, "in flight: taken again");
STATE_NOT(VirtIOBlock, failed_tail, "in flight: taken again");

static void virtio_blk_pre_save(void *obj)
{
    VirtIOBlock *s = obj;

    s->saved_wce = blk_get_write_cache(s->conf.blk);
}

static bool virtio_blk_post_load(void *obj, Error **errp)
{
    VirtIOBlock *s = obj;

    blk_set_write_cache(s->conf.blk, s->saved_wce);
    return true;
}

static const StateField virtio_blk_fields[] = {
    STATE_BOOL(VirtIOBlock, saved_wce),
    STATE_END
};

static const StateDesc virtio_blk_state = {
    .version = 1,
    .fields = virtio_blk_fields,
    .pre_save = virtio_blk_pre_save,
    .post_load = virtio_blk_post_load,
};

static const VirtioDeviceClass virtio_blk_class = {
    .dc = {
        .oc = {
            .name = "virtio-blk-device",
            .alias = "virtio-blk",
            .desc = "virtio block device",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOBlock),
            .props = virtio_blk_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&virtio_blk_state),
    },
    .device_id = VIRTIO_ID_BLOCK,
    .realize = virtio_blk_realize,
    .unrealize = virtio_blk_unrealize,
    .get_features = virtio_blk_get_features,
    .set_features = virtio_blk_set_features,
    .get_config = virtio_blk_get_config,
    .set_config = virtio_blk_set_config,
    .start = virtio_blk_start,
    .stop = virtio_blk_stop,
    .reset = virtio_blk_reset,
    .queue_reset = virtio_blk_queue_reset,
};
DEFINE_CLASS(virtio_blk, &virtio_blk_class.dc.oc);
