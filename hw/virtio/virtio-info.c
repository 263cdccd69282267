/*
 * Virtio devices as they are now: copies of their state for monitors.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio-info.h"

#include <linux/vhost.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hw/virtio/vhost.h"
#include "virtio-internal.h"

/* A wish that the device's loop fulfils. */
typedef struct InfoRequest {
    VirtIODevice *vdev;
    VirtQueue *vq;
    VirtioInfo *info;
    VirtioQueueInfo *queue;
} InfoRequest;

VirtIODevice *virtio_nth_device(MachineState *ms, unsigned n)
{
    for (unsigned i = 0; i < ms->devices->len; i++) {
        DeviceState *dev = ms->devices->pdata[i];

        if (dev->parent_bus && !strcmp(dev->parent_bus->type, "virtio-bus") && n-- == 0) {
            return downcast(dev, VirtIODevice, dev);
        }
    }
    return NULL;
}

VirtIODevice *virtio_find_device(MachineState *ms, const char *path)
{
    VirtIODevice *vdev;

    for (unsigned i = 0; (vdev = virtio_nth_device(ms, i)); i++) {
        g_autofree char *own = qdev_get_path(&vdev->dev);

        if (!strcmp(path, own) || !g_strcmp0(path, vdev->dev.obj.id)) {
            return vdev;
        }
    }
    return NULL;
}

static void info_in_loop(void *opaque)
{
    InfoRequest *req = opaque;
    VirtioInfo *info = req->info;

    info->running = req->vdev->running;
    for (const VhostDev *h = req->vdev->vhosts; h; h = h->next) {
        info->nr_workers++;
        info->worker_queues = VHOST_MAX_QUEUES;
        info->worker_running |= h->running;
        info->worker_features = h->features;
        info->worker_acked |= h->acked;
    }
}

void virtio_get_info(VirtIODevice *vdev, VirtioInfo *info)
{
    InfoRequest req = { .vdev = vdev, .info = info };

    *info = (VirtioInfo) {
        .bus_name = vdev->vbus->bus.name,
        .device_id = virtio_device_id(vdev),
        .nr_queues = vdev->vqs->len,
        .offered = vdev->host_features,
        .agreed = vdev->features,
        .status = virtio_get_status(vdev),
        .legacy = vdev->legacy,
        .vm_running = vdev->vm_running,
    };
    vdev->vbus->ops->describe(vdev->vbus, info);
    virtio_run_in_loop(vdev, info_in_loop, &req);
}

/* The worker keeps its position to itself, but says it when asked; used is in the ring. */
static void worker_positions(VirtioQueueInfo *info, const VhostDev *h, unsigned i,
                             const VirtQueue *vq)
{
    struct vhost_vring_state base = { .index = i };

    info->worker = true;
    info->kick_fd = vq->host_notifier.fd;
    info->call_fd = h->rings[i].call_fd;
    info->desc_host = (uintptr_t)vq->ring.desc;
    info->avail_host = (uintptr_t)vq->ring.avail;
    info->used_host = (uintptr_t)vq->ring.used;
    if (ioctl(h->fd, VHOST_GET_VRING_BASE, &base) == 0) {
        info->last_avail = base.num;
    }
    info->avail_seen = __atomic_load_n(&vq->ring.avail->idx, __ATOMIC_ACQUIRE);
    info->used_idx = __atomic_load_n(&vq->ring.used->idx, __ATOMIC_ACQUIRE);
    info->in_flight = (uint16_t)(info->last_avail - info->used_idx);
}

static void queue_in_loop(void *opaque)
{
    InfoRequest *req = opaque;
    const VirtQueue *vq = req->vq;
    VirtioQueueInfo *info = req->queue;

    info->last_avail = vq->ring.last_avail;
    info->avail_seen = vq->ring.avail_seen;
    info->used_idx = vq->ring.used_idx;
    info->signalled_used = vq->ring.signalled_used;
    info->signalled_valid = vq->ring.signalled_valid;
    info->in_flight = vq->ring.in_flight;
    for (const VhostDev *h = req->vdev->vhosts; h; h = h->next) {
        for (unsigned i = 0; h->running && i < h->nvqs; i++) {
            if (h->rings[i].vq == vq) {
                worker_positions(info, h, i, vq);
            }
        }
    }
}

bool virtio_get_queue_info(VirtIODevice *vdev, unsigned n, VirtioQueueInfo *info)
{
    VirtQueue *vq = virtio_get_queue(vdev, n);
    InfoRequest req = { .vdev = vdev, .vq = vq, .queue = info };

    if (!vq) {
        return false;
    }
    *info = (VirtioQueueInfo) {
        .num = vq->regs.num,
        .max = vq->max_size,
        .ready = vq->regs.ready,
        .packed = virtio_has_feature(vdev, VIRTIO_F_RING_PACKED),
        .desc = vq->regs.desc,
        .avail = vq->regs.avail,
        .used = vq->regs.used,
        .align = vq->regs.legacy_align,
        .kick_fd = -1,
        .call_fd = -1,
    };
    virtio_run_in_loop(vdev, queue_in_loop, &req);
    if (info->ready && !info->packed) {
        address_space_read(vdev->as, info->avail + offsetof(struct vring_avail, idx),
                           &info->avail_idx, sizeof(info->avail_idx));
    }
    return true;
}
