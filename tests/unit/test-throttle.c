/*
 * Limits of disks: buckets, groups, requests that wait, options.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block/throttle-internal.h"
#include "qemu/cutils.h"
#include "qemu/iothread.h"
#include "qemu/main-loop.h"

#define MS INT64_C(1000000)

static ThrottleLimits no_limits(void)
{
    ThrottleLimits l = { 0 };

    for (unsigned i = 0; i < THROTTLE__KINDS; i++) {
        l.of[i].length = 1;
    }
    return l;
}

/* Buckets ---------------------------------------------------------------------------------- */

/* Requests of one size that go by a given time, one after the other. */
static unsigned count(ThrottleState *s, bool is_write, uint64_t bytes, int64_t until)
{
    unsigned n = 0;
    int64_t now = s->last, wait;

    for (; now <= until; n++) {
        wait = throttle_wait(s, is_write, now);
        if (wait) {
            now += wait + 1;
            n--;
            continue;
        }
        throttle_account(s, is_write, bytes);
    }
    return n;
}

/* Buckets are floating-point. */
static void assert_near(int64_t n, int64_t want)
{
    g_assert_cmpint(n, >=, want - 1);
    g_assert_cmpint(n, <=, want + 1);
}

static void test_buckets(void)
{
    ThrottleState s = { .limits = no_limits(), .last = 1000 * MS };

    /* A tenth of a second's worth goes at once, then it is the rate. */
    s.limits.of[THROTTLE_IOPS_TOTAL].avg = 100;
    g_assert_cmpuint(count(&s, false, 512, 1000 * MS), ==, 11);
    assert_near(count(&s, true, 512, 2000 * MS), 100);

    /* Reads have limits, writes have none. */
    s = (ThrottleState) { .limits = no_limits(), .last = 1000 * MS };
    s.limits.of[THROTTLE_BPS_READ].avg = 1 << 20;
    throttle_account(&s, false, 1 << 20);
    g_assert_cmpint(throttle_wait(&s, true, 1000 * MS), ==, 0);
    assert_near(throttle_wait(&s, false, 1000 * MS), 900 * MS);
    g_assert_cmpint(throttle_wait(&s, false, 1901 * MS), ==, 0);

    /* Large requests count as several. */
    s = (ThrottleState) { .limits = no_limits(), .last = 0 };
    s.limits.of[THROTTLE_IOPS_WRITE].avg = 10;
    s.limits.iops_size = 4096;
    throttle_account(&s, true, 65536);
    throttle_account(&s, true, 512);
    assert_near(throttle_wait(&s, true, 0), 1600 * MS);

    /* Time that steps back is no time. */
    s.last = 1000 * MS;
    assert_near(throttle_wait(&s, true, 0), 1600 * MS);
}

static void test_bursts(void)
{
    ThrottleState s = { .limits = no_limits() };

    /* One second: all of it at once. */
    s.limits.of[THROTTLE_IOPS_TOTAL] = (ThrottleLimit) { 100, 500, 1 };
    assert_near(count(&s, false, 512, 0), 501);
    assert_near(count(&s, false, 512, 1000 * MS), 100);

    /* Longer: 500 a second for three, and then 100. */
    s = (ThrottleState) { .limits = no_limits() };
    s.limits.of[THROTTLE_IOPS_TOTAL] = (ThrottleLimit) { 100, 500, 3 };
    assert_near(count(&s, false, 512, 0), 51);
    assert_near(count(&s, false, 512, 1000 * MS), 500);
    assert_near(count(&s, false, 512, 2000 * MS), 500);
    count(&s, false, 512, 5000 * MS);
    assert_near(count(&s, false, 512, 7000 * MS), 200);
}

static void test_check(void)
{
    static const struct { unsigned kind; ThrottleLimit limit; uint64_t size; const char *text; }
    bad[] = {
        { THROTTLE_BPS_TOTAL, { UINT64_C(1) << 60, 0, 1 }, 0,
          "bps/iops/max values must be within [0, 1000000000000000]" },
        { THROTTLE_BPS_READ, { 0, 5, 1 }, 0,
          "bps_max/iops_max require corresponding bps/iops values" },
        { THROTTLE_BPS_READ, { 6, 5, 1 }, 0, "bps_max/iops_max cannot be lower than bps/iops" },
        { THROTTLE_BPS_READ, { 6, 0, 0 }, 0, "the burst length cannot be 0" },
        { THROTTLE_BPS_READ, { 6, 0, 2 }, 0, "burst length set without burst rate" },
        { THROTTLE_BPS_READ, { 6, 7, UINT64_MAX }, 0, "burst length too high for this burst rate" },
        { THROTTLE_BPS_READ, { 6, 0, 1 }, 4096, "iops size requires an iops value to be set" },
    };
    ThrottleLimits l = no_limits();

    g_assert_true(throttle_check(&l, NULL));
    g_assert_false(throttle_is_on(&l));
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        Error *err = NULL;

        l = no_limits();
        l.of[bad[i].kind] = bad[i].limit;
        l.iops_size = bad[i].size;
        g_assert_false(throttle_check(&l, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, bad[i].text);
        error_free(err);
    }
    l = no_limits();
    l.of[THROTTLE_IOPS_TOTAL].avg = l.of[THROTTLE_IOPS_WRITE].avg = 5;
    g_assert_false(throttle_check(&l, NULL));
}

/* Disks ------------------------------------------------------------------------------------ */

#define MAX_REQS 64

typedef struct Disk {
    BlockBackend *blk;
    BlockRequest reqs[MAX_REQS];
    unsigned submitted, done;   /* the loop's; done is atomic */
} Disk;

static void request_done(BlockRequest *req, int ret)
{
    Disk *d = (Disk *)((char *)req->iov);

    g_assert_cmpint(ret, ==, 0);
    __atomic_add_fetch(&d->done, 1, __ATOMIC_SEQ_CST);
}

static unsigned done(Disk *d)
{
    return __atomic_load_n(&d->done, __ATOMIC_SEQ_CST);
}

static void disk_open(Disk *d, const char *id, const char *options)
{
    g_autofree char *text = g_strdup_printf("driver=null-co,size=64M,id=%s,%s", id, options);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    Error *err = NULL;

    *d = (Disk) { 0 };
    drive_new(opts, &err);
    g_assert_cmpstr(err ? error_get_pretty(err) : NULL, ==, NULL);
    d->blk = blk_find_for_device(id);
    g_assert_true(blk_attach(d->blk, id, true, false, NULL));
}

/* In the disk's loop. null-co looks at no buffer: iov tells whose request it is. */
static void submit(Disk *d, BlockOp op, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        BlockRequest *req = &d->reqs[d->submitted++];

        *req = (BlockRequest) { .op = op, .bytes = op == BLOCK_OP_FLUSH ? 0 : 4096,
                                .iov = (struct iovec *)d, .cb = request_done };
        blk_submit(d->blk, req);
    }
    blk_kick(d->blk);
}

static void run_until(Disk *d, unsigned n)
{
    while (done(d) < n) {
        g_main_context_iteration(NULL, TRUE);
    }
}

static void test_wait(void)
{
    Disk d;
    int64_t start = g_get_monotonic_time();

    disk_open(&d, "d", "throttling.iops-total=100");
    submit(&d, BLOCK_OP_READ, 11);
    g_assert_cmpuint(done(&d), ==, 11);
    submit(&d, BLOCK_OP_WRITE, 10);
    submit(&d, BLOCK_OP_READ, 10);
    /* What does not count does not wait either. */
    submit(&d, BLOCK_OP_FLUSH, 1);
    g_assert_cmpuint(done(&d), >=, 12);
    run_until(&d, 32);
    g_assert_cmpint(g_get_monotonic_time() - start, >=, 190000);
    /* Nobody waits: no timer. */
    g_assert_cmpint(g_source_get_ready_time(d.blk->throttle->timer), ==, -1);
    blk_cleanup_all();
}

/* A disk at rest has all at once; what is next pays for it. */
static void test_drain(void)
{
    Disk d;

    disk_open(&d, "d", "iops=1");
    submit(&d, BLOCK_OP_WRITE, 20);
    g_assert_cmpuint(done(&d), ==, 1);
    blk_drain(d.blk);
    g_assert_cmpuint(done(&d), ==, 20);
    submit(&d, BLOCK_OP_READ, 1);
    g_assert_cmpuint(done(&d), ==, 20);
    blk_drain(d.blk);
    blk_cleanup_all();
}

/* Limits that change while requests wait; none are a way out. */
static void test_change(void)
{
    ThrottleLimits l = no_limits();
    Disk d;

    disk_open(&d, "d", "bps_rd=1");
    submit(&d, BLOCK_OP_READ, 5);
    g_assert_cmpuint(done(&d), ==, 1);
    l.of[THROTTLE_BPS_READ].avg = 1 << 30;
    g_assert_true(blk_set_throttle(d.blk, &l, NULL, "x", NULL));
    run_until(&d, 5);
    g_assert_cmpstr(blk_get_throttle(d.blk, &l), ==, "d");
    g_assert_cmpuint(l.of[THROTTLE_BPS_READ].avg, ==, 1 << 30);
    l.of[THROTTLE_BPS_READ].avg = 0;
    g_assert_true(blk_set_throttle(d.blk, &l, NULL, "x", NULL));
    g_assert_null(blk_get_throttle(d.blk, &l));
    submit(&d, BLOCK_OP_READ, 10);
    g_assert_cmpuint(done(&d), ==, 15);
    blk_cleanup_all();
    g_assert_null(throttle_group_find("d"));
}

typedef struct Start {
    Disk *disks;
    unsigned n;
} Start;

static void submit_all(void *opaque)
{
    Start *s = opaque;

    for (unsigned i = 0; i < s->n; i++) {
        submit(&s->disks[i], BLOCK_OP_READ, 32);
    }
}

static void leave(void *opaque)
{
    blk_set_context(opaque, NULL, NULL, NULL);
}

/* Three disks in two loops share one rate, and it is shared evenly. */
static void test_group(void)
{
    const ObjectClass *oc = object_class_by_name(object_classes, "iothread");
    IOThread *io = (IOThread *)object_new(oc, "io");
    Disk d[3];
    Start main_loop = { d, 1 }, other = { d + 1, 2 };

    g_assert_true(oc->complete(&io->obj, NULL));
    disk_open(&d[0], "d0", "throttling.group=g,throttling.iops-total=200");
    disk_open(&d[1], "d1", "throttling.group=g,throttling.iops-total=200");
    disk_open(&d[2], "d2", "throttling.group=g,throttling.iops-total=200");
    blk_set_context(d[1].blk, io->ctx, NULL, NULL);
    blk_set_context(d[2].blk, io->ctx, NULL, NULL);
    submit_all(&main_loop);
    iothread_run(io, submit_all, &other);
    while (done(&d[0]) < 32) {
        g_main_context_iteration(NULL, TRUE);
    }
    /* The one that began has up to 21 before the others had any. */
    g_assert_cmpuint(done(&d[1]), >=, 8);
    g_assert_cmpuint(done(&d[2]), >=, 8);
    while (done(&d[1]) < 32 || done(&d[2]) < 32) {
        g_main_context_iteration(NULL, FALSE);
        g_usleep(1000);
    }
    iothread_run(io, leave, d[1].blk);
    iothread_run(io, leave, d[2].blk);
    blk_cleanup_all();
    object_free(&io->obj);
}

/* -object throttle-group and the filter of that name. */
static void test_node(void)
{
    const ObjectClass *oc = object_class_by_name(object_classes, "throttle-group");
    Object *obj = object_new(oc, "tg");
    g_autoptr(QemuOpts) opts = qemu_opts_parse(
        "driver=throttle,node-name=t,throttle-group=tg,file.driver=null-co,file.size=1M", NULL,
        NULL);
    g_autoptr(QemuOpts) below = qemu_opts_parse(
        "driver=raw,node-name=r,file=t", NULL, NULL);
    Disk d = { 0 };
    Error *err = NULL;

    g_assert_null(blockdev_add(opts, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "Throttle group 'tg' does not exist");
    g_clear_pointer(&err, error_free);
    g_assert_true(property_set(obj, "limits.iops-total", "50", NULL));
    g_assert_true(property_set(obj, "x-iops-size", "4096", NULL));
    g_assert_true(oc->complete(obj, NULL));
    g_assert_nonnull(blockdev_add(opts, NULL));
    g_assert_null(blockdev_add(below, &err));
    g_assert_cmpstr(error_get_pretty(err), ==, "'throttle' nodes stand on others, not below them");
    g_clear_pointer(&err, error_free);
    d.blk = blk_find_for_device("t");
    g_assert_true(blk_attach(d.blk, "dev", true, false, NULL));
    blk_set_context(d.blk, NULL, NULL, NULL);
    submit(&d, BLOCK_OP_WRITE, 10);
    g_assert_cmpuint(done(&d), ==, 6);
    run_until(&d, 10);
    submit(&d, BLOCK_OP_WRITE, 10);
    blk_drain(d.blk);
    g_assert_cmpuint(done(&d), ==, 20);
    blk_detach(d.blk);
    g_assert_true(blockdev_del("t", NULL));
    object_free(obj);
    g_assert_null(throttle_group_find("tg"));
}

static void test_options(void)
{
    static const struct { const char *options, *text; } bad[] = {
        { "iops=1,throttling.iops-total=2",
          "'throttling.iops-total' and its alias 'iops' can't be used at the same time" },
        { "bps=1,bps_rd=2", "bps/iops/max total values and read/write values cannot be used "
          "at the same time" },
        { "bps=many", "Parameter 'throttling.bps-total' expects a number" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = g_strdup_printf("driver=null-co,id=d,%s", bad[i].options);
        g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
        Error *err = NULL;

        g_assert_false(drive_new(opts, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, bad[i].text);
        error_free(err);
        g_assert_null(blk_find("d"));
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/throttle/buckets", test_buckets);
    g_test_add_func("/throttle/bursts", test_bursts);
    g_test_add_func("/throttle/check", test_check);
    g_test_add_func("/throttle/wait", test_wait);
    g_test_add_func("/throttle/drain", test_drain);
    g_test_add_func("/throttle/change", test_change);
    g_test_add_func("/throttle/group", test_group);
    g_test_add_func("/throttle/node", test_node);
    g_test_add_func("/throttle/options", test_options);
    return g_test_run();
}
