/*
 * A virtio device for tests of queues and transport.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/iov.h"
#include "virtio-harness.h"

static void answer(VTDevice *d, VirtQueueElement *elem)
{
    VirtQueue *vq = elem->vq;
    uint8_t sum = 0;

    for (unsigned i = 0; i < elem->out_num; i++) {
        const volatile uint8_t *p = elem->out_sg[i].iov_base;

        /* The whole of small buffers, both ends of large ones. */
        for (size_t n = 0; n < elem->out_sg[i].iov_len; n++) {
            if (n < 65536 || n == elem->out_sg[i].iov_len - 1) {
                sum += p[n];
            } else {
                n = elem->out_sg[i].iov_len - 2;
            }
        }
    }
    iov_memset(elem->in_sg, elem->in_num, 0, sum, elem->in_len);
    virtqueue_push(vq, elem, elem->in_len);
    virtio_notify(vq);
}

static void device_output(VirtIODevice *vdev, VirtQueue *vq)
{
    VTDevice *d = (VTDevice *)vdev;
    VirtQueueElement *elem;

    d->kicked++;
    do {
        virtio_queue_set_notification(vq, false);
        while ((elem = virtqueue_pop(vq))) {
            d->popped++;
            g_assert_cmpuint(virtqueue_in_flight(vq), <=, virtio_queue_size(vq));
            if (d->hold) {
                d->held[d->nr_held++] = elem;
            } else {
                answer(d, elem);
            }
        }
        virtio_queue_set_notification(vq, true);
    } while (!virtio_queue_empty(vq));
}

void vt_device_complete(VTDevice *d, unsigned i)
{
    VirtQueueElement *elem = d->held[i];

    d->held[i] = d->held[--d->nr_held];
    answer(d, elem);
}

void vt_device_complete_all(VTDevice *d)
{
    while (d->nr_held) {
        vt_device_complete(d, d->nr_held - 1);
    }
}

static bool device_realize(VirtIODevice *vdev, Error **errp)
{
    VTDevice *d = (VTDevice *)vdev;

    vdev->config_len = 13;
    d->config = 0x1122334455667788;
    for (int i = 0; i < 3; i++) {
        d->vq[i] = virtio_add_queue(vdev, i == 2 ? 1024 : 16,
                                    sizeof(VirtQueueElement), device_output);
    }
    return true;
}

static uint64_t device_features(VirtIODevice *vdev, bool modern)
{
    return 1u << 3 | 1u << 5;
}

/* Bit 5 needs bit 3. */
static bool device_validate(VirtIODevice *vdev, uint64_t features)
{
    return !(features >> 5 & 1) || (features >> 3 & 1);
}

static void device_get_config(VirtIODevice *vdev, void *config)
{
    memcpy(config, &((VTDevice *)vdev)->config, 8);
    memset((char *)config + 8, 0x5a, 5);
}

static void device_set_config(VirtIODevice *vdev, unsigned offset,
                              const void *data, unsigned len)
{
    if (offset + len <= 8) {
        memcpy((char *)&((VTDevice *)vdev)->config + offset, data, len);
    }
}

static void device_start(VirtIODevice *vdev)
{
    ((VTDevice *)vdev)->started++;
}

static void device_stop(VirtIODevice *vdev)
{
    ((VTDevice *)vdev)->stopped++;
}

static void device_reset(VirtIODevice *vdev)
{
    ((VTDevice *)vdev)->nr_held = 0;
    ((VTDevice *)vdev)->resets++;
}

static void device_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    ((VTDevice *)vdev)->nr_held = 0;
}

static bool device_get_shm(VirtIODevice *vdev, unsigned id, VirtioShmRegion *shm)
{
    *shm = (VirtioShmRegion) { 0x123456789a000, 0x7700000000 };
    return ((VTDevice *)vdev)->has_shm && id == 1;
}

const VirtioDeviceClass vt_device_class = {
    .dc = {
        .oc = {
            .name = "virtio-test-device",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VTDevice),
        },
        VIRTIO_DEVICE_HOOKS,
    },
    .device_id = 42,
    .realize = device_realize,
    .get_features = device_features,
    .validate_features = device_validate,
    .get_config = device_get_config,
    .set_config = device_set_config,
    .start = device_start,
    .stop = device_stop,
    .reset = device_reset,
    .queue_reset = device_queue_reset,
    .get_shm = device_get_shm,
};

VT *vt_new_device(gconstpointer legacy, VTDevice **d)
{
    VT *t = vt_new(legacy != NULL);

    vt_plug(t, &vt_device_class.dc, "");
    *d = (VTDevice *)t->vdev;
    return t;
}
