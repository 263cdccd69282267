/*
 * Jobs and snapshots under a disk that is written meanwhile, judged by a plain buffer and by
 * Debian's qemu-img.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "block/file-posix.h"
#include "job-harness.h"
#include "qemu/cutils.h"

static void test_stream(gconstpointer arg)
{
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    g_assert_true(block_stream_start("top", "base", NULL, &options, &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.history->str, ==, "CRWDEN");
    g_assert_cmpstr(st.error, ==, NULL);
    g_assert_true(blockdev_del("mid", NULL));
    job_check_disk(&st);
    st.concluded = false;
    g_assert_true(block_stream_start("dev", NULL, NULL, &options, &err));
    job_use_until(&st, &st.concluded);
    g_assert_true(blockdev_del("base", NULL));
    for (unsigned i = 0; i < 50; i++) {
        job_use_disk(&st);
    }
    job_check_disk(&st);
    blk_flush_all();
    tool("rm base.img mid.img");
    blk_detach(st.blk);
    blk_cleanup_all();
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

static void test_commit(gconstpointer arg)
{
    BlockCommitOptions commit = { .device = "top", .top_node = "mid", .base_node = "base" };
    BlockJobOptions options = { .id = "job", .manual_dismiss = true, .manual_finalize = true };
    Error *err = NULL;
    BlockJob *job;
    JobTest st;

    job_begin(&st, "cluster_size=4k", arg);
    g_assert_true(block_commit_start(&commit, &options, &err));
    for (unsigned i = 0; i < 100000 && !strstr(st.history->str, "D"); i++) {
        job_use_disk(&st);
        g_main_context_iteration(NULL, FALSE);
    }
    job = block_job_find("job", NULL);
    g_assert_nonnull(job);
    g_assert_false(block_job_do(job, JOB_VERB_DISMISS, 0, NULL));
    g_assert_true(block_job_do(job, JOB_VERB_FINALIZE, 0, &err));
    g_assert_cmpstr(st.history->str, ==, "CRWDE");
    g_assert_true(block_job_do(job, JOB_VERB_DISMISS, 0, &err));
    g_assert_true(blockdev_del("mid", NULL));
    g_assert_true(block_find_node("base")->is_ro);
    job_flush_and_close(&st);
    tool("rm mid.img");
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

static void test_active_commit(gconstpointer arg)
{
    BlockCommitOptions commit = { .device = "top", .base_node = "base" };
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k,extended_l2=on", arg);
    /* The first time it stays where it is. */
    g_assert_true(block_commit_start(&commit, &options, &err));
    job_use_until(&st, &st.ready);
    g_assert_false(blockdev_del("base", NULL));
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_CANCEL, false, &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.blk->root->node_name, ==, "top");
    g_assert_true(block_find_node("base")->is_ro);
    job_check_disk(&st);

    st.ready = st.concluded = false;
    g_assert_true(block_commit_start(&commit, &options, &err));
    job_use_until(&st, &st.ready);
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_COMPLETE, 0, &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.error, ==, NULL);
    g_assert_cmpstr(st.blk->root->node_name, ==, "base");
    g_assert_true(blockdev_del("top", &err));
    g_assert_true(blockdev_del("mid", &err));
    job_flush_and_close(&st);
    job_check_file(&st, "base.img", arg);
    job_finish(&st);
}

static void test_mirror(gconstpointer arg)
{
    BlockMirrorOptions mirror = { .device = "top", .target = "copy", .sync = "full" };
    BlockJobOptions options = { .id = "job", .speed = 32 * MiB };
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    tool("qemu-img create -q -f qcow2 copy.img %u", JOB_DISK);
    job_add_node("driver=qcow2,node-name=copy,file.driver=file,file.filename=copy.img");
    g_assert_true(block_mirror_start(&mirror, &options, &err));
    g_assert_null(blk_find_for_device("copy"));
    g_assert_false(block_mirror_start(&mirror, &options, NULL));
    job_use_until(&st, &st.ready);
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_SET_SPEED, 0, &err));
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_PAUSE, 0, &err));
    for (unsigned i = 0; i < 20; i++) {
        job_use_disk(&st);
    }
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_RESUME, 0, &err));
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_COMPLETE, 0, &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.history->str, ==, "CRYSYWDEN");
    g_assert_cmpstr(st.blk->root->node_name, ==, "copy");
    g_assert_true(blockdev_del("top", &err));
    job_flush_and_close(&st);
    job_check_file(&st, "copy.img", "qcow2");
    job_finish(&st);
}

/* Errors ----------------------------------------------------------------------------------- */

/* No write to a file works any more, or all do. */
static void break_writes(bool broken)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = broken ? 0 : limit.rlim_max;
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

/* No read of the node's file works any more, or all do. */
static void break_reads(const char *node, bool broken)
{
    FileNode *file = (FileNode *)block_find_node(node)->file;
    int fd = open(file->name, broken ? O_WRONLY : O_RDWR);

    g_assert_cmpint(dup2(fd, file->fd), ==, file->fd);
    close(fd);
}

static void break_file(const char *node, bool reading, bool broken)
{
    if (reading) {
        break_reads(node, broken);
    } else {
        break_writes(broken);
    }
}

static bool start_kind(const char *kind, const BlockJobOptions *options)
{
    BlockCommitOptions commit = { .device = "top", .top_node = "mid", .base_node = "base" };
    BlockMirrorOptions mirror = { .device = "top", .target = "copy", .sync = "full" };

    return !strcmp(kind, "stream") ? block_stream_start("top", NULL, NULL, options, NULL) :
           !strcmp(kind, "commit") ? block_commit_start(&commit, options, NULL) :
           block_mirror_start(&mirror, options, NULL);
}

/* One job with the policy for what fails, and another for what does not. */
static void fail_once(JobTest *st, const char *kind, const char *policy, bool reading)
{
    BlockJobOptions options = {
        .id = "job", .on_read_error = reading ? policy : "enospc",
        .on_write_error = reading ? "enospc" : policy,
    };
    const char *node = !strcmp(kind, "commit") ? "mid" : "base";
    bool ends = !strcmp(policy, "report") || !strcmp(policy, "enospc");

    st->error_event = st->concluded = st->ready = false;
    break_file(node, reading, true);
    g_assert_true(start_kind(kind, &options));
    while (!st->error_event) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpint(st->failed_reading, ==, reading);
    g_assert_cmpint(st->error_event, ==, ends ? 'R' : g_ascii_toupper(*policy));
    g_assert_cmpint(st->io_status, ==, *policy == 's' ? BLOCK_IO_STATUS_FAILED :
                    BLOCK_IO_STATUS_OK);
    break_file(node, reading, false);
    if (!ends) {
        block_job_do(block_job_find("job", NULL), JOB_VERB_CANCEL, true, NULL);
    }
    while (!st->concluded) {
        g_main_context_iteration(NULL, TRUE);
    }
}

/* Whether it was reading or writing that failed, and each its policy. */
static void test_errors(gconstpointer arg)
{
    static const char *const kinds[] = { "stream", "commit", "mirror" };
    static const char *const policies[] = { "report", "stop", "ignore", "enospc" };
    JobTest st;

    for (unsigned i = 0; i < G_N_ELEMENTS(kinds) * G_N_ELEMENTS(policies); i++) {
        const char *kind = kinds[i / G_N_ELEMENTS(policies)];
        const char *policy = policies[i % G_N_ELEMENTS(policies)];

        if (i % G_N_ELEMENTS(policies) == 0) {
            job_begin(&st, "cluster_size=64k", arg);
            tool("qemu-img create -q -f qcow2 copy.img %u", JOB_DISK);
            job_add_node("driver=qcow2,node-name=copy,file.driver=file,file.filename=copy.img");
        }
        fail_once(&st, kind, policy, true);
        fail_once(&st, kind, policy, false);
        if (i % G_N_ELEMENTS(policies) == G_N_ELEMENTS(policies) - 1) {
            job_check_disk(&st);
            blk_detach(st.blk);
            blk_cleanup_all();
            job_finish(&st);
        }
    }
}

static bool no_threads;

GThread *__wrap_g_thread_try_new(const char *name, GThreadFunc fn, gpointer data, GError **err);
GThread *__real_g_thread_try_new(const char *name, GThreadFunc fn, gpointer data, GError **err);

GThread *__wrap_g_thread_try_new(const char *name, GThreadFunc fn, gpointer data, GError **err)
{
    if (no_threads && !strcmp(name, "block-job")) {
        g_set_error(err, G_THREAD_ERROR, G_THREAD_ERROR_AGAIN, "no more threads");
        return NULL;
    }
    return __real_g_thread_try_new(name, fn, data, err);
}

/* A host that lets us have no thread: the job fails, or ends with its disk before it does. */
static void test_no_thread(gconstpointer arg)
{
    BlockJobOptions options = { .id = "job" };
    JobTest st;

    for (unsigned gone = 0; gone < 2; gone++) {
        job_begin(&st, "cluster_size=64k", arg);
        no_threads = true;
        g_assert_true(block_stream_start("top", NULL, NULL, &options, NULL));
        if (gone) {
            blk_detach(st.blk);
            g_assert_true(st.concluded);
        } else {
            job_use_until(&st, &st.concluded);
            g_assert_cmpstr(st.error, ==, "no more threads");
            g_assert_cmpstr(st.history->str, ==, "CRXEN");
            job_check_disk(&st);
        }
        no_threads = false;
        if (!gone) {
            st.concluded = false;
            g_clear_pointer(&st.error, g_free);
            g_assert_true(block_stream_start("top", NULL, NULL, &options, NULL));
            job_use_until(&st, &st.concluded);
            g_assert_cmpstr(st.error, ==, NULL);
            blk_detach(st.blk);
        }
        blk_cleanup_all();
        job_finish(&st);
    }
}

/* Jobs end with their disk, whatever they are at. */
static void test_gone(gconstpointer arg)
{
    static const BlockJobVerb verbs[] = { JOB_VERB_CANCEL, JOB_VERB_PAUSE };
    BlockJobOptions options = { .id = "job", .speed = 4096 };
    BlockCommitOptions commit = { .device = "top" };
    JobTest st;

    for (unsigned i = 0; i < 6; i++) {
        job_begin(&st, "cluster_size=64k", arg);
        if (i % 3 == 0) {
            g_assert_true(block_stream_start("top", NULL, NULL, &options, NULL));
        } else {
            commit.top_node = i % 3 == 1 ? "mid" : NULL;
            g_assert_true(block_commit_start(&commit, &options, NULL));
        }
        for (unsigned k = 0; k < 10; k++) {
            job_use_disk(&st);
        }
        if (i >= 3) {
            g_assert_true(block_job_do(block_job_find("job", NULL), verbs[i % 2], 1, NULL));
        }
        blk_detach(st.blk);
        g_assert_true(st.concluded);
        g_assert_null(block_job_find("job", NULL));
        blk_cleanup_all();
        job_check_file(&st, "top.img", "qcow2");
        job_finish(&st);
    }
}

static void test_snapshot(gconstpointer arg)
{
    BlockSnapshot sn = { .node = "top", .overlay = "over" };
    BlockCommitOptions commit = { .device = "dev", .top_node = "over", .base_node = "top" };
    BlockJobOptions options = { .id = "job" };
    g_autofree uint8_t *before = NULL;
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    tool("qemu-img create -q -f qcow2 -b top.img -F qcow2 -u over.img %u", JOB_DISK);
    job_add_node("driver=qcow2,node-name=over,file.driver=file,file.filename=over.img,backing=");
    job_use_disk(&st);
    before = g_memdup2(st.model, JOB_DISK);
    g_assert_true(block_transaction_one(block_action_snapshot(&sn), &err));
    g_assert_false(block_transaction_one(block_action_snapshot(&sn), NULL));
    g_assert_true(block_find_node("top")->is_ro);
    for (unsigned i = 0; i < 100; i++) {
        job_use_disk(&st);
    }
    sn = (BlockSnapshot) { .node = "dev", .file = "more.img", .overlay_name = "more" };
    g_assert_true(block_transaction_one(block_action_snapshot(&sn), &err));
    for (unsigned i = 0; i < 50; i++) {
        job_use_disk(&st);
    }
    blk_flush_all();
    tool("cp top.img before.img");
    /* What was written once, and has grown, is written again. */
    g_assert_true(block_commit_start(&commit, &options, &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.error, ==, NULL);
    g_assert_true(blockdev_del("over", &err));
    job_flush_and_close(&st);
    job_check_file(&st, "more.img", "qcow2");
    check_image("top.img", true);
    memcpy(st.model, before, JOB_DISK);
    job_check_file(&st, "before.img", "qcow2");
    job_finish(&st);
}

/* blockdev-create: what qemu-img says of it, and that it can be used. */
static void test_create(gconstpointer arg)
{
    static const char *const sets[] = {
        "size=8388608", "size=0", "size=8388608,cluster-size=512,refcount-bits=1",
        "size=8388608,version=v2", "size=1099511627776,cluster-size=4096",
        "size=8388608,extended-l2=on,compression-type=zstd,lazy-refcounts=on",
        "size=8388608,backing-file=base.img,backing-fmt=raw",
    };
    static const char *const bad[] = {
        "size=8388608,cluster-size=3000", "size=8388608,refcount-bits=3", "size=100",
        "size=8388608,version=v2,refcount-bits=8", "size=8388608,preallocation=some",
        "size=8388608,nonsense=1", "size=9000000000000000000",
    };
    JobTest st = { .history = g_string_new(NULL), .rng = g_rand_new() };

    tool("truncate -s 8M base.img");
    g_assert_cmpint(chdir(scratch()), ==, 0);
    block_set_listener(&job_listener, &st);
    for (unsigned i = 0; i < G_N_ELEMENTS(sets) + G_N_ELEMENTS(bad); i++) {
        bool good = i < G_N_ELEMENTS(sets);
        g_autofree char *text = g_strdup_printf("driver=qcow2,file=f,%s", good ? sets[i] :
                                                bad[i - G_N_ELEMENTS(sets)]);

        g_autofree char *path = in_scratch("t.img"), *msg = NULL;

        g_assert_true(block_create_start(qemu_opts_parse("driver=file,filename=t.img,size=0", NULL,
                                                         NULL), "job", NULL));
        for (st.concluded = false; !st.concluded;) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_cmpstr(st.error, ==, NULL);
        g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_DISMISS, 0, NULL));
        job_add_node("driver=file,node-name=f,filename=t.img");
        g_assert_true(block_create_start(qemu_opts_parse(text, NULL, NULL), "job", NULL));
        g_assert_false(blockdev_del("f", NULL));
        for (st.concluded = false; !st.concluded;) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_DISMISS, 0, NULL));
        if (!good) {
            g_assert_nonnull(st.error);
            g_clear_pointer(&st.error, g_free);
            g_assert_true(blockdev_del("f", NULL));
            continue;
        }
        g_assert_cmpstr(st.error, ==, NULL);
        g_assert_true(blockdev_del("f", NULL));
        check_image("t.img", true);
        msg = try_drive(path, "format=qcow2");
        g_assert_cmpstr(msg, ==, NULL);
        blk_cleanup_all();
    }
    job_finish(&st);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; GTestDataFunc fn; } tests[] = {
        { "stream", test_stream }, { "commit", test_commit },
        { "active-commit", test_active_commit }, { "mirror", test_mirror },
        { "gone", test_gone }, { "snapshot", test_snapshot }, { "errors", test_errors },
        { "no-thread", test_no_thread },
    };

    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < G_N_ELEMENTS(tests); i++) {
        g_autofree char *raw = g_strconcat("/jobs/", tests[i].name, "/raw", NULL);
        g_autofree char *qcow2 = g_strconcat("/jobs/", tests[i].name, "/qcow2", NULL);

        job_add_test(raw, "raw", tests[i].fn);
        job_add_test(qcow2, "qcow2", tests[i].fn);
    }
    job_add_test("/jobs/create", NULL, test_create);
    return g_test_run();
}
