/*
 * Block backends: images and devices of the host as a guest's disks.
 *
 * A BlockNode is an open image (-blockdev, or the lower half of -drive). A
 * BlockBackend is what a device holds: a node, a cache mode, policies for
 * errors, counters. Requests are asynchronous; the caller owns them from
 * blk_submit() to the callback.
 *
 * Threads: a backend belongs to one loop, given to blk_set_context(). blk_submit(),
 * callbacks and blk_drain() run there and need no lock; all else is called on the
 * main thread with the machine lock, unless said otherwise.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCK_H
#define BLOCK_BLOCK_H

#include <glib.h>
#include <sys/uio.h>

#include "qemu/object.h"

typedef struct BlockBackend BlockBackend;
typedef struct BlockNode BlockNode;
typedef struct BlockRequest BlockRequest;

#define BDRV_SECTOR_SIZE 512u
/* No request is longer than this many bytes. */
#define BDRV_REQUEST_MAX_BYTES (INT32_MAX / BDRV_SECTOR_SIZE * BDRV_SECTOR_SIZE)

typedef enum BlockOp {
    BLOCK_OP_READ,
    BLOCK_OP_WRITE,
    BLOCK_OP_FLUSH,             /* all writes completed before reach the medium */
    BLOCK_OP_DISCARD,           /* a hint: contents undefined afterwards */
    BLOCK_OP_WRITE_ZEROES,
    BLOCK_OP__MAX
} BlockOp;

enum {
    BLOCK_REQ_FUA       = 1 << 0,   /* complete only when on the medium */
    BLOCK_REQ_MAY_UNMAP = 1 << 1,   /* write zeroes by deallocation if possible */
    BLOCK_REQ_ALONE     = 1 << 2,   /* never joined with its neighbours */
};

/* ret: 0 or negative errno. May be called before blk_submit() returns. */
typedef void BlockCompletionFunc(BlockRequest *req, int ret);

/*
 * One request. offset and bytes are multiples of 512 within the image. READ
 * and WRITE have iov with bytes in sum; the iovecs must stay until completion.
 * FLUSH has neither. Nothing that the caller set is changed: it may be submitted again.
 */
struct BlockRequest {
    BlockOp op;
    unsigned flags;
    uint64_t offset, bytes;
    struct iovec *iov;
    unsigned niov;
    BlockCompletionFunc *cb;
    /* Private to block/. */
    BlockBackend *blk;
    BlockNode *node;            /* that serves it now */
    BlockOp node_op;            /* what it does, by the backend's options */
    unsigned node_flags;
    uint64_t pos;               /* offset in that node */
    uint64_t done;              /* bytes transferred already */
    BlockNode *watcher;         /* that wants to know when it ends; NULL: none */
    unsigned epoch;             /* watcher's */
    int64_t start;              /* when it was submitted, ns */
    int ret;
    BlockRequest *next;
};

/* What the device wants to be told; NULL members allowed. */
typedef struct BlockDevOps {
    void (*batch_end)(void *opaque);    /* several completions were delivered; loop */
    void (*resized)(void *opaque);      /* the image's length changed; main thread */
} BlockDevOps;

typedef enum BlockErrorAction {
    BLOCK_ERROR_ACTION_REPORT,
    BLOCK_ERROR_ACTION_IGNORE,
    BLOCK_ERROR_ACTION_STOP,
} BlockErrorAction;

typedef enum BlockIoStatus {
    BLOCK_IO_STATUS_OK, BLOCK_IO_STATUS_FAILED, BLOCK_IO_STATUS_NOSPACE,
} BlockIoStatus;

/* Counters since start; read at any time, from any thread. */
typedef struct BlockStats {
    uint64_t ops[BLOCK_OP__MAX];
    uint64_t bytes[BLOCK_OP__MAX];
    uint64_t failed[BLOCK_OP__MAX];
    uint64_t invalid[BLOCK_OP__MAX];    /* refused: outside the image, or read-only */
    uint64_t time_ns[BLOCK_OP__MAX];    /* from blk_submit() to the callback, in sum */
    uint64_t wr_highest_offset;         /* end of the highest write */
    int64_t last_end;                   /* of a request, ns of CLOCK_MONOTONIC; 0: none yet */
} BlockStats;

/* What query-block and "info block" show. Strings live as long as the node. */
typedef struct BlockInfo {
    const BlockNode *node;      /* block_image_info() tells more */
    const char *id;             /* of -drive; "" for an anonymous backend */
    const char *node_name, *driver; /* "raw" */
    const char *filename;
    const char *dev_id;         /* of the device; NULL: none */
    uint64_t length;            /* bytes */
    const char *detect_zeroes;  /* "off", "on", "unmap" */
    bool read_only, writeback, direct, no_flush;
    BlockIoStatus iostatus;
} BlockInfo;

/* Making them -------------------------------------------------------------- */
extern const ObjectClass drive_class;   /* the rows of -drive */
/* -drive. False with errp set; prints the probing warning. */
bool drive_new(QemuOpts *opts, Error **errp);
/* Of block_classes: one that opens an image itself; others have a node below, their "file". */
bool block_class_is_protocol(const ObjectClass *oc);
/* -blockdev, blockdev-add. */
BlockNode *blockdev_add(QemuOpts *opts, Error **errp);
/* blockdev-del: close a node that nobody uses. A child with a name of its own stays. */
bool blockdev_del(const char *node_name, Error **errp);
/* A -drive with if=virtio that no device has taken yet, or NULL; warn of all without one. */
const char *drive_next_virtio(void);
void drive_check_orphans(void);
/* At exit, the machine stopped: all that was written reaches the medium. */
void blk_flush_all(void);
/* Flush and close everything; all devices are gone. */
void blk_cleanup_all(void);

/* Devices ------------------------------------------------------------------- */

/* By -drive id or node name (a new backend for the node); NULL if unknown. */
BlockBackend *blk_find_for_device(const char *name);
/*
 * Take blk for a device: dev_id names it. Fails when another device has
 * it, or when another process has the image open in a way that does not go
 * with this (share_rw: other writers are welcome). rw: the device writes.
 */
bool blk_attach(BlockBackend *blk, const char *dev_id, bool rw, bool share_rw,
                Error **errp);
/* Where requests will come from (NULL: main loop), and who is told. */
void blk_set_context(BlockBackend *blk, GMainContext *ctx,
                     const BlockDevOps *ops, void *opaque);
void blk_detach(BlockBackend *blk);

bool blk_is_read_only(const BlockBackend *blk);
/* Bytes, rounded down to sectors; any thread. */
uint64_t blk_getlength(const BlockBackend *blk);
/* -drive serial=; may be NULL. */
const char *blk_get_serial(const BlockBackend *blk);
/* -drive id, "" for a node's own backend; and the topmost node's name. */
const char *blk_name(const BlockBackend *blk);
const char *blk_node_name(const BlockBackend *blk);
/* False: every write is on the medium before it completes. Any thread. */
void blk_set_write_cache(BlockBackend *blk, bool writeback);
bool blk_get_write_cache(const BlockBackend *blk);
/* discard=unmap is set. */
bool blk_can_discard(const BlockBackend *blk);

/* Requests ------------------------------------------------------------------ */

/* Queue a request; nothing may happen to it before the next blk_kick(). */
void blk_submit(BlockBackend *blk, BlockRequest *req);
/* Hand over what was submitted, together. */
void blk_kick(BlockBackend *blk);
/* Wait until nothing is in flight; callbacks run. */
void blk_drain(BlockBackend *blk);

/*
 * What werror=/rerror= say about errno err (positive), and remember it for
 * queries. STOP: keep the request, ask the machine to stop, submit it again
 * when the machine goes on.
 */
BlockErrorAction blk_error_action(BlockBackend *blk, BlockOp op, int err);
/* Override -drive's policy: "report", "ignore", "stop", "enospc"; "auto" keeps it. */
bool blk_set_error_policy(BlockBackend *blk, bool is_read, const char *policy,
                          Error **errp);
/* The machine goes on: "ok" again. */
void blk_iostatus_reset(BlockBackend *blk);

/* Monitor ------------------------------------------------------------------- */

typedef void BlockInfoFn(BlockBackend *blk, const BlockInfo *info, void *opaque);
void blk_foreach(BlockInfoFn *fn, void *opaque);
/* All nodes, each with the backend that uses it, which may be NULL. */
void block_foreach_node(BlockInfoFn *fn, void *opaque);
void blk_get_stats(const BlockBackend *blk, BlockStats *stats);
/* The backend with this -drive id, node name or device id; NULL if unknown. */
BlockBackend *blk_find(const char *name);
/* block_resize: size in bytes, rounded up to sectors. */
bool blk_truncate(BlockBackend *blk, uint64_t size, Error **errp);
/* Whether size keeps all of a disk that a device has; false with errp set. */
bool blk_check_shrink(const BlockBackend *blk, uint64_t size, Error **errp);
/* Both by the name of a node, which need not have a device; force: shrink in any case. */
bool block_resize(const char *name, uint64_t size, bool force, Error **errp);

#endif
