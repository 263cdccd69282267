/*
 * virtio-scsi-device: a SCSI host bus adapter on a virtio transport (virtio 1.2, section 5.6).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/boards.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"
#include "virtio-scsi.h"

/* Features and configuration space --------------------------------------------------- */

static uint64_t vscsi_get_features(VirtIODevice *vdev, bool modern)
{
    const VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    return (s->hotplug ? 1ull << VIRTIO_SCSI_F_HOTPLUG : 0) |
           (s->param_change ? 1ull << VIRTIO_SCSI_F_CHANGE : 0);
}

static void vscsi_get_config(VirtIODevice *vdev, void *config)
{
    const VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    *(struct virtio_scsi_config *)config = (struct virtio_scsi_config) {
        .num_queues = s->num_queues,
        .seg_max = s->queue_size - 2,       /* header and answer */
        .max_sectors = s->max_sectors,
        .cmd_per_lun = s->cmd_per_lun,
        .event_info_size = sizeof(struct virtio_scsi_event),
        .sense_size = s->sense_size,
        .cdb_size = s->cdb_size,
        .max_target = SCSI_TARGETS - 1,
        .max_lun = SCSI_LUN_MAX,
    };
}

/* Section 5.6.4: sizes of headers, before the driver sends any. */
static void vscsi_set_config(VirtIODevice *vdev, unsigned offset, const void *data, unsigned len)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);
    uint32_t value = 0;

    if (virtio_driver_ok(vdev) || len != sizeof(value)) {
        return;
    }
    memcpy(&value, data, sizeof(value));
    if (offset == offsetof(struct virtio_scsi_config, sense_size) && value <= VSCSI_SENSE_MAX) {
        s->sense_size = value;
    } else if (offset == offsetof(struct virtio_scsi_config, cdb_size) && value &&
               value <= VSCSI_CDB_MAX) {
        s->cdb_size = value;
    }
}

/* Events ------------------------------------------------------------------------------- */

/* True when the driver had a buffer for it. */
static bool send_event(VirtIOSCSI *s, const SCSIDevice *dev, uint32_t what, uint32_t reason)
{
    VirtQueue *vq = virtio_get_queue(&s->vdev, VSCSI_EVENT_QUEUE);
    VirtQueueElement *elem = virtqueue_pop(vq);
    struct virtio_scsi_event event = {
        .event = what | (s->events_missed ? VIRTIO_SCSI_T_EVENTS_MISSED : 0), .reason = reason,
    };

    if (!elem) {
        return false;
    }
    if (elem->in_len < sizeof(event)) {
        virtio_error(&s->vdev, "buffer of %zu bytes for an event", elem->in_len);
        virtqueue_detach(vq, elem);
        return false;
    }
    if (dev) {
        event.lun[0] = 1;
        event.lun[1] = dev->id;
        event.lun[2] = dev->lun < 256 ? 0 : 0x40 | dev->lun >> 8;
        event.lun[3] = dev->lun;
    }
    iov_from_buf(elem->in_sg, elem->in_num, 0, &event, sizeof(event));
    virtqueue_push(vq, elem, sizeof(event));
    virtio_notify(vq);
    s->events_missed = false;
    return true;
}

static void tell(VirtIOSCSI *s, const SCSIDevice *dev, unsigned feature, uint32_t what,
                 uint32_t reason)
{
    if (virtio_driver_ok(&s->vdev) && virtio_has_feature(&s->vdev, feature) &&
        !send_event(s, dev, what, reason)) {
        s->events_missed = true;
    }
}

static void vscsi_handle_events(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    if (s->events_missed) {
        send_event(s, NULL, VIRTIO_SCSI_T_NO_EVENT, 0);
    }
}

/* Devices on the bus --------------------------------------------------------------------- */

typedef struct Plug {
    VirtIOSCSI *s;
    SCSIDevice *dev;
} Plug;

static void plug_in_loop(void *opaque)
{
    Plug *p = opaque;

    scsi_link(&p->s->bus, p->dev);
    tell(p->s, p->dev, VIRTIO_SCSI_F_HOTPLUG, VIRTIO_SCSI_T_TRANSPORT_RESET,
         VIRTIO_SCSI_EVT_RESET_RESCAN);
}

static void vscsi_plug(SCSIBus *bus, SCSIDevice *dev)
{
    VirtIOSCSI *s = virtio_scsi_of(bus);

    virtio_run_in_loop(&s->vdev, plug_in_loop, &(Plug) { s, dev });
}

static void unplug_in_loop(void *opaque)
{
    Plug *p = opaque;

    scsi_unlink(&p->s->bus, p->dev);
    virtio_scsi_abandon(p->s, p->dev);
    tell(p->s, p->dev, VIRTIO_SCSI_F_HOTPLUG, VIRTIO_SCSI_T_TRANSPORT_RESET,
         VIRTIO_SCSI_EVT_RESET_REMOVED);
}

static void vscsi_unplug(SCSIBus *bus, SCSIDevice *dev)
{
    VirtIOSCSI *s = virtio_scsi_of(bus);

    virtio_run_in_loop(&s->vdev, unplug_in_loop, &(Plug) { s, dev });
}

static GMainContext *vscsi_get_context(SCSIBus *bus)
{
    return virtio_get_context(&virtio_scsi_of(bus)->vdev);
}

static void vscsi_run(SCSIBus *bus, void (*fn)(void *opaque), void *opaque)
{
    virtio_run_in_loop(&virtio_scsi_of(bus)->vdev, fn, opaque);
}

static void vscsi_batch_end(SCSIBus *bus)
{
    virtio_scsi_notify(virtio_scsi_of(bus));
}

static void vscsi_changed(SCSIBus *bus, SCSIDevice *dev)
{
    tell(virtio_scsi_of(bus), dev, VIRTIO_SCSI_F_CHANGE, VIRTIO_SCSI_T_PARAM_CHANGE,
         dev->attention.asc | (uint32_t)dev->attention.ascq << 8);
}

static const SCSIBusOps vscsi_bus_ops = {
    .plug = vscsi_plug,
    .unplug = vscsi_unplug,
    .get_context = vscsi_get_context,
    .run = vscsi_run,
    .batch_end = vscsi_batch_end,
    .changed = vscsi_changed,
};

/* Life --------------------------------------------------------------------------------------- */

typedef void DeviceFn(SCSIDevice *dev);

static void for_each_disk(VirtIOSCSI *s, DeviceFn *fn)
{
    for (unsigned id = 0; id < SCSI_TARGETS; id++) {
        for (SCSIDevice *dev = s->bus.targets[id]; dev; dev = dev->next) {
            if (dev->conf.blk) {
                fn(dev);
            }
        }
    }
}

static void reset_status(SCSIDevice *dev)
{
    blk_iostatus_reset(dev->conf.blk);
}

static void drain(SCSIDevice *dev)
{
    blk_drain(dev->conf.blk);
}

static void vscsi_start(VirtIODevice *vdev)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    for_each_disk(s, reset_status);
    virtio_scsi_retry(s);
}

static void vscsi_stop(VirtIODevice *vdev)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    for_each_disk(s, drain);
    virtio_scsi_notify(s);
}

static void reset_disk(SCSIDevice *dev)
{
    scsi_set_attention(dev, SENSE_RESET);
    blk_set_write_cache(dev->conf.blk, dev->initial_wce);
}

static void vscsi_reset(VirtIODevice *vdev)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    virtio_scsi_forget(s, NULL);
    for_each_disk(s, reset_disk);
    s->sense_size = VIRTIO_SCSI_SENSE_DEFAULT_SIZE;
    s->cdb_size = VIRTIO_SCSI_CDB_DEFAULT_SIZE;
    s->events_missed = false;
}

static void vscsi_queue_reset(VirtIODevice *vdev, VirtQueue *vq)
{
    virtio_scsi_forget(downcast(vdev, VirtIOSCSI, vdev), vq);
}

static bool check_properties(VirtIOSCSI *s, Error **errp)
{
    if (!s->num_queues || s->num_queues > VSCSI_MAX_QUEUES) {
        error_setg(errp, "Invalid number of queues (= %u), must be a positive integer less than "
                   "%u.", s->num_queues, VSCSI_MAX_QUEUES + 1);
        return false;
    }
    if (s->queue_size < 4 || s->queue_size > VIRTQUEUE_MAX_SIZE ||
        (s->queue_size & (s->queue_size - 1))) {
        error_setg(errp, "invalid virtqueue_size property (= %u), must be a power of 2 between 4 "
                   "and %u", s->queue_size, VIRTQUEUE_MAX_SIZE);
        return false;
    }
    if (!s->max_sectors || !s->cmd_per_lun) {
        error_setg(errp, "max_sectors and cmd_per_lun cannot be 0");
        return false;
    }
    return true;
}

static bool vscsi_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);
    g_autofree char *name = qbus_new_name(&vdev->dev, SCSI_BUS, "scsi");

    if (!check_properties(s, errp)) {
        return false;
    }
    vdev->iothread = downcast(s->iothread.obj, IOThread, obj);
    vdev->config_len = sizeof(struct virtio_scsi_config);
    s->dirty = g_new0(uint64_t, DIV_ROUND_UP(s->num_queues + VSCSI_FIRST_QUEUE, 64));
    virtio_add_queue(vdev, s->queue_size, virtio_scsi_task_size(), virtio_scsi_handle_ctrl);
    virtio_add_queue(vdev, s->queue_size, sizeof(VirtQueueElement), vscsi_handle_events);
    for (uint32_t i = 0; i < s->num_queues; i++) {
        virtio_add_queue(vdev, s->queue_size, virtio_scsi_req_size(), virtio_scsi_handle_cmd);
    }
    s->bus.ops = &vscsi_bus_ops;
    qbus_init(&s->bus.bus, SCSI_BUS, name, &vdev->dev, vdev->dev.machine);
    s->bus.bus.hotpluggable = true;
    vscsi_reset(vdev);
    return true;
}

/* The devices on the bus are gone already: they were realized after it. */
static void vscsi_unrealize(VirtIODevice *vdev)
{
    VirtIOSCSI *s = downcast(vdev, VirtIOSCSI, vdev);

    qbus_cleanup(&s->bus.bus);
    g_free(s->dirty);
}

static const ObjectLinkTarget iothread_target = { "iothread", object_is_iothread };

static const Property vscsi_props[] = {
    DEFINE_PROP_LINK("iothread", VirtIOSCSI, iothread, &iothread_target,
                     "ID of the -object iothread that serves the queues"),
    DEFINE_PROP_UINT32("num_queues", VirtIOSCSI, num_queues, "1", "queues of commands"),
    DEFINE_PROP_UINT32("virtqueue_size", VirtIOSCSI, queue_size, "256", "entries of each"),
    DEFINE_PROP_UINT32("max_sectors", VirtIOSCSI, max_sectors, "65535",
                       "that the driver should transfer at most"),
    DEFINE_PROP_UINT32("cmd_per_lun", VirtIOSCSI, cmd_per_lun, "128",
                       "commands for one device at a time"),
    DEFINE_PROP_BOOL("hotplug", VirtIOSCSI, hotplug, "on", "tell of devices that come and go"),
    DEFINE_PROP_BOOL("param_change", VirtIOSCSI, param_change, "on",
                     "tell of changes like that of a capacity"),
    DEFINE_PROP_IGNORED("seg_max_adjust", "accepted: always on"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIOSCSI, bus, "its devices are parts of their own");
STATE_NOT(VirtIOSCSI, requests, "in flight: taken again");
STATE_NOT(VirtIOSCSI, tasks, "in flight: taken again");
STATE_NOT(VirtIOSCSI, serial, "orders what is in flight");
STATE_NOT(VirtIOSCSI, dirty, "the guest was told of all that is done");

static const StateField vscsi_fields[] = {
    STATE_MAX(VirtIOSCSI, sense_size, VSCSI_SENSE_MAX),
    STATE_MAX(VirtIOSCSI, cdb_size, VSCSI_CDB_MAX),
    STATE_BOOL(VirtIOSCSI, events_missed),
    STATE_END
};

static const StateDesc vscsi_state = { .version = 1, .fields = vscsi_fields };

static const VirtioDeviceClass virtio_scsi_class = {
    .dc = {
        .oc = {
            .name = "virtio-scsi-device",
            .alias = "virtio-scsi",
            .desc = "virtio SCSI host bus adapter",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIOSCSI),
            .props = vscsi_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&vscsi_state),
    },
    .device_id = VIRTIO_ID_SCSI,
    .realize = vscsi_realize,
    .unrealize = vscsi_unrealize,
    .get_features = vscsi_get_features,
    .get_config = vscsi_get_config,
    .set_config = vscsi_set_config,
    .start = vscsi_start,
    .stop = vscsi_stop,
    .reset = vscsi_reset,
    .queue_reset = vscsi_queue_reset,
};
DEFINE_CLASS(virtio_scsi, &virtio_scsi_class.dc.oc);
