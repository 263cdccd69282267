/*
 * qcow2 images that lie: mutated tables, truncated files. Whatever is in them, requests end, and
 * no table is written by the guest.
 *
 * QCOW2_MUTATIONS=N is the number of images for each set of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "block/events.h"
#include "qcow2-harness.h"

#define DISK (4u << 20)
#define COPIED (1ull << 63)
#define COMPRESSED (1ull << 62)

static const char *const sets[] = {
    "cluster_size=64k",
    "cluster_size=512",
    "cluster_size=4k,refcount_bits=1",
    "compat=0.10,cluster_size=4k",
    "cluster_size=16k,extended_l2=on",
    "cluster_size=4k,lazy_refcounts=on",
    "cluster_size=4k,refcount_bits=64,compression_type=zstd",
};

/* An image in memory, and where its tables are. */
typedef struct Image {
    uint8_t *data;
    size_t len;
    unsigned cluster;
    uint64_t l1, reftable;
    uint64_t tables[64];        /* clusters with entries of 8 bytes, the header first */
    unsigned n;
} Image;

static uint64_t get64(const Image *im, uint64_t at)
{
    uint64_t v;

    memcpy(&v, im->data + at, 8);
    return GUINT64_FROM_BE(v);
}

static void put64(Image *im, uint64_t at, uint64_t v)
{
    v = GUINT64_TO_BE(v);
    memcpy(im->data + at, &v, 8);
}

static void add_tables(Image *im, uint64_t table, unsigned entries)
{
    im->tables[im->n++] = table;
    for (unsigned i = 0; i < entries && im->n < G_N_ELEMENTS(im->tables); i++) {
        uint64_t at = get64(im, table + i * 8) & 0x00fffffffffffe00ull;

        if (at && at + im->cluster <= im->len) {
            im->tables[im->n++] = at;
        }
    }
}

static void load(Image *im, const char *name)
{
    g_autofree char *path = in_scratch(name);

    memset(im, 0, sizeof(*im));
    g_assert_true(g_file_get_contents(path, (char **)&im->data, &im->len, NULL));
    im->cluster = 1u << (get64(im, 16) & 0xffffffff);
    im->l1 = get64(im, 40);
    im->reftable = get64(im, 48);
    im->n = 1;
    add_tables(im, im->l1, 8);
    add_tables(im, im->reftable, 8);
}

static void save(const Image *im, const char *name)
{
    g_autofree char *path = in_scratch(name);

    g_assert_true(g_file_set_contents_full(path, (char *)im->data, im->len,
                                           G_FILE_SET_CONTENTS_NONE, 0600, NULL));
}

static void make(const char *options)
{
    bool v3 = !strstr(options, "0.10");

    tool("qemu-img create -q -f qcow2 -o %s base.qcow2 %u; "
         "qemu-io -t unsafe -c 'write -P 1 0 300k' -c 'write -P 2 1M 64k' "
         "-c 'write -c -P 6 2M 64k' -c '%s' base.qcow2 >/dev/null; "
         "case %s in *bits=1) ;; *) qemu-img snapshot -c one base.qcow2;; esac; "
         "qemu-io -t unsafe -c 'write -P 3 64k 128k' base.qcow2 >/dev/null", options, DISK,
         v3 ? "write -z 1536k 64k" : "write -P 0 1536k 64k", options);
    if (strstr(options, "lazy")) {
        tool("(ulimit -c 0; qemu-io -c 'write 3M 64k' -c abort base.qcow2; true) >/dev/null 2>&1");
    }
}

/* A value that is wrong in a way that somebody might choose. */
static uint64_t nasty(const Image *im, GRand *rng)
{
    uint64_t table = im->tables[g_rand_int_range(rng, 0, im->n)];
    uint64_t values[] = {
        0, table, table | COPIED, table | COPIED | 1, (table + 512) | COPIED,
        (table - im->cluster) | COPIED, im->len | COPIED, (im->len * 2) & ~0xffffull,
        COPIED, COMPRESSED, COMPRESSED | (im->len - 1), ~0ull, ~0ull >> 2, 1ull << 55,
        (0x00fffffffffffe00ull & -(uint64_t)im->cluster) | COPIED, 0x0001000100010001ull,
        ((uint64_t)g_rand_int(rng) << 32) | g_rand_int(rng),
    };

    return values[g_rand_int_range(rng, 0, G_N_ELEMENTS(values))];
}

static void mutate(Image *im, GRand *rng)
{
    unsigned n = g_rand_int_range(rng, 1, 6);

    for (unsigned i = 0; i < n; i++) {
        unsigned t = g_rand_int_range(rng, 0, im->n);
        /* Tables begin with what is used; the header's fields are its first 112 bytes. */
        unsigned range = t ? MIN(im->cluster, g_rand_boolean(rng) ? 128 : 4096) : 112;
        uint64_t at = im->tables[t] + g_rand_int_range(rng, 0, range / 8) * 8;

        if (g_rand_boolean(rng)) {
            put64(im, at, nasty(im, rng));
        } else {
            im->data[at + g_rand_int_range(rng, 0, 8)] ^= 1u << g_rand_int_range(rng, 0, 8);
        }
    }
}

/* Whatever the answers are, they come. */
static void exercise(BlockBackend *blk, GRand *rng)
{
    static const BlockOp ops[] = {
        BLOCK_OP_READ, BLOCK_OP_WRITE, BLOCK_OP_WRITE, BLOCK_OP_WRITE_ZEROES, BLOCK_OP_DISCARD,
        BLOCK_OP_FLUSH,
    };
    g_autofree uint8_t *buf = g_malloc0(256 << 10);
    uint64_t length = MIN(blk_getlength(blk), DISK);

    for (unsigned i = 0; i < 24 && length >= 1024; i++) {
        BlockOp op = ops[g_rand_int_range(rng, 0, G_N_ELEMENTS(ops))];
        uint64_t len = g_rand_int_range(rng, 1, g_rand_boolean(rng) ? 16 : 512) * 512;
        uint64_t offset = g_rand_int_range(rng, 0, length / 512) * 512;
        bool data = op == BLOCK_OP_READ || op == BLOCK_OP_WRITE;

        if (op == BLOCK_OP_FLUSH) {
            offset = len = 0;
        }
        run_request(blk, op, g_rand_boolean(rng) ? BLOCK_REQ_MAY_UNMAP : 0, offset,
                    data ? buf : NULL, MIN(len, length - offset));
    }
}

static void try_image(GRand *rng, const char *options)
{
    g_autofree char *path = in_scratch("t.qcow2");
    g_autofree char *msg = try_drive(path, options);

    if (!msg) {
        exercise(blk_find_for_device("d"), rng);
    }
    blk_cleanup_all();
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static unsigned mutations(void)
{
    const char *text = g_getenv("QCOW2_MUTATIONS");

    return text ? strtoul(text, NULL, 0) : 150;
}

static void ignore_message(const char *text)
{
}

static void test_mutations(gconstpointer arg)
{
    g_autoptr(GRand) rng = g_rand_new_with_seed(g_str_hash(arg));
    struct rlimit old, limit;
    GPrintFunc print = g_set_printerr_handler(ignore_message);
    Image im;

    if (!have_tools()) {
        return;
    }
    /* Not all of a lying table's offsets are to become files of petabytes. */
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit) { 1ull << 30, old.rlim_max };
    make(arg);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (unsigned i = 0; i < mutations(); i++) {
        load(&im, "base.qcow2");
        mutate(&im, rng);
        save(&im, "t.qcow2");
        g_free(im.data);
        try_image(rng, "format=qcow2,discard=unmap,cache=unsafe");
    }
    setrlimit(RLIMIT_FSIZE, &old);
    g_set_printerr_handler(print);
    scratch_remove();
}

/* Files that end within every structure, and one byte further. */
static void test_truncated(gconstpointer arg)
{
    g_autoptr(GRand) rng = g_rand_new_with_seed(3);
    static const int extra[] = { -1, 0, 1, 512 };
    Image im;

    if (!have_tools()) {
        return;
    }
    make(arg);
    load(&im, "base.qcow2");
    im.tables[0] = 104;
    for (unsigned i = 0; i < im.n; i++) {
        for (unsigned k = 0; k < G_N_ELEMENTS(extra); k++) {
            g_autofree char *path = in_scratch("t.qcow2");

            save(&im, "t.qcow2");
            g_assert_cmpint(truncate(path, im.tables[i] + extra[k]), ==, 0);
            try_image(rng, "format=qcow2,discard=unmap,cache=unsafe");
        }
    }
    g_free(im.data);
    scratch_remove();
}

static void note_corruption(void *opaque, const BlockCorruption *c)
{
    g_assert_cmpstr(c->device, ==, "d");
    g_assert_true(c->fatal);
    g_assert_cmpuint(c->offset, ==, *(uint64_t *)opaque);
    ++((uint64_t *)opaque)[1];
}

/* A long write to two clusters in a row, of which the second has the L2 table. */
static void test_write_to_table(void)
{
    static const BlockListener listener = { .corrupted = note_corruption };
    uint64_t expected[2] = { 0 };
    g_autofree uint8_t *buf = g_malloc0(128 << 10);
    g_autofree char *path = in_scratch("t.qcow2"), *msg = NULL;
    uint64_t l2, before;
    BlockBackend *blk;
    Image im;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 t.qcow2 1M; "
         "qemu-io -t unsafe -c 'write -P 1 0 64k' t.qcow2 >/dev/null");
    load(&im, "t.qcow2");
    l2 = get64(&im, im.l1) & ~COPIED;
    put64(&im, l2, (l2 - 0x10000) | COPIED);
    put64(&im, l2 + 8, l2 | COPIED);
    before = get64(&im, l2);
    save(&im, "t.qcow2");
    g_free(im.data);
    expected[0] = l2 - 0x10000;
    block_set_listener(&listener, expected);

    blk = open_drive("t.qcow2", "");
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 0, buf, 128 << 10), ==, -EIO);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 512 << 10, buf, 512), ==, -EIO);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 512 << 10, buf, 512), ==, 0);
    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    g_assert_cmpuint(expected[1], ==, 1);
    block_set_listener(NULL, NULL);
    blk_cleanup_all();
    load(&im, "t.qcow2");
    g_assert_cmpuint(get64(&im, l2), ==, before);
    g_free(im.data);
    msg = try_drive(path, "");
    g_assert_cmpstr(msg, ==, "qcow2: Image is corrupt; cannot be opened read/write");
    blk = open_drive("t.qcow2", "readonly=on");
    blk_cleanup_all();
    scratch_remove();
}

static void test_own_data_file(void)
{
    g_autofree char *path = in_scratch("t.qcow2"), *msg = NULL;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o data_file=t.qxxxx t.qcow2 1M; "
         "sed -i s/t.qxxxx/t.qcow2/ t.qcow2");
    msg = try_drive(path, "locking=off");
    g_assert_nonnull(msg);
    g_assert_nonnull(strstr(msg, "is its own data file"));
    scratch_remove();
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *mutated = g_strconcat("/qcow2/mutated/", sets[i], NULL);
        g_autofree char *truncated = g_strconcat("/qcow2/truncated/", sets[i], NULL);

        g_test_add_data_func(mutated, sets[i], test_mutations);
        g_test_add_data_func(truncated, sets[i], test_truncated);
    }
    g_test_add_func("/qcow2/write-to-table", test_write_to_table);
    g_test_add_func("/qcow2/own-data-file", test_own_data_file);
    return g_test_run();
}
