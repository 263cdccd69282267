/*
 * How fast a guest writes to its RAM, measured while it runs. Main thread with the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef MIGRATION_DIRTY_RATE_H
#define MIGRATION_DIRTY_RATE_H

#include "hw/boards.h"

typedef enum DirtyRateMode {
    DIRTY_RATE_SAMPLING,        /* some pages are compared with what they were */
    DIRTY_RATE_BITMAP,          /* the dirty log tells of each */
} DirtyRateMode;

typedef enum DirtyRateStatus {
    DIRTY_RATE_UNSTARTED, DIRTY_RATE_MEASURING, DIRTY_RATE_MEASURED,
} DirtyRateStatus;

#define DIRTY_RATE_MAX_SECONDS  60
#define DIRTY_RATE_MIN_SAMPLES  128     /* of each GiB */
#define DIRTY_RATE_SAMPLES      512
#define DIRTY_RATE_MAX_SAMPLES  4096

typedef struct DirtyRateInfo {
    DirtyRateStatus status;
    DirtyRateMode mode;
    int64_t start_time;         /* s, of the host's monotonic clock */
    unsigned seconds, samples;  /* samples: pages of each GiB */
    uint64_t rate;              /* MiB a second, when it has been measured */
} DirtyRateInfo;

/* For so many seconds, which are not 0. False with errp set: it is not measured. */
bool dirty_rate_start(MachineState *ms, unsigned seconds, unsigned samples, DirtyRateMode mode,
                      Error **errp);
void dirty_rate_get(const MachineState *ms, DirtyRateInfo *info);

#endif
