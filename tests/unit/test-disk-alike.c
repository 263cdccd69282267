/*
 * A disk of 4 KiB sectors in a guest, with and without an iothread, does the same whatever its
 * image is: what is written, what is refused, and what stops the machine until it works again.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "block/file-posix.h"
#include "hw/virtio/virtio-mmio.h"
#include "qcow2-harness.h"
#include "qemu/cutils.h"
#include "virtio-harness.h"

#define SIZE   (4u << 20)
#define BLOCK  4096u
#define HDR    0x10000
#define STATUS 0x18000
#define DATA   0x20000
#define MOST   (256u << 10)     /* of a request */
#define SERVER "rm -f s; qemu-nbd --fork -t -f raw --discard=unmap --pid-file=p -k `pwd`/s t"

/* As VT_WAIT(), as patient as a host's disk that others use may ask for. */
#define WAIT_FOR(t, cond) do { \
        gint64 end = g_get_monotonic_time() + 120 * G_USEC_PER_SEC; \
        while (!(cond)) { \
            g_assert_cmpint(g_get_monotonic_time(), <, end); \
            vt_poll(t); \
        } \
    } while (0)

extern const ObjectClass *const class_virtio_blk;

static const struct { const char *name, *make, *drive; bool remote; } images[] = {
    { "raw", "truncate -s 4M t", "format=raw", false },
    { "raw, direct", "truncate -s 4M t", "format=raw,cache=none", false },
    { "qcow2", "qemu-img create -qf qcow2 t 4M", "format=qcow2", false },
    { "qcow2, direct", "qemu-img create -qf qcow2 -o cluster_size=4k t 4M",
      "format=qcow2,cache=none", false },
    { "nbd", "truncate -s 4M t; " SERVER, "format=raw", true },
};

typedef struct Disk {
    VT *t;
    VTRing *r;
    GRand *rng;
    bool remote;
    uint8_t model[SIZE];
} Disk;

static void submit(Disk *d, uint32_t type, uint64_t sector, uint32_t len)
{
    struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
    VTBuf bufs[] = {
        { HDR, sizeof(hdr), false }, { DATA, len, type == VIRTIO_BLK_T_IN }, { STATUS, 1, true },
    };

    memcpy(d->t->ram + HDR, &hdr, sizeof(hdr));
    d->t->ram[STATUS] = 0xee;
    bufs[1] = len ? bufs[1] : bufs[2];
    vt_add(d->r, bufs, len ? 3 : 2);
    vt_kick(d->t, d->r);
}

static int request(Disk *d, uint32_t type, uint64_t sector, uint32_t len)
{
    submit(d, type, sector, len);
    WAIT_FOR(d->t, vt_used(d->r));
    return d->t->ram[STATUS];
}

/* Discard or write-zeroes. */
static int range(Disk *d, uint32_t type, uint64_t sector, uint32_t sectors, uint32_t flags)
{
    struct virtio_blk_discard_write_zeroes seg = {
        .sector = sector, .num_sectors = sectors, .flags = flags,
    };

    memcpy(d->t->ram + DATA, &seg, sizeof(seg));
    return request(d, type, 0, sizeof(seg));
}

static void open_disk(Disk *d, unsigned i, const char *options)
{
    g_autofree char *file = images[i].remote ? g_strdup_printf("nbd:unix:%s/s", scratch()) :
        in_scratch("t");
    g_autofree char *drive = g_strconcat(images[i].drive, ",discard=unmap", NULL);
    g_autofree char *dev = g_strconcat("drive=d,logical_block_size=4096,physical_block_size=4096,"
                                       "rerror=stop,werror=stop,", options, NULL);
    g_autofree char *error = NULL;

    tool("rm -f t; %s", images[i].make);
    error = try_drive(file, drive);
    g_assert_cmpstr(error, ==, NULL);
    d->remote = images[i].remote;
    d->t = vt_new(false);
    if (*options) {
        g_autoptr(QemuOpts) o = qemu_opts_parse("iothread,id=io0", "qom-type", NULL);

        g_assert_nonnull(machine_add_object(d->t->ms, o, NULL));
    }
    vt_plug(d->t, (const DeviceClass *)class_virtio_blk, dev);
    d->r = vt_start(d->t, UINT64_MAX, 64);
}

/* What a guest does; sectors are 512 bytes in all that it says. */
static void use(Disk *d)
{
    uint32_t len = g_rand_int_range(d->rng, 1, MOST / BLOCK + 1) * BLOCK;
    uint32_t pos = g_rand_int_range(d->rng, 0, (SIZE - len) / BLOCK + 1) * BLOCK;
    unsigned what = g_rand_int_range(d->rng, 0, 8);

    if (what < 3) {
        for (uint32_t k = 0; k < len; k += 4) {
            uint32_t word = g_rand_int(d->rng);

            memcpy(d->t->ram + DATA + k, &word, 4);
        }
        memcpy(d->model + pos, d->t->ram + DATA, len);
        g_assert_cmpint(request(d, VIRTIO_BLK_T_OUT, pos / 512, len), ==, 0);
    } else if (what < 5) {
        memset(d->model + pos, 0, len);
        g_assert_cmpint(range(d, VIRTIO_BLK_T_WRITE_ZEROES, pos / 512, len / 512, what == 3),
                        ==, 0);
    } else if (what == 5) {
        g_assert_cmpint(range(d, VIRTIO_BLK_T_DISCARD, pos / 512, len / 512, 0), ==, 0);
        g_assert_cmpint(request(d, VIRTIO_BLK_T_IN, pos / 512, len), ==, 0);
        memcpy(d->model + pos, d->t->ram + DATA, len);
    } else {
        g_assert_cmpint(request(d, VIRTIO_BLK_T_IN, pos / 512, len), ==, 0);
        g_assert_cmpmem(d->t->ram + DATA, len, d->model + pos, len);
    }
}

/* Parts of sectors are for nobody. */
static void check_refused(Disk *d)
{
    static const uint32_t places[][2] = { { 1, BLOCK }, { 7, BLOCK }, { 0, 512 }, { 8, 3584 } };

    for (unsigned i = 0; i < G_N_ELEMENTS(places); i++) {
        uint32_t sector = places[i][0], len = places[i][1];

        g_assert_cmpint(request(d, VIRTIO_BLK_T_IN, sector, len), ==, VIRTIO_BLK_S_IOERR);
        g_assert_cmpint(request(d, VIRTIO_BLK_T_OUT, sector, len), ==, VIRTIO_BLK_S_IOERR);
        g_assert_cmpint(range(d, VIRTIO_BLK_T_WRITE_ZEROES, sector, len / 512, 0), !=, 0);
        g_assert_cmpint(range(d, VIRTIO_BLK_T_DISCARD, sector, len / 512, 0), !=, 0);
    }
    g_assert_cmpint(request(d, VIRTIO_BLK_T_OUT, SIZE / 512, BLOCK), ==, VIRTIO_BLK_S_IOERR);
}

/* The host's file takes no more of what type is, or the server is gone; or all is well again. */
static void set_broken(Disk *d, uint32_t type, bool broken)
{
    BlockNode *bs = blk_find("d")->root;
    int flags = !broken ? O_RDWR : type == VIRTIO_BLK_T_IN ? O_WRONLY : O_RDONLY;
    FileNode *file = (FileNode *)bs->file;

    if (d->remote) {
        tool(broken ? "kill -9 `cat p`" : SERVER);
    } else {
        int fd = open(file->name, flags | (bs->direct ? O_DIRECT : 0));

        g_assert_cmpint(dup2(fd, file->fd), ==, file->fd);
        close(fd);
    }
}

/* The machine stands until the host is well; the guest knows nothing of it. */
static void check_stop(Disk *d, uint32_t type)
{
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 0), ==, 0);
    memset(d->t->ram + DATA, 0x66, BLOCK);
    set_broken(d, type, true);
    submit(d, type, 64, BLOCK);
    WAIT_FOR(d->t, !runstate_is_running(d->t->ms));
    g_assert_cmpint(d->t->ms->rsm.state, ==, RUN_STATE_IO_ERROR);
    g_assert_null(vt_used(d->r));
    set_broken(d, type, false);
    do {
        /* A connection may come later than "cont". */
        vm_start(d->t->ms);
        WAIT_FOR(d->t, !runstate_is_running(d->t->ms) || d->t->ram[STATUS] == 0);
    } while (!vt_used(d->r));
    if (type == VIRTIO_BLK_T_OUT) {
        memset(d->model + 64 * 512, 0x66, BLOCK);
    } else {
        g_assert_cmpmem(d->t->ram + DATA, BLOCK, d->model + 64 * 512, BLOCK);
    }
}

static void check_disk(unsigned i, const char *options)
{
    g_autofree Disk *d = g_new0(Disk, 1);
    g_autofree uint8_t *now = NULL;
    size_t length;

    d->rng = g_rand_new_with_seed(4096);
    open_disk(d, i, options);
    g_assert_cmpuint(vt_rd(d->t, VT_CONFIG + offsetof(struct virtio_blk_config, blk_size)), ==,
                     BLOCK);
    for (unsigned k = 0; k < 150; k++) {
        use(d);
    }
    check_refused(d);
    check_stop(d, VIRTIO_BLK_T_OUT);
    check_stop(d, VIRTIO_BLK_T_IN);
    for (unsigned k = 0; k < 50; k++) {
        use(d);
    }
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 0), ==, 0);
    g_rand_free(d->rng);
    vt_free(d->t);
    blk_cleanup_all();
    if (d->remote) {
        tool("kill `cat p`; while [ -e s ]; do sleep 0.01; done");
    }
    now = contents("t", &length);
    g_assert_cmpmem(now, length, d->model, SIZE);
}

static void test_disk(gconstpointer arg)
{
    unsigned i = GPOINTER_TO_UINT(arg);

    if (!have_tools() || (images[i].remote && tool_status("command -v qemu-nbd >/dev/null"))) {
        g_test_skip("Debian's tools are not here");
        return;
    }
    check_disk(i, "");
    check_disk(i, "iothread=io0");
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(images); i++) {
        g_autofree char *name = g_strconcat("/disk-alike/", images[i].name, NULL);

        g_test_add_data_func(name, GUINT_TO_POINTER(i), test_disk);
    }
    return g_test_run();
}
