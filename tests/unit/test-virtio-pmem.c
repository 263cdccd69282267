/*
 * Persistent memory: where it is, flushes beside the loop, files that are only read, hostile
 * drivers. Names begin with the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "sysemu/hostmem.h"
#include "slow-disk.h"
#include "virtio-harness.h"

#define MIB  (1ull << 20)
#define PLACE (8ull << 30)
#define REQ  0x10000
#define RESP 0x20000

static char *dir, *path;

static const DeviceClass *pmem_class(void)
{
    return (const DeviceClass *)object_class_by_name(device_classes, "virtio-pmem-device");
}

static bool add_file(VT *t, const char *options, Error **errp)
{
    g_autofree char *text = g_strdup_printf("memory-backend-file,id=m,mem-path=%s,%s", path,
                                            options);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "qom-type", errp);

    return machine_add_object(t->ms, opts, errp) != NULL;
}

static VT *new_pmem(gconstpointer legacy, const char *options)
{
    VT *t = vt_new(legacy != NULL);
    g_autofree char *data = g_malloc0(4 * MIB);

    memcpy(data, "first", 5);
    g_assert_true(g_file_set_contents(path, data, 4 * MIB, NULL));
    g_assert_true(add_file(t, options, NULL));
    t->ms->device_memory = PLACE - 1;
    t->ms->device_memory_end = 16ull << 30;
    vt_plug(t, pmem_class(), "memdev=m");
    slow_disk_reset();
    return t;
}

static void flush(VT *t, VTRing *r, uint32_t type)
{
    unsigned n = r->avail->idx % 16;

    memcpy(t->ram + REQ + 4 * n, &type, 4);
    memset(t->ram + RESP + 4 * n, 0xff, 4);
    vt_add(r, (VTBuf []) { { REQ + 4 * n, 4, false }, { RESP + 4 * n, 4, true } }, 2);
    vt_kick(t, r);
}

static uint32_t answer(VT *t, unsigned n)
{
    uint32_t ret;

    memcpy(&ret, t->ram + RESP + 4 * n, 4);
    return ret;
}

static void test_memory(gconstpointer legacy)
{
    VT *t = new_pmem(legacy, "size=4M,share=on");
    uint64_t start = vt_rd(t, VT_CONFIG) | (uint64_t)vt_rd(t, VT_CONFIG + 4) << 32;
    uint64_t word = 0x6d656d72657061ull;
    g_autofree char *text = NULL;
    char *host;

    g_assert_cmpint(vt_rd(t, VT_DEVICE_ID), ==, VIRTIO_ID_PMEM);
    g_assert_cmphex(start, ==, PLACE);
    g_assert_cmphex(vt_rd(t, VT_CONFIG + 8), ==, 4 * MIB);
    host = address_space_map(&t->ms->memory, start, 4 * MIB);
    g_assert_nonnull(host);
    g_assert_cmpint(memcmp(host, "first", 5), ==, 0);
    g_assert_true(address_space_rw_locked(&t->ms->memory, start + 8, &word, 8, true));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text + 8, ==, "apermem");
    g_assert_cmphex(t->ms->device_memory, ==, PLACE + 4 * MIB);
    vt_free(t);
}

/* The loop goes on meanwhile; what came before a sync needs no other. */
static void test_flush(gconstpointer legacy)
{
    VT *t = new_pmem(legacy, "size=4M,share=on");
    VTRing *r = vt_start(t, 0, 64);

    slow_disk_hold(true);
    flush(t, r, 0);
    slow_disk_wait(1);
    for (unsigned i = 0; i < 5; i++) {
        flush(t, r, 0);
    }
    g_assert_null(vt_used(r));
    slow_disk_hold(false);
    VT_WAIT(t, r->used->idx == 6);
    g_assert_cmpuint(slow_disk_syncs(), ==, 2);
    for (unsigned i = 0; i < 6; i++) {
        g_assert_cmpuint(answer(t, i), ==, 0);
    }
    slow_disk_fail(EIO);
    flush(t, r, 0);
    VT_WAIT(t, r->used->idx == 7);
    g_assert_cmpuint(answer(t, 6), ==, 1);
    flush(t, r, 1);
    VT_WAIT(t, r->used->idx == 8);
    g_assert_cmpuint(answer(t, 7), ==, 1);
    vt_free(t);
}

/* A reset while the disk is at it; then the device's end. */
static void test_reset(gconstpointer legacy)
{
    VT *t = new_pmem(legacy, "size=4M,share=on");
    VTRing *r = vt_start(t, 0, 64);

    slow_disk_hold(true);
    flush(t, r, 0);
    flush(t, r, 0);
    slow_disk_wait(1);
    vt_wr(t, VT_STATUS, 0);
    r = vt_start(t, 0, 64);
    flush(t, r, 0);
    g_assert_null(vt_used(r));
    slow_disk_hold(false);
    VT_WAIT(t, r->used->idx == 1);
    g_assert_cmpuint(slow_disk_syncs(), ==, 2);
    vt_poll(t);
    g_assert_cmpuint(r->used->idx, ==, 1);
    flush(t, r, 0);
    vt_free(t);
}

/* Nobody writes a file that is only read: no CPU, and no device for a driver. */
static void test_readonly(gconstpointer legacy)
{
    VT *t = new_pmem(legacy, "size=4M,share=on,readonly=on");
    VTRing *r = vt_start(t, 0, 64);
    uint64_t word = 0;

    g_assert_true(address_space_rw_locked(&t->ms->memory, PLACE, &word, 4, false));
    g_assert_cmphex(word, ==, 0x73726966);
    address_space_rw_locked(&t->ms->memory, PLACE, &word, 8, true);
    g_assert_false(address_space_write(&t->ms->memory, PLACE, &word, 8));
    g_assert_null(address_space_map(&t->ms->memory, PLACE, 4));
    g_assert_cmpint(memcmp(address_space_map_ro(&t->ms->memory, PLACE, 8), "first", 5), ==, 0);
    flush(t, r, 0);
    VT_WAIT(t, r->used->idx == 1);
    g_assert_cmpuint(answer(t, 0), ==, 0);
    g_assert_cmpuint(slow_disk_syncs(), ==, 0);
    /* A request there can be read (the type is no flush), an answer cannot be written. */
    vt_add(r, (VTBuf []) { { PLACE, 4, false }, { RESP, 4, true } }, 2);
    vt_kick(t, r);
    VT_WAIT(t, r->used->idx == 2);
    g_assert_cmpuint(answer(t, 0), ==, 1);
    vt_add(r, (VTBuf []) { { REQ, 4, false }, { PLACE, 4, true } }, 2);
    vt_kick(t, r);
    vt_assert_needs_reset(t);
    vt_free(t);
}

static void test_wrong_buffers(gconstpointer legacy)
{
    for (unsigned i = 0; i < 4; i++) {
        VT *t = new_pmem(legacy, "size=4M,share=on");
        VTRing *r = vt_start(t, 0, 64);

        vt_add(r, (VTBuf []) { { REQ, i == 0 ? 3 : 4, i == 2 }, { RESP, i == 1 ? 3 : 4, true } },
               i == 3 ? 1 : 2);
        vt_kick(t, r);
        vt_assert_needs_reset(t);
        vt_free(t);
    }
}

static void test_options(gconstpointer legacy)
{
    static const char *const bad[][2] = {
        { "size=8M,share=on,readonly=on",
          "backing store size 0x400000 does not match 'size' option 0x800000" },
    };
    VT *t = new_pmem(legacy, "size=4M,share=on");
    g_autofree char *error = vt_plug_error(t, pmem_class(), "memdev=m");

    g_assert_nonnull(error);
    vt_free(t);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        Error *err = NULL;

        t = vt_new(legacy != NULL);
        g_assert_false(add_file(t, bad[i][0], &err));
        g_assert_cmpstr(error_get_pretty(err), ==, bad[i][1]);
        error_free(err);
        vt_free(t);
    }
}

int main(int argc, char **argv)
{
    int ret;

    g_test_init(&argc, &argv, NULL);
    dir = g_dir_make_tmp("pmem-XXXXXX", NULL);
    path = g_build_filename(dir, "file", NULL);
    vt_add_test("/pmem/01-memory", test_memory);
    vt_add_test("/pmem/02-flush", test_flush);
    vt_add_test("/pmem/03-reset", test_reset);
    vt_add_test("/pmem/04-readonly", test_readonly);
    vt_add_modern_test("/pmem/05-wrong-buffers", test_wrong_buffers);
    vt_add_modern_test("/pmem/06-options", test_options);
    ret = g_test_run();
    unlink(path);
    rmdir(dir);
    return ret;
}
