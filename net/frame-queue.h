/*
 * A bounded queue of frames in one piece of memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_FRAME_QUEUE_H
#define NET_FRAME_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Zeroed is empty; private to frame-queue.c. */
typedef struct FrameQueue {
    uint8_t *buf;               /* made at first use */
    size_t head, used;          /* bytes */
} FrameQueue;

/* Append a copy; false when it does not fit. */
bool frame_queue_put(FrameQueue *fq, const void *frame, uint32_t len);
/*
 * Take the first frame off into the list; its length, of which no more than the
 * list has was stored. -EAGAIN: the queue is empty.
 */
ssize_t frame_queue_get(FrameQueue *fq, const struct iovec *iov, unsigned cnt);
bool frame_queue_empty(const FrameQueue *fq);
void frame_queue_clear(FrameQueue *fq);

#endif
