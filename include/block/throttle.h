/*
 * Limits of what disks do in a second: throttling.* of -drive, -object throttle-group,
 * block_set_io_throttle. Main thread.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_THROTTLE_H
#define BLOCK_THROTTLE_H

#include "block/block.h"

typedef enum ThrottleKind {
    THROTTLE_BPS_TOTAL, THROTTLE_BPS_READ, THROTTLE_BPS_WRITE,
    THROTTLE_IOPS_TOTAL, THROTTLE_IOPS_READ, THROTTLE_IOPS_WRITE,
    THROTTLE__KINDS
} ThrottleKind;

/* Bytes or requests a second; 0: no limit. */
typedef struct ThrottleLimit {
    uint64_t avg;
    uint64_t max;               /* in a burst; 0: bursts of a tenth of a second's avg */
    uint64_t length;            /* of a burst, seconds; at least 1 */
} ThrottleLimit;

typedef struct ThrottleLimits {
    ThrottleLimit of[THROTTLE__KINDS];
    uint64_t iops_size;         /* bytes that count as one request; 0: any number of them */
} ThrottleLimits;

/* -drive's, of whose class this one is the parent. */
typedef struct DriveThrottle {
    Object obj;
    ThrottleLimits limits;
    char *group;
} DriveThrottle;
extern const ObjectClass drive_throttle_class;
/* Before the rows are set: names that -drive had in the past. */
bool drive_throttle_rename(QemuOpts *opts, Error **errp);
/* The options' limits to their disk, whose name is that of the group if there is no other. */
bool drive_throttle_apply(const DriveThrottle *t, BlockBackend *blk, Error **errp);

/*
 * blk and all others of the group (NULL: the one that blk is in, or else one called name) have
 * these limits from now on; without any, blk leaves its group.
 */
bool blk_set_throttle(BlockBackend *blk, const ThrottleLimits *limits, const char *group,
                      const char *name, Error **errp);
/* The group's name, and its limits; NULL: blk has none. */
const char *blk_get_throttle(const BlockBackend *blk, ThrottleLimits *limits);

#endif
