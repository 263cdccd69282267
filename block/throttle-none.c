/*
 * A program without limits of disks.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "throttle-internal.h"

const ObjectClass drive_throttle_class = {
    .name = "drive-throttle",
    .instance_size = sizeof(DriveThrottle),
};

bool drive_throttle_rename(QemuOpts *opts, Error **errp)
{
    return true;
}

bool drive_throttle_apply(const DriveThrottle *t, BlockBackend *blk, Error **errp)
{
    return true;
}

bool blk_set_throttle(BlockBackend *blk, const ThrottleLimits *limits, const char *group,
                      const char *name, Error **errp)
{
    error_setg(errp, "I/O throttling is not supported");
    return false;
}

const char *blk_get_throttle(const BlockBackend *blk, ThrottleLimits *limits)
{
    return NULL;
}

/* No backend has one. */
void throttle_submit(ThrottleMember *m, BlockRequest *req)
{
}

void throttle_release(ThrottleMember *m)
{
}

void throttle_leave(ThrottleMember *m)
{
}

void throttle_set_context(ThrottleMember *m, GMainContext *ctx)
{
}
