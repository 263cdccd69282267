/*
 * A disk does the same whatever its image is, a raw file, a qcow2 image or an export of an NBD
 * server: what is zero, what is given up, and what an odd end has, by every set of options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "qcow2-harness.h"

#define MOST (4u << 20)
#define ODD (MOST - 200)
#define PIECE (256u << 10)      /* more than a cluster of any image */
#define FILE_OF(_size) "head -c " #_size " /dev/zero | tr '\\0' Z >t"
/* It ends with its client, whatever becomes of the test. */
#define SERVER "; qemu-nbd --fork -f raw --discard=unmap -k `pwd`/s t"

/* Each is full of 'Z' at first. */
static const struct { const char *name, *make, *drive; uint32_t size; bool remote; } images[] = {
    { "raw", FILE_OF(4194304), "format=raw", MOST, false },
    { "raw, odd", FILE_OF(4194104), "format=raw", ODD, false },
    { "raw, direct", FILE_OF(4194304), "format=raw,cache=none", MOST, false },
    { "raw, threads", FILE_OF(4194304), "format=raw,aio=threads", MOST, false },
    { "qcow2", "qemu-img create -qf qcow2 t 4M; qemu-io -c 'write -P 0x5a 0 4M' t >/dev/null",
      "format=qcow2", MOST, false },
    { "qcow2, small", "qemu-img create -qf qcow2 -o cluster_size=4k t 4M; "
      "qemu-io -c 'write -P 0x5a 0 4M' t >/dev/null", "format=qcow2", MOST, false },
    { "qcow2, subclusters", "qemu-img create -qf qcow2 -o extended_l2=on t 4M; "
      "qemu-io -c 'write -P 0x5a 0 4M' t >/dev/null", "format=qcow2", MOST, false },
    { "nbd", FILE_OF(4194304) SERVER, "format=raw", MOST, true },
    { "nbd, odd", FILE_OF(4194104) SERVER, "format=raw", ODD, true },
};

/* What is given up: of zeroes that were written, of zeroes as a command, of a discard. */
static const struct { const char *options; bool data, zeroes, discard; } sets[] = {
    { "discard=ignore", false, false, false },
    { "discard=unmap", false, true, true },
    { "discard=ignore,detect-zeroes=on", false, false, false },
    { "discard=unmap,detect-zeroes=on", false, true, true },
    { "discard=unmap,detect-zeroes=unmap", true, true, true },
};

typedef struct Disk {
    BlockBackend *blk;
    uint8_t model[MOST], now[MOST];
} Disk;

static void put(Disk *d, uint8_t fill, uint32_t at, uint32_t bytes, unsigned flags)
{
    memset(d->now, fill, bytes);
    memset(d->model + at, fill, bytes);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_WRITE, flags, at, d->now, bytes), ==, 0);
}

static void clear(Disk *d, uint32_t at, uint32_t bytes, unsigned flags)
{
    memset(d->model + at, 0, bytes);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_WRITE_ZEROES, flags, at, NULL, bytes), ==, 0);
}

static void check_all(Disk *d)
{
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_READ, 0, 0, d->now, MOST), ==, 0);
    g_assert_cmpmem(d->now, MOST, d->model, MOST);
}

/* A hint: what is there then is zeroes, or what was there. */
static void discard(Disk *d, uint32_t at, uint32_t bytes, bool does)
{
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_DISCARD, 0, at, NULL, bytes), ==, 0);
    if (does) {
        memset(d->model + at, 0, bytes);
    }
}

/* The last sector is there, though the image may end within it. */
static void use_end(Disk *d, uint32_t size)
{
    uint8_t last[512] = { 0 };

    memset(last, 0x33, size - (MOST - 512));
    memcpy(d->model + MOST - 512, last, 512);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_WRITE, 0, MOST - 512, last, 512), ==, 0);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_WRITE, 0, MOST, last, 512), <, 0);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_READ, 0, MOST, last, 512), <, 0);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_DISCARD, 0, MOST - 512, NULL, 1024), <, 0);
}

static int64_t room(void)
{
    g_autofree char *path = in_scratch("t");
    struct stat st;

    g_assert_cmpint(stat(path, &st), ==, 0);
    return st.st_blocks * 512ll;
}

static void open_image(Disk *d, unsigned i, const char *options)
{
    g_autofree char *all = g_strdup_printf("%s,%s", images[i].drive, options);
    g_autofree char *file = images[i].remote ? g_strdup_printf("nbd:unix:%s/s", scratch()) :
        in_scratch("t");
    g_autofree char *error = NULL;

    tool("rm -f t; %s", images[i].make);
    error = try_drive(file, all);
    g_assert_cmpstr(error, ==, NULL);
    d->blk = blk_find_for_device("d");
    memset(d->model, 'Z', images[i].size);
    memset(d->model + images[i].size, 0, MOST - images[i].size);
}

static void test_set(Disk *d, unsigned i, unsigned k)
{
    int64_t before, freed, want = (int64_t)PIECE * (sets[k].data + sets[k].zeroes +
                                                    sets[k].discard);

    open_image(d, i, sets[k].options);
    g_assert_cmpuint(blk_getlength(d->blk), ==, MOST);
    before = room();
    check_all(d);
    put(d, 0, 1u << 20, PIECE, 0);
    clear(d, 3u << 19, PIECE, 0);
    clear(d, 2u << 20, PIECE, BLOCK_REQ_MAY_UNMAP);
    discard(d, 3u << 20, PIECE, sets[k].discard);
    check_all(d);
    /* Parts of clusters and of the host's blocks. */
    put(d, 0x77, 1536, 512, 0);
    put(d, 0x78, 8192 - 512, 4096 + 1024, BLOCK_REQ_FUA);
    clear(d, 3584, 1536, BLOCK_REQ_MAY_UNMAP);
    put(d, 0, 20 * 1024 - 512, 1536, BLOCK_REQ_FUA);
    use_end(d, images[i].size);
    check_all(d);
    g_assert_cmpint(run_request(d->blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    blk_cleanup_all();
    if (images[i].remote) {
        tool("while [ -e s ]; do sleep 0.01; done");
    }
    freed = before - room();
    g_test_message("%s: %s: %" PRIi64 " of %" PRIi64, images[i].name, sets[k].options, freed, want);
    g_assert_cmpint(ABS(freed - want), <=, PIECE / 2);
}

static void test_alike(gconstpointer arg)
{
    unsigned i = GPOINTER_TO_UINT(arg);
    g_autofree Disk *d = NULL;

    if (!have_tools() || (images[i].remote && tool_status("command -v qemu-nbd >/dev/null"))) {
        g_test_skip("Debian's tools are not here");
        return;
    }
    d = g_new0(Disk, 1);
    for (unsigned k = 0; k < G_N_ELEMENTS(sets); k++) {
        test_set(d, i, k);
    }
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *name = g_strconcat("/block-alike/", images[i].name, NULL);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_alike);
    }
    return g_test_run();
}
