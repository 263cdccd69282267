/*
 * What drivers and backends share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCK_INTERNAL_H
#define BLOCK_BLOCK_INTERNAL_H

#include "block/image-info.h"
#include "qemu/event_notifier.h"

typedef struct BlockDriver BlockDriver;
typedef struct BlockSnapshotOps BlockSnapshotOps;   /* snapshot-ops.h */
typedef struct BlockEngine BlockEngine;

typedef enum BlockAioKind { AIO_THREADS, AIO_NATIVE, AIO_IO_URING } BlockAioKind;
typedef enum DetectZeroes {
    DETECT_ZEROES_OFF, DETECT_ZEROES_ON, DETECT_ZEROES_UNMAP,
} DetectZeroes;

/*
 * A driver: how one kind of image is opened and asked. A request goes down the
 * chain of nodes; each driver either passes it on or serves it.
 */
struct BlockDriver {
    ObjectClass oc;             /* parent: &block_node_base_class */
    bool is_protocol;           /* no node below it */
    bool has_backing;           /* takes backing= and data-file= */
    bool top_only;              /* no node stands on it */
    bool is_remote;             /* on other machines: an image may not name it */
    /* The driver's own options to a twin, see block_node_twin(). NULL: it can have none. */
    void (*copy_options)(BlockNode *to, const BlockNode *from);
    const struct BlockBeginOps *begin;  /* begin.h; NULL: open() does not take long */
    bool (*open)(BlockNode *bs, Error **errp);
    void (*close)(BlockNode *bs);
    /*
     * In the loop: serve, pass on, or hand to an engine. Ends with
     * block_request_done(). NULL: hand to the thread pool.
     */
    void (*submit)(BlockNode *bs, BlockRequest *req);
    void (*ended)(BlockNode *bs, BlockRequest *req);    /* in the loop: bs is its watcher */
    /*
     * On a worker thread: do it, synchronously. 0 or negative errno. A driver
     * without submit needs it.
     */
    int (*run)(BlockNode *bs, BlockRequest *req);
    /* Main thread, drained. New length in bytes; 0 or negative errno. */
    int (*truncate)(BlockNode *bs, uint64_t size);
    /* Main thread: what the image says of itself, into a filled-in *info. May be NULL. */
    void (*get_info)(const BlockNode *bs, BlockImageInfo *info);
    /* Permissions: see block_set_perm(). NULL: ask the child. */
    bool (*set_perm)(BlockNode *bs, unsigned perm, unsigned unshared, Error **errp);
    void (*prepare)(BlockNode *bs);     /* main thread: make what an iothread may not; or NULL */
    void (*moved)(BlockNode *bs);       /* to another loop; nothing is in flight; or NULL */
    void (*drain)(BlockNode *bs);       /* in the loop: what it keeps back goes now; or NULL */
    /* For writing from now on, or not; nothing is in flight. On failure it is as it was. */
    bool (*reopen)(BlockNode *bs, bool read_only, Error **errp);
    /*
     * The image is another process's from now on: all that is known of it gets there. / It is
     * ours again; others have written to it if file->stale. Main thread, nothing is in flight;
     * children come last, and first. May be NULL; false with errp set: as it was.
     */
    bool (*inactivate)(BlockNode *bs, Error **errp);
    bool (*activate)(BlockNode *bs, Error **errp);
    /* Those that have backing files; any thread. Whether bytes at pos, *n of them, are here. */
    int (*allocated)(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n);
    /* Any thread: are bytes at pos known to read as zeroes? For *n of them. NULL: no. */
    bool (*reads_zero)(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n);
    /*
     * Take over from the backing file what is not here. 0 or negative errno; then *reading says
     * whether it was reading that failed.
     */
    int (*populate)(BlockNode *bs, uint64_t pos, uint64_t bytes, bool *reading);
    /* What the image names; NULL: nothing. Main thread or loop, nothing is in flight. */
    int (*change_backing)(BlockNode *bs, const char *name, const char *format);
    /* The program ends: what is else done when the image is closed. NULL: nothing. */
    void (*finish)(BlockNode *bs);
    /* Whether the image keeps dirty bitmaps when it is closed. NULL: it cannot. */
    bool (*can_store_bitmap)(const BlockNode *bs, Error **errp);
    /* A file's name that begins with the driver's as options; NULL: there are none. */
    bool (*parse_filename)(const char *name, QemuOpts *opts, Error **errp);
    /* A new image: in file, or a protocol's own. Any thread. */
    bool (*create)(BlockNode *file, QemuOpts *opts, Error **errp);
    const BlockSnapshotOps *snapshots;  /* NULL: there are none inside of images */
};

/* What programs without snapshots, without migration, without jobs have no use for. */
#define MACHINE_SNAPSHOTS(_ops) (CONFIG_HAS_SNAPSHOTS ? (_ops) : NULL)
#define IMAGE_HANDOVER(_fn) (CONFIG_HAS_MIGRATION ? (_fn) : NULL)
#define IMAGE_JOBS(_fn) (CONFIG_HAS_BLOCK_JOB ? (_fn) : NULL)

/* The nodes that one may have below it. */
typedef enum BlockChild { BLOCK_FILE, BLOCK_BACKING, BLOCK_DATA_FILE, BLOCK_CHILDREN } BlockChild;

/* An open image. Drivers embed it. */
struct BlockNode {
    Object obj;
    /* Rows that all nodes have. */
    char *node_name;
    bool read_only, auto_read_only;
    int discard;                /* 0 ignore, 1 unmap */
    int detect_zeroes;          /* DetectZeroes */
    bool direct, no_flush, force_share;
    QemuOpts *opts;             /* what rows were given, for blockdev-reopen; NULL: none */

    /* The nodes below; NULL: none. */
    union {
        struct {
            BlockNode *file;        /* protocols have none */
            BlockNode *backing;     /* what is read where this image has nothing */
            BlockNode *data_file;   /* the guest's data, if not in file */
        };
        BlockNode *child[BLOCK_CHILDREN];
    };
    bool own[BLOCK_CHILDREN];   /* which go with this one */
    bool no_backing;            /* whatever the image says */
    BlockBackend *blk;          /* that uses it (topmost nodes); NULL: none */
    BlockNode *parent;          /* that has it as a child */
    bool is_twin;               /* not registered; named as the node that it stands for */
    unsigned twins;             /* that stand for this one */
    bool is_ro;                 /* in effect */
    bool busy;                  /* a job has it */
    bool inactive;              /* another process writes to it: no locks, no writes; inactive.c */
    bool stale;                 /* a protocol's: others wrote to it while it was inactive */
    struct BlockBitmap *bitmaps;    /* see bitmap.h */
    uint64_t length;            /* bytes, whole sectors; atomic */
    uint32_t align;             /* of requests, in bytes */
    uint32_t mem_align;         /* of buffers; 1: any, then align too */
    const char *filename;       /* for people; owned by the driver */
    int flush_error;            /* data was lost: EIO, what flushes say now; atomic */
    BlockEngine *engine;        /* made at first use; drivers that need one */
    BlockEngine *pool;          /* worker threads, the same */
};

static inline const BlockDriver *block_driver(const BlockNode *bs)
{
    return downcast(bs->obj.oc, const BlockDriver, oc);
}

/* The registry: block-backend.c. Main thread. NULL if unknown, in the latter two with errp set. */
BlockNode *block_find_node(const char *node_name);
BlockNode *block_get_node(const char *node_name, Error **errp);
BlockBackend *blk_get(const char *name, Error **errp);      /* as blk_find() */

extern const ObjectClass block_node_base_class;
extern const BlockDriver block_file, block_raw, block_overlay;

/* What is done with an image, and what others may not do: bits as in the lock file ranges. */
enum {
    BLOCK_PERM_READ = 1 << 0, BLOCK_PERM_WRITE = 1 << 1,
    BLOCK_PERM_WRITE_UNCHANGED = 1 << 2, BLOCK_PERM_RESIZE = 1 << 3,
};
bool block_set_perm(BlockNode *bs, unsigned perm, unsigned unshared, Error **errp);

GMainContext *block_context(const BlockNode *bs);   /* of the backend above; NULL: main loop */
/* Hand req on to bs, at req->pos; the same on a worker thread, synchronously. */
void block_submit(BlockNode *bs, BlockRequest *req);
int block_run(BlockNode *bs, BlockRequest *req);
/* The same without a request of the caller's: len bytes at pos; all that was written. */
int block_pread(BlockNode *bs, uint64_t pos, void *buf, size_t len);
int block_run_flush(BlockNode *bs);
/* In the loop: the request has ended. */
void block_request_done(BlockRequest *req, int ret);
/*
 * fdatasync() failed: pages that could not be written count as clean from now
 * on, so no later flush may claim success. Any thread. err > 0.
 */
void block_flush_failed(BlockNode *bs, int err);
/*
 * What to say of a flush that went well: 0, or negative errno if one has failed by now
 * (while it was under way: the kernel tells only one of them). Any thread.
 */
int block_flush_result(const BlockNode *bs);
/* After a number of block_request_done(). */
void block_batch_end(BlockBackend *blk);
/* inactive.c: whether a node that is opened now is another process's as yet. */
bool block_opens_inactive(const BlockNode *bs);
/* False with errp set: nothing can be done with it now. */
bool block_check_active(const BlockNode *bs, Error **errp);
/* child gets below bs, and is closed with it if own. */
void block_attach(BlockNode *bs, BlockChild slot, BlockNode *child, bool own);
/* Rows and children are set: the driver's open. On failure bs and what it owns are gone. */
bool block_node_open(BlockNode *bs, Error **errp);
/* Free a node that was never opened, and the children that it owns. */
void block_node_abandon(BlockNode *bs);
/*
 * One more reader of bs, whose users only read: a node of the same image with its own file and
 * engines, so that each may have its own loop. NULL with errp set if bs is written.
 */
BlockNode *block_node_twin(BlockNode *bs, Error **errp);
/* live.c: a reader of a disk's image that is written meanwhile. NULL with errp set. */
BlockNode *block_node_live(BlockNode *of, Error **errp);
bool block_node_is_live(const BlockNode *bs);
/* Close and free, children included. NULL is harmless. */
void block_node_close(BlockNode *bs);

#include "block-engine.h"
#include "backend.h"

#endif
