/*
 * Descriptors as the host's end of a chardev: polled input, output that never
 * blocks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "char-internal.h"
#include "qemu/fdset.h"
#include "qemu/main-loop.h"

/* Enough for a paste; what a frontend takes at once is mostly less. */
#define READ_CHUNK 4096

void fd_reader_init(FDReader *r, Chardev *chr, int fd, void (*gone)(Chardev *))
{
    *r = (FDReader){ .chr = chr, .fd = fd, .gone = gone };
}

static void fd_reader_unpoll(FDReader *r)
{
    if (r->tag) {
        g_source_remove(r->tag);
        r->tag = 0;
    }
}

void fd_reader_stop(FDReader *r)
{
    fd_reader_unpoll(r);
    r->fd = -1;
}

static gboolean fd_reader_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    FDReader *r = opaque;
    uint8_t buf[READ_CHUNK];
    int room = qemu_chr_be_can_write(r->chr);
    ssize_t n;

    if (room > 0) {
        n = read(fd, buf, MIN((size_t)room, sizeof(buf)));
        if (n > 0) {
            qemu_chr_be_write(r->chr, buf, n);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            fd_reader_unpoll(r);
            r->gone(r->chr);
            return G_SOURCE_CONTINUE;
        }
    }
    /*
     * The frontend may have stopped or even restarted us from its handler.
     * Update looks at the present state; when it removes this very source, the
     * return value does not matter.
     */
    fd_reader_update(r);
    return G_SOURCE_CONTINUE;
}

void fd_reader_update(FDReader *r)
{
    bool want = r->fd >= 0 && qemu_chr_be_can_write(r->chr) > 0;

    if (want && !r->tag) {
        r->tag = qemu_fd_add(r->fd, G_IO_IN | G_IO_HUP | G_IO_ERR,
                             fd_reader_ready, r);
    } else if (!want) {
        fd_reader_unpoll(r);
    }
}

bool chr_fd_get_size(int fd, uint16_t *cols, uint16_t *rows)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) < 0 || !size.ws_col || !size.ws_row) {
        return false;
    }
    *cols = size.ws_col;
    *rows = size.ws_row;
    return true;
}

int chr_fd_write(int fd, const uint8_t *buf, int len)
{
    ssize_t n;

    do {
        n = write(fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : (int)n;
}

void chr_fd_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK)) {
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

int chr_open_file(const char *path, int flags, Error **errp)
{
    int fd;

    do {
        fd = qemu_open(path, flags | O_NOCTTY, 0666);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", path);
    }
    return fd;
}
