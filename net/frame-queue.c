/*
 * A bounded queue of frames: each is a 32-bit length and its bytes, in a ring.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frame-queue.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#include "qemu/iov.h"

/* Some TCP windows; pages that are never reached cost nothing. */
#define QUEUE_BYTES (1u << 20)

static void ring_write(FrameQueue *fq, const void *data, size_t len)
{
    size_t tail = (fq->head + fq->used) % QUEUE_BYTES;
    size_t first = MIN(len, QUEUE_BYTES - tail);

    memcpy(fq->buf + tail, data, first);
    memcpy(fq->buf, (const uint8_t *)data + first, len - first);
    fq->used += len;
}

static void ring_skip(FrameQueue *fq, size_t len)
{
    fq->used -= len;
    /* Empty: begin anew, in memory that is in the cache. */
    fq->head = fq->used ? (fq->head + len) % QUEUE_BYTES : 0;
}

bool frame_queue_put(FrameQueue *fq, const void *frame, uint32_t len)
{
    if (fq->used + sizeof(len) + len > QUEUE_BYTES) {
        return false;
    }
    if (!fq->buf) {
        fq->buf = g_malloc(QUEUE_BYTES);
    }
    ring_write(fq, &len, sizeof(len));
    ring_write(fq, frame, len);
    return true;
}

ssize_t frame_queue_get(FrameQueue *fq, const struct iovec *iov, unsigned cnt)
{
    uint8_t word[sizeof(uint32_t)];
    size_t first;
    uint32_t len;

    if (!fq->used) {
        return -EAGAIN;
    }
    for (size_t i = 0; i < sizeof(word); i++) {
        word[i] = fq->buf[(fq->head + i) % QUEUE_BYTES];
    }
    memcpy(&len, word, sizeof(len));
    ring_skip(fq, sizeof(len));
    first = MIN(len, QUEUE_BYTES - fq->head);
    if (iov_from_buf(iov, cnt, 0, fq->buf + fq->head, first) == first) {
        iov_from_buf(iov, cnt, first, fq->buf, len - first);
    }
    ring_skip(fq, len);
    return len;
}

bool frame_queue_empty(const FrameQueue *fq)
{
    return !fq->used;
}

void frame_queue_clear(FrameQueue *fq)
{
    g_clear_pointer(&fq->buf, g_free);
    fq->head = fq->used = 0;
}
