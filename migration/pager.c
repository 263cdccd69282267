/*
 * Pages of RAM that come when somebody touches them: by userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "pager.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"
#include "userfaultfd.h"

static struct uffdio_range range_of(const Pager *p, uint64_t offset, uint64_t len)
{
    return (struct uffdio_range) { (uintptr_t)p->ram->host + offset, len };
}

/*
 * Huge pages that others may map, too, can only be split if nobody else is at it, and a piece that
 * was to go would stay as zeros. Private ones are merely not mapped any more.
 */
static void prepare(Pager *p)
{
    const HostMemoryBackend *b = p->ram;

    for (unsigned i = 0; i < MAX(b->nr_parts, 1); i++) {
        const HostMemoryBackend *part = b->parts ? b->parts[i] : b;

        if (part->share) {
            madvise(part->host, part->size, MADV_NOHUGEPAGE);
        }
    }
}

static int begin(Pager *p)
{
    struct uffdio_register reg = {
        .range = range_of(p, 0, p->ram->size), .mode = UFFDIO_REGISTER_MODE_MISSING,
    };

    return ioctl(p->fd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

static void end(Pager *p)
{
    struct uffdio_range range = range_of(p, 0, p->ram->size);

    ioctl(p->fd, UFFDIO_UNREGISTER, &range);
}

static int discard(Pager *p, uint64_t offset, uint64_t len)
{
    return host_memory_backend_discard(p->ram, (char *)p->ram->host + offset, len) ? 0 : -EINVAL;
}

/* Without data: zeros. How many bytes are there now, or negative errno. */
static int64_t fill_some(Pager *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
    struct uffdio_zeropage zero = { .range = range_of(p, offset, len) };
    struct uffdio_copy copy = {
        .dst = (uintptr_t)p->ram->host + offset, .src = (uintptr_t)data, .len = len,
    };
    int ret = data ? ioctl(p->fd, UFFDIO_COPY, &copy) : ioctl(p->fd, UFFDIO_ZEROPAGE, &zero);
    int64_t done = data ? copy.copy : zero.zeropage;

    return ret == 0 || (errno == EAGAIN && done > 0) ? done : errno == EAGAIN ? 0 : -errno;
}

/* Whoever began to wait when the page had just come is not woken by that. */
static void wake(Pager *p, uint64_t offset, uint64_t len)
{
    struct uffdio_range range = range_of(p, offset, len);

    ioctl(p->fd, UFFDIO_WAKE, &range);
}

static int fill(Pager *p, uint64_t offset, const uint8_t *data, uint64_t len)
{
    while (len) {
        int64_t n = fill_some(p, offset, data, len);

        if (n < 0) {
            wake(p, offset, len);
            return n;
        }
        offset += n;
        len -= n;
        data = data ? data + n : NULL;
    }
    return 0;
}

static int next(Pager *p, uint64_t *offset)
{
    return userfaultfd_next(p->fd, p->ram->host, p->ram->size, offset);
}

static void pager_free(Pager *p)
{
    close(p->fd);
    g_free(p);
}

static const PagerOps userfaultfd_ops = {
    .prepare = prepare, .begin = begin, .end = end, .discard = discard, .fill = fill, .next = next,
    .free = pager_free,
};

/* What cannot be taken away page by page, or would show a file's contents in place of nothing. */
static bool check_kind(const HostMemoryBackend *b, Error **errp)
{
    bool ok = true;

    for (unsigned i = 0; i < b->nr_parts && ok; i++) {
        ok = check_kind(b->parts[i], errp);
    }
    if (!ok) {
        return false;
    }
    if (b->page_size != FORMAT_PAGE) {
        error_setg(errp, "memory in huge pages cannot come page by page");
    } else if (b->fd >= 0 && !b->share) {
        error_setg(errp, "memory that is a private mapping of a file cannot come page by page");
    } else {
        return true;
    }
    return false;
}

static bool shake_hands(Pager *p, Error **errp)
{
    struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MISSING_SHMEM };
    int ret = ioctl(p->fd, UFFDIO_API, &api) < 0 ? -errno : begin(p);

    if (ret) {
        error_setg_errno(errp, -ret, "this kind of memory cannot come page by page here");
        return false;
    }
    end(p);
    return true;
}

Pager *pager_new(HostMemoryBackend *ram, Error **errp)
{
    Pager *p;
    int fd;

    if (!check_kind(ram, errp)) {
        return NULL;
    }
    fd = userfaultfd_open(errp);
    if (fd < 0) {
        return NULL;
    }
    p = g_new(Pager, 1);
    *p = (Pager) { .ops = &userfaultfd_ops, .fd = fd, .ram = ram };
    if (!shake_hands(p, errp)) {
        pager_free(p);
        return NULL;
    }
    return p;
}
