/*
 * A queue in front of a chardev, so that no writer loses bytes or waits.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <limits.h>

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
    if (q->buf) {
        g_string_free(q->buf, TRUE);
        q->buf = NULL;
    }
    q->head = 0;
}

void chr_txq_cleanup(CharTxQueue *q)
{
    g_clear_handle_id(&q->watch, g_source_remove);
    q->told_full = false;
    release(q);
}

/* Push out what the peer takes; an error counts as taken: nobody is there. */
static void push(CharTxQueue *q)
{
    while (!q->held && !chr_txq_empty(q)) {
        size_t run = MIN(chr_txq_len(q), (size_t)INT_MAX);
        int n = qemu_chr_fe_write(q->be, (const uint8_t *)q->buf->str + q->head, run);

        if (n == 0) {
            return;
        }
        q->head += n < 0 ? run : (size_t)n;
    }
    if (chr_txq_empty(q)) {
        release(q);
    }
}

static gboolean writable(void *opaque, GIOCondition cond);

/* Be called from the loop when there is something to do. */
static void arm(CharTxQueue *q)
{
    if (!q->watch && !q->held && (q->told_full || !chr_txq_empty(q))) {
        q->watch = qemu_chr_fe_add_watch(q->be, G_IO_OUT, writable, q);
    }
}

static gboolean writable(void *opaque, GIOCondition cond)
{
    CharTxQueue *q = opaque;

    /* The peer may have changed since: the next watch is on the new one. */
    q->watch = 0;
    push(q);
    if (!chr_txq_empty(q)) {
        arm(q);
        return G_SOURCE_REMOVE;
    }
    q->told_full = false;
    if (q->drained) {
        q->drained(q->opaque);
    }
    return G_SOURCE_REMOVE;
}

static void append(CharTxQueue *q, const void *buf, size_t len)
{
    q->buf = q->buf ? q->buf : g_string_new(NULL);
    if (q->head > q->buf->len / 2) {
        g_string_erase(q->buf, 0, q->head);
        q->head = 0;
    }
    g_string_append_len(q->buf, buf, len);
}

size_t chr_txq_write(CharTxQueue *q, const uint8_t *buf, size_t len)
{
    size_t done = 0, room = 0;

    while (chr_txq_empty(q) && done < len) {
        int n = qemu_chr_fe_write(q->be, buf + done, len - done);

        if (n < 0) {
            return len;
        }
        if (n == 0) {
            break;
        }
        done += n;
    }
    if (chr_txq_len(q) < q->limit) {
        room = MIN(len - done, q->limit - chr_txq_len(q));
    }
    if (room) {
        append(q, buf + done, room);
        arm(q);
    }
    return done + room;
}

void chr_txq_put(CharTxQueue *q, const void *buf, size_t len)
{
    if (len) {
        append(q, buf, len);
    }
}

void chr_txq_flush(CharTxQueue *q)
{
    push(q);
    arm(q);
}

bool chr_txq_full(CharTxQueue *q)
{
    if (chr_txq_len(q) <= q->limit) {
        return false;
    }
    q->told_full = true;
    arm(q);
    return true;
}

void chr_txq_hold(CharTxQueue *q, bool hold)
{
    q->held = hold;
    if (hold) {
        g_clear_handle_id(&q->watch, g_source_remove);
    } else {
        arm(q);
    }
}
