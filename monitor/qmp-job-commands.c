/*
 * The table of QMP's commands and events about jobs, snapshots and dirty bitmaps.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qmp.h"

#define JOB_STATUS "(undefined|created|running|paused|ready|standby|waiting|pending|aborting|" \
    "concluded|null)"
#define JOB_ENDS "?auto-finalize:b,?auto-dismiss:b"
#define JOB_PROGRESS "type:s,device:s,len:i,offset:i,speed:i"
#define ON_ERROR "(report|ignore|enospc|stop)"
#define BITMAP "node:s,name:s"
#define BITMAP_ADD "node:s,name:s,?granularity:4,?persistent:b,?disabled:b"
#define BITMAP_MERGE "node:s,target:s,bitmaps:[a]"
#define BACKUP "?job-id:s,sync:(top|full|none|incremental|bitmap),?speed:i,?bitmap:s," \
    "?bitmap-mode:(on-success|never|always),?compress:b,?filter-node-name:s,?x-perf:{*}," \
    "?on-source-error:" ON_ERROR ",?on-target-error:" ON_ERROR "," JOB_ENDS
#define BLOCKDEV_BACKUP "device:s,target:s," BACKUP
#define DRIVE_BACKUP "device:s,target:s,?format:s,?mode:(existing|absolute-paths)," BACKUP
#define SNAPSHOT "node:s,overlay:s"
#define SNAPSHOT_SYNC "?device:s,?node-name:s,snapshot-file:s,?snapshot-node-name:s,?format:s," \
    "?mode:(existing|absolute-paths)"
#define PREALLOCATION "?preallocation:(off|metadata|falloc|full)"
#define NEW_IMAGE "{driver:<file:{filename:s,size:u," PREALLOCATION "},qcow2:{file:R,size:u," \
    "?version:(v2|v3),?backing-file:s,?backing-fmt:s,?cluster-size:u," PREALLOCATION "," \
    "?lazy-refcounts:b,?refcount-bits:i,?compression-type:(zlib|zstd),?extended-l2:b}>}"

const QmpCommand qmp_job_commands[] = {
    { "query-block-jobs", "", "[{type:s,device:s,len:i,offset:i,busy:b,paused:b,speed:i,"
      "io-status:(ok|failed|nospace),ready:b,status:" JOB_STATUS ",auto-finalize:b,"
      "auto-dismiss:b,?error:s}]", qmp_query_block_jobs, DOC("jobs of disks") },
    { "query-jobs", "", "[{id:s,type:(commit|stream|mirror|backup|create|"
      "snapshot-save|snapshot-load|snapshot-delete),status:" JOB_STATUS ","
      "current-progress:i,total-progress:i,?error:s}]", qmp_query_jobs, DOC("jobs") },
    { "job-cancel", "id:s", NULL, qmp_job_cancel, DOC("end a job, whatever it has done") },
    { "job-pause", "id:s", NULL, qmp_job_pause, DOC("a job waits") },
    { "job-resume", "id:s", NULL, qmp_job_resume, DOC("it goes on") },
    { "job-complete", "id:s", NULL, qmp_job_complete,
      DOC("a job that is ready ends: the disk moves to the copy") },
    { "job-finalize", "id:s", NULL, qmp_job_finalize, DOC("a job that is pending ends") },
    { "job-dismiss", "id:s", NULL, qmp_job_dismiss, DOC("forget a job that has ended") },
    { "block-job-cancel", "device:s,?force:b", NULL, qmp_job_cancel,
      DOC("the same; without force, a job that is ready ends well and the disk stays") },
    { "block-job-pause", "device:s", NULL, qmp_job_pause, DOC("as job-pause") },
    { "block-job-resume", "device:s", NULL, qmp_job_resume, DOC("as job-resume") },
    { "block-job-complete", "device:s", NULL, qmp_job_complete, DOC("as job-complete") },
    { "block-job-finalize", "id:s", NULL, qmp_job_finalize, DOC("as job-finalize") },
    { "block-job-dismiss", "id:s", NULL, qmp_job_dismiss, DOC("as job-dismiss") },
    { "block-job-set-speed", "device:s,speed:i", NULL, qmp_block_job_set_speed,
      DOC("limit a job to these bytes per second; 0: no limit") },
    { "block-stream", "?job-id:s,device:s,?base:s,?base-node:s,?backing-file:s,?speed:i,"
      "?on-error:" ON_ERROR "," JOB_ENDS ",?filter-node-name:s", NULL, qmp_block_stream,
      DOC("a disk's image takes over what is below it") },
    { "block-commit", "?job-id:s,device:s,?base-node:s,?base:s,?top-node:s,?top:s,"
      "?backing-file:s,?speed:i,?on-error:" ON_ERROR ",?filter-node-name:s," JOB_ENDS, NULL,
      qmp_block_commit, DOC("what images have goes into one below them") },
    { "blockdev-mirror", "?job-id:s,device:s,target:s,?replaces:s,sync:(full|top|none),?speed:i,"
      "?granularity:4,?buf-size:i,?on-source-error:" ON_ERROR ",?on-target-error:" ON_ERROR ","
      "?filter-node-name:s,?copy-mode:(background|write-blocking)," JOB_ENDS, NULL,
      qmp_blockdev_mirror, DOC("copy a disk while it is written") },
    { "drive-mirror", "?job-id:s,device:s,target:s,?format:s,?node-name:s,?replaces:s,"
      "sync:(full|top|none),?mode:(existing|absolute-paths),?speed:i,?granularity:4,?buf-size:i,"
      "?on-source-error:" ON_ERROR ",?on-target-error:" ON_ERROR ",?unmap:b,"
      "?copy-mode:(background|write-blocking)," JOB_ENDS, NULL, qmp_drive_mirror,
      DOC("the same to a file") },
    { "blockdev-backup", BLOCKDEV_BACKUP, NULL, qmp_blockdev_backup,
      DOC("copy a disk as it is now while it is written") },
    { "drive-backup", DRIVE_BACKUP, NULL, qmp_drive_backup, DOC("the same to a file") },
    { "blockdev-create", "job-id:s,options:" NEW_IMAGE, NULL, qmp_blockdev_create,
      DOC("a new file, or an image in one") },
    { "blockdev-snapshot", SNAPSHOT, NULL, qmp_blockdev_snapshot,
      DOC("a node takes all that a disk writes from now on") },
    { "blockdev-snapshot-sync", SNAPSHOT_SYNC, NULL, qmp_blockdev_snapshot_sync,
      DOC("the same with a new file") },
    { "snapshot-save", "job-id:s,tag:s,vmstate:s,devices:[s]", NULL, qmp_snapshot_save,
      DOC("the machine's state and all that its disks have, inside of their images") },
    { "snapshot-load", "job-id:s,tag:s,vmstate:s,devices:[s]", NULL, qmp_snapshot_load,
      DOC("go back to it") },
    { "snapshot-delete", "job-id:s,tag:s,devices:[s]", NULL, qmp_snapshot_delete,
      DOC("forget it") },
    { "blockdev-reopen", "options:[{driver:B,?node-name:s}]", NULL, qmp_blockdev_reopen,
      DOC("nodes that are in use have other options; what is not given is the default") },
    { "block-dirty-bitmap-add", BITMAP_ADD, NULL, qmp_bitmap_add,
      DOC("a bitmap of what is written to a node from now on") },
    { "block-dirty-bitmap-remove", BITMAP, NULL, qmp_bitmap_remove, DOC("forget a bitmap") },
    { "block-dirty-bitmap-clear", BITMAP, NULL, qmp_bitmap_clear, DOC("nothing is marked in it") },
    { "block-dirty-bitmap-enable", BITMAP, NULL, qmp_bitmap_enable,
      DOC("what is written is marked in it") },
    { "block-dirty-bitmap-disable", BITMAP, NULL, qmp_bitmap_disable, DOC("… is not") },
    { "block-dirty-bitmap-merge", BITMAP_MERGE, NULL, qmp_bitmap_merge,
      DOC("what is marked in others is marked in a bitmap, too") },
    { "transaction", "actions:[{type:<blockdev-snapshot:{data:{" SNAPSHOT "}},"
      "blockdev-snapshot-sync:{data:{" SNAPSHOT_SYNC "}},"
      "blockdev-backup:{data:{" BLOCKDEV_BACKUP "}},drive-backup:{data:{" DRIVE_BACKUP "}},"
      "block-dirty-bitmap-add:{data:{" BITMAP_ADD "}},"
      "block-dirty-bitmap-remove:{data:{" BITMAP "}},"
      "block-dirty-bitmap-clear:{data:{" BITMAP "}},block-dirty-bitmap-enable:{data:{" BITMAP "}},"
      "block-dirty-bitmap-disable:{data:{" BITMAP "}},"
      "block-dirty-bitmap-merge:{data:{" BITMAP_MERGE "}},abort:{data:{}}>}],"
      "?properties:{?completion-mode:(individual|grouped)}", NULL, qmp_transaction,
      DOC("several of these commands at one moment, or none") },
    { NULL }
};

const QmpEvent qmp_job_events[] = {
    { "JOB_STATUS_CHANGE", "id:s,status:" JOB_STATUS, DOC("a job is in another state") },
    { "BLOCK_JOB_READY", JOB_PROGRESS, DOC("a job can be completed") },
    { "BLOCK_JOB_PENDING", "type:s,id:s", DOC("a job waits for job-finalize") },
    { "BLOCK_JOB_COMPLETED", JOB_PROGRESS ",?error:s", DOC("a job has ended") },
    { "BLOCK_JOB_CANCELLED", JOB_PROGRESS, DOC("a job was cancelled") },
    { "BLOCK_JOB_ERROR", "device:s,operation:(read|write),action:(ignore|report|stop)",
      DOC("an access of a job failed") },
    { NULL }
};
