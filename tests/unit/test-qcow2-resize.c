/*
 * qcow2 images that grow or were not closed, judged by Debian's qemu-img; options that tell how.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2-harness.h"
#include "qemu/cutils.h"

static const char *const sets[] = {
    "cluster_size=64k",
    "cluster_size=512",
    "cluster_size=4k,refcount_bits=1",
    "compat=0.10,cluster_size=2k",
    "cluster_size=16k,extended_l2=on",
    "cluster_size=64k,refcount_bits=64",
    "data_file=t.data",
    "data_file=t.data,data_file_raw=on",
};

static void write_at(BlockBackend *blk, uint64_t pos, uint8_t byte, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);

    memset(buf, byte, len);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, pos, buf, len), ==, 0);
}

static void expect(BlockBackend *blk, uint64_t pos, uint8_t byte, size_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);

    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, pos, buf, len), ==, 0);
    for (size_t i = 0; i < len; i++) {
        g_assert_cmphex(buf[i], ==, byte);
    }
}

/* Sizes that fit, that take a larger table in place, and a new one; nothing new is seen. */
static void grow(BlockBackend *blk)
{
    static const uint64_t sizes[] = {
        100 * KiB, 100 * KiB + 512, 1 * MiB, 1 * MiB, 33 * MiB + 1536, 64 * MiB, 300 * MiB,
    };
    uint64_t old = blk_getlength(blk);

    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        write_at(blk, old - 512, 0x40 + i, 512);
        g_assert_true(blk_truncate(blk, sizes[i], NULL));
        g_assert_cmpuint(blk_getlength(blk), ==, sizes[i]);
        expect(blk, old - 512, 0x40 + i, 512);
        if (sizes[i] > old) {
            expect(blk, old, 0, MIN(sizes[i] - old, 4 << 20));
            write_at(blk, sizes[i] - 512, 0x77, 512);
        }
        old = sizes[i];
    }
}

static void test_grow(gconstpointer options)
{
    BlockBackend *blk;
    uint64_t end;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o %s t.qcow2 64k", (const char *)options);
    blk = open_drive("t.qcow2", "cache=unsafe");
    grow(blk);
    end = blk_getlength(blk);
    g_assert_false(blk_truncate(blk, end - 512, NULL));
    blk_cleanup_all();
    check_image("t.qcow2", true);
    tool("qemu-img info t.qcow2 | grep -q '(%" PRIu64 " bytes)'", end);
    tool("qemu-io -r -c 'read -P 0x77 %" PRIu64 " 512' -c 'read -P 0x46 %" PRIu64 " 512' t.qcow2 | "
         "grep -c failed | grep -qx 0", end - 512, (uint64_t)(64 * MiB - 512));
    blk = open_drive("t.qcow2", "");
    expect(blk, end - 512, 0x77, 512);
    blk_cleanup_all();
    scratch_remove();
}

/* A backing file that is longer must not come into sight, nor what a cluster has behind the end. */
static void test_backing(gconstpointer options)
{
    BlockBackend *blk;

    if (!have_tools() || strstr(options, "raw=on")) {
        return;
    }
    tool("head -c 2M /dev/zero | tr '\\0' A >b.img; "
         "qemu-img create -q -f qcow2 -o %s -b b.img -F raw t.qcow2 99k", (const char *)options);
    blk = open_drive("t.qcow2", "cache=unsafe");
    write_at(blk, 98 * KiB, 1, 512);
    g_assert_true(blk_truncate(blk, 3 * MiB, NULL));
    expect(blk, 0, 'A', 98 * KiB);
    expect(blk, 98 * KiB, 1, 512);
    expect(blk, 98 * KiB + 512, 'A', 512);
    expect(blk, 99 * KiB, 0, 3 * MiB - 99 * KiB);
    blk_cleanup_all();
    check_image("t.qcow2", true);
    blk = open_drive("t.qcow2", "readonly=on");
    expect(blk, 99 * KiB, 0, 3 * MiB - 99 * KiB);
    blk_cleanup_all();
    scratch_remove();
}

/* lazy_refcounts, and a writer that died: counted again, and nothing is lost. */
static void test_dirty(gconstpointer options)
{
    g_autofree uint8_t *before = NULL, *after = NULL;
    bool snapshot = !strstr(options, "bits=1") && !strstr(options, "data_file");
    size_t length;
    BlockBackend *blk;

    if (!have_tools() || strstr(options, "0.10") || strstr(options, "raw=on")) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o %s,lazy_refcounts=on t.qcow2 8M", (const char *)options);
    if (snapshot) {
        tool("qemu-io -c 'write -P 9 1M 3M' t.qcow2 >/dev/null; qemu-img snapshot -c one t.qcow2");
    }
    /* The shell says that it was aborted. */
    tool("(ulimit -c 0; exec 2>/dev/null; qemu-io -c 'write -P 5 512k 1M' -c 'write -P 6 5M 10k' "
         "-c 'abort' t.qcow2; true) >/dev/null 2>&1");
    /* The last byte of the incompatible features says that it is dirty. */
    tool("test $(($(od -An -tu1 -j79 -N1 t.qcow2) %% 2)) = 1");
    before = contents("t.qcow2", &length);
    blk = open_drive("t.qcow2", "cache=unsafe");
    g_assert_nonnull(blk);
    write_at(blk, 7 * MiB, 7, 70 * KiB);
    memset(before + 7 * MiB, 7, 70 * KiB);
    blk_cleanup_all();
    check_image("t.qcow2", true);
    after = contents("t.qcow2", &length);
    g_assert_true(!memcmp(before, after, length));
    scratch_remove();
}

/* References that make no sense are nothing to count by. */
static void test_dirty_unsound(void)
{
    g_autofree char *path = in_scratch("t.qcow2"), *msg = NULL;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o lazy_refcounts=on t.qcow2 8M; "
         "(ulimit -c 0; qemu-io -c 'write 0 1M' -c 'abort' t.qcow2; true) >/dev/null 2>&1");
    /* The first entry of the L1 table, in the fourth cluster, gets an odd address. */
    tool("printf '\\200\\0\\0\\0\\0\\4\\2\\0' | "
         "dd of=t.qcow2 bs=1 seek=196608 conv=notrunc 2>/dev/null");
    msg = try_drive(path, "");
    g_assert_nonnull(msg);
    g_assert_nonnull(strstr(msg, "was not closed properly: run qemu-img check -r all"));
    scratch_remove();
}

static void test_options(void)
{
    static const struct { const char *drive, *text; } sets_of_options[] = {
        { "l2-cache-entry-size=512", NULL },
        { "l2-cache-entry-size=4k,cache-size=1M", NULL },
        { "l2-cache-entry-size=128k", "L2 cache entry size must be" },
        { "cache-size=1M,l2-cache-size=2M", "l2-cache-size may not exceed cache-size" },
        { "cache-size=1M,refcount-cache-size=2M", "refcount-cache-size may not exceed" },
        { "overlap-check=all", NULL },
        { "overlap-check=some", "some" },
        { "lazy-refcounts=maybe", "lazy-refcounts" },
        { "cache-clean-interval=1", NULL },
        { "pass-discard-request=off,discard=unmap", NULL },
    };
    g_autofree char *path = in_scratch("t.qcow2");

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(sets_of_options); i++) {
        g_autofree char *msg = NULL;

        tool("qemu-img create -q -f qcow2 t.qcow2 64M");
        msg = try_drive(path, sets_of_options[i].drive);
        if (sets_of_options[i].text) {
            g_assert_nonnull(msg);
            g_assert_nonnull(strstr(msg, sets_of_options[i].text));
        } else {
            g_assert_cmpstr(msg, ==, NULL);
            write_at(blk_find_for_device("d"), 63 * MiB, 3, 64 * KiB);
        }
        blk_cleanup_all();
        check_image("t.qcow2", true);
    }
    scratch_remove();
}

/* What the guest gives up is the host's again, unless that is not wanted. */
static void test_pass_discard(void)
{
    static const struct { const char *drive; bool passed; } ways[] = {
        { "discard=unmap", true }, { "discard=unmap,pass-discard-request=off", false },
    };
    BlockBackend *blk;

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(ways); i++) {
        tool("qemu-img create -q -f qcow2 t.qcow2 64M");
        blk = open_drive("t.qcow2", ways[i].drive);
        write_at(blk, 0, 3, 8 * MiB);
        g_assert_cmpint(run_request(blk, BLOCK_OP_DISCARD, 0, 0, NULL, 8 * MiB), ==, 0);
        blk_cleanup_all();
        check_image("t.qcow2", true);
        g_assert_cmpint(tool_status("test $(du -k t.qcow2 | cut -f1) -lt 4096"), ==,
                        !ways[i].passed);
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *grown = g_strconcat("/qcow2/grow/", sets[i], NULL);
        g_autofree char *backing = g_strconcat("/qcow2/grow-backing/", sets[i], NULL);
        g_autofree char *dirty = g_strconcat("/qcow2/dirty/", sets[i], NULL);

        g_test_add_data_func(grown, sets[i], test_grow);
        g_test_add_data_func(backing, sets[i], test_backing);
        g_test_add_data_func(dirty, sets[i], test_dirty);
    }
    g_test_add_func("/qcow2/dirty-unsound", test_dirty_unsound);
    g_test_add_func("/qcow2/options", test_options);
    g_test_add_func("/qcow2/pass-discard", test_pass_discard);
    return g_test_run();
}
