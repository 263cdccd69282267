/*
 * QMP and HMP about how fast a guest writes to its memory.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hmp.h"
#include "migration/dirty-rate.h"
#include "qmp.h"

static const char *const modes[] = {
    [DIRTY_RATE_SAMPLING] = "page-sampling", [DIRTY_RATE_BITMAP] = "dirty-bitmap",
};

static bool check_range(const char *name, int64_t value, int64_t min, int64_t max, Error **errp)
{
    if (value < min || value > max) {
        error_setg(errp, "%s is out of range[%" PRId64 ", %" PRId64 "].", name, min, max);
        return false;
    }
    return true;
}

json_t *qmp_calc_dirty_rate(Monitor *mon, json_t *args, Error **errp)
{
    const char *mode = qmp_str(args, "mode");
    int64_t seconds = qmp_int(args, "calc-time", 0);
    int64_t samples = qmp_int(args, "sample-pages", DIRTY_RATE_SAMPLES);
    bool bitmap = mode && !strcmp(mode, modes[DIRTY_RATE_BITMAP]);

    if (mode && !strcmp(mode, "dirty-ring")) {
        error_setg(errp, "dirty ring is disabled, use sample-pages method or remeasure later.");
    } else if (bitmap && json_object_get(args, "sample-pages")) {
        error_setg(errp, "sample-pages is used only in page-sampling mode");
    } else if (check_range("calc-time", seconds, 1, DIRTY_RATE_MAX_SECONDS, errp) &&
               check_range("sample-pages", samples, DIRTY_RATE_MIN_SAMPLES,
                           DIRTY_RATE_MAX_SAMPLES, errp)) {
        dirty_rate_start(mon->ms, seconds, samples,
                         bitmap ? DIRTY_RATE_BITMAP : DIRTY_RATE_SAMPLING, errp);
    }
    return NULL;
}

json_t *qmp_query_dirty_rate(Monitor *mon, json_t *args, Error **errp)
{
    static const char *const status[] = { "unstarted", "measuring", "measured" };
    DirtyRateInfo info;
    json_t *ret;

    dirty_rate_get(mon->ms, &info);
    ret = json_pack("{s:s,s:I,s:i,s:i,s:s}", "status", status[info.status],
                    "start-time", (json_int_t)info.start_time, "calc-time", (int)info.seconds,
                    "sample-pages", (int)info.samples, "mode", modes[info.mode]);
    if (info.status == DIRTY_RATE_MEASURED) {
        json_object_set_new(ret, "dirty-rate", json_integer(info.rate));
    }
    return ret;
}

/* For people ------------------------------------------------------------------------------- */

void hmp_calc_dirty_rate(Monitor *mon, json_t *args)
{
    const char *mode = hmp_bool(args, "dirty-ring") ? "dirty-ring"
                       : modes[hmp_bool(args, "dirty-bitmap") ? DIRTY_RATE_BITMAP
                                                              : DIRTY_RATE_SAMPLING];
    json_t *set = json_pack("{s:I,s:s}", "calc-time", (json_int_t)hmp_int(args, "second", 0),
                            "mode", mode);
    json_t *samples = json_object_get(args, "sample-pages");

    if (samples) {
        json_object_set(set, "sample-pages", samples);
    }
    json_decref(hmp_qmp(mon, "calc-dirty-rate", set));
    json_decref(set);
}

void hmp_info_dirty_rate(Monitor *mon, json_t *args)
{
    json_t *info = hmp_qmp(mon, "query-dirty-rate", NULL);
    const json_t *rate = json_object_get(info, "dirty-rate");

    if (info) {
        monitor_printf(mon, "Status: %s\nMode: %s\nPeriod: %" PRId64 " sec\n",
                       qmp_str(info, "status"), qmp_str(info, "mode"),
                       (int64_t)qmp_int(info, "calc-time", 0));
    }
    if (rate) {
        monitor_printf(mon, "Dirty rate: %" JSON_INTEGER_FORMAT " (MB/s)\n",
                       json_integer_value(rate));
    }
    json_decref(info);
}
