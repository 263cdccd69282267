/*
 * RAM in a stream: pages, and ranges that are zeros.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"
#include "qemu/cutils.h"

/* Writing ------------------------------------------------------------------------ */

/* Wait until so much may have been sent; 0 or -ECANCELED. */
static int keep_bandwidth(SectionWriter *w)
{
    uint64_t limit = *w->max_bandwidth;
    struct pollfd pfd = { .fd = w->c->hurry.fd, .events = POLLIN };
    int64_t ahead;

    if (!limit) {
        return 0;
    }
    ahead = (double)w->counters->transferred / limit * 1e6 -
            (g_get_monotonic_time() - w->started);
    if (ahead < 1000) {
        return 0;
    }
    return poll(&pfd, 1, MIN(ahead / 1000, 3600000)) > 0 ? -ECANCELED : 0;
}

int section_write(SectionWriter *w, SectionType type, const void *head, size_t head_len,
                  const void *data, size_t len)
{
    SectionHeader h;
    int ret;

    format_make_section(&h, type, head_len + len,
                        format_crc(format_crc(0, head, head_len), data, len));
    ret = channel_write(w->c, &h, sizeof(h));
    if (!ret && head_len) {
        ret = channel_write(w->c, head, head_len);
    }
    if (!ret && len) {
        ret = channel_write(w->c, data, len);
    }
    w->sections++;
    atomic_fetch_add(&w->counters->transferred, sizeof(h) + head_len + len);
    return ret ? ret : keep_bandwidth(w);
}

/* How many bytes from p on are pages of the same kind, up to max. */
static uint64_t run_length(const uint8_t *p, uint64_t max, bool zero)
{
    uint64_t len = FORMAT_PAGE;

    while (len < max && buffer_is_zero(p + len, FORMAT_PAGE) == zero) {
        len += FORMAT_PAGE;
    }
    return len;
}

int ram_write(SectionWriter *w, const uint8_t *ram, uint64_t size)
{
    int ret = 0;

    for (uint64_t offset = 0, len; offset < size && !ret; offset += len) {
        bool zero = buffer_is_zero(ram + offset, FORMAT_PAGE);
        /* Zeros in steps, too: somebody may want us to end. */
        uint64_t max = MIN(size - offset, zero ? 64 * FORMAT_MAX_PAGES : FORMAT_MAX_PAGES);

        len = run_length(ram + offset, max, zero);
        if (zero) {
            ret = section_write(w, SECTION_ZERO, &offset, sizeof(offset), &len, sizeof(len));
            atomic_fetch_add(&w->counters->duplicate, len / FORMAT_PAGE);
        } else {
            ret = section_write(w, SECTION_PAGES, &offset, sizeof(offset), ram + offset, len);
            atomic_fetch_add(&w->counters->normal, len / FORMAT_PAGE);
        }
        atomic_fetch_add(&w->counters->done, len);
    }
    return ret;
}

int ram_write_image(SectionWriter *w, const uint8_t *ram, uint64_t size, uint64_t start)
{
    int ret = ftruncate(w->c->fd, start + size) < 0 ? -errno : 0;

    for (uint64_t offset = 0, len; offset < size && !ret; offset += len) {
        bool zero = buffer_is_zero(ram + offset, FORMAT_PAGE);

        len = run_length(ram + offset, MIN(size - offset, 16 * FORMAT_MAX_PAGES), zero);
        if (!zero) {
            ret = lseek(w->c->fd, start + offset, SEEK_SET) < 0 ? -errno :
                channel_write(w->c, ram + offset, len);
            atomic_fetch_add(&w->counters->transferred, len);
        }
        atomic_fetch_add(zero ? &w->counters->duplicate : &w->counters->normal,
                         len / FORMAT_PAGE);
        atomic_fetch_add(&w->counters->done, len);
        ret = ret ? ret : keep_bandwidth(w);
    }
    return ret;
}

/* Loading ------------------------------------------------------------------------- */

/* Is it the next piece of RAM, in whole pages? */
static bool check_range(const RamLoader *l, uint64_t offset, uint64_t len, Error **errp)
{
    if (offset % FORMAT_PAGE || len % FORMAT_PAGE || !len || offset < l->next ||
        offset > l->size || len > l->size - offset) {
        error_setg(errp, "pages that RAM does not have, or has already");
        return false;
    }
    return true;
}

static void clear(RamLoader *l, uint64_t offset, uint64_t len)
{
    if (!l->fresh) {
        memset(l->ram + offset, 0, len);
    }
}

bool ram_load_pages(RamLoader *l, const uint8_t *data, size_t len, Error **errp)
{
    uint64_t offset;

    if (len <= sizeof(offset)) {
        error_setg(errp, "pages are missing");
        return false;
    }
    memcpy(&offset, data, sizeof(offset));
    len -= sizeof(offset);
    if (!check_range(l, offset, len, errp)) {
        return false;
    }
    clear(l, l->next, offset - l->next);
    memcpy(l->ram + offset, data + sizeof(offset), len);
    l->next = offset + len;
    return true;
}

bool ram_load_zero(RamLoader *l, const uint8_t *data, size_t len, Error **errp)
{
    uint64_t range[2];

    if (len != sizeof(range)) {
        error_setg(errp, "a range of zeros is cut off");
        return false;
    }
    memcpy(range, data, sizeof(range));
    if (!check_range(l, range[0], range[1], errp)) {
        return false;
    }
    clear(l, l->next, range[0] + range[1] - l->next);
    l->next = range[0] + range[1];
    return true;
}

/* Beyond a file's end there is no memory: who touches it gets a signal. */
static bool check_image(const RamLoader *l, int fd, uint64_t offset, Error **errp)
{
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        error_setg(errp, "a machine whose RAM is mapped can only come from a file");
    } else if (!offset || offset % FORMAT_IMAGE_ALIGN || offset > INT64_MAX - l->size ||
               (uint64_t)st.st_size < offset + l->size) {
        error_setg(errp, "the saved machine is cut off");
    } else {
        return true;
    }
    return false;
}

bool ram_load_image(RamLoader *l, Channel *c, uint64_t offset, Error **errp)
{
    ssize_t n;

    if (!check_image(l, c->fd, offset, errp)) {
        return false;
    }
    if (l->replaceable &&
        mmap(l->ram, l->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE,
             c->fd, offset) != MAP_FAILED) {
        l->replaced = true;
        return true;
    }
    n = lseek(c->fd, offset, SEEK_SET) < 0 ? -errno : channel_read(c, l->ram, l->size);
    if (n < 0 || (uint64_t)n < l->size) {
        error_setg_errno(errp, n < 0 ? -n : EIO, "cannot read the saved machine");
        return false;
    }
    return true;
}
