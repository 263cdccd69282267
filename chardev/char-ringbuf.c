/*
 * The ringbuf chardev: keeps the last output for the monitor to read.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "char-internal.h"
#include "qemu/cutils.h"

/* Far more than anybody reads; keeps a typing error from eating the host. */
#define RINGBUF_MAX_SIZE GiB

typedef struct RingBufChardev {
    Chardev parent;
    uint64_t size;
    uint8_t *data;
    uint64_t prod;      /* bytes ever written and ever read; */
    uint64_t cons;      /* prod - cons <= size */
} RingBufChardev;

static bool ringbuf_open(Chardev *s, Error **errp)
{
    RingBufChardev *r = downcast(s, RingBufChardev, parent);

    if (!r->size) {
        r->size = 64 * KiB;
    }
    if (r->size & (r->size - 1)) {
        error_setg(errp, "size of ringbuf chardev must be power of two");
        return false;
    }
    if (r->size > RINGBUF_MAX_SIZE) {
        error_setg(errp, "size of ringbuf chardev must be at most 1 GiB");
        return false;
    }
    r->data = g_malloc0(r->size);
    s->be_open = true;
    return true;
}

static void ringbuf_close(Chardev *s)
{
    g_free(downcast(s, RingBufChardev, parent)->data);
}

static int ringbuf_write(Chardev *s, const uint8_t *buf, int len)
{
    RingBufChardev *r = downcast(s, RingBufChardev, parent);

    for (int i = 0; i < len; i++) {
        r->data[r->prod++ & (r->size - 1)] = buf[i];
    }
    if (r->prod - r->cons > r->size) {
        r->cons = r->prod - r->size;
    }
    return len;
}

static const Property ringbuf_props[] = {
    DEFINE_PROP_SIZE("size", RingBufChardev, size, "64K",
                     "bytes to keep, a power of two"),
    DEFINE_PROP_END
};

static const ChardevClass ringbuf_class = {
    .oc = {
        .name = "ringbuf",
        .alias = "memory",
        .desc = "keeps the last output for ringbuf-read",
        .parent = &chardev_base_class,
        .instance_size = sizeof(RingBufChardev),
        .props = ringbuf_props,
    },
    .open = ringbuf_open,
    .close = ringbuf_close,
    .chr_write = ringbuf_write,
};
DEFINE_CLASS(chardev_ringbuf, &ringbuf_class.oc);

ssize_t qemu_chr_ringbuf_read(Chardev *s, uint8_t *buf, size_t len)
{
    RingBufChardev *r = downcast(s, RingBufChardev, parent);
    size_t n = 0;

    if (s->obj.oc != &ringbuf_class.oc) {
        return -EINVAL;
    }
    while (n < len && r->cons != r->prod) {
        buf[n++] = r->data[r->cons++ & (r->size - 1)];
    }
    return n;
}
