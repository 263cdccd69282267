/*
 * vhost-user: messages to a back end and its answers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "vhost-user-msg.h"

#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* A request that the back end has to answer. */
typedef struct VuWaiting {
    VuRequest request;
    uint32_t size;              /* of the answer's payload */
    VuAnswer *fn;
    unsigned index;
} VuWaiting;

/* Failure ------------------------------------------------------------------ */

static void drop_timer(VuConn *conn)
{
    if (conn->timer) {
        g_source_remove(conn->timer);
        conn->timer = 0;
    }
}

static void forget_all(VuConn *conn)
{
    conn->alive = false;
    conn->have = 0;
    drop_timer(conn);
    g_queue_clear_full(&conn->waiting, g_free);
}

void vu_conn_fail(VuConn *conn, const char *fmt, ...)
{
    g_autofree char *before = NULL;
    va_list ap;

    if (!conn->alive) {
        return;
    }
    forget_all(conn);
    before = conn->why;
    va_start(ap, fmt);
    conn->why = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    if (!conn->silent && g_strcmp0(before, conn->why)) {
        error_report("%s: vhost-user back end: %s", conn->name, conn->why);
    }
    qemu_chr_fe_hang_up(conn->chr);
}

void vu_conn_works(VuConn *conn)
{
    g_clear_pointer(&conn->why, g_free);
}

/* The oldest request without an answer, or NULL. */
static const VuWaiting *first_waiting(const VuConn *conn)
{
    return conn->waiting.head ? conn->waiting.head->data : NULL;
}

static gboolean too_late(gpointer opaque)
{
    VuConn *conn = opaque;
    const VuWaiting *w = first_waiting(conn);

    conn->timer = 0;
    vu_conn_fail(conn, "no answer to request %d within %u ms", w->request, conn->timeout_ms);
    return G_SOURCE_REMOVE;
}

/* The next answer has all of the time limit. */
static void restart_timer(VuConn *conn)
{
    drop_timer(conn);
    if (conn->waiting.head) {
        conn->timer = g_timeout_add(conn->timeout_ms, too_late, conn);
    }
}

/* Answers ------------------------------------------------------------------ */

/* Descriptors that came with an answer that nobody took them from. */
static void close_msgfds(VuConn *conn)
{
    int fd;

    while ((fd = qemu_chr_fe_get_msgfd(conn->chr)) >= 0) {
        close(fd);
    }
}

/* The header is complete: is it what we wait for? */
static bool check_header(VuConn *conn)
{
    const VuHeader *h = &conn->header;
    const VuWaiting *w = first_waiting(conn);

    if (!w) {
        vu_conn_fail(conn, "message %u that nothing asked for", h->request);
    } else if ((h->flags & (VU_VERSION_MASK | VU_REPLY)) != (VU_VERSION | VU_REPLY)) {
        vu_conn_fail(conn, "flags 0x%x in the answer to request %d", h->flags, w->request);
    } else if (h->request != w->request) {
        vu_conn_fail(conn, "message %u where the answer to request %d is due", h->request,
                     w->request);
    } else if (h->size != w->size) {
        vu_conn_fail(conn, "%u bytes in answer to request %d, not %u", h->size, w->request,
                     w->size);
    } else {
        return true;
    }
    return false;
}

static void answered(VuConn *conn)
{
    g_autofree VuWaiting *w = g_queue_pop_head(&conn->waiting);

    conn->have = 0;
    if (w->fn) {
        w->fn(conn, w->index, &conn->payload);
    } else if (conn->payload.u64) {
        vu_conn_fail(conn, "request %d refused (%" G_GUINT64_FORMAT ")", w->request,
                     conn->payload.u64);
    }
    close_msgfds(conn);
    if (conn->alive) {
        restart_timer(conn);
        if (!conn->waiting.head) {
            conn->ops->idle(conn);
        }
    }
}

/* What is missing of the header, then of the payload: no read has bytes of two messages. */
static int vu_can_read(void *opaque)
{
    VuConn *conn = opaque;
    uint32_t head = sizeof(VuHeader);

    if (!conn->alive) {
        return sizeof(VuPayload);   /* to be thrown away, until the end */
    }
    return conn->have < head ? head - conn->have : head + conn->header.size - conn->have;
}

static void vu_read(void *opaque, const uint8_t *buf, int size)
{
    VuConn *conn = opaque;
    uint32_t head = sizeof(VuHeader);

    if (!conn->alive) {
        close_msgfds(conn);
        return;
    }
    if (conn->have < head) {
        memcpy((uint8_t *)&conn->header + conn->have, buf, size);
        conn->have += size;
        if (conn->have < head || !check_header(conn)) {
            return;
        }
    } else {
        memcpy((uint8_t *)&conn->payload + conn->have - head, buf, size);
        conn->have += size;
    }
    if (conn->have == head + conn->header.size) {
        answered(conn);
    }
}

static void vu_event(void *opaque, QEMUChrEvent event)
{
    VuConn *conn = opaque;

    if (event == CHR_EVENT_OPENED) {
        conn->alive = true;
        conn->reply_ack = false;
        conn->ops->opened(conn);
    } else if (event == CHR_EVENT_CLOSED) {
        vu_conn_fail(conn, "it has hung up");
        conn->ops->closed(conn);
    }
}

/* Requests ----------------------------------------------------------------- */

static void send_message(VuConn *conn, const VuMessage *msg, uint32_t flags)
{
    struct {
        VuHeader header;
        uint8_t payload[sizeof(VuPayload)];
    } buf = { .header = { msg->request, VU_VERSION | flags, msg->size } };
    int ret;

    G_STATIC_ASSERT(offsetof(typeof(buf), payload) == sizeof(VuHeader));
    if (!conn->alive) {
        return;
    }
    if (msg->size) {
        memcpy(buf.payload, msg->payload, msg->size);
    }
    ret = qemu_chr_fe_send_fds(conn->chr, &buf, sizeof(VuHeader) + msg->size, msg->fds,
                               msg->nr_fds, conn->timeout_ms);
    if (ret < 0) {
        vu_conn_fail(conn, "request %d cannot be sent: %s", msg->request, strerror(-ret));
    }
}

static void wait_for(VuConn *conn, const VuWaiting *w)
{
    if (conn->waiting.length == VU_MAX_WAITING) {
        vu_conn_fail(conn, "%u requests without an answer", VU_MAX_WAITING);
    } else if (conn->alive) {
        g_queue_push_tail(&conn->waiting, g_memdup2(w, sizeof(*w)));
        if (!conn->timer) {
            restart_timer(conn);
        }
    }
}

void vu_send(VuConn *conn, const VuMessage *msg)
{
    send_message(conn, msg, 0);
}

void vu_send_u64(VuConn *conn, VuRequest request, uint64_t val)
{
    VuPayload payload = { .u64 = val };

    vu_send(conn, &(VuMessage) { request, &payload, sizeof(val) });
}

void vu_send_acked(VuConn *conn, const VuMessage *msg)
{
    send_message(conn, msg, conn->reply_ack ? VU_NEED_REPLY : 0);
    if (conn->reply_ack) {
        wait_for(conn, &(VuWaiting) { msg->request, sizeof(uint64_t) });
    }
}

void vu_ask(VuConn *conn, const VuMessage *msg, uint32_t size, VuAnswer *fn, unsigned index)
{
    g_assert(size <= sizeof(VuPayload));
    send_message(conn, msg, 0);
    wait_for(conn, &(VuWaiting) { msg->request, size, fn, index });
}

void vu_ask_u64(VuConn *conn, VuRequest request, VuAnswer *fn)
{
    vu_ask(conn, &(VuMessage) { request }, sizeof(uint64_t), fn, 0);
}

bool vu_conn_wait(VuConn *conn)
{
    gint64 end = g_get_monotonic_time() + conn->timeout_ms * 1000ll;

    while (conn->alive && conn->waiting.head) {
        gint64 left = end - g_get_monotonic_time();
        const VuWaiting *w = first_waiting(conn);

        /* -ENOTCONN has told closed(), or is about to be found by the main loop. */
        if (left <= 0 || qemu_chr_fe_wait_input(conn->chr, (left + 999) / 1000) < 0) {
            vu_conn_fail(conn, "no answer to request %d within %u ms", w->request,
                         conn->timeout_ms);
        }
    }
    return conn->alive;
}

/* Life --------------------------------------------------------------------- */

void vu_conn_init(VuConn *conn)
{
    g_queue_init(&conn->waiting);
    qemu_chr_fe_set_handlers(conn->chr, vu_can_read, vu_read, vu_event, conn);
}

void vu_conn_cleanup(VuConn *conn)
{
    if (conn->chr) {
        qemu_chr_fe_hang_up(conn->chr);     /* nobody else could go on from here */
        qemu_chr_fe_set_handlers(conn->chr, NULL, NULL, NULL, NULL);
        forget_all(conn);
    }
    g_clear_pointer(&conn->why, g_free);
}
