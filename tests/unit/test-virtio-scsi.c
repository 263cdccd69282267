/*
 * virtio-scsi with disks and CD drives: commands, task management, hot plugging, and guests that
 * lie.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_scsi.h>
#include <string.h>
#include <unistd.h>

#include "fault-node.h"
#include "qemu/cutils.h"
#include "virtio-harness.h"

#define IMAGE_SIZE  FAULT_SIZE
#define HDR         0x10000
#define OUT         0x20000
#define RESP        0x30000
#define IN          0x800000
#define REQ_LEN     (19 + 32)
#define RESP_LEN    (12 + 96)
#define QUEUE       64

/* The machine: disks at 0:0 and 0:3, a CD at 1:0, an empty drive at 2:0 ---------------- */

typedef struct Scsi {
    VT *t;
    char *path;
    Object *iothread;
} Scsi;

/* How a command ended. */
typedef struct Result {
    uint8_t response, status, key, asc, ascq;
    uint32_t resid, sense_len, used;
} Result;

static void new_drive(const char *text)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, &err);

    if (!opts || !drive_new(opts, &err)) {
        g_error("%s", error_get_pretty(err));
    }
}

static DeviceState *add(VT *t, const char *text, const char *message)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "driver", &err);
    DeviceState *dev = qdev_device_add(t->ms, opts, &err);

    if (message) {
        g_assert_null(dev);
        g_assert_cmpstr(error_get_pretty(err), ==, message);
        error_free(err);
    } else if (!dev) {
        g_error("%s", error_get_pretty(err));
    }
    return dev;
}

static void start(VT *t)
{
    vt_negotiate(t, ~0ull);
    for (unsigned n = 0; n < 4; n++) {
        vt_setup_queue(t, n, QUEUE);
    }
    vt_driver_ok(t);
}

static Scsi *scsi_new(gconstpointer legacy, const char *options)
{
    Scsi *s = g_new0(Scsi, 1);
    g_autofree uint8_t *image = g_malloc(IMAGE_SIZE);
    g_autofree char *hd = NULL, *cd = NULL;
    int fd = g_file_open_tmp("scsi-XXXXXX", &s->path, NULL);

    for (unsigned i = 0; i < IMAGE_SIZE; i++) {
        image[i] = i / 512 + i;
    }
    g_assert_cmpint(qemu_write_full(fd, image, IMAGE_SIZE), ==, 0);
    close(fd);
    s->t = vt_new(legacy != NULL);
    if (strstr(options, "iothread=")) {
        g_autoptr(QemuOpts) o = qemu_opts_parse("iothread,id=io0", "qom-type", NULL);

        g_assert_nonnull(machine_add_object(s->t->ms, o, NULL));
    }
    vt_plug(s->t, (const DeviceClass *)object_class_by_name(device_classes, "virtio-scsi-device"),
            options);
    hd = g_strdup_printf("file=%s,format=raw,id=hd,file.locking=off", s->path);
    cd = g_strdup_printf("file=%s,format=raw,id=cd,media=cdrom,file.locking=off", s->path);
    new_drive(hd);
    new_drive(cd);
    fault_drive_new("bad");
    add(s->t, "scsi-hd,drive=hd,serial=S123,wwn=0x5000c50015ea71aa,rotation_rate=7200,id=a", NULL);
    add(s->t, "scsi-hd,drive=bad,scsi-id=0,lun=3,id=b", NULL);
    add(s->t, "scsi-cd,drive=cd,id=c", NULL);
    add(s->t, "scsi-cd,id=d", NULL);
    start(s->t);
    return s;
}

static void scsi_free(Scsi *s)
{
    memset(&fault, 0, sizeof(fault));
    vt_free(s->t);
    blk_cleanup_all();
    unlink(s->path);
    g_free(s->path);
    g_free(s);
}

/* Commands ------------------------------------------------------------------------------ */

static void put_header(VT *t, unsigned target, unsigned lun, uint64_t tag, const void *cdb,
                       size_t len)
{
    struct virtio_scsi_cmd_req req = {
        .lun = { 1, target, lun < 256 ? 0 : 0x40 | lun >> 8, lun }, .tag = tag,
    };

    memcpy(req.cdb, cdb, len);
    memcpy(t->ram + HDR, &req, REQ_LEN);
}

/* Make it available without a kick; data at OUT, answers at RESP and IN. */
static void add_command(VT *t, unsigned queue, size_t out, size_t in)
{
    VTBuf bufs[4] = { { HDR, REQ_LEN, false } };
    unsigned n = 1;

    if (out) {
        bufs[n++] = (VTBuf) { OUT, out, false };
    }
    bufs[n++] = (VTBuf) { RESP, RESP_LEN, true };
    if (in) {
        bufs[n++] = (VTBuf) { IN, in, true };
    }
    vt_add(&t->ring[queue], bufs, n);
}

static Result result(VT *t, unsigned queue)
{
    struct virtio_scsi_cmd_resp *resp = (void *)(t->ram + RESP);
    const struct vring_used_elem *used = NULL;

    VT_WAIT(t, (used = vt_used(&t->ring[queue])));
    return (Result) { resp->response, resp->status, resp->sense[2], resp->sense[12],
                      resp->sense[13], resp->resid, resp->sense_len, used->len };
}

static Result command(VT *t, unsigned target, unsigned lun, const void *cdb, size_t out, size_t in)
{
    memset(t->ram + RESP, 0xee, RESP_LEN);
    put_header(t, target, lun, 1, cdb, 16);
    add_command(t, 2, out, in);
    vt_kick(t, &t->ring[2]);
    return result(t, 2);
}

#define CDB(...) ((const uint8_t[16]) { __VA_ARGS__ })

static void good(VT *t, unsigned target, const uint8_t *cdb, size_t out, size_t in)
{
    Result r = command(t, target, 0, cdb, out, in);

    g_assert_cmphex(r.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(r.status << 16 | r.key << 8 | r.asc, ==, 0);
    g_assert_cmpuint(r.used, ==, RESP_LEN + (in ? in - r.resid : 0));
}

static void refused(Result r, unsigned key, unsigned asc, unsigned ascq)
{
    g_assert_cmphex(r.response, ==, VIRTIO_SCSI_S_OK);
    g_assert_cmphex(r.status, ==, 2);
    g_assert_cmphex(r.key << 16 | r.asc << 8 | r.ascq, ==, key << 16 | asc << 8 | ascq);
    g_assert_cmpuint(r.sense_len, ==, 18);
}

/* Unit attentions of the reset. */
static void settle(VT *t)
{
    for (unsigned target = 0; target < 3; target++) {
        command(t, target, 0, CDB(0), 0, 0);
    }
    command(t, 0, 3, CDB(0), 0, 0);
}

static uint64_t be(const uint8_t *p, unsigned n)
{
    uint64_t v = 0;

    while (n--) {
        v = v << 8 | *p++;
    }
    return v;
}

/* Tests ----------------------------------------------------------------------------------- */

static void test_attention(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    g_assert_cmpuint(vt_rd(t, VT_DEVICE_ID), ==, 8);
    good(t, 0, CDB(0x12, 0, 0, 0, 36), 0, 36);
    refused(command(t, 0, 0, CDB(0), 0, 0), 6, 0x29, 0);
    good(t, 0, CDB(0), 0, 0);
    /* REQUEST SENSE gives and clears it; in both formats. */
    good(t, 1, CDB(3, 0, 0, 0, 18), 0, 18);
    g_assert_cmphex(t->ram[IN] << 16 | t->ram[IN + 2] << 8 | t->ram[IN + 12], ==, 0x700629);
    good(t, 1, CDB(0), 0, 0);
    good(t, 1, CDB(3, 1, 0, 0, 8), 0, 8);
    g_assert_cmphex(be(t->ram + IN, 4), ==, 0x72000000);
    scsi_free(s);
}

static void test_inquiry(gconstpointer legacy)
{
    static const uint8_t id[] = { 0, 0x83, 0, 20, 2, 0, 0, 4, 'S', '1', '2', '3', 1, 3, 0, 8,
                                  0x50, 0, 0xc5, 0, 0x15, 0xea, 0x71, 0xaa };
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    Result r;

    good(t, 0, CDB(0x12, 0, 0, 0, 96), 0, 96);
    g_assert_cmpmem(t->ram + IN + 8, 28, "QEMU    QEMU HARDDISK   2.5+", 28);
    g_assert_cmphex(t->ram[IN], ==, 0);
    good(t, 1, CDB(0x12, 0, 0, 0, 36), 0, 36);
    g_assert_cmphex(t->ram[IN] << 8 | t->ram[IN + 1], ==, 0x0580);
    good(t, 0, CDB(0x12, 1, 0, 0, 255), 0, 255);
    g_assert_cmpmem(t->ram + IN, 10, ((uint8_t[]) { 0, 0, 0, 6, 0, 0x80, 0x83, 0xb0, 0xb1, 0xb2 }),
                    10);
    good(t, 0, CDB(0x12, 1, 0x80, 0, 8), 0, 8);
    g_assert_cmpmem(t->ram + IN + 4, 4, "S123", 4);
    good(t, 0, CDB(0x12, 1, 0x83, 0, 24), 0, 24);
    g_assert_cmpmem(t->ram + IN, 24, id, 24);
    good(t, 0, CDB(0x12, 1, 0xb1, 0, 64), 0, 64);
    g_assert_cmpuint(be(t->ram + IN + 4, 2), ==, 7200);
    good(t, 0, CDB(0x12, 1, 0xb0, 0, 64), 0, 64);
    g_assert_cmphex(t->ram[IN + 4], ==, 1);
    g_assert_cmpuint(be(t->ram + IN + 20, 4), ==, (1u << 30) / 512);
    /* Pages that are not there, wrong LUNs, short buffers. */
    for (unsigned page = 1; page < 0x80; page++) {
        refused(command(t, 0, 0, CDB(0x12, 1, page, 0, 64), 0, 64), 5, 0x24, 0);
    }
    refused(command(t, 1, 0, CDB(0x12, 1, 0xb0, 0, 64), 0, 64), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x12, 0, 1, 0, 64), 0, 64), 5, 0x24, 0);
    r = command(t, 0, 1, CDB(0x12, 0, 0, 0, 36), 0, 36);
    g_assert_cmphex(r.status << 8 | t->ram[IN], ==, 0x7f);
    refused(command(t, 0, 1, CDB(0x12, 1, 0, 0, 36), 0, 36), 5, 0x24, 0);
    refused(command(t, 0, 1, CDB(0), 0, 0), 5, 0x25, 0);
    r = command(t, 0, 0, CDB(0x12, 0, 0, 0, 37), 0, 36);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_OVERRUN);
    g_assert_cmpuint(r.resid, ==, 36);
    r = command(t, 77, 0, CDB(0x12, 0, 0, 0, 36), 0, 36);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_BAD_TARGET);
    scsi_free(s);
}

static void test_luns(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    Result r;

    r = command(t, 0, 9, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0, 256);
    g_assert_cmphex(r.status, ==, 0);
    g_assert_cmpuint(r.resid, ==, 256 - 24);
    g_assert_cmphex(be(t->ram + IN, 8), ==, 16ull << 32);
    g_assert_cmphex(be(t->ram + IN + 16, 8), ==, 3ull << 48);
    refused(command(t, 0, 0, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 15), 0, 256), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0xa0, 0, 3, 0, 0, 0, 0, 0, 1, 0), 0, 256), 5, 0x24, 0);
    scsi_free(s);
}

static void test_read_write(gconstpointer legacy)
{
    static const struct { uint8_t read[16], write[16]; } forms[] = {
        { { 0x08, 0, 0, 8, 2 }, { 0x0a, 0, 0, 8, 2 } },
        { { 0x28, 0, 0, 0, 0, 8, 0, 0, 2 }, { 0x2a, 8, 0, 0, 0, 8, 0, 0, 2 } },
        { { 0xa8, 0, 0, 0, 0, 8, 0, 0, 0, 2 }, { 0xaa, 0, 0, 0, 0, 8, 0, 0, 0, 2 } },
        { { 0x88, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2 },
          { 0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 2 } },
        { { 0x28, 0, 0, 0, 0, 8, 0, 0, 2 }, { 0x2e, 0, 0, 0, 0, 8, 0, 0, 2 } },
    };
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    settle(t);
    for (size_t i = 0; i < G_N_ELEMENTS(forms); i++) {
        memset(t->ram + OUT, 'a' + i, 1024);
        good(t, 0, forms[i].write, 1024, 0);
        good(t, 0, forms[i].read, 0, 1024);
        g_assert_cmpmem(t->ram + IN, 1024, t->ram + OUT, 1024);
    }
    /* READ (6) of 0 blocks are 256; others are none. More room than is asked for stays. */
    good(t, 0, CDB(0x08, 0, 0, 0, 0), 0, 256 * 512);
    g_assert_cmphex(t->ram[IN + 255 * 512 + 1], ==, (uint8_t)(255 + 1));
    good(t, 0, CDB(0x28), 0, 512);
    t->ram[IN + 512] = 0xee;
    good(t, 0, CDB(0x28, 0, 0, 0, 0, 100, 0, 0, 1), 0, 4096);
    g_assert_cmphex(t->ram[IN] << 8 | t->ram[IN + 512], ==, 100 << 8 | 0xee);
    /* A CD has blocks of 2048. */
    good(t, 1, CDB(0x28, 0, 0, 0, 0, 100, 0, 0, 1), 0, 2048);
    g_assert_cmphex(t->ram[IN + 512], ==, (uint8_t)401);
    refused(command(t, 1, 0, CDB(0x2a, 0, 0, 0, 0, 100, 0, 0, 1), 2048, 0), 5, 0x20, 0);
    refused(command(t, 2, 0, CDB(0x28, 0, 0, 0, 0, 100, 0, 0, 1), 0, 2048), 2, 0x3a, 0);
    scsi_free(s);
}

/* Blocks beyond the end, data that is too short, bits that nobody knows. */
static void test_bad_ranges(gconstpointer legacy)
{
    static const uint8_t bad[][16] = {
        { 0x08, 0x1f, 0xff, 0xff, 1 }, { 0x28, 0, 0, 0, 0x20, 0, 0, 0, 1 },
        { 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 2 }, { 0x28, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
        { 0xa8, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff },
        { 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1 },
        { 0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
        { 0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
        { 0x2f, 0, 0, 0, 0x20, 0, 0, 0, 1 }, { 0x35, 0, 0, 0, 0x20, 0, 0, 0, 1 },
        { 0x41, 0, 0, 0, 0x20, 0, 0, 0, 1 }, { 0x93, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 },
    };
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    Result r;

    settle(t);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        refused(command(t, 0, 0, bad[i], i < 8 ? 0 : 512, i < 8 ? 512 : 0), 5, 0x21, 0);
    }
    refused(command(t, 0, 0, CDB(0x28, 0x20, 0, 0, 0, 0, 0, 0, 1), 0, 512), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x2f, 2, 0, 0, 0, 0, 0, 0, 1), 512, 0), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x41), 512, 0), 5, 0x24, 0);
    r = command(t, 0, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2), 0, 1023);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_OVERRUN);
    r = command(t, 0, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 2), 1023, 0);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_OVERRUN);
    r = command(t, 0, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1), 0, 512);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_OVERRUN);
    r = command(t, 0, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 512, 512);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_FAILURE);
    scsi_free(s);
}

/* Every command with every value of some bytes, with data either way: it ends. */
static void test_all_commands(gconstpointer legacy)
{
    static const uint8_t fill[] = { 0x00, 0x01, 0x10, 0x3f, 0x7f, 0xff };
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    memset(t->ram + OUT, 0xff, 4096);
    for (unsigned op = 0; op < 256; op++) {
        for (unsigned i = 0; i < G_N_ELEMENTS(fill) * 9; i++) {
            uint8_t cdb[16];

            memset(cdb, fill[i % 6], sizeof(cdb));
            cdb[0] = op;
            cdb[1 + i % 3] = fill[i / 9];
            command(t, i / 6 % 3, i % 5 ? 0 : 3, cdb, i % 2 ? 4096 : 0, i % 2 ? 0 : 4096);
        }
    }
    g_assert_cmphex(vt_rd(t, VT_STATUS) & 0x40, ==, 0);
    scsi_free(s);
}

static void test_capacity(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    VTRing *events = &t->ring[1];
    struct virtio_scsi_event *event = (void *)(t->ram + 0x40000);
    int fd;

    settle(t);
    good(t, 0, CDB(0x25), 0, 8);
    g_assert_cmphex(be(t->ram + IN, 8), ==, 0x1fffull << 32 | 512);
    good(t, 1, CDB(0x25), 0, 8);
    g_assert_cmphex(be(t->ram + IN, 8), ==, 0x7ffull << 32 | 2048);
    good(t, 0, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 0, 32);
    g_assert_cmphex(be(t->ram + IN, 8), ==, 0x1fff);
    refused(command(t, 0, 0, CDB(0x9e, 0x11), 0, 32), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x25, 0, 1), 0, 8), 5, 0x24, 0);
    refused(command(t, 2, 0, CDB(0x25), 0, 8), 2, 0x3a, 0);
    /* It grows: an event, and the next command says so. */
    vt_add(events, &(VTBuf) { 0x40000, 16, true }, 1);
    fd = open(s->path, O_WRONLY);
    g_assert_cmpint(ftruncate(fd, 2 * IMAGE_SIZE), ==, 0);
    close(fd);
    g_assert_true(blk_truncate(blk_find("hd"), 2 * IMAGE_SIZE, NULL));
    VT_WAIT(t, vt_used(events));
    g_assert_cmphex(event->event, ==, VIRTIO_SCSI_T_PARAM_CHANGE);
    g_assert_cmphex(event->reason, ==, 0x092a);
    g_assert_cmpmem(event->lun, 4, ((uint8_t[]) { 1, 0, 0, 0 }), 4);
    refused(command(t, 0, 0, CDB(0), 0, 0), 6, 0x2a, 9);
    good(t, 0, CDB(0x25), 0, 8);
    g_assert_cmphex(be(t->ram + IN, 4), ==, 0x3fff);
    scsi_free(s);
}

static void test_mode_pages(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    uint8_t *out = t->ram + OUT;

    settle(t);
    good(t, 0, CDB(0x1a, 0, 0x3f, 0, 252), 0, 252);
    g_assert_cmphex(be(t->ram + IN, 4), ==, 0x2b001008);
    good(t, 0, CDB(0x5a, 8, 0x08, 0, 0, 0, 0, 0, 28), 0, 28);
    g_assert_cmphex(be(t->ram + IN + 8, 3), ==, 0x081204);
    good(t, 1, CDB(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 252), 0, 252);
    g_assert_cmphex(be(t->ram + IN + 8, 2), ==, 0x2a14);
    refused(command(t, 0, 0, CDB(0x1a, 0, 0xc8, 0, 252), 0, 252), 5, 0x39, 0);
    refused(command(t, 0, 0, CDB(0x1a, 0, 0x2a, 0, 252), 0, 252), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x1a, 0, 0x3f, 1, 252), 0, 252), 5, 0x24, 0);
    /* The cache goes off, which is all that can be changed. */
    memset(out, 0, 64);
    out[4] = 8;
    out[5] = 18;
    good(t, 0, CDB(0x15, 0x10, 0, 0, 24), 24, 0);
    g_assert_false(blk_get_write_cache(blk_find("hd")));
    good(t, 0, CDB(0x1a, 8, 0x08, 0, 24), 0, 24);
    g_assert_cmphex(t->ram[IN + 6], ==, 0);
    out[10] = 1;
    refused(command(t, 0, 0, CDB(0x15, 0x10, 0, 0, 24), 24, 0), 5, 0x26, 0);
    out[10] = 0;
    out[5] = 17;
    refused(command(t, 0, 0, CDB(0x15, 0x10, 0, 0, 24), 24, 0), 5, 0x26, 0);
    refused(command(t, 0, 0, CDB(0x15, 0x11, 0, 0, 24), 24, 0), 5, 0x24, 0);
    refused(command(t, 0, 0, CDB(0x15, 0x10, 0, 0, 3), 24, 0), 5, 0x1a, 0);
    out[3] = 255;
    refused(command(t, 0, 0, CDB(0x15, 0x10, 0, 0, 24), 24, 0), 5, 0x1a, 0);
    vt_wr(t, VT_STATUS, 0);
    g_assert_true(blk_get_write_cache(blk_find("hd")));
    scsi_free(s);
}

static void put_be(uint8_t *p, unsigned n, uint64_t v)
{
    while (n--) {
        p[n] = v;
        v >>= 8;
    }
}

static void test_unmap(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    uint8_t *out = t->ram + OUT;
    Result r;

    settle(t);
    memset(out, 0, 4096);
    put_be(out, 2, 6 + 200 * 16);
    put_be(out + 2, 2, 200 * 16);
    for (unsigned i = 0; i < 200; i++) {
        put_be(out + 8 + 16 * i, 8, i * 2);
        put_be(out + 16 + 16 * i, 4, i % 4);
    }
    r = command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0x0c, 0x88), 3208, 0);
    g_assert_cmphex(r.status, ==, 0);
    g_assert_cmpuint(fault.seen[BLOCK_OP_DISCARD], ==, 150);
    /* One that is beyond the end: none of them. */
    put_be(out + 8 + 16 * 199, 8, 1u << 20);
    refused(command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0x0c, 0x88), 3208, 0), 5, 0x21, 0);
    g_assert_cmpuint(fault.seen[BLOCK_OP_DISCARD], ==, 150);
    refused(command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 7), 64, 0), 5, 0x1a, 0);
    refused(command(t, 0, 3, CDB(0x42, 1, 0, 0, 0, 0, 0, 0, 24), 64, 0), 5, 0x24, 0);
    r = command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0xff, 0xff), 64, 0);
    g_assert_cmpuint(r.response, ==, VIRTIO_SCSI_S_OVERRUN);
    /* A list whose header promises more than there is ends where it ends. */
    put_be(out + 2, 2, 0xffff);
    r = command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 30), 30, 0);
    g_assert_cmphex(r.status, ==, 0);
    fault.error[BLOCK_OP_DISCARD] = EIO;
    refused(command(t, 0, 3, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 56), 56, 0), 3, 0x0c, 0);
    scsi_free(s);
}

static void test_write_same(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    settle(t);
    for (unsigned i = 0; i < 512; i++) {
        t->ram[OUT + i] = i / 3 + 1;
    }
    good(t, 0, CDB(0x41, 0, 0, 0, 0, 10, 0, 1, 0), 512, 0);
    good(t, 0, CDB(0x28, 0, 0, 0, 0, 9, 0, 1, 2), 0, 258 * 512);
    g_assert_cmphex(t->ram[IN], ==, 9);
    for (unsigned i = 0; i < 256; i++) {
        g_assert_cmpmem(t->ram + IN + 512 * (i + 1), 512, t->ram + OUT, 512);
    }
    g_assert_cmphex(t->ram[IN + 257 * 512], ==, (uint8_t)(10 + 256));
    /* Zeros are one request of the host's; without data they are zeros, too. */
    memset(t->ram + OUT, 0, 512);
    g_assert_cmphex(command(t, 0, 3, CDB(0x93, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99),
                            512, 0).status, ==, 0);
    g_assert_cmphex(command(t, 0, 3, CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99),
                            0, 0).status, ==, 0);
    g_assert_cmpuint(fault.seen[BLOCK_OP_WRITE_ZEROES], ==, 2);
    g_assert_cmpuint(fault.unmap, ==, 1);
    g_assert_cmpuint(command(t, 0, 3, CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 99),
                             511, 0).response, ==, VIRTIO_SCSI_S_OVERRUN);
    /* In the middle of many steps the host fails. */
    t->ram[OUT] = 1;
    fault.error[BLOCK_OP_WRITE] = ENOSPC;
    blk_set_error_policy(blk_find("bad"), false, "report", NULL);
    refused(command(t, 0, 3, CDB(0x41, 0, 0, 0, 0, 10, 0, 1, 0), 512, 0), 7, 0x27, 7);
    scsi_free(s);
}

static void test_flush(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    settle(t);
    g_assert_cmphex(command(t, 0, 3, CDB(0x35), 0, 0).status, ==, 0);
    g_assert_cmpuint(fault.seen[BLOCK_OP_FLUSH], ==, 1);
    command(t, 0, 3, CDB(0x2a, 8, 0, 0, 0, 1, 0, 0, 1), 512, 0);
    g_assert_cmpuint(fault.fua, ==, 1);
    command(t, 0, 3, CDB(0x2a, 0, 0, 0, 0, 1, 0, 0, 1), 512, 0);
    g_assert_cmpuint(fault.fua, ==, 1);
    fault.error[BLOCK_OP_FLUSH] = EIO;
    refused(command(t, 0, 3, CDB(0x91), 0, 0), 3, 0x0c, 0);
    fault.error[BLOCK_OP_READ] = EIO;
    refused(command(t, 0, 3, CDB(0x28, 0, 0, 0, 0, 1, 0, 0, 1), 0, 512), 3, 0x11, 0);
    scsi_free(s);
}

/* Headers in pieces of a byte, data beginning in the middle of a buffer. */
static void test_split(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "virtqueue_size=1024");
    VT *t = s->t;
    VTRing *r;
    VTBuf bufs[REQ_LEN + RESP_LEN + 2];
    unsigned n = 0;

    vt_negotiate(t, 0);
    for (unsigned q = 0; q < 2; q++) {
        vt_setup_queue(t, q, QUEUE);
    }
    r = vt_setup_queue(t, 2, 1024);
    vt_driver_ok(t);
    settle(t);
    put_header(t, 0, 0, 1, CDB(0x28, 0, 0, 0, 0, 7, 0, 0, 1), 16);
    for (unsigned i = 0; i < REQ_LEN; i++) {
        bufs[n++] = (VTBuf) { HDR + i, 1, false };
    }
    for (unsigned i = 0; i < RESP_LEN - 10; i++) {
        bufs[n++] = (VTBuf) { RESP + i, 1, true };
    }
    bufs[n++] = (VTBuf) { RESP + RESP_LEN - 10, 10 + 12, true };
    bufs[n++] = (VTBuf) { IN, 500, true };
    memset(t->ram + RESP, 0xee, RESP_LEN + 12);
    vt_add(r, bufs, n);
    vt_kick(t, r);
    g_assert_cmphex(result(t, 2).status, ==, 0);
    for (unsigned i = 12; i < RESP_LEN; i++) {
        g_assert_cmphex(t->ram[RESP + i], ==, 0);
    }
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(t->ram[i < 12 ? RESP + RESP_LEN + i : IN + i - 12], ==, (uint8_t)(7 + i));
    }
    scsi_free(s);
}

static void test_short_headers(gconstpointer legacy)
{
    static const struct { unsigned queue; VTBuf out, in; } bad[] = {
        { 2, { HDR, REQ_LEN - 1, false }, { RESP, RESP_LEN, true } },
        { 2, { HDR, REQ_LEN, false }, { RESP, RESP_LEN - 1, true } },
        { 0, { HDR, 3, false }, { RESP, 16, true } },
        { 0, { HDR, 4, false }, { RESP, 16, true } },
        { 0, { HDR, 23, false }, { RESP, 1, true } },
    };
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    memset(t->ram + HDR, 0, 64);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        start(t);
        vt_add(&t->ring[bad[i].queue], (VTBuf[]) { bad[i].out, bad[i].in }, 2);
        vt_kick(t, &t->ring[bad[i].queue]);
        vt_assert_needs_reset(t);
    }
    t->ram[HDR] = 99;                           /* a control request that nobody knows */
    start(t);
    vt_add(&t->ring[0], (VTBuf[]) { { HDR, 24, false }, { RESP, 5, true } }, 2);
    vt_kick(t, &t->ring[0]);
    vt_assert_needs_reset(t);
    start(t);
    good(t, 0, CDB(0x12, 0, 0, 0, 36), 0, 36);
    scsi_free(s);
}

/* The driver may choose other sizes of headers. */
static void test_sizes(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG + 20, 4), ==, 96);
    vt_wr_sized(t, VT_CONFIG + 20, 20, 4);      /* DRIVER_OK: too late */
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG + 20, 4), ==, 96);
    vt_negotiate(t, 0);
    vt_wr_sized(t, VT_CONFIG + 20, 4, 4);
    vt_wr_sized(t, VT_CONFIG + 24, 6, 4);
    vt_wr_sized(t, VT_CONFIG + 20, 70000, 4);
    vt_wr_sized(t, VT_CONFIG + 24, 0, 4);
    vt_wr_sized(t, VT_CONFIG + 24, 256, 4);
    vt_setup_queue(t, 2, QUEUE);
    vt_driver_ok(t);
    memset(t->ram + RESP, 0xee, 64);
    put_header(t, 0, 0, 1, CDB(0), 16);
    vt_add(&t->ring[2], (VTBuf[]) { { HDR, 19 + 6, false }, { RESP, 12 + 4, true } }, 2);
    vt_kick(t, &t->ring[2]);
    VT_WAIT(t, vt_used(&t->ring[2]));
    g_assert_cmpuint(t->ram[RESP], ==, 4);
    g_assert_cmphex(be(t->ram + RESP + 12, 4), ==, 0x70000600);
    g_assert_cmphex(t->ram[RESP + 16], ==, 0xee);
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG + 20, 4), ==, 96);
    scsi_free(s);
}

/* Task management --------------------------------------------------------------------------- */

static void add_function(VT *t, unsigned subtype, unsigned target, unsigned lun, uint64_t tag)
{
    struct virtio_scsi_ctrl_tmf_req req = {
        .subtype = subtype, .lun = { 1, target, 0, lun }, .tag = tag,
    };

    memcpy(t->ram + HDR + 0x100, &req, sizeof(req));
    t->ram[RESP + 0x100] = 0xee;
    vt_add(&t->ring[0], (VTBuf[]) { { HDR + 0x100, sizeof(req), false },
                                    { RESP + 0x100, 1, true } }, 2);
    vt_kick(t, &t->ring[0]);
}

static unsigned function(VT *t, unsigned subtype, unsigned target, unsigned lun, uint64_t tag)
{
    add_function(t, subtype, target, lun, tag);
    VT_WAIT(t, vt_used(&t->ring[0]));
    return t->ram[RESP + 0x100];
}

/* A read of the slow disk with a tag; where its answer goes depends on the tag. */
static void add_slow(VT *t, uint64_t tag)
{
    struct virtio_scsi_cmd_req req = {
        .lun = { 1, 0, 0, 3 }, .tag = tag, .cdb = { 8, 0, 0, 0, 1 },
    };

    memcpy(t->ram + 0x50000 + tag * 256, &req, REQ_LEN);
    memset(t->ram + 0x60000 + tag * 1024, 0xee, 1024);
    vt_add(&t->ring[2], (VTBuf[]) { { 0x50000 + tag * 256, REQ_LEN, false },
                                    { 0x60000 + tag * 1024, RESP_LEN + 512, true } }, 2);
    vt_kick(t, &t->ring[2]);
}

static unsigned slow_response(VT *t, unsigned tag)
{
    return t->ram[0x60000 + tag * 1024 + 11];
}

static void test_tasks(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    settle(t);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 9, 0, 1), ==, 3);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 7, 1), ==, 12);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_CLEAR_ACA, 0, 0, 1), ==, 11);
    g_assert_cmpuint(function(t, 0xffffffff, 0, 0, 1), ==, 11);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 0, 1), ==, 0);
    fault.held = 1;
    for (unsigned tag = 1; tag <= 4; tag++) {
        add_slow(t, tag);
    }
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 3, 2), ==, 10);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 3, 9), ==, 0);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 0, 2), ==, 0);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 3, 0), ==, 10);
    /* It is answered when the command has ended, not before. */
    add_function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 3, 2);
    add_function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 3, 2);
    vt_poll(t);
    g_assert_null(vt_used(&t->ring[0]));
    __atomic_store_n(&fault.held, 0, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < 2; i++) {
        VT_WAIT(t, vt_used(&t->ring[0]));
    }
    g_assert_cmpuint(slow_response(t, 2), ==, VIRTIO_SCSI_S_ABORTED);
    for (unsigned i = 0; i < 4; i++) {
        VT_WAIT(t, vt_used(&t->ring[2]));
    }
    g_assert_cmpuint(slow_response(t, 1) + slow_response(t, 3) + slow_response(t, 4), ==, 0);
    /* A reset of the unit takes all, and the next command tells of it. */
    fault.held = 1;
    add_slow(t, 5);
    add_slow(t, 6);
    add_function(t, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 3, 0);
    __atomic_store_n(&fault.held, 0, __ATOMIC_SEQ_CST);
    VT_WAIT(t, vt_used(&t->ring[0]));
    g_assert_cmpuint(slow_response(t, 5) + slow_response(t, 6), ==, 2 * VIRTIO_SCSI_S_ABORTED);
    for (unsigned i = 0; i < 2; i++) {
        VT_WAIT(t, vt_used(&t->ring[2]));
    }
    refused(command(t, 0, 3, CDB(0), 0, 0), 6, 0x29, 0);
    good(t, 0, CDB(0), 0, 0);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, 0, 9, 0), ==, 0);
    refused(command(t, 0, 0, CDB(0), 0, 0), 6, 0x29, 0);
    scsi_free(s);
}

static void test_subscription(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;

    memset(t->ram + HDR, 0, 16);
    t->ram[HDR] = VIRTIO_SCSI_T_AN_SUBSCRIBE;
    memset(t->ram + RESP, 0xee, 8);
    vt_add(&t->ring[0], (VTBuf[]) { { HDR, 16, false }, { RESP, 5, true } }, 2);
    vt_kick(t, &t->ring[0]);
    VT_WAIT(t, vt_used(&t->ring[0]));
    g_assert_cmphex(be(t->ram + RESP, 6), ==, 0xee);
    scsi_free(s);
}

/* A reset while the host works, and while tasks wait for it: nothing comes late. */
static void test_reset(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "iothread=io0");
    VT *t = s->t;

    settle(t);
    fault.held = 1;
    add_slow(t, 1);
    add_function(t, VIRTIO_SCSI_T_TMF_ABORT_TASK, 0, 3, 1);
    __atomic_store_n(&fault.held, 0, __ATOMIC_SEQ_CST);
    vt_wr(t, VT_STATUS, 0);
    memset(t->ram + 0x60000, 0xee, 4096);
    start(t);
    g_assert_cmphex(t->ram[0x60000 + 1024], ==, 0xee);
    settle(t);
    good(t, 0, CDB(0), 0, 0);
    g_assert_cmpuint(function(t, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 3, 0), ==, 0);
    scsi_free(s);
}

/* What stops the machine is tried again, in the middle of its steps; or its disk has gone. */
static void test_stop(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    Result r;

    settle(t);
    blk_set_error_policy(blk_find("bad"), false, "stop", NULL);
    for (unsigned i = 0; i < 2; i++) {
        fault.error[BLOCK_OP_WRITE] = ENOSPC;
        t->ram[OUT] = 1;
        put_header(t, 0, 3, 1, CDB(0x41, 0, 0, 0, 0, 10, 0, 0, 100), 16);
        add_command(t, 2, 512, 0);
        vt_kick(t, &t->ring[2]);
        VT_WAIT(t, !runstate_is_running(t->ms));
        g_assert_null(vt_used(&t->ring[2]));
        fault.error[BLOCK_OP_WRITE] = 0;
        if (i) {
            qdev_unrealize(qdev_find(t->ms, "b"));
        }
        vm_start(t->ms);
        r = result(t, 2);
        g_assert_cmpuint(r.response, ==, i ? VIRTIO_SCSI_S_BAD_TARGET : VIRTIO_SCSI_S_OK);
        g_assert_cmphex(r.status, ==, 0);
    }
    scsi_free(s);
}

static void test_hotplug(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    struct virtio_scsi_event *event = (void *)(t->ram + 0x40000);

    settle(t);
    qdev_unrealize(qdev_find(t->ms, "c"));      /* without a buffer for the event */
    g_assert_cmpuint(command(t, 1, 0, CDB(0), 0, 0).response, ==, VIRTIO_SCSI_S_BAD_TARGET);
    vt_add(&t->ring[1], &(VTBuf) { 0x40000, 16, true }, 1);
    vt_kick(t, &t->ring[1]);
    VT_WAIT(t, vt_used(&t->ring[1]));
    g_assert_cmphex(event->event, ==, VIRTIO_SCSI_T_EVENTS_MISSED);
    vt_add(&t->ring[1], &(VTBuf) { 0x40000, 16, true }, 1);
    vt_kick(t, &t->ring[1]);
    add(t, "scsi-cd,bus=dut.0,scsi-id=0,lun=300,id=e", NULL);
    VT_WAIT(t, vt_used(&t->ring[1]));
    g_assert_cmphex(event->event << 8 | event->reason, ==,
                    VIRTIO_SCSI_T_TRANSPORT_RESET << 8 | VIRTIO_SCSI_EVT_RESET_RESCAN);
    g_assert_cmpmem(event->lun, 4, ((uint8_t[]) { 1, 0, 0x41, 44 }), 4);
    refused(command(t, 0, 0, CDB(0), 0, 0), 6, 0x3f, 0x0e);
    refused(command(t, 0, 300, CDB(0), 0, 0), 6, 0x29, 0);
    vt_add(&t->ring[1], &(VTBuf) { 0x40000, 15, true }, 1);
    qdev_unrealize(qdev_find(t->ms, "e"));
    vt_assert_needs_reset(t);
    scsi_free(s);
}

/* A disk goes while its host works: the command ends first. */
static void test_unplug_busy(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "iothread=io0");
    VT *t = s->t;

    settle(t);
    for (unsigned tag = 1; tag <= 8; tag++) {
        add_slow(t, tag);
    }
    qdev_unrealize(qdev_find(t->ms, "b"));
    for (unsigned tag = 1; tag <= 8; tag++) {
        VT_WAIT(t, vt_used(&t->ring[2]));
        g_assert_true(slow_response(t, tag) == VIRTIO_SCSI_S_OK ||
                      slow_response(t, tag) == VIRTIO_SCSI_S_BAD_TARGET);
    }
    good(t, 0, CDB(0x12, 0, 0, 0, 36), 0, 36);
    scsi_free(s);
}

static void test_cd(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "");
    VT *t = s->t;
    const uint8_t *in = t->ram + IN;

    settle(t);
    good(t, 1, CDB(0x43, 2, 0, 0, 0, 0, 0, 0, 20), 0, 20);
    g_assert_cmpmem(in, 20, ((uint8_t[]) { 0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0,
                                           0, 0x14, 0xaa, 0, 0, 0, 29, 23 }), 20);
    good(t, 1, CDB(0x43, 0, 1, 0, 0, 0, 0, 0, 12), 0, 12);
    refused(command(t, 1, 0, CDB(0x43, 0, 2, 0, 0, 0, 0, 0, 12), 0, 12), 5, 0x24, 0);
    good(t, 1, CDB(0x46, 0, 0, 0, 0, 0, 0, 0, 252), 0, 252);
    g_assert_cmphex(be(in + 4, 4), ==, 0x08);
    good(t, 1, CDB(0x46, 2, 0, 0x1e, 0, 0, 0, 0, 252), 0, 252);
    g_assert_cmphex(be(in, 4), ==, 12);
    good(t, 1, CDB(0x51, 0, 0, 0, 0, 0, 0, 0, 34), 0, 34);
    /* The tray: locked, open, closed. */
    good(t, 1, CDB(0x1e, 0, 0, 0, 1), 0, 0);
    refused(command(t, 1, 0, CDB(0x1b, 0, 0, 0, 2), 0, 0), 5, 0x53, 2);
    good(t, 1, CDB(0x1e), 0, 0);
    good(t, 1, CDB(0x1b, 0, 0, 0, 2), 0, 0);
    refused(command(t, 1, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 2048), 2, 0x3a, 2);
    good(t, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0, 8);
    g_assert_cmpmem(in, 8, ((uint8_t[]) { 0, 6, 4, 0x10, 3, 1, 0, 0 }), 8);
    good(t, 1, CDB(0x1b, 0, 0, 0, 3), 0, 0);
    refused(command(t, 1, 0, CDB(0), 0, 0), 6, 0x28, 0);
    good(t, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8), 0, 8);
    g_assert_cmphex(be(in + 4, 2), ==, 0x0202);
    good(t, 1, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1), 0, 2048);
    refused(command(t, 1, 0, CDB(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8), 0, 8), 5, 0x24, 0);
    scsi_free(s);
}

static void test_options(gconstpointer legacy)
{
    static const char *const rows[][2] = {
        { "scsi-hd,drive=hd", "Drive 'hd' is already in use by another device" },
        { "scsi-hd", "drive property not set" },
        { "scsi-hd,drive=x", "Property 'scsi-hd.drive' can't find value 'x'" },
        { "scsi-cd,scsi-id=256", "bad scsi device id: 256" },
        { "scsi-cd,channel=1", "bad scsi channel id: 1" },
        { "scsi-cd,lun=16384", "bad scsi device lun: 16384" },
        { "scsi-cd,scsi-id=0,lun=3", "lun already used by 'b'" },
        { "scsi-cd,vendor=123456789", "vendor is longer than 8 characters" },
        { "scsi-cd,bus=virtio-mmio-bus.0", "Device 'scsi-cd' can't go on virtio-bus bus" },
        { "scsi-cd,rotation_rate=1", "Property 'scsi-cd.rotation_rate' not found" },
        { "scsi-cd,logical_block_size=513", "logical_block_size and physical_block_size must be "
          "powers of 2 between 512 and 2097152" },
    };
    Scsi *s = scsi_new(legacy, "");
    VT *t;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        add(s->t, rows[i][0], rows[i][1]);
    }
    for (unsigned i = 3; i < 256; i++) {
        add(s->t, "scsi-cd", NULL);
    }
    add(s->t, "scsi-cd", "no free target");
    add(s->t, "scsi-cd,scsi-id=0", NULL);       /* LUN 1 */
    scsi_free(s);
    t = vt_new(legacy != NULL);
    {
        const DeviceClass *dc = (const DeviceClass *)object_class_by_name(device_classes,
                                                                          "virtio-scsi-device");
        g_autofree char *queues = vt_plug_error(t, dc, "num_queues=1023");
        g_autofree char *size = vt_plug_error(t, dc, "virtqueue_size=48");

        g_assert_nonnull(strstr(queues, "Invalid number of queues (= 1023)"));
        g_assert_nonnull(strstr(size, "must be a power of 2"));
    }
    vt_free(t);
}

static void test_queues(gconstpointer legacy)
{
    Scsi *s = scsi_new(legacy, "num_queues=2,iothread=io0");
    VT *t = s->t;

    settle(t);
    for (unsigned i = 0; i < 1000; i++) {
        put_header(t, 0, 0, i, CDB(0x28, 0, 0, 0, 0, 7, 0, 0, 1), 16);
        memset(t->ram + RESP, 0xee, RESP_LEN);
        add_command(t, 2 + i % 2, 0, 512);
        vt_kick(t, &t->ring[2 + i % 2]);
        g_assert_cmphex(result(t, 2 + i % 2).status, ==, 0);
    }
    scsi_free(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/virtio-scsi/attention", test_attention);
    vt_add_test("/virtio-scsi/inquiry", test_inquiry);
    vt_add_test("/virtio-scsi/luns", test_luns);
    vt_add_test("/virtio-scsi/read-write", test_read_write);
    vt_add_test("/virtio-scsi/bad-ranges", test_bad_ranges);
    vt_add_modern_test("/virtio-scsi/all-commands", test_all_commands);
    vt_add_test("/virtio-scsi/capacity", test_capacity);
    vt_add_test("/virtio-scsi/mode-pages", test_mode_pages);
    vt_add_test("/virtio-scsi/unmap", test_unmap);
    vt_add_test("/virtio-scsi/write-same", test_write_same);
    vt_add_test("/virtio-scsi/flush", test_flush);
    vt_add_test("/virtio-scsi/split", test_split);
    vt_add_test("/virtio-scsi/short-headers", test_short_headers);
    vt_add_test("/virtio-scsi/sizes", test_sizes);
    vt_add_test("/virtio-scsi/tasks", test_tasks);
    vt_add_test("/virtio-scsi/subscription", test_subscription);
    vt_add_test("/virtio-scsi/reset", test_reset);
    vt_add_test("/virtio-scsi/stop", test_stop);
    vt_add_test("/virtio-scsi/hotplug", test_hotplug);
    vt_add_test("/virtio-scsi/unplug-busy", test_unplug_busy);
    vt_add_test("/virtio-scsi/cd", test_cd);
    vt_add_test("/virtio-scsi/options", test_options);
    vt_add_test("/virtio-scsi/queues", test_queues);
    return g_test_run();
}
