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

static bool is_interrupted(const SectionWriter *w)
{
    return w->interrupt && atomic_load(w->interrupt);
}

/* What was sent is a debt that time pays off. The limit may be another one soon. */
unsigned bandwidth_due(SectionWriter *w, uint64_t bytes)
{
    uint64_t limit = *w->max_bandwidth;
    int64_t now = g_get_monotonic_time();
    double paid = (double)(now - w->paid_at) * limit / 1e6;

    w->debt += bytes;
    w->paid_at = now;
    w->debt = !limit || paid >= w->debt ? 0 : w->debt - paid;
    /* Less than 1 ms ahead does not count. */
    return w->debt * 1000 <= limit ? 0 : CLAMP(w->debt * 1000 / limit, 1, 50);
}

/* 0 or -ECANCELED. */
static int keep_bandwidth(SectionWriter *w, uint64_t bytes)
{
    struct pollfd pfd = { .fd = w->c->hurry.fd, .events = POLLIN };
    unsigned ms;

    while (!w->rush && (ms = bandwidth_due(w, bytes)) && !is_interrupted(w)) {
        if (poll(&pfd, 1, ms) > 0) {
            return -ECANCELED;
        }
        bytes = 0;
    }
    return 0;
}

static int put_section(SectionWriter *w, SectionHeader *h, const void *head, size_t head_len,
                       const void *data, size_t len)
{
    struct iovec iov[3] = { { h, sizeof(*h) } };
    unsigned n = 1;
    int ret;

    if (head_len) {
        iov[n++] = (struct iovec) { (void *)head, head_len };
    }
    if (len) {
        iov[n++] = (struct iovec) { (void *)data, len };
    }
    ret = channel_writev(w->c, iov, n);
    w->sections++;
    atomic_fetch_add(&w->counters->transferred, sizeof(*h) + head_len + len);
    return ret ? ret : keep_bandwidth(w, sizeof(*h) + head_len + len);
}

int section_write(SectionWriter *w, SectionType type, const void *head, size_t head_len,
                  const void *data, size_t len)
{
    SectionHeader h;

    format_make_section(&h, type, head_len + len,
                        format_crc(format_crc(0, head, head_len), data, len));
    return put_section(w, &h, head, head_len, data, len);
}

int machine_write_begin(SectionWriter *w, uint32_t layout, uint64_t ram_size,
                        const char *fingerprint)
{
    FormatHeader h;
    int ret;

    format_make_header(&h, layout, ram_size);
    ret = channel_write(w->c, &h, sizeof(h));
    return ret ? ret : section_write(w, SECTION_FINGERPRINT, NULL, 0, fingerprint,
                                     strlen(fingerprint));
}

int machine_write_end(SectionWriter *w)
{
    uint32_t n = w->sections;

    return section_write(w, SECTION_END, NULL, 0, &n, sizeof(n));
}

/* Of pages that the guest writes to no check sum would be right when they are sent. */
static int write_run(SectionWriter *w, uint64_t offset, const uint8_t *data, uint64_t len)
{
    SectionHeader h;

    if (!w->moving) {
        return section_write(w, SECTION_PAGES, &offset, sizeof(offset), data, len);
    }
    format_make_unsummed(&h, sizeof(offset) + len);
    return put_section(w, &h, &offset, sizeof(offset), data, len);
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

static bool is_wanted(const uint64_t *pages, uint64_t n)
{
    return pages[n / 64] >> n % 64 & 1;
}

uint64_t ram_next_page(const uint64_t *pages, uint64_t n, uint64_t end)
{
    while (pages && n < end && !is_wanted(pages, n)) {
        uint64_t word = pages[n / 64] >> n % 64;

        n = word ? n + __builtin_ctzll(word) : (n | 63) + 1;
    }
    return MIN(n, end);
}

/* How many from n on are, up to max. */
static uint64_t wanted_run(const uint64_t *pages, uint64_t n, uint64_t max)
{
    uint64_t run = pages ? 1 : max;

    while (run < max && is_wanted(pages, n + run)) {
        run += (n + run) % 64 || pages[(n + run) / 64] != UINT64_MAX ? 1 : 64;
    }
    return MIN(run, max);
}

/* A run of wanted pages of one kind from page n on; its length in *pages_done. */
static int write_from(SectionWriter *w, const uint8_t *ram, uint64_t n, uint64_t max,
                      uint64_t *pages_done)
{
    uint64_t offset = n * FORMAT_PAGE, len = max * FORMAT_PAGE;
    bool zero = buffer_is_zero(ram + offset, FORMAT_PAGE);
    int ret;

    len = run_length(ram + offset, zero ? len : MIN(len, FORMAT_MAX_PAGES), zero);
    ret = zero ? section_write(w, SECTION_ZERO, &offset, sizeof(offset), &len, sizeof(len))
               : write_run(w, offset, ram + offset, len);
    *pages_done = len / FORMAT_PAGE;
    atomic_fetch_add(zero ? &w->counters->duplicate : &w->counters->normal, *pages_done);
    atomic_fetch_sub(&w->counters->remaining, len);
    return ret;
}

int ram_write_run(SectionWriter *w, const uint8_t *ram, const uint64_t *pages, uint64_t n,
                  uint64_t max, uint64_t *done)
{
    return write_from(w, ram, n, wanted_run(pages, n, max), done);
}

int ram_write_pages(SectionWriter *w, const uint8_t *ram, uint64_t size, const uint64_t *pages,
                    uint64_t *reached)
{
    uint64_t end = size / FORMAT_PAGE, n = ram_next_page(pages, 0, end), run;
    int ret = 0;

    while (n < end && !ret && !is_interrupted(w)) {
        /* Zeros in steps, too: somebody may want us to end. */
        uint64_t max = MIN(end - n, 64 * FORMAT_MAX_PAGES / FORMAT_PAGE);

        ret = ram_write_run(w, ram, pages, n, max, &run);
        n = ram_next_page(pages, n + run, end);
    }
    *reached = n;
    return ret;
}

int ram_write(SectionWriter *w, const uint8_t *ram, uint64_t size)
{
    uint64_t reached;

    return ram_write_pages(w, ram, size, NULL, &reached);
}

int ram_write_image(SectionWriter *w, uint64_t place, const uint8_t *data, uint64_t len)
{
    int ret = lseek(w->c->fd, place, SEEK_SET) < 0 ? -errno : channel_write(w->c, data, len);

    atomic_fetch_add(&w->counters->transferred, len);
    return ret ? ret : keep_bandwidth(w, len);
}

int ram_truncate_image(SectionWriter *w, uint64_t end)
{
    return ftruncate(w->c->fd, end) < 0 ? -errno : 0;
}

static int write_extent(SectionWriter *w, const uint8_t *ram, FormatExtent e, uint64_t start)
{
    uint64_t end = e.offset + e.len;
    int ret = 0;

    for (uint64_t offset = e.offset, len; offset < end && !ret; offset += len) {
        bool zero = buffer_is_zero(ram + offset, FORMAT_PAGE);

        len = run_length(ram + offset, MIN(end - offset, 16 * FORMAT_MAX_PAGES), zero);
        ret = zero ? keep_bandwidth(w, 0) : ram_write_image(w, start + offset, ram + offset, len);
        atomic_fetch_add(zero ? &w->counters->duplicate : &w->counters->normal,
                         len / FORMAT_PAGE);
        atomic_fetch_sub(&w->counters->remaining, len);
    }
    return ret;
}

int ram_write_extents(SectionWriter *w, const uint8_t *ram, uint64_t size, uint64_t start,
                      const FormatExtent *extents, uint32_t n)
{
    int ret = ram_truncate_image(w, start + size);

    for (uint32_t i = 0; i < n && !ret; i++) {
        ret = write_extent(w, ram, extents[i], start);
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

/* What holds zeros already takes no memory for them. */
static void clear(RamLoader *l, uint64_t offset, uint64_t len)
{
    if (l->fresh) {
        return;
    }
    for (; len; offset += FORMAT_PAGE, len -= FORMAT_PAGE) {
        if (!buffer_is_zero(l->ram + offset, FORMAT_PAGE)) {
            memset(l->ram + offset, 0, FORMAT_PAGE);
        }
    }
}

/* In the first round pages that are left out are zeros, later what they are. */
static void pass_over(RamLoader *l, uint64_t to)
{
    if (!l->whole) {
        clear(l, l->next, to - l->next);
    }
}

uint8_t *ram_load_place(RamLoader *l, uint64_t offset, uint64_t len, Error **errp)
{
    if (!check_range(l, offset, len, errp)) {
        return NULL;
    }
    pass_over(l, offset);
    l->next = offset + len;
    return l->ram + offset;
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
    pass_over(l, range[0]);
    clear(l, range[0], range[1]);
    l->next = range[0] + range[1];
    return true;
}

bool ram_load_round(RamLoader *l, Error **errp)
{
    if (!ram_load_complete(l)) {
        error_setg(errp, "RAM is not complete");
        return false;
    }
    l->whole = true;
    l->fresh = false;
    l->next = 0;
    return true;
}

void ram_load_leave(RamLoader *l)
{
    pass_over(l, l->size);
    l->whole = true;
}

bool ram_load_complete(const RamLoader *l)
{
    return l->whole || l->next == l->size;
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

bool ram_load_layers(RamLoader *l, const Layers *layers, Error **errp)
{
    int ret = -EINVAL;

    if (!layers || layers->layer[0].ram_size != l->size) {
        error_setg(errp, "a machine that names its base can only come from a file");
        return false;
    }
    if (l->replaceable) {
        l->replaced = true;
        ret = layers_map(layers, l->ram);
    }
    ret = ret ? layers_read(layers, l->ram) : 0;
    if (ret) {
        error_setg_errno(errp, -ret, "cannot read the saved machine");
    }
    return !ret;
}
