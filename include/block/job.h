/*
 * Jobs: what is done to images in the background, while guests use them.
 *
 * A job's work is done on a thread of its own, by synchronous requests to nodes; what changes the
 * nodes' places is done on the main thread, while the disk's loop has nothing in flight.
 *
 * All on the main thread with the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_JOB_H
#define BLOCK_JOB_H

#include "block/block.h"

typedef struct BlockJob BlockJob;

typedef enum BlockJobStatus {
    JOB_CREATED, JOB_RUNNING, JOB_PAUSED, JOB_READY, JOB_STANDBY, JOB_WAITING, JOB_PENDING,
    JOB_ABORTING, JOB_CONCLUDED, JOB_NULL,
} BlockJobStatus;

const char *block_job_status_name(BlockJobStatus status);

typedef struct BlockJobInfo {
    const char *id, *type;
    BlockJobStatus status;
    bool is_block;              /* has a disk: query-block-jobs, BLOCK_JOB_… events */
    bool paused, busy, auto_finalize, auto_dismiss;
    bool cancelled;
    uint64_t offset, len;       /* bytes done, and in sum */
    uint64_t speed;             /* bytes per second; 0: no limit */
    BlockIoStatus io_status;
    bool failed_reading;        /* the last error was one of reading */
    const char *error;          /* NULL: none */
} BlockJobInfo;

/* What all commands that make jobs have. */
typedef struct BlockJobOptions {
    const char *id;             /* NULL: the disk's name */
    uint64_t speed;
    bool manual_finalize, manual_dismiss;
    /* report, ignore, enospc, stop; NULL: report */
    const char *on_read_error, *on_write_error;
} BlockJobOptions;

typedef enum BlockJobVerb {
    JOB_VERB_CANCEL, JOB_VERB_PAUSE, JOB_VERB_RESUME, JOB_VERB_SET_SPEED, JOB_VERB_COMPLETE,
    JOB_VERB_FINALIZE, JOB_VERB_DISMISS,
} BlockJobVerb;

/* NULL with errp set: no job has that id. */
BlockJob *block_job_find(const char *id, Error **errp);
/* value: speed; or whether to cancel at once, a job that is ready too. May free the job. */
bool block_job_do(BlockJob *job, BlockJobVerb verb, uint64_t value, Error **errp);
typedef void BlockJobInfoFn(const BlockJobInfo *info, void *opaque);
void block_job_foreach(BlockJobInfoFn *fn, void *opaque);

/* What makes them ------------------------------------------------------------- */

/* The names of nodes, or NULL for what the command did not say. */
typedef struct BlockCommitOptions {
    const char *device, *top_node, *base_node, *backing_file;
} BlockCommitOptions;

bool block_stream_start(const char *device, const char *base_node, const char *backing_file,
                        const BlockJobOptions *options, Error **errp);
bool block_commit_start(const BlockCommitOptions *commit, const BlockJobOptions *options,
                        Error **errp);
/* To a node, or to a file, which is made or is there. */
typedef struct BlockMirrorOptions {
    const char *device, *target;
    const char *sync;           /* "full", "top", "none" */
    const char *file, *format, *node_name;  /* instead of target; NULL: the disk's format, any */
    bool existing;
    bool write_blocking;        /* what is written goes to both at once */
    bool keep_room;             /* zeroes do not deallocate, even if the target has discard=unmap */
} BlockMirrorOptions;
bool block_mirror_start(const BlockMirrorOptions *mirror, const BlockJobOptions *options,
                        Error **errp);
/* opts: driver and what it takes; consumed. */
bool block_create_start(QemuOpts *opts, const char *job_id, Error **errp);

/* What others do as a job, which has no disk and is to be dismissed. */
typedef struct BlockJobWork {
    const char *type;
    int (*run)(BlockJob *job, void *opaque);    /* on its thread: 0 or negative errno */
    bool (*finish)(void *opaque, Error **errp); /* main thread, run() went well */
    void (*end)(void *opaque);                  /* main thread, in any case */
} BlockJobWork;
/* False with errp set: there is no such job, and end() is not called. */
bool block_job_work(const BlockJobWork *work, void *opaque, const char *id, Error **errp);
/* On its thread: bytes of so many were done. Waits for pauses; -ECANCELED: no more. */
void block_job_set_length(BlockJob *job, uint64_t len);
int block_job_pace(BlockJob *job, uint64_t bytes);

/* The name of the node in a disk's chain that has this file; NULL: none. */
const char *block_chain_node(const char *device, const char *filename);

#endif
