/*
 * Copies of a disk that is written meanwhile: as it was at one moment, or at every moment; and
 * what becomes of a job whose target is full.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/file-posix.h"
#include "job-harness.h"
#include "qemu/cutils.h"

static void add_copy(const char *more)
{
    tool("qemu-img create -q -f qcow2 %s copy.img %u", more, JOB_DISK);
    job_add_node("driver=qcow2,node-name=copy,file.driver=file,file.filename=copy.img,"
                 "file.node-name=copy-file,backing=");
}

/* What the disk has now is what the copy has to have in the end. */
static void end_with(JobTest *st, const uint8_t *before, const char *name, const char *format)
{
    g_autofree uint8_t *after = g_steal_pointer(&st->model);

    st->model = g_memdup2(before, JOB_DISK);
    job_check_file(st, name, format);
    g_free(st->model);
    st->model = g_steal_pointer(&after);
}

static void test_backup(gconstpointer arg)
{
    static const struct { const char *sync, *create; } sets[] = {
        { "full", "-o cluster_size=64k" }, { "full", "-o cluster_size=512" },
        { "top", "-o cluster_size=2M -b mid.img -F qcow2" },
        { "top", "-o extended_l2=on -b mid.img -F qcow2" },
    };
    BlockJobOptions options = { .id = "job", .speed = 32 * MiB };
    Error *err = NULL;
    JobTest st;

    for (unsigned i = 0; i < G_N_ELEMENTS(sets); i++) {
        BlockBackupOptions backup = { .device = "dev", .target = "copy", .sync = sets[i].sync };
        g_autofree uint8_t *before = NULL;

        job_begin(&st, "cluster_size=64k", arg);
        add_copy(sets[i].create);
        before = g_memdup2(st.model, JOB_DISK);
        g_assert_true(block_transaction_one(block_action_backup(&backup, &options), &err));
        g_assert_false(block_transaction_one(block_action_backup(&backup, &options), NULL));
        g_assert_false(blockdev_del("copy", NULL));
        job_use_until(&st, &st.concluded);
        g_assert_cmpstr(st.history->str, ==, "CRWDEN");
        g_assert_cmpstr(st.error, ==, NULL);
        g_assert_true(blockdev_del("copy", NULL));
        job_flush_and_close(&st);
        job_check_file(&st, "top.img", "qcow2");
        end_with(&st, before, "copy.img", "qcow2");
        job_finish(&st);
    }
}

/* sync=none: only what is overwritten, until it is cancelled; the disk may go, too. */
static void test_none(gconstpointer arg)
{
    BlockBackupOptions backup = { .device = "top", .target = "copy", .sync = "none" };
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;
    JobTest st;

    for (unsigned i = 0; i < 2; i++) {
        g_autofree uint8_t *before = NULL;

        job_begin(&st, "cluster_size=64k", arg);
        blk_flush_all();
        tool("cp top.img below.img");
        add_copy("-o cluster_size=128k -b below.img -F qcow2");
        before = g_memdup2(st.model, JOB_DISK);
        g_assert_true(block_transaction_one(block_action_backup(&backup, &options), &err));
        for (unsigned k = 0; k < 100; k++) {
            job_use_disk(&st);
        }
        if (i == 0) {
            g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_CANCEL, true, &err));
            job_use_until(&st, &st.concluded);
            g_assert_true(blockdev_del("copy", NULL));
        }
        job_flush_and_close(&st);
        g_assert_true(st.concluded);
        job_check_file(&st, "top.img", "qcow2");
        end_with(&st, before, "copy.img", "qcow2");
        job_finish(&st);
    }
}

/* An image on the disk itself that a backup writes to: it reads as the disk was, at any moment. */
static gpointer read_scratch(gpointer opaque)
{
    const uint8_t *before = opaque;
    g_autofree uint8_t *buf = g_malloc(256 * KiB);
    BlockNode *scratch = block_find_node("copy");
    GRand *rng = g_rand_new_with_seed(3);

    for (unsigned i = 0; i < 2000; i++) {
        uint64_t len = g_rand_int_range(rng, 1, 512) * 512;
        uint64_t pos = g_rand_int_range(rng, 0, (JOB_DISK - len) / 512) * 512;

        g_assert_cmpint(block_pread(scratch, pos, buf, len), ==, 0);
        g_assert_true(!memcmp(buf, before + pos, len));
    }
    g_rand_free(rng);
    return NULL;
}

static void test_live(gconstpointer arg)
{
    BlockBackupOptions backup = { .device = "top", .target = "copy", .sync = "none" };
    BlockJobOptions options = { .id = "job" };
    g_autofree uint8_t *before = NULL;
    GThread *reader;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    tool("qemu-img create -q -f qcow2 copy.img %u", JOB_DISK);
    job_add_node("driver=qcow2,node-name=copy,file.driver=file,file.filename=copy.img,"
                 "backing=top");
    before = g_memdup2(st.model, JOB_DISK);
    g_assert_true(block_transaction_one(block_action_backup(&backup, &options), NULL));
    reader = g_thread_new("reader", read_scratch, before);
    for (unsigned i = 0; i < 500; i++) {
        job_use_disk(&st);
    }
    g_thread_join(reader);
    g_assert_false(blockdev_del("copy", NULL));
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_CANCEL, true, NULL));
    job_use_until(&st, &st.concluded);
    g_assert_true(blockdev_del("copy", NULL));
    g_assert_cmpuint(block_find_node("top")->twins, ==, 0);
    job_flush_and_close(&st);
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

static void test_files(gconstpointer arg)
{
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;
    JobTest st;

    for (unsigned i = 0; i < 5; i++) {
        const char *format = i % 2 ? "qcow2" : i == 4 ? NULL : "raw";
        const char *sync = i >= 3 ? "top" : "full";
        bool mirror = i == 2 || i == 3;
        BlockBackupOptions b = { .device = "dev", .file = "f.img", .format = format, .sync = sync };
        BlockMirrorOptions m = { .device = "dev", .file = "f.img", .format = format, .sync = sync };
        g_autofree uint8_t *before = NULL;

        job_begin(&st, "cluster_size=64k", arg);
        /* Zeroes over what is below: the copy says so, though nothing is below it as yet. */
        memset(st.model + 64 * KiB, 0, 512 * KiB);
        g_assert_cmpint(run_request(st.blk, BLOCK_OP_WRITE_ZEROES, BLOCK_REQ_MAY_UNMAP, 64 * KiB,
                                    NULL, 512 * KiB), ==, 0);
        before = g_memdup2(st.model, JOB_DISK);
        if (!mirror) {
            g_assert_true(block_transaction_one(block_action_backup(&b, &options), &err));
        } else {
            g_assert_true(block_mirror_start(&m, &options, &err));
            job_use_until(&st, &st.ready);
            g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_COMPLETE, 0, &err));
        }
        job_use_until(&st, &st.concluded);
        g_assert_cmpstr(st.error, ==, NULL);
        job_flush_and_close(&st);
        if (!mirror) {
            end_with(&st, before, "f.img", format ? format : "qcow2");
        } else {
            job_check_file(&st, "f.img", format);
        }
        job_finish(&st);
    }
}

/* A copy that is up to date whenever nothing is in flight. */
static void test_write_blocking(gconstpointer arg)
{
    BlockMirrorOptions mirror = { .device = "top", .target = "copy", .sync = "full",
                                  .write_blocking = true };
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    add_copy("");
    g_assert_true(block_mirror_start(&mirror, &options, &err));
    job_use_until(&st, &st.ready);
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_PAUSE, 0, &err));
    for (unsigned i = 0; i < 100; i++) {
        job_use_disk(&st);
    }
    blk_detach(st.blk);         /* ends the job where it is */
    blk_cleanup_all();
    g_assert_true(st.concluded);
    job_check_file(&st, "copy.img", "qcow2");
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

/* No space left -------------------------------------------------------------------------- */

static BlockDriver full_driver;
static bool is_full;

static int full_run(BlockNode *bs, BlockRequest *req)
{
    if (__atomic_load_n(&is_full, __ATOMIC_SEQ_CST) && req->node_op == BLOCK_OP_WRITE) {
        return -ENOSPC;
    }
    return block_file.run(bs, req);
}

static void set_full(bool full)
{
    BlockNode *file = block_find_node("copy-file");

    full_driver = block_file;
    full_driver.run = full_run;
    file->obj.oc = &full_driver.oc;
    __atomic_store_n(&is_full, full, __ATOMIC_SEQ_CST);
}

static bool start_full(bool backup, const BlockJobOptions *options)
{
    BlockMirrorOptions m = { .device = "top", .target = "copy", .sync = "full" };
    BlockBackupOptions b = { .device = "top", .target = "copy", .sync = "full" };

    return backup ? block_transaction_one(block_action_backup(&b, options), NULL) :
                    block_mirror_start(&m, options, NULL);
}

static void test_no_space(gconstpointer arg)
{
    static const char *const policies[] = { "report", "enospc", "stop", "ignore" };
    Error *err = NULL;
    JobTest st;

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(policies); i++) {
        BlockJobOptions options = { .id = "job", .on_write_error = policies[i / 2] };
        bool stops = i / 2 == 1 || i / 2 == 2, ready = false;

        job_begin(&st, "cluster_size=64k", arg);
        add_copy("");
        set_full(true);
        g_assert_true(start_full(i % 2, &options));
        while (i < 6 && !(stops ? st.error_event == 'S' : st.concluded)) {
            g_main_context_iteration(NULL, TRUE);   /* the guest writes nothing meanwhile */
        }
        g_assert_cmpstr(st.error, ==, i / 2 ? NULL : "No space left on device");
        set_full(false);
        if (stops) {
            g_assert_cmpstr(strchr(st.history->str, 'P'), ==, "P");
            g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_RESUME, 0, &err));
        }
        while (i >= 2 && !st.concluded) {
            g_main_context_iteration(NULL, TRUE);
            if (st.ready && !ready) {
                ready = block_job_do(block_job_find("job", NULL), JOB_VERB_COMPLETE, 0, NULL);
            }
        }
        g_assert_cmpstr(st.error, ==, i / 2 ? NULL : "No space left on device");
        job_flush_and_close(&st);
        job_check_file(&st, ready ? "copy.img" : "top.img", "qcow2");
        job_finish(&st);
    }
}

/* A backup that no write can wait for is over; the guest's writes are not. */
static void test_broken(gconstpointer arg)
{
    BlockBackupOptions backup = { .device = "top", .target = "copy", .sync = "none" };
    BlockJobOptions options = { .id = "job", .on_write_error = "ignore" };
    Error *err = NULL;
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    add_copy("");
    set_full(true);
    g_assert_true(block_transaction_one(block_action_backup(&backup, &options), &err));
    job_use_until(&st, &st.concluded);
    g_assert_cmpstr(st.error, ==, "No space left on device");
    set_full(false);
    job_flush_and_close(&st);
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

/* One of several cannot be done: nothing has happened. */
static void test_transaction(gconstpointer arg)
{
    BlockBackupOptions backup = { .device = "top", .target = "copy", .sync = "full" };
    BlockBackupOptions to_file = { .device = "top", .file = "f.img", .sync = "full" };
    BlockSnapshot over = { .node = "top", .file = "over.img" };
    BlockJobOptions options = { .id = "job" };
    JobTest st;

    job_begin(&st, "cluster_size=64k", arg);
    add_copy("");
    for (unsigned i = 0; i < 5; i++) {
        g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

        g_ptr_array_add(list, block_action_backup(i == 1 ? &to_file : &backup, &options));
        g_ptr_array_add(list, i < 2 ? block_action_abort() :
                        i == 2 ? block_action_backup(&backup, &options) :
                        block_action_snapshot(&over));
        if (i == 4) {
            g_ptr_array_insert(list, 0, g_ptr_array_steal_index(list, 1));
        }
        g_assert_false(block_transaction(list, false, NULL));
        g_assert_null(block_job_find("job", NULL));
        g_assert_cmpstr(blk_node_name(st.blk), ==, "top");
        job_use_disk(&st);
    }
    g_assert_cmpstr(st.history->str, ==, "");
    g_assert_true(blockdev_del("copy", NULL));
    job_flush_and_close(&st);
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    job_add_test("/backup/raw", "raw", test_backup);
    job_add_test("/backup/none", "qcow2", test_none);
    job_add_test("/backup/live", "qcow2", test_live);
    job_add_test("/backup/files", "raw", test_files);
    job_add_test("/backup/write-blocking", "raw", test_write_blocking);
    job_add_test("/backup/no-space", "raw", test_no_space);
    job_add_test("/backup/broken", "raw", test_broken);
    job_add_test("/backup/transaction", "raw", test_transaction);
    return g_test_run();
}
