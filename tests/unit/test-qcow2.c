/*
 * qcow2: images that Debian's qemu-img made, and what it says of ours.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <unistd.h>

#include "block/qcow2.h"
#include "qcow2-harness.h"
#include "qemu/cutils.h"

/* Every option of qemu-img create that changes what is in the file. */
static const char *const option_sets[] = {
    "cluster_size=64k",
    "compat=0.10",
    "compat=0.10,cluster_size=512",
    "cluster_size=512",
    "cluster_size=4k,refcount_bits=1",
    "cluster_size=2M",
    "refcount_bits=64,cluster_size=1k",
    "refcount_bits=8,lazy_refcounts=on",
    "refcount_bits=2,cluster_size=32k",
    "extended_l2=on,cluster_size=16k",
    "extended_l2=on,cluster_size=64k",
    "extended_l2=on,cluster_size=2M,compression_type=zstd",
    "compression_type=zstd",
    "preallocation=metadata",
    "preallocation=falloc,extended_l2=on",
    "data_file=t.data",
    "data_file=t.data,data_file_raw=on",
};

#define DISK (6u << 20)

/* A bit of everything, by qemu-io, on a disk of DISK bytes. */
static void fill(const char *name, const char *options)
{
    bool compress = !strstr(options, "data_file") && !strstr(options, "preallocation");
    bool v3 = !strstr(options, "0.10");

    tool("qemu-io -t unsafe -d unmap -c 'write -P 1 0 100k' -c 'write -P 2 1M 1M' "
         "-c 'write -P 3 2560k 512' -c 'write -P 4 2565k 3k' -c '%s' -c 'write -P 5 3073k 1k' "
         "-c '%s' -c '%s' -c 'write -P 8 6143k 1k' -c 'discard 1200k 100k' %s >io.log 2>&1 "
         "&& ! grep fail io.log",
         v3 ? "write -z 1536k 200k" : "write -P 0 1536k 200k",
         compress ? "write -c -P 6 4M 2M" : "write -P 6 4M 2M",
         v3 ? "write -z -u 5M 300k" : "write -P 0 5M 64k", name);
}

static void test_read(gconstpointer arg)
{
    const char *options = arg;
    g_autoptr(GRand) rng = g_rand_new_with_seed(7);
    g_autofree uint8_t *model = NULL;
    size_t length;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o %s t.qcow2 %u", options, DISK);
    fill("t.qcow2", options);
    model = contents("t.qcow2", &length);
    compare_reads(open_drive("t.qcow2", "readonly=on"), model, length, rng);
    blk_cleanup_all();
    compare_reads(open_drive("t.qcow2", "format=qcow2,readonly=on,cache=none,aio=threads"),
                  model, length, rng);
    blk_cleanup_all();
    compare_reads(open_drive("t.qcow2", "snapshot=on"), model, length, rng);
    blk_cleanup_all();
    scratch_remove();
}

/* Overlays of overlays, each with its own options; the lowest is shorter. */
static void test_backing(gconstpointer arg)
{
    const char *options = arg;
    g_autoptr(GRand) rng = g_rand_new_with_seed(8);
    g_autofree uint8_t *model = NULL;
    size_t length;

    if (!have_tools() || strstr(options, "preallocation") || strstr(options, "raw=on")) {
        return;
    }
    tool("qemu-img create -q -f qcow2 base.qcow2 3500k; qemu-io -t unsafe -c 'write -P 11 0 3500k' "
         "base.qcow2 >/dev/null; mkdir mid; "
         "qemu-img create -q -f qcow2 -b ../base.qcow2 -F qcow2 mid/m.qcow2 %u; "
         "qemu-io -t unsafe -c 'write -P 12 1M 70k' -c 'write -z 2M 64k' -c 'write -P 13 5M 64k' "
         "mid/m.qcow2 >/dev/null", DISK);
    tool("qemu-img create -q -f qcow2 -o %s -b mid/m.qcow2 -F qcow2 t.qcow2", options);
    tool("qemu-io -t unsafe -c 'write -P 14 0 512' -c 'write -P 15 1050k 1k' t.qcow2 >/dev/null");
    model = contents("t.qcow2", &length);
    compare_reads(open_drive("t.qcow2", "readonly=on"), model, length, rng);
    blk_cleanup_all();
    scratch_remove();
}

/* What an image names is opened: by a path beside it, by "json:", guessed. */
static void test_names(void)
{
    static const char *const names[] = {
        "-b base.img -F raw", "-b file:$PWD/base.img -F raw", "-b $PWD/base.img -F raw",
        ("-b 'json:{\"driver\":\"raw\",\"file\":{\"driver\":\"file\",\"filename\":"
         "\"'$PWD'/base.img\"}}' -F raw"),
    };
    uint8_t buf[512];

    if (!have_tools()) {
        return;
    }
    tool("head -c 8192 /dev/zero | tr '\\0' A >base.img");
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        BlockBackend *blk;

        tool("cd '%s'; qemu-img create -q -f qcow2 %s t.qcow2 8k >/dev/null", scratch(), names[i]);
        if (i == 0) {
            /* Not even the format is said. */
            tool("printf '\\1\\2\\3\\4' | "
                 "dd of=t.qcow2 bs=1 seek=112 conv=notrunc 2>/dev/null");
        }
        blk = open_drive("t.qcow2", "readonly=on");
        g_assert_nonnull(blk->root->backing);
        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 512, buf, 512), ==, 0);
        g_assert_cmpint(buf[100], ==, 'A');
        blk_cleanup_all();
    }
    scratch_remove();
}

/* -blockdev: named children, none, and one image below two. */
static void test_blockdev(void)
{
    static const char *const nodes[] = {
        "driver=file,node-name=f0,filename=base.img,read-only=on",
        "driver=raw,node-name=b0,file=f0,read-only=on",
        "driver=qcow2,node-name=q0,file.driver=file,file.filename=t.qcow2,backing=b0,read-only=on",
        "driver=qcow2,node-name=q1,file.driver=file,file.filename=t.qcow2,backing=b0,read-only=on",
        "{\"driver\":\"qcow2\",\"node-name\":\"q2\",\"read-only\":true,\"backing\":null,"
        "\"file\":{\"driver\":\"file\",\"filename\":\"t.qcow2\"}}",
        "driver=qcow2,node-name=q3,file.driver=file,file.filename=t.qcow2,read-only=on,"
        "backing.driver=null-co,backing.size=4096",
    };
    static const struct { const char *name; int byte; } disks[] = {
        { "q0", 'A' }, { "q1", 'A' }, { "q2", 0 }, { "q3", 0 },
    };
    uint8_t buf[512];

    if (!have_tools()) {
        return;
    }
    tool("head -c 8192 /dev/zero | tr '\\0' A >base.img; "
         "qemu-img create -q -f qcow2 -b nothing.img -F raw -u t.qcow2 8k");
    g_assert_cmpint(chdir(scratch()), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(nodes); i++) {
        g_autoptr(QemuOpts) opts = qemu_opts_parse(nodes[i], NULL, NULL);

        g_assert_nonnull(blockdev_add(opts, NULL));
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(disks); i++) {
        BlockBackend *blk = blk_find_for_device(disks[i].name);

        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, 512), ==, 0);
        g_assert_cmpint(buf[0], ==, disks[i].byte);
    }
    g_assert_false(blockdev_del("b0", NULL));
    g_assert_cmpint(chdir("/"), ==, 0);
    blk_cleanup_all();
    scratch_remove();
}

/* Headers that lie: a message each, and nothing is opened. */
static void test_bad_headers(void)
{
    static const struct {
        unsigned at;
        const char *bytes;
        unsigned len;
        const char *text;
    } bad[] = {
        { 0, "XXXX", 4, "Image is not in qcow2 format" },
        { 4, "\0\0\0\4", 4, "Unsupported qcow2 version 4" },
        { 8, "\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\5", 12, "Invalid backing file offset" },
        { 8, "\0\0\0\0\0\0\1\0\0\0\4\0", 12, "Backing file name too long" },
        { 20, "\0\0\0\10", 4, "Unsupported cluster size: 2^8" },
        { 20, "\0\0\0\26", 4, "Unsupported cluster size: 2^22" },
        { 24, "\x7f\xff\xff\xff\xff\xff\xff\xff", 8, "L1 table is too small" },
        { 32, "\0\0\0\2", 4, "Encrypted qcow2 images are not supported: convert the image with "
          "qemu-img convert and its secret" },
        { 36, "\x7f\xff\xff\xff", 4, "Active L1 table too large" },
        { 36, "\0\0\0\0", 4, "L1 table is too small" },
        { 40, "\0\0\0\0\0\0\2\0", 8, "Active L1 table offset invalid" },
        { 40, "\0\0\1\0\0\0\0\0", 8, "Active L1 table is outside of the image file" },
        { 40, "\x7f\xff\xff\xff\xff\xff\0\0", 8, "Active L1 table is outside of the image file" },
        { 48, "\0\0\0\0\0\0\2\0", 8, "Reference count table offset invalid" },
        { 56, "\0\1\0\0", 4, "Reference count table too large" },
        { 56, "\0\0\0\0", 4, "Image does not contain a reference count table" },
        { 60, "\0\0\0\1", 4, "Snapshot table is outside of the image file, or too large" },
        { 60, "\xff\0\0\1", 4, "Snapshot table is outside of the image file, or too large" },
        { 72, "\0\0\0\0\0\0\1\0", 8,
          "Unsupported qcow2 feature(s): Unknown incompatible feature: 100" },
        { 72, "\0\0\0\0\0\0\0\4", 8, "'data-file' is required for this image" },
        { 96, "\0\0\0\7", 4,
          "Reference count entry width too large; may not exceed 64 bits" },
        { 100, "\0\0\0\10", 4, "qcow2 header too short" },
        { 100, "\0\2\0\0", 4, "qcow2 header exceeds cluster size" },
        { 104, "\2", 1, "qcow2: unknown or inconsistent compression type 2" },
        { 112, "\1\2\3\4\xff\xff\xff\0", 8, "Header extension too large" },
    };
    g_autofree char *path = in_scratch("t.qcow2");

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *msg = NULL;
        g_autofree char *data = NULL;
        size_t len;

        tool("qemu-img create -q -f qcow2 t.qcow2 64M");
        g_assert_true(g_file_get_contents(path, &data, &len, NULL));
        memcpy(data + bad[i].at, bad[i].bytes, bad[i].len);
        g_assert_true(g_file_set_contents(path, data, len, NULL));
        msg = try_drive(path, "format=qcow2,readonly=on");
        g_assert_cmpstr(msg, ==, bad[i].text);
    }
    scratch_remove();
}

/* Backing files that go round, are not there, or are of another format. */
static void test_bad_chains(void)
{
    static const struct { const char *make, *text; } bad[] = {
        { "qemu-img rebase -u -b t.qcow2 -F qcow2 t.qcow2", "is in its own backing chain" },
        { "qemu-img create -q -f qcow2 -b t.qcow2 -F qcow2 -u u.qcow2 1M; "
          "qemu-img rebase -u -b u.qcow2 -F qcow2 t.qcow2", "is in its own backing chain" },
        { "qemu-img rebase -u -b 'json:{\"driver\":\"qcow2\",\"file\":{\"driver\":\"file\","
          "\"filename\":\"'$PWD'/t.qcow2\"}}' -F qcow2 t.qcow2", "is in its own backing chain" },
        { "qemu-img rebase -u -b none.img -F raw t.qcow2", "none.img': No such file" },
        { "qemu-img rebase -u -b nbd://host/x -F raw t.qcow2", "'nbd'" },
        { "qemu-img create -q -f vmdk b.vmdk 1M; qemu-img rebase -u -b b.vmdk -F vmdk t.qcow2",
          "Block format 'vmdk' is not supported" },
        { "qemu-img rebase -u -b 'json:{\"driver\":' -F raw t.qcow2", "JSON parse error" },
        /* The name of each is in the one before. */
        { "qemu-img create -q -f qcow2 -u -b 999.q -F qcow2 t.qcow2 1M; "
          "for i in $(seq 100 310); do sed s/999.q/$((i + 1)).q/ t.qcow2 >$i.q; done; "
          "sed -i s/999.q/100.q/ t.qcow2; qemu-img create -q -f qcow2 311.q 1M", "is too long" },
    };
    g_autofree char *path = in_scratch("t.qcow2");

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *msg = NULL;

        tool("qemu-img create -q -f qcow2 t.qcow2 1M");
        tool("%s", bad[i].make);
        msg = try_drive(path, "readonly=on");
        g_assert_nonnull(msg);
        g_assert_true(g_str_has_prefix(msg, "Could not open backing file: ") ||
                      strstr(msg, "chain"));
        g_assert_nonnull(strstr(msg, bad[i].text));
    }
    scratch_remove();
}

/* Tables in memory take what the options say, 4.5 MiB by default, however large the disk is. */
static void test_memory(void)
{
    static const struct { const char *options; unsigned l2, refcounts; } sets[] = {
        { "", 4096, 512 }, { "l2-cache-size=1M,refcount-cache-size=64k", 1024, 64 },
        { "cache-size=2M", 1792, 256 }, { "l2-cache-size=1M,l2-cache-entry-size=64k", 1024, 512 },
    };
    uint8_t buf[512];

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o preallocation=metadata t.qcow2 64G");
    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        g_autofree char *options = g_strconcat("cache=unsafe,", sets[i].options, NULL);
        BlockBackend *blk = open_drive("t.qcow2", options);
        const Qcow2Node *s = (const Qcow2Node *)blk->root;

        /* A piece of a table is asked for each time. */
        for (uint64_t pos = 0; pos < blk_getlength(blk); pos += 32 * MiB) {
            g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, pos, buf, sizeof(buf)), ==, 0);
        }
        g_assert_cmpuint(g_hash_table_size(s->l2_cache.slices) * (uint64_t)s->slice, ==,
                         sets[i].l2 * KiB);
        g_assert_cmpuint(s->ref_cache.max * (uint64_t)s->slice, ==,
                         MAX(sets[i].refcounts * KiB, 16 * s->slice));
        blk_cleanup_all();
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(option_sets); i++) {
        g_autofree char *read = g_strconcat("/qcow2/read/", option_sets[i], NULL);
        g_autofree char *backing = g_strconcat("/qcow2/backing/", option_sets[i], NULL);

        g_test_add_data_func(read, option_sets[i], test_read);
        g_test_add_data_func(backing, option_sets[i], test_backing);
    }
    g_test_add_func("/qcow2/names", test_names);
    g_test_add_func("/qcow2/blockdev", test_blockdev);
    g_test_add_func("/qcow2/bad-headers", test_bad_headers);
    g_test_add_func("/qcow2/bad-chains", test_bad_chains);
    g_test_add_func("/qcow2/memory", test_memory);
    return g_test_run();
}
