/*
 * A guest goes on while the machine is saved as it was at one moment (background-snapshot).
 *
 * docs/devel/machine-state.rst tells why nobody waits for ever.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "page-saver.h"
#include "qemu/main-loop.h"
#include "sysemu/hostmem.h"
#include "userfaultfd.h"

typedef struct Background {
    int fd;                     /* made before the process was confined; -1: there is none */
    WriteTracker *tracker;      /* made when it is asked for first */
    Error *why_not;             /* there is none, and never will be */
    PageSaver *saver;           /* while something is saved */
} Background;

void migration_provide(MachineState *ms)
{
    Background *b;

    if (ms->memdev) {
        b = g_new0(Background, 1);
        b->fd = userfaultfd_open(&b->why_not);
        migration_get(ms)->back = b;
    }
}

/* Whether it can be had ---------------------------------------------------------------------- */

/* What moves a guest does not go with what only looks at it. QEMU refuses these, too. */
static const struct {
    MigrationCap cap;
    const char *name;
} others[] = {
    { MIGRATION_CAP_AUTO_CONVERGE, "auto-converge" },
    { MIGRATION_CAP_PAUSE_BEFORE_SWITCHOVER, "pause-before-switchover" },
    { MIGRATION_CAP_LATE_BLOCK_ACTIVATE, "late-block-activate" },
    { MIGRATION_CAP_RETURN_PATH, "return-path" },
    { MIGRATION_CAP_POSTCOPY_RAM, "postcopy-ram" },
    { MIGRATION_CAP_IGNORE_SHARED, "x-ignore-shared" },
};

static bool check_others(const bool *caps, Error **errp)
{
    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (caps[others[i].cap]) {
            error_setg(errp, "Background-snapshot is not compatible with %s", others[i].name);
            return false;
        }
    }
    return true;
}

static bool find_tracker(Background *b, HostMemoryBackend *ram, Error **errp)
{
    if (!b->tracker && !b->why_not) {
        b->tracker = write_tracker_new(ram, b->fd, &b->why_not);
    }
    if (!b->tracker) {
        error_setg(errp, "%s%s", b->fd < 0 ? "Background-snapshot is not supported: " : "",
                   error_get_pretty(b->why_not));
    }
    return b->tracker;
}

bool background_check(MachineState *ms, const bool *caps, Error **errp)
{
    Background *b = ms->migration ? ms->migration->back : NULL;

    if (caps && !check_others(caps, errp)) {
        return false;
    }
    if (!b) {
        error_setg(errp, "Background-snapshot needs a machine that was started with a monitor");
        return false;
    }
    return write_tracker_fits(ms->memdev, errp) && find_tracker(b, ms->memdev, errp);
}

/* Saving -------------------------------------------------------------------------------------- */

bool background_prepare(Migration *m, Error **errp)
{
    Background *b = m->back;

    if (m->channel.layers) {
        error_setg(errp, "Background-snapshot is not compatible with x-base");
        return false;
    }
    if (!background_check(m->ms, m->caps, errp)) {
        return false;
    }
    if (event_notifier_init(&m->turn) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
        return false;
    }
    b->saver = page_saver_new(b->tracker, &m->channel.hurry, errp);
    if (!b->saver) {
        event_notifier_cleanup(&m->turn);
        return false;
    }
    /* Who gets it has a copy: there is nothing to agree on. */
    m->channel.two_way = false;
    /* What is given back would be gone before it has been saved. */
    host_memory_backend_keep(m->ms->memdev, true);
    return true;
}

static int arm(Migration *m)
{
    int ret = page_saver_arm(m->back->saver);

    if (ret) {
        m->why = g_strdup_printf("memory cannot be protected: %s", strerror(-ret));
    }
    return ret;
}

static int take(Migration *m)
{
    int ret;

    migration_hold_guest(m);
    m->sections = parts_save(m->ms);
    /* Nobody writes to RAM between these two. */
    ret = page_saver_freeze(m->back->saver);
    migration_go_on(m);
    m->resumed = g_get_monotonic_time() / 1000;
    if (ret) {
        m->why = g_strdup_printf("memory cannot be protected again: %s", strerror(-ret));
    }
    return ret;
}

int background_take(Migration *m)
{
    int ret = 0;

    if (!runstate_is_running(m->ms)) {
        ret = arm(m);
        ret = ret ? ret : take(m);
    }
    return ret;
}

/* Main loop, for the thread. */
static void take_running(void *opaque)
{
    Migration *m = opaque;

    /* Without a thread it is over, and who gives up needs no stop. */
    if (m->thread && m->status == MIGRATION_ACTIVE) {
        event_notifier_set(take(m) ? &m->channel.hurry : &m->turn);
    }
}

int background_await(Migration *m)
{
    int ret;

    if (m->sections) {
        return 0;
    }
    ret = arm(m);
    if (!ret) {
        qemu_bh_schedule_oneshot(take_running, m);
        ret = channel_wait(&m->channel, &m->turn);
    }
    return ret;
}

int background_write(Migration *m, SectionWriter *w, uint64_t image)
{
    int ret = page_saver_write(m->back->saver, w, image);

    page_saver_end(m->back->saver);
    return ret;
}

void background_lift(Migration *m, bool failed)
{
    const PageSaver *saver = m->back->saver;

    page_saver_end(m->back->saver);
    if (failed && !m->why && page_saver_why(saver)) {
        m->why = g_strdup(page_saver_why(saver));
    }
}

void background_end(Migration *m)
{
    Background *b = m->back;

    if (b && b->saver) {
        page_saver_end(b->saver);
        page_saver_free(g_steal_pointer(&b->saver));
        event_notifier_cleanup(&m->turn);
        host_memory_backend_keep(m->ms->memdev, false);
    }
}

void background_cleanup(Migration *m)
{
    Background *b = g_steal_pointer(&m->back);

    if (!b) {
        return;
    }
    if (b->tracker) {
        b->tracker->ops->free(b->tracker);
    }
    if (b->fd >= 0) {
        close(b->fd);
    }
    error_free(b->why_not);
    g_free(b);
}
