/*
 * The statistics queue of the balloon (virtio 1.2, section 5.5.6.3), and its two properties.
 *
 * The driver gives one buffer with the guest's account of its memory and gets it back when the
 * device wants another account. Queue and account belong to the device's loop.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_BALLOON_STATS_H
#define HW_VIRTIO_BALLOON_STATS_H

#include <linux/virtio_balloon.h>

#include "hw/virtio/virtio.h"
#include "qemu/timer.h"

/* In the balloon; vq is set before balloon_stats_start(). */
typedef struct BalloonStats {
    VirtQueue *vq;
    VirtQueueElement *elem;     /* the driver's buffer; NULL: it has it */
    uint64_t value[VIRTIO_BALLOON_S_NR];    /* UINT64_MAX: the guest did not say */
    int64_t last_update;        /* seconds since 1970; 0: never */
    uint32_t interval;          /* seconds; 0: nobody asks. Machine lock */
    VirtIODevice *vdev;         /* NULL: not started */
    QEMUTimer timer;
} BalloonStats;

/* Rows whose offset is that of a BalloonStats: what was told, and how often to ask. */
extern const PropertyInfo prop_balloon_stats, prop_balloon_interval;

/* In realize and unrealize. Machine lock. */
void balloon_stats_start(BalloonStats *s, VirtIODevice *vdev);
void balloon_stats_stop(BalloonStats *s);
/* Power-on state. The device is stopped. */
void balloon_stats_reset(BalloonStats *s);
/* The queue's handler. */
void balloon_stats_receive(BalloonStats *s);

#endif
