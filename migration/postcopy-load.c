/*
 * Post-copy, where the guest arrives: what waits for a page asks for it, the reader puts it there.
 *
 * Nobody but the reader fills a page that is missing, and its bit goes when it is there: who finds
 * no bit where somebody waits knows that there are zeros, or that they wait no more.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "postcopy.h"

#include <errno.h>
#include <string.h>

#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/thread.h"
#include "userfaultfd.h"

bool postcopy_built(Error **errp)
{
    return true;
}

Postcopy *postcopy_new(Pager *pager)
{
    Postcopy *p = g_new0(Postcopy, 1);

    p->pager = pager;
    p->pages = pager->ram->size / FORMAT_PAGE;
    p->go.fd = p->stop.fd = -1;
    g_mutex_init(&p->lock);
    return p;
}

void postcopy_free(Postcopy *p)
{
    if (!p) {
        return;
    }
    postcopy_end(p);
    if (p->stop.fd >= 0) {
        event_notifier_cleanup(&p->stop);
    }
    if (p->go.fd >= 0) {
        event_notifier_cleanup(&p->go);
    }
    p->pager->ops->free(p->pager);
    g_mutex_clear(&p->lock);
    g_free(p->missing);
    g_free(p);
}

int postcopy_say(Postcopy *p, SectionType type, const void *data, size_t len)
{
    int ret;

    g_mutex_lock(&p->lock);
    ret = answer_write(p->c, type, data, len);
    g_mutex_unlock(&p->lock);
    return ret;
}

/* Who waits ---------------------------------------------------------------------------- */

static bool is_missing(Postcopy *p, uint64_t n)
{
    return atomic_load(&p->missing[n / 64]) >> n % 64 & 1;
}

/* What is missing comes; what is not and was never there are zeros. */
static int serve(Postcopy *p, uint64_t offset)
{
    int ret;

    if (is_missing(p, offset / FORMAT_PAGE)) {
        return postcopy_say(p, SECTION_REQUEST, &offset, sizeof(offset));
    }
    ret = p->pager->ops->fill(p->pager, offset, NULL, FORMAT_PAGE);
    return ret == -EEXIST ? 0 : ret;
}

/* Until it shall end. If the source cannot be asked any more the reader finds that, too. */
static gpointer ask_for_pages(gpointer opaque)
{
    Postcopy *p = opaque;
    uint64_t offset;
    int ret = 0;

    thread_confine(&migration_filter);
    if (!userfaultfd_wait(p->go.fd, p->stop.fd)) {
        return NULL;
    }
    while ((!ret || ret == -EAGAIN) && userfaultfd_wait(p->pager->fd, p->stop.fd)) {
        ret = p->pager->ops->next(p->pager, &offset);
        ret = ret ? ret : serve(p, offset);
    }
    return NULL;
}

bool postcopy_start(Postcopy *p, Error **errp)
{
    p->pager->ops->prepare(p->pager);
    if (event_notifier_init(&p->go) < 0 || event_notifier_init(&p->stop) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
        return false;
    }
    p->thread = thread_try_new("page-requests", ask_for_pages, p, NULL);
    if (!p->thread) {
        error_setg(errp, "no thread to be had");
    }
    return p->thread;
}

/* What is missing ----------------------------------------------------------------------- */

static bool begin(Postcopy *p, Error **errp)
{
    int ret;

    p->missing = g_try_malloc0(QEMU_ALIGN_UP(p->pages, 64) / 8);
    ret = p->missing ? p->pager->ops->begin(p->pager) : -ENOMEM;
    if (ret) {
        error_setg_errno(errp, -ret, "memory cannot come page by page");
    }
    p->begun = !ret;
    return p->begun;
}

/* Pages n … of a word: their bits are set first, for who touches them is to wait. */
static int miss_word(Postcopy *p, uint64_t n, uint64_t word)
{
    int ret = 0;

    atomic_store(&p->missing[n / 64], word);
    p->left += __builtin_popcountll(word);
    while (word && !ret) {
        unsigned first = __builtin_ctzll(word);
        unsigned count = ~(word >> first) ? __builtin_ctzll(~(word >> first)) : 64;

        ret = p->pager->ops->discard(p->pager, (n + first) * FORMAT_PAGE,
                                     (uint64_t)count * FORMAT_PAGE);
        word &= first + count < 64 ? -1ull << (first + count) : 0;
    }
    return ret;
}

/* Words of bits, behind those that were there; none beyond the end of RAM. */
static bool check_missing(const Postcopy *p, uint64_t first, const uint8_t *bits, size_t len)
{
    uint64_t n = len * 8, last;

    if (!len || len % sizeof(last) || first % 64 || first < p->next || first >= p->pages ||
        n > QEMU_ALIGN_UP(p->pages - first, 64)) {
        return false;
    }
    memcpy(&last, bits + len - sizeof(last), sizeof(last));
    return first + n <= p->pages || !(last >> (64 - (first + n - p->pages)));
}

bool postcopy_take_missing(Postcopy *p, const uint8_t *data, size_t len, Error **errp)
{
    uint64_t first, word;
    int ret = 0;

    if (p->switched || len < sizeof(first) ||
        (memcpy(&first, data, sizeof(first)),
         !check_missing(p, first, data + sizeof(first), len - sizeof(first)))) {
        error_setg(errp, "pages are missing that RAM does not have, or that were named before");
        return false;
    }
    if (!p->begun && !begin(p, errp)) {
        return false;
    }
    for (size_t at = sizeof(first); at < len && !ret; at += sizeof(word)) {
        memcpy(&word, data + at, sizeof(word));
        ret = miss_word(p, first, word);
        first += 64;
    }
    p->next = first;
    if (ret) {
        error_setg_errno(errp, -ret, "memory cannot be given back page by page");
    }
    return !ret;
}

bool postcopy_take_switch(Postcopy *p, Error **errp)
{
    if (p->switched) {
        error_setg(errp, "a second switch to post-copy");
        return false;
    }
    p->switched = true;
    /* Not before: all that is missing has its bit now. */
    if (p->begun) {
        event_notifier_set(&p->go);
    }
    p->tell(p->opaque, SECTION_SWITCH);
    return true;
}

bool postcopy_take_yours(Postcopy *p, Error **errp)
{
    if (p->ours) {
        error_setg(errp, "an answer where none is expected");
        return false;
    }
    p->ours = true;
    p->tell(p->opaque, SECTION_YOURS);
    return true;
}

/* What comes ------------------------------------------------------------------------------ */

/* Are all of these pages missing? */
static bool check_pages(Postcopy *p, uint64_t offset, uint64_t len, Error **errp)
{
    uint64_t n = offset / FORMAT_PAGE, end = n + len / FORMAT_PAGE;
    bool ok = offset % FORMAT_PAGE == 0 && len % FORMAT_PAGE == 0 && len && n < p->pages &&
              len / FORMAT_PAGE <= p->pages - n && p->begun;

    while (ok && n < end) {
        ok = is_missing(p, n++);
    }
    if (!ok) {
        error_setg(errp, "pages that RAM does not have, or has already");
    }
    return ok;
}

static bool fill(Postcopy *p, uint64_t offset, const uint8_t *data, uint64_t len, Error **errp)
{
    int ret;

    if (!check_pages(p, offset, len, errp)) {
        return false;
    }
    ret = p->pager->ops->fill(p->pager, offset, data, len);
    if (ret) {
        error_setg_errno(errp, -ret, "a page cannot be put into its place");
        return false;
    }
    for (uint64_t n = offset / FORMAT_PAGE, end = n + len / FORMAT_PAGE; n < end; n++) {
        atomic_fetch_and(&p->missing[n / 64], ~(1ull << n % 64));
    }
    p->left -= len / FORMAT_PAGE;
    return true;
}

bool postcopy_take_pages(Postcopy *p, uint64_t offset, const uint8_t *data, uint64_t len,
                         Error **errp)
{
    return fill(p, offset, data, len, errp);
}

bool postcopy_take_zeros(Postcopy *p, const uint8_t *data, size_t len, Error **errp)
{
    uint64_t range[2];

    if (len != sizeof(range)) {
        error_setg(errp, "a range of zeros is cut off");
        return false;
    }
    memcpy(range, data, sizeof(range));
    return fill(p, range[0], NULL, range[1], errp);
}

bool postcopy_take_end(Postcopy *p, Error **errp)
{
    int ret;

    if (p->left || !p->ours) {
        error_setg(errp, "RAM is not complete");
        return false;
    }
    postcopy_end(p);
    ret = postcopy_say(p, SECTION_ARRIVED, NULL, 0);
    /* Here all is well: the source may never learn it. */
    (void)ret;
    return true;
}

void postcopy_end(Postcopy *p)
{
    if (p->begun) {
        p->pager->ops->end(p->pager);
        p->begun = false;
    }
    if (p->thread) {
        event_notifier_set(&p->stop);
        g_thread_join(g_steal_pointer(&p->thread));
    }
}
