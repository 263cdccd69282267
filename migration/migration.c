/*
 * A machine goes out: a thread writes it (writer.c); the guest stops before or meanwhile.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block/block.h"
#include "block/handover.h"
#include "hw/core/event.h"
#include "internal.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "sysemu/accel.h"
#include "sysemu/hostmem.h"

/* QEMU's. */
static const MigrationParams default_params = {
    .max_bandwidth = 128u << 20, .max_postcopy_bandwidth = 0, .downtime_limit = 300,
    .throttle_initial = 20, .throttle_increment = 10, .throttle_max = 99,
};

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
        ms->migration->turn.fd = -1;
        converge_init(ms->migration);
        migration_set_params(ms, &default_params);
    }
    return ms->migration;
}

const char *migration_status_name(MigrationStatus status)
{
    static const char *const names[] = {
        [MIGRATION_NONE] = "none", [MIGRATION_SETUP] = "setup", [MIGRATION_ACTIVE] = "active",
        [MIGRATION_COMPLETED] = "completed", [MIGRATION_FAILED] = "failed",
        [MIGRATION_CANCELLING] = "cancelling", [MIGRATION_CANCELLED] = "cancelled",
        [MIGRATION_PRE_SWITCHOVER] = "pre-switchover", [MIGRATION_DEVICE] = "device",
        [MIGRATION_POSTCOPY_ACTIVE] = "postcopy-active",
    };

    return names[status];
}

void migration_set_status(Migration *m, MigrationStatus status)
{
    m->status = status;
    if (m->caps[MIGRATION_CAP_EVENTS]) {
        machine_event(m->ms, "MIGRATION", (EventField []) {
            EVENT_STR("status", migration_status_name(status)) }, 1);
    }
}

bool migration_capability(const MachineState *ms, MigrationCap cap)
{
    return ms->migration && ms->migration->caps[cap];
}

void migration_set_capability(MachineState *ms, MigrationCap cap, bool on)
{
    migration_get(ms)->caps[cap] = on;
}

MigrationParams migration_params(const MachineState *ms)
{
    return ms->migration ? ms->migration->params : default_params;
}

void migration_set_params(MachineState *ms, const MigrationParams *params)
{
    Migration *m = migration_get(ms);

    m->params = *params;
    atomic_store(&m->max_bandwidth, params->max_bandwidth);
    atomic_store(&m->max_postcopy_bandwidth, params->max_postcopy_bandwidth);
    atomic_store(&m->downtime_limit, params->downtime_limit);
}

bool migration_in_progress(const MachineState *ms)
{
    const Migration *m = ms->migration;

    return m && !m->expected && m->status != MIGRATION_NONE && m->status != MIGRATION_COMPLETED &&
           m->status != MIGRATION_FAILED && m->status != MIGRATION_CANCELLED;
}

/* How long the guest stands still, as far as can be told. */
static int64_t downtime(const Migration *m, int64_t end)
{
    uint64_t bandwidth = atomic_load(&m->bandwidth);

    if (m->stopped) {
        return (m->resumed ? m->resumed : end) - m->stopped;
    }
    return bandwidth ? m->counters.remaining * 1000.0 / bandwidth : m->params.downtime_limit;
}

void migration_get_info(const MachineState *ms, MigrationInfo *info)
{
    const Migration *m = ms->migration;
    int64_t end;

    *info = (MigrationInfo) { .status = MIGRATION_NONE };
    if (!m) {
        return;
    }
    end = migration_in_progress(ms) ? now_ms() : m->ended;
    *info = (MigrationInfo) {
        .status = m->status, .incoming = m->expected || m->came_in, .error = m->error,
        .total_time = end - m->began, .setup_time = m->ready - m->began,
        .downtime = downtime(m, end), .total = ms->ram_size,
        .remaining = m->counters.remaining, .transferred = m->counters.transferred,
        .duplicate = m->counters.duplicate, .normal = m->counters.normal,
        .rounds = MAX(atomic_load(&m->rounds), 1), .dirty_pages_rate = atomic_load(&m->dirty_rate),
        .throttle = atomic_load(&m->throttle),
        .postcopy_requests = m->counters.requests, .postcopy_bytes = m->counters.late_bytes,
    };
    if (end > m->ready) {
        info->mbps = info->transferred * 8.0 / 1000 / (end - m->ready);
    }
}

bool migration_check(MachineState *ms, Error **errp)
{
    return parts_check(ms, errp);
}

/* The end ------------------------------------------------------------------------------------ */

/* As if nothing had been, unless somebody wants something else by now. */
void migration_go_on(Migration *m)
{
    if (m->ms->rsm.state != RUN_STATE_FINISH_MIGRATE) {
        return;
    }
    runstate_set(m->ms, m->before);
    if (m->was_running) {
        runstate_set(m->ms, RUN_STATE_PAUSED);
        if (!m->stay_stopped) {
            vm_start(m->ms);
        }
    }
}

void migration_stay_stopped(MachineState *ms)
{
    migration_get(ms)->stay_stopped = true;
}

#define TAKE_BACK_MS 10000
#define TAKE_BACK_STEP_NS 10000000

/* The other side may have the images until it has noticed that the guest stays here. */
static bool take_back(Migration *m)
{
    Error *err = NULL;

    if (m->ms->rsm.state != RUN_STATE_FINISH_MIGRATE || blk_activate_all(&err)) {
        return true;
    }
    if (now_ms() < m->ended + TAKE_BACK_MS) {
        error_free(err);
        return false;
    }
    /* Who runs this machine has to look. */
    error_report_err(err);
    runstate_set(m->ms, RUN_STATE_PAUSED);
    return true;
}

static void tell_waiter(Migration *m)
{
    MigrationDone *done = g_steal_pointer(&m->done);

    if (done) {
        done(m->error, m->opaque);
    }
}

static char *why_failed(Migration *m)
{
    if (m->why) {
        return g_steal_pointer(&m->why);
    }
    if (m->result == -ECHILD) {
        return g_strdup_printf("the program has failed (status %d)",
                               WIFEXITED(m->channel.status) ? WEXITSTATUS(m->channel.status)
                                                            : -1);
    }
    return g_strdup_printf("cannot write the machine: %s", strerror(-m->result));
}

static void end_live(Migration *m)
{
    converge_end(m);
    dirty_end(m);
    event_notifier_cleanup(&m->turn);
}

static void stay_here(void *opaque)
{
    Migration *m = opaque;

    if (!take_back(m)) {
        timer_mod_ns(&m->retry_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + TAKE_BACK_STEP_NS);
        return;
    }
    migration_set_status(m, m->cancelled ? MIGRATION_CANCELLED : MIGRATION_FAILED);
    migration_go_on(m);
    tell_waiter(m);
}

/* Completed, or the guest is lost: here it does not go on in either case, or it never stopped. */
static void let_go(Migration *m)
{
    if (!m->background) {
        runstate_set(m->ms, RUN_STATE_POSTMIGRATE);
    }
    migration_set_status(m, m->error ? MIGRATION_FAILED : MIGRATION_COMPLETED);
    tell_waiter(m);
}

/*
 * Nothing reads RAM any more. Who gives up when all has been written is too late, but for a file,
 * and until the other side's answer has come: whoever reads it may run the guest already.
 */
static void conclude(Migration *m)
{
    Error *err = NULL;

    m->cancelled = m->status == MIGRATION_CANCELLING && (m->result || m->channel.temp);

    g_clear_pointer(&m->sections, g_ptr_array_unref);
    g_clear_pointer(&m->fingerprint, g_free);
    m->ended = now_ms();
    if (m->live) {
        end_live(m);
    }
    if (m->background) {
        background_end(m);
    }
    if (m->result) {
        m->error = why_failed(m);
    } else if (m->cancelled) {
        m->error = g_strdup("cancelled");
    } else if (!channel_commit(&m->channel, &err)) {
        m->error = g_strdup(error_get_pretty(err));
        error_free(err);
    }
    channel_close(&m->channel);
    if (!m->error || m->gone) {
        let_go(m);
    } else {
        stay_here(m);
    }
}

/* Main loop. Without a thread migration_cleanup() was here before. */
void migration_written(void *opaque)
{
    Migration *m = opaque;

    if (m->thread) {
        g_thread_join(g_steal_pointer(&m->thread));
        conclude(m);
    }
}

/* Beginning ----------------------------------------------------------------------------------- */

bool migration_may_start(MachineState *ms, Error **errp)
{
    if (migration_in_progress(ms) || (ms->migration && ms->migration->snapshot)) {
        error_setg(errp, "There's a migration process in progress");
    } else if (ms->migration && dirty_rate_has_log(ms->migration)) {
        error_setg(errp, "A dirty rate is being measured: try again later");
    } else if (ms->rsm.dumping) {
        error_setg(errp, "Live migration disabled: dump-guest-memory in progress");
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

void migration_hold_guest(Migration *m)
{
    MachineState *ms = m->ms;

    m->stopped = now_ms();
    m->stay_stopped = false;
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
}

void migration_stop_guest(Migration *m)
{
    migration_hold_guest(m);
    blk_sync_all();
}

/* What goes out now is all; who gets it takes the images. */
static bool take_parts(Migration *m)
{
    Error *err = NULL;

    m->ms->rsm.may_start = migration_take_images;
    if (!blk_inactivate_all(&err)) {
        m->why = g_strdup(error_get_pretty(err));
        error_free(err);
        return false;
    }
    m->sections = parts_save(m->ms);
    return true;
}

static void hand_over(Migration *m)
{
    event_notifier_set(take_parts(m) ? &m->turn : &m->channel.hurry);
}

void migration_switch_over(void *opaque)
{
    Migration *m = opaque;

    /* Without a thread it is over, and who gives up needs no stop. */
    if (!m->thread || m->status != MIGRATION_ACTIVE) {
        return;
    }
    converge_end(m);
    migration_stop_guest(m);
    if (m->caps[MIGRATION_CAP_PAUSE_BEFORE_SWITCHOVER]) {
        migration_set_status(m, MIGRATION_PRE_SWITCHOVER);
    } else {
        hand_over(m);
    }
}

bool migration_take_images(MachineState *ms, Error **errp)
{
    if (ms->migration && ms->migration->gone) {
        error_setg(errp, "The guest has gone on elsewhere by post-copy: it cannot go on here");
        return false;
    }
    return ms->rsm.state == RUN_STATE_INMIGRATE || blk_activate_all(errp);
}

bool migration_continue(MachineState *ms, Error **errp)
{
    Migration *m = ms->migration;

    if (!m || m->status != MIGRATION_PRE_SWITCHOVER || !m->thread) {
        error_setg(errp, "Migration not in expected state: %s",
                   migration_status_name(m ? m->status : MIGRATION_NONE));
        return false;
    }
    migration_set_status(m, MIGRATION_DEVICE);
    hand_over(m);
    return true;
}

static bool begin_live(Migration *m, Error **errp)
{
    if (event_notifier_init(&m->turn) < 0) {
        error_setg_errno(errp, errno, "no eventfd");
        return false;
    }
    if (!dirty_begin(m, errp)) {
        event_notifier_cleanup(&m->turn);
        return false;
    }
    return true;
}

static void reset_findings(Migration *m)
{
    g_clear_pointer(&m->error, g_free);
    m->expected = m->came_in = false;
    m->ram_stays = m->caps[MIGRATION_CAP_IGNORE_SHARED] &&
                   host_memory_backend_is_shared(m->ms->memdev) &&
                   host_memory_backend_is_named(m->ms->memdev, false);
    m->counters = (RamCounters) { .remaining = m->ram_stays ? 0 : m->ms->memdev->size };
    m->stopped = m->resumed = m->ended = 0;
    timer_init_ns(&m->retry_timer, QEMU_CLOCK_REALTIME, stay_here, m);
    m->bandwidth = m->dirty_rate = 0;
    m->rounds = m->throttle = 0;
    m->result = 0;
    m->mapped = m->caps[MIGRATION_CAP_MAPPED_RAM];
    m->may_postcopy = m->caps[MIGRATION_CAP_POSTCOPY_RAM];
    m->background = m->caps[MIGRATION_CAP_BACKGROUND_SNAPSHOT];
    m->want_postcopy = false;
}

static void start_thread(Migration *m)
{
    migration_set_status(m, MIGRATION_ACTIVE);
    m->thread = thread_try_new("migration", migration_writer, m, NULL);
    if (!m->thread) {
        m->result = -EAGAIN;
        conclude(m);
    }
}

/*
 * A file that grows with each round would be read in vain: there the guest stands still. Without
 * RAM there are no rounds.
 */
static bool may_run_on(const Migration *m)
{
    return runstate_is_running(m->ms) && !m->mapped && !m->channel.path && !m->background &&
           !m->ram_stays;
}

static bool check_channel(const Migration *m, Error **errp)
{
    if (m->mapped && lseek(m->channel.fd, 0, SEEK_SET) != 0) {
        error_setg(errp, "mapped-ram needs a file: the channel cannot seek");
    } else if (!m->mapped && m->channel.layers) {
        error_setg(errp, "x-base needs the capability mapped-ram");
    } else if (m->caps[MIGRATION_CAP_RETURN_PATH] && !m->channel.two_way) {
        error_setg(errp, "return-path needs a socket: the channel goes one way");
    } else if (m->may_postcopy && !m->channel.two_way) {
        error_setg(errp, "postcopy-ram needs a socket: the channel goes one way");
    } else {
        return true;
    }
    return false;
}

/* What can fail before anything is changed. */
static bool get_ready(Migration *m, Error **errp)
{
    return check_channel(m, errp) && (!m->live || begin_live(m, errp)) &&
           (!m->background || background_prepare(m, errp));
}

/* What goes out, but for RAM; 0 or negative errno. */
static int take_machine(Migration *m)
{
    if (m->background) {
        return background_take(m);
    }
    migration_stop_guest(m);
    return take_parts(m) ? 0 : -EBUSY;
}

bool migration_start(MachineState *ms, const char *uri, MigrationDone *done, void *opaque,
                     Error **errp)
{
    Migration *m = migration_get(ms);

    if (!migration_may_start(ms, errp) || !channel_open(&m->channel, ms, uri, false, errp)) {
        return false;
    }
    reset_findings(m);
    m->began = now_ms();
    m->live = may_run_on(m);
    if (!get_ready(m, errp)) {
        channel_close(&m->channel);
        return false;
    }
    m->done = done;
    m->opaque = opaque;
    migration_set_status(m, MIGRATION_SETUP);
    m->fingerprint = fingerprint_make(ms, m->ram_stays);
    m->result = m->live ? 0 : take_machine(m);
    if (m->result) {
        conclude(m);
        return true;
    }
    m->ready = now_ms();
    start_thread(m);
    return true;
}

void migration_forget_waiter(MachineState *ms)
{
    ms->migration->done = NULL;
}

bool migration_cancel(MachineState *ms, Error **errp)
{
    Migration *m = ms->migration;

    if (m && m->status == MIGRATION_POSTCOPY_ACTIVE) {
        error_setg(errp, "Postcopy migration cannot be cancelled: the guest is not here any more");
        return false;
    }
    if (migration_in_progress(ms) && m->status != MIGRATION_CANCELLING) {
        migration_set_status(m, MIGRATION_CANCELLING);
        if (m->thread) {
            event_notifier_set(&m->channel.hurry);
        }
        converge_end(m);
    }
    return true;
}

void migration_cleanup(MachineState *ms)
{
    Migration *m = ms->migration;

    if (!m) {
        return;
    }
    m->snapshot = false;
    timer_del(&m->retry_timer);
    if (m->thread) {
        GThread *thread = g_steal_pointer(&m->thread);

        atomic_store(&m->ending, true);
        event_notifier_set(&m->channel.hurry);
        /* It may wait for a CPU that waits for the lock. */
        bql_unlock();
        g_thread_join(thread);
        bql_lock();
        channel_close(&m->channel);
        if (m->live) {
            end_live(m);
        }
        background_end(m);
    }
    background_cleanup(m);
    dirty_rate_cleanup(m);
    incoming_cleanup(m);
}
