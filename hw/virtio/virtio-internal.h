/*
 * What the device core, the queues and the transports share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_INTERNAL_H
#define HW_VIRTIO_VIRTIO_INTERNAL_H

#include <linux/virtio_ring.h>

#include "hw/virtio/virtio-info.h"
#include "hw/virtio/virtio.h"
#include "qemu/event_notifier.h"

/* What the driver sets up. Machine lock, and only while the queue is inactive. */
typedef struct VirtQueueRegs {
    unsigned num;               /* a power of two, <= max_size */
    hwaddr desc, avail, used;   /* addresses */
    bool ready;
    uint32_t legacy_align;
    uint32_t legacy_pfn;
} VirtQueueRegs;

/* Packed queues: a buffer of a request in flight, and one that waits to be published. */
typedef struct VirtPackedCopy {
    uint64_t addr;
    uint32_t len;
    uint32_t write;
} VirtPackedCopy;

typedef struct VirtPackedUsed {
    uint16_t id, ndescs;
    uint32_t len;
} VirtPackedUsed;

/* A request that was in flight where this machine was saved. */
typedef struct VirtPackedRecord {
    uint16_t id, ndescs;
    unsigned n;
    VirtPackedCopy *bufs;       /* n of them; owned */
} VirtPackedRecord;

/* Where we are in the rings, and what is taken from them. The device's loop. */
typedef struct VirtRing {
    /* Mapped from activation on. */
    const struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    struct vring_packed_desc *packed_desc;
    const struct vring_packed_desc_event *driver_event;
    struct vring_packed_desc_event *device_event;
    bool event_idx, indirect, packed, in_order; /* agreed */
    bool notification;          /* kicks are wanted */
    bool event_told;            /* by an index that was written since the last full barrier */
    bool signalled_valid;
    uint16_t last_avail;        /* next entry to pop */
    uint16_t avail_seen;        /* avail->idx when last read */
    uint16_t used_idx;          /* next entry to publish */
    uint16_t signalled_used;    /* used_idx when last notified */
    uint16_t popped, returned;  /* requests: run on */
    unsigned in_flight;
    unsigned long heads[VIRTQUEUE_MAX_SIZE / (8 * sizeof(long))];   /* of them */
    /* Requests: slots up to nr_slots were used before; freed ones are listed. */
    unsigned nr_slots;
    VirtQueueElement *free_list;
    /* Heads that were in flight where this machine was saved: they are popped first. */
    uint16_t *again;            /* NULL: none */
    unsigned nr_again;
    /* Packed: what again is there. */
    VirtPackedRecord *records;  /* NULL: none; the first nr_again are yet to be popped */
    unsigned nr_records;
} VirtRing;

struct VirtQueue {
    VirtIODevice *vdev;
    unsigned index;
    unsigned max_size;
    VirtIOHandleOutput *handler;
    uint8_t *pool;              /* of requests */
    size_t elem_size;           /* where a slot's iovecs start */
    size_t slot_size;
    /* If packed queues are offered: what requests in flight said, and fills before a flush. */
    VirtPackedCopy *copies;     /* max_size for each slot */
    VirtPackedUsed *filled;     /* max_size */

    VirtQueueRegs regs;
    VirtRing ring;
    bool active;                    /* mapped, the loop listens */
    EventNotifier host_notifier;    /* kicks */
    bool watched;                   /* by our loop */
    /* A worker interrupts by itself: used indexes that the guest was told of; transport. */
    bool direct;
    uint16_t direct_seen, direct_acked;
    bool has_ioeventfd;         /* transport: registered with the memory map */
};

/* Where the transport's bus and its operations meet the device. */
typedef struct VirtioBusOps {
    /* Set bits of the interrupt status and interrupt the guest. Any thread. */
    void (*notify)(VirtioBusState *vbus, unsigned isr_bits);
    /* Machine lock. The queue is about to be active for the first time. */
    void (*queue_attach)(VirtioBusState *vbus, VirtQueue *vq);
    void (*queue_detach)(VirtioBusState *vbus, VirtQueue *vq);
    /*
     * A worker elsewhere is about to return the queue's buffers: the eventfd that
     * it signals to interrupt the guest, or NULL: it has to be notify(). / The queue is
     * ours again. Loop; the queue is active. Both may be NULL.
     */
    EventNotifier *(*direct_begin)(VirtioBusState *vbus, VirtQueue *vq);
    void (*direct_end)(VirtioBusState *vbus, VirtQueue *vq);
    /* The device starts, with the run state of the machine or its driver. Machine lock. */
    void (*started)(VirtioBusState *vbus);
    /* Fill in what the transport knows of the device; changes nothing. Machine lock. */
    void (*describe)(VirtioBusState *vbus, VirtioInfo *info);
    /* A device came; it is complete. / It goes. Machine lock. */
    void (*plugged)(VirtioBusState *vbus);
    void (*unplugged)(VirtioBusState *vbus);
} VirtioBusOps;

struct VirtioBusState {
    BusState bus;
    const VirtioBusOps *ops;
    VirtIODevice *vdev;         /* NULL: nobody is plugged in */
    AddressSpace *as;
    bool legacy;
};

/* Virtio 1.2 section 6; not in the headers of older kernels. */
#define VIRTIO_FEATURE_IN_ORDER 35
#define VIRTIO_FEATURE_NOTIFICATION_DATA 38
#define VIRTIO_FEATURE_RING_RESET 40

#define VIRTIO_ISR_VRING  1u
#define VIRTIO_ISR_CONFIG 2u

/* virtqueue.c ------------------------------------------------------------- */

VirtQueue *virtqueue_new(VirtIODevice *vdev, unsigned index, unsigned size,
                         size_t elem_size);
void virtqueue_free(VirtQueue *vq);
/* Forget the rings' positions and all elements; the registers stay. / They go, too. */
void virtqueue_forget(VirtQueue *vq);
void virtqueue_reset(VirtQueue *vq);
/* Map the rings; false (with virtio_error()) when they are not in RAM. Loop. */
bool virtqueue_map(VirtQueue *vq);

/* Of a packed queue's element: what its buffers are. virtqueue-packed.c */
VirtPackedCopy *virtqueue_packed_copies(const VirtQueue *vq, const VirtQueueElement *elem);

/* virtqueue-dirty.c: what a queue's device writes to guest memory (exec/dirty-log.h); loop ---- */

/* There is a log, and the device is done with the request. */
void virtqueue_log_buffers(VirtQueue *vq, const VirtQueueElement *elem);
/* The device stops: rings have been written, and requests that are not done may have. */
void virtqueue_log_all(VirtQueue *vq);

/* virtio-state.c ----------------------------------------------------------- */

/* Of a VirtioBusState: the device that is plugged in, but for what its class adds. */
extern const StateInfo virtio_bus_info;

/* virtio-kick.c ------------------------------------------------------------ */

/* Open the device's set, if it is not yet: 0 or negative errno. / Close it: stopped. */
int virtio_kicks_init(VirtIODevice *vdev);
void virtio_kicks_cleanup(VirtIODevice *vdev);
/* Put it into the loop, take it out; loop. Handlers run in between. */
void virtio_kicks_start(VirtIODevice *vdev);
void virtio_kicks_stop(VirtIODevice *vdev);
/*
 * Listen to the queue's kicks (as from its start), or leave that to another; loop. What
 * came meanwhile is noticed.
 */
void virtio_queue_watch(VirtQueue *vq, bool on);

/* virtio.c, for transports; all with the machine lock held ------------------ */

/* The Status register. Writing 0 resets. */
unsigned virtio_get_status(const VirtIODevice *vdev);
void virtio_set_status(VirtIODevice *vdev, unsigned val);
/* Replace the driver's features; ignored once they are settled. */
void virtio_set_driver_features(VirtIODevice *vdev, unsigned sel, uint32_t val);
void virtio_reset(VirtIODevice *vdev);
/* QueueReady (or legacy: a PFN was written). Stops and starts as needed. */
void virtio_queue_set_ready(VirtQueue *vq, bool ready);
/* QueueReset. */
void virtio_queue_do_reset(VirtQueue *vq);
/* offset + len may exceed the space: reads give all ones, writes are dropped. */
uint64_t virtio_config_read(VirtIODevice *vdev, unsigned offset, unsigned len);
void virtio_config_write(VirtIODevice *vdev, unsigned offset, uint64_t val,
                         unsigned len);
/* The driver's features are vdev->features: settled before, where the machine was saved. */
bool virtio_restore_features(VirtIODevice *vdev, Error **errp);
/* What the guest is offered through the registers it drives. */
uint64_t virtio_offered_features(const VirtIODevice *vdev);

#endif
