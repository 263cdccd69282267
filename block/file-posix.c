/*
 * The "file" driver: opening files and block devices of the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "file-posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/fdset.h"

/* Opening ------------------------------------------------------------------ */

static int open_flags(const FileNode *f, bool read_only)
{
    /* Without O_NONBLOCK a FIFO would make us wait here. */
    return O_NONBLOCK | (read_only ? O_RDONLY : O_RDWR) |
           (f->bs.direct ? O_DIRECT : 0);
}

static int try_open(FileNode *f)
{
    BlockNode *bs = &f->bs;
    int fd = qemu_open(f->name, open_flags(f, bs->read_only), 0);

    if (fd < 0 && bs->auto_read_only &&
        (errno == EACCES || errno == EROFS || errno == ESANDBOX)) {
        bs->is_ro = true;
        fd = qemu_open(f->name, open_flags(f, true), 0);
    }
    return fd < 0 ? -errno : fd;
}

static bool probe_kind(FileNode *f, Error **errp)
{
    struct stat st;

    if (fstat(f->fd, &st) < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", f->name);
        return false;
    }
    if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
        error_setg(errp, "Could not open '%s': a regular file or block device "
                   "was expected, but something else was given", f->name);
        return false;
    }
    f->is_blkdev = S_ISBLK(st.st_mode);
    fcntl(f->fd, F_SETFL, fcntl(f->fd, F_GETFL) & ~O_NONBLOCK);
    return true;
}

static int64_t get_length(const FileNode *f)
{
    uint64_t bytes;
    struct stat st;

    if (f->is_blkdev) {
        return ioctl(f->fd, BLKGETSIZE64, &bytes) < 0 ? -errno : (int64_t)bytes;
    }
    return fstat(f->fd, &st) < 0 ? -errno : st.st_size;
}

static bool is_power(uint64_t n)
{
    return n && !(n & (n - 1));
}

/* What O_DIRECT asks for, powers of two; without it everything goes. */
static void probe_alignment(FileNode *f)
{
    BlockNode *bs = &f->bs;
    int lbs = 512;
    struct stat st;

    if (f->is_blkdev) {
        ioctl(f->fd, BLKSSZGET, &lbs);
    }
    bs->align = bs->mem_align = 1;
    if (!bs->direct) {
        return;
    }
    bs->align = bs->mem_align = lbs;
    if (!f->is_blkdev) {
#ifdef STATX_DIOALIGN
        struct statx stx;

        if (statx(f->fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 &&
            (stx.stx_mask & STATX_DIOALIGN) && is_power(stx.stx_dio_offset_align) &&
            is_power(stx.stx_dio_mem_align)) {
            bs->align = MAX(stx.stx_dio_offset_align, 512);
            bs->mem_align = MAX(stx.stx_dio_mem_align, 512);
            return;
        }
#endif
        /* The file system's block is always enough. */
        if (fstat(f->fd, &st) == 0 && st.st_blksize >= 512 &&
            st.st_blksize <= 65536 && is_power(st.st_blksize)) {
            g_autofree char *raw = g_malloc(2 * 65536);
            char *buf = raw + (65536 - (uintptr_t)raw % 65536);

            /* A read of 512 bytes at 512 tells if smaller ones are allowed. */
            if (pread(f->fd, buf + 512, 512, 512) < 0) {
                bs->align = bs->mem_align = st.st_blksize;
            }
        }
    }
}

static bool check_options(FileNode *f, Error **errp)
{
    if (!f->name || !*f->name) {
        error_setg(errp, "The 'file' block driver requires a file name");
        return false;
    }
    if (f->aio == AIO_NATIVE && !f->bs.direct) {
        error_setg(errp, "aio=native was specified, but it requires "
                   "cache.direct=on, which was not specified.");
        return false;
    }
    return true;
}

/* Do the locks of this file system work? */
static void probe_locking(FileNode *f)
{
    FileLocks none = { 0 };

    f->lock_works = f->locking != ON_OFF_AUTO_OFF;
    if (f->lock_works && !file_lock_set(f->fd, f->name, &f->locks, none, NULL)) {
        f->lock_works = false;
    }
}

static bool file_set_perm(BlockNode *bs, unsigned perm, unsigned unshared,
                          Error **errp)
{
    FileNode *f = downcast(bs, FileNode, bs);
    FileLocks want = { perm, unshared };

    if (bs->inactive) {
        want = (FileLocks) { perm & BLOCK_PERM_READ, 0 };
    }
    if (!f->lock_works || bs->force_share) {
        return true;
    }
    return file_lock_set(f->fd, f->name, &f->locks, want, errp);
}

static void file_close(BlockNode *bs)
{
    FileNode *f = downcast(bs, FileNode, bs);

    if (f->fd >= 0) {
        close(f->fd);
    }
    g_mutex_clear(&f->rmw_lock);
}

static bool file_open(BlockNode *bs, Error **errp)
{
    FileNode *f = downcast(bs, FileNode, bs);
    int64_t length;

    f->fd = -1;
    g_mutex_init(&f->rmw_lock);
    if (f->name && g_str_has_prefix(f->name, "file:")) {
        memmove(f->name, f->name + 5, strlen(f->name + 5) + 1);
    }
    bs->filename = f->name;
    if (!check_options(f, errp)) {
        goto fail;
    }
    f->fd = try_open(f);
    if (f->fd < 0) {
        if (f->fd == -EINVAL && bs->direct) {
            error_setg(errp, "Could not open '%s': filesystem does not support "
                       "O_DIRECT", f->name);
        } else {
            error_setg_errno(errp, -f->fd, "Could not open '%s'", f->name);
        }
        goto fail;
    }
    if (!probe_kind(f, errp)) {
        goto fail;
    }
    length = get_length(f);
    if (length < 0) {
        error_setg_errno(errp, -length, "Could not get the size of '%s'",
                         f->name);
        goto fail;
    }
    bs->length = length;
    probe_alignment(f);
    probe_locking(f);
    if (!file_set_perm(bs, BLOCK_PERM_READ | (bs->is_ro ? 0 : BLOCK_PERM_WRITE),
                       0, errp)) {
        goto fail;
    }
    return true;
fail:
    file_close(bs);
    return false;
}

static bool file_inactivate(BlockNode *bs, Error **errp)
{
    FileNode *f = downcast(bs, FileNode, bs);

    return fstat(f->fd, &f->left) == 0 && file_set_perm(bs, BLOCK_PERM_READ, 0, errp);
}

static bool file_activate(BlockNode *bs, Error **errp)
{
    FileNode *f = downcast(bs, FileNode, bs);
    struct stat now;

    if (!file_set_perm(bs, BLOCK_PERM_READ | (bs->is_ro ? 0 : BLOCK_PERM_WRITE), 0, errp)) {
        return false;
    }
    bs->stale = fstat(f->fd, &now) < 0 || f->is_blkdev || now.st_size != f->left.st_size ||
                now.st_mtim.tv_sec != f->left.st_mtim.tv_sec ||
                now.st_mtim.tv_nsec != f->left.st_mtim.tv_nsec;
    if (!f->is_blkdev) {
        __atomic_store_n(&bs->length, QEMU_ALIGN_UP((uint64_t)now.st_size, BDRV_SECTOR_SIZE),
                         __ATOMIC_RELEASE);
    }
    return true;
}

/* The same file by another descriptor, which gets the locks. */
static bool file_reopen(BlockNode *bs, bool read_only, Error **errp)
{
    FileNode *f = downcast(bs, FileNode, bs);
    FileLocks held = f->locks, none = { 0 };
    int old = f->fd, fd = qemu_open(f->name, open_flags(f, read_only), 0);
    struct stat a, b;

    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not open '%s'", f->name);
        return false;
    }
    if (fstat(old, &a) < 0 || fstat(fd, &b) < 0 || a.st_dev != b.st_dev || a.st_ino != b.st_ino) {
        error_setg(errp, "'%s' is another file now", f->name);
        close(fd);
        return false;
    }
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    if (f->lock_works) {
        file_lock_set(old, f->name, &f->locks, none, NULL);
    }
    f->fd = fd;
    if (!file_set_perm(bs, BLOCK_PERM_READ | (read_only ? 0 : BLOCK_PERM_WRITE), 0, errp)) {
        f->fd = old;
        file_lock_set(old, f->name, &f->locks, held, NULL);
        close(fd);
        return false;
    }
    close(old);
    if (!f->is_blkdev) {
        /* Who has a format in it writes behind the end. */
        __atomic_store_n(&bs->length, QEMU_ALIGN_UP((uint64_t)b.st_size, BDRV_SECTOR_SIZE),
                         __ATOMIC_RELEASE);
    }
    return true;
}

static int fill_with_zeroes(int fd, uint64_t size)
{
    g_autofree uint8_t *zeroes = g_malloc0(MiB);
    int ret = 0;

    for (uint64_t pos = 0; ret == 0 && pos < size; pos += MiB) {
        ret = qemu_write_full(fd, zeroes, MIN(MiB, size - pos));
    }
    return ret;
}

/* The space that a new file has from the start. */
static bool preallocate(int fd, const char *mode, uint64_t size, Error **errp)
{
    int ret;

    if (!mode || !strcmp(mode, "off") || !size) {
        return true;
    }
    if (!strcmp(mode, "falloc")) {
        ret = fallocate(fd, 0, 0, size) < 0 ? -errno : 0;
    } else {
        ret = fill_with_zeroes(fd, size);
    }
    if (ret == 0 && fsync(fd) < 0) {
        ret = -errno;
    }
    if (ret < 0) {
        error_setg_errno(errp, -ret, "Could not preallocate data for the new file");
    }
    return ret == 0;
}

/* Those who have the file open are asked before it is emptied. */
static bool create_at(int fd, const char *name, uint64_t size, const char *prealloc, Error **errp)
{
    FileLocks held = { 0 }, want = { BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE,
                                     BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE };
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error_setg(errp, "'%s' is not a regular file", name);
        return false;
    }
    if (!file_lock_set(fd, name, &held, want, errp)) {
        return false;
    }
    if (ftruncate(fd, 0) < 0 || ftruncate(fd, size) < 0) {
        error_setg_errno(errp, errno, "Could not resize file");
        return false;
    }
    return preallocate(fd, prealloc, size, errp);
}

static bool file_create(BlockNode *file, QemuOpts *opts, Error **errp)
{
    g_autofree char *name = qemu_opt_take(opts, "filename"), *size = qemu_opt_take(opts, "size");
    g_autofree char *prealloc = qemu_opt_take(opts, "preallocation");
    uint64_t bytes = size ? g_ascii_strtoull(size, NULL, 10) : 0;
    bool ok;
    int fd;

    if (!name || !size || bytes > INT64_MAX || opts->opts->len) {
        error_setg(errp, opts->opts->len ? "Driver 'file' creates with filename, size and "
                   "preallocation alone" : "Parameters 'filename' and 'size' are needed");
        return false;
    }
    if (prealloc && strcmp(prealloc, "off") && strcmp(prealloc, "falloc") &&
        strcmp(prealloc, "full")) {
        error_setg(errp, "Preallocation mode '%s' is not supported", prealloc);
        return false;
    }
    fd = qemu_open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0644);
    if (fd < 0) {
        error_setg_errno(errp, errno, "Could not create '%s'", name);
        return false;
    }
    ok = create_at(fd, name, bytes, prealloc, errp);
    close(fd);
    return ok;
}

static void file_copy_options(BlockNode *to, const BlockNode *from)
{
    const FileNode *f = downcast(from, const FileNode, bs);

    downcast(to, FileNode, bs)->name = g_strdup(f->name);
    downcast(to, FileNode, bs)->aio = f->aio;
    downcast(to, FileNode, bs)->locking = f->locking;
}

static int file_truncate(BlockNode *bs, uint64_t size)
{
    FileNode *f = downcast(bs, FileNode, bs);

    if (f->is_blkdev) {
        int64_t length = get_length(f);

        /* The device was resized by its owner, we only follow. */
        if (length < 0 || (uint64_t)length < size) {
            return length < 0 ? length : -EINVAL;
        }
    } else {
        int ret;

        /* Not between the parts of a write to the last block. */
        g_mutex_lock(&f->rmw_lock);
        ret = ftruncate(f->fd, size) < 0 ? -errno : 0;
        g_mutex_unlock(&f->rmw_lock);
        if (ret < 0) {
            return ret;
        }
    }
    __atomic_store_n(&bs->length, size, __ATOMIC_RELEASE);
    return 0;
}

/* Requests ----------------------------------------------------------------- */

/* The ring, made at first use; NULL: worker threads it is. */
static BlockEngine *ring(FileNode *f)
{
    int err;

    if (!f->bs.engine && !f->no_uring && f->aio != AIO_THREADS) {
        f->bs.engine = block_io_uring_new(&f->bs, f->fd, &err);
        f->no_uring = !f->bs.engine;
    }
    return f->bs.engine;
}

static void file_prepare(BlockNode *bs)
{
    ring(downcast(bs, FileNode, bs));
}

static void file_submit(BlockNode *bs, BlockRequest *req)
{
    FileNode *f = downcast(bs, FileNode, bs);
    BlockEngine *e = NULL;
    int ret;

    switch (req->node_op) {
    case BLOCK_OP_FLUSH:
        ret = block_flush_result(bs);
        if (bs->no_flush || bs->is_ro || ret < 0) {
            block_request_done(req, bs->no_flush ? 0 : ret);
            return;
        }
        e = ring(f);
        break;
    case BLOCK_OP_READ:
    case BLOCK_OP_WRITE:
        if (bs->no_flush) {
            req->node_flags &= ~BLOCK_REQ_FUA;
        }
        if (file_request_is_aligned(bs, req)) {
            e = ring(f);
        }
        break;
    default:
        break;
    }
    if (!e) {
        e = block_pool(bs);
    }
    e->ops->submit(e, req);
}

/* What the file system says: for a block device it is all data. */
static bool file_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    FileNode *f = downcast(bs, FileNode, bs);
    off_t data = lseek(f->fd, pos, SEEK_DATA), hole;

    *n = bytes;
    if (data < 0) {
        return errno == ENXIO && !f->is_blkdev;     /* no more of it up to the end */
    }
    if ((uint64_t)data > pos) {
        *n = MIN(bytes, data - pos);
        return true;
    }
    hole = lseek(f->fd, pos, SEEK_HOLE);
    *n = hole > data ? MIN(bytes, (uint64_t)hole - pos) : bytes;
    return false;
}

static const char *const aio_names[] = { "threads", "native", "io_uring", NULL };

static const Property file_props[] = {
    DEFINE_PROP_STRING("filename", FileNode, name, NULL, "path of the image"),
    DEFINE_PROP_ENUM("aio", FileNode, aio, &aio_names, "io_uring",
                     "how to wait for the host (native: the same as io_uring)"),
    DEFINE_PROP_ON_OFF_AUTO("locking", FileNode, locking, "auto",
                            "lock the image against other processes"),
    DEFINE_PROP_IGNORED("pr-manager", "accepted, without effect"),
    DEFINE_PROP_IGNORED("drop-cache", "accepted, without effect"),
    DEFINE_PROP_IGNORED("aio-max-batch", "accepted, without effect"),
    DEFINE_PROP_END
};

const BlockDriver block_file = {
    .oc = {
        .name = "file",
        .alias = "host_device",
        .desc = "Files and block devices of the host",
        .parent = &block_node_base_class,
        .instance_size = sizeof(FileNode),
        .props = file_props,
    },
    .is_protocol = true,
    .copy_options = file_copy_options,
    .open = file_open,
    .close = file_close,
    .submit = file_submit,
    .prepare = file_prepare,
    .run = file_run,
    .truncate = file_truncate,
    .set_perm = file_set_perm,
    .reopen = file_reopen,
    .inactivate = IMAGE_HANDOVER(file_inactivate),
    .activate = IMAGE_HANDOVER(file_activate),
    .create = file_create,
    .reads_zero = IMAGE_JOBS(file_reads_zero),
};
DEFINE_CLASS(block_file, &block_file.oc);
