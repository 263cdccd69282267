/*
 * Kicks: from the queues' eventfds to their handlers.
 *
 * A device has one descriptor in its loop, an epoll set of its queues' eventfds: a
 * console alone may have 64 of them, and a loop pays for each with every round that
 * it makes, whoever woke it.
 *
 * System calls: epoll_create1 epoll_ctl epoll_wait.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "virtio-internal.h"
#include "qemu/main-loop.h"
#include "qemu/trace.h"

/* Queues served in one round; the others have the next. */
#define MAX_KICKS 16

static void queue_kicked(VirtQueue *vq)
{
    uint16_t before = vq->ring.last_avail;

    trace(virtio_queue_notify, "%s queue %u", qdev_name(&vq->vdev->dev), vq->index);
    if (virtio_queue_live(vq)) {
        vq->handler(vq->vdev, vq);
        qemu_loop_found_work((uint16_t)(vq->ring.last_avail - before));
    }
}

static gboolean kicks_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    struct epoll_event events[MAX_KICKS];
    int n = epoll_wait(fd, events, MAX_KICKS, 0);

    for (int i = 0; i < n; i++) {
        VirtQueue *vq = events[i].data.ptr;

        /* An earlier handler may have given it to a worker. */
        if (vq->watched) {
            queue_kicked(vq);
        }
    }
    return G_SOURCE_CONTINUE;
}

int virtio_kicks_init(VirtIODevice *vdev)
{
    if (vdev->kick_fd < 0) {
        vdev->kick_fd = epoll_create1(EPOLL_CLOEXEC);
    }
    return vdev->kick_fd < 0 ? -errno : 0;
}

void virtio_kicks_cleanup(VirtIODevice *vdev)
{
    g_assert(!vdev->kick_source);
    if (vdev->kick_fd >= 0) {
        close(vdev->kick_fd);
        vdev->kick_fd = -1;
    }
}

void virtio_kicks_start(VirtIODevice *vdev)
{
    if (vdev->kick_fd >= 0) {
        vdev->kick_source = qemu_fd_source(virtio_get_context(vdev), vdev->kick_fd, G_IO_IN,
                                           kicks_ready, vdev, NULL);
    }
}

void virtio_kicks_stop(VirtIODevice *vdev)
{
    if (vdev->kick_source) {
        g_source_destroy(vdev->kick_source);
        g_source_unref(vdev->kick_source);
        vdev->kick_source = NULL;
    }
}

/*
 * Edges: each write to an eventfd is reported once, and nobody needs to read
 * it. What it counted before it was watched is reported too.
 */
void virtio_queue_watch(VirtQueue *vq, bool on)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = vq };

    if (vq->watched == on) {
        return;
    }
    if (epoll_ctl(vq->vdev->kick_fd, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL,
                  vq->host_notifier.fd, &event) < 0) {
        virtio_error(vq->vdev, "queue %u: cannot listen to kicks: %s", vq->index,
                     strerror(errno));
        on = false;
    }
    vq->watched = on;
}

void virtio_queue_kick(VirtQueue *vq)
{
    if (vq->host_notifier.fd >= 0) {
        event_notifier_set(&vq->host_notifier);
    }
}
