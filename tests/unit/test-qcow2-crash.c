/*
 * qcow2 after a power cut: every write to the file is written down, and images are made of the
 * log up to a point, with what was not flushed lost, torn or out of order. Snapshots are made,
 * deleted and gone back to meanwhile.
 *
 * QCOW2_CUTS=N is the number of cuts for each set of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "block/file-posix.h"
#include "block/vm-snapshot.h"
#include "qcow2-harness.h"
#include "qemu/iov.h"

#define DISK (2u << 20)
#define SECTORS (DISK / 512)
#define MAX_BYTES (128u << 10)
#define ROUNDS 40               /* of a few requests and a flush */

static const struct { const char *create, *drive; bool backing; } sets[] = {
    { "cluster_size=64k", "discard=unmap", false },
    { "cluster_size=64k", "discard=unmap,l2-cache-size=4k,refcount-cache-size=4k", true },
    { "cluster_size=4k,refcount_bits=64", "discard=unmap", true },
    { "cluster_size=512,refcount_bits=64", "discard=unmap", false },
    { "cluster_size=512", "discard=unmap", true },
    { "extended_l2=on,cluster_size=16k", "discard=unmap", true },
    { "compat=0.10,cluster_size=1k", "discard=unmap", false },
    { "cluster_size=2M", "discard=unmap", true },
    { "refcount_bits=8,cluster_size=8k", "discard=unmap,detect-zeroes=unmap", true },
    { "extended_l2=on,cluster_size=64k", "discard=unmap,l2-cache-size=4k", false },
};

/* The log: what the file's node was asked for, in the order of completion. */
typedef struct Record {
    uint64_t pos, len;
    uint8_t *data;              /* NULL: zeroes */
} Record;

static GMutex lock;
static GArray *records;         /* of Record */
static guint durable;           /* all before it are on the medium */
static BlockDriver logged;

static int logged_run(BlockNode *bs, BlockRequest *req)
{
    Record r = { req->pos, req->bytes, NULL };
    guint before;
    int ret;

    if (req->node_op == BLOCK_OP_WRITE) {
        r.data = g_malloc(req->bytes);
        iov_to_buf(req->iov, req->niov, 0, r.data, req->bytes);
    }
    g_mutex_lock(&lock);
    before = records->len;
    g_mutex_unlock(&lock);
    /* The log tells what would be on the medium: nobody waits for one. */
    ret = req->node_op == BLOCK_OP_FLUSH ? 0 : block_file.run(bs, req);
    g_assert_cmpint(ret, ==, 0);
    g_mutex_lock(&lock);
    if (req->node_op == BLOCK_OP_FLUSH) {
        durable = MAX(durable, before);
        r = (Record) { UINT64_MAX, durable, NULL };
    }
    if (req->node_op != BLOCK_OP_READ) {
        g_array_append_val(records, r);
    }
    g_mutex_unlock(&lock);
    return ret;
}

static void clear_record(void *p)
{
    g_free(((Record *)p)->data);
}

/* What the guest was promised at a point of the log. */
typedef struct Promise {
    guint at;                   /* records */
    uint8_t *disk;
    uint8_t touched[SECTORS];   /* written after it, until the next one */
    bool has_snapshot;          /* "mine", until the next one, too; and what it has */
    uint8_t *snapshot;
} Promise;

typedef struct State {
    GRand *rng;
    BlockBackend *blk;
    uint8_t disk[DISK];
    uint8_t buf[MAX_BYTES];
    GPtrArray *promises;
    bool has_snapshot;
    uint8_t snapshot[DISK];
} State;

static uint32_t any(State *st, uint32_t n)
{
    return g_rand_int_range(st->rng, 0, n);
}

static void one_request(State *st)
{
    static const BlockOp ops[] = {
        BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE_ZEROES, BLOCK_OP_DISCARD,
    };
    Promise *p = st->promises->pdata[st->promises->len - 1];
    BlockOp op = ops[any(st, G_N_ELEMENTS(ops))];
    uint32_t bytes = (any(st, (any(st, 3) ? 16384 : MAX_BYTES) / 512) + 1) * 512;
    uint32_t offset = any(st, (DISK - bytes) / 512 + 1) * 512;
    unsigned flags = op == BLOCK_OP_WRITE_ZEROES && any(st, 2) ? BLOCK_REQ_MAY_UNMAP : 0;

    memset(st->buf, any(st, 255) + 1, bytes);
    memset(p->touched + offset / 512, 1, bytes / 512);
    g_assert_cmpint(run_request(st->blk, op, flags, offset,
                                op == BLOCK_OP_WRITE ? st->buf : NULL, bytes), ==, 0);
    g_assert_cmpint(run_request(st->blk, BLOCK_OP_READ, 0, offset, st->disk + offset, bytes),
                    ==, 0);
}

static void promise(State *st)
{
    Promise *p = g_new0(Promise, 1);

    g_assert_cmpint(run_request(st->blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    p->at = records->len;
    p->disk = g_memdup2(st->disk, DISK);
    p->has_snapshot = st->has_snapshot;
    p->snapshot = st->has_snapshot ? g_memdup2(st->snapshot, DISK) : NULL;
    g_ptr_array_add(st->promises, p);
}

/* Something is done with the snapshot: what became of that only the next promise tells. */
static void one_snapshot(State *st)
{
    Promise *p = st->promises->pdata[st->promises->len - 1];
    g_autoptr(GPtrArray) nodes = vm_snapshot_nodes(NULL, NULL);
    BlockSnapshotInfo sn = { .name = (char *)"mine", .icount = -1 };
    BlockVMState *v;

    g_assert_nonnull(nodes);
    p->has_snapshot = false;
    if (!st->has_snapshot) {
        v = vm_state_new(nodes->pdata[0]);
        g_assert_cmpint(vm_state_write(v, st->disk, any(st, DISK)), ==, 0);
        g_assert_true(vm_snapshot_create(nodes, &sn, v, NULL));
        vm_state_free(v);
        st->has_snapshot = true;
        memcpy(st->snapshot, st->disk, DISK);
    } else if (any(st, 2)) {
        memset(p->touched, 1, sizeof(p->touched));
        g_assert_true(vm_snapshot_revert(nodes, "mine", NULL));
        memcpy(st->disk, st->snapshot, DISK);
    } else {
        g_assert_true(vm_snapshot_delete(nodes, "mine", NULL));
        st->has_snapshot = false;
    }
}

static void free_promise(void *p)
{
    g_free(((Promise *)p)->snapshot);
    g_free(((Promise *)p)->disk);
    g_free(p);
}

static void work(State *st, const char *drive)
{
    size_t length;
    g_autofree uint8_t *start = contents("t.qcow2", &length);
    BlockNode *file;

    memcpy(st->disk, start, DISK);
    tool("cp t.qcow2 start.qcow2");
    st->blk = open_drive("t.qcow2", drive);
    file = st->blk->root->file;
    logged = block_file;
    logged.submit = NULL;
    logged.run = logged_run;
    file->obj.oc = &logged.oc;
    promise(st);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned n = any(st, 12); n; n--) {
            one_request(st);
        }
        if (any(st, 3) == 0) {
            one_snapshot(st);
        }
        promise(st);
    }
    blk_cleanup_all();
    check_image("t.qcow2", true);
}

static void apply(State *st, int fd, const Record *r, bool whole)
{
    g_autofree uint8_t *zeroes = g_malloc0(r->len);
    const uint8_t *data = r->data ? r->data : zeroes;

    for (uint64_t done = 0; done < r->len; done += 512) {
        size_t len = MIN(r->len - done, 512);

        /* A sector is written or not. */
        if (whole || any(st, 2)) {
            g_assert_cmpint(pwrite(fd, data + done, len, r->pos + done), ==, len);
        }
    }
}

/* The file after a power cut when the log had that many records. */
static void cut(State *st, guint at)
{
    g_autofree char *path = in_scratch("cut.qcow2");
    guint safe = 0;
    FILE *file;

    tool("cp start.qcow2 cut.qcow2");
    for (guint i = 0; i < at; i++) {
        const Record *r = &g_array_index(records, Record, i);

        safe = r->pos == UINT64_MAX ? r->len : safe;
    }
    file = fopen(path, "r+");
    g_assert_nonnull(file);
    for (guint i = 0; i < at; i++) {
        const Record *r = &g_array_index(records, Record, i);
        unsigned fate = i < safe ? 0 : any(st, 3);

        if (r->pos != UINT64_MAX && fate < 2) {
            apply(st, fileno(file), r, fate == 0);
        }
    }
    fclose(file);
}

/*
 * Leaks do no harm, and neither does the flag that a cluster may be written in place where it is
 * not what the count says: it was counted for a snapshot that nobody can find any longer, or not
 * yet. Everything else does.
 */
static void check_cut(void)
{
    if (tool_status("qemu-img check cut.qcow2 >check.log 2>&1; grep -q '^ERROR OFLAG_COPIED' "
                    "check.log && ! grep '^ERROR' check.log | grep -qv OFLAG_COPIED")) {
        check_image("cut.qcow2", false);
    }
}

static void verify(State *st, guint at)
{
    const Promise *p = NULL;
    g_autofree uint8_t *now = NULL;
    size_t length;

    check_cut();
    for (guint i = 0; i < st->promises->len; i++) {
        const Promise *q = st->promises->pdata[i];

        p = q->at <= at ? q : p;
    }
    if (!p) {
        return;
    }
    now = contents("cut.qcow2", &length);
    for (unsigned i = 0; i < SECTORS; i++) {
        if (!p->touched[i] && memcmp(now + i * 512, p->disk + i * 512, 512)) {
            g_error("cut at %u: sector %u: 0x%02x.., not 0x%02x.. as was flushed", at, i,
                    now[i * 512], p->disk[i * 512]);
        }
    }
    if (p->has_snapshot) {
        g_autofree uint8_t *then = contents("-l snapshot.name=mine cut.qcow2", &length);

        g_assert_cmpmem(then, length, p->snapshot, DISK);
    }
}

static void test_cuts(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    const char *text = g_getenv("QCOW2_CUTS");
    unsigned cuts = text ? strtoul(text, NULL, 0) : 8;
    State *st;

    if (!have_tools()) {
        return;
    }
    st = g_new0(State, 1);
    st->rng = g_rand_new_with_seed(300 + n);
    st->promises = g_ptr_array_new_with_free_func(free_promise);
    records = g_array_new(false, false, sizeof(Record));
    g_array_set_clear_func(records, clear_record);
    durable = 0;
    tool("qemu-img create -q -f qcow2 b.qcow2 1M; qemu-io -t unsafe -c 'write -P 77 0 1M' b.qcow2 "
         ">/dev/null; qemu-img create -q -f qcow2 -o %s %s t.qcow2 %u", sets[n].create,
         sets[n].backing ? "-b b.qcow2 -F qcow2" : "", DISK);
    if (sets[n].backing) {
        tool("qemu-io -t unsafe -c 'write -c -P 6 1M 512k' t.qcow2 >/dev/null; "
             "qemu-img snapshot -c one t.qcow2");
    }
    work(st, sets[n].drive);
    for (unsigned i = 0; i < cuts; i++) {
        guint at = any(st, records->len + 1);

        cut(st, at);
        verify(st, at);
    }
    g_ptr_array_unref(st->promises);
    g_array_unref(records);
    g_rand_free(st->rng);
    g_free(st);
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *name = g_strdup_printf("/qcow2/cuts/%s;%s%s", sets[i].create,
                                                sets[i].drive, sets[i].backing ? ";over" : "");

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_cuts);
    }
    return g_test_run();
}
