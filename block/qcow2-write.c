/*
 * Writes to a qcow2 image that change its tables: on worker threads.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "job-internal.h"
#include "qcow2-alloc.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

#define ALL_SUBCLUSTERS UINT32_MAX
/* Zeroes that are written as data, at a time. */
#define ZERO_CHUNK (64 * KiB)
/* Clusters that are cleared before others get the lock. */
#define CLEAR_BATCH 256

/* Guest clusters in the making ------------------------------------------------------- */

struct Qcow2Region {
    uint64_t first, last;       /* clusters of the guest's disk */
    GList link;
};

static bool is_busy(const Qcow2Node *s, uint64_t first, uint64_t last)
{
    for (const GList *l = s->regions.head; l; l = l->next) {
        const Qcow2Region *r = l->data;

        if (r->first <= last && first <= r->last) {
            return true;
        }
    }
    return false;
}

/* True if they are the caller's now; else it has waited and looks again. */
static bool begin_region(Qcow2Node *s, Qcow2Region *r, uint64_t first, uint64_t last)
{
    if (is_busy(s, first, last)) {
        g_cond_wait(&s->cond, &s->lock);
        return false;
    }
    *r = (Qcow2Region) { .first = first, .last = last };
    r->link.data = r;
    g_queue_push_head_link(&s->regions, &r->link);
    return true;
}

static void end_region(Qcow2Node *s, Qcow2Region *r)
{
    g_queue_unlink(&s->regions, &r->link);
    g_cond_broadcast(&s->cond);
}

/* Tables ------------------------------------------------------------------------------ */

/* A new L2 table for the entry, a copy of the one at old if not 0. */
static int make_l2(Qcow2Node *s, uint32_t index, uint64_t old)
{
    g_autofree uint8_t *buf = NULL;
    uint64_t host, got;
    int ret = qcow2_alloc(s, 1, &host, &got);

    if (ret < 0) {
        return ret;
    }
    s->virgin = MAX(s->virgin, host + s->cluster_size);
    g_mutex_unlock(&s->lock);
    buf = g_malloc0(s->cluster_size);
    ret = old ? block_pread(s->bs.file, old, buf, s->cluster_size) : 0;
    if (ret == 0) {
        ret = qcow2_pwrite(s->bs.file, host, buf, s->cluster_size);
    }
    g_mutex_lock(&s->lock);
    if (ret < 0) {
        qcow2_push(s->reclaim, host);
        return ret;
    }
    qcow2_cache_forget(s, &s->l2_cache, host);
    qcow2_add_table(s, host, s->cluster_size);
    qcow2_set_l1(s, index, host | QCOW2_COPIED);
    if (old) {
        qcow2_remove_table(s, old, s->cluster_size);
        qcow2_push(s->freed, old);
    }
    return 0;
}

/* The L2 table for pos can be written. */
static int own_l2(Qcow2Node *s, uint64_t pos)
{
    uint32_t index = pos >> (s->cluster_bits + s->l2_bits);
    int ret;

    while (!(s->l1[index] & QCOW2_COPIED) || !(s->l1[index] & QCOW2_OFFSET_MASK)) {
        if (s->making_l2) {
            g_cond_wait(&s->cond, &s->lock);
            continue;
        }
        s->making_l2 = true;
        ret = make_l2(s, index, s->l1[index] & QCOW2_OFFSET_MASK);
        s->making_l2 = false;
        g_cond_broadcast(&s->cond);
        if (ret < 0) {
            return ret;
        }
    }
    return 0;
}

/* Nothing refers to what entry does any longer, once that is in the file. */
static void free_entry(Qcow2Node *s, uint64_t entry, unsigned flags)
{
    uint64_t first, last;

    if (s->bs.data_file) {
        return;                 /* whose clusters are not counted */
    }
    if (entry & QCOW2_COMPRESSED) {
        qcow2_compressed_range(s, entry, &first, &last);
        first = QEMU_ALIGN_DOWN(first, s->cluster_size);
        for (; first <= last; first += s->cluster_size) {
            qcow2_push(s->freed, first | flags);
        }
    } else if (entry & QCOW2_OFFSET_MASK) {
        qcow2_push(s->freed, (entry & QCOW2_OFFSET_MASK) | flags);
    }
}

/* Set the L2 entry for pos, in a table that own_l2() has seen to. flags: of what it had. */
static int set_entry(Qcow2Node *s, uint64_t pos, uint64_t entry, uint64_t bitmap, unsigned flags)
{
    Qcow2Extent old;
    Qcow2Slice *sl;
    uint64_t *p;
    int ret = qcow2_lookup_wait(s, pos, 1, &old);

    if (ret < 0) {
        return ret;
    }
    p = qcow2_entry(s, pos, &sl);
    if ((old.entry ^ entry) & (QCOW2_OFFSET_MASK | QCOW2_COMPRESSED)) {
        free_entry(s, old.entry, flags);
    }
    p[0] = GUINT64_TO_BE(entry);
    if (s->l2_entry == 16) {
        p[1] = GUINT64_TO_BE(bitmap);
    }
    qcow2_cache_dirty(&s->l2_cache, sl);
    return 0;
}

/* Allocating writes ---------------------------------------------------------------------- */

/* A write to clusters that are not yet there as they will be. */
typedef struct Alloc {
    BlockRequest *req;
    uint64_t done;              /* of req, before this */
    uint64_t pos, bytes;        /* on the disk */
    uint64_t host;              /* of the first cluster */
    uint64_t clusters;
    Qcow2Extent old;            /* what was at pos */
    bool fresh;                 /* host is a new cluster, else the old one's */
    bool hole;                  /* nobody has ever written to it */
    uint64_t head, tail;        /* bytes that are copied before and behind */
} Alloc;

static bool reads_as_zeroes(const Qcow2Node *s, const Qcow2Extent *ext)
{
    return ext->kind == QCOW2_ZEROES || (ext->kind == QCOW2_UNALLOCATED && !s->bs.backing);
}

/* The guest's data never goes where a table is. */
static int check_target(Qcow2Node *s, uint64_t host, uint64_t bytes)
{
    return !s->bs.data_file && qcow2_has_table(s, host, bytes) ?
           qcow2_unsound(s, "Write to a table", host) : 0;
}

/* Where the clusters are to be. */
static int place(Qcow2Node *s, Alloc *a)
{
    uint64_t in_cluster = qcow2_offset_in_cluster(s, a->pos);
    uint64_t want = DIV_ROUND_UP(in_cluster + a->bytes, s->cluster_size), end;
    int ret = 0;

    /* Subclusters make each cluster a case of its own. */
    a->clusters = s->l2_entry == 16 ? 1 : want;
    a->fresh = (a->old.entry & QCOW2_COMPRESSED) || !(a->old.entry & QCOW2_COPIED);
    if (!a->fresh) {
        a->clusters = 1;
        a->host = a->old.entry & QCOW2_OFFSET_MASK;
        ret = check_target(s, a->host, s->cluster_size);
    } else if (s->bs.data_file) {
        a->host = a->pos - in_cluster;
        a->hole = a->host >= s->data_virgin;
    } else {
        ret = qcow2_alloc(s, a->clusters, &a->host, &a->clusters);
        end = a->host + a->clusters * s->cluster_size;
        a->hole = ret == 0 && a->host >= s->virgin;
        s->virgin = ret == 0 ? MAX(s->virgin, end) : s->virgin;
    }
    a->bytes = MIN(a->bytes, a->clusters * s->cluster_size - in_cluster);
    return ret;
}

/* What of the clusters comes from before. */
static void plan_copy(const Qcow2Node *s, Alloc *a)
{
    bool had_data = (a->old.entry & QCOW2_COMPRESSED) || (uint32_t)a->old.bitmap;
    uint64_t unit = a->fresh && had_data ? s->cluster_size : 1ull << s->sc_bits;

    if (a->hole && reads_as_zeroes(s, &a->old) && !had_data) {
        return;
    }
    a->head = a->pos % unit;
    a->tail = -(a->pos + a->bytes) & (unit - 1);
}

static int read_old(Qcow2Node *s, uint64_t pos, void *buf, size_t len)
{
    struct iovec iov = { buf, len };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .pos = pos, .bytes = len,
                         .iov = &iov, .niov = 1 };

    return len ? qcow2_read(s, &req) : 0;
}

/* One write of what is copied and what is new. Without the lock. */
static int write_data(Qcow2Node *s, Alloc *a)
{
    g_autofree struct iovec *iov = g_new(struct iovec, a->req->niov + 2);
    BlockRequest req = {
        .node_op = BLOCK_OP_WRITE, .iov = iov,
        .pos = a->host + qcow2_offset_in_cluster(s, a->pos) - a->head,
        .bytes = a->head + a->bytes + a->tail,
    };
    void *buf = NULL;
    uint8_t *tail = NULL;
    int ret;

    if (a->head + a->tail) {
        if (posix_memalign(&buf, 4096, a->head + a->tail + 4096)) {
            return -ENOMEM;
        }
        tail = (uint8_t *)buf + QEMU_ALIGN_UP(a->head, 4096);
    }
    ret = read_old(s, a->pos - a->head, buf, a->head);
    if (ret == 0) {
        ret = read_old(s, a->pos + a->bytes, tail, a->tail);
    }
    if (ret == 0) {
        if (a->head) {
            iov[req.niov++] = (struct iovec) { buf, a->head };
        }
        req.niov += qcow2_iov_part(a->req, a->done, a->bytes, iov + req.niov);
        if (a->tail) {
            iov[req.niov++] = (struct iovec) { tail, a->tail };
        }
        ret = block_run(s->data, &req);
    }
    free(buf);
    return ret;
}

/* The L2 entries of what was written. */
static int link_clusters(Qcow2Node *s, const Alloc *a)
{
    uint64_t first = (qcow2_offset_in_cluster(s, a->pos) - a->head) >> s->sc_bits;
    uint64_t last = (qcow2_offset_in_cluster(s, a->pos) + a->bytes + a->tail - 1) >> s->sc_bits;
    uint64_t mask = s->l2_entry == 16 ?
        (ALL_SUBCLUSTERS >> (31 - (last - first))) << first : 0;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < a->clusters; i++) {
        uint64_t entry = (a->host + i * s->cluster_size) | QCOW2_COPIED;
        uint64_t bitmap = a->old.entry & QCOW2_COMPRESSED ? 0 : a->old.bitmap;

        bitmap = (bitmap | mask) & ~(mask << 32);
        ret = set_entry(s, a->pos + i * s->cluster_size, entry, bitmap, 0);
    }
    return ret;
}

static int alloc_and_write(Qcow2Node *s, Alloc *a)
{
    int ret = own_l2(s, a->pos);

    if (ret == 0) {
        ret = place(s, a);
    }
    if (ret < 0) {
        return ret;
    }
    plan_copy(s, a);
    g_mutex_unlock(&s->lock);
    ret = write_data(s, a);
    g_mutex_lock(&s->lock);
    if (ret == 0) {
        return link_clusters(s, a);
    }
    for (uint64_t i = 0; a->fresh && !s->bs.data_file && i < a->clusters; i++) {
        qcow2_push(s->reclaim, a->host + i * s->cluster_size);
    }
    return ret;
}

/* The next part of a write; *bytes: how long it was. With the lock, given up meanwhile. */
static int write_part(Qcow2Node *s, BlockRequest *req, uint64_t done, uint64_t *bytes)
{
    Alloc a = { .req = req, .done = done, .pos = req->pos + done };
    Qcow2Region r;
    int ret;

    do {
        ret = qcow2_lookup_wait(s, a.pos, req->bytes - done, &a.old);
        if (ret < 0) {
            return ret;
        }
        a.bytes = *bytes = a.old.bytes;
        if (a.old.in_place) {
            ret = check_target(s, a.old.host, a.bytes);
            if (ret < 0) {
                return ret;
            }
            g_mutex_unlock(&s->lock);
            ret = qcow2_run_part(s->data, req, a.old.host, done, a.bytes);
            g_mutex_lock(&s->lock);
            return ret;
        }
    } while (!begin_region(s, &r, a.pos >> s->cluster_bits,
                           (a.pos + a.bytes - 1) >> s->cluster_bits));
    ret = alloc_and_write(s, &a);
    end_region(s, &r);
    *bytes = a.bytes;
    return ret;
}

int qcow2_write(Qcow2Node *s, BlockRequest *req)
{
    uint64_t bytes;
    int ret;

    g_mutex_lock(&s->lock);
    ret = s->reclaim->len ? qcow2_reclaim(s) : 0;
    for (uint64_t done = 0; ret == 0 && done < req->bytes; done += bytes) {
        ret = write_part(s, req, done, &bytes);
        if (ret == 0) {
            ret = qcow2_relieve(s);
        }
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

/* Taking over what is below ---------------------------------------------------------------- */

/* a's clusters, which are the caller's, say that they are zeroes; false: they cannot. */
static bool populate_zeroes(Qcow2Node *s, const Alloc *a, int *ret)
{
    uint64_t end = a->pos + a->bytes;

    if (s->h.version < 3 || qcow2_offset_in_cluster(s, a->pos) || a->old.bitmap ||
        (qcow2_offset_in_cluster(s, end) && end != s->bs.length)) {
        return false;
    }
    *ret = own_l2(s, a->pos);
    for (uint64_t pos = a->pos; *ret == 0 && pos < end; pos += s->cluster_size) {
        *ret = set_entry(s, pos, s->l2_entry == 16 ? 0 : QCOW2_ZERO,
                         (uint64_t)ALL_SUBCLUSTERS << 32, 0);
    }
    return true;
}

/* From a->pos on, of one kind. With the lock, given up meanwhile. */
static int populate_part(Qcow2Node *s, Alloc *a, uint8_t *buf, bool *reading)
{
    struct iovec iov = { buf, a->bytes };
    BlockRequest req = { .node_op = BLOCK_OP_READ, .pos = a->pos, .bytes = a->bytes,
                         .iov = &iov, .niov = 1 };
    uint64_t n;
    bool zero;
    int ret = 0;

    g_mutex_unlock(&s->lock);
    zero = block_reads_zero(&s->bs, a->pos, a->bytes, &n) && n >= a->bytes;
    if (zero) {
        memset(buf, 0, a->bytes);
    } else {
        ret = qcow2_read(s, &req);
        zero = ret == 0 && buffer_is_zero(buf, a->bytes);
    }
    *reading = ret < 0;
    g_mutex_lock(&s->lock);
    if (ret < 0 || (zero && populate_zeroes(s, a, &ret))) {
        return ret;
    }
    req.node_op = BLOCK_OP_WRITE;
    a->req = &req;
    return alloc_and_write(s, a);
}

static int populate(Qcow2Node *s, uint64_t pos, uint64_t bytes, uint8_t *buf, bool *reading)
{
    int ret = s->unsound ? -EIO : s->reclaim->len ? qcow2_reclaim(s) : 0;
    uint64_t end = pos + bytes;

    while (ret == 0 && pos < end) {
        Alloc a = { .pos = pos };
        Qcow2Region r;

        do {
            ret = qcow2_lookup_wait(s, pos, end - pos, &a.old);
            a.bytes = MIN(a.old.bytes, end - pos);
        } while (ret == 0 && a.old.kind == QCOW2_UNALLOCATED &&
                 !begin_region(s, &r, pos >> s->cluster_bits,
                               (pos + a.bytes - 1) >> s->cluster_bits));
        if (ret == 0 && a.old.kind == QCOW2_UNALLOCATED) {
            ret = populate_part(s, &a, buf, reading);
            end_region(s, &r);
        }
        pos += a.bytes;
        ret = ret == 0 ? qcow2_relieve(s) : ret;
    }
    return ret;
}

int qcow2_populate(BlockNode *bs, uint64_t pos, uint64_t bytes, bool *reading)
{
    Qcow2Node *s = downcast(bs, Qcow2Node, bs);
    g_autofree uint8_t *buf = g_malloc(bytes);
    unsigned epoch;
    int ret;

    g_mutex_lock(&s->lock);
    epoch = qcow2_enter(s);
    *reading = false;
    ret = populate(s, pos, bytes, buf, reading);
    qcow2_leave(s, epoch);
    g_mutex_unlock(&s->lock);
    return ret;
}

/* Zeroes and discards ---------------------------------------------------------------------- */

static int write_zero_data(Qcow2Node *s, uint64_t pos, uint64_t bytes)
{
    uint64_t chunk = MIN(bytes, ZERO_CHUNK);
    void *buf;
    int ret = 0;

    if (posix_memalign(&buf, 4096, QEMU_ALIGN_UP(chunk, 4096))) {
        return -ENOMEM;
    }
    memset(buf, 0, chunk);
    while (ret == 0 && bytes) {
        struct iovec iov = { buf, MIN(bytes, chunk) };
        BlockRequest req = { .node_op = BLOCK_OP_WRITE, .pos = pos, .bytes = iov.iov_len,
                             .iov = &iov, .niov = 1 };

        ret = qcow2_write(s, &req);
        pos += iov.iov_len;
        bytes -= iov.iov_len;
    }
    free(buf);
    return ret;
}

/* What a cluster's entry becomes; false: it stays. */
static bool new_entry(const Qcow2Node *s, const BlockRequest *req, const Qcow2Extent *old,
                      uint64_t *entry, uint64_t *bitmap)
{
    bool discard = req->node_op == BLOCK_OP_DISCARD;
    bool zero = !discard || s->bs.backing;
    bool keep = !discard && !(req->node_flags & BLOCK_REQ_MAY_UNMAP) &&
                !(old->entry & QCOW2_COMPRESSED) && (old->entry & QCOW2_COPIED);

    if (discard && old->kind == QCOW2_UNALLOCATED && !old->bitmap) {
        return false;           /* a hint, and nothing is won */
    }
    if (zero && s->h.version < 3) {
        zero = false;           /* nothing gets below it: qcow2_clear() has seen to that */
    }
    *entry = keep ? old->entry & (QCOW2_OFFSET_MASK | QCOW2_COPIED) : 0;
    *bitmap = 0;
    if (zero && s->l2_entry == 16) {
        *bitmap = (uint64_t)ALL_SUBCLUSTERS << 32;
    } else if (zero) {
        *entry |= QCOW2_ZERO;
    }
    if (keep && !zero) {
        *entry = 0;
    }
    return *entry != old->entry || *bitmap != old->bitmap;
}

static int clear_cluster(Qcow2Node *s, const BlockRequest *req, uint64_t pos)
{
    uint64_t entry, bitmap;
    Qcow2Extent old;
    Qcow2Region r;
    int ret;

    do {
        ret = qcow2_lookup_wait(s, pos, 1, &old);
        if (ret < 0) {
            return ret;
        }
    } while (!begin_region(s, &r, pos >> s->cluster_bits, pos >> s->cluster_bits));
    if (new_entry(s, req, &old, &entry, &bitmap)) {
        ret = own_l2(s, pos);
        if (ret == 0) {
            ret = set_entry(s, pos, entry, bitmap, QCOW2_BY_REQUEST);
        }
    }
    end_region(s, &r);
    return ret;
}

/*
 * Bytes from pos on where nothing is that could be given up; negative errno. What was written as
 * zeroes is said to be zeroes where nothing was, too: the image may get a backing file later.
 */
static int64_t nothing_at(Qcow2Node *s, const BlockRequest *req, uint64_t pos, uint64_t end)
{
    bool says_zero = s->bs.backing || (req->node_op == BLOCK_OP_WRITE_ZEROES && s->h.version >= 3);
    Qcow2Extent old;
    int ret = says_zero ? 1 : qcow2_lookup_wait(s, pos, end - pos, &old);

    /* An entry may keep a cluster for what reads as nothing. */
    return ret ? MIN(ret, 0) : old.kind == QCOW2_UNALLOCATED && !old.entry && !old.bitmap ?
           (int64_t)QEMU_ALIGN_DOWN(old.bytes, s->cluster_size) : 0;
}

/* Whole clusters from start to end. */
static int clear_clusters(Qcow2Node *s, const BlockRequest *req, uint64_t start, uint64_t end)
{
    int64_t skipped = 0;
    int ret = 0;

    g_mutex_lock(&s->lock);
    for (unsigned n = 1; ret == 0 && start < end; n++) {
        skipped = nothing_at(s, req, start, end);
        if (skipped > 0) {
            start += skipped;
        } else {
            ret = skipped < 0 ? skipped : clear_cluster(s, req, start);
            ret = ret == 0 ? qcow2_relieve(s) : ret;
            start += s->cluster_size;
        }
        if (n % CLEAR_BATCH == 0) {
            /* There may be millions, and the loop wants to translate. */
            g_mutex_unlock(&s->lock);
            sched_yield();
            g_mutex_lock(&s->lock);
        }
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

int qcow2_clear(Qcow2Node *s, BlockRequest *req)
{
    bool discard = req->node_op == BLOCK_OP_DISCARD;
    uint64_t end = req->pos + req->bytes;
    uint64_t first = QEMU_ALIGN_UP(req->pos, s->cluster_size);
    uint64_t last = end == s->bs.length ? QEMU_ALIGN_UP(end, s->cluster_size) :
                    QEMU_ALIGN_DOWN(end, s->cluster_size);
    bool below = s->bs.backing || s->h.backing;
    int ret = 0;

    if (s->bs.data_file || (s->h.version < 3 && below) || first >= last) {
        /* Clusters that nobody counts, or nothing that says "zero": data it is. */
        return discard ? 0 : write_zero_data(s, req->pos, req->bytes);
    }
    if (!discard && req->pos < first) {
        ret = write_zero_data(s, req->pos, first - req->pos);
    }
    if (ret == 0) {
        ret = clear_clusters(s, req, first, last);
    }
    if (ret == 0 && !discard && last < end) {
        ret = write_zero_data(s, last, end - last);
    }
    return ret;
}
