/*
 * Pages of RAM that somebody is about to write to: by userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "write-tracker.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "format.h"
#include "userfaultfd.h"

/* Older headers do not have them. */
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1u << 12)      /* Linux 5.19 */
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1u << 13)          /* Linux 6.4 */
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22                           /* Linux 5.14 */
#endif

#define MISFIT "Background-snapshot is not compatible with guest memory configuration"

static struct uffdio_range range_of(const WriteTracker *t, uint64_t offset, uint64_t len)
{
    return (struct uffdio_range) { (uintptr_t)t->ram->host + offset, len };
}

static const HostMemoryBackend *part_of(const WriteTracker *t, unsigned i)
{
    return t->ram->parts ? t->ram->parts[i] : t->ram;
}

/* Nobody can get a page meanwhile: not all of it at once. */
#define ADVISED_AT_ONCE (16u << 20)

static void advise_part(const HostMemoryBackend *part, int advice)
{
    for (uint64_t offset = 0; offset < part->size; offset += ADVISED_AT_ONCE) {
        madvise((char *)part->host + offset, MIN(part->size - offset, ADVISED_AT_ONCE), advice);
    }
}

static void advise_merging(const WriteTracker *t, int advice)
{
    for (unsigned i = 0; i < MAX(t->ram->nr_parts, 1); i++) {
        if (part_of(t, i)->merge) {
            advise_part(part_of(t, i), advice);
        }
    }
}

/* Private memory that was never touched: by the kernel's page of zeros. */
static void populate(void *host, uint64_t size)
{
    if (madvise(host, size, MADV_POPULATE_READ) == 0) {
        return;
    }
    for (uint64_t offset = 0; offset < size; offset += FORMAT_PAGE) {
        *((volatile const uint8_t *)host + offset);
    }
}

static void settle(WriteTracker *t)
{
    advise_merging(t, MADV_MERGEABLE);
}

static int enlist(WriteTracker *t)
{
    struct uffdio_register reg = {
        .range = range_of(t, 0, t->ram->size), .mode = UFFDIO_REGISTER_MODE_WP,
    };

    return ioctl(t->fd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

/* A page that the kernel merges with another one meanwhile would not be protected any more. */
static int prepare(WriteTracker *t)
{
    int ret;

    advise_merging(t, MADV_UNMERGEABLE);
    for (unsigned i = 0; i < MAX(t->ram->nr_parts, 1) && t->populate; i++) {
        const HostMemoryBackend *part = part_of(t, i);

        if (!part->share) {
            populate(part->host, part->size);
        }
    }
    ret = enlist(t);
    if (ret) {
        settle(t);
    }
    return ret;
}

static int set_protection(WriteTracker *t, uint64_t offset, uint64_t len, uint64_t mode)
{
    struct uffdio_writeprotect wp = { .range = range_of(t, offset, len), .mode = mode };
    int ret;

    /* The kernel was interrupted by a change of mappings: it begins again. */
    do {
        ret = ioctl(t->fd, UFFDIO_WRITEPROTECT, &wp);
    } while (ret < 0 && errno == EAGAIN);
    return ret < 0 ? -errno : 0;
}

static int protect(WriteTracker *t, uint64_t offset, uint64_t len)
{
    return set_protection(t, offset, len, UFFDIO_WRITEPROTECT_MODE_WP);
}

static int allow(WriteTracker *t, uint64_t offset, uint64_t len)
{
    return set_protection(t, offset, len, 0);
}

/* The kernel wakes only those by itself who wait for a page that is missing. */
static void lift(WriteTracker *t)
{
    struct uffdio_range range = range_of(t, 0, t->ram->size);

    ioctl(t->fd, UFFDIO_UNREGISTER, &range);
    ioctl(t->fd, UFFDIO_WAKE, &range);
}

static int next(WriteTracker *t, uint64_t *offset)
{
    return userfaultfd_next(t->fd, t->ram->host, t->ram->size, offset);
}

static void tracker_free(WriteTracker *t)
{
    g_free(t);
}

static const WriteTrackerOps userfaultfd_ops = {
    .prepare = prepare, .settle = settle, .protect = protect, .lift = lift, .allow = allow,
    .next = next, .free = tracker_free,
};

/* Why that memory cannot be protected page by page; NULL: it can. */
static const char *unfit(const HostMemoryBackend *b)
{
    const char *why = NULL;

    for (unsigned i = 0; i < b->nr_parts && !why; i++) {
        why = unfit(b->parts[i]);
    }
    if (!why && b->page_size != FORMAT_PAGE) {
        why = "memory in huge pages";
    } else if (!why && !b->share && (b->fd >= 0 || b->had_contents)) {
        why = "memory that is a private mapping of a file";
    }
    return why;
}

static bool has_shared(const HostMemoryBackend *b)
{
    bool shared = b->share;

    for (unsigned i = 0; i < b->nr_parts; i++) {
        shared |= has_shared(b->parts[i]);
    }
    return shared;
}

/* A descriptor learns it once: what is asked for and not there is refused, and asked without. */
static bool shake_hands(WriteTracker *t)
{
    static const uint64_t features[] = {
        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
            UFFD_FEATURE_WP_UNPOPULATED,
        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
        UFFD_FEATURE_PAGEFAULT_FLAG_WP,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        struct uffdio_api api = { .api = UFFD_API, .features = features[i] };

        if (ioctl(t->fd, UFFDIO_API, &api) == 0) {
            t->populate = !(features[i] & UFFD_FEATURE_WP_UNPOPULATED);
            return !has_shared(t->ram) || features[i] & UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
        }
    }
    return false;
}

bool write_tracker_fits(const HostMemoryBackend *ram, Error **errp)
{
    const char *why = unfit(ram);

    if (why) {
        error_setg(errp, MISFIT ": %s", why);
    }
    return !why;
}

/* Files of most kinds cannot be protected, mapped or not. */
static bool try_once(WriteTracker *t, Error **errp)
{
    int ret = enlist(t);

    if (ret) {
        error_setg_errno(errp, -ret, MISFIT);
        return false;
    }
    lift(t);
    return true;
}

WriteTracker *write_tracker_new(HostMemoryBackend *ram, int fd, Error **errp)
{
    WriteTracker *t = g_new(WriteTracker, 1);
    bool ok;

    *t = (WriteTracker) { .ops = &userfaultfd_ops, .fd = fd, .ram = ram };
    ok = shake_hands(t);
    if (!ok) {
        error_setg(errp, "Background-snapshot is not supported by host kernel");
    } else {
        ok = try_once(t, errp);
    }
    if (!ok) {
        tracker_free(t);
    }
    return ok ? t : NULL;
}
