/*
 * A queue in front of a chardev, so that no writer loses bytes or waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "chardev/char-txq.h"

void chr_txq_init(CharTxQueue *q, CharBackend *be, size_t limit,
                  CharTxDrained *drained, void *opaque)
{
    *q = (CharTxQueue){
        .be = be, .limit = limit, .drained = drained, .opaque = opaque,
    };
}

static void release(CharTxQueue *q)
{
    g_clear_pointer(&q->buf, g_free);
    q->head = q->len = 0;
}

void chr_txq_cleanup(CharTxQueue *q)
{
    if (q->watch) {
        g_source_remove(q->watch);
        q->watch = 0;
    }
    release(q);
}

/* Push out what the peer takes; an error counts as taken: nobody is there. */
static void push(CharTxQueue *q)
{
    while (q->len) {
        size_t run = MIN(q->len, q->limit - q->head);
        int n = qemu_chr_fe_write(q->be, q->buf + q->head, run);

        if (n == 0) {
            return;
        }
        n = n < 0 ? (int)run : n;
        q->head = (q->head + n) % q->limit;
        q->len -= n;
    }
}

static gboolean writable(void *opaque, GIOCondition cond)
{
    CharTxQueue *q = opaque;

    push(q);
    if (q->len) {
        /* The peer may have changed since: ask for a new watch on the new one. */
        q->watch = qemu_chr_fe_add_watch(q->be, G_IO_OUT, writable, q);
        return G_SOURCE_REMOVE;
    }
    q->watch = 0;
    release(q);
    if (q->drained) {
        q->drained(q->opaque);
    }
    return G_SOURCE_REMOVE;
}

static size_t enqueue(CharTxQueue *q, const uint8_t *buf, size_t len)
{
    size_t n = MIN(len, q->limit - q->len);

    if (!q->buf) {
        q->buf = g_malloc(q->limit);
    }
    for (size_t i = 0; i < n; i++) {
        q->buf[(q->head + q->len++) % q->limit] = buf[i];
    }
    if (!q->watch) {
        q->watch = qemu_chr_fe_add_watch(q->be, G_IO_OUT, writable, q);
    }
    return n;
}

size_t chr_txq_write(CharTxQueue *q, const uint8_t *buf, size_t len)
{
    size_t done = 0;

    while (!q->len && done < len) {
        int n = qemu_chr_fe_write(q->be, buf + done, len - done);

        if (n < 0) {
            return len;
        }
        if (n == 0) {
            break;
        }
        done += n;
    }
    return done == len ? len : done + enqueue(q, buf + done, len - done);
}
