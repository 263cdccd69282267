/*
 * Commands about saving and loading the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "migration/migration.h"
#include "qmp.h"

/* Those of MigrationCap, in its order; then those that are known by name alone. */
static const char *const capabilities[] = {
    "events", "mapped-ram", "auto-converge", "pause-before-switchover", "late-block-activate",
    "return-path", "postcopy-ram", "background-snapshot", "x-ignore-shared",
    "xbzrle", "rdma-pin-all", "zero-blocks", "compress", "x-colo", "release-ram", "multifd",
    "dirty-bitmaps", "postcopy-blocktime", "validate-uuid", "zero-copy-send", "postcopy-preempt",
};

/* The index of this name, or how many there are. */
static size_t find_capability(const char *name)
{
    size_t n = 0;

    while (n < G_N_ELEMENTS(capabilities) && strcmp(capabilities[n], name)) {
        n++;
    }
    return n;
}

json_t *qmp_query_migrate_capabilities(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        bool on = i < MIGRATION_CAP__MAX && migration_capability(mon->ms, i);

        json_array_append_new(list, json_pack("{s:s,s:b}", "capability", capabilities[i],
                                              "state", on));
    }
    return list;
}

/* What will be on. */
static void get_wanted(Monitor *mon, json_t *list, bool *caps)
{
    json_t *cap;
    size_t i;

    for (MigrationCap n = 0; n < MIGRATION_CAP__MAX; n++) {
        caps[n] = migration_capability(mon->ms, n);
    }
    json_array_foreach(list, i, cap) {
        size_t n = find_capability(qmp_str(cap, "capability"));

        if (n < MIGRATION_CAP__MAX) {
            caps[n] = qmp_bool(cap, "state", false);
        }
    }
}

json_t *qmp_migrate_set_capabilities(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_object_get(args, "capabilities"), *cap;
    bool caps[MIGRATION_CAP__MAX];
    size_t i;

    get_wanted(mon, list, caps);
    json_array_foreach(list, i, cap) {
        const char *name = qmp_str(cap, "capability");
        size_t n = find_capability(name);
        bool on = qmp_bool(cap, "state", false);

        if (n == G_N_ELEMENTS(capabilities)) {
            error_setg(errp, "Parameter 'capability' does not accept value '%s'", name);
            return NULL;
        }
        if (n >= MIGRATION_CAP__MAX && on) {
            error_setg(errp, "Migration capability '%s' is not supported", name);
            return NULL;
        }
        if (on && !migration_check_capability(mon->ms, n, caps, errp)) {
            return NULL;
        }
    }
    for (MigrationCap n = 0; n < MIGRATION_CAP__MAX; n++) {
        migration_set_capability(mon->ms, n, caps[n]);
    }
    return NULL;
}

/* Numbers of MigrationParams. */
static const struct {
    const char *name;
    size_t offset;
    uint64_t min, max;
} params[] = {
    { "max-bandwidth", offsetof(MigrationParams, max_bandwidth), 0, INT64_MAX },
    { "max-postcopy-bandwidth", offsetof(MigrationParams, max_postcopy_bandwidth), 0, INT64_MAX },
    { "downtime-limit", offsetof(MigrationParams, downtime_limit), 0, 2000000 },
    { "cpu-throttle-initial", offsetof(MigrationParams, throttle_initial), 1, 99 },
    { "cpu-throttle-increment", offsetof(MigrationParams, throttle_increment), 1, 99 },
    { "max-cpu-throttle", offsetof(MigrationParams, throttle_max), 1, 99 },
};

static uint64_t *param_of(MigrationParams *p, size_t n)
{
    return (uint64_t *)((char *)p + params[n].offset);
}

json_t *qmp_query_migrate_parameters(Monitor *mon, json_t *args, Error **errp)
{
    MigrationParams p = migration_params(mon->ms);
    json_t *ret = json_object();

    for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
        json_object_set_new(ret, params[i].name, json_integer(*param_of(&p, i)));
    }
    return ret;
}

static bool set_param(MigrationParams *p, const char *name, int64_t value, Error **errp)
{
    size_t i = 0;

    while (i < G_N_ELEMENTS(params) && strcmp(params[i].name, name)) {
        i++;
    }
    if (i == G_N_ELEMENTS(params)) {
        error_setg(errp, "Migration parameter '%s' is not supported", name);
        return false;
    }
    if (value < 0 || (uint64_t)value < params[i].min || (uint64_t)value > params[i].max) {
        error_setg(errp, "Parameter '%s' expects a value between %" PRIu64 " and %" PRIu64, name,
                   params[i].min, params[i].max);
        return false;
    }
    *param_of(p, i) = value;
    return true;
}

json_t *qmp_migrate_set_parameters(Monitor *mon, json_t *args, Error **errp)
{
    MigrationParams p = migration_params(mon->ms);
    const char *name;
    json_t *value;

    json_object_foreach(args, name, value) {
        /* Clients look for it to know of a QEMU that has all for backups. */
        bool none = !strcmp(name, "block-bitmap-mapping") && !json_array_size(value);

        if (!none && !set_param(&p, name, qmp_int(args, name, -1), errp)) {
            return NULL;
        }
    }
    migration_set_params(mon->ms, &p);
    return NULL;
}

static json_t *ram_info(const MigrationInfo *info)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:i,s:I,s:I,s:I,s:f,s:I,s:I,s:I,s:I,s:i,s:i,s:I}",
                     "transferred", (json_int_t)info->transferred,
                     "remaining", (json_int_t)info->remaining,
                     "total", (json_int_t)info->total,
                     "duplicate", (json_int_t)info->duplicate, "skipped", 0,
                     "normal", (json_int_t)info->normal,
                     "normal-bytes", (json_int_t)info->normal * 4096, "dirty-pages-rate",
                     (json_int_t)info->dirty_pages_rate, "mbps", info->mbps,
                     "dirty-sync-count", (json_int_t)info->rounds,
                     "postcopy-requests", (json_int_t)info->postcopy_requests,
                     "postcopy-bytes", (json_int_t)info->postcopy_bytes, "precopy-bytes",
                     (json_int_t)(info->transferred - info->postcopy_bytes),
                     "page-size", 4096, "multifd-bytes", 0, "pages-per-second",
                     (json_int_t)(info->mbps * 1e6 / 8 / 4096));
}

json_t *qmp_query_migrate(Monitor *mon, json_t *args, Error **errp)
{
    json_t *ret = json_object();
    Error *blocked = NULL;
    MigrationInfo info;

    migration_get_info(mon->ms, &info);
    if (!migration_check(mon->ms, &blocked)) {
        json_object_set_new(ret, "blocked-reasons",
                            json_pack("[s]", error_get_pretty(blocked)));
        error_free(blocked);
    }
    if (info.status == MIGRATION_NONE) {
        return ret;
    }
    json_object_set_new(ret, "status", json_string(migration_status_name(info.status)));
    if (info.error) {
        json_object_set_new(ret, "error-desc", json_string(info.error));
    }
    if (!info.incoming) {
        json_object_set_new(ret, "total-time", json_integer(info.total_time));
        json_object_set_new(ret, "setup-time", json_integer(info.setup_time));
        if (info.status == MIGRATION_POSTCOPY_ACTIVE || info.status == MIGRATION_COMPLETED) {
            json_object_set_new(ret, "downtime", json_integer(info.downtime));
        }
        if (info.status != MIGRATION_COMPLETED) {
            json_object_set_new(ret, "expected-downtime", json_integer(info.downtime));
        }
        json_object_set_new(ret, "ram", ram_info(&info));
        if (info.throttle) {
            json_object_set_new(ret, "cpu-throttle-percentage", json_integer(info.throttle));
        }
    }
    return ret;
}

json_t *qmp_migrate(Monitor *mon, json_t *args, Error **errp)
{
    if (qmp_bool(args, "resume", false)) {
        error_setg(errp, "Parameter 'resume' is not supported");
        return NULL;
    }
    migration_start(mon->ms, qmp_str(args, "uri"), NULL, NULL, errp);
    return NULL;
}

json_t *qmp_migrate_cancel(Monitor *mon, json_t *args, Error **errp)
{
    migration_cancel(mon->ms, errp);
    return NULL;
}

json_t *qmp_migrate_start_postcopy(Monitor *mon, json_t *args, Error **errp)
{
    migration_start_postcopy(mon->ms, errp);
    return NULL;
}

json_t *qmp_migrate_continue(Monitor *mon, json_t *args, Error **errp)
{
    const char *state = qmp_str(args, "state");

    if (strcmp(state, migration_status_name(MIGRATION_PRE_SWITCHOVER))) {
        error_setg(errp, "Migration not in expected state: %s", state);
    } else {
        migration_continue(mon->ms, errp);
    }
    return NULL;
}

json_t *qmp_migrate_incoming(Monitor *mon, json_t *args, Error **errp)
{
    migration_incoming(mon->ms, qmp_str(args, "uri"), errp);
    return NULL;
}

/* For people ----------------------------------------------------------------------------- */

static void hmp_migrate_done(const char *why, void *opaque)
{
    Error *err = NULL;

    if (why) {
        error_setg(&err, "%s", why);
    }
    monitor_job_done(opaque, NULL, err);
}

/* Done, or the client has gone: the machine itself goes on going. */
static void forget_waiter(gpointer opaque)
{
    migration_forget_waiter(((Monitor *)opaque)->ms);
}

void hmp_migrate(Monitor *mon, json_t *args)
{
    bool wait = !hmp_bool(args, "detach");
    Error *err = NULL;

    if (!migration_start(mon->ms, hmp_str(args, "uri"), wait ? hmp_migrate_done : NULL, mon,
                         &err)) {
        hmp_error(mon, err);
    } else if (wait) {
        monitor_job_start(mon, -1, NULL, forget_waiter, mon);
    }
}

void hmp_info_migrate(Monitor *mon, json_t *args)
{
    MigrationInfo info;

    migration_get_info(mon->ms, &info);
    if (info.status == MIGRATION_NONE) {
        return;
    }
    monitor_printf(mon, "Migration status: %s\n", migration_status_name(info.status));
    if (info.error) {
        monitor_printf(mon, "Error: %s\n", info.error);
    }
    if (!info.incoming) {
        monitor_printf(mon, "total time: %" PRId64 " ms\n%sdowntime: %" PRId64 " ms\n"
                       "setup: %" PRId64 " ms\ntransferred ram: %" PRIu64 " kbytes\n"
                       "remaining ram: %" PRIu64 " kbytes\ntotal ram: %" PRIu64 " kbytes\n"
                       "duplicate: %" PRIu64 " pages\nnormal: %" PRIu64 " pages\n"
                       "dirty sync count: %" PRIu64 "\nthroughput: %.2f mbps\n"
                       "postcopy request count: %" PRIu64 "\n",
                       info.total_time, info.status == MIGRATION_COMPLETED ? "" : "expected ",
                       info.downtime, info.setup_time, info.transferred / 1024,
                       info.remaining / 1024, info.total / 1024, info.duplicate, info.normal,
                       info.rounds, info.mbps, info.postcopy_requests);
    }
}
