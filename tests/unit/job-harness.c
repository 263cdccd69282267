/*
 * A disk of three images that is written while jobs are at work on it, and a plain buffer that
 * has what it should have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "job-harness.h"

#include <string.h>
#include <unistd.h>

static void on_job(void *opaque, const BlockJobInfo *info, BlockJobEvent event)
{
    static const char letters[] = "CRPYSWDXEN";
    JobTest *st = opaque;

    if (event == JOB_EVENT_STATUS) {
        g_string_append_c(st->history, letters[info->status]);
        st->concluded |= info->status == JOB_CONCLUDED;
        if (info->error) {
            g_free(st->error);
            st->error = g_strdup(info->error);
        }
    }
    st->ready |= event == JOB_EVENT_READY;
    if (event >= JOB_EVENT_ERROR_STOP && event <= JOB_EVENT_ERROR_IGNORE) {
        st->error_event = "SRI"[event - JOB_EVENT_ERROR_STOP];
        st->failed_reading = info->failed_reading;
        st->io_status = info->io_status;
    }
}

const BlockListener job_listener = { .job = on_job };

typedef struct ToolsTest {
    GTestDataFunc fn;
    gconstpointer arg;
} ToolsTest;

static void run_with_tools(gconstpointer opaque)
{
    const ToolsTest *t = opaque;

    if (have_tools()) {
        t->fn(t->arg);
    }
}

void job_add_test(const char *path, gconstpointer arg, GTestDataFunc fn)
{
    ToolsTest t = { fn, arg };

    g_test_add_data_func_full(path, g_memdup2(&t, sizeof(t)), run_with_tools, g_free);
}

void job_add_node(const char *text)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
    Error *err = NULL;

    if (!blockdev_add(opts, &err)) {
        g_error("%s: %s", text, error_get_pretty(err));
    }
}

/* base <- mid <- top, with something in each; the disk is top. */
void job_begin(JobTest *st, const char *create, const char *base_format)
{
    size_t length;

    *st = (JobTest) { .rng = g_rand_new_with_seed(11), .history = g_string_new(NULL) };
    tool("qemu-img create -q -f %s base.img 6M; qemu-io -t unsafe -f %s -c 'write -P 1 0 5M' "
         "base.img >/dev/null; qemu-img create -q -f qcow2 -o %s -b base.img -F %s mid.img %u; "
         "qemu-io -t unsafe -f qcow2 -c 'write -P 2 1M 1M' -c 'write -P 0 3M 128k' mid.img "
         ">/dev/null; qemu-img create -q -f qcow2 -o %s -b mid.img -F qcow2 top.img; "
         "qemu-io -t unsafe -f qcow2 -c 'write -P 3 1536k 1M' top.img >/dev/null",
         base_format, base_format, create, base_format, JOB_DISK, create);
    st->model = contents("top.img", &length);
    g_assert_cmpint(chdir(scratch()), ==, 0);
    g_autofree char *base = g_strdup_printf(
        "driver=%s,node-name=base,read-only=on,file.driver=file,file.filename=base.img",
        base_format);
    job_add_node(base);
    job_add_node("driver=qcow2,node-name=mid,read-only=on,file.driver=file,file.filename=mid.img,"
             "backing=base");
    job_add_node("driver=qcow2,node-name=top,file.driver=file,file.filename=top.img,backing=mid,"
             "discard=unmap");
    st->blk = blk_find_for_device("top");
    g_assert_true(blk_attach(st->blk, "dev", true, false, NULL));
    block_set_listener(&job_listener, st);
}

/* What a guest does. */
void job_use_disk(JobTest *st)
{
    uint64_t len = g_rand_int_range(st->rng, 1, 200) * 512;
    uint64_t pos = g_rand_int_range(st->rng, 0, (JOB_DISK - len) / 512) * 512;
    g_autofree uint8_t *buf = g_malloc(len);
    unsigned what = g_rand_int_range(st->rng, 0, 8);

    if (what < 4) {
        memset(buf, g_rand_int_range(st->rng, 1, 255), len);
        memcpy(st->model + pos, buf, len);
        g_assert_cmpint(run_request(st->blk, BLOCK_OP_WRITE, 0, pos, buf, len), ==, 0);
    } else if (what == 4) {
        memset(st->model + pos, 0, len);
        g_assert_cmpint(run_request(st->blk, BLOCK_OP_WRITE_ZEROES, BLOCK_REQ_MAY_UNMAP, pos, NULL,
                                    len), ==, 0);
    } else if (what == 5) {
        g_assert_cmpint(run_request(st->blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    } else {
        g_assert_cmpint(run_request(st->blk, BLOCK_OP_READ, 0, pos, buf, len), ==, 0);
        g_assert_true(!memcmp(buf, st->model + pos, len));
    }
}

/* A disk that never rests would keep a copy with a limited speed from getting ready. */
void job_use_until(JobTest *st, const bool *flag)
{
    gint64 start = g_get_monotonic_time(), now = start;

    while (!*flag) {
        job_use_disk(st);
        while (g_main_context_iteration(NULL, FALSE)) {
        }
        g_assert_cmpint(now - start, <, 300 * G_TIME_SPAN_SECOND);
        g_usleep((now - start) / 20);
        now = g_get_monotonic_time();
    }
}

void job_check_disk(JobTest *st)
{
    compare_reads(st->blk, st->model, JOB_DISK, st->rng);
}

/* What its own tools say the image has. */
void job_check_file(JobTest *st, const char *name, const char *format)
{
    g_autofree uint8_t *now = NULL;
    size_t length;

    if (!strcmp(format, "qcow2")) {
        check_image(name, true);
    }
    now = contents(name, &length);
    g_assert_cmpuint(length, ==, JOB_DISK);
    g_assert_true(!memcmp(now, st->model, length));
}

void job_flush_and_close(JobTest *st)
{
    for (unsigned i = 0; i < 50; i++) {
        job_use_disk(st);
    }
    job_check_disk(st);
    blk_detach(st->blk);
    blk_cleanup_all();
}

void job_finish(JobTest *st)
{
    block_set_listener(NULL, NULL);
    g_assert_cmpint(chdir("/"), ==, 0);
    g_string_free(st->history, TRUE);
    g_rand_free(st->rng);
    g_free(st->model);
    g_free(st->error);
    scratch_remove();
}
