/*
 * The "file" driver on a worker thread: everything to the end, synchronously.
 *
 * System calls: preadv2 pwritev2 pread64 pwrite64 fdatasync fallocate ftruncate ioctl.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "file-posix.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define IOV_WINDOW    64            /* iovecs for one system call */
#define BOUNCE_BYTES  (1u << 20)    /* at a time, for buffers O_DIRECT refuses */

bool file_request_is_aligned(const BlockNode *bs, const BlockRequest *req)
{
    uint64_t places = req->pos | req->bytes;
    uintptr_t memory = 0;

    if (bs->mem_align == 1) {
        return true;
    }
    for (unsigned i = 0; i < req->niov; i++) {
        memory |= (uintptr_t)req->iov[i].iov_base | req->iov[i].iov_len;
    }
    return !(places & (bs->align - 1)) && !(memory & (bs->mem_align - 1));
}

/* Through short transfers and interruptions; what lies behind the end is zero. */
static int rw_vector(FileNode *f, BlockRequest *req, int rwf)
{
    /* O_DIRECT cannot go on in the middle of a block. */
    bool direct = f->bs.mem_align > 1;
    uint64_t done = direct ? QEMU_ALIGN_DOWN(req->done, f->bs.align) : req->done;
    struct iovec win[IOV_WINDOW];

    while (done < req->bytes) {
        unsigned n = iov_slice(win, IOV_WINDOW, req->iov, req->niov, done, SIZE_MAX);
        ssize_t ret = req->node_op == BLOCK_OP_READ
                      ? preadv2(f->fd, win, n, req->pos + done, 0)
                      : pwritev2(f->fd, win, n, req->pos + done, rwf);

        if (ret < 0 && errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        done += MAX(ret, 0);
        if (req->node_op == BLOCK_OP_READ &&
            (ret == 0 || (direct && done % f->bs.align))) {
            iov_memset(req->iov, req->niov, done, 0, req->bytes - done);
            return 0;
        }
        if (ret == 0) {
            return -EIO;
        }
    }
    return 0;
}

static ssize_t pwrite_full(int fd, const char *buf, size_t len, off_t off)
{
    size_t done = 0;

    while (done < len) {
        ssize_t ret = pwrite(fd, buf + done, len - done, off + done);

        if (ret < 0 && errno != EINTR && errno != EAGAIN) {
            return -errno;
        }
        if (ret == 0) {
            return -EIO;
        }
        done += MAX(ret, 0);
    }
    return 0;
}

/* One piece of a request, through the aligned buffer buf. */
static int bounce_piece(FileNode *f, BlockRequest *req, uint64_t done,
                        size_t len, char *buf)
{
    uint64_t align = f->bs.align;
    uint64_t pos = req->pos + done;
    uint64_t start = QEMU_ALIGN_DOWN(pos, align);
    uint64_t end = QEMU_ALIGN_UP(pos + len, align);
    bool partial = start != pos || end != pos + len;
    ssize_t n = 0, ret;

    if (req->node_op == BLOCK_OP_READ || partial) {
        n = qemu_pread_full(f->fd, buf, end - start, start);
        if (n < 0) {
            return n;
        }
        memset(buf + n, 0, end - start - n);
    }
    if (req->node_op == BLOCK_OP_READ) {
        iov_from_buf(req->iov, req->niov, done, buf + (pos - start), len);
        return 0;
    }
    iov_to_buf(req->iov, req->niov, done, buf + (pos - start), len);
    ret = pwrite_full(f->fd, buf, end - start, start);
    if (ret == 0 && partial && start + n < end) {
        /* The file ended within this block: it does not grow by the rest. */
        ret = ftruncate(f->fd, MAX(start + n, pos + len)) < 0 ? -errno : 0;
    }
    return ret;
}

/* Buffers or offsets that O_DIRECT does not take. */
static int rw_bounced(FileNode *f, BlockRequest *req)
{
    size_t align = MAX(f->bs.align, f->bs.mem_align);
    void *buf;
    int ret = 0;

    if (posix_memalign(&buf, align, BOUNCE_BYTES + 2 * align)) {
        return -ENOMEM;
    }
    /* Whole blocks are read and written: nobody may do so with the same one. */
    g_mutex_lock(&f->rmw_lock);
    for (uint64_t done = 0; ret == 0 && done < req->bytes;) {
        size_t len = MIN(req->bytes - done, BOUNCE_BYTES);

        ret = bounce_piece(f, req, done, len, buf);
        done += len;
    }
    g_mutex_unlock(&f->rmw_lock);
    free(buf);
    return ret;
}

static int run_flush(FileNode *f)
{
    int ret;

    if (f->bs.no_flush) {
        return 0;
    }
    do {
        ret = fdatasync(f->fd);
    } while (ret < 0 && errno == EINTR);
    if (ret < 0) {
        int err = errno;

        block_flush_failed(&f->bs, err);
        return -err;
    }
    return 0;
}

static bool is_unsupported(int ret)
{
    return ret == -EOPNOTSUPP || ret == -ENOSYS || ret == -ENOTTY ||
           ret == -EINVAL || ret == -ENODEV;
}

/*
 * Parts of blocks change under the lock: whoever writes the rest of one has read all
 * of it before.
 */
static int do_fallocate(FileNode *f, int mode, const BlockRequest *req)
{
    bool partial = !file_request_is_aligned(&f->bs, req);
    int ret;

    if (partial) {
        g_mutex_lock(&f->rmw_lock);
    }
    do {
        ret = fallocate(f->fd, mode, req->pos, req->bytes);
    } while (ret < 0 && errno == EINTR);
    ret = ret < 0 ? -errno : 0;
    if (partial) {
        g_mutex_unlock(&f->rmw_lock);
    }
    return ret;
}

/* A hint: not being able to is no error. */
static int run_discard(FileNode *f, const BlockRequest *req)
{
    uint64_t range[2] = { req->pos, req->bytes };
    int ret;

    if (f->is_blkdev) {
        ret = ioctl(f->fd, BLKDISCARD, range) < 0 ? -errno : 0;
    } else {
        ret = do_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, req);
    }
    return is_unsupported(ret) ? 0 : ret;
}

static int write_zero_bytes(FileNode *f, const BlockRequest *req)
{
    size_t align = MAX(f->bs.align, f->bs.mem_align);
    size_t chunk = MIN(QEMU_ALIGN_UP(req->bytes, 512), BOUNCE_BYTES);
    struct iovec iov;
    void *buf;
    int ret = 0;

    if (posix_memalign(&buf, MAX(align, 512), chunk)) {
        return -ENOMEM;
    }
    memset(buf, 0, chunk);
    for (uint64_t done = 0; ret == 0 && done < req->bytes; done += iov.iov_len) {
        BlockRequest part = { .node_op = BLOCK_OP_WRITE, .pos = req->pos + done,
                              .iov = &iov, .niov = 1 };

        iov = (struct iovec) { buf, MIN(chunk, req->bytes - done) };
        part.bytes = iov.iov_len;
        ret = file_request_is_aligned(&f->bs, &part) ? rw_vector(f, &part, 0)
                                                     : rw_bounced(f, &part);
    }
    free(buf);
    return ret;
}

static int run_write_zeroes(FileNode *f, const BlockRequest *req)
{
    uint64_t range[2] = { req->pos, req->bytes };
    int ret = -EOPNOTSUPP;

    if (f->is_blkdev) {
        ret = ioctl(f->fd, BLKZEROOUT, range) < 0 ? -errno : 0;
    } else {
        if (req->node_flags & BLOCK_REQ_MAY_UNMAP) {
            ret = do_fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               req);
        }
        if (is_unsupported(ret)) {
            ret = do_fallocate(f, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                               req);
        }
    }
    return is_unsupported(ret) ? write_zero_bytes(f, req) : ret;
}

int file_run(BlockNode *bs, BlockRequest *req)
{
    FileNode *f = downcast(bs, FileNode, bs);
    bool fua = (req->node_flags & BLOCK_REQ_FUA) && !bs->no_flush;
    bool aligned;
    int ret;

    switch (req->node_op) {
    case BLOCK_OP_READ:
        return file_request_is_aligned(bs, req) ? rw_vector(f, req, 0)
                                                : rw_bounced(f, req);
    case BLOCK_OP_WRITE:
        aligned = file_request_is_aligned(bs, req);
        if (aligned) {
            return rw_vector(f, req, fua ? RWF_DSYNC : 0);
        }
        ret = rw_bounced(f, req);
        break;
    case BLOCK_OP_FLUSH:
        ret = run_flush(f);
        return ret < 0 ? ret : block_flush_result(bs);
    case BLOCK_OP_DISCARD:
        ret = run_discard(f, req);
        break;
    default:
        ret = run_write_zeroes(f, req);
        break;
    }
    return ret == 0 && fua ? run_flush(f) : ret;
}
