/*
 * What a saved machine holds of every virtio device: what its driver has set up and agreed to, and
 * how far its queues are worked through.
 *
 * Requests that were taken and not returned are named by their heads. Where the machine goes on
 * they are taken again, before all others: devices need not save them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "qemu/le.h"
#include "virtqueue-internal.h"

STATE_NOT(VirtQueue, vdev, "the device's");
STATE_NOT(VirtQueue, index, "the device's");
STATE_NOT(VirtQueue, max_size, "the device's");
STATE_NOT(VirtQueue, handler, "the device's");
STATE_NOT(VirtQueue, pool, "the host's memory: the heads in it are saved");
STATE_NOT(VirtQueue, elem_size, "the device's");
STATE_NOT(VirtQueue, slot_size, "the device's");
STATE_NOT(VirtQueue, copies, "saved with those in flight");
STATE_NOT(VirtQueue, filled, "published before anything is saved");
STATE_NOT(VirtQueue, active, "follows from status and run state");
STATE_NOT(VirtQueue, host_notifier, "the host's");
STATE_NOT(VirtQueue, watched, "follows from status and run state");
STATE_NOT(VirtQueue, direct, "workers of the host's are not saved");
STATE_NOT(VirtQueue, direct_seen, "workers of the host's are not saved");
STATE_NOT(VirtQueue, direct_acked, "workers of the host's are not saved");
STATE_NOT(VirtQueue, has_ioeventfd, "the transport's");
STATE_NOT(VirtRing, desc, "mapped at the start");
STATE_NOT(VirtRing, avail, "mapped at the start");
STATE_NOT(VirtRing, used, "mapped at the start");
STATE_NOT(VirtRing, packed_desc, "mapped at the start");
STATE_NOT(VirtRing, driver_event, "mapped at the start");
STATE_NOT(VirtRing, device_event, "mapped at the start");
STATE_NOT(VirtRing, packed, "of the agreed features");
STATE_NOT(VirtRing, records, "saved with those in flight");
STATE_NOT(VirtRing, nr_records, "saved with those in flight");
STATE_NOT(VirtRing, event_idx, "of the agreed features");
STATE_NOT(VirtRing, in_order, "of the agreed features");
STATE_NOT(VirtRing, indirect, "of the agreed features");
STATE_NOT(VirtRing, event_told, "for the next look only");
STATE_NOT(VirtRing, avail_seen, "the ring is looked at anew");
STATE_NOT(VirtRing, in_flight, "those are taken again");
STATE_NOT(VirtRing, popped, "counted anew with those that are taken again");
STATE_NOT(VirtRing, returned, "counted anew with those that are taken again");
STATE_NOT(VirtRing, heads, "saved as a list");
STATE_NOT(VirtRing, nr_slots, "the host's memory");
STATE_NOT(VirtRing, free_list, "the host's memory");
STATE_NOT(VirtRing, again, "saved with those in flight");
STATE_NOT(VirtRing, nr_again, "saved with those in flight");
STATE_NOT(VirtIODevice, host_features, "of the properties: compared");
STATE_NOT(VirtIODevice, device_id, "of the properties");
STATE_NOT(VirtIODevice, config_len, "of the properties");
STATE_NOT(VirtIODevice, iothread, "the host's");
STATE_NOT(VirtIODevice, as, "the board's");
STATE_NOT(VirtIODevice, vbus, "the board's");
STATE_NOT(VirtIODevice, vqs, "saved one by one");
STATE_NOT(VirtIODevice, vhosts, "workers of the host's are not saved");
STATE_NOT(VirtIODevice, kick_fd, "the host's");
STATE_NOT(VirtIODevice, kick_source, "the host's");
STATE_NOT(VirtIODevice, legacy, "the transport's property");
STATE_NOT(VirtIODevice, running, "follows from status and run state");
STATE_NOT(VirtIODevice, vm_running, "the run state's");

static const StateField queue_fields[] = {
    STATE_INT(VirtQueue, regs.num),
    STATE_INT(VirtQueue, regs.desc),
    STATE_INT(VirtQueue, regs.avail),
    STATE_INT(VirtQueue, regs.used),
    STATE_BOOL(VirtQueue, regs.ready),
    STATE_INT(VirtQueue, regs.legacy_align),
    STATE_INT(VirtQueue, regs.legacy_pfn),
    STATE_BOOL(VirtQueue, ring.notification),
    STATE_BOOL(VirtQueue, ring.signalled_valid),
    STATE_INT(VirtQueue, ring.last_avail),
    STATE_INT(VirtQueue, ring.used_idx),
    STATE_INT(VirtQueue, ring.signalled_used),
    STATE_END
};

static const StateField device_fields[] = {
    STATE_INT(VirtIODevice, features),
    STATE_INT(VirtIODevice, driver_features),
    STATE_MAX(VirtIODevice, status, 0xff),
    STATE_INT(VirtIODevice, config_generation),
    STATE_END
};

/* Queues ------------------------------------------------------------------------ */

static void save_in_flight(const VirtQueue *vq, GByteArray *out)
{
    g_autofree uint16_t *heads = g_new(uint16_t, vq->max_size);
    unsigned n = vq->ring.nr_again;

    if (virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED)) {
        virtqueue_packed_save(vq, out);
        return;
    }
    if (n) {
        memcpy(heads, vq->ring.again, n * sizeof(*heads));
    }
    for (unsigned i = 0; i < vq->ring.nr_slots; i++) {
        const VirtQueueElement *elem = (const void *)(vq->pool + i * vq->slot_size);

        if (elem->in_flight) {
            heads[n++] = elem->head;
        }
    }
    state_put_bytes(out, "in-flight", heads, n * sizeof(*heads));
}

static bool load_in_flight(VirtQueue *vq, StateReader *in, Error **errp)
{
    g_autofree uint8_t *seen = g_malloc0(VIRTQUEUE_MAX_SIZE);
    const uint8_t *data;
    uint32_t len;

    if (!state_get_bytes(in, "in-flight", &data, &len, errp)) {
        return false;
    }
    if (virtio_has_feature(vq->vdev, VIRTIO_F_RING_PACKED)) {
        return virtqueue_packed_load(vq, data, len, errp);
    }
    if (len % sizeof(uint16_t) || len / sizeof(uint16_t) > vq->regs.num) {
        error_setg(errp, "queue %u has too many requests", vq->index);
        return false;
    }
    vq->ring.again = len ? g_memdup2(data, len) : NULL;
    vq->ring.nr_again = len / sizeof(uint16_t);
    for (unsigned i = 0; i < vq->ring.nr_again; i++) {
        uint16_t head = vq->ring.again[i];

        if (head >= vq->regs.num || seen[head]++) {
            error_setg(errp, "queue %u has an impossible request", vq->index);
            return false;
        }
    }
    return true;
}

static bool load_queue(VirtQueue *vq, StateReader *in, Error **errp)
{
    virtqueue_reset(vq);
    if (!state_get_struct(in, "queue", queue_fields, vq, errp)) {
        return false;
    }
    if (!vq->regs.num || vq->regs.num > vq->max_size || (vq->regs.num & (vq->regs.num - 1))) {
        error_setg(errp, "queue %u cannot have %u entries", vq->index, vq->regs.num);
        vq->regs.num = vq->max_size;
        return false;
    }
    vq->ring.avail_seen = vq->ring.last_avail;
    return load_in_flight(vq, in, errp);
}

/* Device -------------------------------------------------------------------------- */

static void save_bus(const void *field, const char *name, GByteArray *out)
{
    const VirtioBusState *vbus = field;
    VirtIODevice *vdev = vbus->vdev;

    state_put_int(out, "plugged", vdev != NULL);
    if (!vdev) {
        return;
    }
    state_put_struct(out, "device", device_fields, vdev);
    state_put_int(out, "queues", vdev->vqs->len);
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        state_put_struct(out, "queue", queue_fields, vdev->vqs->pdata[i]);
        save_in_flight(vdev->vqs->pdata[i], out);
    }
}

static bool load_bus(void *field, const char *name, StateReader *in, Error **errp)
{
    VirtioBusState *vbus = field;
    VirtIODevice *vdev = vbus->vdev;
    uint64_t n;

    if (!state_get_int(in, "plugged", 1, &n, errp)) {
        return false;
    }
    if (n != (vdev != NULL)) {
        error_setg(errp, n ? "nothing is plugged in here" : "nothing was plugged in");
        return false;
    }
    if (!vdev) {
        return true;
    }
    virtio_reset(vdev);
    if (!state_get_struct(in, "device", device_fields, vdev, errp) ||
        !state_get_int(in, "queues", 0, &n, errp)) {
        return false;
    }
    if (n != vdev->vqs->len) {
        error_setg(errp, "%u queues here", vdev->vqs->len);
        return false;
    }
    for (unsigned i = 0; i < vdev->vqs->len; i++) {
        if (!load_queue(vdev->vqs->pdata[i], in, errp)) {
            return false;
        }
    }
    return virtio_restore_features(vdev, errp);
}

const StateInfo virtio_bus_info = { .save = save_bus, .load = load_bus };
