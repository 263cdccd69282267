/*
 * eventfds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/event_notifier.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

#include "qemu/main-loop.h"

int event_notifier_init(EventNotifier *e)
{
    e->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return e->fd < 0 ? -errno : 0;
}

void event_notifier_cleanup(EventNotifier *e)
{
    if (e->fd >= 0) {
        close(e->fd);
        e->fd = -1;
    }
}

void event_notifier_set(EventNotifier *e)
{
    uint64_t one = 1;

    /* EAGAIN: the counter is full, so it is set already. */
    while (write(e->fd, &one, sizeof(one)) < 0 && errno == EINTR) {
        continue;
    }
}

/*
 * O_NONBLOCK belongs to the eventfd, not to our descriptor of it: another process that has one,
 * too, can take it away. So that is asked for with each read, where the kernel can (5.8).
 */
static ssize_t read_now(int fd, uint64_t *count)
{
    struct iovec iov = { count, sizeof(*count) };
    ssize_t n = preadv2(fd, &iov, 1, -1, RWF_NOWAIT);

    return n < 0 && errno == EOPNOTSUPP ? read(fd, count, sizeof(*count)) : n;
}

bool event_notifier_test_and_clear(EventNotifier *e)
{
    uint64_t count;
    ssize_t n;

    do {
        n = read_now(e->fd, &count);
    } while (n < 0 && errno == EINTR);
    return n == sizeof(count);
}

typedef struct NotifierSource {
    EventNotifier *e;
    EventNotifierHandler *handler;
    void *opaque;
} NotifierSource;

static gboolean notifier_ready(gint fd, GIOCondition cond, gpointer data)
{
    NotifierSource *ns = data;

    if (event_notifier_test_and_clear(ns->e)) {
        ns->handler(ns->opaque);
    }
    return G_SOURCE_CONTINUE;
}

GSource *event_notifier_add_handler(EventNotifier *e, GMainContext *ctx,
                                    EventNotifierHandler *handler,
                                    void *opaque)
{
    NotifierSource *ns = g_new0(NotifierSource, 1);

    ns->e = e;
    ns->handler = handler;
    ns->opaque = opaque;
    return qemu_fd_source(ctx, e->fd, G_IO_IN, notifier_ready, ns, g_free);
}
