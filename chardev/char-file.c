/*
 * The file chardev: output into a file, input (if any) from another.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "char-internal.h"

typedef struct FileChardev {
    Chardev parent;
    char *path;
    char *input_path;
    bool append;
    int fd;
    bool polled;        /* a FIFO or terminal: it can be full for a while */
    FDReader in;
} FileChardev;

static void file_in_gone(Chardev *s)
{
    /* A file's end is not a peer's going: output works on. */
}

static bool file_open(Chardev *s, Error **errp)
{
    FileChardev *f = downcast(s, FileChardev, parent);
    struct stat st;
    int in = -1;

    f->fd = -1;
    fd_reader_init(&f->in, s, -1, file_in_gone);
    if (!f->path) {
        error_setg(errp, "chardev: file: no filename given");
        return false;
    }
    if (f->input_path) {
        in = chr_open_file(f->input_path, O_RDONLY | O_NONBLOCK, errp);
        if (in < 0) {
            return false;
        }
    }
    f->fd = chr_open_file(f->path, O_WRONLY | O_CREAT |
                          (f->append ? O_APPEND : O_TRUNC), errp);
    if (f->fd < 0) {
        if (in >= 0) {
            close(in);
        }
        return false;
    }
    if (!fstat(f->fd, &st) && !S_ISREG(st.st_mode)) {
        f->polled = true;
        chr_fd_set_nonblock(f->fd);
    }
    fd_reader_init(&f->in, s, in, file_in_gone);
    s->be_open = true;
    return true;
}

static void file_close(Chardev *s)
{
    FileChardev *f = downcast(s, FileChardev, parent);
    int in = f->in.fd;

    fd_reader_stop(&f->in);
    if (in >= 0) {
        close(in);
    }
    close(f->fd);
}

static int file_write(Chardev *s, const uint8_t *buf, int len)
{
    return chr_fd_write(downcast(s, FileChardev, parent)->fd, buf, len);
}

static int file_watch_fd(Chardev *s)
{
    FileChardev *f = downcast(s, FileChardev, parent);

    return f->polled ? f->fd : -1;
}

static void file_update_read_handler(Chardev *s)
{
    fd_reader_update(&downcast(s, FileChardev, parent)->in);
}

static const Property file_props[] = {
    DEFINE_PROP_STRING("path", FileChardev, path, NULL, "file to write to"),
    DEFINE_PROP_STRING("input-path", FileChardev, input_path, NULL,
                       "file to read input from"),
    DEFINE_PROP_BOOL("append", FileChardev, append, "off",
                     "add to the file instead of emptying it"),
    DEFINE_PROP_END
};

static const ChardevClass file_class = {
    .oc = {
        .name = "file",
        .desc = "output into a file",
        .parent = &chardev_base_class,
        .instance_size = sizeof(FileChardev),
        .props = file_props,
    },
    .open = file_open,
    .close = file_close,
    .chr_write = file_write,
    .chr_watch_fd = file_watch_fd,
    .chr_update_read_handler = file_update_read_handler,
};
DEFINE_CLASS(chardev_file, &file_class.oc);
