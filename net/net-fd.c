/*
 * Descriptors under the network backends: polling, and numbers from users.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net-fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "qemu/fd-param.h"
#include "qemu/main-loop.h"

/* GLib hands on what it does not know. */
#define NET_FD_RDHUP ((GIOCondition)POLLRDHUP)

/* The peer sends no more (POLLRDHUP): gone, unless there is something to be read before. */
static void net_fd_no_more(NetFD *f)
{
    int left;

    f->words_left = ioctl(f->fd, FIONREAD, &left) == 0 && left > 0;
    if (f->words_left) {
        net_fd_poll(f, f->want_in, f->want_out);
    } else {
        f->gone(f);
    }
}

static gboolean net_fd_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    NetFD *f = opaque;

    /* Callbacks may stop or change the polling: look at the fields each time. */
    if ((cond & G_IO_IN) && f->want_in) {
        f->in(f);
    }
    if ((cond & G_IO_OUT) && f->want_out) {
        f->out(f);
    }
    /* With input left the peer's last words come first. */
    if ((cond & (G_IO_ERR | G_IO_HUP | G_IO_NVAL)) && !(cond & G_IO_IN) && f->tag) {
        f->gone(f);
    } else if ((cond & NET_FD_RDHUP) && !f->want_in && f->tag) {
        net_fd_no_more(f);
    }
    return G_SOURCE_CONTINUE;
}

void net_fd_poll(NetFD *f, bool in, bool out)
{
    GIOCondition cond = (in ? G_IO_IN : 0) | (out ? G_IO_OUT : 0);

    /* Who reads sees the end; else it is asked for, but not again while input waits. */
    f->words_left &= !in;
    cond |= f->watch && !in && !f->words_left ? NET_FD_RDHUP : 0;
    f->want_in = in;
    f->want_out = out;
    if (f->tag && (cond != f->cond || f->fd < 0)) {
        g_source_remove(f->tag);
        f->tag = 0;
    }
    f->cond = cond;
    /* Nothing wanted: errors and hang-ups would be reported all the same. */
    if (!f->tag && (cond || f->watch) && f->fd >= 0) {
        f->tag = qemu_fd_add(f->fd, cond, net_fd_ready, f);
    }
}

void net_fd_close(NetFD *f)
{
    int fd = f->fd;

    f->fd = -1;
    net_fd_poll(f, false, false);
    if (fd >= 0) {
        close(fd);
    }
}

int net_parse_fd(NetClientState *nc, const char *str, Error **errp)
{
    int fd = fd_param_open(str, errp), flags;

    if (fd < 0) {
        return -1;
    }
    flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        error_setg_errno(errp, errno, "%s: Can't use file descriptor %s", nc->obj.id, str);
        fd_param_put(fd);
        return -1;
    }
    return fd;
}

void net_put_fds(const int *fds, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        fd_param_put(fds[i]);
    }
}

unsigned net_parse_fds(NetClientState *nc, const char *str, int *fds, Error **errp)
{
    g_auto(GStrv) words = g_strsplit(str, ":", -1);
    unsigned n = g_strv_length(words);

    if (!n || n > NET_MAX_QUEUES) {
        error_setg(errp, "'%s' is not a list of 1 to %d file descriptors", str,
                   NET_MAX_QUEUES);
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        fds[i] = net_parse_fd(nc, words[i], errp);
        if (fds[i] < 0) {
            net_put_fds(fds, i);
            return 0;
        }
    }
    return n;
}
