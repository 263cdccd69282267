/*
 * qcow2 written: random requests side by side with a plain buffer, judged by Debian's qemu-img.
 *
 * QCOW2_OPS=N is the number of requests for each set of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow2-harness.h"
#include "qemu/iov.h"

#define DISK (6u << 20)
#define DEPTH 16
#define MAX_BYTES (512u << 10)

/* Options of qemu-img create, and of ours. */
static const struct { const char *create, *drive; } sets[] = {
    { "cluster_size=64k", "discard=unmap" },
    { "cluster_size=64k", "discard=unmap,l2-cache-size=64k,refcount-cache-size=64k" },
    { "cluster_size=64k", "cache=none" },
    { "cluster_size=64k", "cache=writethrough,aio=threads" },
    { "cluster_size=64k", "detect-zeroes=unmap,discard=unmap" },
    { "compat=0.10", "discard=unmap" },
    { "compat=0.10,cluster_size=512", "discard=unmap" },
    { "cluster_size=512", "discard=unmap" },
    { "cluster_size=512,refcount_bits=64", "discard=unmap,cache=unsafe" },
    { "cluster_size=4k,refcount_bits=1", "discard=unmap" },
    { "cluster_size=2M", "discard=unmap" },
    { "refcount_bits=8,lazy_refcounts=on,cluster_size=1k", "discard=unmap" },
    { "refcount_bits=2,cluster_size=32k", "discard=unmap" },
    { "refcount_bits=4", "" },
    { "refcount_bits=32", "discard=unmap" },
    { "extended_l2=on,cluster_size=16k", "discard=unmap" },
    { "extended_l2=on,cluster_size=64k", "discard=unmap" },
    { "extended_l2=on,cluster_size=2M,compression_type=zstd", "discard=unmap" },
    { "compression_type=zstd", "discard=unmap" },
    { "preallocation=metadata", "discard=unmap" },
    { "preallocation=falloc,extended_l2=on", "discard=unmap" },
    { "data_file=t.data", "discard=unmap" },
    { "data_file=t.data,data_file_raw=on", "discard=unmap" },
};

typedef struct Flight {
    BlockRequest req;
    struct iovec iov[3];
    uint8_t *buf;
} Flight;

typedef struct State {
    BlockBackend *blk;
    GRand *rng;
    uint8_t *model;
    Flight flight[DEPTH];
    unsigned in_flight;
} State;

static uint32_t any(State *st, uint32_t n)
{
    return g_rand_int_range(st->rng, 0, n);
}

static void done(BlockRequest *req, int ret)
{
    g_assert_cmpint(ret, ==, 0);
    req->cb = NULL;
}

static void fill_buffer(State *st, Flight *f)
{
    uint8_t seed = any(st, 8) ? any(st, 255) + 1 : 0;

    for (uint64_t i = 0; i < f->req.bytes; i += 512) {
        memset(f->buf + i, seed ? (uint8_t)(seed + i / 512 % 5) : 0, 512);
    }
}

/* What is read is right; what was discarded is as it was, or zero, and from then on that. */
static void check_read(State *st, const Flight *f)
{
    uint8_t *model = st->model + f->req.offset;

    for (uint64_t i = 0; i < f->req.bytes; i += 512) {
        if (memcmp(model + i, f->buf + i, 512)) {
            g_error("sector at %" G_GUINT64_FORMAT ": 0x%02x.., not 0x%02x..",
                    f->req.offset + i, f->buf[i], model[i]);
        }
    }
}

static void adopt_discarded(State *st, const Flight *f)
{
    static const uint8_t zeroes[512];
    uint8_t *model = st->model + f->req.offset;

    g_assert_cmpint(run_request(st->blk, BLOCK_OP_READ, 0, f->req.offset, f->buf, f->req.bytes),
                    ==, 0);
    for (uint64_t i = 0; i < f->req.bytes; i += 512) {
        g_assert_true(!memcmp(f->buf + i, model + i, 512) || !memcmp(f->buf + i, zeroes, 512));
        memcpy(model + i, f->buf + i, 512);
    }
}

static void land(State *st)
{
    blk_kick(st->blk);
    blk_drain(st->blk);
    for (unsigned i = 0; i < st->in_flight; i++) {
        Flight *f = &st->flight[i];

        g_assert_null(f->req.cb);
        if (f->req.op == BLOCK_OP_READ) {
            check_read(st, f);
        } else if (f->req.op == BLOCK_OP_WRITE) {
            memcpy(st->model + f->req.offset, f->buf, f->req.bytes);
        } else if (f->req.op == BLOCK_OP_WRITE_ZEROES) {
            memset(st->model + f->req.offset, 0, f->req.bytes);
        }
    }
    for (unsigned i = 0; i < st->in_flight; i++) {
        if (st->flight[i].req.op == BLOCK_OP_DISCARD) {
            adopt_discarded(st, &st->flight[i]);
        }
    }
    st->in_flight = 0;
}

/* Requests under way do not overlap: their order is nobody's. */
static bool overlaps(const State *st, uint64_t offset, uint64_t bytes)
{
    for (unsigned i = 0; i < st->in_flight; i++) {
        const BlockRequest *r = &st->flight[i].req;

        if (r->offset < offset + bytes && offset < r->offset + r->bytes) {
            return true;
        }
    }
    return false;
}

static void start_one(State *st)
{
    static const BlockOp ops[] = {
        BLOCK_OP_READ, BLOCK_OP_READ, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE,
        BLOCK_OP_WRITE, BLOCK_OP_WRITE_ZEROES, BLOCK_OP_DISCARD, BLOCK_OP_FLUSH,
    };
    Flight *f = &st->flight[st->in_flight];
    uint64_t max = any(st, 4) ? 16384 : MAX_BYTES, offset, bytes, cut;
    BlockOp op = ops[any(st, G_N_ELEMENTS(ops))];

    bytes = (any(st, max / 512) + 1) * 512;
    offset = any(st, (DISK - bytes) / 512 + 1) * 512;
    if (any(st, 3) == 0) {
        offset = offset / 65536 * 65536;
    }
    if (overlaps(st, offset, bytes)) {
        return;
    }
    f->req = (BlockRequest) { .op = op, .offset = offset, .bytes = bytes, .cb = done };
    if (op == BLOCK_OP_FLUSH) {
        f->req.offset = f->req.bytes = 0;
    }
    if (op == BLOCK_OP_READ || op == BLOCK_OP_WRITE) {
        cut = any(st, bytes / 512) * 512;
        f->iov[0] = (struct iovec) { f->buf, cut };
        f->iov[1] = (struct iovec) { f->buf + cut, bytes - cut };
        f->req.iov = f->iov;
        f->req.niov = 2;
        fill_buffer(st, f);
    }
    if (op == BLOCK_OP_WRITE_ZEROES && any(st, 2)) {
        f->req.flags = BLOCK_REQ_MAY_UNMAP;
    }
    if (op == BLOCK_OP_WRITE && !any(st, 10)) {
        f->req.flags = BLOCK_REQ_FUA;
    }
    st->in_flight++;
    blk_submit(st->blk, &f->req);
    if (!any(st, 3)) {
        blk_kick(st->blk);
    }
}

static void begin(State *st, uint32_t seed)
{
    *st = (State) { .rng = g_rand_new_with_seed(seed) };
    for (unsigned i = 0; i < DEPTH; i++) {
        st->flight[i].buf = aligned_alloc(4096, MAX_BYTES);
    }
}

static void end(State *st)
{
    for (unsigned i = 0; i < DEPTH; i++) {
        free(st->flight[i].buf);
    }
    g_rand_free(st->rng);
    g_free(st->model);
}

/* ops requests, and now and then the image is closed, checked and opened again. */
static void go(State *st, const char *drive, unsigned ops)
{
    size_t length;

    st->model = contents("t.qcow2", &length);
    g_assert_cmpuint(length, ==, DISK);
    st->blk = open_drive("t.qcow2", drive);
    for (unsigned i = 0; i < ops; i++) {
        start_one(st);
        if (st->in_flight == DEPTH || !any(st, 20)) {
            land(st);
        }
        if (!any(st, 300)) {
            land(st);
            blk_cleanup_all();
            check_image("t.qcow2", true);
            st->blk = open_drive("t.qcow2", drive);
        }
    }
    land(st);
    blk_cleanup_all();
    check_image("t.qcow2", true);
}

static void compare(State *st)
{
    size_t length;
    g_autofree uint8_t *now = contents("t.qcow2", &length);

    for (size_t i = 0; i < length; i += 512) {
        if (memcmp(now + i, st->model + i, 512)) {
            g_error("qemu-img: sector at %zu: 0x%02x.., not 0x%02x..", i, now[i], st->model[i]);
        }
    }
}

static unsigned ops_wanted(unsigned usual)
{
    const char *text = g_getenv("QCOW2_OPS");

    return text ? strtoul(text, NULL, 0) : usual;
}

static void test_random(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    State st;

    if (!have_tools()) {
        return;
    }
    begin(&st, 100 + n);
    tool("qemu-img create -q -f qcow2 -o %s t.qcow2 %u", sets[n].create, DISK);
    go(&st, sets[n].drive, ops_wanted(400));
    compare(&st);
    end(&st);
    scratch_remove();
}

/* Over a backing file, compressed clusters, and what an internal snapshot keeps. */
static void test_shared(gconstpointer arg)
{
    unsigned n = GPOINTER_TO_UINT(arg);
    bool own_data = !strstr(sets[n].create, "data_file");
    bool counted = own_data && !strstr(sets[n].create, "refcount_bits=1");
    /* Compressed clusters share a cluster of the file, many of them: small counts are too small. */
    bool plain = own_data && !strstr(sets[n].create, "refcount_bits");
    bool v3 = !strstr(sets[n].create, "0.10");
    g_autofree uint8_t *before = NULL, *after = NULL;
    size_t length;
    State st;

    if (!have_tools() || strstr(sets[n].create, "raw=on") || strstr(sets[n].create, "preall")) {
        return;
    }
    begin(&st, 200 + n);
    tool("qemu-img create -q -f qcow2 b.qcow2 5M; qemu-io -t unsafe -c 'write -P 77 0 5M' b.qcow2 "
         ">/dev/null; qemu-img create -q -f qcow2 -o %s -b b.qcow2 -F qcow2 t.qcow2 %u",
         sets[n].create, DISK);
    tool("qemu-io -t unsafe -c '%s' -c 'write -P 9 2300k 70k' -c '%s' t.qcow2 >/dev/null",
         plain ? "write -c -P 6 4M 2M" : "write -P 6 4M 2M",
         v3 ? "write -z 3M 300k" : "write -P 0 3M 300k");
    if (counted) {
        before = contents("t.qcow2", &length);
        tool("qemu-img snapshot -c one t.qcow2");
    }
    go(&st, sets[n].drive, ops_wanted(200));
    compare(&st);
    if (counted) {
        tool("qemu-img snapshot -a one t.qcow2");
        after = contents("t.qcow2", &length);
        g_assert_cmpmem(before, length, after, length);
        check_image("t.qcow2", true);
    }
    end(&st);
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *random = g_strdup_printf("/qcow2/random/%s;%s", sets[i].create,
                                                  sets[i].drive);
        g_autofree char *shared = g_strdup_printf("/qcow2/shared/%s;%s", sets[i].create,
                                                  sets[i].drive);

        g_test_add_data_func(random, GUINT_TO_POINTER(i), test_random);
        g_test_add_data_func(shared, GUINT_TO_POINTER(i), test_shared);
    }
    return g_test_run();
}
