/*
 * Virtio devices as they are now, for monitors.
 *
 * Everything is called with the machine lock held and changes nothing. What a device's loop
 * owns is copied in that loop, so that the indices of a queue belong together.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_INFO_H
#define HW_VIRTIO_VIRTIO_INFO_H

#include <stdbool.h>
#include <stdint.h>

#include "exec/memory.h"
#include "hw/boards.h"

typedef struct VirtIODevice VirtIODevice;

/* The device, its transport and what the driver has done so far. */
typedef struct VirtioInfo {
    /* The transport's. */
    unsigned slot;
    hwaddr base;                /* of the registers */
    unsigned irq;               /* as the guest's command line names it */
    unsigned isr, queue_sel;    /* registers */
    /* The device's. */
    const char *bus_name;
    uint16_t device_id;
    unsigned nr_queues;
    uint64_t offered;           /* features */
    uint64_t agreed;            /* valid with FEATURES_OK (version 1: DRIVER_OK) */
    unsigned status;            /* VIRTIO_CONFIG_S_* */
    bool legacy;                /* version 1 registers */
    bool running;               /* queues are served */
    bool vm_running;
    /* Its workers in the host's kernel (vhost). */
    unsigned nr_workers;
    bool worker_running;        /* one serves queues */
    unsigned worker_queues;     /* of one */
    uint64_t worker_features, worker_acked;
} VirtioInfo;

/* A queue. Where a worker serves it, the indices are what that tells. */
typedef struct VirtioQueueInfo {
    unsigned num, max;          /* entries: as set up, at most */
    bool ready;
    bool packed;                /* or split */
    hwaddr desc, avail, used;   /* of the rings; all zero before the driver gives them */
    uint32_t align;             /* version 1 */
    uint16_t avail_idx;         /* the driver's index, in its memory; 0 if not ready */
    uint16_t last_avail;        /* next entry that we take */
    uint16_t avail_seen;        /* the driver's index as we know it */
    uint16_t used_idx;          /* next entry that we return */
    uint16_t signalled_used;    /* used_idx when the driver was last told */
    bool signalled_valid;
    unsigned in_flight;
    /* A worker in the host's kernel serves it. */
    bool worker;
    int kick_fd, call_fd;
    uintptr_t desc_host, avail_host, used_host;     /* where that sees the rings */
} VirtioQueueInfo;

/* The virtio device at a path of the property tree, or with this id; NULL: there is none. */
VirtIODevice *virtio_find_device(MachineState *ms, const char *path);
/* The i-th one in order of creation; NULL behind the last. */
VirtIODevice *virtio_nth_device(MachineState *ms, unsigned i);

void virtio_get_info(VirtIODevice *vdev, VirtioInfo *info);
/* False: there is no queue n. */
bool virtio_get_queue_info(VirtIODevice *vdev, unsigned n, VirtioQueueInfo *info);

/*
 * Names (virtio-names.c): "virtio-net", or "virtio-device" for one without; of a bit of features,
 * of Status; NULL: none known.
 */
const char *virtio_device_name(uint16_t device_id);
const char *virtio_feature_name(uint16_t device_id, unsigned bit);
const char *virtio_status_name(unsigned bit);
/* The bit means the same for all devices. */
bool virtio_feature_is_generic(unsigned bit);

#endif
