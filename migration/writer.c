/*
 * The thread that writes a machine: all of it at once, or RAM in rounds while the guest runs.
 *
 * In each round pages are sent that were written to since the one before. When few enough are
 * left the main thread is asked to stop the guest, and the rest of it goes out.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "hw/core/event.h"
#include "internal.h"
#include "postcopy.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "sysemu/hostmem.h"

/* What RAM has that the base has not, and where the base is. */
static int write_base(Migration *m, SectionWriter *w, FormatExtent **extents, uint32_t *n)
{
    const Channel *c = w->c;
    g_autoptr(GByteArray) base = layers_base_section(c->layers, c->base_name);
    uint64_t left = 0;
    int ret = layers_compare(c->layers, m->ms->memdev->host, c->hurry.fd, extents, n);

    for (uint32_t i = 0; i < *n; i++) {
        left += (*extents)[i].len;
    }
    atomic_store(&m->counters.remaining, left);
    ret = ret ? ret : section_write(w, SECTION_BASE, NULL, 0, base->data, base->len);
    return ret ? ret : section_write(w, SECTION_EXTENTS, NULL, 0, *extents,
                                     *n * sizeof(**extents));
}

/* Which file it is: two of the same machine are not the same base. */
static int write_identity(SectionWriter *w)
{
    uint8_t id[FORMAT_ID_SIZE];

    if (getrandom(id, sizeof(id), 0) != sizeof(id)) {
        return -errno;
    }
    return section_write(w, SECTION_IDENTITY, NULL, 0, id, sizeof(id));
}

/* RAM begins behind the two sections that are yet to come. */
static int write_image(Migration *m, SectionWriter *w, const FormatExtent *extents, uint32_t n)
{
    const HostMemoryBackend *b = m->ms->memdev;
    int ret = parts_write(m->sections, w);
    off_t here = lseek(w->c->fd, 0, SEEK_CUR);
    uint64_t image = QEMU_ALIGN_UP(here + 2 * sizeof(SectionHeader) + sizeof(image) +
                                   sizeof(uint32_t), FORMAT_IMAGE_ALIGN);

    if (!ret) {
        ret = here < 0 ? -errno : section_write(w, SECTION_RAM_IMAGE, NULL, 0, &image,
                                                sizeof(image));
    }
    ret = ret ? ret : machine_write_end(w);
    if (!ret && m->background) {
        return background_write(m, w, image);
    }
    return ret ? ret : ram_write_extents(w, b->host, b->size, image, extents, n);
}

static int write_mapped(Migration *m, SectionWriter *w)
{
    const FormatExtent all = { 0, m->ms->memdev->size };
    g_autofree FormatExtent *extents = NULL;
    uint32_t n = 0;
    int ret = write_identity(w);

    if (!ret && w->c->layers) {
        ret = write_base(m, w, &extents, &n);
        return ret ? ret : write_image(m, w, extents, n);
    }
    return ret ? ret : write_image(m, w, &all, 1);
}

static uint32_t layout_of(const Migration *m)
{
    return !m->mapped ? FORMAT_STREAM : m->channel.layers ? FORMAT_DIFFERENCE : FORMAT_MAPPED;
}

/* Rounds ----------------------------------------------------------------------------------- */

static void tell_pass(void *opaque)
{
    Migration *m = opaque;

    if (m->caps[MIGRATION_CAP_EVENTS] && m->thread) {
        machine_event(m->ms, "MIGRATION_PASS", (EventField []) {
            EVENT_INT("pass", atomic_load(&m->rounds)) }, 1);
    }
}

/* Less than this is in a buffer before anybody has sent it: it shows no speed. */
#define ENOUGH_TO_MEASURE (4u << 20)

/* Bytes that can be sent within the time that the guest may stand still. */
static uint64_t bytes_in_downtime(const Migration *m)
{
    return atomic_load(&m->bandwidth) * (double)atomic_load(&m->downtime_limit) / 1000;
}

/* Send what m->pages says (first: all of it), and see how fast that goes. */
static int write_round(Migration *m, SectionWriter *w, uint64_t bytes, bool first)
{
    const HostMemoryBackend *b = m->ms->memdev;
    uint64_t sent = atomic_load(&m->counters.transferred), reached;
    int64_t began = g_get_monotonic_time(), us;
    int ret;

    atomic_store(&m->counters.remaining, bytes);
    atomic_fetch_add(&m->rounds, 1);
    qemu_bh_schedule_oneshot(tell_pass, m);
    ret = ram_write_pages(w, b->host, b->size, first ? NULL : m->pages, &reached);
    if (reached < b->size / FORMAT_PAGE) {
        postcopy_note_unsent(m, reached, first);
    }
    us = MAX(g_get_monotonic_time() - began, 1);
    sent = atomic_load(&m->counters.transferred) - sent;
    if (first || sent >= ENOUGH_TO_MEASURE) {
        atomic_store(&m->bandwidth, sent * 1e6 / us);
    }
    return ret;
}

/* What the guest has written during the round, by the time that it took. */
static void note_dirty_rate(Migration *m, uint64_t bytes, int64_t since)
{
    int64_t us = MAX(g_get_monotonic_time() - since, 1);

    atomic_store(&m->dirty_rate, bytes / FORMAT_PAGE * 1e6 / us);
}

/* Less than this is not worth a round. */
#define LITTLE (1u << 20)

/* It is too much to be sent while the guest stands still, or there is less and less of it. */
static bool is_worth_a_round(const Migration *m, uint64_t bytes, uint64_t before)
{
    return bytes > bytes_in_downtime(m) || (bytes > LITTLE && bytes <= before / 2);
}

/* Until what is left can be sent while the guest stands still, or is to be sent afterwards. */
static int write_rounds(Migration *m, SectionWriter *w)
{
    uint64_t bytes = m->ms->memdev->size, before;
    bool first = true;
    int ret;

    dirty_take(m);      /* of before: all is sent now */
    do {
        int64_t began = g_get_monotonic_time();

        before = bytes;
        ret = first ? 0 : section_write(w, SECTION_ROUND, NULL, 0, NULL, 0);
        ret = ret ? ret : write_round(m, w, bytes, first);
        if (!ret) {
            bytes = dirty_take(m);
            note_dirty_rate(m, bytes, began);
            converge(m, bytes);
        }
        first = false;
    } while (!ret && !atomic_load(&m->want_postcopy) && is_worth_a_round(m, bytes, before));
    return ret;
}

/* What was taken and not sent is marked again: the guest may have written there once more. */
static void take_rest(Migration *m, SectionWriter *w)
{
    dirty_log_merge(m->log, 0, m->pages, m->log->pages);
    atomic_store(&m->counters.remaining, dirty_take(m));
    w->moving = false;
    w->rush = true;
    w->interrupt = NULL;
}

static int write_rest(Migration *m, SectionWriter *w)
{
    const HostMemoryBackend *b = m->ms->memdev;
    uint64_t reached;
    int ret = section_write(w, SECTION_ROUND, NULL, 0, NULL, 0);

    ret = ret ? ret : ram_write_pages(w, b->host, b->size, m->pages, &reached);
    ret = ret ? ret : parts_write(m->sections, w);
    return ret ? ret : machine_write_end(w);
}

static int write_live(Migration *m, SectionWriter *w)
{
    int ret;

    w->moving = true;
    ret = write_rounds(m, w);
    if (!ret) {
        qemu_bh_schedule_oneshot(migration_switch_over, m);
        ret = channel_wait(w->c, &m->turn);
    }
    if (ret) {
        return ret;
    }
    take_rest(m, w);
    return atomic_load(&m->want_postcopy) ? postcopy_send(m, w) : write_rest(m, w);
}

/* All of it -------------------------------------------------------------------------------- */

static int write_stream(Migration *m, SectionWriter *w)
{
    const HostMemoryBackend *b = m->ms->memdev;
    int ret = m->ram_stays ? 0
            : m->background ? background_write(m, w, 0) : ram_write(w, b->host, b->size);

    ret = ret ? ret : parts_write(m->sections, w);
    return ret ? ret : machine_write_end(w);
}

static int write_all(Migration *m, SectionWriter *w)
{
    return m->mapped ? write_mapped(m, w) : m->live ? write_live(m, w) : write_stream(m, w);
}

/* Who gets it shall answer, and may have to ask for pages. */
static int write_terms(Migration *m, SectionWriter *w)
{
    int ret = m->channel.two_way ? section_write(w, SECTION_CONFIRM, NULL, 0, NULL, 0) : 0;

    return ret || !m->may_postcopy ? ret : section_write(w, SECTION_POSTCOPY, NULL, 0, NULL, 0);
}

static int write_machine(Migration *m)
{
    SectionWriter w = {
        .c = &m->channel, .counters = &m->counters, .max_bandwidth = &m->max_bandwidth,
        .paid_at = g_get_monotonic_time(), .interrupt = &m->want_postcopy,
        .rush = m->background,  /* somebody may wait for a page until RAM has its turn */
    };
    g_autofree char *refusal = NULL;
    int ret = m->background ? background_await(m) : 0;

    ret = ret ? ret : machine_write_begin(&w, layout_of(m), m->ms->memdev->size, m->fingerprint);
    ret = ret ? ret : write_terms(m, &w);
    ret = ret ? ret : write_all(m, &w);
    if (m->background) {
        background_lift(m, ret);
    }
    if (ret && ret != -ECANCELED && !m->why) {
        /* Who does not want it may have said why, before the connection broke. */
        refusal = reply_refusal(&m->channel);
    } else if (!ret && !m->gone) {
        ret = m->channel.two_way ? reply_confirm(&m->channel, &refusal)
                                 : channel_finish(&m->channel);
    }
    if (refusal) {
        m->why = g_strdup_printf("the other side: %s", refusal);
    }
    return ret;
}

gpointer migration_writer(gpointer opaque)
{
    Migration *m = opaque;

    thread_confine(&migration_filter);
    m->result = write_machine(m);
    qemu_bh_schedule_oneshot(migration_written, m);
    return NULL;
}
