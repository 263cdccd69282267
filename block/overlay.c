/*
 * snapshot=on: writes go to an unlinked temporary file and are gone at the end.
 *
 * Copy on write in clusters of 64 KiB with one bit each in memory. Everything
 * runs on worker threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block-internal.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define CLUSTER 65536u

typedef struct OverlayNode {
    BlockNode bs;
    int fd;
    uint64_t nr_clusters;
    uint8_t *present;           /* a byte per cluster; atomic */
    GMutex lock;                /* while a cluster comes into being */
} OverlayNode;

static bool overlay_open(BlockNode *bs, Error **errp)
{
    OverlayNode *o = downcast(bs, OverlayNode, bs);
    const char *dir = g_getenv("TMPDIR");

    o->fd = open(dir ? dir : "/var/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (o->fd < 0) {
        g_autofree char *name = g_strdup_printf("%s/vl.XXXXXX", dir ? dir : "/var/tmp");

        o->fd = mkostemp(name, O_CLOEXEC);
        if (o->fd >= 0) {
            unlink(name);
        }
    }
    if (o->fd < 0) {
        error_setg_errno(errp, errno, "Could not create a temporary overlay");
        return false;
    }
    bs->length = bs->file->length;
    bs->filename = bs->file->filename;
    bs->align = bs->mem_align = 1;
    o->nr_clusters = DIV_ROUND_UP(bs->length, CLUSTER);
    o->present = g_malloc0(o->nr_clusters + 1);
    g_mutex_init(&o->lock);
    return true;
}

static void overlay_close(BlockNode *bs)
{
    OverlayNode *o = downcast(bs, OverlayNode, bs);

    close(o->fd);
    g_free(o->present);
    g_mutex_clear(&o->lock);
}

static bool is_present(OverlayNode *o, uint64_t cluster)
{
    return __atomic_load_n(&o->present[cluster], __ATOMIC_ACQUIRE);
}

static int read_below(OverlayNode *o, uint64_t pos, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .pos = pos, .bytes = len,
                         .iov = &iov, .niov = 1 };

    return block_run(o->bs.file, &req);
}

static int write_own(OverlayNode *o, uint64_t pos, const char *buf, size_t len)
{
    while (len) {
        ssize_t ret = pwrite(o->fd, buf, len, pos);

        if (ret < 0 && errno != EINTR) {
            return -errno;
        }
        if (ret > 0) {
            buf += ret;
            pos += ret;
            len -= ret;
        }
    }
    return 0;
}

/* len bytes at pos, all within one cluster. */
static int write_piece(OverlayNode *o, uint64_t pos, const char *data, size_t len)
{
    uint64_t cluster = pos / CLUSTER;
    uint64_t start = cluster * CLUSTER;
    size_t size = MIN(CLUSTER, o->bs.length - start);
    g_autofree char *buf = NULL;
    int ret;

    if (is_present(o, cluster)) {
        return write_own(o, pos, data, len);
    }
    buf = g_malloc(CLUSTER);
    g_mutex_lock(&o->lock);
    if (is_present(o, cluster)) {
        ret = write_own(o, pos, data, len);
    } else {
        ret = len < size ? read_below(o, start, buf, size) : 0;
        if (ret == 0) {
            memcpy(buf + (pos - start), data, len);
            ret = write_own(o, start, buf, size);
        }
        if (ret == 0) {
            __atomic_store_n(&o->present[cluster], 1, __ATOMIC_RELEASE);
        }
    }
    g_mutex_unlock(&o->lock);
    return ret;
}

static int read_piece(OverlayNode *o, uint64_t pos, char *data, size_t len)
{
    ssize_t n;

    if (!is_present(o, pos / CLUSTER)) {
        return read_below(o, pos, data, len);
    }
    n = qemu_pread_full(o->fd, data, len, pos);
    return n < 0 ? n : (size_t)n < len ? -EIO : 0;
}

static int overlay_run(BlockNode *bs, BlockRequest *req)
{
    OverlayNode *o = downcast(bs, OverlayNode, bs);
    g_autofree char *buf = NULL;
    int ret = 0;

    if (req->node_op == BLOCK_OP_FLUSH || req->node_op == BLOCK_OP_DISCARD) {
        return 0;               /* nothing here outlives us */
    }
    buf = g_malloc0(CLUSTER);
    for (uint64_t done = 0; ret == 0 && done < req->bytes;) {
        uint64_t pos = req->pos + done;
        size_t len = MIN(req->bytes - done, CLUSTER - pos % CLUSTER);

        if (req->node_op == BLOCK_OP_READ) {
            ret = read_piece(o, pos, buf, len);
            iov_from_buf(req->iov, req->niov, done, buf, ret ? 0 : len);
        } else {
            if (req->node_op == BLOCK_OP_WRITE) {
                iov_to_buf(req->iov, req->niov, done, buf, len);
            }
            ret = write_piece(o, pos, buf, len);
        }
        done += len;
    }
    return ret;
}

/* The image below is only read. */
static bool overlay_set_perm(BlockNode *bs, unsigned perm, unsigned unshared,
                             Error **errp)
{
    return block_set_perm(bs->file, BLOCK_PERM_READ, unshared, errp);
}

const BlockDriver block_overlay = {
    .oc = {
        .name = "snapshot-overlay",
        .desc = "Temporary writes over a read-only image",
        .parent = &block_node_base_class,
        .instance_size = sizeof(OverlayNode),
    },
    .open = overlay_open,
    .close = overlay_close,
    .run = overlay_run,
    .set_perm = overlay_set_perm,
};
