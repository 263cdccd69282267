/*
 * virtio-blk-device: a disk on a virtio transport (virtio 1.2, section 5.2).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtio-blk.h"

#include <string.h>

#include "hw/boards.h"
#include "qemu/cutils.h"

#define MAX_BLOCK_SIZE (2u << 20)
/* Up to and including the fields that come with WRITE_ZEROES. */
#define CONFIG_LEN (offsetof(struct virtio_blk_config, unused1) + 3)

static VirtIOBlock *virtio_blk(VirtIODevice *vdev)
{
    return (VirtIOBlock *)vdev;
}

/* Features and configuration space ------------------------------------------ */

static uint64_t virtio_blk_get_features(VirtIODevice *vdev, bool modern)
{
    const VirtIOBlock *s = (const VirtIOBlock *)vdev;
    uint64_t f = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_GEOMETRY |
                 1ull << VIRTIO_BLK_F_TOPOLOGY | 1ull << VIRTIO_BLK_F_BLK_SIZE;

    if (s->config_wce) {
        f |= 1ull << VIRTIO_BLK_F_CONFIG_WCE;
    }
    if (s->config_wce || s->initial_wce) {
        f |= 1ull << VIRTIO_BLK_F_FLUSH;
    }
    if (blk_is_read_only(s->blk)) {
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
        blk_set_write_cache(s->blk, false);
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
    const VirtIOBlock *s = (const VirtIOBlock *)vdev;
    uint64_t sectors = blk_getlength(s->blk) / BDRV_SECTOR_SIZE;
    uint32_t lbs = s->logical_block_size;
    struct virtio_blk_config cfg = {
        .capacity = sectors,
        .seg_max = s->queue_size - 2,       /* header and status */
        .blk_size = lbs,
        .physical_block_exp = g_bit_storage(s->physical_block_size / lbs) - 1,
        .min_io_size = s->min_io_size / lbs,
        .opt_io_size = s->opt_io_size / lbs,
        .num_queues = s->num_queues,
        .max_discard_sectors = s->max_discard_sectors,
        .max_discard_seg = 1,
        .discard_sector_alignment = s->discard_granularity / BDRV_SECTOR_SIZE,
        .max_write_zeroes_sectors = s->max_write_zeroes_sectors,
        .max_write_zeroes_seg = 1,
        .write_zeroes_may_unmap = blk_can_discard(s->blk),
    };

    fill_geometry(s, sectors, &cfg);
    cfg.wce = blk_get_write_cache(s->blk);
    memcpy(config, &cfg, CONFIG_LEN);
}

static void virtio_blk_set_config(VirtIODevice *vdev, unsigned offset,
                           const void *data, unsigned len)
{
    VirtIOBlock *s = virtio_blk(vdev);

    if (offset == offsetof(struct virtio_blk_config, wce) && len == 1 &&
        virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE) &&
        virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH)) {
        blk_set_write_cache(s->blk, *(const uint8_t *)data & 1);
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

    blk_iostatus_reset(s->blk);
    virtio_blk_retry(s);
}

static void virtio_blk_stop(VirtIODevice *vdev)
{
    blk_drain(virtio_blk(vdev)->blk);
    virtio_blk_notify(vdev);
}

static void virtio_blk_reset(VirtIODevice *vdev)
{
    VirtIOBlock *s = virtio_blk(vdev);

    s->failed = NULL;
    s->failed_tail = &s->failed;
    blk_set_write_cache(s->blk, s->initial_wce);
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

static bool is_block_size(uint32_t n)
{
    return n >= BDRV_SECTOR_SIZE && n <= MAX_BLOCK_SIZE && !(n & (n - 1));
}

static bool check_block_sizes(VirtIOBlock *s, Error **errp)
{
    if (!s->logical_block_size) {
        s->logical_block_size = BDRV_SECTOR_SIZE;
    }
    if (!s->physical_block_size) {
        s->physical_block_size = MAX(s->logical_block_size, BDRV_SECTOR_SIZE);
    }
    if (!is_block_size(s->logical_block_size) ||
        !is_block_size(s->physical_block_size)) {
        error_setg(errp, "logical_block_size and physical_block_size must be powers "
                   "of 2 between 512 and %u", MAX_BLOCK_SIZE);
        return false;
    }
    if (s->logical_block_size > s->physical_block_size) {
        error_setg(errp, "logical_block_size > physical_block_size not supported");
        return false;
    }
    if (s->min_io_size % s->logical_block_size ||
        s->min_io_size / s->logical_block_size > UINT16_MAX) {
        error_setg(errp, "min_io_size must be a multiple of logical_block_size, and "
                   "at most 65535 of them");
        return false;
    }
    if (s->opt_io_size % s->logical_block_size) {
        error_setg(errp, "opt_io_size must be a multiple of logical_block_size");
        return false;
    }
    if (!s->discard_granularity || s->discard_granularity == UINT32_MAX) {
        s->discard_granularity = s->logical_block_size;
    }
    if (s->discard_granularity % s->logical_block_size) {
        error_setg(errp, "discard_granularity must be a multiple of "
                   "logical_block_size");
        return false;
    }
    return true;
}

static bool check_properties(VirtIOBlock *s, Error **errp)
{
    if (!s->blk) {
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
    return check_block_sizes(s, errp);
}

static bool virtio_blk_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOBlock *s = virtio_blk(vdev);

    vdev->iothread = (IOThread *)s->iothread.obj;
    if (!check_properties(s, errp) ||
        (s->werror && !blk_set_error_policy(s->blk, false, s->werror, errp)) ||
        (s->rerror && !blk_set_error_policy(s->blk, true, s->rerror, errp)) ||
        !blk_attach(s->blk, qdev_name(&vdev->dev), !blk_is_read_only(s->blk),
                    s->share_rw, errp)) {
        return false;
    }
    if (!s->serial) {
        s->serial = g_strdup(blk_get_serial(s->blk));
    }
    if (s->write_cache != ON_OFF_AUTO_AUTO) {
        blk_set_write_cache(s->blk, s->write_cache == ON_OFF_AUTO_ON);
    }
    s->initial_wce = blk_get_write_cache(s->blk);
    s->failed_tail = &s->failed;
    s->dirty = g_new0(uint64_t, DIV_ROUND_UP(s->num_queues, 64));
    vdev->config_len = CONFIG_LEN;
    blk_set_context(s->blk, virtio_get_context(vdev), &virtio_blk_dev_ops, s);
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

    virtio_run_in_loop(vdev, virtio_blk_leave_loop, s->blk);
    blk_detach(s->blk);
    s->blk = NULL;
    g_free(s->dirty);
}

/* Properties ---------------------------------------------------------------- */

static bool set_drive(Object *obj, const Property *prop, const char *value,
                      Error **errp)
{
    VirtIOBlock *s = (VirtIOBlock *)obj;

    s->blk = blk_find_for_device(value);
    if (!s->blk) {
        error_setg(errp, "Property '%s.%s' can't find value '%s'", obj->oc->name,
                   prop->name, value);
    }
    return s->blk != NULL;
}

static char *get_drive(const Object *obj, const Property *prop)
{
    const VirtIOBlock *s = (const VirtIOBlock *)obj;
    const char *name = s->blk ? blk_name(s->blk) : "";

    return g_strdup(*name || !s->blk ? name : blk_node_name(s->blk));
}

static const PropertyInfo prop_drive = {
    .name = "str", .set = set_drive, .get = get_drive,
};

static const ObjectLinkTarget iothread_target = { "iothread", object_is_iothread };

static const Property virtio_blk_props[] = {
    DEFINE_PROP("drive", VirtIOBlock, blk, prop_drive, BlockBackend *, NULL,
                "The drive or block node that holds the data"),
    DEFINE_PROP_STRING("serial", VirtIOBlock, serial, NULL, "up to 20 bytes"),
    DEFINE_PROP_LINK("iothread", VirtIOBlock, iothread, &iothread_target,
                     "ID of the -object iothread that serves the queues"),
    DEFINE_PROP_UINT16("num-queues", VirtIOBlock, num_queues, "1", "request queues"),
    DEFINE_PROP_UINT16("queue-size", VirtIOBlock, queue_size, "256", "entries of each"),
    DEFINE_PROP_SIZE32("logical_block_size", VirtIOBlock, logical_block_size, "0",
                       "512 to 2M, a power of two"),
    DEFINE_PROP_SIZE32("physical_block_size", VirtIOBlock, physical_block_size, "0",
                       "512 to 2M, a power of two"),
    DEFINE_PROP_SIZE32("min_io_size", VirtIOBlock, min_io_size, "0", NULL),
    DEFINE_PROP_SIZE32("opt_io_size", VirtIOBlock, opt_io_size, "0", NULL),
    DEFINE_PROP_SIZE32("discard_granularity", VirtIOBlock, discard_granularity, "0",
                       NULL),
    DEFINE_PROP_UINT32("cyls", VirtIOBlock, cyls, "0", NULL),
    DEFINE_PROP_UINT32("heads", VirtIOBlock, heads, "0", NULL),
    DEFINE_PROP_UINT32("secs", VirtIOBlock, secs, "0", NULL),
    DEFINE_PROP_ON_OFF_AUTO("write-cache", VirtIOBlock, write_cache, "auto",
                            "off: every write is stable"),
    DEFINE_PROP_BOOL("config-wce", VirtIOBlock, config_wce, "on",
                     "the guest may switch the write cache"),
    DEFINE_PROP_BOOL("share-rw", VirtIOBlock, share_rw, "off",
                     "other users of the image may write"),
    DEFINE_PROP_BOOL("discard", VirtIOBlock, discard, "on", "offer discard"),
    DEFINE_PROP_BOOL("write-zeroes", VirtIOBlock, write_zeroes, "on",
                     "offer write-zeroes"),
    DEFINE_PROP_UINT32("max-discard-sectors", VirtIOBlock, max_discard_sectors,
                       "4194303", NULL),
    DEFINE_PROP_UINT32("max-write-zeroes-sectors", VirtIOBlock,
                       max_write_zeroes_sectors, "4194303", NULL),
    DEFINE_PROP_BOOL("request-merging", VirtIOBlock, request_merging, "on",
                     "adjacent requests at hand are one for the host"),
    DEFINE_PROP_STRING("werror", VirtIOBlock, werror, NULL,
                       "on write errors: report, ignore, stop, enospc, auto"),
    DEFINE_PROP_STRING("rerror", VirtIOBlock, rerror, NULL,
                       "on read errors: report, ignore, stop, auto"),
    DEFINE_PROP_OFF("scsi", "scsi=on is not supported: use scsi=off"),
    DEFINE_PROP_IGNORED("bootindex", "accepted: there is no firmware"),
    DEFINE_PROP_IGNORED("seg-max-adjust", "accepted: always on"),
    DEFINE_PROP_IGNORED("account-invalid", "accepted, without effect"),
    DEFINE_PROP_IGNORED("account-failed", "accepted, without effect"),
    DEFINE_PROP_IGNORED("report-discard-granularity", "accepted: always on"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIOBlock, blk, "the host's");
STATE_NOT(VirtIOBlock, initial_wce, "what a property says");
STATE_NOT(VirtIOBlock, dirty, "the guest was told of all that is done");
STATE_NOT(VirtIOBlock, failed, "in flight: taken again");
STATE_NOT(VirtIOBlock, failed_tail, "in flight: taken again");
STATE_NOT(VirtIOBlock, error_limit, "of events for the host's clients");

static void virtio_blk_pre_save(void *obj)
{
    VirtIOBlock *s = obj;

    s->saved_wce = blk_get_write_cache(s->blk);
}

static bool virtio_blk_post_load(void *obj, Error **errp)
{
    VirtIOBlock *s = obj;

    blk_set_write_cache(s->blk, s->saved_wce);
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
