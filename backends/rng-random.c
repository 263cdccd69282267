/*
 * Random bytes from a file, device or FIFO.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "backends/rng.h"
#include "qemu/fdset.h"
#include "qemu/main-loop.h"

/* A file that has ended, or fails, is looked at again after so many ms. */
#define DRY_MS 1000

typedef struct RngRandom {
    RngBackend parent;
    char *filename;
    int fd;
    guint tag;          /* waits for bytes, or for the end of a dry spell */
    bool warned;
} RngRandom;

static void random_wait(RngRandom *r);

static gboolean random_look_again(gpointer opaque)
{
    random_wait(opaque);
    return G_SOURCE_REMOVE;
}

/*
 * A FIFO without a writer polls as hung up for ever, an ended file as readable:
 * neither may keep the loop busy.
 */
static void random_dry(RngRandom *r, const char *why)
{
    if (!r->warned) {
        r->warned = true;
        warn_report("%s: %s: the guest waits for entropy", r->filename, why);
    }
    r->tag = g_timeout_add(DRY_MS, random_look_again, r);
}

static gboolean random_readable(gint fd, GIOCondition cond, gpointer opaque)
{
    RngRandom *r = opaque;
    RngRequest *req = rng_backend_head(&r->parent);
    ssize_t n = readv(fd, req->iov, MIN(req->iovcnt, 1024));

    if (n > 0) {
        r->warned = false;
        /* Removes this source when it was the last request. */
        rng_backend_complete(&r->parent, n);
        return G_SOURCE_CONTINUE;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return G_SOURCE_CONTINUE;
    }
    random_dry(r, n ? strerror(errno) : "end of file");
    return G_SOURCE_REMOVE;
}

static void random_wait(RngRandom *r)
{
    r->tag = qemu_fd_add(r->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, random_readable, r);
}

static void random_want(RngBackend *rng, bool want)
{
    RngRandom *r = downcast(rng, RngRandom, parent);

    if (want) {
        random_wait(r);
    } else {
        g_source_remove(r->tag);
        r->tag = 0;
    }
}

static void random_init(Object *obj)
{
    downcast(obj, RngRandom, parent.obj)->fd = -1;
}

static bool random_complete(Object *obj, Error **errp)
{
    RngRandom *r = downcast(obj, RngRandom, parent.obj);

    if (!*r->filename) {
        error_setg(errp, "Parameter 'filename' expects a valid filename");
        return false;
    }
    /* Non-blocking: a FIFO opens without a writer, and no read waits. */
    r->fd = qemu_open(r->filename, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
    if (r->fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", r->filename);
        return false;
    }
    return true;
}

static void random_finalize(Object *obj)
{
    RngRandom *r = downcast(obj, RngRandom, parent.obj);

    if (r->fd >= 0) {
        close(r->fd);
    }
}

static const Property random_props[] = {
    DEFINE_PROP_STRING("filename", RngRandom, filename, "/dev/urandom",
                       "file, device or FIFO to read"),
    DEFINE_PROP_END
};

static const RngBackendClass rng_random_class = {
    .oc = {
        .name = "rng-random",
        .desc = "random bytes from a file",
        .parent = &rng_backend_base_class,
        .instance_size = sizeof(RngRandom),
        .props = random_props,
        .init = random_init,
        .complete = random_complete,
        .finalize = random_finalize,
    },
    .want = random_want,
};
DEFINE_CLASS(rng_random, &rng_random_class.oc);
