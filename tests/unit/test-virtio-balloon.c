/*
 * The memory balloon: what goes back to the host, what does not, and hostile drivers. Names begin
 * with the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/virtio_balloon.h>
#include <string.h>
#include <sys/stat.h>

#include "hw/core/event.h"
#include "sysemu/balloon.h"
#include "sysemu/hostmem.h"
#include "virtio-harness.h"

#define PAGE  4096u
#define MIB   (1u << 20)
#define PFNS  0x8000            /* where lists of page numbers are put */
#define DATA  (4 * MIB)         /* pages to give from here on */
#define MUST_TELL (1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST)

typedef struct B {
    VT *t;
    HostMemoryBackend ram;
    VTRing *inflate, *deflate, *stats, *last;
} B;

static unsigned changes;
static int64_t last_actual;

static void on_event(MachineState *ms, const char *event, const EventField *fields, unsigned n)
{
    g_assert_cmpstr(event, ==, "BALLOON_CHANGE");
    changes++;
    last_actual = fields[0].num;
}

static B *new_balloon(bool legacy, const char *options, uint64_t page_size, uint64_t features)
{
    B *b = g_new0(B, 1);
    const ObjectClass *oc = object_class_by_name(device_classes, "virtio-balloon-device");

    b->t = vt_new(legacy);
    b->ram = (HostMemoryBackend) {
        .host = b->t->ram, .size = VT_RAM_SIZE, .fd = -1, .page_size = page_size,
    };
    b->t->ms->memdev = &b->ram;
    b->t->ms->event_fn = on_event;
    changes = 0;
    vt_plug(b->t, (const DeviceClass *)oc, options);
    vt_negotiate(b->t, features);
    b->inflate = vt_setup_queue(b->t, 0, 128);
    b->deflate = vt_setup_queue(b->t, 1, 128);
    b->stats = vt_setup_queue(b->t, 2, 128);
    b->last = vt_rd(b->t, (vt_wr(b->t, VT_QUEUE_SEL, 3), VT_QUEUE_NUM_MAX)) ?
        vt_setup_queue(b->t, 3, 128) : NULL;
    vt_driver_ok(b->t);
    memset(b->t->ram + DATA, 0x5a, VT_RAM_SIZE - DATA);
    return b;
}

static void free_balloon(B *b)
{
    b->t->ms->memdev = NULL;
    vt_free(b->t);
    g_free(b);
}

/* Send n page numbers and wait until they are taken. */
static void send_pfns(B *b, VTRing *r, const uint32_t *pfns, unsigned n)
{
    memcpy(b->t->ram + PFNS, pfns, n * sizeof(*pfns));
    vt_add(r, &(VTBuf) { PFNS, n * sizeof(*pfns), false }, 1);
    vt_kick(b->t, r);
    VT_WAIT(b->t, vt_used(r));
}

static void send_range(B *b, VTRing *r, unsigned first, unsigned n)
{
    g_autofree uint32_t *pfns = g_new(uint32_t, n);

    for (unsigned i = 0; i < n; i++) {
        pfns[i] = first + i;
    }
    send_pfns(b, r, pfns, n);
}

static bool is_gone(B *b, unsigned pfn)
{
    const uint8_t *page = b->t->ram + (size_t)pfn * PAGE;

    g_assert_true(page[0] == page[PAGE - 1]);
    g_assert_true(page[0] == 0 || page[0] == 0x5a);
    return page[0] == 0;
}

static unsigned count_gone(B *b)
{
    unsigned n = 0;

    for (unsigned pfn = DATA / PAGE; pfn < VT_RAM_SIZE / PAGE; pfn++) {
        n += is_gone(b, pfn);
    }
    return n;
}

static void test_inflate(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", PAGE, 0);
    const unsigned at = DATA / PAGE;
    const uint32_t pfns[] = { at + 9, at + 3, at + 4, at + 3, at + 5, at + 9 };

    g_assert_cmpint(vt_rd(b->t, VT_DEVICE_ID), ==, 5);
    send_pfns(b, b->inflate, pfns, G_N_ELEMENTS(pfns));
    g_assert_cmpuint(count_gone(b), ==, 4);
    g_assert_true(is_gone(b, at + 3) && is_gone(b, at + 4) && is_gone(b, at + 5) &&
                  is_gone(b, at + 9));
    /* Pages that were never given, and ones that were. */
    send_range(b, b->deflate, at, 20);
    b->t->ram[(at + 3) * PAGE] = 1;
    g_assert_cmpuint(b->t->ram[(at + 3) * PAGE], ==, 1);
    free_balloon(b);
}

/* What is no RAM of the machine's, rings, and the list itself. */
static void test_not_ram(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", PAGE, 0);
    const uint32_t pfns[] = {
        0xffffffff, VT_RAM_SIZE / PAGE, VT_MMIO_BASE / PAGE, VT_IO_BASE / PAGE,
        VT_HIGH_BASE / PAGE, 0x80000000, 0x7ffffff,
    };

    memset(b->t->high, 0x77, PAGE);
    send_pfns(b, b->inflate, pfns, G_N_ELEMENTS(pfns));
    send_pfns(b, b->deflate, pfns, G_N_ELEMENTS(pfns));
    g_assert_cmpuint(count_gone(b), ==, 0);
    g_assert_cmpuint(b->t->high[0], ==, 0x77);      /* RAM, but not the backend's */
    g_assert_cmpuint(b->t->io_accesses, ==, 0);
    send_range(b, b->inflate, PFNS / PAGE, 1);
    vt_wr(b->t, VT_STATUS, 0);
    free_balloon(b);
}

/*
 * Q26: the rings in use go into the balloon, and the list that says so. What the device finds there
 * next is zeros: it may want a reset, after which all is well.
 */
static void test_rings(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "deflate-on-oom=on", PAGE, MUST_TELL);
    VTRing *rings[] = { b->deflate, b->stats, b->inflate };
    uint32_t pfns[3 * G_N_ELEMENTS(rings) + 1];
    unsigned n = 0;

    send_range(b, b->inflate, DATA / PAGE, 3);
    for (unsigned i = 0; i < G_N_ELEMENTS(rings); i++) {
        pfns[n++] = rings[i]->desc_addr / PAGE;
        pfns[n++] = rings[i]->avail_addr / PAGE;
        pfns[n++] = rings[i]->used_addr / PAGE;
    }
    pfns[n++] = PFNS / PAGE;
    memcpy(b->t->ram + PFNS, pfns, sizeof(pfns));
    vt_add(b->inflate, &(VTBuf) { PFNS, sizeof(pfns), false }, 1);
    vt_kick(b->t, b->inflate);
    vt_poll(b->t);
    g_assert_cmpuint(b->inflate->avail->idx, ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(rings); i++) {
        vt_kick(b->t, rings[i]);
        vt_poll(b->t);
    }
    g_assert_cmpuint(vt_rd(b->t, VT_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET, !=, 0);
    vt_negotiate(b->t, MUST_TELL);
    b->inflate = vt_setup_queue(b->t, 0, 128);
    vt_driver_ok(b->t);
    memset(b->t->ram + DATA, 0x5a, VT_RAM_SIZE - DATA);
    send_range(b, b->inflate, DATA / PAGE, 3);
    g_assert_cmpuint(count_gone(b), ==, 3);
    free_balloon(b);
}

/* A list of 3 Mi entries is worked on in turns, all of it; a reset may come in between. */
static void test_huge_list(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", PAGE, 0);
    uint32_t *pfns = (uint32_t *)(b->t->ram + DATA);
    const unsigned n = (VT_RAM_SIZE - DATA) / 4;
    unsigned turns = 0;

    for (unsigned i = 0; i < n; i++) {
        pfns[i] = i % 2 ? 0xffffffff - i : VT_RAM_SIZE / PAGE + i;
    }
    vt_add(b->inflate, &(VTBuf) { DATA, 4 * n, false }, 1);
    vt_wr(b->t, VT_QUEUE_NOTIFY, 0);
    while (!vt_used(b->inflate)) {
        g_main_context_iteration(NULL, FALSE);
        g_assert_cmpuint(++turns, <, 100000);
    }
    g_assert_cmpuint(turns, >=, n / (16 * 1024));
    vt_add(b->inflate, &(VTBuf) { DATA, 4 * n, false }, 1);
    vt_wr(b->t, VT_QUEUE_NOTIFY, 0);
    g_main_context_iteration(NULL, FALSE);
    g_assert_null(vt_used(b->inflate));
    vt_wr(b->t, VT_STATUS, 0);
    vt_poll(b->t);
    free_balloon(b);
}

static void test_wrong_buffers(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", PAGE, 0);

    for (unsigned q = 0; q < 3; q++) {
        VTRing *r = q == 0 ? b->inflate : q == 1 ? b->deflate : b->stats;

        vt_add(r, &(VTBuf) { DATA, PAGE, true }, 1);        /* nothing to read */
        vt_add(r, &(VTBuf) { DATA + 1, 3, false }, 1);      /* less than an entry */
        vt_add(r, &(VTBuf) { DATA, 11, false }, 1);
        vt_kick(b->t, r);
        VT_WAIT(b->t, r->used->idx == (r == b->stats ? 2 : 3));
    }
    g_assert_cmpuint(count_gone(b), ==, 0);
    free_balloon(b);
}

/* A host page of 2 MiB goes with the last of its parts, and not while one is in use. */
static void test_large_pages(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", 2 * MIB, MUST_TELL);
    const unsigned at = DATA / PAGE;

    send_range(b, b->inflate, at, 511);
    g_assert_cmpuint(count_gone(b), ==, 0);
    send_range(b, b->inflate, at, 511);
    send_range(b, b->deflate, at + 7, 1);
    send_range(b, b->inflate, at + 511, 1);
    g_assert_cmpuint(count_gone(b), ==, 0);
    send_range(b, b->inflate, at + 7, 1);
    g_assert_cmpuint(count_gone(b), ==, 512);
    /* In other order, across two of them, and after a reset nothing is known. */
    send_range(b, b->inflate, at + 512 + 256, 512);
    vt_wr(b->t, VT_STATUS, 0);
    free_balloon(b);
}

static void test_large_untold(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", 2 * MIB, 0);

    send_range(b, b->inflate, DATA / PAGE, 1024);
    g_assert_cmpuint(count_gone(b), ==, 0);
    free_balloon(b);
}

static void test_reporting(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "free-page-reporting=on", PAGE, 0);
    const VTBuf bufs[] = { { DATA, MIB, true }, { DATA + 2 * MIB + 1, 2 * PAGE, true } };

    g_assert_cmphex(vt_offered(b->t) >> VIRTIO_BALLOON_F_REPORTING & 1, ==, 1);
    vt_add(b->last, bufs, 2);
    vt_add(b->last, &(VTBuf) { DATA + 4 * MIB, MIB, false }, 1);
    vt_add(b->last, &(VTBuf) { VT_HIGH_BASE, VT_HIGH_SIZE, true }, 1);
    memset(b->t->high, 0x77, PAGE);
    vt_kick(b->t, b->last);
    VT_WAIT(b->t, b->last->used->idx == 3);
    g_assert_cmpuint(count_gone(b), ==, 256 + 1);
    g_assert_cmpuint(b->t->high[0], ==, 0x77);
    free_balloon(b);
}

/* What the guest fills free pages with stays there, unless it is zeros. */
static void test_poison(gconstpointer legacy)
{
    for (uint32_t poison = 0; poison <= 0xaaaaaaaa; poison += 0xaaaaaaaa) {
        B *b = new_balloon(legacy, "free-page-reporting=on", PAGE,
                           1ull << VIRTIO_BALLOON_F_PAGE_POISON);

        vt_wr(b->t, VT_CONFIG + 12, poison);
        g_assert_cmphex(vt_rd(b->t, VT_CONFIG + 12), ==, poison);
        vt_add(b->last, &(VTBuf) { DATA, MIB, true }, 1);
        vt_kick(b->t, b->last);
        VT_WAIT(b->t, vt_used(b->last));
        g_assert_cmpuint(count_gone(b), ==, poison ? 0 : 256);
        free_balloon(b);
    }
}

static void test_hints(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "free-page-hint=on,page-poison=off", PAGE, 0);

    g_assert_cmphex(vt_rd(b->t, VT_CONFIG + 8), ==, VIRTIO_BALLOON_CMD_ID_STOP);
    vt_add(b->last, &(VTBuf) { DATA, 4, false }, 1);
    vt_add(b->last, &(VTBuf) { DATA, MIB, true }, 1);
    vt_kick(b->t, b->last);
    VT_WAIT(b->t, b->last->used->idx == 2);
    g_assert_cmpuint(count_gone(b), ==, 0);
    free_balloon(b);
}

static void test_target(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "", PAGE, 0);
    Balloon *balloon = b->t->ms->balloon;
    gint64 start;

    vt_wr(b->t, VT_ACK, 3);
    balloon->set_target(balloon, 5 * MIB);
    g_assert_cmphex(vt_rd(b->t, VT_ISR), ==, 2);
    g_assert_cmpuint(vt_rd(b->t, VT_CONFIG), ==, (VT_RAM_SIZE - 5 * MIB) / PAGE);
    g_assert_cmpuint(balloon->actual(balloon), ==, VT_RAM_SIZE);
    balloon->set_target(balloon, UINT64_MAX);
    g_assert_cmpuint(vt_rd(b->t, VT_CONFIG), ==, 0);
    /* One event at once; of ten thousand changes more only the last is told. */
    vt_wr(b->t, VT_CONFIG + 4, 256);
    VT_WAIT(b->t, changes == 1);
    g_assert_cmpint(last_actual, ==, VT_RAM_SIZE - MIB);
    start = g_get_monotonic_time();
    for (unsigned i = 0; i < 10000; i++) {
        vt_wr(b->t, VT_CONFIG + 4, i);
    }
    vt_wr(b->t, VT_CONFIG + 4, 0xffffffff);
    VT_WAIT(b->t, changes > 1);
    g_assert_cmpint(g_get_monotonic_time() - start, >, G_USEC_PER_SEC / 2);
    g_assert_cmpint(last_actual, ==, 0);
    g_assert_cmpuint(changes, ==, 2);
    vt_wr(b->t, VT_STATUS, 0);
    g_assert_cmpuint(balloon->actual(balloon), ==, VT_RAM_SIZE);
    free_balloon(b);
}

static void put_stat(B *b, unsigned i, uint16_t tag, uint64_t val)
{
    memcpy(b->t->ram + PFNS + 10 * i, &tag, 2);
    memcpy(b->t->ram + PFNS + 10 * i + 2, &val, 8);
}

static void assert_stats(B *b, const char *part)
{
    g_autofree char *text = property_get(&b->t->vdev->dev.obj, "guest-stats", NULL);

    g_assert_nonnull(strstr(text, part));
}

static void test_stats(gconstpointer legacy)
{
    B *b = new_balloon(legacy, "guest-stats-polling-interval=1", PAGE, 0);
    Object *obj = &b->t->vdev->dev.obj;

    assert_stats(b, "\"stat-free-memory\": -1,");
    assert_stats(b, "\"last-update\": 0}");
    put_stat(b, 0, VIRTIO_BALLOON_S_MEMFREE, 123456789012345);
    put_stat(b, 1, 77, 1);
    put_stat(b, 2, VIRTIO_BALLOON_S_HTLB_PGFAIL, 42);
    vt_add(b->stats, &(VTBuf) { PFNS, 35, false }, 1);
    vt_kick(b->t, b->stats);
    VT_WAIT(b->t, vt_used(b->stats));       /* the timer has returned it */
    assert_stats(b, "\"stat-free-memory\": 123456789012345,");
    assert_stats(b, "\"stat-htlb-pgfail\": 42}");
    assert_stats(b, "\"stat-swap-in\": -1,");
    g_assert_true(property_set(obj, "guest-stats-polling-interval", "0", NULL));
    /* Many entries; of two buffers one comes back at once. */
    for (unsigned i = 0; i < 1000; i++) {
        put_stat(b, i, i ? 0xffff : VIRTIO_BALLOON_S_MEMTOT, i + 5);
    }
    vt_add(b->stats, &(VTBuf) { PFNS, 10000, false }, 1);
    vt_add(b->stats, &(VTBuf) { PFNS, 10000, false }, 1);
    vt_kick(b->t, b->stats);
    VT_WAIT(b->t, vt_used(b->stats));
    g_assert_null(vt_used(b->stats));
    assert_stats(b, "\"stat-total-memory\": 5,");
    free_balloon(b);
}

static void test_options(gconstpointer legacy)
{
    const DeviceClass *dc = (const DeviceClass *)object_class_by_name(device_classes,
                                                                      "virtio-balloon-device");
    static const char *const bad[][2] = {
        { "guest-stats=1", "Property 'virtio-balloon-device.guest-stats' is not writable" },
        { "guest-stats-polling-interval=-1", "timer value must be greater than zero" },
        { "guest-stats-polling-interval=4294967296", "timer value is too big" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        VT *t = vt_new(legacy);
        g_autofree char *error = vt_plug_error(t, dc, bad[i][0]);

        g_assert_cmpstr(error, ==, bad[i][1]);
        vt_free(t);
    }
}

/* Files --------------------------------------------------------------------------- */

static uint64_t blocks(const HostMemoryBackend *b)
{
    struct stat st;

    g_assert_cmpint(fstat(b->fd, &st), ==, 0);
    return st.st_blocks * 512ull;
}

static HostMemoryBackend *add_backend(VT *t, const char *text)
{
    Error *err = NULL;
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "qom-type", &err);
    Object *obj = machine_add_object(t->ms, opts, &err);

    g_assert_null(err);
    return (HostMemoryBackend *)obj;
}

/* What other processes map is freed, too. */
static void test_shared(void)
{
    VT *t = vt_new(false);
    HostMemoryBackend *b = add_backend(t, "memory-backend-memfd,id=m,size=4M");
    char *host = b->host;

    memset(host, 1, 4 * MIB);
    g_assert_cmpuint(blocks(b), ==, 4 * MIB);
    g_assert_true(host_memory_backend_discard(b, host + 1, 2 * MIB));
    g_assert_cmpuint(blocks(b), ==, 2 * MIB + PAGE);
    g_assert_cmpint(host[0], ==, 1);
    g_assert_cmpint(host[PAGE], ==, 0);
    g_assert_cmpint(host[2 * MIB], ==, 1);
    g_assert_false(host_memory_backend_discard(b, host + 4 * MIB, PAGE));
    g_assert_false(host_memory_backend_discard(b, host - PAGE, PAGE));
    g_assert_false(host_memory_backend_discard(b, host, UINT64_MAX));
    g_assert_false(host_memory_backend_discard(b, host + 1, PAGE));
    b = add_backend(t, "memory-backend-ram,id=s,size=4M,share=on");
    memset(b->host, 1, 4 * MIB);
    g_assert_true(host_memory_backend_discard(b, b->host, 4 * MIB));
    g_assert_cmpint(((char *)b->host)[0], ==, 0);
    vt_free(t);
}

/* A private mapping of a file would show what the file holds: that stays as the guest left it. */
static void test_private_file(void)
{
    g_autofree char *dir = g_dir_make_tmp("balloon-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "ram", NULL);
    g_autofree char *text = g_strdup_printf("memory-backend-file,id=f,size=1M,mem-path=%s", path);
    g_autofree char *fresh = g_strdup_printf("memory-backend-file,id=g,size=1M,mem-path=%s", dir);
    VT *t = vt_new(false);
    HostMemoryBackend *b;

    g_assert_true(g_file_set_contents(path, "secret", -1, NULL));
    b = add_backend(t, text);
    memset(b->host, 1, MIB);
    g_assert_false(host_memory_backend_discard(b, b->host, MIB));
    g_assert_cmpint(((char *)b->host)[0], ==, 1);
    b = add_backend(t, fresh);
    memset(b->host, 1, MIB);
    g_assert_true(host_memory_backend_discard(b, b->host, MIB));
    g_assert_cmpint(((char *)b->host)[0], ==, 0);
    vt_free(t);
    unlink(path);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/balloon/01-inflate", test_inflate);
    vt_add_test("/balloon/02-not-ram", test_not_ram);
    vt_add_test("/balloon/02-rings/Q26", test_rings);
    vt_add_test("/balloon/03-huge-list", test_huge_list);
    vt_add_test("/balloon/04-wrong-buffers", test_wrong_buffers);
    vt_add_test("/balloon/05-large-pages", test_large_pages);
    vt_add_test("/balloon/06-large-untold", test_large_untold);
    vt_add_modern_test("/balloon/07-reporting", test_reporting);
    vt_add_modern_test("/balloon/08-poison", test_poison);
    vt_add_test("/balloon/09-hints", test_hints);
    vt_add_modern_test("/balloon/10-target", test_target);
    vt_add_test("/balloon/11-stats", test_stats);
    vt_add_modern_test("/balloon/12-options", test_options);
    g_test_add_func("/balloon/13-shared", test_shared);
    g_test_add_func("/balloon/14-private-file", test_private_file);
    return g_test_run();
}
