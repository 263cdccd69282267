/*
 * How fast a guest writes to its RAM: a thread looks twice.
 *
 * Samples cost a guest nothing, and see a page that was written twice, or with what it had, as
 * one, or as none. The dirty log sees all pages, and costs what it costs while a machine is sent.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration/dirty-rate.h"

#include <errno.h>
#include <poll.h>

#include "internal.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "sysemu/hostmem.h"

typedef struct DirtyRate {
    Migration *m;
    DirtyRateInfo info;
    GThread *thread;
    EventNotifier hurry;        /* set: do not wait any more */
    uint64_t stride;            /* bytes: one page in each is looked at */
    uint64_t seed;
    uint32_t *sums;             /* of the samples, as they were */
    uint64_t written;           /* pages */
    int64_t us;                 /* in which they were */
} DirtyRate;

/* Samples ------------------------------------------------------------------------------------- */

/* The n-th is anywhere in its stretch: a guest that writes at regular distances is seen, too. */
static const uint8_t *sample(const DirtyRate *d, uint64_t n)
{
    uint64_t pages = d->stride / FORMAT_PAGE;
    uint64_t mixed = (n + d->seed) * 0x9e3779b97f4a7c15ull;

    mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93ull;
    return d->m->ms->memdev->host + n * d->stride + (mixed >> 32) % pages * FORMAT_PAGE;
}

static uint64_t nr_samples(const DirtyRate *d)
{
    return d->m->ms->memdev->size / d->stride;
}

static void take_samples(DirtyRate *d)
{
    for (uint64_t n = 0; n < nr_samples(d); n++) {
        d->sums[n] = format_crc(0, sample(d, n), FORMAT_PAGE);
    }
}

/* Pages of all of RAM, if it is everywhere as in the samples. */
static uint64_t compare_samples(const DirtyRate *d)
{
    uint64_t changed = 0;

    for (uint64_t n = 0; n < nr_samples(d); n++) {
        changed += d->sums[n] != format_crc(0, sample(d, n), FORMAT_PAGE);
    }
    return changed * (d->stride / FORMAT_PAGE);
}

static bool prepare_samples(DirtyRate *d, Error **errp)
{
    uint64_t size = d->m->ms->memdev->size;
    uint64_t wanted = MAX((size >> 20) * d->info.samples >> 10, d->info.samples);

    /* What may be left behind the last stretch is less than one of them. */
    d->stride = FORMAT_PAGE;
    while (size / d->stride > wanted) {
        d->stride *= 2;
    }
    d->seed = g_get_monotonic_time();
    d->sums = g_try_new(uint32_t, nr_samples(d));
    if (!d->sums) {
        error_setg(errp, "no memory for the samples");
    }
    return d->sums;
}

/* The measurement ----------------------------------------------------------------------------- */

static void finish(DirtyRate *d)
{
    if (d->info.mode == DIRTY_RATE_BITMAP) {
        dirty_end(d->m);
    }
    g_clear_pointer(&d->sums, g_free);
    event_notifier_cleanup(&d->hurry);
    if (d->us) {
        d->info.rate = (double)d->written * FORMAT_PAGE * 1e6 / d->us / (1 << 20);
    }
    d->info.status = DIRTY_RATE_MEASURED;
}

/* Main loop. Without a thread dirty_rate_cleanup() was here before. */
static void measured(void *opaque)
{
    DirtyRate *d = opaque;

    if (d->thread) {
        g_thread_join(g_steal_pointer(&d->thread));
        finish(d);
    }
}

static gpointer measure(gpointer opaque)
{
    DirtyRate *d = opaque;
    bool log = d->info.mode == DIRTY_RATE_BITMAP;
    struct pollfd pfd = { .fd = d->hurry.fd, .events = POLLIN };
    int64_t began;

    thread_confine(&migration_filter);
    if (log) {
        dirty_take(d->m);       /* what was written before */
    } else {
        take_samples(d);
    }
    began = g_get_monotonic_time();
    while (poll(&pfd, 1, d->info.seconds * 1000) < 0 && errno == EINTR) {
        continue;
    }
    d->written = log ? dirty_take(d->m) / FORMAT_PAGE : compare_samples(d);
    d->us = g_get_monotonic_time() - began;
    qemu_bh_schedule_oneshot(measured, d);
    return NULL;
}

static bool prepare(DirtyRate *d, Error **errp)
{
    if (event_notifier_init(&d->hurry) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
        return false;
    }
    if (!(d->info.mode == DIRTY_RATE_BITMAP ? dirty_begin(d->m, errp)
                                            : prepare_samples(d, errp))) {
        event_notifier_cleanup(&d->hurry);
        return false;
    }
    return true;
}

bool dirty_rate_start(MachineState *ms, unsigned seconds, unsigned samples, DirtyRateMode mode,
                      Error **errp)
{
    Migration *m = migration_get(ms);
    DirtyRate *d = m->measurement;

    if (d && d->info.status == DIRTY_RATE_MEASURING) {
        error_setg(errp, "A dirty rate is being measured: try again later");
        return false;
    }
    if (migration_in_progress(ms) || m->snapshot || m->expected || !ms->memdev) {
        error_setg(errp, "There is a migration in progress, or nothing to measure");
        return false;
    }
    d = m->measurement = d ? d : g_new0(DirtyRate, 1);
    *d = (DirtyRate) {
        .m = m, .info = { DIRTY_RATE_UNSTARTED, mode, g_get_monotonic_time() / 1000000, seconds,
                          samples, 0 },
    };
    if (!prepare(d, errp)) {
        return false;
    }
    d->info.status = DIRTY_RATE_MEASURING;
    d->thread = thread_try_new("dirty-rate", measure, d, NULL);
    if (!d->thread) {
        finish(d);
        d->info.status = DIRTY_RATE_UNSTARTED;
        error_setg(errp, "no thread to be had");
    }
    return d->thread;
}

void dirty_rate_get(const MachineState *ms, DirtyRateInfo *info)
{
    *info = ms->migration && ms->migration->measurement ? ms->migration->measurement->info :
        (DirtyRateInfo) { .samples = DIRTY_RATE_SAMPLES };
}

bool dirty_rate_has_log(const Migration *m)
{
    const DirtyRate *d = m->measurement;

    return d && d->info.status == DIRTY_RATE_MEASURING && d->info.mode == DIRTY_RATE_BITMAP;
}

void dirty_rate_cleanup(Migration *m)
{
    DirtyRate *d = m->measurement;

    if (d && d->thread) {
        GThread *thread = g_steal_pointer(&d->thread);

        event_notifier_set(&d->hurry);
        /* It may wait for a CPU that waits for the lock. */
        bql_unlock();
        g_thread_join(thread);
        bql_lock();
        finish(d);
    }
}
