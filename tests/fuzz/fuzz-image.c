/*
 * Fuzz target: qcow2 images. Whatever is in one, it is refused in one line, or its requests end;
 * what was written is read again, before it is closed and after.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/blockdev.h"
#include "block/job-internal.h"
#include "block/qcow2-format.h"
#include "fuzz.h"
#include "qemu/main-loop.h"

#define PIECE 512u
#define MAX_READ (64u << 10)
#define MAX_DISK (4ull << 30)

/* Files that an image names are not for this test to open. */
static void put_image(int fd, const uint8_t *data, size_t size)
{
    uint8_t be[8];

    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size) {
        abort();
    }
    if (size >= QCOW2_AT_INCOMPATIBLE + sizeof(be)) {
        qcow2_put64(be, qcow2_get64(data + QCOW2_AT_INCOMPATIBLE) & ~QCOW2_DATA_FILE);
        if (pwrite(fd, be, sizeof(be), QCOW2_AT_INCOMPATIBLE) != sizeof(be)) {
            abort();
        }
    }
}

static BlockNode *open_image(int fd, const char *more)
{
    g_autofree char *text = g_strdup_printf("driver=qcow2,node-name=n,backing=,file.driver=file,"
                                            "file.filename=/proc/self/fd/%d,file.aio=threads,%s",
                                            fd, more);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    Error *err = NULL;
    BlockNode *bs = blockdev_add(opts, &err);

    if (!bs == !err) {
        abort();
    }
    g_clear_pointer(&err, error_free);
    return bs;
}

static void read_some(BlockNode *bs)
{
    uint8_t buf[PIECE];
    uint64_t pos = 0, step = MAX(PIECE, bs->length / (MAX_READ / PIECE) / PIECE * PIECE);

    for (; pos + PIECE <= bs->length; pos += step) {
        block_pread(bs, pos, buf, PIECE);
    }
}

/* A third of what was written stays, a third becomes zeroes, a third is given back. */
static void write_some(BlockNode *bs, uint8_t seed)
{
    static const BlockOp ops[] = { BLOCK_OP_FLUSH, BLOCK_OP_WRITE_ZEROES, BLOCK_OP_DISCARD };
    uint64_t end = MIN(bs->length, MAX_DISK) / PIECE;

    for (unsigned i = 0; end && i < 12; i++) {
        uint64_t pos = (uint64_t)(seed * 31 + i * 7919) % end * PIECE;
        BlockRequest req = { .node_op = ops[i % 3], .pos = pos, .bytes = PIECE,
                             .node_flags = BLOCK_REQ_MAY_UNMAP };
        uint8_t buf[PIECE], back[PIECE];
        struct iovec iov = { buf, PIECE };
        BlockRequest write = { .node_op = BLOCK_OP_WRITE, .pos = pos, .bytes = PIECE,
                               .iov = &iov, .niov = 1 };

        memset(buf, seed + i + 1, sizeof(buf));
        if (block_run(bs, &write) == 0 &&
            (block_pread(bs, pos, back, sizeof(back)) < 0 || memcmp(buf, back, sizeof(buf)))) {
            abort();
        }
        if (i % 3 == 0) {
            req.pos = req.bytes = 0;
        }
        block_run(bs, &req);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    BlockNode *bs;

    if (fd < 0) {
        fd = memfd_create("image", MFD_CLOEXEC);
        qemu_init_main_loop();
    }
    put_image(fd, data, size);
    bs = open_image(fd, "discard=unmap");
    if (bs) {
        read_some(bs);
        write_some(bs, size ? data[size - 1] : 0);
        block_node_close(bs);
    }
    bs = open_image(fd, "read-only=on");
    if (bs) {
        read_some(bs);
        block_node_close(bs);
    }
    while (g_main_context_iteration(NULL, FALSE)) {
    }
    return 0;
}
