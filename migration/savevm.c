/*
 * Snapshots of the machine inside of its disks' images.
 *
 * The guest stops, its state goes to new clusters of one image as a stream, then all disks take
 * their snapshots at once; and back. A person's command does all of it at a stretch, a job writes
 * and reads on its thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "migration/snapshot.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "block/job.h"
#include "block/vm-snapshot.h"
#include "internal.h"
#include "qemu/timer.h"
#include "sysemu/hostmem.h"

typedef struct Snapshot {
    MachineState *ms;
    char *name;
    GPtrArray *nodes;           /* the state's first */
    BlockVMState *state;
    BlockJob *job;              /* its thread's; NULL: a person waits */
    Error *err;                 /* what has gone wrong so far */
    bool stopped, done;
    /* Saving. */
    BlockSnapshotInfo info;
    char *fingerprint;
    GPtrArray *sections;        /* of GBytes */
    /* Loading. */
    SavedMachine saved;
    bool was_running, touched;  /* touched: the machine is not what it was */
} Snapshot;

static Snapshot *snapshot_new(MachineState *ms, const char *name)
{
    Snapshot *s = g_new0(Snapshot, 1);

    s->ms = ms;
    s->name = g_strdup(name);
    return s;
}

static void snapshot_free(Snapshot *s)
{
    vm_state_free(s->state);
    saved_machine_clear(&s->saved);
    g_clear_pointer(&s->sections, g_ptr_array_unref);
    g_clear_pointer(&s->nodes, g_ptr_array_unref);
    error_free(s->err);
    g_free(s->fingerprint);
    g_free(s->name);
    g_free(s);
}

static bool find_nodes(Snapshot *s, const SnapshotJob *o, Error **errp)
{
    s->nodes = vm_snapshot_nodes(o->devices, errp);
    return s->nodes && vm_snapshot_state_node(s->nodes, o->vmstate, errp);
}

static void stop(Snapshot *s)
{
    s->was_running = runstate_is_running(s->ms);
    migration_stop_guest(migration_get(s->ms));
    s->ms->migration->snapshot = s->stopped = true;
}

/* Saving ------------------------------------------------------------------------------- */

static bool save_begin(Snapshot *s, const SnapshotJob *o, Error **errp)
{
    if (!migration_may_start(s->ms, errp) || !find_nodes(s, o, errp)) {
        return false;
    }
    if (o->id && vm_snapshot_in_any(s->nodes, s->name)) {
        error_setg(errp, "Snapshot '%s' already exists in one or more devices", s->name);
        return false;
    }
    stop(s);
    s->fingerprint = fingerprint_make(s->ms, false);
    s->sections = parts_save(s->ms);
    s->state = vm_state_new(s->nodes->pdata[0]);
    s->info = (BlockSnapshotInfo) {
        .name = s->name, .icount = -1,
        .date_sec = g_get_real_time() / G_USEC_PER_SEC,
        .date_nsec = g_get_real_time() % G_USEC_PER_SEC * 1000,
        .vm_clock_ns = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL),
    };
    return true;
}

static int put(void *opaque, const void *data, size_t len)
{
    Snapshot *s = opaque;
    int ret = vm_state_write(s->state, data, len);

    return ret < 0 || !s->job ? ret : block_job_pace(s->job, len);
}

/* The job's thread, or the main one. */
static int save_run(BlockJob *job, void *opaque)
{
    Snapshot *s = opaque;
    const HostMemoryBackend *b = s->ms->memdev;
    Channel c = { .fd = -1, .hurry.fd = -1, .put = put, .opaque = s };
    RamCounters counters = { 0 };
    _Atomic uint64_t unlimited = 0;
    SectionWriter w = { .c = &c, .counters = &counters, .max_bandwidth = &unlimited };
    int ret;

    if (s->err) {
        return 0;
    }
    s->job = job;
    ret = machine_write_begin(&w, FORMAT_STREAM, b->size, s->fingerprint);
    ret = ret ? ret : ram_write(&w, b->host, b->size);
    ret = ret ? ret : parts_write(s->sections, &w);
    return ret ? ret : machine_write_end(&w);
}

static bool take_error(Snapshot *s, Error **errp)
{
    if (s->err) {
        error_propagate(errp, g_steal_pointer(&s->err));
        return true;
    }
    return false;
}

static bool save_finish(void *opaque, Error **errp)
{
    Snapshot *s = opaque;

    return !take_error(s, errp) && vm_snapshot_delete(s->nodes, s->name, errp) &&
           vm_snapshot_create(s->nodes, &s->info, s->state, errp);
}

/* The guest goes on where it stood, unless the process ends. */
static void save_end(void *opaque)
{
    Snapshot *s = opaque;
    Migration *m = s->ms->migration;

    if (s->stopped && m->snapshot) {
        m->snapshot = false;
        migration_go_on(m);
    }
    snapshot_free(s);
}

/* Loading ------------------------------------------------------------------------------ */

static ssize_t get(void *opaque, void *data, size_t len)
{
    Snapshot *s = opaque;
    ssize_t n = vm_state_read(s->state, data, len);
    int ret = n < 0 || !s->job ? 0 : block_job_pace(s->job, n);

    return ret < 0 ? ret : n;
}

static SavedMachine expected(const MachineState *ms, char *fingerprint)
{
    const HostMemoryBackend *b = ms->memdev;

    return (SavedMachine) { .fingerprint = fingerprint, .ram = { b->host, b->size } };
}

/* Is it this machine? Nothing has been touched yet; it is then read from the beginning. */
static bool peek(Snapshot *s, const BlockSnapshotInfo *sn, Error **errp)
{
    Channel c = { .fd = -1, .hurry.fd = -1, .get = get, .opaque = s };
    char *fingerprint = fingerprint_make(s->ms, false);
    bool ok;

    s->saved = expected(s->ms, fingerprint);
    s->state = vm_state_open(s->nodes->pdata[0], sn, errp);
    ok = s->state && saved_machine_peek(&s->saved, &c, errp);
    s->saved.fingerprint = NULL;
    saved_machine_clear(&s->saved);
    s->saved = expected(s->ms, fingerprint);
    vm_state_free(g_steal_pointer(&s->state));
    return ok;
}

static bool load_begin(Snapshot *s, const SnapshotJob *o, Error **errp)
{
    const BlockSnapshotInfo *sn;

    if (!migration_may_start(s->ms, errp) || !find_nodes(s, o, errp)) {
        return false;
    }
    sn = vm_snapshot_find(s->nodes->pdata[0], s->name);
    if (!vm_snapshot_in_all(s->nodes, s->name)) {
        error_setg(errp, "Snapshot '%s' does not exist in one or more devices", s->name);
    } else if (!sn->vm_state_size) {
        error_setg(errp, "This is a disk-only snapshot. Revert to it offline using qemu-img");
    } else if (peek(s, sn, errp)) {
        s->state = vm_state_open(s->nodes->pdata[0], sn, errp);
    }
    if (!s->state) {
        return false;
    }
    stop(s);
    /* As a process is that has just begun; what was loaded into RAM then is written over. */
    s->touched = true;
    qemu_system_reset(s->ms, SHUTDOWN_CAUSE_NONE);
    return true;
}

static int load_run(BlockJob *job, void *opaque)
{
    Snapshot *s = opaque;
    Channel c = { .fd = -1, .hurry.fd = -1, .get = get, .opaque = s };

    s->job = job;
    if (!s->err) {
        saved_machine_read(&s->saved, &c, &s->err);
    }
    return 0;
}

static bool load_finish(void *opaque, Error **errp)
{
    Snapshot *s = opaque;

    s->done = !take_error(s, errp) && vm_snapshot_revert(s->nodes, s->name, errp) &&
              parts_load(s->ms, s->saved.sections, errp);
    return s->done;
}

/* What it is now: it runs if it ran, but stays what it was if that is an end. */
static void go_on_loaded(Snapshot *s)
{
    Migration *m = s->ms->migration;

    if (!s->done) {
        runstate_set(s->ms, RUN_STATE_INTERNAL_ERROR);
        return;
    }
    runstate_set(s->ms, m->was_running || m->before == RUN_STATE_PRELAUNCH ? RUN_STATE_PAUSED
                                                                           : m->before);
    if (s->was_running && !m->stay_stopped) {
        vm_start(s->ms);
    }
}

static void load_end(void *opaque)
{
    Snapshot *s = opaque;
    Migration *m = s->ms->migration;

    if (s->touched && m->snapshot) {
        m->snapshot = false;
        go_on_loaded(s);
    }
    snapshot_free(s);
}

/* Deleting -------------------------------------------------------------------------------- */

static bool delete_begin(Snapshot *s, const SnapshotJob *o, Error **errp)
{
    s->nodes = vm_snapshot_nodes(o->devices, errp);
    return s->nodes;
}

static int delete_run(BlockJob *job, void *opaque)
{
    return 0;
}

static bool delete_finish(void *opaque, Error **errp)
{
    Snapshot *s = opaque;

    return !take_error(s, errp) && vm_snapshot_delete(s->nodes, s->name, errp);
}

static void delete_end(void *opaque)
{
    snapshot_free(opaque);
}

/* All of them ------------------------------------------------------------------------------ */

static const struct {
    bool (*begin)(Snapshot *s, const SnapshotJob *o, Error **errp);
    BlockJobWork work;
} verbs[] = {
    [SNAPSHOT_SAVE] = { save_begin, { "snapshot-save", save_run, save_finish, save_end } },
    [SNAPSHOT_LOAD] = { load_begin, { "snapshot-load", load_run, load_finish, load_end } },
    [SNAPSHOT_DELETE] = { delete_begin, { "snapshot-delete", delete_run, delete_finish,
                                          delete_end } },
};

bool snapshot_job(MachineState *ms, SnapshotVerb verb, const SnapshotJob *o, Error **errp)
{
    Snapshot *s = snapshot_new(ms, o->tag);

    verbs[verb].begin(s, o, &s->err);
    if (!block_job_work(&verbs[verb].work, s, o->id, errp)) {
        verbs[verb].work.end(s);
        return false;
    }
    return true;
}

static bool do_now(MachineState *ms, SnapshotVerb verb, const char *name, Error **errp)
{
    const BlockJobWork *work = &verbs[verb].work;
    Snapshot *s = snapshot_new(ms, name);
    bool ok = verbs[verb].begin(s, &(SnapshotJob) { 0 }, errp);
    int ret = ok ? work->run(NULL, s) : 0;

    if (ret < 0) {
        error_setg_errno(errp, -ret, "Error while writing VM state");
    }
    ok = ok && ret == 0 && work->finish(s, errp);
    work->end(s);
    return ok;
}

bool snapshot_save(MachineState *ms, const char *name, Error **errp)
{
    time_t now = g_get_real_time() / G_USEC_PER_SEC;
    struct tm tm;
    char made[32];

    strftime(made, sizeof(made), "vm-%Y%m%d%H%M%S", localtime_r(&now, &tm));
    return do_now(ms, SNAPSHOT_SAVE, name ? name : made, errp);
}

bool snapshot_load(MachineState *ms, const char *name, Error **errp)
{
    return do_now(ms, SNAPSHOT_LOAD, name, errp);
}

bool snapshot_delete(const char *name, Error **errp)
{
    return do_now(NULL, SNAPSHOT_DELETE, name, errp);
}

bool snapshot_foreach(SnapshotFn *fn, void *opaque, Error **errp)
{
    g_autoptr(GPtrArray) nodes = vm_snapshot_nodes(NULL, errp);

    if (!nodes || !vm_snapshot_state_node(nodes, NULL, errp)) {
        return false;
    }
    for (guint n = 0; n < nodes->len; n++) {
        BlockImageInfo info;

        block_image_info(nodes->pdata[n], &info);
        for (unsigned i = 0; fn && i < info.nr_snapshots; i++) {
            const BlockSnapshotInfo *sn = &info.snapshots[i];

            fn(vm_snapshot_node_name(nodes->pdata[n]), sn, vm_snapshot_in_all(nodes, sn->name),
               opaque);
        }
    }
    return true;
}
