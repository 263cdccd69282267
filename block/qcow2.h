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

#include "block-internal.h"
#include "block/image-info.h"
#include "qemu/cutils.h"

#define QCOW2_MIN_CLUSTER_BITS 9
#define QCOW2_MAX_CLUSTER_BITS 21
#define QCOW2_MAX_L1_BYTES (32 * MiB)
#define QCOW2_MAX_REFTABLE_BYTES (8 * MiB)
#define QCOW2_MAX_SNAPSHOTS 65536u
#define QCOW2_MAX_SNAPSHOT_BYTES (16 * MiB)

/* Incompatible features. */
#define QCOW2_DIRTY         (1ull << 0)
#define QCOW2_CORRUPT       (1ull << 1)
#define QCOW2_DATA_FILE     (1ull << 2)
#define QCOW2_COMPRESSION   (1ull << 3)
#define QCOW2_EXTENDED_L2   (1ull << 4)
#define QCOW2_LAZY_REFCOUNTS (1ull << 0)    /* a compatible one */
#define QCOW2_RAW_DATA_FILE (1ull << 1)     /* an autoclear one */

/* Where fields that change stand in the header. */
enum {
    QCOW2_AT_SIZE = 24, QCOW2_AT_L1 = 36, QCOW2_AT_REFTABLE = 48,
    QCOW2_AT_INCOMPATIBLE = 72, QCOW2_AT_AUTOCLEAR = 88,
};

/* Entries of L1 and L2 tables. */
#define QCOW2_OFFSET_MASK 0x00fffffffffffe00ull
#define QCOW2_COPIED     (1ull << 63)       /* refcount is one: may be written in place */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO       (1ull << 0)

typedef struct Qcow2Header {
    uint32_t version, cluster_bits, crypt_method;
    uint64_t size;
    uint64_t l1_offset, reftable_offset, snapshots_offset;
    uint32_t l1_size, reftable_clusters, nb_snapshots;
    uint64_t incompatible, compatible, autoclear;
    uint32_t refcount_order, header_length;
    uint64_t file_length;                   /* when it was opened */
    uint8_t compression;                    /* 0: deflate, 1: zstd */
    char *backing, *backing_format, *data_file;     /* NULL: none */
} Qcow2Header;

/* A piece of a table in memory, as it is in the file. Guarded by Qcow2Node.lock. */
typedef struct Qcow2Slice {
    uint64_t offset;            /* in the file */
    bool loading;               /* nobody may look at data yet */
    bool dirty;                 /* the file does not have it */
    bool writing;               /* a commit is writing it: stays */
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

typedef struct Qcow2Node {
    BlockNode bs;
    /* Options. */
    uint64_t cache_size, l2_cache_size, refcount_cache_size;
    uint32_t l2_entry_size;
    char *lazy_refcounts;

    /* Never change after open, but for size, L1 and refcount table. */
    Qcow2Header h;
    BlockNode *data;            /* has the guest's data: file or data_file */
    char *full_backing;         /* the backing file's name as it is opened */
    unsigned cluster_bits, l2_bits, sc_bits;    /* cluster, entries of an L2 table, subcluster */
    uint64_t cluster_size;
    unsigned l2_entry;          /* bytes: 8, or 16 with subclusters */
    unsigned slice;             /* bytes of a table that are read at once */
    BlockSnapshotInfo *snapshots;

    GMutex lock;                /* all that follows; no I/O under it */
    GCond cond;                 /* a slice was read, a cluster came into being, … */
    uint64_t *l1;               /* host byte order */
    uint32_t l1_size;           /* entries that the disk's size needs */
    Qcow2Cache l2_cache;
} Qcow2Node;

static inline uint64_t qcow2_offset_in_cluster(const Qcow2Node *s, uint64_t pos)
{
    return pos & (s->cluster_size - 1);
}

/* qcow2-header.c: main thread ------------------------------------------------- */

/* Read and check; h's strings are the caller's, to be freed on failure too. */
bool qcow2_read_header(BlockNode *file, Qcow2Header *h, Error **errp);
void qcow2_header_clear(Qcow2Header *h);

/* qcow2-snapshot.c: main thread ----------------------------------------------- */

/* The list of internal snapshots. */
bool qcow2_read_snapshots(Qcow2Node *s, Error **errp);
void qcow2_free_snapshots(Qcow2Node *s);

/* qcow2-cache.c: any thread, with the lock held -------------------------------- */

void qcow2_cache_init(Qcow2Cache *c, uint64_t bytes, unsigned slice);
void qcow2_cache_clear(Qcow2Cache *c);
/* The slice that begins at offset; NULL: not at hand. */
Qcow2Slice *qcow2_cache_find(Qcow2Cache *c, uint64_t offset);
/* Worker: let it be at hand. Gives up the lock meanwhile. 0 or negative errno. */
int qcow2_cache_load(Qcow2Node *s, Qcow2Cache *c, uint64_t offset);

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

/* qcow2-compress.c: worker, without the lock -------------------------------------- */

/* The cluster that entry tells of, into buf. */
int qcow2_read_compressed(Qcow2Node *s, uint64_t entry, uint8_t *buf);

/* qcow2-io.c ------------------------------------------------------------------- */

void qcow2_submit(BlockNode *bs, BlockRequest *req);
int qcow2_run(BlockNode *bs, BlockRequest *req);
/* len bytes of bs at pos. Worker. */
int qcow2_pread(BlockNode *bs, uint64_t pos, void *buf, size_t len);

#endif
