/*
 * vhost-user: the channel for what a back end asks of us.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_VIRTIO_VHOST_USER_CHANNEL_H
#define HW_VIRTIO_VHOST_USER_CHANNEL_H

#include "vhost-user-msg.h"

/* The one thing that it can ask: look at the configuration space again. */
typedef void VuConfigChanged(void *opaque);

/* Zeroed but for fn and opaque: closed. */
typedef struct VuChannel {
    VuConfigChanged *fn;
    void *opaque;
    GSource *source;            /* NULL: closed */
    int fd;
    VuHeader header;            /* of the message that comes in */
    uint32_t have, skip;        /* bytes of it; of the payload still to come */
} VuChannel;

/* Open it: the descriptor for the back end, which the caller closes, or negative errno. */
int vu_channel_open(VuChannel *ch);
/* Harmless when closed. */
void vu_channel_close(VuChannel *ch);

#endif
