/*
 * The build without packed virtqueues: nobody offers them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "virtqueue-internal.h"

bool virtqueue_packed_check(const VirtIODevice *vdev, Error **errp)
{
    if (vdev->prop_packed) {
        error_setg(errp, "packed=on: packed queues are not compiled into this binary");
    }
    return !vdev->prop_packed;
}

void virtqueue_packed_init(VirtQueue *vq)
{
}

void virtqueue_packed_cleanup(VirtQueue *vq)
{
}

void virtqueue_packed_forget(VirtQueue *vq)
{
}

VirtPackedCopy *virtqueue_packed_copies(const VirtQueue *vq, const VirtQueueElement *elem)
{
    return NULL;
}

bool virtqueue_packed_map(VirtQueue *vq)
{
    return false;
}

bool virtqueue_packed_has_avail(VirtQueue *vq)
{
    return false;
}

void *virtqueue_packed_pop(VirtQueue *vq)
{
    return NULL;
}

void virtqueue_packed_unpop(VirtQueue *vq, const VirtQueueElement *elem)
{
}

void virtqueue_packed_fill(VirtQueue *vq, const VirtQueueElement *elem, uint32_t len,
                           unsigned ahead)
{
}

void virtqueue_packed_flush(VirtQueue *vq, unsigned count)
{
}

bool virtqueue_packed_wants_interrupt(VirtQueue *vq)
{
    return false;
}

void virtqueue_packed_set_notification(VirtQueue *vq, bool enable)
{
}

void virtqueue_packed_save(const VirtQueue *vq, GByteArray *out)
{
}

/* Its features are not offered: it has been refused. */
bool virtqueue_packed_load(VirtQueue *vq, const uint8_t *data, uint32_t len, Error **errp)
{
    return true;
}
