/*
 * The pipe chardev: a pair of named pipes PATH.in and PATH.out, or one PATH
 * for both directions.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <unistd.h>

#include "char-internal.h"

typedef struct PipeChardev {
    Chardev parent;
    char *path;
    int in_fd;
    int out_fd;         /* may be in_fd */
    FDReader in;
} PipeChardev;

static void pipe_gone(Chardev *s)
{
    qemu_chr_be_event(s, CHR_EVENT_CLOSED);
}

static bool pipe_open(Chardev *s, Error **errp)
{
    PipeChardev *p = downcast(s, PipeChardev, parent);
    g_autofree char *in = NULL, *out = NULL;

    if (!p->path) {
        error_setg(errp, "chardev: pipe: no device path given");
        return false;
    }
    /*
     * Open for both directions: it does not wait for the other side, and there
     * is no end of file when one of several writers leaves.
     */
    in = g_strconcat(p->path, ".in", NULL);
    out = g_strconcat(p->path, ".out", NULL);
    p->in_fd = chr_open_file(in, O_RDWR | O_NONBLOCK, NULL);
    p->out_fd = chr_open_file(out, O_RDWR | O_NONBLOCK, NULL);
    if (p->in_fd < 0 || p->out_fd < 0) {
        if (p->in_fd >= 0) {
            close(p->in_fd);
        }
        if (p->out_fd >= 0) {
            close(p->out_fd);
        }
        p->in_fd = p->out_fd = chr_open_file(p->path, O_RDWR | O_NONBLOCK, errp);
        if (p->in_fd < 0) {
            return false;
        }
    }
    fd_reader_init(&p->in, s, p->in_fd, pipe_gone);
    s->be_open = true;
    return true;
}

static void pipe_close(Chardev *s)
{
    PipeChardev *p = downcast(s, PipeChardev, parent);

    fd_reader_stop(&p->in);
    close(p->in_fd);
    if (p->out_fd != p->in_fd) {
        close(p->out_fd);
    }
}

static int pipe_write(Chardev *s, const uint8_t *buf, int len)
{
    return chr_fd_write(downcast(s, PipeChardev, parent)->out_fd, buf, len);
}

static int pipe_watch_fd(Chardev *s)
{
    return downcast(s, PipeChardev, parent)->out_fd;
}

static void pipe_update_read_handler(Chardev *s)
{
    fd_reader_update(&downcast(s, PipeChardev, parent)->in);
}

static const Property pipe_props[] = {
    DEFINE_PROP_STRING("path", PipeChardev, path, NULL,
                       "PATH.in and PATH.out are named pipes, or PATH is one"),
    DEFINE_PROP_END
};

static const ChardevClass pipe_class = {
    .oc = {
        .name = "pipe",
        .desc = "named pipes",
        .parent = &chardev_base_class,
        .instance_size = sizeof(PipeChardev),
        .props = pipe_props,
    },
    .open = pipe_open,
    .close = pipe_close,
    .chr_write = pipe_write,
    .chr_watch_fd = pipe_watch_fd,
    .chr_update_read_handler = pipe_update_read_handler,
};
DEFINE_CLASS(chardev_pipe, &pipe_class.oc);
