/*
 * qcow2 images with dirty bitmaps that were not closed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "block/bitmap.h"
#include "qcow2-harness.h"
#include "qemu/cutils.h"

/* A bitmap's clusters are counted, too: it is kept; unless they are another's. */
static void test_dirty_bitmap(void)
{
    static const struct { const char *make; bool kept, sound; } cases[] = {
        { "printf '\\1' | dd of=t.qcow2 bs=1 seek=79 conv=notrunc 2>/dev/null", true, true },
        { "(ulimit -c 0; exec 2>/dev/null; qemu-io -c 'write -z 3M 64k' -c abort t.qcow2; true) "
          ">/dev/null 2>&1", true, false },
        /* The bitmap's table is where the disk's first cluster is. */
        { "printf '\\1' | dd of=t.qcow2 bs=1 seek=79 conv=notrunc 2>/dev/null; python3 -c '"
          "import re, struct; f = open(\"t.qcow2\", \"r+b\"); d = f.read(); "
          "e = d.find(struct.pack(\">II\", 0x23852875, 24)); "
          "dir, = struct.unpack_from(\">Q\", d, e + 24); l1, = struct.unpack_from(\">Q\", d, 40); "
          "l2 = struct.unpack_from(\">Q\", d, l1)[0] & ~(1 << 63); "
          "data = struct.unpack_from(\">Q\", d, l2)[0] & ~(1 << 63); "
          "f.seek(dir); f.write(struct.pack(\">Q\", data))'", false, false },
    };
    size_t length;

    if (!have_tools()) {
        return;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *before = NULL, *after = NULL;
        BlockBitmap *b;
        BlockBackend *blk;

        tool("rm -f t.qcow2; qemu-img create -q -f qcow2 -o lazy_refcounts=on t.qcow2 8M; "
             "qemu-img bitmap --add t.qcow2 b; "
             "qemu-io -c 'write -P 5 0 1M' -c 'write -P 6 5M 64k' t.qcow2 >/dev/null");
        before = contents("t.qcow2", &length);
        tool("%s", cases[i].make);
        blk = open_drive("t.qcow2", "cache=unsafe");
        b = block_bitmap_find(blk->root, "b", NULL);
        g_assert_cmpint(b != NULL, ==, cases[i].kept);
        g_assert_cmpint(b && !b->inconsistent, ==, cases[i].sound);
        memset(before + 7 * MiB, 7, 70 * KiB);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 7 * MiB, before + 7 * MiB, 70 * KiB),
                        ==, 0);
        if (cases[i].sound) {
            g_assert_cmpuint(block_dirty_count(b->bits), ==, 19 * 64 * KiB);
        }
        blk_cleanup_all();
        check_image("t.qcow2", true);
        after = contents("t.qcow2", &length);
        g_assert_cmpmem(before, length, after, length);
        blk = open_drive("t.qcow2", "readonly=on");
        b = block_bitmap_find(blk->root, "b", NULL);
        g_assert_cmpint(b && !b->inconsistent, ==, cases[i].sound);
        if (cases[i].sound) {
            g_assert_cmpuint(block_dirty_count(b->bits), ==, 19 * 64 * KiB);
        }
        blk_cleanup_all();
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qcow2/dirty-bitmap", test_dirty_bitmap);
    return g_test_run();
}
