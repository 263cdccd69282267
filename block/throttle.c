/*
 * Leaky buckets: how long a request has to wait.
 *
 * A request goes when no bucket of its kind holds more than it may, and then fills them; so the
 * rate is kept whatever its size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>

#include "throttle-internal.h"

#define MAX_RATE UINT64_C(1000000000000000)
#define SECOND 1e9              /* ns */

static bool both(const ThrottleLimits *l, ThrottleKind total, bool max)
{
    const ThrottleLimit *t = &l->of[total], *rd = t + 1, *wr = t + 2;

    return max ? t->max && (rd->max || wr->max) : t->avg && (rd->avg || wr->avg);
}

static bool check_limit(const ThrottleLimit *l, Error **errp)
{
    if (l->avg > MAX_RATE || l->max > MAX_RATE) {
        error_setg(errp, "bps/iops/max values must be within [0, %" PRIu64 "]", MAX_RATE);
    } else if (!l->length) {
        error_setg(errp, "the burst length cannot be 0");
    } else if (l->length > 1 && !l->max) {
        error_setg(errp, "burst length set without burst rate");
    } else if (l->max && l->length > MAX_RATE / l->max) {
        error_setg(errp, "burst length too high for this burst rate");
    } else if (l->max && !l->avg) {
        error_setg(errp, "bps_max/iops_max require corresponding bps/iops values");
    } else if (l->max && l->max < l->avg) {
        error_setg(errp, "bps_max/iops_max cannot be lower than bps/iops");
    } else {
        return true;
    }
    return false;
}

bool throttle_check(const ThrottleLimits *limits, Error **errp)
{
    const ThrottleLimit *of = limits->of;

    for (unsigned total = 0; total < THROTTLE__KINDS; total += THROTTLE_IOPS_TOTAL) {
        if (both(limits, total, false) || both(limits, total, true)) {
            error_setg(errp, "bps/iops/max total values and read/write values cannot be used "
                       "at the same time");
            return false;
        }
    }
    if (limits->iops_size && !of[THROTTLE_IOPS_TOTAL].avg && !of[THROTTLE_IOPS_READ].avg &&
        !of[THROTTLE_IOPS_WRITE].avg) {
        error_setg(errp, "iops size requires an iops value to be set");
        return false;
    }
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        if (!check_limit(&of[i], errp)) {
            return false;
        }
    }
    return true;
}

bool throttle_is_on(const ThrottleLimits *limits)
{
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        if (limits->of[i].avg) {
            return true;
        }
    }
    return false;
}

static void leak(ThrottleState *s, int64_t now)
{
    double seconds = MAX(now - s->last, 0) / SECOND;

    s->last = now;
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        ThrottleBucket *b = &s->buckets[i];

        b->level = MAX(b->level - s->limits.of[i].avg * seconds, 0);
        b->burst = MAX(b->burst - s->limits.of[i].max * seconds, 0);
    }
}

/* Seconds until there is room again. */
static double bucket_wait(const ThrottleBucket *b, const ThrottleLimit *l)
{
    /* Without a burst rate, too, a guest need not send its requests one at a time. */
    double capacity = l->max ? (double)l->max * l->length : l->avg / 10.0;
    double wait = 0;

    if (l->avg && b->level > capacity) {
        wait = (b->level - capacity) / l->avg;
    }
    if (l->avg && l->length > 1 && b->burst > l->max / 10.0) {
        wait = MAX(wait, (b->burst - l->max / 10.0) / l->max);
    }
    return wait;
}

/* Of a read, or of a write: the sum's bucket and its own. */
static bool concerns(unsigned kind, bool is_write)
{
    unsigned of = kind % THROTTLE_IOPS_TOTAL;

    return of == THROTTLE_BPS_TOTAL || of == (is_write ? THROTTLE_BPS_WRITE : THROTTLE_BPS_READ);
}

int64_t throttle_wait(ThrottleState *s, bool is_write, int64_t now)
{
    double wait = 0;

    leak(s, now);
    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        if (concerns(i, is_write)) {
            wait = MAX(wait, bucket_wait(&s->buckets[i], &s->limits.of[i]));
        }
    }
    /* A year is as good as for ever, and fits. */
    return MIN(wait, 365 * 86400.0) * SECOND;
}

void throttle_account(ThrottleState *s, bool is_write, uint64_t bytes)
{
    double ops = s->limits.iops_size ? MAX((double)bytes / s->limits.iops_size, 1) : 1;

    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        double units = i < THROTTLE_IOPS_TOTAL ? bytes : ops;

        if (concerns(i, is_write) && s->limits.of[i].avg) {
            s->buckets[i].level += units;
            if (s->limits.of[i].length > 1) {
                s->buckets[i].burst += units;
            }
        }
    }
}
