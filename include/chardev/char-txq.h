/*
 * Output that must not be lost and must not wait: a queue in front of a
 * frontend's writes. Bytes go straight to the chardev while it takes them; the
 * rest is kept and follows, by a watch, when the peer reads again.
 *
 * Main loop or vCPU, machine lock held.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef CHARDEV_CHAR_TXQ_H
#define CHARDEV_CHAR_TXQ_H

#include "chardev/char.h"

/* Called when the last queued byte has gone out. */
typedef void CharTxDrained(void *opaque);

/* Embedded in its owner; fields private but for len. */
typedef struct CharTxQueue {
    CharBackend *be;
    CharTxDrained *drained;     /* may be NULL */
    void *opaque;
    uint8_t *buf;               /* allocated while bytes wait */
    size_t limit;               /* how many may */
    size_t head;
    size_t len;                 /* how many do */
    guint watch;
} CharTxQueue;

/* be must outlive the queue. limit: bytes; allocates nothing yet. */
void chr_txq_init(CharTxQueue *q, CharBackend *be, size_t limit,
                  CharTxDrained *drained, void *opaque);
/* Give up what still waits. Harmless on a zeroed queue. */
void chr_txq_cleanup(CharTxQueue *q);
/* Write or queue; how many of len bytes: less only when the queue is full. */
size_t chr_txq_write(CharTxQueue *q, const uint8_t *buf, size_t len);
/* Nothing waits. */
static inline bool chr_txq_empty(const CharTxQueue *q)
{
    return q->len == 0;
}

#endif
