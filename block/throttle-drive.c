/*
 * Limits of a disk: throttling.* of -drive, block_set_io_throttle.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "blockdev.h"
#include "job-internal.h"
#include "throttle-internal.h"

/* Options ---------------------------------------------------------------------------------- */

#define LIMIT_ROWS(n, i, what) \
    DEFINE_PROP_UINT64("throttling." n, DriveThrottle, limits.of[i].avg, NULL, what " a second"), \
    DEFINE_PROP_UINT64("throttling." n "-max", DriveThrottle, limits.of[i].max, NULL, \
                       what " a second in bursts"), \
    DEFINE_PROP_UINT64("throttling." n "-max-length", DriveThrottle, limits.of[i].length, NULL, \
                       "length of these bursts in seconds, 1 if not said")

static const Property drive_throttle_props[] = {
    LIMIT_ROWS("bps-total", THROTTLE_BPS_TOTAL, "bytes"),
    LIMIT_ROWS("bps-read", THROTTLE_BPS_READ, "bytes read"),
    LIMIT_ROWS("bps-write", THROTTLE_BPS_WRITE, "bytes written"),
    LIMIT_ROWS("iops-total", THROTTLE_IOPS_TOTAL, "requests"),
    LIMIT_ROWS("iops-read", THROTTLE_IOPS_READ, "reads"),
    LIMIT_ROWS("iops-write", THROTTLE_IOPS_WRITE, "writes"),
    DEFINE_PROP_UINT64("throttling.iops-size", DriveThrottle, limits.iops_size, NULL,
                       "bytes that count as one request"),
    DEFINE_PROP_STRING("throttling.group", DriveThrottle, group, NULL,
                       "share these limits with others of the group"),
    DEFINE_PROP_END
};

static void drive_throttle_init(Object *obj)
{
    DriveThrottle *t = downcast(obj, DriveThrottle, obj);

    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        t->limits.of[i].length = 1;
    }
}

const ObjectClass drive_throttle_class = {
    .name = "drive-throttle",
    .instance_size = sizeof(DriveThrottle),
    .props = drive_throttle_props,
    .init = drive_throttle_init,
};

static bool rename_one(QemuOpts *opts, const char *old, const char *name, Error **errp)
{
    g_autofree char *full = g_strconcat("throttling.", name, NULL);
    g_autofree char *value = qemu_opt_take(opts, old);

    if (value && qemu_opt_get(opts, full)) {
        error_setg(errp, "'%s' and its alias '%s' can't be used at the same time", full, old);
        return false;
    }
    if (value) {
        qemu_opt_append(opts, full, value);
    }
    return true;
}

bool drive_throttle_rename(QemuOpts *opts, Error **errp)
{
    static const char *const names[][2] = {
        { "bps", "bps-total" }, { "bps_rd", "bps-read" }, { "bps_wr", "bps-write" },
        { "iops", "iops-total" }, { "iops_rd", "iops-read" }, { "iops_wr", "iops-write" },
        { "bps_max", "bps-total-max" }, { "bps_rd_max", "bps-read-max" },
        { "bps_wr_max", "bps-write-max" }, { "iops_max", "iops-total-max" },
        { "iops_rd_max", "iops-read-max" }, { "iops_wr_max", "iops-write-max" },
        { "iops_size", "iops-size" }, { "group", "group" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        if (!rename_one(opts, names[i][0], names[i][1], errp)) {
            return false;
        }
    }
    return true;
}

bool drive_throttle_apply(const DriveThrottle *t, BlockBackend *blk, Error **errp)
{
    if (!throttle_check(&t->limits, errp)) {
        return false;
    }
    return !throttle_is_on(&t->limits) ||
           blk_set_throttle(blk, &t->limits, t->group, blk->id, errp);
}

/* Backends --------------------------------------------------------------------------------- */

typedef struct Change {
    BlockBackend *blk;
    ThrottleGroup *group;       /* NULL: none from now on; its reference goes over */
} Change;

/* Nothing of the disk is in flight. */
static void change_group(void *opaque)
{
    Change *c = opaque;
    BlockBackend *blk = c->blk;

    if (blk->throttle) {
        throttle_leave(blk->throttle);
        g_clear_pointer(&blk->throttle, g_free);
    }
    if (c->group) {
        blk->throttle = g_new0(ThrottleMember, 1);
        blk->throttle->blk = blk;
        throttle_join(blk->throttle, c->group, blk->ctx);
    }
}

bool blk_set_throttle(BlockBackend *blk, const ThrottleLimits *limits, const char *group,
                      const char *name, Error **errp)
{
    ThrottleGroup *now = blk->throttle ? blk->throttle->group : NULL;
    Change c = { .blk = blk };

    if (!throttle_check(limits, errp)) {
        return false;
    }
    if (throttle_is_on(limits)) {
        const char *want = group ? group : now ? throttle_group_name(now) : name;

        c.group = throttle_group_get(want);
        throttle_group_set(c.group, limits);
    }
    if (c.group == now) {
        if (now) {
            throttle_group_put(now);
        }
    } else {
        block_quiesce(&blk, 1, change_group, &c);
    }
    return true;
}

const char *blk_get_throttle(const BlockBackend *blk, ThrottleLimits *limits)
{
    if (!blk->throttle) {
        return NULL;
    }
    throttle_group_limits(blk->throttle->group, limits);
    return throttle_group_name(blk->throttle->group);
}
