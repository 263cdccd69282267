/*
 * A machine goes out: the guest stops, its state is taken, a thread writes it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "hw/core/event.h"
#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "sysemu/hostmem.h"

#define DEFAULT_BANDWIDTH (128u << 20)

static int64_t now_ms(void)
{
    return g_get_monotonic_time() / 1000;
}

Migration *migration_get(MachineState *ms)
{
    if (!ms->migration) {
        ms->migration = g_new0(Migration, 1);
        ms->migration->ms = ms;
        ms->migration->channel = (Channel) { .fd = -1, .hurry.fd = -1 };
        ms->migration->max_bandwidth = DEFAULT_BANDWIDTH;
    }
    return ms->migration;
}

const char *migration_status_name(MigrationStatus status)
{
    static const char *const names[] = {
        [MIGRATION_NONE] = "none", [MIGRATION_SETUP] = "setup", [MIGRATION_ACTIVE] = "active",
        [MIGRATION_COMPLETED] = "completed", [MIGRATION_FAILED] = "failed",
        [MIGRATION_CANCELLING] = "cancelling", [MIGRATION_CANCELLED] = "cancelled",
    };

    return names[status];
}

void migration_set_status(Migration *m, MigrationStatus status)
{
    m->status = status;
    if (m->events) {
        machine_event(m->ms, "MIGRATION", (EventField []) {
            EVENT_STR("status", migration_status_name(status)) }, 1);
    }
}

bool migration_has_events(const MachineState *ms)
{
    return ms->migration && ms->migration->events;
}

void migration_set_events(MachineState *ms, bool on)
{
    migration_get(ms)->events = on;
}

bool migration_has_mapped_ram(const MachineState *ms)
{
    return ms->migration && ms->migration->mapped;
}

void migration_set_mapped_ram(MachineState *ms, bool on)
{
    migration_get(ms)->mapped = on;
}

static bool in_progress(const MachineState *ms)
{
    const Migration *m = ms->migration;

    return m && !m->expected && (m->status == MIGRATION_SETUP || m->status == MIGRATION_ACTIVE ||
                                 m->status == MIGRATION_CANCELLING);
}

void migration_get_info(const MachineState *ms, MigrationInfo *info)
{
    const Migration *m = ms->migration;
    int64_t end;

    *info = (MigrationInfo) { .status = MIGRATION_NONE };
    if (!m) {
        return;
    }
    end = in_progress(ms) ? now_ms() : m->ended;
    *info = (MigrationInfo) {
        .status = m->status, .incoming = m->expected || m->came_in, .error = m->error,
        .total_time = end - m->began, .setup_time = m->ready - m->began,
        .downtime = end - m->ready,
        .total = ms->ram_size, .remaining = ms->ram_size - m->counters.done,
        .transferred = m->counters.transferred,
        .duplicate = m->counters.duplicate, .normal = m->counters.normal,
    };
    if (info->downtime > 0) {
        info->mbps = info->transferred * 8.0 / 1000 / info->downtime;
    }
}

uint64_t migration_max_bandwidth(const MachineState *ms)
{
    return ms->migration ? ms->migration->max_bandwidth : DEFAULT_BANDWIDTH;
}

void migration_set_max_bandwidth(MachineState *ms, uint64_t bytes)
{
    migration_get(ms)->max_bandwidth = bytes;
}

bool migration_check(MachineState *ms, Error **errp)
{
    return parts_check(ms, errp);
}

/* The thread ------------------------------------------------------------------------------- */

static int write_parts(Migration *m, SectionWriter *w)
{
    int ret = 0;

    for (guint i = 0; i < m->sections->len && !ret; i++) {
        gsize size;
        const void *data = g_bytes_get_data(m->sections->pdata[i], &size);

        ret = section_write(w, SECTION_STATE, NULL, 0, data, size);
    }
    return ret;
}

static int write_end(SectionWriter *w)
{
    uint32_t n = w->sections;

    return section_write(w, SECTION_END, NULL, 0, &n, sizeof(n));
}

/* RAM begins behind the two sections that are yet to come. */
static int write_mapped(Migration *m, SectionWriter *w)
{
    const HostMemoryBackend *b = m->ms->memdev;
    int ret = write_parts(m, w);
    off_t here = lseek(w->c->fd, 0, SEEK_CUR);
    uint64_t image = QEMU_ALIGN_UP(here + 2 * sizeof(SectionHeader) + sizeof(image) +
                                   sizeof(uint32_t), FORMAT_IMAGE_ALIGN);

    if (!ret) {
        ret = here < 0 ? -errno : section_write(w, SECTION_RAM_IMAGE, NULL, 0, &image,
                                                sizeof(image));
    }
    ret = ret ? ret : write_end(w);
    return ret ? ret : ram_write_image(w, b->host, b->size, image);
}

static int write_stream(Migration *m, SectionWriter *w)
{
    const HostMemoryBackend *b = m->ms->memdev;
    int ret = ram_write(w, b->host, b->size);

    ret = ret ? ret : write_parts(m, w);
    return ret ? ret : write_end(w);
}

static int write_machine(Migration *m)
{
    SectionWriter w = {
        .c = &m->channel, .counters = &m->counters, .max_bandwidth = &m->max_bandwidth,
        .started = g_get_monotonic_time(),
    };
    FormatHeader h;
    int ret;

    format_make_header(&h, m->mapped ? FORMAT_MAPPED : FORMAT_STREAM, m->ms->memdev->size);
    ret = channel_write(w.c, &h, sizeof(h));
    if (!ret) {
        ret = section_write(&w, SECTION_FINGERPRINT, NULL, 0, m->fingerprint,
                            strlen(m->fingerprint));
    }
    if (!ret) {
        ret = m->mapped ? write_mapped(m, &w) : write_stream(m, &w);
    }
    return ret ? ret : channel_finish(&m->channel);
}

static void finished(void *opaque);

static gpointer writer_thread(gpointer opaque)
{
    Migration *m = opaque;

    thread_confine(&migration_filter);
    m->result = write_machine(m);
    qemu_bh_schedule_oneshot(finished, m);
    return NULL;
}

/* The end ------------------------------------------------------------------------------------ */

/* The guest goes on as if nothing had been, unless somebody wants something else by now. */
static void go_on(Migration *m)
{
    if (m->ms->rsm.state != RUN_STATE_FINISH_MIGRATE) {
        return;
    }
    runstate_set(m->ms, m->before);
    if (m->was_running) {
        runstate_set(m->ms, RUN_STATE_PAUSED);
        vm_start(m->ms);
    }
}

static void tell_waiter(Migration *m)
{
    MigrationDone *done = g_steal_pointer(&m->done);

    if (done) {
        done(m->error, m->opaque);
    }
}

static char *why_failed(const Migration *m)
{
    if (m->result == -ECHILD) {
        return g_strdup_printf("the program has failed (status %d)",
                               WIFEXITED(m->channel.status) ? WEXITSTATUS(m->channel.status)
                                                            : -1);
    }
    return g_strdup_printf("cannot write the machine: %s", strerror(-m->result));
}

/* Nothing reads RAM any more. */
static void conclude(Migration *m)
{
    bool cancelled = m->status == MIGRATION_CANCELLING;
    Error *err = NULL;

    g_clear_pointer(&m->sections, g_ptr_array_unref);
    g_clear_pointer(&m->fingerprint, g_free);
    m->ended = now_ms();
    if (m->result) {
        m->error = why_failed(m);
    } else if (cancelled) {
        m->error = g_strdup("cancelled");
    } else if (!channel_commit(&m->channel, &err)) {
        m->error = g_strdup(error_get_pretty(err));
        error_free(err);
    }
    channel_close(&m->channel);
    if (!m->error) {
        runstate_set(m->ms, RUN_STATE_POSTMIGRATE);
        migration_set_status(m, MIGRATION_COMPLETED);
    } else {
        migration_set_status(m, cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED);
        go_on(m);
    }
    tell_waiter(m);
}

/* Main loop. Without a thread migration_cleanup() was here before. */
static void finished(void *opaque)
{
    Migration *m = opaque;

    if (m->thread) {
        g_thread_join(g_steal_pointer(&m->thread));
        conclude(m);
    }
}

/* Beginning ----------------------------------------------------------------------------------- */

static bool may_start(MachineState *ms, Error **errp)
{
    if (in_progress(ms)) {
        error_setg(errp, "There's a migration process in progress");
    } else if (ms->rsm.state == RUN_STATE_INMIGRATE) {
        error_setg(errp, "Guest is waiting for an incoming migration");
    } else if (ms->rsm.state == RUN_STATE_POSTMIGRATE) {
        error_setg(errp, "Can't migrate the vm that was paused due to previous migration");
    } else if (!ms->memdev || !ms->cpus) {
        error_setg(errp, "this machine has nothing to save");
    } else {
        return parts_check(ms, errp);
    }
    return false;
}

static void stop_guest(Migration *m)
{
    MachineState *ms = m->ms;

    m->was_running = runstate_is_running(ms);
    if (m->was_running) {
        vm_stop(ms, RUN_STATE_FINISH_MIGRATE);
    }
    /* A reset or an end that the guest has asked for comes first: nobody would know of it later. */
    ms->rsm.run_requests(ms);
    /* What a CPU came upon on its way: that is then its state. */
    m->before = ms->rsm.state;
    m->was_running &= m->before == RUN_STATE_FINISH_MIGRATE || m->before == RUN_STATE_PRELAUNCH;
    runstate_set(ms, RUN_STATE_FINISH_MIGRATE);
    blk_flush_all();
}

bool migration_start(MachineState *ms, const char *uri, MigrationDone *done, void *opaque,
                     Error **errp)
{
    Migration *m = migration_get(ms);

    if (!may_start(ms, errp) || !channel_open(&m->channel, ms, uri, false, errp)) {
        return false;
    }
    if (m->mapped && lseek(m->channel.fd, 0, SEEK_SET) != 0) {
        error_setg(errp, "mapped-ram needs a file: the channel cannot seek");
        channel_close(&m->channel);
        return false;
    }
    g_clear_pointer(&m->error, g_free);
    m->expected = m->came_in = false;
    m->counters = (RamCounters) { 0 };
    m->done = done;
    m->opaque = opaque;
    m->began = now_ms();
    migration_set_status(m, MIGRATION_SETUP);
    stop_guest(m);
    m->ready = now_ms();
    m->fingerprint = fingerprint_make(ms);
    m->sections = parts_save(ms);
    migration_set_status(m, MIGRATION_ACTIVE);
    m->result = 0;
    m->thread = g_thread_try_new("migration", writer_thread, m, NULL);
    if (!m->thread) {
        m->result = -EAGAIN;
        conclude(m);
    }
    return true;
}

void migration_forget_waiter(MachineState *ms)
{
    ms->migration->done = NULL;
}

void migration_cancel(MachineState *ms)
{
    Migration *m = ms->migration;

    if (in_progress(ms) && m->status != MIGRATION_CANCELLING) {
        migration_set_status(m, MIGRATION_CANCELLING);
        event_notifier_set(&m->channel.hurry);
    }
}

void migration_cleanup(MachineState *ms)
{
    Migration *m = ms->migration;

    if (!m) {
        return;
    }
    if (m->thread) {
        event_notifier_set(&m->channel.hurry);
        g_thread_join(g_steal_pointer(&m->thread));
        channel_close(&m->channel);
    }
    incoming_cleanup(m);
}
