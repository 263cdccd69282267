/*
 * A machine comes in: a thread reads it, then its parts are loaded and the guest goes on.
 *
 * What fails here ends the process with a message: half of a machine is none.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "block/handover.h"
#include "internal.h"
#include "net/announce.h"
#include "postcopy.h"
#include "qemu/main-loop.h"
#include "qemu/thread.h"
#include "sysemu/hostmem.h"

static void close_all(Migration *m)
{
    channel_close(&m->channel);
    saved_machine_clear(&m->saved);
    g_clear_pointer(&m->post, postcopy_free);
    host_memory_backend_keep(m->ms->memdev, false);
}

static void tell_source(Migration *m, const char *why)
{
    if (m->saved.late) {
        postcopy_say(m->post, SECTION_FAILED, why, MIN(strlen(why), FORMAT_MAX_REPLY));
    } else if (m->channel.two_way) {
        reply_write(&m->channel, SECTION_FAILED, why);
    }
}

/* What is on its way is not wanted any more. */
static void end_reader(Migration *m)
{
    GThread *thread = g_steal_pointer(&m->thread);

    if (thread) {
        atomic_store(&m->ending, true);
        event_notifier_set(&m->channel.hurry);
        /* It may be about to wait for the lock. */
        bql_unlock();
        g_thread_join(thread);
        bql_lock();
        error_free(g_steal_pointer(&m->load_error));
    }
    if (m->post) {
        postcopy_end(m->post);
    }
}

static void fail(Migration *m, Error *err)
{
    /* First nobody here may write to images, then the source goes on with them. */
    if (m->took_images) {
        blk_inactivate_all(NULL);
    }
    tell_source(m, error_get_pretty(err));
    end_reader(m);
    close_all(m);
    error_prepend(&err, "load of migration failed: ");
    m->error = g_strdup(error_get_pretty(err));
    error_report_err(err);
    migration_set_status(m, MIGRATION_FAILED);
    qemu_system_shutdown_request_with_code(m->ms, SHUTDOWN_CAUSE_HOST_ERROR, 1);
}

/* As often as QEMU does after a migration. */
static void announce(void)
{
    const NetAnnounce params = { .initial = 50, .max = 550, .step = 100, .rounds = 5 };

    net_announce_self(NULL, &params, NULL);
}

/* The guest is ours. */
static void take_over(Migration *m, MigrationStatus status)
{
    MachineState *ms = m->ms;
    bool runs = m->was_running && m->autostart;

    m->expected = false;
    m->came_in = true;
    migration_set_status(m, status);
    runstate_set(ms, m->was_running ? RUN_STATE_PAUSED : m->before);
    announce();
    if (runs) {
        vm_start(ms);
    }
}

static void go_on(Migration *m)
{
    close_all(m);
    take_over(m, MIGRATION_COMPLETED);
}

/* Unless they are taken with "cont". */
static bool take_images(Migration *m, Error **errp)
{
    bool late = m->caps[MIGRATION_CAP_LATE_BLOCK_ACTIVATE] && !(m->was_running && m->autostart);

    m->took_images = !late && blk_activate_all(errp);
    return late || m->took_images;
}

/* The thread is through, and *err is what it says. False: somebody has waited for it already. */
static bool end_thread(Migration *m, Error **err)
{
    if (!m->thread) {
        return false;
    }
    g_thread_join(g_steal_pointer(&m->thread));
    *err = g_steal_pointer(&m->load_error);
    return true;
}

static void confirmed(void *opaque)
{
    Migration *m = opaque;
    Error *err;

    if (!end_thread(m, &err)) {
        return;
    }
    if (err) {
        fail(m, err);
    } else {
        go_on(m);
    }
}

static gpointer confirm_thread(gpointer opaque)
{
    Migration *m = opaque;

    thread_confine(&migration_filter);
    reply_await(&m->channel, &m->load_error);
    qemu_bh_schedule_oneshot(confirmed, m);
    return NULL;
}

static void start_thread(Migration *m, GThreadFunc fn)
{
    Error *err = NULL;

    m->thread = thread_try_new("migration", fn, m, NULL);
    if (!m->thread) {
        error_setg(&err, "no thread to be had");
        fail(m, err);
    }
}

static void loaded(void *opaque)
{
    Migration *m = opaque;
    Error *err;

    if (!end_thread(m, &err)) {
        return;
    }
    if (m->saved.ram.replaced) {
        host_memory_backend_replaced(m->ms->memdev);
    }
    if (err || !parts_load(m->ms, m->saved.sections, &err) || !take_images(m, &err)) {
        fail(m, err);
    } else if (m->saved.confirm) {
        start_thread(m, confirm_thread);
    } else {
        go_on(m);
    }
}

/* Post-copy: all but pages is there, which come when something looks for them. */
static void switched(void *opaque)
{
    Migration *m = opaque;
    Error *err = NULL;

    if (!m->thread) {
        return;
    }
    /* A page that is given back would be missed once more. */
    host_memory_backend_keep(m->ms->memdev, true);
    if (!parts_load(m->ms, m->saved.sections, &err) || !take_images(m, &err)) {
        fail(m, err);
    } else {
        postcopy_say(m->post, SECTION_LOADED, NULL, 0);
    }
}

/* The source has given it up. */
static void ours(void *opaque)
{
    Migration *m = opaque;

    if (m->thread) {
        take_over(m, MIGRATION_POSTCOPY_ACTIVE);
    }
}

static void tell_main(void *opaque, SectionType what)
{
    qemu_bh_schedule_oneshot(what == SECTION_SWITCH ? switched : ours, opaque);
}

/* And all of its memory is there. */
static void arrived(void *opaque)
{
    Migration *m = opaque;
    Error *err;

    if (end_thread(m, &err)) {
        close_all(m);
        migration_set_status(m, MIGRATION_COMPLETED);
    }
}

/* Who waits for a page that does not come any more, the main thread perhaps, waits for ever. */
static void end_lost(Migration *m)
{
    if (!atomic_load(&m->ending)) {
        error_prepend(&m->load_error, m->post->ours
                      ? "post-copy has broken, and the guest is lost: "
                      : "load of migration failed: ");
        error_end_process(g_steal_pointer(&m->load_error));
    }
}

static gpointer reader_thread(gpointer opaque)
{
    Migration *m = opaque;
    bool ok, late;

    thread_confine(&migration_filter);
    ok = saved_machine_read(&m->saved, &m->channel, &m->load_error);
    late = m->saved.late && (m->post->begun || m->post->switched);
    if (late && !ok) {
        end_lost(m);
    }
    qemu_bh_schedule_oneshot(late ? arrived : loaded, m);
    return NULL;
}

/* Post-copy, if it is wanted: what confined threads cannot make. */
static bool expect_late(Migration *m, Error **errp)
{
    if (!m->saved.post) {
        return true;
    }
    m->post->c = &m->channel;
    m->post->tell = tell_main;
    m->post->opaque = m;
    return postcopy_start(m->post, errp);
}

static void start_reading(void *opaque)
{
    Migration *m = opaque;
    Error *err = NULL;
    HostMemoryBackend *b = m->ms->memdev;

    m->ram_stays = m->caps[MIGRATION_CAP_IGNORE_SHARED] && host_memory_backend_is_named(b, true);
    m->saved = (SavedMachine) {
        .fingerprint = fingerprint_make(m->ms, m->ram_stays),
        .ram = {
            .ram = b->host, .size = b->size, .fresh = !b->mem_path,
            .next = m->ram_stays ? b->size : 0,     /* all of it is there */
            .replaceable = host_memory_backend_is_plain(b),
        },
        .post = m->caps[MIGRATION_CAP_POSTCOPY_RAM] ? m->post : NULL,
    };
    migration_set_status(m, MIGRATION_ACTIVE);
    if (!expect_late(m, &err)) {
        fail(m, err);
        return;
    }
    start_thread(m, reader_thread);
}

/* The first who connects is it. */
static gboolean accept_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    Migration *m = opaque;
    int peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (peer < 0) {
        return G_SOURCE_CONTINUE;
    }
    m->accept_tag = 0;
    close(m->channel.fd);
    m->channel.fd = peer;
    channel_connected(&m->channel);
    start_reading(m);
    return G_SOURCE_REMOVE;
}

void migration_expect(MachineState *ms, const char *uri)
{
    Migration *m = migration_get(ms);

    m->expected = true;
    ms->rsm.may_start = migration_take_images;
    runstate_set(ms, RUN_STATE_INMIGRATE);
    if (ms->memdev && !g_str_has_prefix(uri, "file:") && !g_str_has_prefix(uri, "exec:")) {
        Pager *pager = pager_new(ms->memdev, &m->no_post);

        m->post = pager ? postcopy_new(pager) : NULL;
    }
}

/* Of RAM that stays there is no image, and nothing to follow. */
static bool ram_may_stay(const bool *caps, Error **errp)
{
    bool mapped = caps[MIGRATION_CAP_MAPPED_RAM];

    if (mapped || caps[MIGRATION_CAP_POSTCOPY_RAM]) {
        error_setg(errp, "x-ignore-shared is not compatible with %s",
                   mapped ? "mapped-ram" : "postcopy-ram");
        return false;
    }
    return true;
}

bool migration_check_capability(MachineState *ms, MigrationCap cap, const bool *caps, Error **errp)
{
    const Migration *m = ms->migration;

    if (cap == MIGRATION_CAP_POSTCOPY_RAM && !postcopy_built(errp)) {
        return false;
    }
    if (cap == MIGRATION_CAP_POSTCOPY_RAM && m && m->expected && !m->post) {
        error_setg(errp, "Postcopy is not supported: %s",
                   m->no_post ? error_get_pretty(m->no_post) : "it needs a socket");
        return false;
    }
    if (caps[MIGRATION_CAP_IGNORE_SHARED] && !ram_may_stay(caps, errp)) {
        return false;
    }
    return !caps[MIGRATION_CAP_BACKGROUND_SNAPSHOT] || background_check(ms, caps, errp);
}

void migration_set_autostart(MachineState *ms, bool autostart)
{
    migration_get(ms)->autostart = autostart;
}

bool migration_incoming(MachineState *ms, const char *uri, Error **errp)
{
    Migration *m = ms->migration;

    if (ms->rsm.state != RUN_STATE_INMIGRATE || !m || !m->expected) {
        error_setg(errp, "'-incoming' was not specified on the command line");
        return false;
    }
    if (m->status != MIGRATION_NONE) {
        error_setg(errp, "The incoming migration has already been started");
        return false;
    }
    if (!ms->memdev || !ms->cpus) {
        error_setg(errp, "this machine has nothing to load");
        return false;
    }
    if (!parts_check(ms, errp) || !channel_open(&m->channel, ms, uri, true, errp)) {
        return false;
    }
    migration_set_status(m, MIGRATION_SETUP);
    if (m->channel.listening) {
        m->accept_tag = qemu_fd_add(m->channel.fd, G_IO_IN, accept_ready, m);
    } else {
        /* From the main loop: threads are confined by then. */
        qemu_bh_schedule_oneshot(start_reading, m);
    }
    return true;
}

void incoming_cleanup(Migration *m)
{
    g_clear_handle_id(&m->accept_tag, g_source_remove);
    if (m->post) {
        end_reader(m);
        g_clear_pointer(&m->post, postcopy_free);
    }
    if (m->channel.hurry.fd >= 0) {
        channel_close(&m->channel);
    }
}
