/*
 * vhost-user: what the two halves of the front end share: acquaintance and rings.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_INTERNAL_H
#define HW_VIRTIO_VHOST_USER_INTERNAL_H

#include "hw/virtio/vhost-ring.h"
#include "hw/virtio/vhost-user.h"
#include "qemu/cutils.h"
#include "vhost-user-channel.h"
#include "vhost-user-msg.h"

typedef enum VuState {
    VU_DOWN,            /* nobody is there, or nobody that we understand */
    VU_NEGOTIATING,
    VU_UP,
} VuState;

struct VhostUser {
    VuConn conn;
    VirtIODevice *vdev;
    VhostUserConfig cfg;
    VuState state;
    bool known;                 /* features and config are valid: there was a back end */
    uint64_t features;          /* of the first back end; a later one has them, too */
    uint64_t protocol;          /* features agreed with this one */
    uint8_t config[VU_CONFIG_MAX];
    bool config_asked, config_again;
    VuChannel channel;

    VhostRing *rings;           /* of each queue; lent while running */
    unsigned nr_running;        /* of them may be enabled */
    bool running;               /* the device is */
    bool started;               /* and the back end has been told of the rings */
    bool lost;                  /* one has gone with the rings: the used ring says how far it was */
    bool dirty;                 /* started since the last reset */
    bool memory_told;           /* this back end knows it */
    EventNotifier err;          /* the driver broke the protocol */
    GSource *err_source;
    int inflight_fd;            /* its account of requests in flight; -1: none */
    bool inflight_asked;
    VuInflight inflight;
};

static inline bool has_protocol(const VhostUser *vu, unsigned bit)
{
    return vu->protocol >> bit & 1;
}

static inline VhostUser *vu_of(VuConn *conn)
{
    return container_of(conn, VhostUser, conn);
}

/* The device runs and the back end is up: tell it of memory and rings. */
void vhost_user_start_backend(VhostUser *vu);
/* The account of requests in flight is no longer of use. */
void vhost_user_forget_inflight(VhostUser *vu);

#endif
