/*
 * What images know to be zeroes is true, and jobs do not read it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <sys/stat.h>

#include "block/blockdev.h"
#include "block/job-internal.h"
#include "qcow2-harness.h"

#define DISK (4u << 20)

/* least: bytes that have to be known as zeroes (of a file: where the file system has holes). */
static const struct { const char *make, *drive; uint32_t least; } images[] = {
    { "truncate -s 4M t; printf x | dd of=t bs=1 seek=1M conv=notrunc status=none",
      "format=raw", 3u << 20 },
    { "truncate -s 4M t; printf x | dd of=t bs=1 seek=1M conv=notrunc status=none",
      "format=raw,throttling.iops-total=100000000", 3u << 20 },
    { "truncate -s 4194204 t; printf x | dd of=t bs=1 seek=4194203 conv=notrunc status=none",
      "format=raw,cache=none", 3u << 20 },
    { "qemu-img create -qf qcow2 t 4M; "
      "qemu-io -c 'write -P 3 1M 70k' -c 'write -z 2M 1M' t >/dev/null",
      "format=qcow2", 3u << 20 },
    { "qemu-img create -qf qcow2 -o cluster_size=512 t 4M; "
      "qemu-io -c 'write -P 3 1M 3k' -c 'write -P 4 1030k 512' t >/dev/null",
      "format=qcow2", 4000u << 10 },
    { "qemu-img create -qf qcow2 b 2000k; qemu-io -c 'write -P 3 64k 128k' b >/dev/null; "
      "qemu-img create -qf qcow2 -b b -F qcow2 t 4M; "
      "qemu-io -c 'write -z 64k 64k' -c 'write -P 7 3M 64k' t >/dev/null",
      "format=qcow2", 3900u << 10 },
    { "truncate -s 3M b; printf x | dd of=b bs=1 seek=1M conv=notrunc status=none; "
      "qemu-img create -qf qcow2 -b b -F raw t 4M; qemu-io -c 'write -P 7 3M 64k' t >/dev/null",
      "format=qcow2", 3u << 20 },
    { "qemu-img create -qf qcow2 t 4M; "
      "qemu-io -c 'write -c -P 3 1M 1M' -c 'discard 1M 64k' t >/dev/null",
      "format=qcow2", 2u << 20 },
};

static const BlockDriver *real;
static BlockDriver counted;
static uint64_t bytes_read;

static int counted_run(BlockNode *bs, BlockRequest *req)
{
    bytes_read += req->node_op == BLOCK_OP_READ ? req->bytes : 0;
    return real->run(bs, req);
}

static BlockNode *open_counted(unsigned i)
{
    BlockNode *bs;

    tool("rm -f t b; %s", images[i].make);
    bs = open_drive("t", images[i].drive)->root;
    real = block_driver(bs);
    counted = *real;
    counted.run = counted_run;
    bs->obj.oc = &counted.oc;
    bytes_read = 0;
    return bs;
}

/* Pieces of a few sizes, wherever they begin: what is said of them is true. */
static void check_knowledge(BlockNode *bs, const uint8_t *now, uint32_t step)
{
    g_autofree uint8_t *zeroes = g_malloc0(DISK);
    uint64_t n;

    for (uint64_t pos = 0; pos < DISK; pos += n) {
        uint64_t bytes = MIN(step, DISK - pos);
        bool zero = block_reads_zero(bs, pos, bytes, &n);

        g_assert_cmpuint(n, >, 0);
        g_assert_cmpuint(n, <=, bytes);
        g_assert_true(n % 4096 == 0 || n == bytes);
        if (zero) {
            g_assert_cmpmem(now + pos, n, zeroes, n);
        }
    }
}

static BlockNode *open_target(const char *discard)
{
    g_autofree char *path = in_scratch("to");
    g_autoptr(QemuOpts) opts = qemu_opts_parse("driver=raw,node-name=to,file.driver=file", NULL,
                                               NULL);
    BlockNode *bs;

    qemu_opt_set(opts, "discard", discard);
    qemu_opt_set(opts, "file.filename", path);
    bs = blockdev_add(opts, NULL);
    g_assert_nonnull(bs);
    return bs;
}

static void test_copy(gconstpointer arg)
{
    unsigned i = GPOINTER_TO_UINT(arg);
    g_autofree uint8_t *now = g_malloc(DISK), *buf = g_malloc(JOB_CHUNK);
    static const uint32_t steps[] = { 512, 4096, 7 * 512, 65536, JOB_CHUNK, DISK };
    BlockCopy c = { .buf = buf };
    bool reading;

    if (!have_tools()) {
        return;
    }
    c.from = open_counted(i);
    g_assert_cmpuint(c.from->length, ==, DISK);
    g_assert_cmpint(block_pread(c.from, 0, now, DISK), ==, 0);
    for (unsigned k = 0; k < G_N_ELEMENTS(steps); k++) {
        check_knowledge(c.from, now, steps[k]);
    }
    /* A target that was full of something else. */
    tool("dd if=/dev/zero bs=1M count=4 2>/dev/null | tr '\\0' x >to");
    c.to = open_target("unmap");
    bytes_read = 0;
    for (uint64_t pos = 0; pos < DISK; pos += JOB_CHUNK) {
        g_assert_cmpint(block_copy(&c, pos, JOB_CHUNK, &reading), ==, 0);
        g_assert_false(reading);
    }
    g_assert_cmpuint(bytes_read, <=, DISK - images[i].least);
    blk_cleanup_all();
    tool("qemu-img compare -q t to");
    scratch_remove();
}

/* A file that was full of data keeps its room, and one that is sparse stays so, or as asked for. */
static void test_room(void)
{
    static const struct { const char *make, *discard; bool skip, keep_room, full; } targets[] = {
        { "tr '\\0' x", "ignore", false, false, true },
        { "tr '\\0' x", "ignore", true, false, true },
        { "tr '\\0' x", "unmap", true, false, false },
        { "tr '\\0' x", "unmap", true, true, true },
        { "cat", "ignore", true, false, true },
        { "cat >/dev/null; truncate -s 4M to #", "ignore", true, false, false },
    };
    g_autofree uint8_t *buf = g_malloc(JOB_CHUNK);

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(targets); i++) {
        BlockCopy c = { .buf = buf, .skip = targets[i].skip, .keep_room = targets[i].keep_room };
        g_autofree char *path = in_scratch("to");
        struct stat st;
        bool reading;

        c.from = open_counted(3);
        tool("rm -f to; dd if=/dev/zero bs=1M count=4 2>/dev/null | %s >>to", targets[i].make);
        c.to = open_target(targets[i].discard);
        g_assert_true(block_copy_may_skip(c.to));
        for (uint64_t pos = 0; pos < DISK; pos += JOB_CHUNK) {
            g_assert_cmpint(block_copy(&c, pos, JOB_CHUNK, &reading), ==, 0);
        }
        blk_cleanup_all();
        tool("qemu-img compare -q t to");
        g_assert_cmpint(stat(path, &st), ==, 0);
        g_test_message("%u: %u KiB", i, (unsigned)(st.st_blocks / 2));
        g_assert_cmpint(st.st_blocks * 512 >= DISK, ==, targets[i].full);
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *name = g_strdup_printf("/block-copy/%u", i);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_copy);
    }
    g_test_add_func("/block-copy/room", test_room);
    return g_test_run();
}
