/*
 * Virtio devices: what a device says about itself and what it is told.
 *
 * A device is a VirtioDeviceClass (features, configuration space, what to do
 * on start and stop) and a number of VirtQueues (hw/virtio/virtqueue.h). The
 * transport that it is plugged into owns registers, eventfds and the interrupt.
 *
 * Numbers in the rings and in configuration space are little-endian; so are
 * the guest and the host (x86), and the code says nothing more about it.
 *
 * Threads: class hooks run with the machine lock held unless they say
 * otherwise. Queue handlers, start() and stop() run in the device's loop,
 * that of vdev->iothread or the main loop: they must not need the machine lock
 * nor take it. A device without an iothread has everything in the main loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VIRTIO_H
#define HW_VIRTIO_VIRTIO_H

#include <glib.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "exec/memory.h"
#include "hw/qdev.h"
#include "hw/virtio/virtqueue.h"
#include "qemu/iothread.h"

/* Most bytes of configuration space that a device can have. */
#define VIRTIO_CONFIG_MAX 256

typedef struct VirtIODevice VirtIODevice;
typedef struct VirtioDeviceClass VirtioDeviceClass;
typedef struct VirtioBusState VirtioBusState;

/* A region of the virtio 1.2 section 2.10 kind, at a guest address. */
typedef struct VirtioShmRegion {
    hwaddr addr;
    uint64_t len;
} VirtioShmRegion;

struct VirtioDeviceClass {
    DeviceClass dc;         /* .parent = &virtio_device_base_class, VIRTIO_DEVICE_HOOKS */
    uint16_t device_id;     /* VIRTIO_ID_*; 0: the device says it */
    /*
     * Each queue's buffers are returned in the order in which they were popped, whatever the guest
     * does: IN_ORDER can be offered.
     */
    bool in_order;
    /*
     * Check properties, claim the backend, set vdev->config_len and
     * vdev->iothread, add the queues. False with errp set on failure, with
     * everything undone but the queues.
     */
    bool (*realize)(VirtIODevice *vdev, Error **errp);
    void (*unrealize)(VirtIODevice *vdev);          /* may be NULL */
    /*
     * What the device offers of its own (its device-type bits);
     * VERSION_1, ring features and RING_RESET are added by the caller.
     * modern: false while the guest drives version 1 registers. Constant
     * from realize on.
     */
    uint64_t (*get_features)(VirtIODevice *vdev, bool modern);
    /*
     * Look at a legal subset of the offered features before FEATURES_OK is
     * granted: false refuses. vdev->features is not set yet. May be NULL.
     */
    bool (*validate_features)(VirtIODevice *vdev, uint64_t features);
    /* vdev->features holds what was agreed. May be NULL. */
    void (*set_features)(VirtIODevice *vdev);
    /* Fill in all config_len bytes (zeroed before). NULL: no config space. */
    void (*get_config)(VirtIODevice *vdev, void *config);
    /*
     * The guest wrote len (1, 2, 4 or 8) bytes at offset; they are inside
     * config_len. May be NULL: nothing is writable.
     */
    void (*set_config)(VirtIODevice *vdev, unsigned offset, const void *data,
                       unsigned len);
    /*
     * In the device's loop. start: the guest set DRIVER_OK or the machine
     * goes on: handlers are called from now on (each queue's once at first).
     * stop: no handler will be called. When it returns nobody touches guest
     * memory: complete what is under way. Elements may be kept
     * over stop and start, but only the handlers and what start() began may use
     * them. Both may be NULL.
     */
    void (*start)(VirtIODevice *vdev);
    void (*stop)(VirtIODevice *vdev);
    /*
     * Power-on state of the device's own fields. Called stopped; all elements
     * are gone already: forget the pointers. May be NULL.
     */
    void (*reset)(VirtIODevice *vdev);
    /* One queue alone was reset (RING_RESET), its elements are gone; may be NULL. */
    void (*queue_reset)(VirtIODevice *vdev, VirtQueue *vq);
    /* Shared memory region id; false: there is none. May be NULL. */
    bool (*get_shm)(VirtIODevice *vdev, unsigned id, VirtioShmRegion *shm);
};

/* First member of every virtio device. */
struct VirtIODevice {
    DeviceState dev;
    uint64_t host_features;     /* offered, generic ones included */
    uint64_t features;          /* agreed; valid from FEATURES_OK on */
    unsigned config_len;        /* <= VIRTIO_CONFIG_MAX; set by realize */
    IOThread *iothread;         /* NULL: main loop; set by realize */
    uint16_t device_id;         /* set by realize where the class has none */

    /* Properties that all virtio devices share. */
    bool prop_indirect_desc;
    bool prop_event_idx;
    bool prop_queue_reset;
    bool prop_packed;           /* back ends that cannot do it clear it */
    bool prop_notification_data;
    bool prop_in_order;         /* likewise */

    /* Private to hw/virtio/. */
    AddressSpace *as;
    VirtioBusState *vbus;       /* the transport's end */
    GPtrArray *vqs;             /* of VirtQueue, by index */
    struct VhostDev *vhosts;    /* its workers (hw/virtio/vhost.h), linked by next */
    int kick_fd;                /* epoll set of their eventfds; -1: not open */
    GSource *kick_source;
    uint64_t driver_features;   /* as written, before FEATURES_OK */
    unsigned status;            /* VIRTIO_CONFIG_S_*; atomic */
    unsigned config_generation; /* atomic */
    bool legacy;                /* the transport's registers are version 1 */
    bool running;               /* between start() and stop() */
    bool vm_running;            /* the machine is */
};

static inline const VirtioDeviceClass *virtio_get_class(const VirtIODevice *v)
{
    return downcast(v->dev.obj.oc, const VirtioDeviceClass, dc.oc);
}

static inline uint16_t virtio_device_id(const VirtIODevice *vdev)
{
    uint16_t id = virtio_get_class(vdev)->device_id;

    return id ? id : vdev->device_id;
}

/* Rows common to all virtio devices (event_idx, indirect_desc, …). */
extern const ObjectClass virtio_device_base_class;

bool virtio_device_realize(DeviceState *dev, Error **errp);
void virtio_device_unrealize(DeviceState *dev);
void virtio_device_reset(DeviceState *dev);

/* To stand in the DeviceClass of every virtio device. */
#define VIRTIO_DEVICE_HOOKS \
    .bus_type = "virtio-bus", \
    .user_creatable = true, \
    .realize = virtio_device_realize, \
    .unrealize = virtio_device_unrealize, \
    .reset = virtio_device_reset

/* Was the feature bit (VIRTIO_*_F_*) agreed? Valid from FEATURES_OK on. */
static inline bool virtio_has_feature(const VirtIODevice *vdev, unsigned bit)
{
    return vdev->features >> bit & 1;
}

/*
 * The driver broke the protocol: log, set DEVICE_NEEDS_RESET, tell the guest
 * by a configuration interrupt, and stop using the queues (virtqueue_pop()
 * gives NULL) until the guest resets the device. Any thread.
 */
void virtio_error(VirtIODevice *vdev, const char *fmt, ...) G_GNUC_PRINTF(2, 3);
/* True from virtio_error() to the next reset. Any thread. */
bool virtio_is_broken(const VirtIODevice *vdev);

/* The configuration space has changed: new generation. Machine lock. */
void virtio_config_changed(VirtIODevice *vdev);
/* The same, and the driver is to look at it: interrupt if DRIVER_OK. Machine lock. */
void virtio_notify_config(VirtIODevice *vdev);

/* DRIVER_OK is set and nothing is broken. Any thread. */
bool virtio_driver_ok(const VirtIODevice *vdev);

/*
 * Run fn(opaque) in the device's loop and wait for it. Machine lock held by
 * the caller; fn must not need it when the device has an iothread.
 */
void virtio_run_in_loop(VirtIODevice *vdev, IOThreadFunc *fn, void *opaque);
/* The context of the device's loop, for GSources: NULL is the main loop. */
GMainContext *virtio_get_context(const VirtIODevice *vdev);

#endif
