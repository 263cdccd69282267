/*
 * Post-copy, where the guest comes from: what is asked for goes first, the rest when nobody asks.
 *
 * One thread reads requests and writes pages, a few at a time, so that a request does not wait for
 * much, and so that somebody who only asks does not keep the rest from being sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "postcopy.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"

/* Pages that go out at a stretch while nobody asks. */
#define STRETCH 16
/* Answers that are read in a row while pages could be sent. */
#define PATIENCE 64

typedef struct Sender {
    Migration *m;
    SectionWriter *w;
    const uint8_t *ram;
    uint64_t pages, left;       /* of RAM; to be sent */
    uint64_t next;              /* where the rest goes on: behind what was asked for last */
    unsigned answers;           /* in a row */
    bool ended, arrived;
} Sender;

void postcopy_note_unsent(Migration *m, uint64_t reached, bool first)
{
    uint64_t pages = m->log->pages;

    for (uint64_t n = 0; n < pages; n += 64) {
        uint64_t mask = n >= reached ? ~0ull : n + 64 <= reached ? 0 : ~0ull << (reached - n);
        uint64_t end = pages - n < 64 ? ~(~0ull << (pages - n)) : ~0ull;

        m->pages[n / 64] = first ? mask & end : m->pages[n / 64] & mask;
    }
    dirty_log_merge(m->log, 0, m->pages, pages);
}

/* Before the guest is there ------------------------------------------------------------------ */

/* The bits of all pages, where there are any. */
static int send_missing(Sender *s)
{
    uint64_t words = QEMU_ALIGN_UP(s->pages, 64) / 64;
    uint64_t most = FORMAT_MAX_MISSING / sizeof(uint64_t);
    int ret = 0;

    for (uint64_t at = 0; at < words && !ret; at += most) {
        uint64_t n = MIN(words - at, most), first = at * 64;

        if (ram_next_page(s->m->pages, first, first + n * 64) < first + n * 64) {
            ret = section_write(s->w, SECTION_MISSING, &first, sizeof(first), s->m->pages + at,
                                n * sizeof(uint64_t));
        }
    }
    return ret;
}

/* Main loop: unless somebody has given up the migration meanwhile the guest is gone. */
static void give_up(void *opaque)
{
    Migration *m = opaque;

    if (m->thread && m->status != MIGRATION_CANCELLING) {
        m->resumed = g_get_monotonic_time() / 1000;
        migration_set_status(m, MIGRATION_POSTCOPY_ACTIVE);
        event_notifier_set(&m->turn);
    }
}

/* All is loaded there. What cannot be written nobody has read: the guest is still ours then. */
static int hand_guest_over(Sender *s)
{
    Migration *m = s->m;
    int ret;

    if (m->gone) {
        return -EBADMSG;
    }
    event_notifier_test_and_clear(&m->turn);
    qemu_bh_schedule_oneshot(give_up, m);
    ret = channel_wait(s->w->c, &m->turn);
    ret = ret ? ret : section_write(s->w, SECTION_YOURS, NULL, 0, NULL, 0);
    m->gone = !ret;
    return ret;
}

/* Pages -------------------------------------------------------------------------------------- */

/* Up to max of them, from n on, which is to be sent. */
static int send_run(Sender *s, uint64_t n, uint64_t max)
{
    uint64_t before = atomic_load(&s->w->counters->transferred), done, bytes;
    int ret = ram_write_run(s->w, s->ram, s->m->pages, n, MIN(max, s->pages - n), &done);

    bytes = atomic_load(&s->w->counters->transferred) - before;
    atomic_fetch_add(&s->w->counters->late_bytes, bytes);
    bandwidth_due(s->w, bytes);
    for (uint64_t end = n + done; n < end; n++) {
        s->m->pages[n / 64] &= ~(1ull << n % 64);
    }
    s->left -= done;
    s->next = n;
    return ret;
}

/* It may have been sent while the request was on its way. */
static int answer_request(Sender *s, const char *data)
{
    uint64_t offset, n;

    memcpy(&offset, data, sizeof(offset));
    n = offset / FORMAT_PAGE;
    if (offset % FORMAT_PAGE || n >= s->pages) {
        return -EBADMSG;
    }
    atomic_fetch_add(&s->w->counters->requests, 1);
    return s->m->pages[n / 64] >> n % 64 & 1 ? send_run(s, n, 1) : 0;
}

static int take_answer(Sender *s)
{
    char text[FORMAT_MAX_REPLY + 1];
    SectionType type;
    int ret = reply_read(s->w->c, &type, text);

    if (ret) {
        return ret;
    }
    switch (type) {
    case SECTION_REQUEST:
        return answer_request(s, text);
    case SECTION_LOADED:
        return hand_guest_over(s);
    case SECTION_FAILED:
        s->m->why = g_strdup_printf("the other side: %s", text);
        return -EREMOTEIO;
    case SECTION_ARRIVED:
        s->arrived = true;
        return s->ended ? 0 : -EBADMSG;
    default:
        return -EBADMSG;
    }
}

static int send_rest(Sender *s)
{
    uint64_t n = ram_next_page(s->m->pages, s->next, s->pages);

    if (n == s->pages) {
        n = ram_next_page(s->m->pages, 0, s->pages);
    }
    s->answers = 0;
    return send_run(s, n, STRETCH);
}

static int serve_once(Sender *s)
{
    unsigned ms = s->left ? bandwidth_due(s->w, 0) : 0;
    int ready = channel_poll(s->w->c, POLLIN | (s->left && !ms ? POLLOUT : 0), ms ? (int)ms : -1);

    if (ready < 0) {
        return ready;
    }
    if ((ready & POLLIN) && !((ready & POLLOUT) && s->answers == PATIENCE)) {
        s->answers += !!(ready & POLLOUT);
        return take_answer(s);
    }
    return ready & POLLOUT ? send_rest(s) : 0;
}

/* Until the other side has said that it has all. */
static int serve(Sender *s)
{
    int ret = 0;

    while (!ret && !s->arrived) {
        if (!s->left && s->m->gone && !s->ended) {
            ret = machine_write_end(s->w);
            s->ended = true;
        } else {
            ret = serve_once(s);
        }
    }
    return ret;
}

int postcopy_send(Migration *m, SectionWriter *w)
{
    Sender s = {
        .m = m, .w = w, .ram = m->log->host, .pages = m->log->pages,
        .left = atomic_load(&m->counters.remaining) / FORMAT_PAGE,
    };
    int ret = send_missing(&s);

    ret = ret ? ret : parts_write(m->sections, w);
    ret = ret ? ret : section_write(w, SECTION_SWITCH, NULL, 0, NULL, 0);
    if (!ret) {
        channel_be_short(w->c);
        w->max_bandwidth = &m->max_postcopy_bandwidth;
        w->debt = 0;
        ret = serve(&s);
    }
    if (ret && m->gone && !m->why) {
        m->why = g_strdup_printf("post-copy has broken (%s): what the guest has not got of its "
                                 "memory is lost to it, and it cannot go on here",
                                 strerror(-ret));
    }
    return ret;
}

/* Commands ------------------------------------------------------------------------------------ */

bool migration_start_postcopy(MachineState *ms, Error **errp)
{
    Migration *m = ms->migration;

    if (!m || !migration_in_progress(ms) || m->came_in) {
        error_setg(errp, "Postcopy must be started after migration has been started");
    } else if (!m->may_postcopy) {
        error_setg(errp, "Enable postcopy with migrate_set_capability before the start of "
                   "migration");
    } else {
        /* A guest that stands still has nothing to gain by it. */
        atomic_store(&m->want_postcopy, m->live);
        return true;
    }
    return false;
}
