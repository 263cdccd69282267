/*
 * RAM as it was at one moment: pages are put aside before somebody changes them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "page-saver.h"

#include <errno.h>
#include <string.h>

#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/thread.h"
#include "userfaultfd.h"

/* Pages that the writer takes at a stretch: so long a thread waits for the lock. */
#define STRETCH 64u
#define ZEROS_STRETCH 512u

struct PageSaver {
    WriteTracker *tracker;
    EventNotifier *hurry;
    const uint8_t *ram;
    uint64_t pages;
    GThread *thread;            /* NULL: it has ended */
    EventNotifier stop;
    uint8_t *stretch;           /* the writer's */
    uint8_t *aside;             /* a ring; the writer reads those from first on unlocked */
    atomic_bool waiting;        /* there are some: what paces the writer shall not */
    GMutex lock;                /* what follows; for no longer than it takes to copy a stretch */
    GCond room;
    bool frozen;                /* page_saver_freeze() was here */
    uint64_t *saved;            /* a bit for each page; until then: it is not protected again */
    uint64_t aside_page[PAGE_SAVER_ASIDE];
    unsigned first, count;      /* of the ring */
    uint64_t zeros;             /* pages that need no room there, and are not counted yet */
    uint64_t next;              /* where the writer goes on */
    bool prepared;              /* the tracker is */
    bool ending;
    int error;                  /* RAM is not protected any more */
};

/* What goes out next. */
typedef struct Piece {
    const uint8_t *data;        /* NULL: zeros */
    uint64_t page, n;
    bool aside;
} Piece;

static bool is_saved(const PageSaver *s, uint64_t page)
{
    return s->saved[page / 64] >> page % 64 & 1;
}

static void set_saved(PageSaver *s, uint64_t page, uint64_t n)
{
    for (uint64_t end = page + n; page < end; page++) {
        s->saved[page / 64] |= 1ull << page % 64;
    }
}

static bool is_zero(const PageSaver *s, uint64_t page)
{
    return buffer_is_zero(s->ram + page * FORMAT_PAGE, FORMAT_PAGE);
}

/* Who writes to RAM ---------------------------------------------------------------------- */

/* Until there is room for a page, which is not to be had if the writer is stuck. */
static int wait_for_room(PageSaver *s)
{
    gint64 end = g_get_monotonic_time() + PAGE_SAVER_PATIENCE_US;

    while (s->count == PAGE_SAVER_ASIDE && !s->ending && !s->error) {
        if (!g_cond_wait_until(&s->room, &s->lock, end)) {
            return -ETIMEDOUT;
        }
    }
    return s->ending ? -ECANCELED : s->error;
}

static void put_aside(PageSaver *s, uint64_t page)
{
    unsigned at = (s->first + s->count) % PAGE_SAVER_ASIDE;

    set_saved(s, page, 1);
    if (is_zero(s, page)) {
        s->zeros++;
        return;
    }
    memcpy(s->aside + (uint64_t)at * FORMAT_PAGE, s->ram + page * FORMAT_PAGE, FORMAT_PAGE);
    s->aside_page[at] = page;
    s->count++;
    atomic_store(&s->waiting, true);
}

/*
 * Somebody waits to write to that page. It is allowed with the lock held: who protects what has a
 * bit comes before that or afterwards.
 */
static int serve(PageSaver *s, uint64_t page)
{
    int ret = 0;

    g_mutex_lock(&s->lock);
    if (s->frozen && !is_saved(s, page)) {
        ret = wait_for_room(s);
    }
    /* The writer may have come to it meanwhile. */
    if (!ret && s->frozen && !is_saved(s, page)) {
        put_aside(s, page);
    } else if (!ret) {
        set_saved(s, page, 1);
    }
    ret = ret ? ret : s->tracker->ops->allow(s->tracker, page * FORMAT_PAGE, FORMAT_PAGE);
    g_mutex_unlock(&s->lock);
    return ret;
}

/* It costs the snapshot, not the guest. */
static void give_up(PageSaver *s, int error)
{
    g_mutex_lock(&s->lock);
    s->error = s->error ? s->error : error;
    g_mutex_unlock(&s->lock);
    s->tracker->ops->lift(s->tracker);
    event_notifier_set(s->hurry);
}

static gpointer saver_thread(gpointer opaque)
{
    PageSaver *s = opaque;
    uint64_t offset;
    int ret = 0;

    thread_confine(&page_saver_filter);
    while ((!ret || ret == -EAGAIN) && userfaultfd_wait(s->tracker->fd, s->stop.fd)) {
        ret = s->tracker->ops->next(s->tracker, &offset);
        ret = ret ? ret : serve(s, offset / FORMAT_PAGE);
    }
    if (ret && ret != -EAGAIN && ret != -ECANCELED) {
        give_up(s, ret);
    }
    return NULL;
}

/* The moment ------------------------------------------------------------------------------- */

/* Bytes that are protected at once; few enough pages to be left for when all stand still. */
#define ARMED_AT_ONCE (32u << 20)
#define FEW 256u
#define ARM_ROUNDS 8

/* Runs of pages that have a bit in this word, which goes. */
static int protect_word(PageSaver *s, uint64_t i)
{
    uint64_t word = s->saved[i];
    int ret = 0;

    s->saved[i] = 0;
    while (word && !ret) {
        unsigned first = __builtin_ctzll(word);
        unsigned n = ~(word >> first) ? __builtin_ctzll(~(word >> first)) : 64;

        ret = s->tracker->ops->protect(s->tracker, (i * 64 + first) * FORMAT_PAGE,
                                       (uint64_t)n * FORMAT_PAGE);
        word &= first + n < 64 ? -1ull << (first + n) : 0;
    }
    return ret;
}

/* What was written to since it was protected is so again; *n: how many pages. */
static int protect_again(PageSaver *s, bool freeze, uint64_t *n)
{
    uint64_t words = QEMU_ALIGN_UP(s->pages, 64) / 64;
    int ret = 0;

    *n = 0;
    for (uint64_t i = 0; i < words && !ret; i++) {
        g_mutex_lock(&s->lock);
        *n += __builtin_popcountll(s->saved[i]);
        ret = s->error ? s->error : protect_word(s, i);
        s->frozen = freeze && i + 1 == words;
        g_mutex_unlock(&s->lock);
    }
    return ret;
}

static int protect_all(PageSaver *s)
{
    uint64_t size = s->pages * FORMAT_PAGE;
    int ret = 0;

    for (uint64_t at = 0; at < size && !ret; at += ARMED_AT_ONCE) {
        ret = s->tracker->ops->protect(s->tracker, at, MIN(size - at, ARMED_AT_ONCE));
    }
    return ret;
}

int page_saver_arm(PageSaver *s)
{
    uint64_t n = UINT64_MAX;
    int ret = s->tracker->ops->prepare(s->tracker);

    s->prepared = !ret;
    ret = ret ? ret : protect_all(s);
    for (unsigned i = 0; i < ARM_ROUNDS && n > FEW && !ret; i++) {
        ret = protect_again(s, false, &n);
    }
    return ret;
}

int page_saver_freeze(PageSaver *s)
{
    uint64_t n;

    return protect_again(s, true, &n);
}

/* The writer ------------------------------------------------------------------------------- */

/* Of what is put aside as many as are neighbours. */
static void take_aside(PageSaver *s, Piece *p)
{
    unsigned most = MIN(s->count, PAGE_SAVER_ASIDE - s->first);

    *p = (Piece) {
        .data = s->aside + (uint64_t)s->first * FORMAT_PAGE, .page = s->aside_page[s->first],
        .n = 1, .aside = true,
    };
    while (p->n < MIN(most, STRETCH) && s->aside_page[s->first + p->n] == p->page + p->n) {
        p->n++;
    }
}

/* Pages in order that are all zeros or none; copied, so that they need not wait to be written. */
static int take_stretch(PageSaver *s, Piece *p)
{
    bool zero = is_zero(s, s->next);
    uint64_t most = MIN(s->pages - s->next, zero ? ZEROS_STRETCH : STRETCH);

    *p = (Piece) { .page = s->next, .n = 1 };
    while (p->n < most && !is_saved(s, p->page + p->n) && is_zero(s, p->page + p->n) == zero) {
        p->n++;
    }
    if (!zero) {
        p->data = memcpy(s->stretch, s->ram + p->page * FORMAT_PAGE, p->n * FORMAT_PAGE);
    }
    set_saved(s, p->page, p->n);
    return s->tracker->ops->allow(s->tracker, p->page * FORMAT_PAGE, p->n * FORMAT_PAGE);
}

/* p->n 0: that was all. */
static int take(PageSaver *s, Piece *p)
{
    int ret;

    *p = (Piece) { 0 };
    g_mutex_lock(&s->lock);
    ret = s->error;
    while (s->next < s->pages && is_saved(s, s->next)) {
        s->next += s->saved[s->next / 64] == UINT64_MAX ? 64 - s->next % 64 : 1;
    }
    s->next = MIN(s->next, s->pages);
    if (!ret && s->count) {
        take_aside(s, p);
    } else if (!ret && s->next < s->pages) {
        ret = take_stretch(s, p);
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

/* It is written. */
static void release(PageSaver *s, const Piece *p)
{
    if (p->aside) {
        g_mutex_lock(&s->lock);
        s->first = (s->first + p->n) % PAGE_SAVER_ASIDE;
        s->count -= p->n;
        atomic_store(&s->waiting, s->count != 0);
        g_cond_signal(&s->room);
        g_mutex_unlock(&s->lock);
    }
}

typedef struct Output {
    SectionWriter *w;
    uint64_t image;             /* 0: a stream */
    uint64_t next;              /* of this round: offsets in a round only grow */
} Output;

/* The first round says that all is zeros; what is not follows in as many as it takes. */
static int begin_rounds(const PageSaver *s, Output *o)
{
    const uint64_t all[2] = { 0, s->pages * FORMAT_PAGE };
    int ret = section_write(o->w, SECTION_ZERO, &all[0], sizeof(all[0]), &all[1], sizeof(all[1]));

    o->next = UINT64_MAX;
    return ret;
}

static int put_pages(Output *o, const Piece *p)
{
    uint64_t offset = p->page * FORMAT_PAGE, len = p->n * FORMAT_PAGE;
    int ret = offset < o->next ? section_write(o->w, SECTION_ROUND, NULL, 0, NULL, 0) : 0;

    o->next = offset + len;
    return ret ? ret : section_write(o->w, SECTION_PAGES, &offset, sizeof(offset), p->data, len);
}

static void count(RamCounters *counters, uint64_t n, bool zero)
{
    atomic_fetch_add(zero ? &counters->duplicate : &counters->normal, n);
    atomic_fetch_sub(&counters->remaining, n * FORMAT_PAGE);
}

static int put(Output *o, const Piece *p)
{
    int ret = 0;

    if (p->data && o->image) {
        ret = ram_write_image(o->w, o->image + p->page * FORMAT_PAGE, p->data,
                              p->n * FORMAT_PAGE);
    } else if (p->data) {
        ret = put_pages(o, p);
    }
    count(o->w->counters, p->n, !p->data);
    /* A file takes all that it gets without waiting for anything. */
    return ret ? ret : MIN(channel_poll(o->w->c, 0, 0), 0);
}

int page_saver_write(PageSaver *s, SectionWriter *w, uint64_t image)
{
    Output o = { .w = w, .image = image };
    int ret = image ? ram_truncate_image(w, image + s->pages * FORMAT_PAGE) : begin_rounds(s, &o);
    Piece p = { .n = 1 };

    w->interrupt = &s->waiting;
    while (!ret && p.n) {
        ret = take(s, &p);
        if (!ret && p.n) {
            /* Somebody waits for what is put aside to be gone. */
            w->rush = p.aside;
            ret = put(&o, &p);
            release(s, &p);
        }
    }
    w->interrupt = NULL;
    w->rush = false;
    if (!ret) {
        g_mutex_lock(&s->lock);
        count(w->counters, s->zeros, true);
        g_mutex_unlock(&s->lock);
    }
    return ret;
}

/* All of it ---------------------------------------------------------------------------------- */

PageSaver *page_saver_new(WriteTracker *tracker, EventNotifier *hurry, Error **errp)
{
    PageSaver *s = g_new0(PageSaver, 1);

    s->tracker = tracker;
    s->hurry = hurry;
    s->ram = tracker->ram->host;
    s->pages = tracker->ram->size / FORMAT_PAGE;
    s->stop.fd = -1;
    g_mutex_init(&s->lock);
    g_cond_init(&s->room);
    s->saved = g_try_malloc0(QEMU_ALIGN_UP(s->pages, 64) / 8);
    s->stretch = g_try_malloc(STRETCH * FORMAT_PAGE);
    s->aside = g_try_malloc(PAGE_SAVER_ASIDE * FORMAT_PAGE);
    if (!s->saved || !s->stretch || !s->aside) {
        error_setg(errp, "no memory for pages that are put aside");
    } else if (event_notifier_init(&s->stop) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
    } else if (!(s->thread = thread_try_new("page-saver", saver_thread, s, NULL))) {
        error_setg(errp, "no thread to be had");
    } else {
        return s;
    }
    page_saver_free(s);
    return NULL;
}

void page_saver_free(PageSaver *s)
{
    if (!s) {
        return;
    }
    if (s->prepared) {
        s->tracker->ops->settle(s->tracker);
    }
    if (s->stop.fd >= 0) {
        event_notifier_cleanup(&s->stop);
    }
    g_free(s->aside);
    g_free(s->stretch);
    g_free(s->saved);
    g_cond_clear(&s->room);
    g_mutex_clear(&s->lock);
    g_free(s);
}

void page_saver_end(PageSaver *s)
{
    GThread *thread = g_steal_pointer(&s->thread);

    if (thread) {
        g_mutex_lock(&s->lock);
        s->ending = true;
        g_cond_signal(&s->room);
        g_mutex_unlock(&s->lock);
        event_notifier_set(&s->stop);
        g_thread_join(thread);
    }
    s->tracker->ops->lift(s->tracker);
}

const char *page_saver_why(const PageSaver *s)
{
    return s->error == -ETIMEDOUT ? "the channel takes nothing while the guest waits for it"
                                  : s->error ? strerror(-s->error) : NULL;
}
