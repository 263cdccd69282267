/*
 * The 9P device: messages beside the loop, the order that flushes ask for, resets while a disk is
 * slow, hostile drivers.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "hw/9pfs/9p.h"
#include "qemu/le.h"
#include "slow-disk.h"
#include "virtio-harness.h"

#define T_BASE 0x400000         /* messages and answers, by number */
#define R_BASE 0x600000
#define SIZE   0x1000
#define SLOTS  64
#define ROOT   100u
#define FILE_FID 101u
#define THREADS 8

static char *dir;

static gpointer release_later(gpointer data)
{
    g_usleep(100000);
    slow_disk_hold(false);
    return NULL;
}

static const DeviceClass *device(void)
{
    return (const DeviceClass *)object_class_by_name(device_classes, "virtio-9p-device");
}

static void put(uint8_t **p, uint64_t value, unsigned size)
{
    st_le(*p, value, size);
    *p += size;
}

/* Make a message available, with its tag: d, q, w, b and s as in the protocol. Its head. */
static unsigned post(VT *t, VTRing *r, uint8_t type, uint16_t tag, const char *format, ...)
{
    unsigned slot = r->avail->idx % SLOTS;
    uint8_t *begin = t->ram + T_BASE + slot * SIZE, *p = begin + 4;
    va_list ap;

    put(&p, type, 1);
    put(&p, tag, 2);
    va_start(ap, format);
    for (; *format; format++) {
        if (*format == 's') {
            const char *s = va_arg(ap, const char *);

            put(&p, strlen(s), 2);
            memcpy(p, s, strlen(s));
            p += strlen(s);
        } else if (*format == 'q') {
            put(&p, va_arg(ap, uint64_t), 8);
        } else {
            put(&p, va_arg(ap, unsigned), *format == 'd' ? 4 : *format == 'w' ? 2 : 1);
        }
    }
    va_end(ap);
    st_le(begin, p - begin, 4);
    memset(t->ram + R_BASE + slot * SIZE, 0, 16);
    return vt_add(r, (VTBuf []) { { T_BASE + slot * SIZE, p - begin, false },
                                  { R_BASE + slot * SIZE, SIZE, true } }, 2);
}

/* The next used buffer's answer: its tag; *type and *len as the device said. */
static int next(VT *t, VTRing *r, uint8_t *type, uint32_t *len)
{
    const struct vring_used_elem *e = vt_used(r);
    uint8_t *answer;

    if (!e) {
        return -1;
    }
    /* Descriptors are taken two by two, the second is the answer's. */
    answer = t->ram + r->desc[r->desc[e->id].next].addr;
    *len = e->len;
    *type = answer[4];
    return ld_le(answer + 5, 2);
}

static int wait_next(VT *t, VTRing *r, uint8_t *type, uint32_t *len)
{
    int tag;

    VT_WAIT(t, (tag = next(t, r, type, len)) >= 0);
    return tag;
}

static void expect(VT *t, VTRing *r, int tag, uint8_t type)
{
    uint8_t got;
    uint32_t len;

    g_assert_cmpint(wait_next(t, r, &got, &len), ==, tag);
    g_assert_cmpuint(got, ==, type);
    g_assert_cmpuint(len, >=, 7);
}

/* A session with a file that is open. */
static VTRing *begin(VT *t)
{
    VTRing *r = vt_start(t, 0, 128);

    post(t, r, P9_TVERSION, 0xffff, "ds", 65536, "9P2000.L");
    vt_kick(t, r);
    expect(t, r, 0xffff, P9_TVERSION + 1);
    post(t, r, P9_TATTACH, 1, "ddssd", ROOT, ~0u, "", "", 0);
    vt_kick(t, r);
    expect(t, r, 1, P9_TATTACH + 1);
    post(t, r, P9_TWALK, 1, "ddw", ROOT, FILE_FID, 0);
    vt_kick(t, r);
    expect(t, r, 1, P9_TWALK + 1);
    post(t, r, P9_TLCREATE, 1, "dsddd", FILE_FID, "file", O_RDWR, 0600, 0);
    vt_kick(t, r);
    expect(t, r, 1, P9_TLCREATE + 1);
    return r;
}

static VT *new_9p(gconstpointer legacy, VTRing **r)
{
    static unsigned n;
    VT *t = vt_new(legacy != NULL);
    g_autofree char *text = g_strdup_printf("local,id=v%u,path=%s,security_model=none", ++n, dir);
    g_autofree char *props = g_strdup_printf("fsdev=v%u,mount_tag=the-tag", n);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "fsdriver", NULL);

    g_assert_true(fsdev_add(opts, NULL));
    vt_plug(t, device(), props);
    *r = begin(t);
    return t;
}

static void test_device(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);

    g_assert_cmpuint(vt_rd(t, VT_DEVICE_ID), ==, VIRTIO_ID_9P);
    g_assert_cmpuint(vt_offered(t) & 1, ==, 1);
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG, 2), ==, 7);
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG + 2, 1), ==, 't');
    g_assert_cmpuint(vt_rd_sized(t, VT_CONFIG + 8, 1), ==, 'g');
    vt_free(t);
}

/* Another message is served while the disk is slow. */
static void test_beside(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);

    slow_disk_hold(true);
    post(t, r, P9_TFSYNC, 5, "dd", FILE_FID, 0);
    vt_kick(t, r);
    slow_disk_wait(1);
    for (unsigned i = 0; i < 20; i++) {
        post(t, r, P9_TGETATTR, 6, "dq", FILE_FID, UINT64_C(0x7ff));
        vt_kick(t, r);
        expect(t, r, 6, P9_TGETATTR + 1);
    }
    slow_disk_hold(false);
    expect(t, r, 5, P9_TFSYNC + 1);
    vt_free(t);
}

/* The answer of what is being done comes first; a flush of a flush comes last. */
static void test_flush_running(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);
    uint8_t type;
    uint32_t len;

    slow_disk_hold(true);
    post(t, r, P9_TFSYNC, 5, "dd", FILE_FID, 0);
    vt_kick(t, r);
    slow_disk_wait(1);
    post(t, r, P9_TFLUSH, 6, "w", 5);
    post(t, r, P9_TFLUSH, 7, "w", 5);
    post(t, r, P9_TFLUSH, 8, "w", 6);
    post(t, r, P9_TGETATTR, 9, "dq", FILE_FID, UINT64_C(0x7ff));
    /* Of what is not there: answered at once, as the last is. */
    post(t, r, P9_TFLUSH, 10, "w", 77);
    vt_kick(t, r);
    for (unsigned i = 0; i < 2; i++) {
        int tag = wait_next(t, r, &type, &len);

        g_assert_true(tag == 9 || tag == 10);
    }
    vt_poll(t);
    g_assert_cmpint(next(t, r, &type, &len), ==, -1);
    slow_disk_hold(false);
    expect(t, r, 5, P9_TFSYNC + 1);
    expect(t, r, 6, P9_TFLUSH + 1);
    expect(t, r, 7, P9_TFLUSH + 1);
    expect(t, r, 8, P9_TFLUSH + 1);
    vt_free(t);
}

/* What no thread has yet is not done, and has no answer. */
static void test_flush_queued(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);
    uint8_t type;
    uint32_t len;

    slow_disk_hold(true);
    for (unsigned i = 0; i < THREADS; i++) {
        post(t, r, P9_TFSYNC, 20 + i, "dd", FILE_FID, 0);
    }
    vt_kick(t, r);
    slow_disk_wait(THREADS);
    post(t, r, P9_TMKDIR, 5, "dsdd", ROOT, "flushed", 0700, 0);
    post(t, r, P9_TFLUSH, 6, "w", 5);
    vt_kick(t, r);
    g_assert_cmpint(wait_next(t, r, &type, &len), ==, 0);
    g_assert_cmpuint(len, ==, 0);
    expect(t, r, 6, P9_TFLUSH + 1);
    slow_disk_hold(false);
    for (unsigned i = 0; i < THREADS; i++) {
        g_assert_cmpint(wait_next(t, r, &type, &len), >=, 20);
    }
    post(t, r, P9_TWALK, 7, "ddws", ROOT, 50, 1, "flushed");
    vt_kick(t, r);
    expect(t, r, 7, P9_RLERROR);
    vt_free(t);
}

/* A new session waits for what the old one does. */
static void test_version(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);

    slow_disk_hold(true);
    post(t, r, P9_TFSYNC, 5, "dd", FILE_FID, 0);
    vt_kick(t, r);
    slow_disk_wait(1);
    post(t, r, P9_TVERSION, 0xffff, "ds", 8192, "9P2000.L");
    post(t, r, P9_TGETATTR, 6, "dq", FILE_FID, UINT64_C(0x7ff));
    vt_kick(t, r);
    vt_poll(t);
    g_assert_cmpuint(r->used->idx, ==, r->last_used);
    slow_disk_hold(false);
    expect(t, r, 5, P9_TFSYNC + 1);
    expect(t, r, 0xffff, P9_TVERSION + 1);
    expect(t, r, 6, P9_RLERROR);
    vt_free(t);
}

/* While the disk is slow and messages wait: nothing is written to memory afterwards. */
static void test_reset(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);

    for (unsigned round = 0; round < 3; round++) {
        GThread *thread;

        slow_disk_hold(true);
        for (unsigned i = 0; i < 2 * THREADS; i++) {
            post(t, r, P9_TFSYNC, i, "dd", FILE_FID, 0);
        }
        post(t, r, P9_TFLUSH, 50, "w", 0);
        post(t, r, P9_TFLUSH, 51, "w", 2 * THREADS - 1);
        vt_kick(t, r);
        slow_disk_wait(THREADS);
        thread = g_thread_new("release", release_later, NULL);
        vt_wr(t, VT_STATUS, 0);
        g_thread_join(thread);
        memset(t->ram + R_BASE, 0x55, SLOTS * SIZE);
        vt_poll(t);
        for (unsigned i = 0; i < SLOTS * SIZE; i++) {
            g_assert_cmpuint(t->ram[R_BASE + i], ==, 0x55);
        }
        r = begin(t);
    }
    slow_disk_hold(true);
    post(t, r, P9_TFSYNC, 1, "dd", FILE_FID, 0);
    vt_kick(t, r);
    slow_disk_wait(1);
    g_thread_unref(g_thread_new("release", release_later, NULL));
    vt_free(t);
}

/* Messages that are none, and no room for an answer. */
static void test_malformed(gconstpointer legacy)
{
    static const struct {
        uint32_t size, out, in;
    } cases[] = {
        { 0, 20, 100 }, { 3, 20, 100 }, { 6, 20, 100 }, { 21, 20, 100 }, { ~0u, 20, 100 },
        { 6, 6, 100 }, { 19, 19, 10 }, { 19, 19, 0 }, { 7, 7, 100 }, { 18, 18, 100 },
        { 19, 19, 40 },         /* an answer of 160 bytes */
    };
    VTRing *r;
    VT *t = new_9p(legacy, &r);

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        uint8_t *p = t->ram + T_BASE;

        put(&p, cases[i].size, 4);
        put(&p, P9_TGETATTR, 1);
        put(&p, 5, 2);
        put(&p, FILE_FID, 4);
        put(&p, 0x7ff, 8);
        vt_add(r, (VTBuf []) { { T_BASE, cases[i].out, false }, { R_BASE, cases[i].in, true } },
               cases[i].in ? 2 : 1);
        vt_kick(t, r);
        VT_WAIT(t, vt_rd(t, VT_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
        vt_assert_needs_reset(t);
        vt_wr(t, VT_STATUS, 0);
        r = begin(t);
    }
    vt_free(t);
}

/* A read into buffers of all sizes; as many messages as the queue takes, with one tag. */
static void test_pieces(gconstpointer legacy)
{
    VTRing *r;
    VT *t = new_9p(legacy, &r);
    VTBuf buf[60] = { { T_BASE, 23, false } };
    uint8_t *p, type;
    uint32_t len;

    p = t->ram + T_BASE;
    put(&p, 23 + 1000, 4);
    put(&p, P9_TWRITE, 1);
    put(&p, 5, 2);
    put(&p, FILE_FID, 4);
    put(&p, 0, 8);
    put(&p, 1000, 4);
    for (unsigned i = 0; i < 1000; i++) {
        p[i] = i * 7;
    }
    buf[0].len = 5;
    buf[1] = (VTBuf) { T_BASE + 5, 20, false };
    for (unsigned i = 0; i < 50; i++) {
        buf[2 + i] = (VTBuf) { T_BASE + 25 + 20 * i, i == 49 ? 18 : 20, false };
    }
    buf[52] = (VTBuf) { R_BASE, 100, true };
    vt_add(r, buf, 53);
    vt_kick(t, r);
    VT_WAIT(t, r->used->idx != r->last_used);
    next(t, r, &type, &len);
    g_assert_cmpuint(len, ==, 11);
    g_assert_cmpuint(t->ram[R_BASE + 4], ==, P9_TWRITE + 1);
    g_assert_cmpuint(ld_le(t->ram + R_BASE + 7, 4), ==, 1000);
    r->next_desc = 0;
    p = t->ram + T_BASE;
    put(&p, 23, 4);
    put(&p, P9_TREAD, 1);
    put(&p, 6, 2);
    put(&p, FILE_FID, 4);
    put(&p, 100, 8);
    put(&p, 5000, 4);
    buf[0].len = 23;
    for (unsigned i = 1; i < 60; i++) {
        buf[i] = (VTBuf) { R_BASE + 3 * (i - 1), 3, true };
    }
    vt_add(r, buf, 60);
    vt_kick(t, r);
    VT_WAIT(t, r->used->idx != r->last_used);
    next(t, r, &type, &len);
    g_assert_cmpuint(len, ==, 59 * 3);
    p = t->ram + R_BASE;
    g_assert_cmpuint(ld_le(p, 4), ==, len);
    g_assert_cmpuint(p[4], ==, P9_TREAD + 1);
    g_assert_cmpuint(ld_le(p + 7, 4), ==, len - 11);
    for (unsigned i = 0; i < len - 11; i++) {
        g_assert_cmpuint(p[11 + i], ==, (uint8_t)((100 + i) * 7));
    }
    r->next_desc = 0;
    for (unsigned i = 0; i < 60; i++) {
        post(t, r, P9_TGETATTR, 9, "dq", FILE_FID, UINT64_C(0x7ff));
    }
    vt_kick(t, r);
    for (unsigned i = 0; i < 60; i++) {
        expect(t, r, 9, P9_TGETATTR + 1);
    }
    vt_free(t);
}

static void test_options(gconstpointer legacy)
{
    static const char *const bad[][2] = {
        { "mount_tag=x", "9pfs device couldn't find fsdev with the id = NULL" },
        { "fsdev=none,mount_tag=x", "9pfs device couldn't find fsdev with the id = none" },
        { "fsdev=v1", "fsdev with id v1 needs mount_tag arguments" },
        { "fsdev=v1,mount_tag=0123456789012345678901234567890123",
          "mount tag '0123456789012345678901234567890123' (34 bytes) is longer than maximum "
          "(31 bytes)" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        VT *t = vt_new(false);
        g_autofree char *error = vt_plug_error(t, device(), bad[i][0]);

        g_assert_cmpstr(error, ==, bad[i][1]);
        vt_free(t);
    }
}

int main(int argc, char **argv)
{
    g_autofree char *file = NULL;
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("9p-XXXXXX", NULL);
    vt_add_test("/virtio-9p/device", test_device);
    vt_add_test("/virtio-9p/beside", test_beside);
    vt_add_test("/virtio-9p/flush-running", test_flush_running);
    vt_add_test("/virtio-9p/flush-queued", test_flush_queued);
    vt_add_modern_test("/virtio-9p/version", test_version);
    vt_add_test("/virtio-9p/reset", test_reset);
    vt_add_modern_test("/virtio-9p/malformed", test_malformed);
    vt_add_modern_test("/virtio-9p/pieces", test_pieces);
    vt_add_modern_test("/virtio-9p/options", test_options);
    ret = g_test_run();
    file = g_build_filename(dir, "file", NULL);
    unlink(file);
    rmdir(dir);
    return ret;
}
