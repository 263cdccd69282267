/*
 * The qcow2 format (docs/interop/qcow2 of its publishers: "the specification" below): what
 * its files share.
 *
 * Requests that need nothing but tables at hand are translated in the loop and go to the
 * file's engine; all others run on a worker thread, to the end (docs/devel/block.rst).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_QCOW2_H
#define BLOCK_QCOW2_H

#include "qcow2-format.h"
#include "qemu/zstd-lib.h"

/* A piece of a table in memory, as it is in the file. Guarded by Qcow2Node.lock. */
typedef struct Qcow2Slice {
    uint64_t offset;            /* in the file */
    bool loading;               /* nobody may look at data yet */
    bool dirty;                 /* the file does not have it */
    bool writing;               /* a commit is writing it: stays */
    bool used;                  /* since the last qcow2_cache_clean() */
    GList link;                 /* by age, the youngest first */
    uint64_t data[];            /* big endian */
} Qcow2Slice;

typedef struct Qcow2Cache {
    GHashTable *slices;         /* by offset */
    GQueue age;
    unsigned max, dirty;
} Qcow2Cache;

/* What a stretch of the guest's disk is. */
typedef enum Qcow2Kind {
    QCOW2_UNALLOCATED,          /* the backing file's, or zeroes */
    QCOW2_ZEROES,
    QCOW2_DATA,
    QCOW2_DEFLATED,             /* one compressed cluster */
} Qcow2Kind;

typedef struct Qcow2Extent {
    Qcow2Kind kind;
    bool in_place;              /* DATA: nobody else has it, it may be overwritten */
    uint64_t bytes;             /* from where it was asked for */
    uint64_t host;              /* DATA: where that is in the data file */
    uint64_t entry;             /* the first L2 entry, and its subclusters' bitmap */
    uint64_t bitmap;
} Qcow2Extent;

typedef struct Qcow2Region Qcow2Region;

typedef struct Qcow2Node {
    BlockNode bs;
    /* Options. */
    uint64_t cache_size, l2_cache_size, refcount_cache_size;
    uint32_t l2_entry_size;
    OnOffAuto lazy_refcounts, pass_request, pass_snapshot;
    bool pass_other;
    int overlap_check;
    uint32_t clean_interval;    /* s */

    /* Never change after open, but for size, L1 and refcount table. */
    Qcow2Header h;
    ZstdLib zstd;               /* if h.compression asks for it */
    BlockNode *data;            /* has the guest's data: file or data_file */
    char *full_backing;         /* the backing file's name as it is opened */
    /* Cluster, entries of an L2 table, subcluster, entries of a refcount block. */
    unsigned cluster_bits, l2_bits, sc_bits, rb_bits;
    uint64_t cluster_size;
    unsigned l2_entry;          /* bytes: 8, or 16 with subclusters */
    unsigned slice;             /* bytes of a table that are read at once */
    BlockSnapshotInfo *snapshots;
    uint64_t snapshots_bytes;   /* of their list in the file */
    bool writable;              /* all that is for writing is there */
    bool bitmaps_lost;          /* nobody counts their clusters: they made no sense in a repair */
    uint64_t file_limit;        /* the file does not grow beyond; 0: it does */
    uint64_t data_virgin;       /* from here on the data file reads as zeroes where unmapped */

    GMutex commit_lock;         /* who writes tables; taken before lock, I/O under it */
    GMutex lock;                /* all that follows; no I/O under it */
    GCond cond;                 /* a slice was read, a cluster came into being, … */
    uint64_t *l1;               /* host byte order */
    uint32_t l1_size;           /* entries that the disk's size needs */
    bool *l1_dirty;             /* a sector of it each: the file does not have it */
    uint32_t l1_n_dirty;
    Qcow2Cache l2_cache, ref_cache;
    bool committing;
    uint64_t *reftable;         /* host byte order */
    uint32_t reftable_size;     /* entries */
    bool growing, making_l2;    /* a worker is at it */
    uint64_t free_hint;         /* no cluster below it is free */
    uint64_t virgin;            /* from here on nobody has written to the file */
    GArray *tables;             /* offsets of all clusters with tables, sorted */
    GQueue regions;             /* of Qcow2Region: parts of the disk that are changing */
    /*
     * Clusters without references, in order: the file still has them; it has not, but
     * requests may be under way; (waiting: only those of the other epoch); to be counted down.
     */
    GArray *freed, *retired, *waiting, *reclaim;
    unsigned epoch, users[2];
    const char *unsound;        /* what is not right in the image: it is not written any more */
    uint64_t unsound_at;
    bool told;                  /* the image says so, and whoever listens knows */
    guint cleaner;              /* its source; main thread */
} Qcow2Node;

static inline uint64_t qcow2_offset_in_cluster(const Qcow2Node *s, uint64_t pos)
{
    return pos & (s->cluster_size - 1);
}

/* qcow2-snapshot.c: main thread ----------------------------------------------- */

/* The list of internal snapshots. */
bool qcow2_read_snapshots(Qcow2Node *s, Error **errp);
void qcow2_free_snapshots(Qcow2Node *s);
/* qcow2-vmsnapshot.c */
extern const BlockSnapshotOps qcow2_snapshot_ops;

/* qcow2-cache.c: any thread, with the lock held -------------------------------- */

void qcow2_cache_init(Qcow2Cache *c, uint64_t bytes, unsigned slice);
void qcow2_cache_clear(Qcow2Cache *c);
/* Forget what was not used since the last time. */
void qcow2_cache_clean(Qcow2Cache *c);
/* The slice that begins at offset; NULL: not at hand. */
Qcow2Slice *qcow2_cache_find(Qcow2Cache *c, uint64_t offset);
/* Worker: let it be at hand. Gives up the lock meanwhile. 0 or negative errno. */
int qcow2_cache_load(Qcow2Node *s, Qcow2Cache *c, uint64_t offset);

void qcow2_cache_dirty(Qcow2Cache *c, Qcow2Slice *sl);
/* The cluster begins a new life. */
void qcow2_cache_forget(Qcow2Node *s, Qcow2Cache *c, uint64_t cluster);

/* qcow2-unsound.c ---------------------------------------------------------------- */

/* With the lock: what is not right at offset of the file, a literal. -EIO. */
int qcow2_unsound(Qcow2Node *s, const char *what, uint64_t offset);
/* Worker, without the lock, once. */
void qcow2_tell_unsound(Qcow2Node *s);

/* qcow2-map.c: any thread, with the lock held ----------------------------------- */

enum { QCOW2_MISS = 1 };
/*
 * What is at pos: at most bytes of one kind, one after the other in the data file. 0;
 * QCOW2_MISS: the slice of the L2 table at *miss has to be loaded; -EIO: the tables are
 * not sound.
 */
int qcow2_lookup(Qcow2Node *s, uint64_t pos, uint64_t bytes, Qcow2Extent *ext, uint64_t *miss);
/* Worker: the same, loading what it takes. */
int qcow2_lookup_wait(Qcow2Node *s, uint64_t pos, uint64_t bytes, Qcow2Extent *ext);

/* pos's L2 entry and the slice with it, which are there and at hand. */
uint64_t *qcow2_entry(Qcow2Node *s, uint64_t pos, Qcow2Slice **sl);

/* qcow2-compress.c: worker, without the lock -------------------------------------- */

/* The first and the last byte of a compressed cluster. */
void qcow2_compressed_range(const Qcow2Node *s, uint64_t entry, uint64_t *first, uint64_t *last);
/* The cluster that entry tells of, into buf. */
int qcow2_read_compressed(Qcow2Node *s, uint64_t entry, uint8_t *buf);

/* qcow2-io.c ------------------------------------------------------------------- */

void qcow2_submit(BlockNode *bs, BlockRequest *req);
void qcow2_ended(BlockNode *bs, BlockRequest *req);
int qcow2_run(BlockNode *bs, BlockRequest *req);
int qcow2_read(Qcow2Node *s, BlockRequest *req);
/* bytes of req's buffers from offset on, in out, which has room for all of req's. */
unsigned qcow2_iov_part(const BlockRequest *req, uint64_t offset, uint64_t bytes,
                        struct iovec *out);
/* bytes of req, from done on, of node at pos. Worker. */
int qcow2_run_part(BlockNode *node, const BlockRequest *req, uint64_t pos, uint64_t done,
                   uint64_t bytes);

#endif
