/*
 * Virtio devices: features, status, configuration space, start and stop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/virtio/virtio.h"

#include <stdarg.h>
#include <string.h>

#include "hw/boards.h"
#include "qemu/trace.h"
#include "virtqueue-internal.h"
#include "qemu/cutils.h"
#include "qemu/log.h"
#include "qemu/main-loop.h"
#include "sysemu/runstate.h"

/* What a driver may set in Status; reserved bits are dropped. */
#define STATUS_DRIVER_BITS (VIRTIO_CONFIG_S_ACKNOWLEDGE | \
                            VIRTIO_CONFIG_S_DRIVER | \
                            VIRTIO_CONFIG_S_DRIVER_OK | \
                            VIRTIO_CONFIG_S_FEATURES_OK | \
                            VIRTIO_CONFIG_S_FAILED)

static unsigned status_get(const VirtIODevice *vdev)
{
    return __atomic_load_n(&vdev->status, __ATOMIC_ACQUIRE);
}

/* Errors ------------------------------------------------------------------- */

bool virtio_is_broken(const VirtIODevice *vdev)
{
    return status_get(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

bool virtio_driver_ok(const VirtIODevice *vdev)
{
    unsigned status = status_get(vdev);

    return (status & VIRTIO_CONFIG_S_DRIVER_OK) &&
           !(status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED));
}

void virtio_error(VirtIODevice *vdev, const char *fmt, ...)
{
    unsigned old = __atomic_fetch_or(&vdev->status, VIRTIO_CONFIG_S_NEEDS_RESET,
                                     __ATOMIC_SEQ_CST);
    va_list ap;

    if (old & VIRTIO_CONFIG_S_NEEDS_RESET) {
        return;
    }
    if (qemu_loglevel_mask(LOG_GUEST_ERROR)) {
        g_autofree char *text = NULL;

        va_start(ap, fmt);
        text = g_strdup_vprintf(fmt, ap);
        va_end(ap);
        qemu_log("%s: %s\n", qdev_name(&vdev->dev), text);
    }
    /* Section 2.1.2: only a driver that is up is told. */
    if (old & VIRTIO_CONFIG_S_DRIVER_OK) {
        vdev->vbus->ops->notify(vdev->vbus, VIRTIO_ISR_CONFIG);
    }
}

/* Queues ------------------------------------------------------------------- */

VirtQueue *virtio_add_queue(VirtIODevice *vdev, unsigned size,
                            size_t elem_size, VirtIOHandleOutput *handler)
{
    VirtQueue *vq = virtqueue_new(vdev, vdev->vqs->len, size, elem_size);

    vq->handler = handler;
    g_ptr_array_add(vdev->vqs, vq);
    return vq;
}

VirtQueue *virtio_get_queue(const VirtIODevice *vdev, unsigned n)
{
    return n < vdev->vqs->len ? vdev->vqs->pdata[n] : NULL;
}

/* Start and stop ----------------------------------------------------------- */

GMainContext *virtio_get_context(const VirtIODevice *vdev)
{
    return iothread_get_context(vdev->iothread);
}

void virtio_run_in_loop(VirtIODevice *vdev, IOThreadFunc *fn, void *opaque)
{
    iothread_run(vdev->iothread, fn, opaque);
}

/* Eventfds need the machine lock: made before the loop takes over. */
static void virtio_prepare_queue(VirtQueue *vq)
{
    VirtIODevice *vdev = vq->vdev;
    int ret;

    if (vq->host_notifier.fd >= 0) {
        return;
    }
    ret = virtio_kicks_init(vdev);
    if (!ret) {
        ret = event_notifier_init(&vq->host_notifier);
    }
    if (ret < 0) {
        vq->host_notifier.fd = -1;
        virtio_error(vdev, "queue %u: no eventfd: %s", vq->index,
                     strerror(-ret));
        return;
    }
    vdev->vbus->ops->queue_attach(vdev->vbus, vq);
}

static void virtio_start_in_loop(void *opaque)
{
    VirtIODevice *vdev = opaque;
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        VirtQueue *vq = vdev->vqs->pdata[i];

        if (vq->regs.ready && vq->host_notifier.fd >= 0 && virtqueue_map(vq)) {
            vq->active = true;
            virtio_queue_watch(vq, true);
        }
    }
    virtio_kicks_start(vdev);
    vdev->running = true;
    if (vdc->start) {
        vdc->start(vdev);
    }
    /* Buffers may have waited for us. */
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        VirtQueue *vq = vdev->vqs->pdata[i];

        if (vq->active) {
            virtio_queue_kick(vq);
        }
    }
}

static void virtio_stop_in_loop(void *opaque)
{
    VirtIODevice *vdev = opaque;
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    virtio_kicks_stop(vdev);
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        virtio_queue_watch(vdev->vqs->pdata[i], false);
    }
    if (vdc->stop) {
        vdc->stop(vdev);
    }
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        VirtQueue *vq = vdev->vqs->pdata[i];

        if (vq->active) {
            virtqueue_log_all(vq);
        }
        vq->active = false;
    }
    vdev->running = false;
}

static void virtio_stop(VirtIODevice *vdev)
{
    if (vdev->running) {
        virtio_run_in_loop(vdev, virtio_stop_in_loop, vdev);
    }
}

/* Bring the loop in line with what driver and machine want. */
static void virtio_update_running(VirtIODevice *vdev)
{
    unsigned status = status_get(vdev);
    bool want = vdev->vm_running && (status & VIRTIO_CONFIG_S_DRIVER_OK) &&
                !(status & VIRTIO_CONFIG_S_FAILED);

    if (!want) {
        virtio_stop(vdev);
    } else if (!vdev->running) {
        for (unsigned i = 0; i < vdev->vqs->len; i++) {
            VirtQueue *vq = vdev->vqs->pdata[i];
            if (vq->regs.ready) {
                virtio_prepare_queue(vq);
            }
        }
        virtio_run_in_loop(vdev, virtio_start_in_loop, vdev);
        vdev->vbus->ops->started(vdev->vbus);
    }
}

static void virtio_runstate_changed(MachineState *ms, RunStateEvent event,
                                    ShutdownCause cause, void *opaque)
{
    VirtIODevice *vdev = opaque;

    if (event == RUN_STATE_EVENT_STOP || event == RUN_STATE_EVENT_RESUME) {
        vdev->vm_running = event == RUN_STATE_EVENT_RESUME;
        virtio_update_running(vdev);
    }
}

/* Features and status ------------------------------------------------------ */

uint64_t virtio_offered_features(const VirtIODevice *vdev)
{
    return vdev->host_features;
}

static void virtio_init_features(VirtIODevice *vdev)
{
    uint64_t f = virtio_get_class(vdev)->get_features(vdev, !vdev->legacy);

    if (vdev->prop_indirect_desc) {
        f |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    }
    if (vdev->prop_event_idx) {
        f |= 1ull << VIRTIO_RING_F_EVENT_IDX;
    }
    if (vdev->legacy) {
        /* We never assume a layout; only old drivers need to be told. */
        f |= 1ull << VIRTIO_F_ANY_LAYOUT;
        f &= UINT32_MAX;
    } else {
        f |= 1ull << VIRTIO_F_VERSION_1;
        if (vdev->prop_packed && !vdev->vhosts) {
            f |= 1ull << VIRTIO_F_RING_PACKED;
        }
        if (vdev->prop_in_order && !vdev->vhosts) {
            f |= 1ull << VIRTIO_FEATURE_IN_ORDER;
        }
        if (vdev->prop_notification_data) {
            f |= 1ull << VIRTIO_FEATURE_NOTIFICATION_DATA;
        }
        if (vdev->prop_queue_reset) {
            f |= 1ull << VIRTIO_FEATURE_RING_RESET;
        }
    }
    vdev->host_features = f;
}

void virtio_set_driver_features(VirtIODevice *vdev, unsigned sel, uint32_t val)
{
    unsigned settled = VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK;

    if (status_get(vdev) & settled) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: features written too late\n",
                      qdev_name(&vdev->dev));
    } else if (sel == 0) {
        vdev->driver_features = (vdev->driver_features & ~0xffffffffull) | val;
    } else if (sel == 1) {
        vdev->driver_features = (uint32_t)vdev->driver_features |
                                (uint64_t)val << 32;
    } else if (val) {
        /* Words beyond 64 bits: nothing is offered there. */
        vdev->driver_features |= ~vdev->host_features;
    }
}

/* Section 2.2.2: may FEATURES_OK be set? */
static bool virtio_features_acceptable(VirtIODevice *vdev)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);
    uint64_t f = vdev->driver_features;

    if ((f & ~vdev->host_features) || !(f >> VIRTIO_F_VERSION_1 & 1)) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: features 0x%" PRIx64 " of 0x%"
                      PRIx64 " are refused\n", qdev_name(&vdev->dev), f,
                      vdev->host_features);
        return false;
    }
    return !vdc->validate_features || vdc->validate_features(vdev, f);
}

static void virtio_settle_features(VirtIODevice *vdev)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    vdev->features = vdev->driver_features & vdev->host_features;
    if (vdc->set_features) {
        vdc->set_features(vdev);
    }
}

bool virtio_restore_features(VirtIODevice *vdev, Error **errp)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    if ((vdev->features & ~vdev->host_features) ||
        (vdev->features && vdc->validate_features && !vdev->legacy &&
         !vdc->validate_features(vdev, vdev->features))) {
        error_setg(errp, "the driver uses features 0x%" PRIx64 " of 0x%" PRIx64 " offered here",
                   vdev->features, vdev->host_features);
        return false;
    }
    if (vdev->features && vdc->set_features) {
        vdc->set_features(vdev);
    }
    return true;
}

unsigned virtio_get_status(const VirtIODevice *vdev)
{
    return status_get(vdev);
}

void virtio_set_status(VirtIODevice *vdev, unsigned val)
{
    unsigned old = status_get(vdev);
    unsigned add = val & STATUS_DRIVER_BITS & ~old;

    trace(virtio_set_status, "%s 0x%x -> 0x%x", qdev_name(&vdev->dev), old, val);
    if (!(val & 0xff)) {
        virtio_reset(vdev);
        return;
    }
    if (vdev->legacy) {
        add &= ~VIRTIO_CONFIG_S_FEATURES_OK;
        if (add & VIRTIO_CONFIG_S_DRIVER_OK) {
            virtio_settle_features(vdev);
        }
    } else if (add & VIRTIO_CONFIG_S_FEATURES_OK) {
        if (virtio_features_acceptable(vdev)) {
            virtio_settle_features(vdev);
        } else {
            add &= ~VIRTIO_CONFIG_S_FEATURES_OK;
        }
    }
    if (!vdev->legacy && (add & VIRTIO_CONFIG_S_DRIVER_OK) &&
        !((old | add) & VIRTIO_CONFIG_S_FEATURES_OK)) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: DRIVER_OK without FEATURES_OK\n",
                      qdev_name(&vdev->dev));
        add &= ~VIRTIO_CONFIG_S_DRIVER_OK;
    }
    /* Bits are only ever added: virtio_error() may be adding its own. */
    __atomic_fetch_or(&vdev->status, add, __ATOMIC_SEQ_CST);
    virtio_update_running(vdev);
}

/* Reset -------------------------------------------------------------------- */

void virtio_reset(VirtIODevice *vdev)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    virtio_stop(vdev);
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        virtqueue_reset(vdev->vqs->pdata[i]);
    }
    vdev->features = 0;
    vdev->driver_features = 0;
    __atomic_store_n(&vdev->status, 0, __ATOMIC_SEQ_CST);
    if (vdc->reset) {
        vdc->reset(vdev);
    }
}

static void virtio_queue_was_reset(VirtQueue *vq)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vq->vdev);

    if (vdc->queue_reset) {
        vdc->queue_reset(vq->vdev, vq);
    }
}

void virtio_queue_set_ready(VirtQueue *vq, bool ready)
{
    VirtIODevice *vdev = vq->vdev;

    if (vq->regs.ready == ready) {
        return;
    }
    virtio_stop(vdev);
    if (!ready) {
        virtqueue_forget(vq);
        virtio_queue_was_reset(vq);
    }
    vq->regs.ready = ready;
    virtio_update_running(vdev);
}

void virtio_queue_do_reset(VirtQueue *vq)
{
    VirtIODevice *vdev = vq->vdev;

    virtio_stop(vdev);
    virtqueue_reset(vq);
    virtio_queue_was_reset(vq);
    virtio_update_running(vdev);
}

/* Configuration space ------------------------------------------------------ */

uint64_t virtio_config_read(VirtIODevice *vdev, unsigned offset, unsigned len)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);
    uint8_t config[VIRTIO_CONFIG_MAX] = { 0 };
    uint64_t val = 0;

    if (!vdc->get_config || offset + len > vdev->config_len) {
        return UINT64_MAX;
    }
    vdc->get_config(vdev, config);
    memcpy(&val, config + offset, len);
    return val;
}

void virtio_config_write(VirtIODevice *vdev, unsigned offset, uint64_t val,
                         unsigned len)
{
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);

    if (vdc->set_config && offset + len <= vdev->config_len) {
        vdc->set_config(vdev, offset, &val, len);
    }
}

void virtio_config_changed(VirtIODevice *vdev)
{
    __atomic_fetch_add(&vdev->config_generation, 1, __ATOMIC_SEQ_CST);
}

void virtio_notify_config(VirtIODevice *vdev)
{
    virtio_config_changed(vdev);
    trace(virtio_notify_config, "%s", qdev_name(&vdev->dev));
    if (virtio_driver_ok(vdev)) {
        vdev->vbus->ops->notify(vdev->vbus, VIRTIO_ISR_CONFIG);
    }
}

/* Device ------------------------------------------------------------------- */

static void virtio_free_queues(VirtIODevice *vdev)
{
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        virtqueue_free(vdev->vqs->pdata[i]);
    }
    g_ptr_array_unref(vdev->vqs);
    vdev->vqs = NULL;
    virtio_kicks_cleanup(vdev);
}

bool virtio_device_realize(DeviceState *dev, Error **errp)
{
    VirtIODevice *vdev = downcast(dev, VirtIODevice, dev);
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);
    VirtioBusState *vbus = container_of(dev->parent_bus, VirtioBusState, bus);

    vdev->vbus = vbus;
    vdev->as = vbus->as;
    vdev->legacy = vbus->legacy;
    vdev->vqs = g_ptr_array_new();
    vdev->kick_fd = -1;
    if (vdev->prop_in_order && !vdc->in_order) {
        error_setg(errp, "in_order=on: the device returns buffers as it is done with them");
        virtio_free_queues(vdev);
        return false;
    }
    if (!virtqueue_packed_check(vdev, errp) || !vdc->realize(vdev, errp)) {
        virtio_free_queues(vdev);
        return false;
    }
    g_assert(vdev->config_len <= VIRTIO_CONFIG_MAX);
    virtio_init_features(vdev);
    vbus->vdev = vdev;
    vbus->ops->plugged(vbus);
    vdev->vm_running = runstate_is_running(dev->machine);
    runstate_add_notifier(dev->machine, virtio_runstate_changed, vdev);
    return true;
}

void virtio_device_unrealize(DeviceState *dev)
{
    VirtIODevice *vdev = downcast(dev, VirtIODevice, dev);
    const VirtioDeviceClass *vdc = virtio_get_class(vdev);
    VirtioBusState *vbus = vdev->vbus;

    runstate_del_notifier(dev->machine, virtio_runstate_changed, vdev);
    virtio_reset(vdev);
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        vbus->ops->queue_detach(vbus, vdev->vqs->pdata[i]);
    }
    vbus->ops->unplugged(vbus);
    vbus->vdev = NULL;
    if (vdc->unrealize) {
        vdc->unrealize(vdev);
    }
    virtio_free_queues(vdev);
}

void virtio_device_reset(DeviceState *dev)
{
    virtio_reset(downcast(dev, VirtIODevice, dev));
}

static const Property virtio_device_props[] = {
    DEFINE_PROP_BOOL("indirect_desc", VirtIODevice, prop_indirect_desc, "on",
                     "offer indirect descriptors"),
    DEFINE_PROP_BOOL("event_idx", VirtIODevice, prop_event_idx, "on",
                     "offer suppression of notifications by index"),
    DEFINE_PROP_BOOL("queue_reset", VirtIODevice, prop_queue_reset, "on",
                     "offer the reset of single queues"),
    DEFINE_PROP_IGNORED("notify_on_empty", "accepted, without effect"),
    DEFINE_PROP_IGNORED("any_layout", "accepted: always on"),
    DEFINE_PROP_IGNORED("use-started", "accepted, without effect"),
    DEFINE_PROP_OFF("iommu_platform",
                    "iommu_platform=on is not available: use iommu_platform=off"),
    DEFINE_PROP_BOOL("notification_data", VirtIODevice, prop_notification_data, "off",
                     "offer kicks that say how far the driver is"),
    DEFINE_PROP_BOOL("in_order", VirtIODevice, prop_in_order, "off",
                     "offer to return buffers in the order in which they come"),
    DEFINE_PROP_BOOL("packed", VirtIODevice, prop_packed, "off", "offer packed queues"),
    DEFINE_PROP_END
};

const ObjectClass virtio_device_base_class = {
    .name = "virtio-device",
    .instance_size = sizeof(VirtIODevice),
    .props = virtio_device_props,
};
