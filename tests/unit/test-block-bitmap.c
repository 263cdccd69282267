/*
 * Dirty bitmaps: what they mark, incremental backups by them, and qcow2 images that keep them.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "block/bitmap.h"
#include "job-harness.h"
#include "qemu/cutils.h"

/* The verb's one argument is the name; it works, or is refused. */
static bool act(BlockBitmapVerb verb, const char *node, const char *name, bool flag)
{
    return block_transaction_one(block_action_bitmap(verb, &(BlockBitmapAction) {
        .node = node, .name = name, .granularity = verb == BITMAP_ADD ? 65536 : 0,
        .persistent = flag, .enabled = flag || verb == BITMAP_ADD }), NULL);
}

static BlockBitmap *bitmap(const char *node, const char *name)
{
    return block_bitmap_find(block_find_node(node), name, NULL);
}

static uint64_t count(const char *node, const char *name)
{
    return block_dirty_count(bitmap(node, name)->bits);
}

static void write_at(JobTest *st, uint64_t pos, uint64_t len)
{
    g_autofree uint8_t *buf = g_malloc(len);

    memset(buf, g_rand_int_range(st->rng, 1, 255), len);
    memcpy(st->model + pos, buf, len);
    g_assert_cmpint(run_request(st->blk, BLOCK_OP_WRITE, 0, pos, buf, len), ==, 0);
}

static void test_marks(void)
{
    BlockBitmapName from[] = { { NULL, "x" }, { "top", "y" } };
    BlockBitmapAction merge = { .node = "dev", .name = "z", .from = from, .n_from = 2 };
    g_autofree char *long_name = g_strnfill(1024, 'n');
    JobTest st;

    if (!have_tools()) {
        return;
    }
    job_begin(&st, "cluster_size=64k", "raw");
    g_assert_true(act(BITMAP_ADD, "top", "x", false));
    g_assert_false(act(BITMAP_ADD, "top", "x", false));
    g_assert_false(act(BITMAP_ADD, "none", "y", false));
    g_assert_false(act(BITMAP_ADD, "top", long_name, false));
    g_assert_false(act(BITMAP_ADD, "base", "y", true));
    write_at(&st, 65536 - 512, 1024);
    write_at(&st, 4 * MiB, 512);
    g_assert_cmpuint(count("top", "x"), ==, 3 * 65536);
    g_assert_true(act(BITMAP_ADD, "dev", "y", false));
    g_assert_true(act(BITMAP_ENABLE, "top", "x", false));
    g_assert_cmpint(run_request(st.blk, BLOCK_OP_WRITE_ZEROES, 0, 5 * MiB, NULL, MiB), ==, 0);
    memset(st.model + 5 * MiB, 0, MiB);
    g_assert_cmpuint(count("top", "x"), ==, 3 * 65536);
    g_assert_cmpuint(count("top", "y"), ==, MiB);
    g_assert_true(act(BITMAP_ADD, "top", "z", false));
    g_assert_true(block_transaction_one(block_action_bitmap(BITMAP_MERGE, &merge), NULL));
    g_assert_cmpuint(count("top", "z"), ==, MiB + 3 * 65536);
    from[1].name = "none";
    g_assert_true(act(BITMAP_CLEAR, "top", "z", false));
    g_assert_false(block_transaction_one(block_action_bitmap(BITMAP_MERGE, &merge), NULL));
    g_assert_cmpuint(count("top", "z"), ==, 0);
    g_assert_true(act(BITMAP_REMOVE, "top", "x", false));
    g_assert_false(act(BITMAP_REMOVE, "top", "x", false));
    g_assert_null(bitmap("top", "x"));
    job_flush_and_close(&st);
    job_check_file(&st, "top.img", "qcow2");
    job_finish(&st);
}

/* All of it is undone where one action of a transaction fails. */
static void test_undone(void)
{
    BlockBitmapName from = { NULL, "x" };
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    BlockBitmapAction x = { .node = "top", .name = "x" }, y = { .node = "top", .name = "y" };
    BlockBitmapAction into = { .node = "top", .name = "y", .from = &from, .n_from = 1 };
    JobTest st;

    if (!have_tools()) {
        return;
    }
    job_begin(&st, "cluster_size=64k", "raw");
    g_assert_true(act(BITMAP_ADD, "top", "x", false));
    write_at(&st, 0, 512);
    g_ptr_array_add(list, block_action_bitmap(BITMAP_ADD, &y));
    g_ptr_array_add(list, block_action_bitmap(BITMAP_MERGE, &into));
    g_ptr_array_add(list, block_action_bitmap(BITMAP_ENABLE, &x));
    g_ptr_array_add(list, block_action_bitmap(BITMAP_CLEAR, &x));
    g_ptr_array_add(list, block_action_bitmap(BITMAP_REMOVE, &x));
    g_ptr_array_add(list, block_action_bitmap(BITMAP_CLEAR, &x));
    g_assert_false(block_transaction(list, false, NULL));
    g_assert_null(bitmap("top", "y"));
    g_assert_cmpuint(count("top", "x"), ==, 65536);
    g_assert_true(bitmap("top", "x")->enabled && !bitmap("top", "x")->busy);
    job_flush_and_close(&st);
    job_finish(&st);
}

/* Incremental backups ----------------------------------------------------------------------- */

static void backup(JobTest *st, const char *sync, const char *mode, const char *name)
{
    BlockBackupOptions b = { .device = "top", .target = "copy", .sync = sync, .bitmap = name,
                             .bitmap_mode = mode };
    BlockJobOptions options = { .id = "job" };
    Error *err = NULL;

    st->concluded = false;
    if (!block_transaction_one(block_action_backup(&b, &options), &err)) {
        g_error("%s", error_get_pretty(err));
    }
    if (name) {
        g_assert_true(bitmap("top", name)->busy);
        g_assert_false(act(BITMAP_REMOVE, "top", name, false));
        g_assert_false(act(BITMAP_CLEAR, "top", name, false));
    }
    job_use_until(st, &st->concluded);
    if (name) {
        g_assert_false(bitmap("top", name)->busy);
    }
}

static void test_incremental(void)
{
    static const char *const modes[] = { NULL, "on-success", "always", "never" };
    g_autofree uint8_t *at_backup = NULL;
    JobTest st;

    if (!have_tools()) {
        return;
    }
    job_begin(&st, "cluster_size=64k", "raw");
    tool("qemu-img create -q -f raw copy.img %u", JOB_DISK);
    job_add_node("driver=raw,node-name=copy,file.driver=file,file.filename=copy.img");
    g_assert_true(act(BITMAP_ADD, "top", "x", false));
    backup(&st, "full", NULL, NULL);
    for (unsigned i = 0; i < 8; i++) {
        const char *mode = modes[i % 4];
        uint64_t before;

        for (unsigned k = 0; k < 20; k++) {
            job_use_disk(&st);
        }
        before = count("top", "x");
        g_free(at_backup);
        at_backup = g_memdup2(st.model, JOB_DISK);
        backup(&st, mode ? "bitmap" : "incremental", mode, "x");
        g_assert_cmpstr(st.error, ==, NULL);
        g_assert_cmpuint(count("top", "x"), >=, i % 4 == 3 ? before : 0);
    }
    blk_detach(st.blk);
    blk_cleanup_all();
    memcpy(st.model, at_backup, JOB_DISK);
    job_check_file(&st, "copy.img", "raw");
    job_finish(&st);
}

/* A backup that comes to nothing leaves in the bitmap what the next one has to copy. */
static void test_cancelled(void)
{
    static const char *const modes[] = { "on-success", "always", "never" };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes) && have_tools(); i++) {
        BlockBackupOptions b = { .device = "top", .target = "copy", .sync = "bitmap",
                                 .bitmap = "x", .bitmap_mode = modes[i] };
        BlockJobOptions options = { .id = "job", .speed = 65536 };
        uint64_t before;
        JobTest st;

        job_begin(&st, "cluster_size=64k", "raw");
        tool("qemu-img create -q -f raw copy.img %u", JOB_DISK);
        job_add_node("driver=raw,node-name=copy,file.driver=file,file.filename=copy.img");
        g_assert_true(act(BITMAP_ADD, "top", "x", false));
        write_at(&st, 0, 4 * MiB);
        before = count("top", "x");
        g_assert_true(block_transaction_one(block_action_backup(&b, &options), NULL));
        write_at(&st, 5 * MiB, 512);
        g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_CANCEL, true, NULL));
        while (!st.concluded) {
            g_main_context_iteration(NULL, TRUE);
        }
        /* "always": less what was copied, as far as it came. */
        g_assert_cmpuint(count("top", "x"), <=, before + 65536);
        g_assert_cmpuint(count("top", "x"), >=, i == 1 ? 2 * 65536 : before + 65536);
        job_flush_and_close(&st);
        job_finish(&st);
    }
}

/* In images ------------------------------------------------------------------------------------ */

static void check_bitmaps(const char *expected)
{
    g_autofree char *text = NULL, *path = in_scratch("info");

    tool("qemu-img info -U --output=json top.img | tr -d ' \n' >info");
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_true(expected ? strstr(text, expected) != NULL : !strstr(text, "\"bitmaps\""));
}

static void open_again(JobTest *st, bool read_only)
{
    g_autofree char *text = g_strdup_printf(
        "driver=qcow2,node-name=top,file.driver=file,file.filename=top.img,read-only=%s",
        read_only ? "on" : "off");

    job_add_node(text);
    st->blk = blk_find_for_device("top");
    g_assert_true(blk_attach(st->blk, "dev", !read_only, false, NULL));
}

static void close_all(JobTest *st)
{
    blk_detach(st->blk);
    blk_cleanup_all();
    check_image("top.img", true);
}

static void test_persistent(gconstpointer create)
{
    JobTest st;

    if (!have_tools()) {
        return;
    }
    job_begin(&st, create, "raw");
    g_assert_true(act(BITMAP_ADD, "top", "keep", true));
    g_assert_true(act(BITMAP_ADD, "top", "still", true));
    g_assert_true(act(BITMAP_ADD, "top", "forget", false));
    write_at(&st, 2 * MiB, 512);
    g_assert_true(act(BITMAP_ENABLE, "top", "still", false));
    write_at(&st, 6 * MiB, MiB);
    close_all(&st);
    check_bitmaps("{\"flags\":[\"auto\"],\"name\":\"keep\",\"granularity\":65536}");
    check_bitmaps("{\"flags\":[],\"name\":\"still\",\"granularity\":65536}");

    open_again(&st, false);
    check_bitmaps("\"flags\":[\"in-use\",\"auto\"],\"name\":\"keep\"");
    g_assert_null(bitmap("top", "forget"));
    g_assert_cmpuint(count("top", "keep"), ==, MiB + 65536);
    g_assert_cmpuint(count("top", "still"), ==, 65536);
    write_at(&st, 0, 512);
    tool("cp top.img crash.img");
    g_assert_true(act(BITMAP_ADD, "top", "more", true));
    g_assert_true(block_resize("top", 9 * MiB, false, NULL));
    g_assert_true(act(BITMAP_REMOVE, "top", "still", false));
    close_all(&st);

    open_again(&st, true);
    g_assert_cmpuint(count("top", "keep"), ==, MiB + 2 * 65536);
    g_assert_cmpuint(count("top", "more"), ==, 0);
    g_assert_false(act(BITMAP_CLEAR, "top", "keep", false));
    g_assert_false(act(BITMAP_REMOVE, "top", "keep", false));
    close_all(&st);
    tool("qemu-img bitmap --merge keep top.img more");
    open_again(&st, false);
    g_assert_cmpuint(count("top", "more"), ==, count("top", "keep"));
    g_assert_true(act(BITMAP_REMOVE, "top", "keep", false));
    g_assert_true(act(BITMAP_REMOVE, "top", "more", false));
    close_all(&st);
    check_bitmaps(NULL);

    /* What a crash leaves is known to be worth nothing. */
    tool("mv crash.img top.img");
    open_again(&st, false);
    g_assert_true(bitmap("top", "keep")->inconsistent);
    g_assert_false(act(BITMAP_CLEAR, "top", "keep", false));
    g_assert_true(act(BITMAP_REMOVE, "top", "still", false));
    close_all(&st);
    check_bitmaps("\"bitmaps\":[{\"flags\":[\"in-use\"],\"name\":\"keep\"");
    job_finish(&st);
}

/* A snapshot leaves the bitmaps in the image below; committed into, it goes on. */
static void test_chain(void)
{
    BlockSnapshot over = { .node = "dev", .file = "over.img", .overlay_name = "over" };
    BlockCommitOptions commit = { .device = "dev", .base_node = "top" };
    BlockJobOptions options = { .id = "job" };
    JobTest st;

    if (!have_tools()) {
        return;
    }
    job_begin(&st, "cluster_size=64k", "raw");
    g_assert_true(act(BITMAP_ADD, "top", "x", true));
    write_at(&st, 0, 512);
    g_assert_true(block_transaction_one(block_action_snapshot(&over), NULL));
    check_bitmaps("{\"flags\":[\"auto\"],\"name\":\"x\"");
    write_at(&st, MiB, 512);
    g_assert_cmpuint(count("top", "x"), ==, 65536);
    g_assert_true(block_commit_start(&commit, &options, NULL));
    while (!st.ready) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_true(block_job_do(block_job_find("job", NULL), JOB_VERB_COMPLETE, 0, NULL));
    while (!st.concluded) {
        g_main_context_iteration(NULL, TRUE);
    }
    g_assert_cmpuint(count("top", "x"), ==, 2 * 65536);
    write_at(&st, 2 * MiB, 512);
    close_all(&st);
    check_bitmaps("{\"flags\":[\"auto\"],\"name\":\"x\"");
    open_again(&st, true);
    g_assert_cmpuint(count("top", "x"), ==, 3 * 65536);
    close_all(&st);
    job_finish(&st);
}

/* Images whose directories make no sense are refused; none of them crashes anything. */
static void test_hostile(void)
{
    g_autofree uint8_t *file = NULL;
    g_autofree char *path = NULL;
    GRand *rng = g_rand_new_with_seed(5);
    gsize len, at;

    if (!have_tools()) {
        return;
    }
    tool("qemu-img create -q -f qcow2 -o cluster_size=512 b.img 4M; "
         "qemu-img bitmap --add -g 512 b.img one; qemu-img bitmap --add b.img two; "
         "qemu-io -c 'write 1M 64k' b.img >/dev/null");
    path = in_scratch("b.img");
    g_assert_true(g_file_get_contents(path, (char **)&file, &len, NULL));
    /* The extension's type, big-endian. */
    for (at = 0; memcmp(file + at, "\x23\x85\x28\x75", 4); at++) {
    }
    for (unsigned i = 0; i < 400; i++) {
        g_autofree uint8_t *bad = g_memdup2(file, len);
        uint64_t dir = GUINT64_FROM_BE(*(uint64_t *)(file + at + 24));
        g_autofree char *msg = NULL;
        gsize where = i % 2 ? at + 8 + g_rand_int_range(rng, 0, 24) :
                      dir + g_rand_int_range(rng, 0, 64);

        bad[where] = i % 3 ? g_rand_int_range(rng, 0, 256) : bad[where] ^ 1 << i % 8;
        g_assert_true(g_file_set_contents(path, (char *)bad, len, NULL));
        msg = try_drive(path, i % 5 ? "format=qcow2" : "format=qcow2,readonly=on");
        blk_cleanup_all();
    }
    g_rand_free(rng);
    scratch_remove();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/bitmap/marks", test_marks);
    g_test_add_func("/bitmap/undone", test_undone);
    g_test_add_func("/bitmap/incremental", test_incremental);
    g_test_add_func("/bitmap/cancelled", test_cancelled);
    g_test_add_data_func("/bitmap/persistent/64k", "cluster_size=64k", test_persistent);
    g_test_add_data_func("/bitmap/persistent/512", "cluster_size=512", test_persistent);
    g_test_add_func("/bitmap/chain", test_chain);
    g_test_add_func("/bitmap/hostile", test_hostile);
    return g_test_run();
}
