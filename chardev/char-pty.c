/*
 * The pty chardev: a new pseudo-terminal for a terminal program to open.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <termios.h>
#include <unistd.h>

#include "char-internal.h"
#include "qemu/main-loop.h"

/* How often to look for a peer where the kernel cannot tell us, in ms. */
#define LOOK_AGAIN_MS 1000

typedef struct PtyChardev {
    Chardev parent;
    int fd;             /* the master */
    int inotify_fd;     /* tells when somebody opens the slave; or -1 */
    guint wait_tag;     /* waits for that, while nobody has it open */
    FDReader in;
} PtyChardev;

static void pty_wait(PtyChardev *p);

/* With the slave closed the master always polls "hung up". */
static bool slave_is_open(const PtyChardev *p)
{
    struct pollfd pfd = { .fd = p->fd };

    return poll(&pfd, 1, 0) == 0 || !(pfd.revents & POLLHUP);
}

static void stop_waiting(PtyChardev *p)
{
    if (p->wait_tag) {
        g_source_remove(p->wait_tag);
        p->wait_tag = 0;
    }
}

static void look_for_peer(PtyChardev *p)
{
    if (!p->parent.be_open && slave_is_open(p)) {
        stop_waiting(p);
        p->in.fd = p->fd;
        qemu_chr_be_event(&p->parent, CHR_EVENT_OPENED);
        fd_reader_update(&p->in);
    }
}

static gboolean wait_timer(gpointer opaque)
{
    look_for_peer(opaque);
    return G_SOURCE_CONTINUE;
}

static gboolean wait_inotify(gint fd, GIOCondition cond, gpointer opaque)
{
    char buf[512] __attribute__((aligned(__alignof__(struct inotify_event))));

    if (read(fd, buf, sizeof(buf)) > 0) {
        look_for_peer(opaque);
    }
    return G_SOURCE_CONTINUE;
}

/* Wait for somebody to open the slave, without polling the hung-up master. */
static void pty_wait(PtyChardev *p)
{
    if (p->wait_tag) {
        return;
    }
    p->wait_tag = p->inotify_fd >= 0 ?
        qemu_fd_add(p->inotify_fd, G_IO_IN, wait_inotify, p) :
        g_timeout_add(LOOK_AGAIN_MS, wait_timer, p);
}

/* Reading ended with EIO, or a write found nobody: the slave was closed. */
static void pty_gone(Chardev *s)
{
    PtyChardev *p = downcast(s, PtyChardev, parent);

    if (!s->be_open) {
        return;
    }
    fd_reader_stop(&p->in);
    qemu_chr_be_event(s, CHR_EVENT_CLOSED);
    pty_wait(p);
    /* It may have been opened again before we began to wait. */
    look_for_peer(p);
}

static gboolean gone_later(gpointer opaque)
{
    PtyChardev *p = opaque;

    p->wait_tag = 0;
    if (p->parent.be_open && !slave_is_open(p)) {
        pty_gone(&p->parent);
    } else if (!p->parent.be_open) {
        /* The reader noticed first. */
        pty_wait(p);
        look_for_peer(p);
    }
    return G_SOURCE_REMOVE;
}

/* A fresh master and the name of its slave, in raw mode. */
static int open_master(char *name, size_t size, Error **errp)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    struct termios tty;
    int slave;

    if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 ||
        ptsname_r(fd, name, size) != 0) {
        error_setg_errno(errp, errno, "Failed to create PTY");
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave >= 0) {
        if (!tcgetattr(slave, &tty)) {
            cfmakeraw(&tty);
            tcsetattr(slave, TCSAFLUSH, &tty);
        }
        close(slave);
    }
    return fd;
}

static bool pty_open(Chardev *s, Error **errp)
{
    PtyChardev *p = downcast(s, PtyChardev, parent);
    char name[64];

    p->fd = open_master(name, sizeof(name), errp);
    if (p->fd < 0) {
        return false;
    }
    fd_reader_init(&p->in, s, -1, pty_gone);
    p->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (p->inotify_fd >= 0 && inotify_add_watch(p->inotify_fd, name, IN_OPEN) < 0) {
        close(p->inotify_fd);
        p->inotify_fd = -1;
    }
    s->filename = g_strdup_printf("pty:%s", name);
    printf("char device redirected to %s (label %s)\n", name, s->obj.id);
    fflush(stdout);
    pty_wait(p);
    return true;
}

static void pty_close(Chardev *s)
{
    PtyChardev *p = downcast(s, PtyChardev, parent);

    stop_waiting(p);
    fd_reader_stop(&p->in);
    if (p->inotify_fd >= 0) {
        close(p->inotify_fd);
    }
    close(p->fd);
}

static int pty_write(Chardev *s, const uint8_t *buf, int len)
{
    PtyChardev *p = downcast(s, PtyChardev, parent);
    int n;

    if (!s->be_open) {
        return len;
    }
    n = chr_fd_write(p->fd, buf, len);
    if (n >= 0 || slave_is_open(p)) {
        return n;
    }
    /* Full because nobody is there. Say so later: the writer is above us. */
    if (!p->wait_tag) {
        p->wait_tag = g_idle_add_full(G_PRIORITY_DEFAULT_IDLE, gone_later, p, NULL);
    }
    return len;
}

static int pty_watch_fd(Chardev *s)
{
    return s->be_open ? downcast(s, PtyChardev, parent)->fd : -1;
}

static void pty_update_read_handler(Chardev *s)
{
    fd_reader_update(&downcast(s, PtyChardev, parent)->in);
}

/* What the user of the slave has said; the master shows it. */
static bool pty_get_size(Chardev *s, uint16_t *cols, uint16_t *rows)
{
    return chr_fd_get_size(downcast(s, PtyChardev, parent)->fd, cols, rows);
}

static const ChardevClass pty_class = {
    .oc = {
        .name = "pty",
        .desc = "a new pseudo-terminal",
        .parent = &chardev_base_class,
        .instance_size = sizeof(PtyChardev),
    },
    .open = pty_open,
    .close = pty_close,
    .chr_write = pty_write,
    .chr_watch_fd = pty_watch_fd,
    .chr_update_read_handler = pty_update_read_handler,
    .chr_get_size = pty_get_size,
};
DEFINE_CLASS(chardev_pty, &pty_class.oc);
