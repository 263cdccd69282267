/*
 * Preloaded into the emulator: writes down what it does to a disk image, so that a test
 * can cut the power at any point; or makes the host fail.
 *
 * IO_INODE=N: the image is the file with this inode.
 * IO_LOG=FILE gets records in the order of completion: u64 kind, position or log index,
 * length; then data.
 *   'W' data was written at a position (kind 'S': and was on the medium before the call
 *       returned)
 *   'F' all records before this index are on the medium
 *   'C' text went to standard output
 * IO_SHORT=1: each second vectored transfer ends early, each third is interrupted.
 * IO_FAIL="OP ERRNO FIRST COUNT": of the image's reads (OP r), writes (w) or flushes (f)
 *   the FIRSTth and COUNT - 1 after it fail.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define MAX_IOV 1024

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_fd = -1;
static uint64_t inode, records;
static unsigned short_mode, transfers;
static struct {
    char op;
    int error;
    unsigned first, count, seen;
} fail;

__attribute__((constructor)) static void shim_init(void)
{
    const char *path = getenv("IO_LOG"), *number = getenv("IO_INODE"), *text = getenv("IO_FAIL");

    if (path) {
        log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    inode = number ? strtoull(number, NULL, 10) : 0;
    short_mode = getenv("IO_SHORT") != NULL;
    if (text && sscanf(text, "%c %d %u %u", &fail.op, &fail.error, &fail.first,
                       &fail.count) != 4) {
        abort();
    }
}

static int is_image(int fd)
{
    struct stat st;

    return inode && !fstat(fd, &st) && st.st_ino == inode && S_ISREG(st.st_mode);
}

/* True, and errno is set, if this one of the image's operations shall fail. */
static int fails(int fd, char op)
{
    unsigned n;

    if (op != fail.op || !is_image(fd)) {
        return 0;
    }
    n = __atomic_add_fetch(&fail.seen, 1, __ATOMIC_RELAXED);
    errno = fail.error;
    return n >= fail.first && n - fail.first < fail.count;
}

/* Lock held. A log with a hole would prove nothing. */
static void put(const void *data, size_t len)
{
    if (REAL(write)(log_fd, data, len) != (ssize_t)len) {
        abort();
    }
}

static void record(uint64_t kind, uint64_t pos, const struct iovec *iov, int cnt, size_t len)
{
    uint64_t head[3] = { kind, pos, len };

    if (log_fd < 0) {
        return;
    }
    pthread_mutex_lock(&lock);
    put(head, sizeof(head));
    for (int i = 0; i < cnt && len; i++) {
        size_t n = iov[i].iov_len < len ? iov[i].iov_len : len;

        put(iov[i].iov_base, n);
        len -= n;
    }
    records++;
    pthread_mutex_unlock(&lock);
}

/* What the transfer shall be: -1 with errno set, or iov (perhaps a copy) cut to *cnt. */
static int spoil(const struct iovec **iov, int *cnt, struct iovec *copy)
{
    unsigned n = __atomic_add_fetch(&transfers, 1, __ATOMIC_RELAXED);

    if (!short_mode || *cnt > MAX_IOV) {
        return 0;
    }
    if (n % 3 == 0) {
        errno = n % 2 ? EINTR : EAGAIN;
        return -1;
    }
    if (n % 2 == 0 && (*iov)[0].iov_len >= 1024) {
        copy[0] = (*iov)[0];
        copy[0].iov_len = copy[0].iov_len / 1024 * 512 + n % 511;
        *iov = copy;
        *cnt = 1;
    }
    return 0;
}

ssize_t preadv64v2(int fd, const struct iovec *iov, int cnt, off64_t pos, int flags)
{
    struct iovec copy[1];

    return fails(fd, 'r') || spoil(&iov, &cnt, copy) ? -1
           : REAL(preadv64v2)(fd, iov, cnt, pos, flags);
}

/* Written and written down from one copy: guests may change a page while it goes out. */
static ssize_t write_copy(int fd, const struct iovec *iov, int cnt, off64_t pos, int flags)
{
    struct iovec all = { NULL, 0 };
    size_t done = 0;
    ssize_t ret;

    for (int i = 0; i < cnt; i++) {
        all.iov_len += iov[i].iov_len;
    }
    all.iov_base = malloc(all.iov_len + 1);
    if (!all.iov_base) {
        abort();
    }
    for (int i = 0; i < cnt; i++) {
        memcpy((char *)all.iov_base + done, iov[i].iov_base, iov[i].iov_len);
        done += iov[i].iov_len;
    }
    ret = REAL(pwritev64v2)(fd, &all, 1, pos, flags);
    if (ret > 0) {
        record(flags & RWF_DSYNC ? 'S' : 'W', pos, &all, 1, ret);
    }
    free(all.iov_base);
    return ret;
}

ssize_t pwritev64v2(int fd, const struct iovec *iov, int cnt, off64_t pos, int flags)
{
    struct iovec copy[1];

    if (fails(fd, 'w') || spoil(&iov, &cnt, copy)) {
        return -1;
    }
    return log_fd >= 0 && is_image(fd) ? write_copy(fd, iov, cnt, pos, flags)
                        : REAL(pwritev64v2)(fd, iov, cnt, pos, flags);
}

ssize_t pwrite64(int fd, const void *buf, size_t len, off64_t pos)
{
    ssize_t ret = REAL(pwrite64)(fd, buf, len, pos);

    if (ret > 0 && is_image(fd)) {
        struct iovec iov = { (void *)buf, ret };

        record('W', pos, &iov, 1, ret);
    }
    return ret;
}

int fdatasync(int fd)
{
    uint64_t before;
    int ret;

    if (fails(fd, 'f')) {
        return -1;
    }
    pthread_mutex_lock(&lock);
    before = records;
    pthread_mutex_unlock(&lock);
    ret = REAL(fdatasync)(fd);
    if (ret == 0 && is_image(fd)) {
        record('F', before, NULL, 0, 0);
    }
    return ret;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    if (fd == STDOUT_FILENO) {
        struct iovec iov = { (void *)buf, len };

        record('C', 0, &iov, 1, len);
    }
    return REAL(write)(fd, buf, len);
}
