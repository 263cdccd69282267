/*
 * Commands about snapshots of the machine inside of its disks' images.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <time.h>

#include "hmp.h"
#include "migration/snapshot.h"
#include "qmp.h"

static json_t *start_job(Monitor *mon, json_t *args, SnapshotVerb verb, Error **errp)
{
    json_t *list = json_object_get(args, "devices"), *name;
    g_autofree const char **devices = g_new0(const char *, json_array_size(list) + 1);
    SnapshotJob job = {
        .id = qmp_str(args, "job-id"), .tag = qmp_str(args, "tag"),
        .vmstate = qmp_str(args, "vmstate"), .devices = devices,
    };
    size_t i;

    json_array_foreach(list, i, name) {
        devices[i] = json_string_value(name);
    }
    snapshot_job(mon->ms, verb, &job, errp);
    return NULL;
}

json_t *qmp_snapshot_save(Monitor *mon, json_t *args, Error **errp)
{
    return start_job(mon, args, SNAPSHOT_SAVE, errp);
}

json_t *qmp_snapshot_load(Monitor *mon, json_t *args, Error **errp)
{
    return start_job(mon, args, SNAPSHOT_LOAD, errp);
}

json_t *qmp_snapshot_delete(Monitor *mon, json_t *args, Error **errp)
{
    return start_job(mon, args, SNAPSHOT_DELETE, errp);
}

/* For people ----------------------------------------------------------------------------- */

void hmp_savevm(Monitor *mon, json_t *args)
{
    Error *err = NULL;

    snapshot_save(mon->ms, hmp_str(args, "name"), &err);
    hmp_error(mon, err);
}

void hmp_loadvm(Monitor *mon, json_t *args)
{
    Error *err = NULL;

    snapshot_load(mon->ms, hmp_str(args, "name"), &err);
    hmp_error(mon, err);
}

void hmp_delvm(Monitor *mon, json_t *args)
{
    Error *err = NULL;

    snapshot_delete(hmp_str(args, "name"), &err);
    hmp_error(mon, err);
}

/* Those that all disks have, or those that one has of the others. */
typedef struct Listing {
    Monitor *mon;
    bool partial, any;
    const char *device;         /* the last; complete ones are those of the first */
} Listing;

static void print_snapshot(Monitor *mon, const BlockSnapshotInfo *sn, bool common)
{
    time_t date = sn->date_sec;
    unsigned long long s = sn->vm_clock_ns / 1000000000u;
    g_autofree char *clock = g_strdup_printf("%02llu:%02llu:%02llu.%03u", s / 3600, s / 60 % 60,
                                             s % 60, (unsigned)(sn->vm_clock_ns / 1000000 % 1000));
    g_autofree char *size = monitor_size_text(sn->vm_state_size);
    g_autofree char *icount = sn->icount >= 0 ? g_strdup_printf("%" PRId64, sn->icount)
                                              : g_strdup("");
    char text[32] = "";
    struct tm tm;

    if (localtime_r(&date, &tm)) {
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    }
    monitor_printf(mon, "%-9s %-16s %8s %19s %12s %10s\n", common ? "--" : sn->id, sn->name,
                   size, text, clock, icount);
}

static void print_heading(Monitor *mon)
{
    monitor_printf(mon, "%-9s %-16s %8s %19s %12s %10s\n", "ID", "TAG", "VM SIZE", "DATE",
                   "VM CLOCK", "ICOUNT");
}

static void list_one(const char *device, const BlockSnapshotInfo *sn, bool in_all, void *opaque)
{
    Listing *list = opaque;
    bool first = g_strcmp0(device, list->device) != 0;

    if (in_all == list->partial) {
        return;
    }
    if (!list->partial) {
        if (list->any && first) {
            return;             /* another disk's, of the same snapshots */
        }
        if (!list->any) {
            print_heading(list->mon);
        }
    } else if (first) {
        monitor_printf(list->mon, "\nList of partial (non-loadable) snapshots on '%s':\n",
                       device);
        print_heading(list->mon);
    }
    list->device = device;
    list->any = true;
    print_snapshot(list->mon, sn, in_all);
}

void hmp_info_snapshots(Monitor *mon, json_t *args)
{
    Listing whole = { .mon = mon }, partial = { .mon = mon, .partial = true };
    Error *err = NULL;

    if (!snapshot_foreach(NULL, NULL, &err)) {
        hmp_error(mon, err);
        return;
    }
    monitor_printf(mon, "List of snapshots present on all disks:\n");
    snapshot_foreach(list_one, &whole, NULL);
    if (!whole.any) {
        monitor_printf(mon, "None\n");
    }
    snapshot_foreach(list_one, &partial, NULL);
}
