/*
 * The virtio entropy device and its sources. Names begin with the number of the
 * case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio-harness.h"

#define BUF 0x10000
#define BIG 0x800000

static char *tmpdir;

static const DeviceClass *rng_class(void)
{
    return (const DeviceClass *)object_class_by_name(device_classes, "virtio-rng-device");
}

static void add_object(VT *t, const char *text)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "qom-type", &err);

    if (!machine_add_object(t->ms, opts, &err)) {
        g_error("%s", error_get_pretty(err));
    }
}

/* A device on a file; NULL: on the built-in source. */
static VT *new_rng(gconstpointer legacy, const char *file, const char *options)
{
    VT *t = vt_new(legacy != NULL);

    if (file) {
        g_autofree char *text = g_strdup_printf("rng-random,id=r,filename=%s", file);
        g_autofree char *all = g_strdup_printf("rng=r,%s", options);

        add_object(t, text);
        vt_plug(t, rng_class(), all);
    } else {
        vt_plug(t, rng_class(), options);
    }
    return t;
}

static void free_rng(VT *t)
{
    GPtrArray *objects = g_ptr_array_ref(t->ms->objects);
    g_autoptr(GPtrArray) all = g_ptr_array_new();

    for (guint i = 0; i < objects->len; i++) {
        g_ptr_array_add(all, objects->pdata[i]);
    }
    g_ptr_array_set_size(objects, 0);
    vt_free(t);
    for (guint i = 0; i < all->len; i++) {
        object_free(all->pdata[i]);
    }
    g_ptr_array_unref(objects);
}

static void ask(VT *t, VTRing *r, uint64_t addr, uint32_t len)
{
    vt_add(r, &(VTBuf) { addr, len, true }, 1);
    vt_kick(t, r);
}

/* The next answer's length, waiting for it. */
static uint32_t answer(VT *t, VTRing *r)
{
    const struct vring_used_elem *used = NULL;

    VT_WAIT(t, (used = vt_used(r)));
    return used->len;
}

static char *temp_file(const char *name, const char *data, gssize len)
{
    char *path = g_build_filename(tmpdir, name, NULL);

    g_assert_true(g_file_set_contents(path, data, len, NULL));
    return path;
}

static char *temp_fifo(const char *name)
{
    char *path = g_build_filename(tmpdir, name, NULL);

    unlink(path);
    g_assert_cmpint(mkfifo(path, 0600), ==, 0);
    return path;
}

/* Run the loop for some time; how often it went round. */
static unsigned spin(unsigned ms)
{
    gint64 end = g_get_monotonic_time() + ms * 1000;
    unsigned n = 0;

    while (g_get_monotonic_time() < end) {
        n += g_main_context_iteration(NULL, FALSE);
        g_usleep(100);
    }
    return n;
}

static void test_good(gconstpointer legacy)
{
    VT *t = new_rng(legacy, NULL, "");
    VTRing *r = vt_start(t, 0, 8);
    g_autofree uint8_t *first = NULL;
    unsigned histogram[256] = { 0 };

    g_assert_cmphex(vt_offered(t) & 0xffffff, ==, 0);
    g_assert_cmpint(vt_rd(t, VT_DEVICE_ID), ==, 4);
    for (unsigned len = 1; len <= 4096; len *= 4) {
        memset(t->ram + BUF, 0, len + 1);
        ask(t, r, BUF, len);
        g_assert_cmpuint(answer(t, r), ==, len);
        g_assert_cmphex(t->ram[BUF + len], ==, 0);
    }
    first = g_memdup2(t->ram + BUF, 4096);
    ask(t, r, BUF, 4096);
    g_assert_cmpuint(answer(t, r), ==, 4096);
    g_assert_cmpint(memcmp(first, t->ram + BUF, 4096), !=, 0);
    /* 256 KiB in all: each value about 1024 times. */
    for (int i = 0; i < 4; i++) {
        ask(t, r, BIG, 65536);
        g_assert_cmpuint(answer(t, r), ==, 65536);
        for (int n = 0; n < 65536; n++) {
            histogram[t->ram[BIG + n]]++;
        }
    }
    for (int i = 0; i < 256; i++) {
        g_assert_cmpuint(histogram[i], >, 700);
        g_assert_cmpuint(histogram[i], <, 1400);
    }
    free_rng(t);
}

/* However much is asked for, 64 KiB come; and all buffers are filled in order. */
static void test_large(gconstpointer legacy)
{
    VT *t = new_rng(legacy, "/dev/zero", "");
    VTRing *r = vt_start(t, 0, 8);
    VTBuf bufs[3] = { { BIG, 10, true }, { BIG + 100, 65000, true },
                      { BIG + 0x20000, 4 << 20, true } };

    memset(t->ram + BIG, 0xee, 8 << 20);
    vt_add(r, bufs, 3);
    vt_kick(t, r);
    g_assert_cmpuint(answer(t, r), ==, 65536);
    for (int i = 0; i < 65000; i++) {
        g_assert_cmphex(t->ram[BIG + i], ==, i < 10 || i >= 100 ? 0 : 0xee);
    }
    for (int i = 0; i < 1000; i++) {
        g_assert_cmphex(t->ram[BIG + 0x20000 + i], ==, i < 526 ? 0 : 0xee);
    }
    free_rng(t);
}

/* R03 */
static void test_bad_buffers(gconstpointer legacy)
{
    VTBuf read_only = { BUF, 16, false };
    VTBuf mixed[2] = { { BUF, 16, false }, { BUF + 16, 16, true } };
    VT *t = new_rng(legacy, NULL, "");
    VTRing *r = vt_start(t, 0, 8);

    vt_add(r, &read_only, 1);
    vt_kick(t, r);
    vt_assert_needs_reset(t);
    g_assert_null(vt_used(r));
    r = vt_start(t, 0, 8);
    vt_add(r, mixed, 2);
    vt_kick(t, r);
    vt_assert_needs_reset(t);
    r = vt_start(t, 0, 8);
    ask(t, r, BUF, 16);
    g_assert_cmpuint(answer(t, r), ==, 16);
    free_rng(t);
}

/* R01: bytes that come after a reset go nowhere, or to the new request. */
static void test_reset_pending(gconstpointer legacy)
{
    g_autofree char *path = temp_fifo("fifo-reset");
    VT *t = new_rng(legacy, path, "");
    VTRing *r = vt_start(t, 0, 8);
    int fd = open(path, O_WRONLY);

    memset(t->ram + BUF, 0xee, 64);
    ask(t, r, BUF, 16);
    ask(t, r, BUF + 16, 16);
    g_assert_null(vt_used(r));
    vt_wr(t, VT_STATUS, 0);
    g_assert_cmpint(write(fd, "0123456789abcdef", 16), ==, 16);
    vt_poll(t);
    for (int i = 0; i < 64; i++) {
        g_assert_cmphex(t->ram[BUF + i], ==, 0xee);
    }
    g_assert_cmpuint(r->used->idx, ==, 0);
    r = vt_start(t, 0, 8);
    ask(t, r, BUF + 32, 16);
    g_assert_cmpuint(answer(t, r), ==, 16);
    g_assert_cmpmem(t->ram + BUF + 32, 16, "0123456789abcdef", 16);
    /* And with one in flight when the device goes away. */
    ask(t, r, BUF, 16);
    free_rng(t);
    close(fd);
}

static void test_queue_reset_pending(gconstpointer legacy)
{
    g_autofree char *path = temp_fifo("fifo-queue-reset");
    VT *t = new_rng(legacy, path, "");
    VTRing *r = vt_start(t, 1ull << VT_F_RING_RESET, 8);
    int fd = open(path, O_WRONLY);

    memset(t->ram + BUF, 0xee, 16);
    ask(t, r, BUF, 16);
    vt_wr(t, VT_QUEUE_SEL, 0);
    vt_wr(t, VT_QUEUE_RESET, 1);
    g_assert_cmpint(write(fd, "xxxx", 4), ==, 4);
    vt_poll(t);
    g_assert_cmphex(t->ram[BUF], ==, 0xee);
    r = vt_setup_queue(t, 0, 8);
    ask(t, r, BUF + 32, 16);
    g_assert_cmpuint(answer(t, r), ==, 4);
    close(fd);
    free_rng(t);
}

/* R04: nobody has the FIFO open; later a writer comes, writes little, goes. */
static void test_fifo(gconstpointer legacy)
{
    g_autofree char *path = temp_fifo("fifo");
    VT *t = new_rng(legacy, path, "");
    VTRing *r = vt_start(t, 0, 8);
    int fd;

    ask(t, r, BUF, 64);
    g_assert_cmpuint(spin(200), <, 20);
    g_assert_null(vt_used(r));
    fd = open(path, O_WRONLY);
    g_assert_cmpint(write(fd, "abc", 3), ==, 3);
    g_assert_cmpuint(answer(t, r), ==, 3);
    g_assert_cmpmem(t->ram + BUF, 3, "abc", 3);
    /* An idle writer: nothing to poll for. */
    ask(t, r, BUF, 64);
    g_assert_cmpuint(spin(100), <, 20);
    close(fd);
    g_assert_cmpuint(spin(200), <, 20);
    g_assert_null(vt_used(r));
    free_rng(t);
}

/* R04: a file that ends. */
static void test_short_file(gconstpointer legacy)
{
    g_autofree char *path = temp_file("short", "0123456789", 10);
    VT *t = new_rng(legacy, path, "");
    VTRing *r = vt_start(t, 0, 8);

    ask(t, r, BUF, 8);
    g_assert_cmpuint(answer(t, r), ==, 8);
    ask(t, r, BUF + 8, 8);
    g_assert_cmpuint(answer(t, r), ==, 2);
    g_assert_cmpmem(t->ram + BUF, 10, "0123456789", 10);
    ask(t, r, BUF, 8);
    g_assert_cmpuint(spin(200), <, 20);
    g_assert_null(vt_used(r));
    free_rng(t);
}

static void test_folder(gconstpointer legacy)
{
    VT *t = new_rng(legacy, tmpdir, "");
    VTRing *r = vt_start(t, 0, 8);

    ask(t, r, BUF, 8);
    g_assert_cmpuint(spin(200), <, 20);
    g_assert_null(vt_used(r));
    free_rng(t);
}

static void test_quota(gconstpointer legacy)
{
    VT *t = new_rng(legacy, NULL, "max-bytes=100,period=200");
    VTRing *r = vt_start(t, 0, 8);
    gint64 start = g_get_monotonic_time();

    ask(t, r, BUF, 60);
    ask(t, r, BUF + 100, 60);
    ask(t, r, BUF + 200, 60);
    g_assert_cmpuint(answer(t, r), ==, 60);
    g_assert_cmpuint(answer(t, r), ==, 40);
    vt_poll(t);
    g_assert_null(vt_used(r));
    g_assert_cmpuint(spin(100), <, 20);
    g_assert_null(vt_used(r));
    g_assert_cmpuint(answer(t, r), ==, 60);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 190000);
    free_rng(t);
}

/* A stopped machine's memory stands still; what was asked for comes later. */
static void test_stop(gconstpointer legacy)
{
    g_autofree char *path = temp_fifo("fifo-stop");
    VT *t = new_rng(legacy, path, "max-bytes=10,period=100");
    VTRing *r = vt_start(t, 0, 8);
    int fd = open(path, O_WRONLY);

    t->ram[BUF] = 0xee;
    ask(t, r, BUF, 16);
    vm_stop(t->ms, RUN_STATE_PAUSED);
    g_assert_cmpint(write(fd, "0123456789abcdef", 16), ==, 16);
    spin(150);
    g_assert_cmphex(t->ram[BUF], ==, 0xee);
    vm_start(t->ms);
    g_assert_cmpuint(answer(t, r), ==, 10);
    g_assert_cmpmem(t->ram + BUF, 10, "0123456789", 10);
    close(fd);
    free_rng(t);
}

static void test_reset_loop(gconstpointer legacy)
{
    VT *t = new_rng(legacy, NULL, "");

    for (int i = 0; i < 100; i++) {
        VTRing *r = vt_start(t, ~0ull, 8);

        ask(t, r, BUF, 32);
        g_assert_cmpuint(answer(t, r), ==, 32);
        ask(t, r, BUF, 32);
    }
    free_rng(t);
}

static void test_errors(gconstpointer legacy)
{
    static const char *const rows[][2] = {
        { "rng=nobody", "Device 'nobody' not found" },
        { "period=0", "'period' parameter expects a positive integer" },
        { "max-bytes=9223372036854775808",
          "'max-bytes' parameter must be non-negative, and less than 2^63" },
        { "rng=m", "Invalid parameter type for 'rng', expected: rng-backend" },
    };
    VT *t = vt_new(legacy != NULL);

    add_object(t, "memory-backend-ram,id=m,size=1M");
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *msg = vt_plug_error(t, rng_class(), rows[i][0]);

        g_assert_cmpstr(msg, ==, rows[i][1]);
    }
    vt_plug(t, rng_class(), "");
    free_rng(t);
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    tmpdir = g_dir_make_tmp("test-virtio-rng-XXXXXX", NULL);
    vt_add_test("/virtio-rng/good", test_good);
    vt_add_test("/virtio-rng/large", test_large);
    vt_add_test("/virtio-rng/r03-bad-buffers", test_bad_buffers);
    vt_add_test("/virtio-rng/r01-reset-pending", test_reset_pending);
    vt_add_modern_test("/virtio-rng/r01-queue-reset-pending", test_queue_reset_pending);
    vt_add_test("/virtio-rng/r04-fifo", test_fifo);
    vt_add_test("/virtio-rng/r04-short-file", test_short_file);
    vt_add_test("/virtio-rng/r04-folder", test_folder);
    vt_add_test("/virtio-rng/quota", test_quota);
    vt_add_test("/virtio-rng/stop", test_stop);
    vt_add_test("/virtio-rng/reset-loop", test_reset_loop);
    vt_add_test("/virtio-rng/errors", test_errors);
    ret = g_test_run();
    {
        g_autofree char *rm = g_strdup_printf("rm -rf '%s'", tmpdir);
        g_assert_cmpint(system(rm), ==, 0);
    }
    g_free(tmpdir);
    return ret;
}
