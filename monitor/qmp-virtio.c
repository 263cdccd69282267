/*
 * QMP's look at virtio devices: x-query-virtio and its siblings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "hw/virtio/virtio-info.h"
#include "qmp.h"

/* The device of args; NULL with errp set. */
static VirtIODevice *arg_device(Monitor *mon, json_t *args, Error **errp)
{
    const char *path = qmp_str(args, "path");
    VirtIODevice *vdev = virtio_find_device(mon->ms, path);

    if (!vdev) {
        error_setg(errp, "Path %s is not a VirtIODevice", path);
    }
    return vdev;
}

/* The queue of args and its device; NULL with errp set. */
static VirtIODevice *arg_queue(Monitor *mon, json_t *args, VirtioQueueInfo *info, Error **errp)
{
    VirtIODevice *vdev = arg_device(mon, args, errp);
    int64_t queue = qmp_int(args, "queue", 0);

    if (vdev && (queue < 0 || queue > UINT16_MAX ||
                 !virtio_get_queue_info(vdev, queue, info))) {
        error_setg(errp, "Invalid virtqueue number %" PRId64, queue);
        return NULL;
    }
    return vdev;
}

static json_t *name_of(VirtIODevice *vdev)
{
    VirtioInfo info;

    virtio_get_info(vdev, &info);
    return json_string(virtio_device_name(info.device_id));
}

/* Bits by name; what has none is one number. */
static json_t *features_json(uint16_t device_id, uint64_t bits)
{
    json_t *obj = json_object(), *generic = json_array(), *own = json_array();
    uint64_t unknown = 0;

    for (unsigned bit = 0; bit < 64; bit++) {
        const char *name = virtio_feature_name(device_id, bit);

        if (!(bits >> bit & 1)) {
            continue;
        }
        if (name) {
            json_array_append_new(virtio_feature_is_generic(bit) ? generic : own,
                                  json_string(name));
        } else {
            unknown |= 1ull << bit;
        }
    }
    json_object_set_new(obj, "transports", generic);
    json_object_set_new(obj, "dev-features", own);
    if (unknown) {
        json_object_set_new(obj, "unknown-dev-features", json_integer(unknown));
    }
    return obj;
}

static json_t *status_json(unsigned status)
{
    json_t *obj = json_object(), *list = json_array();

    for (unsigned bit = 0; bit < 8; bit++) {
        const char *name = virtio_status_name(bit);

        if ((status >> bit & 1) && name) {
            json_array_append_new(list, json_string(name));
        }
    }
    json_object_set_new(obj, "statuses", list);
    return obj;
}

static json_t *vhost_json(const VirtioInfo *info)
{
    return json_pack("{s:i,s:i,s:i,s:i,s:o,s:o,s:o,s:{s:[]},s:i,s:i,s:b,s:i}",
                     "n-mem-sections", 0, "n-tmp-sections", 0,
                     "nvqs", info->worker_queues, "vq-index", 0,
                     "features", features_json(info->device_id, info->worker_features),
                     "acked-features", features_json(info->device_id, info->worker_acked),
                     "backend-features", features_json(info->device_id, 0),
                     "protocol-features", "protocols",
                     "max-queues", 0, "backend-cap", 0, "log-enabled", 0, "log-size", 0);
}

json_t *qmp_x_query_virtio(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();
    VirtIODevice *vdev;

    for (unsigned i = 0; (vdev = virtio_nth_device(mon->ms, i)); i++) {
        g_autofree char *path = qdev_get_path((const DeviceState *)vdev);

        json_array_append_new(list, json_pack("{s:s,s:o}", "path", path, "name", name_of(vdev)));
    }
    return list;
}

json_t *qmp_x_query_virtio_status(Monitor *mon, json_t *args, Error **errp)
{
    VirtIODevice *vdev = arg_device(mon, args, errp);
    VirtioInfo info;
    bool broken;
    json_t *ret;

    if (!vdev) {
        return NULL;
    }
    virtio_get_info(vdev, &info);
    broken = info.status & VIRTIO_CONFIG_S_NEEDS_RESET;
    ret = json_pack("{s:s,s:i,s:b,s:s,s:o,s:o,s:o,s:i,s:o,s:i,s:i}",
                    "name", virtio_device_name(info.device_id), "device-id", info.device_id,
                    "vhost-started", info.worker_running, "device-endian", "little",
                    "guest-features", features_json(info.device_id, info.agreed),
                    "host-features", features_json(info.device_id, info.offered),
                    "backend-features", features_json(info.device_id, info.worker_features),
                    "num-vqs", info.nr_queues, "status", status_json(info.status),
                    "isr", info.isr, "queue-sel", info.queue_sel);
    json_object_update_new(ret, json_pack("{s:b,s:b,s:b,s:b,s:b,s:b,s:b,s:s,s:b}",
        "vm-running", info.vm_running, "broken", broken, "disabled", 0,
        "use-started", 1, "started", info.running, "start-on-kick", 0,
        "disable-legacy-check", 0, "bus-name", info.bus_name,
        "use-guest-notifier-mask", 0));
    if (info.nr_workers) {
        json_object_set_new(ret, "vhost-dev", vhost_json(&info));
    }
    return ret;
}

json_t *qmp_x_query_virtio_queue_status(Monitor *mon, json_t *args, Error **errp)
{
    VirtioQueueInfo q;
    VirtIODevice *vdev = arg_queue(mon, args, &q, errp);
    json_t *ret;

    if (!vdev) {
        return NULL;
    }
    ret = json_pack("{s:o,s:I,s:i,s:i,s:i,s:i,s:I,s:I,s:I,s:i}", "name", name_of(vdev),
                    "queue-index", (json_int_t)qmp_int(args, "queue", 0), "inuse", q.in_flight,
                    "vring-num", q.ready ? q.num : 0, "vring-num-default", q.max,
                    "vring-align", (int)q.align, "vring-desc", (json_int_t)q.desc,
                    "vring-avail", (json_int_t)q.avail, "vring-used", (json_int_t)q.used,
                    "last-avail-idx", q.last_avail);
    if (!q.worker) {
        json_object_set_new(ret, "shadow-avail-idx", json_integer(q.avail_seen));
    }
    json_object_update_new(ret, json_pack("{s:i,s:i,s:b}", "used-idx", q.used_idx,
                                          "signalled-used", q.signalled_used,
                                          "signalled-used-valid", q.signalled_valid));
    return ret;
}

json_t *qmp_x_query_virtio_vhost_queue_status(Monitor *mon, json_t *args, Error **errp)
{
    VirtioQueueInfo q;
    VirtIODevice *vdev = arg_queue(mon, args, &q, errp);

    if (!vdev) {
        return NULL;
    }
    if (!q.worker) {
        error_setg(errp, "Error: vhost device has not started yet");
        return NULL;
    }
    return json_pack("{s:o,s:i,s:i,s:I,s:I,s:I,s:i,s:I,s:i,s:I,s:i,s:I,s:i}",
                     "name", name_of(vdev), "kick", q.kick_fd, "call", q.call_fd,
                     "desc", (json_int_t)q.desc_host, "avail", (json_int_t)q.avail_host,
                     "used", (json_int_t)q.used_host, "num", q.num,
                     "desc-phys", (json_int_t)q.desc, "desc-size", 16 * q.num,
                     "avail-phys", (json_int_t)q.avail, "avail-size", 6 + 2 * q.num,
                     "used-phys", (json_int_t)q.used, "used-size", 6 + 8 * q.num);
}

/* One request --------------------------------------------------------------- */

static bool read_guest(Monitor *mon, hwaddr addr, void *buf, size_t len, Error **errp)
{
    if (!address_space_read(&mon->ms->memory, addr, buf, len)) {
        error_setg(errp, "0x%" PRIx64 " is not in RAM", addr);
        return false;
    }
    return true;
}

static json_t *desc_json(const struct vring_desc *desc)
{
    static const char *const names[] = { "next", "write", "indirect" };
    json_t *flags = json_array();

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (desc->flags >> i & 1) {
            json_array_append_new(flags, json_string(names[i]));
        }
    }
    return json_pack("{s:I,s:I,s:o}", "addr", (json_int_t)desc->addr,
                     "len", (json_int_t)desc->len, "flags", flags);
}

/*
 * The chain that starts at head, in the guest's memory: a guest that runs may change it, and
 * one that is hostile makes it a circle or leads it anywhere.
 */
static json_t *chain_json(Monitor *mon, const VirtioQueueInfo *q, unsigned head, Error **errp)
{
    json_t *list = json_array();
    hwaddr table = q->desc;
    unsigned max = q->num, i = head;
    bool indirect = false;
    struct vring_desc desc;

    for (unsigned left = q->num; left > 0 && i < max; left--) {
        if (!read_guest(mon, table + 16ull * i, &desc, sizeof(desc), errp)) {
            json_decref(list);
            return NULL;
        }
        if ((desc.flags & VRING_DESC_F_INDIRECT) && !indirect) {
            indirect = true;
            table = desc.addr;
            max = MIN(desc.len / sizeof(desc), q->num);
            i = 0;
            continue;
        }
        json_array_append_new(list, desc_json(&desc));
        if (!(desc.flags & VRING_DESC_F_NEXT)) {
            break;
        }
        i = desc.next;
    }
    return list;
}

json_t *qmp_x_query_virtio_queue_element(Monitor *mon, json_t *args, Error **errp)
{
    VirtioQueueInfo q;
    VirtIODevice *vdev = arg_queue(mon, args, &q, errp);
    uint16_t avail[2], used[2], head;
    json_t *descs;
    unsigned slot;

    if (!vdev) {
        return NULL;
    }
    if (!q.ready) {
        error_setg(errp, "the queue is not set up");
        return NULL;
    }
    if (q.packed) {
        error_setg(errp, "Packed ring not supported");
        return NULL;
    }
    slot = (uint64_t)qmp_int(args, "index", q.last_avail) % q.num;
    if (!read_guest(mon, q.avail, avail, sizeof(avail), errp) ||
        !read_guest(mon, q.used, used, sizeof(used), errp) ||
        !read_guest(mon, q.avail + 4 + 2 * slot, &head, sizeof(head), errp)) {
        return NULL;
    }
    descs = chain_json(mon, &q, head, errp);
    if (!descs) {
        return NULL;
    }
    return json_pack("{s:o,s:i,s:o,s:{s:i,s:i,s:i},s:{s:i,s:i}}", "name", name_of(vdev),
                     "index", head, "descs", descs,
                     "avail", "flags", avail[0], "idx", avail[1], "ring", head,
                     "used", "flags", used[0], "idx", used[1]);
}
