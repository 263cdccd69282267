/*
 * The virtio entropy device (virtio 1.2, section 5.4).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include "backends/rng.h"
#include "hw/boards.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "qemu/timer.h"

#define RNG_QUEUE_SIZE 8
/* Most bytes for one request: the rest of a larger buffer stays as it is. */
#define RNG_REQUEST_MAX (64 * 1024)

typedef struct VirtIORNG {
    VirtIODevice vdev;
    /* Properties. */
    ObjectLink rng_link;
    uint64_t max_bytes;         /* in each period */
    uint32_t period;            /* ms */

    RngBackend *rng;
    bool own_rng;               /* rng is no -object */
    VirtQueue *vq;
    VirtQueueElement *elem;     /* being filled, or waiting for quota */
    RngRequest req;
    uint64_t quota;             /* bytes left in this period */
    QEMUTimer timer;            /* ends the period; armed by its first byte */
} VirtIORNG;

/* Requests are served one after the other. */
static void rng_next(VirtIORNG *s)
{
    size_t room, size;

    if (s->req.queued || !virtio_queue_live(s->vq)) {
        return;
    }
    if (!s->elem) {
        s->elem = virtqueue_pop(s->vq);
    }
    if (!s->elem) {
        return;
    }
    if (!s->elem->in_num || s->elem->out_num) {
        virtio_error(&s->vdev, "entropy buffer is not for writing");
        virtqueue_detach(s->vq, s->elem);
        s->elem = NULL;
        return;
    }
    /* Not in_len: the list was cut when it was asked for before a stop. */
    room = iov_size(s->elem->in_sg, s->elem->in_num);
    size = MIN(room, MIN(s->quota, RNG_REQUEST_MAX));
    if (!size) {
        return;     /* the timer goes on */
    }
    iov_discard_back(s->elem->in_sg, &s->elem->in_num, room - size);
    s->req.iov = s->elem->in_sg;
    s->req.iovcnt = s->elem->in_num;
    rng_backend_request(s->rng, &s->req);
}

static void rng_done(RngRequest *req, size_t len)
{
    VirtIORNG *s = container_of(req, VirtIORNG, req);

    s->quota -= MIN(s->quota, len);
    if (!timer_pending(&s->timer)) {
        timer_mod_ns(&s->timer, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) +
                     s->period * (NANOSECONDS_PER_SECOND / 1000));
    }
    virtqueue_push(s->vq, s->elem, len);
    s->elem = NULL;
    virtio_notify(s->vq);
    rng_next(s);
}

static void rng_period_over(void *opaque)
{
    VirtIORNG *s = opaque;

    s->quota = s->max_bytes;
    rng_next(s);
}

static void rng_handle_output(VirtIODevice *vdev, VirtQueue *vq)
{
    rng_next(downcast(vdev, VirtIORNG, vdev));
}

/* Nothing may be written from here on; start asks again for what is held. */
static void rng_stop(VirtIODevice *vdev)
{
    VirtIORNG *s = downcast(vdev, VirtIORNG, vdev);

    rng_backend_cancel(s->rng, &s->req);
}

static void rng_reset(VirtIODevice *vdev)
{
    downcast(vdev, VirtIORNG, vdev)->elem = NULL;
}

static void rng_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    rng_reset(vdev);
}

static uint64_t rng_get_features(VirtIODevice *vdev, bool modern)
{
    return 0;
}

static bool rng_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIORNG *s = downcast(vdev, VirtIORNG, vdev);

    if (!s->period) {
        error_setg(errp, "'period' parameter expects a positive integer");
        return false;
    }
    if (s->max_bytes > INT64_MAX) {
        error_setg(errp, "'max-bytes' parameter must be non-negative, and less than 2^63");
        return false;
    }
    s->own_rng = !s->rng_link.obj;
    s->rng = s->own_rng ? rng_builtin_new() : downcast(s->rng_link.obj, RngBackend, obj);
    s->req.done = rng_done;
    s->quota = s->max_bytes;
    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, rng_period_over, s);
    s->vq = virtio_add_queue(vdev, RNG_QUEUE_SIZE, sizeof(VirtQueueElement),
                             rng_handle_output);
    return true;
}

static void rng_unrealize(VirtIODevice *vdev)
{
    VirtIORNG *s = downcast(vdev, VirtIORNG, vdev);

    timer_del(&s->timer);
    if (s->own_rng) {
        object_free(&s->rng->obj);
    }
}

static const ObjectLinkTarget rng_target = { "rng-backend", object_is_rng_backend };

static const Property rng_props[] = {
    DEFINE_PROP_LINK("rng", VirtIORNG, rng_link, &rng_target,
                     "ID of an rng-random or rng-builtin object"),
    DEFINE_PROP_UINT64("max-bytes", VirtIORNG, max_bytes, "9223372036854775807",
                       "most bytes in each period"),
    DEFINE_PROP_UINT32("period", VirtIORNG, period, "65536",
                       "length of a period in milliseconds"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIORNG, rng, "the host's");
STATE_NOT(VirtIORNG, own_rng, "the host's");
STATE_NOT(VirtIORNG, vq, "the core's");
STATE_NOT(VirtIORNG, elem, "in flight: taken again");
STATE_NOT(VirtIORNG, req, "under way in the host");

static const StateField rng_fields[] = {
    STATE_INT(VirtIORNG, quota),
    STATE_TIMER(VirtIORNG, timer),
    STATE_END
};

static const StateDesc rng_state = { .version = 1, .fields = rng_fields };

static const VirtioDeviceClass virtio_rng_class = {
    .dc = {
        .oc = {
            .name = "virtio-rng-device",
            .alias = "virtio-rng",
            .desc = "virtio entropy device",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIORNG),
            .props = rng_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&rng_state),
    },
    .device_id = VIRTIO_ID_RNG,
    .in_order = true,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .get_features = rng_get_features,
    .stop = rng_stop,
    .reset = rng_reset,
    .queue_reset = rng_queue_reset,
};
DEFINE_CLASS(virtio_rng, &virtio_rng_class.dc.oc);
