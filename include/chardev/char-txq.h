/*
 * Output that must not be lost and must not wait: a queue in front of a
 * frontend's writes. Bytes go straight to the chardev while it takes them; the
 * rest is kept and follows, by a watch, when the peer reads again. Who stops
 * because of a queue is resumed by it: docs/devel/streams.rst.
 *
 * Main loop or vCPU, machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_TXQ_H
#define CHARDEV_CHAR_TXQ_H

#include "chardev/char.h"

/*
 * From the main loop, never from inside of the calls below: all that waited has
 * gone out or been given up. Comes at least once after each chr_txq_full() that
 * was true, also where the bytes had gone before the loop ran again.
 */
typedef void CharTxDrained(void *opaque);

/* Embedded in its owner; private. */
typedef struct CharTxQueue {
    CharBackend *be;
    CharTxDrained *drained;     /* may be NULL */
    void *opaque;
    GString *buf;               /* NULL while nothing waits */
    size_t head;                /* bytes at its start that have gone */
    size_t limit;               /* of bytes that may wait */
    bool held;
    bool told_full;             /* somebody waits for drained */
    guint watch;
} CharTxQueue;

/* be must outlive the queue. limit: bytes; allocates nothing yet. */
void chr_txq_init(CharTxQueue *q, CharBackend *be, size_t limit,
                  CharTxDrained *drained, void *opaque);
/* Give up what still waits; drained is not called. Harmless on a zeroed queue. */
void chr_txq_cleanup(CharTxQueue *q);

/* For devices: write or queue; how many of len bytes: less only when it is full. */
size_t chr_txq_write(CharTxQueue *q, const uint8_t *buf, size_t len);

/* For those who answer: queue all, whatever the limit; chr_txq_flush() follows. */
void chr_txq_put(CharTxQueue *q, const void *buf, size_t len);
/* Write what the peer takes now; the rest follows by itself. */
void chr_txq_flush(CharTxQueue *q);
/* More than the limit waits: do no further request before drained is called. */
bool chr_txq_full(CharTxQueue *q);
/* Write nothing (another frontend of the mux has the terminal), or go on. */
void chr_txq_hold(CharTxQueue *q, bool hold);

/* How many bytes wait. */
static inline size_t chr_txq_len(const CharTxQueue *q)
{
    return q->buf ? q->buf->len - q->head : 0;
}

/* Nothing waits. */
static inline bool chr_txq_empty(const CharTxQueue *q)
{
    return chr_txq_len(q) == 0;
}

#endif
