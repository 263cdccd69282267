/*
 * Commands about saving and loading the machine.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "migration/migration.h"
#include "qmp.h"

/* Each is known by name; what is there has a row below. */
static const char *const capabilities[] = {
    "xbzrle", "rdma-pin-all", "auto-converge", "zero-blocks", "compress", "events",
    "postcopy-ram", "x-colo", "release-ram", "return-path", "pause-before-switchover",
    "multifd", "dirty-bitmaps", "postcopy-blocktime", "late-block-activate", "x-ignore-shared",
    "validate-uuid", "background-snapshot", "zero-copy-send", "postcopy-preempt", "mapped-ram",
};

static const struct {
    const char *name;
    bool (*get)(const MachineState *ms);
    void (*set)(MachineState *ms, bool on);
} supported[] = {
    { "events", migration_has_events, migration_set_events },
    { "mapped-ram", migration_has_mapped_ram, migration_set_mapped_ram },
};

/* Index in supported, or its size. */
static size_t find_supported(const char *name)
{
    size_t i = 0;

    while (i < G_N_ELEMENTS(supported) && strcmp(supported[i].name, name)) {
        i++;
    }
    return i;
}

static bool is_known(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        if (!strcmp(capabilities[i], name)) {
            return true;
        }
    }
    return false;
}

json_t *qmp_query_migrate_capabilities(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_array();

    for (size_t i = 0; i < G_N_ELEMENTS(capabilities); i++) {
        size_t n = find_supported(capabilities[i]);
        bool on = n < G_N_ELEMENTS(supported) && supported[n].get(mon->ms);

        json_array_append_new(list, json_pack("{s:s,s:b}", "capability", capabilities[i],
                                              "state", on));
    }
    return list;
}

json_t *qmp_migrate_set_capabilities(Monitor *mon, json_t *args, Error **errp)
{
    json_t *list = json_object_get(args, "capabilities"), *cap;
    size_t i;

    json_array_foreach(list, i, cap) {
        const char *name = qmp_str(cap, "capability");

        if (!is_known(name)) {
            error_setg(errp, "Parameter 'capability' does not accept value '%s'", name);
            return NULL;
        }
        if (find_supported(name) == G_N_ELEMENTS(supported) && qmp_bool(cap, "state", false)) {
            error_setg(errp, "Migration capability '%s' is not supported", name);
            return NULL;
        }
    }
    json_array_foreach(list, i, cap) {
        size_t n = find_supported(qmp_str(cap, "capability"));

        if (n < G_N_ELEMENTS(supported)) {
            supported[n].set(mon->ms, qmp_bool(cap, "state", false));
        }
    }
    return NULL;
}

json_t *qmp_query_migrate_parameters(Monitor *mon, json_t *args, Error **errp)
{
    return json_pack("{s:I}", "max-bandwidth", (json_int_t)migration_max_bandwidth(mon->ms));
}

json_t *qmp_migrate_set_parameters(Monitor *mon, json_t *args, Error **errp)
{
    const char *name;
    json_t *value;

    json_object_foreach(args, name, value) {
        if (strcmp(name, "max-bandwidth")) {
            error_setg(errp, "Migration parameter '%s' is not supported", name);
            return NULL;
        }
    }
    if (json_object_get(args, "max-bandwidth")) {
        migration_set_max_bandwidth(mon->ms, qmp_int(args, "max-bandwidth", 0));
    }
    return NULL;
}

static json_t *ram_info(const MigrationInfo *info)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:i,s:I,s:I,s:i,s:f,s:i,s:i,s:i,s:i,s:i}",
                     "transferred", (json_int_t)info->transferred,
                     "remaining", (json_int_t)info->remaining,
                     "total", (json_int_t)info->total,
                     "duplicate", (json_int_t)info->duplicate, "skipped", 0,
                     "normal", (json_int_t)info->normal,
                     "normal-bytes", (json_int_t)info->normal * 4096, "dirty-pages-rate", 0,
                     "mbps", info->mbps, "dirty-sync-count", 1, "postcopy-requests", 0,
                     "page-size", 4096, "multifd-bytes", 0, "pages-per-second", 0);
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
        json_object_set_new(ret, info.status == MIGRATION_COMPLETED ? "downtime"
                            : "expected-downtime", json_integer(info.downtime));
        json_object_set_new(ret, "ram", ram_info(&info));
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
    migration_cancel(mon->ms);
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
        monitor_printf(mon, "total time: %" PRId64 " ms\ndowntime: %" PRId64 " ms\n"
                       "setup: %" PRId64 " ms\ntransferred ram: %" PRIu64 " kbytes\n"
                       "remaining ram: %" PRIu64 " kbytes\ntotal ram: %" PRIu64 " kbytes\n"
                       "duplicate: %" PRIu64 " pages\nnormal: %" PRIu64 " pages\n",
                       info.total_time, info.downtime, info.setup_time, info.transferred / 1024,
                       info.remaining / 1024, info.total / 1024, info.duplicate, info.normal);
    }
}
