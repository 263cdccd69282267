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

#include "internal.h"
#include "net/announce.h"
#include "qemu/main-loop.h"
#include "sysemu/hostmem.h"

static void fail(Migration *m, Error *err)
{
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

static void go_on(Migration *m)
{
    MachineState *ms = m->ms;

    m->expected = false;
    m->came_in = true;
    migration_set_status(m, MIGRATION_COMPLETED);
    runstate_set(ms, m->was_running ? RUN_STATE_PAUSED : m->before);
    announce();
    if (m->was_running && m->autostart) {
        vm_start(ms);
    }
}

static void loaded(void *opaque)
{
    Migration *m = opaque;
    Error *err;

    if (!m->thread) {
        return;
    }
    g_thread_join(g_steal_pointer(&m->thread));
    channel_close(&m->channel);
    if (m->saved.ram.replaced) {
        host_memory_backend_replaced(m->ms->memdev);
    }
    err = g_steal_pointer(&m->load_error);
    if (!err && parts_load(m->ms, m->saved.sections, &err)) {
        go_on(m);
    } else {
        fail(m, err);
    }
    saved_machine_clear(&m->saved);
}

static gpointer reader_thread(gpointer opaque)
{
    Migration *m = opaque;

    thread_confine(&migration_filter);
    saved_machine_read(&m->saved, &m->channel, &m->load_error);
    qemu_bh_schedule_oneshot(loaded, m);
    return NULL;
}

static void start_reading(void *opaque)
{
    Migration *m = opaque;
    HostMemoryBackend *b = m->ms->memdev;

    m->saved = (SavedMachine) {
        .fingerprint = fingerprint_make(m->ms),
        .ram = {
            .ram = b->host, .size = b->size, .fresh = !b->mem_path,
            .replaceable = b->fd < 0 && !b->share && !b->prealloc,
        },
    };
    migration_set_status(m, MIGRATION_ACTIVE);
    m->thread = g_thread_try_new("migration", reader_thread, m, NULL);
    if (!m->thread) {
        Error *err = NULL;

        error_setg(&err, "no thread to be had");
        fail(m, err);
    }
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
    start_reading(m);
    return G_SOURCE_REMOVE;
}

void migration_expect(MachineState *ms)
{
    migration_get(ms)->expected = true;
    runstate_set(ms, RUN_STATE_INMIGRATE);
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
    if (m->channel.hurry.fd >= 0) {
        channel_close(&m->channel);
    }
}
