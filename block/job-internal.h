/*
 * What kinds of jobs share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_JOB_INTERNAL_H
#define BLOCK_JOB_INTERNAL_H

#include "block-internal.h"
#include "block/job.h"

#define JOB_CHUNK (1u << 20)    /* bytes that are copied at once at most */

typedef struct BlockJobOps {
    const char *type;
    bool is_block;
    bool opens;                     /* run() opens files: its thread has the list of the main one */
    int (*run)(BlockJob *job);                      /* on its thread: 0 or negative errno */
    bool (*finish)(BlockJob *job, Error **errp);    /* main thread, run() went well; may be NULL */
    void (*end)(BlockJob *job);                     /* main thread, in any case; may be NULL */
} BlockJobOps;

/* Jobs embed it. Main thread's, but for what lock guards. */
struct BlockJob {
    const BlockJobOps *ops;
    char *id;
    BlockBackend *blk;          /* the disk; NULL: none */
    BlockJobStatus status;      /* written on the main thread */
    bool auto_finalize, auto_dismiss;
    int on_error[2];            /* BlockOnError, of writing and of reading */
    GPtrArray *group;           /* that it ends with (job-group.h); NULL: it ends by itself */
    GThread *thread;
    char *error;
    int ret;                    /* of run() */
    bool reading;               /* its thread's: what it does is reading, else writing */

    GMutex lock;                /* what follows; a leaf */
    GCond cond;                 /* one of these has changed */
    bool cancelled, paused, completing, ready;
    bool stays;                 /* completing: the disk stays where it is */
    BlockIoStatus io_status;    /* what stopped it */
    bool failed_reading;        /* the last error was one of reading */
    uint64_t offset, len, speed;
    int64_t slice_start;        /* us: since when slice_bytes were done */
    uint64_t slice_bytes;
};

/* NULL with errp set: the id is taken, or the disk has a job. Not yet started. */
BlockJob *block_job_new(const BlockJobOps *ops, size_t size, BlockBackend *blk,
                        const BlockJobOptions *options, Error **errp);
void block_job_start(BlockJob *job);
/* Before it was started. */
void block_job_free(BlockJob *job);
/* The disk goes: its job ends now. Main thread. */
void block_job_abort(BlockBackend *blk);
/* At exit. */
void block_job_abort_all(void);

/* On the job's thread -------------------------------------------------------------- */

/* bytes were done. Any thread. */
void block_job_progress(BlockJob *job, uint64_t bytes);
/* The same for bytes that were counted already: waits for speed and pauses. -ECANCELED: no more. */
int block_job_wait_turn(BlockJob *job, uint64_t bytes);
/* block_job_pace() is both. */
/* Work to be done once more. */
void block_job_add_length(BlockJob *job, uint64_t bytes);
/* What it did by job->reading failed: 0, try it again; or the error. */
int block_job_failed(BlockJob *job, int ret);
/*
 * Copy what the chain from "from" down to base (which is not in it; NULL: all of it) has of the
 * first length bytes, piece by piece. 0 or more, or negative errno.
 */
typedef struct BlockJobCopy {
    BlockNode *from;
    const BlockNode *base;
    uint64_t length;
    int (*copy)(BlockJob *job, uint64_t pos, uint64_t bytes);   /* at most JOB_CHUNK */
} BlockJobCopy;
int block_job_copy(BlockJob *job, const BlockJobCopy *c);
/* All is done but what the disk writes meanwhile: it is ready to be completed. */
void block_job_set_ready(BlockJob *job);
/* Waits up to us; true: it is to be completed. */
bool block_job_wait(BlockJob *job, int64_t us);

/* graph.c: main thread ------------------------------------------------------------- */

/*
 * Other threads than jobs' and workers use nodes between these: no node changes its place there.
 * Any thread but the main one.
 */
void block_graph_enter(void);
void block_graph_leave(void);
typedef void BlockQuietFn(void *opaque);
/* Call fn while none of the disks has anything in flight, nor will. */
void block_quiesce(BlockBackend **blks, unsigned n, BlockQuietFn *fn, void *opaque);
/* bs is opened again, for writing or not; nobody uses it meanwhile: within block_quiesce(). */
bool block_reopen(BlockNode *bs, bool read_only, Error **errp);
/* Within block_quiesce(): blk's disk is bs from now on, which stood below or nowhere. */
void block_replace_root(BlockBackend *blk, BlockNode *bs);
/* bs's child in the slot stands alone from now on. */
void block_detach_child(BlockNode *bs, BlockChild slot);
/* Close nodes that got their names from us and stand alone, and what they own. */
void block_drop_node(BlockNode *bs);
/* Is base below bs, by backing files? */
bool block_is_below(const BlockNode *bs, const BlockNode *base);
/*
 * Any thread. 1: bs itself or a backing file above base (NULL: any) has the data at pos; 0: none
 * has; negative errno. For *n bytes, at most bytes.
 */
int block_allocated_above(BlockNode *bs, const BlockNode *base, uint64_t pos, uint64_t bytes,
                          uint64_t *n);
/* copy.c: the driver's reads_zero(); stretches are multiples of 4 KiB but where bytes end. */
bool block_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n);
typedef struct BlockCopy {
    BlockNode *from, *to;
    void *buf;                  /* for as many bytes as are copied at once */
    bool skip;                  /* no zeroes where to reads so now: block_copy_may_skip() */
    bool keep_room;             /* zeroes take the room that data would, whatever to's discard= */
} BlockCopy;
/* Main thread: will to read as zeroes wherever it does now, for all that gets below it? */
bool block_copy_may_skip(BlockNode *to);
/* Any thread. 0 or negative errno; *reading: whether it was reading that failed. */
int block_copy(const BlockCopy *c, uint64_t pos, uint64_t bytes, bool *reading);

/* inactive.c: an image is this process's before its guest is, and what is below it, too. */
bool block_activate(BlockNode *bs, Error **errp);

/* nbd-server.c: at exit, before images are closed. */
void block_nbd_end(void);
/* The guest comes: who has filled its disks until now is done; their exports end. */
void block_exports_give_back(void);

/* create.c -------------------------------------------------------------------------- */

/* An image for what a disk has or will have: a new one, or one that is there. Main thread. */
typedef struct BlockImageFor {
    const BlockNode *disk;
    const char *file, *format, *node_name;  /* format NULL: the disk's; node_name NULL: any */
    const BlockNode *backing;   /* whose file and format a new one names; NULL: none */
    bool existing;
} BlockImageFor;
/* Its node, without backing files; NULL with errp set. */
BlockNode *block_image_for(const BlockImageFor *image, Error **errp);
/* May a job copy blk's disk to target? */
bool block_check_target(const BlockBackend *blk, const BlockNode *target, Error **errp);

#endif
