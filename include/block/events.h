/*
 * What happens to images, told to whoever listens (QMP's clients).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_EVENTS_H
#define BLOCK_EVENTS_H

#include "block/job.h"

/* An image turned out not to be sound. */
typedef struct BlockCorruption {
    const char *device;         /* the backend above, "" if it has no name */
    const char *node_name;
    const char *what;           /* for people */
    uint64_t offset;            /* in the file */
    bool fatal;                 /* it is not written any more */
} BlockCorruption;

typedef enum BlockJobEvent {
    JOB_EVENT_STATUS, JOB_EVENT_READY, JOB_EVENT_PENDING, JOB_EVENT_COMPLETED,
    JOB_EVENT_CANCELLED, JOB_EVENT_ERROR_STOP, JOB_EVENT_ERROR_REPORT, JOB_EVENT_ERROR_IGNORE,
} BlockJobEvent;

typedef struct BlockListener {
    void (*corrupted)(void *opaque, const BlockCorruption *c);
    void (*job)(void *opaque, const BlockJobInfo *info, BlockJobEvent event);
    void (*export_deleted)(void *opaque, const char *id);
} BlockListener;

/* NULL: nobody. Called on the main thread with the machine lock. */
void block_set_listener(const BlockListener *listener, void *opaque);

/* Any thread. what: a literal. */
void block_image_corrupted(const BlockNode *bs, const char *what, uint64_t offset, bool fatal);
/* Main thread. */
void block_job_event(const BlockJobInfo *info, BlockJobEvent event);
void block_export_event(const char *id);

#endif
