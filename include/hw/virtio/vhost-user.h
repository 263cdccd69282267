/*
 * vhost-user: queues that another process serves, the back end.
 *
 * The device has a chardev to the back end (a UNIX socket). While the device runs its first
 * queues are lent to the back end; their buffers are in the guest's memory, which has to be one
 * that other processes can map. The back end may go: the guest's requests wait then. When the
 * chardev finds one again (reconnect=) it goes on where the other was, with the requests in
 * flight if it keeps account of them (INFLIGHT_SHMFD), else with those that it has not returned
 * (by the used ring's index: for a back end that returns them in order).
 *
 * Main loop and machine lock. The back end is trusted with the guest's memory and nothing else:
 * what it says is checked, and one that breaks the protocol or does not answer is hung up on.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_H
#define HW_VIRTIO_VHOST_USER_H

#include "chardev/char.h"
#include "hw/virtio/virtio.h"

/* An index of a queue is a byte in some messages. */
#define VHOST_USER_MAX_QUEUES 256

typedef struct VhostUser VhostUser;

/* What a device says of itself and its back end. */
typedef struct VhostUserConfig {
    CharBackend *chr;           /* the back end's; NULL inside: the user gave none */
    unsigned nr_queues;         /* the device's first ones are the back end's */
    unsigned queue_size;        /* of the largest */
    unsigned config_len;        /* of configuration space that is the back end's; or 0 */
    uint64_t need;              /* features that it must know */
    uint32_t timeout_ms;        /* for each answer of the back end */
    /* A back end is there, or has gone. May be NULL. */
    void (*link)(VirtIODevice *vdev, bool up);
} VhostUserConfig;

/*
 * In realize: wait for the back end and make its acquaintance; what it does not know is not
 * offered to the driver. NULL with errp set.
 */
VhostUser *vhost_user_new(VirtIODevice *vdev, const VhostUserConfig *cfg, Error **errp);
/* Stopped. Harmless with NULL. */
void vhost_user_free(VhostUser *vu);

/* All features of the back end. Constant. */
uint64_t vhost_user_features(const VhostUser *vu);
/* config_len bytes, as the back end last said. */
const void *vhost_user_config(const VhostUser *vu);
/* The driver wrote to them. */
void vhost_user_set_config(VhostUser *vu, unsigned offset, const void *data, unsigned len);

/*
 * Lend the queues that the driver has set up, the first nr of them enabled; take them back. The
 * latter is over when the back end has let go of them, or was given up. go_on: our handlers
 * serve them from now on. Harmless when it is so.
 */
void vhost_user_start(VhostUser *vu, unsigned nr);
void vhost_user_stop(VhostUser *vu, bool go_on);
/* Forget the requests in flight. Stopped. */
void vhost_user_reset(VhostUser *vu);

/* Devices that are nothing else ----------------------------------------------- */

typedef struct VhostUserDevice {
    VirtIODevice vdev;
    CharBackend chardev;
    uint32_t reply_timeout;     /* ms */
    VhostUser *vu;              /* set by realize */
} VhostUserDevice;

/*
 * vhost_user_new() with the device's chardev and time limit, and the queues: all the back end's,
 * of the one size.
 */
bool vhost_user_device_realize(VhostUserDevice *d, const VhostUserConfig *cfg, Error **errp);
void vhost_user_device_unrealize(VirtIODevice *vdev);
void vhost_user_device_start(VirtIODevice *vdev);
void vhost_user_device_stop(VirtIODevice *vdev);
void vhost_user_device_reset(VirtIODevice *vdev);

#define DEFINE_VHOST_USER_PROPS(type) \
    DEFINE_PROP_CHR("chardev", type, d.chardev), \
    DEFINE_PROP_UINT32("reply-timeout", type, d.reply_timeout, "30000", \
                       "milliseconds that the back end may take to answer")

#define VHOST_USER_DEVICE_HOOKS \
    .in_order = true, /* if the back end says so */ \
    .unrealize = vhost_user_device_unrealize, \
    .start = vhost_user_device_start, \
    .stop = vhost_user_device_stop, \
    .reset = vhost_user_device_reset

#endif
