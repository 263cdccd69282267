/*
 * The virtio device of a shared folder: 9P messages by a virtqueue.
 *
 * Virtio 1.2 gives it a number (9) and no chapter: each request is a 9P message with room for its
 * answer, and the configuration space has the mount tag.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <linux/virtio_9p.h>
#include <string.h>

#include "9p-pool.h"
#include "hw/boards.h"
#include "qemu/cutils.h"

#define V9FS_QUEUE_SIZE 128
#define V9FS_TAG_MAX    31
/* A file that a Linux guest knows takes about that much of its own memory. */
#define V9FS_BYTES_PER_FID 1024

typedef struct Virtio9pRequest {
    VirtQueueElement elem;
    V9fsRequest req;
} Virtio9pRequest;

typedef struct Virtio9p {
    VirtIODevice vdev;
    char *fsdev, *mount_tag;    /* properties */
    VirtQueue *vq;
    V9fsState *state;
    V9fsPool *pool;
} Virtio9p;

/* Requests ------------------------------------------------------------------------------------ */

static void virtio_9p_done(void *opaque, V9fsRequest *req)
{
    Virtio9p *s = opaque;
    Virtio9pRequest *r = container_of(req, Virtio9pRequest, req);

    if (!req->len && !req->flushed) {
        virtio_error(&s->vdev, "9P message %u is malformed, or has no room for its answer",
                     req->call.type);
        virtqueue_detach(s->vq, &r->elem);
        return;
    }
    virtqueue_push(s->vq, &r->elem, req->len);
}

static void virtio_9p_batch(void *opaque)
{
    virtio_notify(((Virtio9p *)opaque)->vq);
}

static void virtio_9p_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    Virtio9p *s = downcast(vdev, Virtio9p, vdev);
    Virtio9pRequest *r;

    for (unsigned n = 0; n < V9FS_QUEUE_SIZE && (r = virtqueue_pop(vq)); n++) {
        r->req.call = (V9fsCall) {
            .out_sg = r->elem.out_sg, .out_num = r->elem.out_num, .out_len = r->elem.out_len,
            .in_sg = r->elem.in_sg, .in_num = r->elem.in_num, .in_len = r->elem.in_len,
        };
        if (!v9fs_parse_header(&r->req.call)) {
            virtio_error(vdev, "a request is no 9P message, or has no room for an answer");
            virtqueue_detach(vq, &r->elem);
            return;
        }
        v9fs_pool_submit(s->pool, &r->req);
    }
    if (!virtio_queue_empty(vq)) {
        virtio_queue_kick(vq);
    }
}

/* Life ----------------------------------------------------------------------------------------- */

static void virtio_9p_start(VirtIODevice *vdev)
{
    v9fs_pool_start(downcast(vdev, Virtio9p, vdev)->pool);
}

static void virtio_9p_stop(VirtIODevice *vdev)
{
    v9fs_pool_stop(downcast(vdev, Virtio9p, vdev)->pool);
}

static void virtio_9p_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    v9fs_pool_forget(downcast(vdev, Virtio9p, vdev)->pool);
}

static void virtio_9p_reset(VirtIODevice *vdev)
{
    Virtio9p *s = downcast(vdev, Virtio9p, vdev);

    v9fs_pool_forget(s->pool);
    v9fs_reset(s->state);
}

static void virtio_9p_get_config(VirtIODevice *vdev, void *data)
{
    const char *tag = downcast(vdev, const Virtio9p, vdev)->mount_tag;
    struct virtio_9p_config *config = data;

    config->tag_len = strlen(tag);
    memcpy(config->tag, tag, strlen(tag));
}

static uint64_t virtio_9p_get_features(VirtIODevice *vdev, bool modern)
{
    return 1ull << VIRTIO_9P_MOUNT_TAG;
}

static bool check_tag(const Virtio9p *s, Error **errp)
{
    if (!s->mount_tag || !*s->mount_tag) {
        error_setg(errp, "fsdev with id %s needs mount_tag arguments", s->fsdev);
        return false;
    }
    if (strlen(s->mount_tag) > V9FS_TAG_MAX) {
        error_setg(errp, "mount tag '%s' (%zu bytes) is longer than maximum (%d bytes)",
                   s->mount_tag, strlen(s->mount_tag), V9FS_TAG_MAX);
        return false;
    }
    return true;
}

static bool virtio_9p_realize(VirtIODevice *vdev, Error **errp)
{
    Virtio9p *s = downcast(vdev, Virtio9p, vdev);
    FsExport *fs = s->fsdev ? fsdev_find(s->fsdev) : NULL;
    uint64_t fids = vdev->dev.machine->ram_size / V9FS_BYTES_PER_FID;

    if (!fs) {
        error_setg(errp, "9pfs device couldn't find fsdev with the id = %s",
                   s->fsdev ? s->fsdev : "NULL");
        return false;
    }
    if (!check_tag(s, errp)) {
        return false;
    }
    s->state = v9fs_new(fs, CLAMP(fids, 16 * KiB, 1 * MiB));
    s->pool = v9fs_pool_new(s->state, virtio_9p_done, virtio_9p_batch, s, errp);
    if (!s->pool) {
        v9fs_free(s->state);
        return false;
    }
    vdev->config_len = sizeof(struct virtio_9p_config) + strlen(s->mount_tag);
    s->vq = virtio_add_queue(vdev, V9FS_QUEUE_SIZE, sizeof(Virtio9pRequest),
                             virtio_9p_handle_output);
    return true;
}

static void virtio_9p_unrealize(VirtIODevice *vdev)
{
    Virtio9p *s = downcast(vdev, Virtio9p, vdev);

    v9fs_pool_free(s->pool);
    v9fs_free(s->state);
}

static const Property virtio_9p_props[] = {
    DEFINE_PROP_STRING("fsdev", Virtio9p, fsdev, NULL, "ID of the -fsdev that is shared"),
    DEFINE_PROP_STRING("mount_tag", Virtio9p, mount_tag, NULL,
                       "what the guest mounts it by, up to 31 bytes"),
    DEFINE_PROP_END
};

static const VirtioDeviceClass virtio_9p_class = {
    .dc = {
        .oc = {
            .name = "virtio-9p-device",
            .alias = "virtio-9p",
            .desc = "a folder of the host's by 9P2000.L",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(Virtio9p),
            .props = virtio_9p_props,
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = VIRTIO_ID_9P,
    .realize = virtio_9p_realize,
    .unrealize = virtio_9p_unrealize,
    .get_features = virtio_9p_get_features,
    .get_config = virtio_9p_get_config,
    .start = virtio_9p_start,
    .stop = virtio_9p_stop,
    .reset = virtio_9p_reset,
    .queue_reset = virtio_9p_queue_reset,
};
DEFINE_CLASS(virtio_9p, &virtio_9p_class.dc.oc);
