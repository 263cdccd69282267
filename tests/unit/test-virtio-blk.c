/*
 * virtio-blk requests, good and bad, on real files and on a backend that fails
 * when told to.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "fault-node.h"
#include "hw/core/event.h"
#include "hw/virtio/virtio-mmio.h"
#include "qemu/cutils.h"
#include "virtio-harness.h"

#define IMAGE_SIZE FAULT_SIZE
#define HDR    0x10000
#define DATA   0x20000
#define STATUS 0x18000
#define F(bit) (1ull << (bit))
#define ALL_FEATURES UINT64_MAX

extern const ObjectClass *const class_virtio_blk;

/* The test's disk ---------------------------------------------------------- */

typedef struct Disk {
    VT *t;
    VTRing *r;
    char *path;                 /* NULL: the failing backend */
    Object *iothread;
} Disk;

static Disk *disk_plug(gconstpointer legacy, Disk *d, const char *options)
{
    g_autofree char *opts = g_strdup_printf("drive=d0%s%s", *options ? "," : "",
                                            options);

    d->t = vt_new(legacy != NULL);
    if (strstr(options, "iothread=")) {
        g_autoptr(QemuOpts) o = qemu_opts_parse("iothread,id=io0", "qom-type", NULL);

        g_assert_nonnull(machine_add_object(d->t->ms, o, NULL));
    }
    vt_plug(d->t, (const DeviceClass *)class_virtio_blk, opts);
    d->r = vt_start(d->t, ALL_FEATURES, 64);
    return d;
}

static Disk *disk_new(gconstpointer legacy, const char *drive, const char *options)
{
    Disk *d = g_new0(Disk, 1);
    g_autoptr(QemuOpts) opts = NULL;
    g_autofree char *text = NULL;
    g_autofree uint8_t *image = g_malloc(IMAGE_SIZE);
    Error *err = NULL;
    int fd = g_file_open_tmp("blk-XXXXXX", &d->path, NULL);

    for (unsigned i = 0; i < IMAGE_SIZE; i++) {
        image[i] = i / 512 + i;
    }
    g_assert_cmpint(qemu_write_full(fd, image, IMAGE_SIZE), ==, 0);
    close(fd);
    text = g_strdup_printf("file=%s,format=raw,id=d0,%s", d->path, drive);
    opts = qemu_opts_parse(text, NULL, &err);
    if (!opts || !drive_new(opts, &err)) {
        g_error("%s", error_get_pretty(err));
    }
    return disk_plug(legacy, d, options);
}

static Disk *disk_new_fault(gconstpointer legacy, const char *options)
{
    Disk *d = g_new0(Disk, 1);

    fault_drive_new("d0");
    return disk_plug(legacy, d, options);
}

static void disk_free(Disk *d)
{
    memset(&fault, 0, sizeof(fault));
    vt_free(d->t);
    blk_cleanup_all();
    if (d->path) {
        unlink(d->path);
        g_free(d->path);
    }
    g_free(d);
}

static BlockBackend *disk_blk(void)
{
    return blk_find("d0");
}

/* The image's bytes now. */
static char *disk_sum(Disk *d)
{
    g_autofree char *data = NULL;
    size_t len;

    g_assert_true(g_file_get_contents(d->path, &data, &len, NULL));
    return g_compute_checksum_for_data(G_CHECKSUM_SHA256, (guchar *)data, len);
}

static uint64_t add_request(Disk *d, uint32_t type, uint64_t sector,
                            uint32_t len, bool write)
{
    struct virtio_blk_outhdr hdr = { .type = type, .sector = sector };
    VTBuf bufs[3] = {
        { HDR, 16, false }, { DATA, len, write }, { STATUS, 1, true },
    };

    memcpy(d->t->ram + HDR, &hdr, 16);
    d->t->ram[STATUS] = 0xee;
    if (!len) {
        bufs[1] = bufs[2];
    }
    return vt_add(d->r, bufs, len ? 3 : 2);
}

/* Kick and wait for the answer; used.len. */
static uint32_t finish(Disk *d)
{
    const struct vring_used_elem *used = NULL;

    vt_kick(d->t, d->r);
    VT_WAIT(d->t, (used = vt_used(d->r)));
    return used->len;
}

/*
 * The status byte of one request. write: the device writes the data. 2.7.8.2: no more is
 * said to be written than was.
 */
static int request(Disk *d, uint32_t type, uint64_t sector, uint32_t len,
                   bool write)
{
    /* Errors of the host may be hidden from the guest. */
    bool fails = type == VIRTIO_BLK_T_IN && fault.error[BLOCK_OP_READ];
    uint32_t data = write ? len : 0, used;

    add_request(d, type, sector, len, write);
    used = finish(d);
    if (data && (fails || d->t->ram[STATUS] != VIRTIO_BLK_S_OK)) {
        g_assert_cmpuint(used, ==, 0);
    } else if (type != VIRTIO_BLK_T_GET_ID || data <= VIRTIO_BLK_ID_BYTES) {
        g_assert_cmpuint(used, ==, data + 1);
    } else {
        g_assert_cmpuint(used, ==, VIRTIO_BLK_ID_BYTES);
    }
    return d->t->ram[STATUS];
}

static int do_read(Disk *d, uint64_t sector, uint32_t len)
{
    return request(d, VIRTIO_BLK_T_IN, sector, len, true);
}

static int do_write(Disk *d, uint64_t sector, uint32_t len)
{
    return request(d, VIRTIO_BLK_T_OUT, sector, len, false);
}

static void assert_works(Disk *d)
{
    memset(d->t->ram + DATA, 0x5c, 4096);
    g_assert_cmpint(do_write(d, 100, 4096), ==, VIRTIO_BLK_S_OK);
    memset(d->t->ram + DATA, 0, 4096);
    g_assert_cmpint(do_read(d, 100, 4096), ==, VIRTIO_BLK_S_OK);
    for (int i = 0; i < 4096; i++) {
        g_assert_cmphex(d->t->ram[DATA + i], ==, 0x5c);
    }
}

/* Tests ---------------------------------------------------------------------- */

static void check_good(gconstpointer legacy, const char *drive, const char *options)
{
    Disk *d = disk_new(legacy, drive, options);

    g_assert_cmpint(do_read(d, 7, 1024), ==, VIRTIO_BLK_S_OK);
    for (unsigned i = 0; i < 1024; i++) {
        unsigned n = 7 * 512 + i;
        g_assert_cmphex(d->t->ram[DATA + i], ==, (uint8_t)(n / 512 + n));
    }
    assert_works(d);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 0, false), ==, 0);
    /* The last sector, and one big request. */
    g_assert_cmpint(do_read(d, IMAGE_SIZE / 512 - 1, 512), ==, 0);
    g_assert_cmpint(do_write(d, 0, 512 << 10), ==, 0);
    g_assert_cmpint(do_read(d, 0, 512 << 10), ==, 0);
    disk_free(d);
}

static void test_good(gconstpointer legacy)
{
    check_good(legacy, "cache=writeback", "");
    check_good(legacy, "cache=none", "");
    check_good(legacy, "cache=writethrough,aio=threads", "");
    check_good(legacy, "cache=directsync,aio=native", "");
    check_good(legacy, "cache=unsafe", "");
    check_good(legacy, "snapshot=on", "");
    check_good(legacy, "detect-zeroes=on", "");
    check_good(legacy, "cache=writeback", "iothread=io0");
    check_good(legacy, "cache=none,aio=threads", "iothread=io0");
}

/* Buffers that O_DIRECT does not take. */
static void test_unaligned(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=none", "");
    struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT, .sector = 9 };
    VTBuf bufs[4] = { { HDR, 16, false }, { DATA + 3, 100, false },
                      { DATA + 501, 412, false }, { STATUS, 1, true } };

    memcpy(d->t->ram + HDR, &hdr, 16);
    memset(d->t->ram + DATA, 0x77, 1024);
    vt_add(d->r, bufs, 4);
    finish(d);
    g_assert_cmphex(d->t->ram[STATUS], ==, 0);
    memset(d->t->ram + DATA, 0, 1024);
    g_assert_cmpint(do_read(d, 9, 512), ==, 0);
    for (int i = 0; i < 512; i++) {
        g_assert_cmphex(d->t->ram[DATA + i], ==, 0x77);
    }
    disk_free(d);
}

/* B01, B02 */
static void test_beyond_end(gconstpointer legacy)
{
    static const struct { uint64_t sector; uint32_t len; } bad[] = {
        { IMAGE_SIZE / 512, 512 }, { IMAGE_SIZE / 512 - 1, 1024 },
        { UINT64_MAX, 512 }, { UINT64_MAX, 1024 }, { UINT64_MAX / 512 + 1, 512 },
        { 1ull << 55, 512 }, { 0, 513 }, { 0, 1 }, { 0, 511 }, { 8, 4097 },
    };
    Disk *d = disk_new(legacy, "cache=writeback", "");
    g_autofree char *before = disk_sum(d);
    g_autofree char *after = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_assert_cmpint(do_read(d, bad[i].sector, bad[i].len), ==, VIRTIO_BLK_S_IOERR);
        g_assert_cmpint(do_write(d, bad[i].sector, bad[i].len), ==, VIRTIO_BLK_S_IOERR);
    }
    after = disk_sum(d);
    g_assert_cmpstr(before, ==, after);
    assert_works(d);
    disk_free(d);
}

/* B02: more than 2 GiB, by naming the same memory again and again. */
static void test_huge(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "");
    struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_OUT };
    struct vring_desc *table = (void *)(d->t->ram + 0x30000);

    d->r = vt_start(d->t, ALL_FEATURES, 256);
    memcpy(d->t->ram + HDR, &hdr, 16);
    table[0] = (struct vring_desc) { HDR, 16, VRING_DESC_F_NEXT, 1 };
    for (int i = 1; i < 255; i++) {
        table[i] = (struct vring_desc) { 0x100000, 15 << 20, VRING_DESC_F_NEXT, i + 1 };
    }
    table[255] = (struct vring_desc) { STATUS, 1, VRING_DESC_F_WRITE, 0 };
    vt_desc(d->r, 0, 0x30000, 4096, VRING_DESC_F_INDIRECT, 0);
    vt_avail(d->r, 0);
    finish(d);
    g_assert_cmphex(d->t->ram[STATUS], ==, VIRTIO_BLK_S_IOERR);
    d->r->next_desc = 1;
    assert_works(d);
    disk_free(d);
}

/* B03 */
static void test_unknown_types(gconstpointer legacy)
{
    static const uint32_t types[] = { 2, 3, 5, 6, 7, 9, 10, 12, 14, 15, 16, 17, 18,
        19, 20, 22, 24, 26, 27, 0x7f, 0x80000000, 0x80000001, 0xffffffff };
    Disk *d = disk_new(legacy, "cache=writeback", "");

    for (unsigned i = 0; i < G_N_ELEMENTS(types); i++) {
        for (uint32_t len = 0; len <= 512; len += 256) {
            g_assert_cmpint(request(d, types[i], 0, len, false), ==,
                            VIRTIO_BLK_S_UNSUPP);
            g_assert_cmpint(request(d, types[i], 0, len, true), ==,
                            VIRTIO_BLK_S_UNSUPP);
        }
    }
    assert_works(d);
    disk_free(d);
}

/* B04, B05: shapes without header or status. */
static void test_short_header(gconstpointer legacy)
{
    static const VTBuf shapes[][3] = {
        { { HDR, 8, false }, { STATUS, 1, true } },
        { { HDR, 15, false }, { STATUS, 1, true } },
        { { STATUS, 1, true }, { 0, 0, false } },
        { { HDR, 16, false }, { 0, 0, false } },
        { { HDR, 8, false }, { HDR, 7, false }, { STATUS, 1, true } },
    };
    static const unsigned counts[] = { 2, 2, 1, 1, 3 };

    for (unsigned i = 0; i < G_N_ELEMENTS(shapes); i++) {
        Disk *d = disk_new(legacy, "cache=writeback", "");

        vt_add(d->r, shapes[i], counts[i]);
        vt_kick(d->t, d->r);
        vt_assert_needs_reset(d->t);
        d->r = vt_start(d->t, ALL_FEATURES, 64);
        assert_works(d);
        disk_free(d);
    }
}

/* 2.7.4.1: everything in single bytes. */
static void test_split(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=none", "");
    struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 3 };
    struct vring_desc *table = (void *)(d->t->ram + 0x30000);
    unsigned n = 0;

    vt_free(d->t);
    d->t = NULL;
    disk_plug(legacy, d, "queue-size=1024");
    d->r = vt_start(d->t, ALL_FEATURES, 1024);
    table = (void *)(d->t->ram + 0x30000);
    memcpy(d->t->ram + HDR, &hdr, 16);
    for (int i = 0; i < 16; i++, n++) {
        table[n] = (struct vring_desc) { HDR + i, 1, VRING_DESC_F_NEXT, n + 1 };
    }
    for (int i = 0; i < 512; i++, n++) {
        table[n] = (struct vring_desc) { DATA + 3 * i, 1, VRING_DESC_F_NEXT |
                                         VRING_DESC_F_WRITE, n + 1 };
    }
    table[n++] = (struct vring_desc) { STATUS, 1, VRING_DESC_F_WRITE, 0 };
    vt_desc(d->r, 0, 0x30000, 16 * n, VRING_DESC_F_INDIRECT, 0);
    vt_avail(d->r, 0);
    d->t->ram[STATUS] = 0xee;
    g_assert_cmpuint(finish(d), ==, 513);
    g_assert_cmphex(d->t->ram[STATUS], ==, 0);
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(d->t->ram[DATA + 3 * i], ==, (uint8_t)(3 + 1536 + i));
    }
    disk_free(d);
}

/* B05: the status is the last byte, whatever stands before it. */
static void test_merged_status(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "");
    struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = 3 };
    VTBuf bufs[2] = { { HDR, 16, false }, { DATA, 513, true } };

    memcpy(d->t->ram + HDR, &hdr, 16);
    memset(d->t->ram + DATA, 0xee, 600);
    vt_add(d->r, bufs, 2);
    g_assert_cmpuint(finish(d), ==, 513);
    g_assert_cmphex(d->t->ram[DATA + 512], ==, 0);
    g_assert_cmphex(d->t->ram[DATA + 513], ==, 0xee);
    g_assert_cmphex(d->t->ram[DATA], ==, (uint8_t)(3 + 1536));
    disk_free(d);
}

/* B06 */
static void test_wrong_direction(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "");
    g_autofree char *before = disk_sum(d);
    g_autofree char *after = NULL;

    memset(d->t->ram + DATA, 0xab, 512);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_IN, 0, 512, false), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_OUT, 0, 512, true), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmphex(d->t->ram[DATA], ==, 0xab);
    after = disk_sum(d);
    g_assert_cmpstr(before, ==, after);
    disk_free(d);
}

/* B08 */
static void test_flush(gconstpointer legacy)
{
    Disk *d = disk_new_fault(legacy, "");

    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 99, 0, false), ==, 0);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 512, false), ==, 0);
    g_assert_cmpuint(fault.seen[BLOCK_OP_FLUSH], ==, 2);
    fault.error[BLOCK_OP_FLUSH] = EIO;
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 0, false), ==, 1);
    disk_free(d);
}

static int range_request(Disk *d, uint32_t type, uint64_t sector, uint32_t num,
                         uint32_t flags, uint32_t len)
{
    struct virtio_blk_discard_write_zeroes seg = { sector, num, flags };

    for (int i = 0; i < 4; i++) {
        memcpy(d->t->ram + DATA + i * sizeof(seg), &seg, sizeof(seg));
    }
    return request(d, type, 0, len, false);
}

/* B09 */
static void test_readonly(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "readonly=on", "");
    g_autofree char *before = disk_sum(d);
    g_autofree char *after = NULL;

    g_assert_true(vt_offered(d->t) & F(VIRTIO_BLK_F_RO));
    g_assert_cmpint(do_read(d, 0, 512), ==, 0);
    g_assert_cmpint(do_write(d, 0, 512), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(range_request(d, VIRTIO_BLK_T_DISCARD, 0, 8, 0, 16), ==, 1);
    g_assert_cmpint(range_request(d, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0, 16), ==, 1);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_FLUSH, 0, 0, false), ==, 0);
    after = disk_sum(d);
    g_assert_cmpstr(before, ==, after);
    disk_free(d);
}

/* B10 */
static void test_bad_ranges(gconstpointer legacy)
{
    enum { D = VIRTIO_BLK_T_DISCARD, Z = VIRTIO_BLK_T_WRITE_ZEROES,
           ERR = VIRTIO_BLK_S_IOERR, UNS = VIRTIO_BLK_S_UNSUPP };
    Disk *d = disk_new(legacy, "discard=unmap", "");
    g_autofree char *before = disk_sum(d);
    g_autofree char *after = NULL;

    g_assert_cmpint(range_request(d, D, UINT64_MAX, 8, 0, 16), ==, ERR);
    g_assert_cmpint(range_request(d, Z, UINT64_MAX - 6, 8, 0, 16), ==, ERR);
    g_assert_cmpint(range_request(d, Z, IMAGE_SIZE / 512 - 1, 2, 0, 16), ==, ERR);
    g_assert_cmpint(range_request(d, Z, 0, UINT32_MAX, 0, 16), ==, ERR);
    g_assert_cmpint(range_request(d, D, 0, UINT32_MAX, 0, 16), ==, ERR);
    g_assert_cmpint(range_request(d, D, 0, 8, 0, 32), ==, UNS);
    g_assert_cmpint(range_request(d, Z, 0, 8, 0, 17), ==, UNS);
    g_assert_cmpint(range_request(d, Z, 0, 8, 0, 15), ==, UNS);
    g_assert_cmpint(range_request(d, Z, 0, 8, 0, 0), ==, UNS);
    g_assert_cmpint(range_request(d, D, 0, 8, 1, 16), ==, UNS);
    g_assert_cmpint(range_request(d, Z, 0, 8, 2, 16), ==, UNS);
    g_assert_cmpint(range_request(d, Z, 0, 8, 0x80000001, 16), ==, UNS);
    g_assert_cmpint(range_request(d, D, 5, 0, 0, 16), ==, 0);
    after = disk_sum(d);
    g_assert_cmpstr(before, ==, after);
    disk_free(d);
}

/* 5.2.6.2: after write-zeroes reads are zero, unmapped or not. */
static void check_write_zeroes(gconstpointer legacy, const char *drive)
{
    Disk *d = disk_new(legacy, drive, "");

    for (unsigned flags = 0; flags < 2; flags++) {
        g_assert_cmpint(range_request(d, VIRTIO_BLK_T_WRITE_ZEROES, 9 + 128 * flags,
                                      100, flags, 16), ==, 0);
        memset(d->t->ram + DATA, 0xff, 102 * 512);
        g_assert_cmpint(do_read(d, 8 + 128 * flags, 102 * 512), ==, 0);
        for (unsigned i = 0; i < 102 * 512; i++) {
            unsigned n = (8 + 128 * flags) * 512 + i;
            bool edge = i < 512 || i >= 101 * 512;
            g_assert_cmphex(d->t->ram[DATA + i], ==,
                            edge ? (uint8_t)(n / 512 + n) : 0);
        }
    }
    g_assert_cmpint(range_request(d, VIRTIO_BLK_T_DISCARD, 2048, 2048, 0, 16), ==, 0);
    disk_free(d);
}

static void test_write_zeroes(gconstpointer legacy)
{
    check_write_zeroes(legacy, "discard=unmap");
    check_write_zeroes(legacy, "discard=ignore");
    check_write_zeroes(legacy, "cache=none,discard=unmap");
    check_write_zeroes(legacy, "snapshot=on");
}

/* B12, F05, F06: who wants stable writes gets them. */
static void test_write_cache(gconstpointer legacy)
{
    Disk *d = disk_new_fault(legacy, "");
    const unsigned wce = VT_CONFIG + offsetof(struct virtio_blk_config, wce);

    g_assert_cmpint(do_write(d, 0, 512), ==, 0);
    g_assert_cmpuint(fault.fua, ==, 0);
    g_assert_cmphex(vt_rd_sized(d->t, wce, 1), ==, 1);
    vt_wr_sized(d->t, wce, 0, 1);
    g_assert_cmphex(vt_rd_sized(d->t, wce, 1), ==, 0);
    g_assert_cmpint(do_write(d, 0, 512), ==, 0);
    g_assert_cmpuint(fault.fua, ==, 1);
    vt_wr_sized(d->t, wce, 1, 1);
    g_assert_cmpint(do_write(d, 0, 512), ==, 0);
    g_assert_cmpuint(fault.fua, ==, 1);
    /* A driver that cannot flush: writethrough, and no choice. */
    d->r = vt_start(d->t, ~F(VIRTIO_BLK_F_FLUSH), 64);
    g_assert_cmphex(vt_rd_sized(d->t, wce, 1), ==, 0);
    vt_wr_sized(d->t, wce, 1, 1);
    g_assert_cmphex(vt_rd_sized(d->t, wce, 1), ==, 0);
    g_assert_cmpint(do_write(d, 0, 512), ==, 0);
    g_assert_cmpuint(fault.fua, ==, 2);
    disk_free(d);
}

static void test_get_id(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "serial=ABCDEF", "");

    memset(d->t->ram + DATA, 0xff, 24);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_GET_ID, 0, 20, true), ==, 0);
    g_assert_cmpint(memcmp(d->t->ram + DATA, "ABCDEF\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xff", 21),
                    ==, 0);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_GET_ID, 0, 3, true), ==, 0);
    g_assert_cmpint(request(d, VIRTIO_BLK_T_GET_ID, 0, 30, true), ==, 0);
    disk_free(d);
}

static void test_config(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "discard=unmap", "num-queues=4,queue-size=128,"
                       "logical_block_size=4096,physical_block_size=16384,"
                       "serial=override");
    struct virtio_blk_config cfg = { 0 };

    for (unsigned i = 0; i < 60; i++) {
        ((uint8_t *)&cfg)[i] = vt_rd_sized(d->t, VT_CONFIG + i, 1);
    }
    g_assert_cmpuint(cfg.capacity, ==, IMAGE_SIZE / 512);
    g_assert_cmpuint(cfg.seg_max, ==, 126);
    g_assert_cmpuint(cfg.blk_size, ==, 4096);
    g_assert_cmpuint(cfg.physical_block_exp, ==, 2);
    g_assert_cmpuint(cfg.num_queues, ==, 4);
    g_assert_cmpuint(cfg.wce, ==, 1);
    g_assert_cmpuint(cfg.unused, ==, 0);
    g_assert_cmpuint(cfg.max_discard_seg, ==, 1);
    g_assert_cmpuint(cfg.write_zeroes_may_unmap, ==, 1);
    g_assert_cmphex(vt_rd_sized(d->t, VT_CONFIG + 60, 1), ==, 0xff);
    /* Requests must keep to the logical block. */
    g_assert_cmpint(do_read(d, 8, 4096), ==, 0);
    g_assert_cmpint(do_read(d, 1, 4096), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(do_read(d, 8, 512), ==, VIRTIO_BLK_S_IOERR);
    /* Only what the specification knows. */
    g_assert_cmphex(vt_offered(d->t) & ~0x10130007e54ull, ==, 0);
    disk_free(d);
}

static void test_multi_queue(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "num-queues=8");

    vt_negotiate(d->t, ALL_FEATURES);
    for (int i = 0; i < 8; i++) {
        vt_setup_queue(d->t, i, 16);
    }
    vt_driver_ok(d->t);
    for (int i = 0; i < 8; i++) {
        d->r = &d->t->ring[i];
        vt_wr(d->t, VT_ACK, 3);
        assert_works(d);
        g_assert_cmphex(vt_rd(d->t, VT_ISR), ==, 1);
    }
    disk_free(d);
}

/* Q24, F25: a reset waits for what is under way; nothing is written later. */
static void test_reset_in_flight(gconstpointer legacy)
{
    static const char *const options[] = { "", "iothread=io0" };

    for (int k = 0; k < 2; k++) {
        Disk *d = disk_new_fault(legacy, options[k]);
        unsigned before;

        fault.delay_us = 20000;
        for (int i = 0; i < 16; i++) {
            add_request(d, VIRTIO_BLK_T_IN, i, 512, true);
        }
        vt_kick(d->t, d->r);
        vt_wr(d->t, VT_STATUS, 0);
        before = fault.seen[BLOCK_OP_READ];
        memset(d->t->ram + DATA, 0xcd, 512);
        g_usleep(50000);
        vt_poll(d->t);
        g_assert_cmpuint(fault.seen[BLOCK_OP_READ], ==, before);
        g_assert_cmphex(d->t->ram[DATA], ==, 0xcd);
        g_assert_cmphex(vt_rd(d->t, VT_ISR), ==, 0);
        fault.delay_us = 0;
        d->r = vt_start(d->t, ALL_FEATURES, 64);
        assert_works(d);
        disk_free(d);
    }
}

/* F12-F16: what an error does. */
static void test_error_report(gconstpointer legacy)
{
    static const int errors[] = { EIO, ENOSPC, EFBIG, EDQUOT };

    for (unsigned i = 0; i < G_N_ELEMENTS(errors); i++) {
        Disk *d = disk_new_fault(legacy, "werror=report,rerror=report");

        fault.error[BLOCK_OP_WRITE] = errors[i];
        g_assert_cmpint(do_write(d, 0, 512), ==, VIRTIO_BLK_S_IOERR);
        fault.error[BLOCK_OP_READ] = errors[i];
        g_assert_cmpint(do_read(d, 0, 512), ==, VIRTIO_BLK_S_IOERR);
        g_assert_true(runstate_is_running(d->t->ms));
        memset(&fault, 0, sizeof(fault));
        assert_works(d);
        disk_free(d);
    }
}

static void test_error_ignore(gconstpointer legacy)
{
    Disk *d = disk_new_fault(legacy, "werror=ignore,rerror=ignore");

    fault.error[BLOCK_OP_WRITE] = fault.error[BLOCK_OP_READ] = EIO;
    g_assert_cmpint(do_write(d, 0, 512), ==, 0);
    g_assert_cmpint(do_read(d, 0, 512), ==, 0);
    g_assert_true(runstate_is_running(d->t->ms));
    disk_free(d);
}

static unsigned error_events;

static void count_errors(MachineState *ms, const char *event, const EventField *fields,
                         unsigned n)
{
    error_events += !strcmp(event, "BLOCK_IO_ERROR");
}

/* Errors without end: clients hear of some, and of each that stops the machine. */
static void test_error_events(gconstpointer legacy)
{
    Disk *d = disk_new_fault(legacy, "werror=stop");

    d->t->ms->event_fn = count_errors;
    error_events = 0;
    fault.error[BLOCK_OP_READ] = EIO;
    for (int i = 0; i < 200; i++) {
        g_assert_cmpint(do_read(d, 0, 512), ==, VIRTIO_BLK_S_IOERR);
    }
    g_assert_cmpuint(error_events, >=, 10);
    g_assert_cmpuint(error_events, <=, 30);
    error_events = 0;
    fault.error[BLOCK_OP_WRITE] = EIO;
    add_request(d, VIRTIO_BLK_T_OUT, 0, 512, false);
    vt_kick(d->t, d->r);
    VT_WAIT(d->t, !runstate_is_running(d->t->ms));
    g_assert_cmpuint(error_events, ==, 1);
    disk_free(d);
}

static void collect_status(BlockBackend *blk, const BlockInfo *info, void *opaque)
{
    *(BlockIoStatus *)opaque = info->iostatus;
}

/* The default: out of space stops the machine, "cont" tries again. */
static void check_enospc(gconstpointer legacy, const char *options)
{
    Disk *d = disk_new_fault(legacy, options);
    BlockIoStatus status;
    unsigned used = 0;

    fault.error[BLOCK_OP_WRITE] = EIO;
    g_assert_cmpint(do_write(d, 0, 512), ==, VIRTIO_BLK_S_IOERR);
    g_assert_true(runstate_is_running(d->t->ms));

    fault.error[BLOCK_OP_WRITE] = ENOSPC;
    memset(d->t->ram + DATA, 0x31, 512);
    for (int i = 0; i < 8; i++) {
        add_request(d, VIRTIO_BLK_T_OUT, i, 512, false);
    }
    vt_kick(d->t, d->r);
    VT_WAIT(d->t, !runstate_is_running(d->t->ms));
    g_assert_cmpint(d->t->ms->rsm.state, ==, RUN_STATE_IO_ERROR);
    g_assert_null(vt_used(d->r));
    blk_foreach(collect_status, &status);
    g_assert_cmpint(status, ==, BLOCK_IO_STATUS_NOSPACE);
    /* A second failure after cont. */
    vm_start(d->t->ms);
    VT_WAIT(d->t, !runstate_is_running(d->t->ms));
    g_assert_null(vt_used(d->r));
    fault.error[BLOCK_OP_WRITE] = 0;
    fault.seen[BLOCK_OP_WRITE] = 0;
    vm_start(d->t->ms);
    VT_WAIT(d->t, (used += vt_used(d->r) != NULL) == 8);
    g_assert_cmpuint(fault.seen[BLOCK_OP_WRITE], ==, 8);
    g_assert_cmphex(d->t->ram[STATUS], ==, 0);
    blk_foreach(collect_status, &status);
    g_assert_cmpint(status, ==, BLOCK_IO_STATUS_OK);
    assert_works(d);
    disk_free(d);
}

static void test_error_enospc(gconstpointer legacy)
{
    check_enospc(legacy, "");
    check_enospc(legacy, "iothread=io0");
}

static void test_error_stop(gconstpointer legacy)
{
    Disk *d = disk_new_fault(legacy, "rerror=stop,werror=stop");

    fault.error[BLOCK_OP_READ] = EIO;
    add_request(d, VIRTIO_BLK_T_IN, 0, 512, true);
    vt_kick(d->t, d->r);
    VT_WAIT(d->t, !runstate_is_running(d->t->ms));
    /* A reset of the stopped machine forgets the request. */
    qdev_reset_all(d->t->ms);
    fault.error[BLOCK_OP_READ] = 0;
    fault.seen[BLOCK_OP_READ] = 0;
    vm_start(d->t->ms);
    vt_poll(d->t);
    g_assert_cmpuint(fault.seen[BLOCK_OP_READ], ==, 0);
    d->r = vt_start(d->t, ALL_FEATURES, 64);
    assert_works(d);
    disk_free(d);
}

/* block_resize: the guest is told, and sees no torn number. */
static void test_resize(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "");
    uint32_t gen = vt_rd(d->t, VT_GENERATION);

    vt_wr(d->t, VT_ACK, 3);
    g_assert_true(blk_truncate(disk_blk(), IMAGE_SIZE * 2, NULL));
    g_assert_cmphex(vt_rd(d->t, VT_ISR), ==, 2);
    if (!legacy) {
        g_assert_cmphex(vt_rd(d->t, VT_GENERATION), !=, gen);
    }
    g_assert_cmphex(vt_rd_sized(d->t, VT_CONFIG, 8), ==, IMAGE_SIZE * 2 / 512);
    g_assert_cmpint(do_read(d, IMAGE_SIZE / 512, 512), ==, 0);
    g_assert_cmphex(d->t->ram[DATA], ==, 0);
    g_assert_true(blk_truncate(disk_blk(), 512, NULL));
    g_assert_cmpint(do_read(d, 1, 512), ==, VIRTIO_BLK_S_IOERR);
    disk_free(d);
}

/* The guessed format: sector 0 cannot become another format's header. */
static void test_probed(gconstpointer legacy)
{
    Disk *d = disk_new(legacy, "cache=writeback", "");
    g_autofree char *text = g_strdup_printf("file=%s,id=d0", d->path);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);

    vt_free(d->t);
    blk_cleanup_all();
    g_assert_true(drive_new(opts, NULL));
    disk_plug(legacy, d, "");
    memset(d->t->ram + DATA, 0, 4096);
    memcpy(d->t->ram + DATA, "QFI\xfb", 4);
    g_assert_cmpint(do_write(d, 0, 4096), ==, VIRTIO_BLK_S_IOERR);
    g_assert_cmpint(do_write(d, 1, 4096), ==, 0);
    memcpy(d->t->ram + DATA, "fine", 4);
    memset(d->t->ram + DATA + 4, 0x42, 4092);
    g_assert_cmpint(do_write(d, 0, 4096), ==, 0);
    memset(d->t->ram + DATA, 0, 4096);
    g_assert_cmpint(do_read(d, 0, 4096), ==, 0);
    g_assert_cmphex(d->t->ram[DATA], ==, 'f');
    g_assert_cmphex(d->t->ram[DATA + 4095], ==, 0x42);
    disk_free(d);
}

/* Many requests at once, answered in any order, all correct. */
static void check_depth(gconstpointer legacy, const char *drive, const char *options)
{
    Disk *d = disk_new(legacy, drive, options);
    unsigned used = 0;

    d->r = vt_start(d->t, ALL_FEATURES, 256);
    for (int i = 0; i < 64; i++) {
        struct virtio_blk_outhdr hdr = { .type = VIRTIO_BLK_T_IN, .sector = i * 8 };
        VTBuf bufs[3] = { { HDR + 16 * i, 16, false },
                          { 0x200000 + 4096 * i, 4096, true }, { STATUS + i, 1, true } };

        memcpy(d->t->ram + HDR + 16 * i, &hdr, 16);
        d->t->ram[STATUS + i] = 0xee;
        vt_add(d->r, bufs, 3);
    }
    vt_kick(d->t, d->r);
    VT_WAIT(d->t, (used += vt_used(d->r) != NULL) == 64);
    for (unsigned i = 0; i < 64; i++) {
        g_assert_cmphex(d->t->ram[STATUS + i], ==, 0);
        for (unsigned b = 0; b < 4096; b++) {
            unsigned n = i * 4096 + b;
            g_assert_cmphex(d->t->ram[0x200000 + n], ==, (uint8_t)(n / 512 + n));
        }
    }
    disk_free(d);
}

static void test_depth(gconstpointer legacy)
{
    check_depth(legacy, "cache=none", "");
    check_depth(legacy, "cache=writeback,aio=threads", "");
    check_depth(legacy, "cache=none", "iothread=io0");
}

/* Bad properties, QEMU's words. */
static void test_bad_options(gconstpointer legacy)
{
    static const struct { const char *options, *text; } bad[] = {
        { "drive=nope", "Property 'virtio-blk-device.drive' can't find value 'nope'" },
        { "", "drive property not set" },
        { "drive=d0,logical_block_size=8192,physical_block_size=512",
          "logical_block_size > physical_block_size not supported" },
        { "drive=d0,iothread=io7", "Device 'io7' not found" },
        { "drive=d0", "Drive 'd0' is already in use by another device" },
    };
    Disk *d = disk_new(legacy, "cache=writeback", "");
    VirtioMMIOSlot slot = { 1, VT_MMIO_BASE + 0x1000, 6, { NULL } };

    vt_free(d->t);
    d->t = vt_new(false);
    vt_plug(d->t, (const DeviceClass *)class_virtio_blk, "drive=d0");
    /* The map is sealed; the second transport is only for its bus. */
    g_assert_true(virtio_mmio_create(d->t->ms, &slot, NULL));
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *msg = vt_plug_error(d->t,
                                             (const DeviceClass *)class_virtio_blk,
                                             bad[i].options);
        g_assert_cmpstr(msg, ==, bad[i].text);
    }
    disk_free(d);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/virtio-blk/good", test_good);
    vt_add_test("/virtio-blk/depth", test_depth);
    vt_add_test("/virtio-blk/f03-unaligned", test_unaligned);
    vt_add_test("/virtio-blk/b01-beyond-end", test_beyond_end);
    vt_add_test("/virtio-blk/b02-huge", test_huge);
    vt_add_test("/virtio-blk/b03-unknown-types", test_unknown_types);
    vt_add_test("/virtio-blk/b04-short-header", test_short_header);
    vt_add_test("/virtio-blk/b04-split", test_split);
    vt_add_test("/virtio-blk/b05-merged-status", test_merged_status);
    vt_add_test("/virtio-blk/b06-wrong-direction", test_wrong_direction);
    vt_add_test("/virtio-blk/b08-flush", test_flush);
    vt_add_test("/virtio-blk/b09-readonly", test_readonly);
    vt_add_test("/virtio-blk/b10-bad-ranges", test_bad_ranges);
    vt_add_test("/virtio-blk/write-zeroes", test_write_zeroes);
    vt_add_test("/virtio-blk/b12-write-cache", test_write_cache);
    vt_add_test("/virtio-blk/get-id", test_get_id);
    vt_add_modern_test("/virtio-blk/config", test_config);
    vt_add_test("/virtio-blk/multi-queue", test_multi_queue);
    vt_add_test("/virtio-blk/q24-reset-in-flight", test_reset_in_flight);
    vt_add_test("/virtio-blk/f14-report", test_error_report);
    vt_add_test("/virtio-blk/f15-ignore", test_error_ignore);
    vt_add_test("/virtio-blk/error-events", test_error_events);
    vt_add_test("/virtio-blk/f12-enospc", test_error_enospc);
    vt_add_test("/virtio-blk/f16-stop", test_error_stop);
    vt_add_test("/virtio-blk/resize", test_resize);
    vt_add_test("/virtio-blk/probed", test_probed);
    vt_add_modern_test("/virtio-blk/bad-options", test_bad_options);
    return g_test_run();
}
