/*
 * Images without a machine: options, cache modes, locks, files that misbehave.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "block-requests.h"
#include "block/file-posix.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"

#define SIZE (1u << 20)

static char *new_image(void)
{
    g_autofree uint8_t *data = g_malloc(SIZE);
    char *path;
    int fd = g_file_open_tmp("block-XXXXXX", &path, NULL);

    for (unsigned i = 0; i < SIZE; i++) {
        data[i] = i / 512 + 1;
    }
    g_assert_cmpint(qemu_write_full(fd, data, SIZE), ==, 0);
    close(fd);
    return path;
}

static BlockBackend *open_drive(const char *path, const char *options)
{
    g_autofree char *full = g_strdup_printf("format=raw,%s", options);
    g_autofree char *msg = try_drive(path, full);
    BlockBackend *blk;

    g_assert_cmpstr(msg, ==, NULL);
    blk = blk_find_for_device("d");
    g_assert_nonnull(blk);
    return blk;
}

static FileNode *file_node(BlockBackend *blk)
{
    BlockNode *bs = blk->root;

    while (bs->file) {
        bs = bs->file;
    }
    return (FileNode *)bs;
}

/* F03: which flags the file is opened with; which engine serves. */
static void test_cache_modes(void)
{
    static const struct {
        const char *options;
        bool direct, no_flush, writeback;
    } modes[] = {
        { "", false, false, true },
        { "cache=writeback", false, false, true },
        { "cache=none", true, false, true },
        { "cache=writethrough", false, false, false },
        { "cache=directsync", true, false, false },
        { "cache=unsafe", false, true, true },
        { "cache=unsafe,cache.no-flush=off", false, false, true },
        { "cache.direct=on,cache.writeback=off", true, false, false },
    };
    g_autofree char *path = new_image();

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        BlockBackend *blk = open_drive(path, modes[i].options);
        FileNode *f = file_node(blk);
        void *buf = aligned_alloc(4096, 4096);

        g_assert_cmpint(!!(fcntl(f->fd, F_GETFL) & O_DIRECT), ==, modes[i].direct);
        g_assert_cmpint(f->bs.no_flush, ==, modes[i].no_flush);
        g_assert_cmpint(blk_get_write_cache(blk), ==, modes[i].writeback);
        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 4096, buf, 4096), ==, 0);
        g_assert_cmphex(((uint8_t *)buf)[0], ==, 9);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 0, buf, 4096), ==, 0);
        g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
        free(buf);
        blk_cleanup_all();
    }
    unlink(path);
}

static void test_option_errors(void)
{
    static const struct { const char *options, *text; } bad[] = {
        { "cache=fast", "invalid cache option" },
        { "aio=magic", "invalid aio option" },
        { "aio=native", "aio=native was specified, but it requires cache.direct=on, "
          "which was not specified." },
        { "werror=sometimes", "'sometimes' invalid write error action" },
        { "rerror=enospc", "'enospc' invalid read error action" },
        { "format=floppy", "Unknown driver 'floppy'" },
        { "format=raw,frob=1", "Block format 'raw' does not support the option 'frob'" },
        { "format=raw,file.frob=1",
          "Block protocol 'file' does not support the option 'frob'" },
        { "format=raw,driver=raw", "Cannot specify both 'driver' and 'format'" },
        { "readonly=on,read-only=off",
          "'read-only' and its alias 'readonly' can't be used at the same time" },
        { "file.filename=x", "Can't specify 'file' and 'filename' options at the same time" },
        { "force-share=on", "force-share=on can only be used with read-only images" },
        { "format=raw,node-name=1abc", "Invalid node-name: '1abc'" },
        { "format=raw,file.node-name=a_b:c", "Invalid node-name: 'a_b:c'" },
        { "format=raw,node-name=d", "Device name 'd' conflicts with an existing node name" },
        { "format=raw,offset=100", "offset 100 is not a multiple of 512 within the image" },
        { "format=raw,size=2M", "size 2097152 is not a multiple of 512 within the image" },
        { "copy-on-read=on", "copy-on-read is not supported" },
        { "media=tape", "'tape' invalid media" },
    };
    g_autofree char *path = new_image();
    g_autofree char *msg = NULL;

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *text = try_drive(path, bad[i].options);

        g_assert_cmpstr(text, ==, bad[i].text);
        g_assert_null(blk_find("d"));
    }
    /* Here, unlike in -blockdev, it is "on". */
    open_drive(path, "detect-zeroes=unmap");
    msg = try_drive(path, "format=raw");
    g_assert_cmpstr(msg, ==, "Duplicate ID 'd' for drive");
    blk_cleanup_all();
    unlink(path);
}

/* Opened before anything runs: what is not an image is an error, at once. */
static void test_bad_files(void)
{
    g_autofree char *dir = g_dir_make_tmp("block-XXXXXX", NULL);
    g_autofree char *fifo = g_build_filename(dir, "fifo", NULL);
    g_autofree char *msg = NULL;

    msg = try_drive(dir, "format=raw");
    g_assert_nonnull(strstr(msg, "Could not open"));
    g_clear_pointer(&msg, g_free);
    msg = try_drive("/dev/full", "format=raw");
    g_assert_nonnull(strstr(msg, "a regular file or block device was expected"));
    g_clear_pointer(&msg, g_free);
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    msg = try_drive(fifo, "format=raw");
    g_assert_nonnull(strstr(msg, "a regular file or block device was expected"));
    g_clear_pointer(&msg, g_free);
    msg = try_drive("http://localhost/x", "format=raw");
    g_assert_cmpstr(msg, ==, "Unknown protocol 'http'");
    g_clear_pointer(&msg, g_free);
    msg = try_drive("/nonexistent", "format=raw");
    g_assert_cmpstr(msg, ==, "Could not open '/nonexistent': No such file or directory");
    unlink(fifo);
    rmdir(dir);
}

static void test_probe(void)
{
    static const struct { const char *magic; unsigned at; const char *format; } formats[] = {
        { "KDMV\0\0\0\1", 0, "vmdk" }, { "QFI\xfb\0\0\0\1", 0, "qcow" }, { "conectix", 0, "vpc" },
        { "vhdxfile", 0, "vhdx" }, { "\x7f\x10\xda\xbe\1\0\1\0", 64, "vdi" },
        { "LUKS\xba\xbe\0\2", 0, "luks" },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        g_autofree char *path = new_image(), *msg = NULL;
        g_autofree char *want = g_strdup_printf("Block format '%s' is not supported: convert the "
                                                "image with qemu-img convert -f %s",
                                                formats[i].format, formats[i].format);
        int fd = open(path, O_RDWR);

        g_assert_cmpint(pwrite(fd, formats[i].magic, 8, formats[i].at), ==, 8);
        close(fd);
        msg = try_drive(path, "");
        g_assert_true(g_str_has_prefix(msg, want));
        unlink(path);
    }
}

/* A file that another one cut: zeroes, not an error, not old bytes. */
static void check_shrink(const char *options)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, options);
    uint8_t *buf = aligned_alloc(4096, 65536);

    g_assert_cmpint(truncate(path, 10000), ==, 0);
    memset(buf, 0xff, 65536);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 8192, buf, 65536), ==, 0);
    for (unsigned i = 0; i < 65536; i++) {
        g_assert_cmphex(buf[i], ==, 8192 + i < 10000 ? (8192 + i) / 512 + 1 : 0);
    }
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 8192, buf, 65536), ==, 0);
    free(buf);
    blk_cleanup_all();
    unlink(path);
}

static void test_shrink(void)
{
    check_shrink("aio=io_uring");
    check_shrink("aio=threads");
    check_shrink("cache=none");
    check_shrink("cache=none,aio=threads");
}

/* A limit on the size of files: a short write, then an error; no signal kills us. */
static void check_file_limit(const char *options)
{
    struct rlimit old, limit;
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, options);
    uint8_t *buf = aligned_alloc(4096, 65536);
    int ret;

    memset(buf, 1, 65536);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit) { 512 << 10, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &limit);
    ret = run_request(blk, BLOCK_OP_WRITE, 0, (512 << 10) - 4096, buf, 65536);
    setrlimit(RLIMIT_FSIZE, &old);
    g_assert_cmpint(ret, ==, -EFBIG);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, (512 << 10) - 4096, buf, 65536), ==, 0);
    free(buf);
    blk_cleanup_all();
    unlink(path);
}

static void test_file_limit(void)
{
    check_file_limit("aio=threads");
    check_file_limit("aio=io_uring");
}

/* Two flushes at once: the kernel tells one of them that pages are lost. */
static void check_flush_race(const char *options)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, options);
    BlockRequest flush = { .op = BLOCK_OP_FLUSH, .node_op = BLOCK_OP_FLUSH, .cb = request_done };
    FileNode *f = file_node(blk);

    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    if (f->bs.engine) {
        blk_submit(blk, &flush);
        block_flush_failed(&f->bs, EIO);
        blk_kick(blk);
        blk_drain(blk);
    } else {
        block_flush_failed(&f->bs, EIO);
        flush.ret = file_run(&f->bs, &flush);
    }
    g_assert_cmpint(flush.ret, ==, -EIO);
    blk_cleanup_all();
    unlink(path);
}

/* F17 */
static void check_flush_error(int err)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "");

    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    block_flush_failed(&file_node(blk)->bs, ENOMEM);
    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, 0);
    block_flush_failed(&file_node(blk)->bs, err);
    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, -EIO);
    g_assert_cmpint(run_request(blk, BLOCK_OP_FLUSH, 0, 0, NULL, 0), ==, -EIO);
    blk_cleanup_all();
    unlink(path);
}

static void test_flush_error(void)
{
    check_flush_error(EIO);
    check_flush_error(ENOSPC);
    check_flush_error(EDQUOT);
    check_flush_race("aio=io_uring");
    check_flush_race("aio=threads");
}

/* F20: another process (open file descriptions lock, so a second open will do). */
static bool probe_lock(const char *path, off_t byte)
{
    int fd = open(path, O_RDWR);
    struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte,
                        .l_len = 1 };

    g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &fl), ==, 0);
    close(fd);
    return fl.l_type != F_UNLCK;
}

static int child_attach(const char *path, const char *options, bool rw, bool share)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        g_autofree char *text = g_strdup_printf("file=%s,id=c,format=raw,%s", path, options);
        g_autoptr(QemuOpts) opts = qemu_opts_parse(text, NULL, NULL);
        Error *err = NULL;

        if (!drive_new(opts, &err)) {
            _exit(!strcmp(error_get_pretty(err), "Failed to get \"write\" lock") ? 2 : 3);
        }
        if (!blk_attach(blk_find_for_device("c"), "c", rw, share, &err)) {
            _exit(strstr(error_get_pretty(err), "\"write\" lock") ? 4 : 5);
        }
        _exit(0);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WEXITSTATUS(status);
}

static void test_locks(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "");

    g_assert_true(blk_attach(blk, "dev", true, false, NULL));
    g_assert_true(probe_lock(path, 100));
    g_assert_true(probe_lock(path, 101));
    g_assert_true(probe_lock(path, 201));
    g_assert_false(probe_lock(path, 200));
    /* Another writer is refused when it opens, a reader when it attaches. */
    g_assert_cmpint(child_attach(path, "", true, false), ==, 2);
    g_assert_cmpint(child_attach(path, "readonly=on", false, false), ==, 4);
    g_assert_cmpint(child_attach(path, "readonly=on", false, true), ==, 0);
    g_assert_cmpint(child_attach(path, "file.locking=off", true, false), ==, 0);
    blk_detach(blk);
    g_assert_false(probe_lock(path, 201));
    g_assert_true(blk_attach(blk, "dev", true, true, NULL));
    g_assert_cmpint(child_attach(path, "", true, true), ==, 0);
    g_assert_cmpint(child_attach(path, "", true, false), ==, 4);
    blk_cleanup_all();
    /* Two readers. */
    blk = open_drive(path, "readonly=on");
    g_assert_true(blk_attach(blk, "dev", false, false, NULL));
    g_assert_cmpint(child_attach(path, "readonly=on", false, false), ==, 0);
    g_assert_cmpint(child_attach(path, "", true, false), ==, 2);
    blk_cleanup_all();
    unlink(path);
}

static void test_blockdev(void)
{
    g_autofree char *path = new_image();
    g_autofree char *file = g_strdup_printf("{\"driver\":\"file\",\"filename\":\"%s\","
        "\"node-name\":\"s\",\"auto-read-only\":true,\"discard\":\"unmap\"}", path);
    const char *raw = "{\"node-name\":\"f\",\"read-only\":false,\"driver\":\"raw\","
        "\"file\":\"s\",\"cache\":{\"direct\":false,\"no-flush\":true}}";
    g_autoptr(QemuOpts) fo = qemu_opts_parse(file, "driver", NULL);
    g_autoptr(QemuOpts) ro = qemu_opts_parse(raw, "driver", NULL);
    g_autofree char *nested = g_strdup_printf("raw,node-name=n,read-only=on,offset=512,size=1024,"
                                              "file.driver=file,file.filename=%s", path);
    g_autoptr(QemuOpts) no = qemu_opts_parse(nested, "driver", NULL);
    BlockStats stats;
    Error *err = NULL;
    uint8_t buf[512];

    g_assert_nonnull(blockdev_add(fo, NULL));
    g_assert_nonnull(blockdev_add(ro, NULL));
    g_assert_null(blk_find_for_device("s"));        /* in use by f */
    g_assert_nonnull(blk_find_for_device("f"));
    g_assert_cmpuint(blk_getlength(blk_find_for_device("f")), ==, SIZE);
    /* Duplicate names, and what stays after the failure. */
    g_assert_null(blockdev_add(ro, &err));
    error_free(err);
    g_assert_nonnull(blockdev_add(no, NULL));
    g_assert_true(blk_is_read_only(blk_find_for_device("n")));
    g_assert_cmpuint(blk_getlength(blk_find_for_device("n")), ==, 1024);
    g_assert_cmpint(run_request(blk_find_for_device("n"), BLOCK_OP_READ, 0, 512, buf, 512), ==, 0);
    g_assert_cmphex(buf[0], ==, 3);
    g_assert_cmpint(run_request(blk_find_for_device("n"), BLOCK_OP_WRITE, 0, 512, buf, 512), ==,
                    -EPERM);
    g_assert_cmpint(run_request(blk_find_for_device("n"), BLOCK_OP_READ, 0, 512, buf, 1024), ==,
                    -EIO);
    blk_get_stats(blk_find_for_device("n"), &stats);
    g_assert_cmpuint(stats.ops[BLOCK_OP_READ], ==, 1);
    g_assert_cmpuint(stats.time_ns[BLOCK_OP_READ], >, 0);
    g_assert_cmpuint(stats.invalid[BLOCK_OP_READ], ==, 1);
    g_assert_cmpuint(stats.invalid[BLOCK_OP_WRITE], ==, 1);
    g_assert_cmpuint(stats.failed[BLOCK_OP_READ] + stats.failed[BLOCK_OP_WRITE], ==, 0);
    blk_cleanup_all();
    unlink(path);
}

static char *try_blockdev(const char *format, const char *path)
{
    g_autofree char *text = g_strdup_printf(format, path);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "driver", NULL);
    g_autoptr(Error) err = NULL;

    return blockdev_add(opts, &err) ? NULL : g_strdup(error_get_pretty(err));
}

static void test_blockdev_errors(void)
{
    static const struct { const char *options, *text; } rows[] = {
        { "file,filename=%s,node-name=a12345678901234567890123456789.-_", "Node name too long" },
        { "file,filename=%s,node-name=a1234567890123456789012345678.-", NULL },
        { "file,filename=%s,node-name=", "Invalid node-name: ''" },
        { "file,filename=%s,node-name=-a", "Invalid node-name: '-a'" },
        { "null-co,node-name=d", "node-name=d is conflicting with a device id" },
        { "null-co,node-name=n", NULL },
        { "null-co,node-name=n", "Duplicate nodes with node-name='n'" },
        { "file,filename=%s,node-name=f,force-share=on,auto-read-only=on",
          "force-share=on can only be used with read-only images" },
        { "file,filename=%s,node-name=f,force-share=on,read-only=on", NULL },
        { "raw,file=f,node-name=r,force-share=on",
          "force-share=on can only be used with read-only images" },
        { "file,filename=%s,node-name=z,detect-zeroes=unmap", "setting detect-zeroes to unmap "
          "is not allowed without setting discard operation to unmap" },
    };
    g_autofree char *path = new_image();

    open_drive(path, "");
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = try_blockdev(rows[i].options, path);

        g_assert_cmpstr(text, ==, rows[i].text);
    }
    blk_cleanup_all();
    unlink(path);
}

/* Nodes and devices that only read may share a node, and each has a loop of its own. */
static void test_readers(void)
{
    g_autofree char *path = new_image();
    g_autofree char *busy = NULL;
    GMainContext *ctx = g_main_context_new();
    BlockBackend *blk[4];
    uint8_t buf[512];

    g_assert_null(try_blockdev("file,filename=%s,node-name=f", path));
    g_assert_null(try_blockdev("raw,file=f,node-name=r1,read-only=on,offset=512,size=1024", path));
    g_assert_null(try_blockdev("raw,file=f,node-name=r2,read-only=on", path));
    busy = try_blockdev("raw,file=f,node-name=r3", path);
    g_assert_cmpstr(busy, ==, "Node 'f' is busy: it is in use already");
    for (unsigned i = 0; i < 4; i++) {
        blk[i] = blk_find_for_device(i < 3 ? "r1" : "r2");
        g_assert_true(blk_attach(blk[i], "dev", false, false, NULL));
        blk_set_context(blk[i], i == 2 ? ctx : NULL, NULL, NULL);
        g_assert_cmpuint(blk_getlength(blk[i]), ==, i < 3 ? 1024 : SIZE);
        g_assert_cmpint(run_request(blk[i], BLOCK_OP_READ, 0, 512, buf, 512), ==, 0);
        g_assert_cmphex(buf[0], ==, i < 3 ? 3 : 2);
        g_assert_cmpint(run_request(blk[i], BLOCK_OP_WRITE, 0, 512, buf, 512), ==, -EPERM);
    }
    g_assert_true(blk[0] != blk[1] && blk[1] != blk[2]);
    g_assert_false(blockdev_del("f", NULL));
    blk_detach(blk[0]);
    g_assert_false(blockdev_del("r1", NULL));
    blk_detach(blk[1]);
    blk_detach(blk[2]);
    g_assert_true(blockdev_del("r1", NULL));
    g_assert_false(blockdev_del("f", NULL));
    blk_detach(blk[3]);
    g_assert_true(blockdev_del("r2", NULL));
    g_assert_true(blockdev_del("f", NULL));
    g_main_context_unref(ctx);
    blk_cleanup_all();
    unlink(path);
}

/* An image that ends within a sector has all of it; what lies behind the end is zero. */
static void check_odd_size(const char *options, unsigned size, unsigned align)
{
    g_autofree char *path = new_image();
    unsigned whole = QEMU_ALIGN_UP(size, 512), last = whole - 512;
    bool writable = !strstr(options, "readonly"), stays = strstr(options, "snapshot");
    uint8_t *buf = aligned_alloc(4096, 4096);
    BlockBackend *blk;
    struct stat st;

    g_assert_cmpint(truncate(path, size), ==, 0);
    blk = open_drive(path, options);
    if (align) {
        file_node(blk)->bs.align = file_node(blk)->bs.mem_align = align;
    }
    g_assert_cmpuint(blk_getlength(blk), ==, whole);
    memset(buf, 0xff, 512);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, last, buf, 512), ==, 0);
    for (unsigned i = 0; i < 512; i++) {
        g_assert_cmphex(buf[i], ==, last + i < size ? (uint8_t)(last / 512 + 1) : 0);
    }
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, whole, buf, 512), ==, -EIO);
    memset(buf, 0x5a, 512);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, last, buf, 512), ==, writable ? 0 : -EPERM);
    memset(buf, 0, 512);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, last, buf, 512), ==, 0);
    g_assert_cmphex(buf[511], ==, writable ? 0x5a : 0);
    if (writable) {
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE_ZEROES, 0, last, NULL, 512), ==, 0);
        g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, last, buf, 512), ==, 0);
        g_assert_cmphex(buf[0] | buf[511], ==, 0);
    }
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, writable && !stays ? whole : size);
    free(buf);
    blk_cleanup_all();
    unlink(path);
}

static void test_odd_sizes(void)
{
    static const char *const options[] = {
        "aio=io_uring", "aio=threads", "readonly=on", "snapshot=on", "cache=none",
    };
    static const unsigned sizes[] = { 1000000, 5, 1000449, 511 };

    for (unsigned i = 0; i < G_N_ELEMENTS(options) * G_N_ELEMENTS(sizes); i++) {
        for (unsigned align = 0; align <= 4096; align += 512 + align * 6) {
            check_odd_size(options[i / 4], sizes[i % 4], align);
        }
    }
}

/* Lists of more buffers than one system call of a worker takes. */
static void check_vector(const char *options)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, options);
    uint8_t *buf = aligned_alloc(4096, 1024 * 512);
    struct iovec iov[1000];
    BlockRequest req = { .op = BLOCK_OP_READ, .bytes = 1000 * 512, .iov = iov,
                         .niov = 1000, .cb = request_done };

    for (int i = 0; i < 1000; i++) {
        iov[i] = (struct iovec) { buf + (999 - i) * 512, 512 };
    }
    blk_submit(blk, &req);
    blk_kick(blk);
    blk_drain(blk);
    g_assert_cmpint(req.ret, ==, 0);
    for (int i = 0; i < 1000; i++) {
        g_assert_cmphex(buf[(999 - i) * 512], ==, (uint8_t)(i + 1));
    }
    free(buf);
    blk_cleanup_all();
    unlink(path);
}

static void test_vectors(void)
{
    check_vector("aio=threads");
    check_vector("aio=io_uring");
    check_vector("aio=threads,cache=none");
    check_vector("cache=none");
    check_vector("snapshot=on");
}

/* Entries that the ring has served so far; -1: there is none. */
static int ring_entries(void)
{
    g_autoptr(GDir) dir = g_dir_open("/proc/self/fd", 0, NULL);
    const char *name;

    while ((name = g_dir_read_name(dir))) {
        g_autofree char *fd = g_strdup_printf("/proc/self/fd/%s", name);
        g_autofree char *info = g_strdup_printf("/proc/self/fdinfo/%s", name);
        g_autofree char *target = g_file_read_link(fd, NULL);
        g_autofree char *text = NULL;

        if (!g_strcmp0(target, "anon_inode:[io_uring]") &&
            g_file_get_contents(info, &text, NULL, NULL)) {
            return atoi(strstr(text, "\nCqTail:") + strlen("\nCqTail:"));
        }
    }
    return -1;
}

/* Ten requests of 4 KiB each from offset on, step apart; how many entries they took. */
static int run_ten(BlockBackend *blk, BlockOp op, uint8_t *buf, uint64_t offset,
                   int64_t step, unsigned flags, BlockRequest *req)
{
    struct iovec iov[20];
    int before = ring_entries();

    for (int i = 0; i < 10; i++) {
        iov[2 * i] = (struct iovec) { buf + i * 4096, 512 };
        iov[2 * i + 1] = (struct iovec) { buf + i * 4096 + 512, 3584 };
        req[i] = (BlockRequest) { .op = op, .flags = flags, .offset = offset + i * step,
                                  .bytes = 4096, .iov = &iov[2 * i], .niov = 2,
                                   .cb = request_done };
        blk_submit(blk, &req[i]);
    }
    blk_kick(blk);
    blk_drain(blk);
    return ring_entries() - MAX(before, 0);
}

static void check_join(const char *options)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, options);
    uint8_t *buf = aligned_alloc(4096, 40960);
    BlockRequest req[10];

    /* One entry for all; none is joined that goes back, leaves a gap or wants to be alone. */
    g_assert_cmpint(run_ten(blk, BLOCK_OP_READ, buf, 4096, 4096, 0, req), ==, 1);
    for (int i = 0; i < 40960; i++) {
        g_assert_cmphex(buf[i], ==, (uint8_t)((4096 + i) / 512 + 1));
    }
    g_assert_cmpint(run_ten(blk, BLOCK_OP_READ, buf, 65536, -4096, 0, req), ==, 10);
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(req[i].ret, ==, 0);
        g_assert_cmphex(buf[i * 4096 + 1024], ==, (uint8_t)((65536 - i * 4096) / 512 + 3));
    }
    g_assert_cmpint(run_ten(blk, BLOCK_OP_READ, buf, 0, 8192, 0, req), ==, 10);
    g_assert_cmpint(run_ten(blk, BLOCK_OP_READ, buf, 0, 4096, BLOCK_REQ_ALONE, req), ==, 10);
    memset(buf, 0xa5, 40960);
    g_assert_cmpint(run_ten(blk, BLOCK_OP_WRITE, buf, 8192, 4096, 0, req), ==, 1);
    memset(buf, 0, 40960);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 8192, buf, 40960), ==, 0);
    for (int i = 0; i < 40960; i++) {
        g_assert_cmphex(buf[i], ==, 0xa5);
    }
    free(buf);
    blk_cleanup_all();
    unlink(path);
}

/* Requests that share an entry have each their own result. */
static void check_join_errors(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "");
    g_autofree uint8_t *buf = g_malloc(40960);
    struct rlimit old, limit;
    BlockRequest req[10];

    memset(buf, 0x5a, 40960);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = (struct rlimit) { 512 << 10, old.rlim_max };
    setrlimit(RLIMIT_FSIZE, &limit);
    run_ten(blk, BLOCK_OP_WRITE, buf, (512 << 10) - 14336, 4096, 0, req);
    setrlimit(RLIMIT_FSIZE, &old);
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(req[i].ret, ==, i < 3 ? 0 : -EFBIG);
    }
    /* The file ends in the fourth. */
    g_assert_cmpint(truncate(path, 13312), ==, 0);
    run_ten(blk, BLOCK_OP_READ, buf, 0, 4096, 0, req);
    for (int i = 0; i < 40960; i++) {
        g_assert_cmphex(buf[i], ==, i < 13312 ? (uint8_t)(i / 512 + 1) : 0);
    }
    for (int i = 0; i < 10; i++) {
        g_assert_cmpint(req[i].ret, ==, 0);
    }
    blk_cleanup_all();
    unlink(path);
}

static void test_join(void)
{
    check_join("cache=none");
    check_join("cache=writethrough");
    check_join_errors();
}

/* More requests than the ring has room for: none follows its predecessor. */
static void test_many(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "");
    g_autofree BlockRequest *req = g_new0(BlockRequest, 4000);
    g_autofree struct iovec *iov = g_new0(struct iovec, 4000);
    g_autofree uint8_t *buf = g_malloc0(4000 * 512);

    for (int i = 0; i < 4000; i++) {
        iov[i] = (struct iovec) { buf + i * 512, 512 };
        req[i] = (BlockRequest) { .op = BLOCK_OP_READ, .offset = i * 5 % 2048 * 512, .bytes = 512,
                                  .iov = &iov[i], .niov = 1, .cb = request_done };
        blk_submit(blk, &req[i]);
    }
    blk_kick(blk);
    blk_drain(blk);
    for (int i = 0; i < 4000; i++) {
        g_assert_cmpint(req[i].ret, ==, 0);
        g_assert_cmphex(buf[i * 512 + 511], ==, (uint8_t)(i * 5 % 2048 + 1));
    }
    blk_cleanup_all();
    unlink(path);
}

static void test_detect_zeroes(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "detect-zeroes=unmap,discard=unmap");
    g_autofree uint8_t *buf = g_malloc0(SIZE);
    int64_t before = g_get_monotonic_time() * 1000;
    BlockStats stats;
    struct stat st;

    blk_get_stats(blk, &stats);
    g_assert_cmpint(stats.last_end, ==, 0);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 0, buf, SIZE), ==, 0);
    blk_get_stats(blk, &stats);
    g_assert_cmpuint(stats.ops[BLOCK_OP_WRITE_ZEROES], ==, 1);
    g_assert_cmpuint(stats.bytes[BLOCK_OP_WRITE_ZEROES], ==, SIZE);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, SIZE);
    buf[SIZE - 1] = 1;
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 0, buf, SIZE), ==, 0);
    blk_get_stats(blk, &stats);
    g_assert_cmpuint(stats.ops[BLOCK_OP_WRITE], ==, 1);
    g_assert_cmpuint(stats.wr_highest_offset, ==, SIZE);
    g_assert_cmpuint(stats.time_ns[BLOCK_OP_WRITE], >, 0);
    g_assert_cmpint(stats.last_end, >, before);
    g_assert_cmpint(stats.last_end - before, >=,
                    stats.time_ns[BLOCK_OP_WRITE] + stats.time_ns[BLOCK_OP_WRITE_ZEROES]);
    blk_cleanup_all();
    unlink(path);
}

/* Sectors of one block of the host, written and zeroed at the same time. */
static void zero_neighbours(BlockBackend *blk)
{
    uint8_t buf[4][512], block[4096];
    struct iovec iov[4];
    BlockRequest req[8];

    for (unsigned i = 0; i < 8; i++) {
        bool write = i % 2;

        req[i] = (BlockRequest) {
            .op = write ? BLOCK_OP_WRITE : BLOCK_OP_WRITE_ZEROES,
            .flags = i % 4 ? BLOCK_REQ_MAY_UNMAP : 0, .offset = 4096 + i * 512,
            .bytes = 512, .cb = request_done, .iov = &iov[i / 2], .niov = write,
        };
        memset(buf[i / 2], 0xaa, 512);
        iov[i / 2] = (struct iovec){ buf[i / 2], 512 };
        blk_submit(blk, &req[i]);
    }
    blk_kick(blk);
    blk_drain(blk);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 4096, block, 4096), ==, 0);
    for (unsigned i = 0; i < 8; i++) {
        g_assert_cmpint(req[i].ret, ==, 0);
        g_assert_cmphex(block[i * 512], ==, i % 2 ? 0xaa : 0);
    }
}

/* A host with larger blocks than the guest's: they are read, changed and written. */
static void test_partial_blocks(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "discard=unmap");
    g_autofree uint8_t *buf = g_malloc(SIZE);

    file_node(blk)->bs.align = file_node(blk)->bs.mem_align = 4096;
    for (unsigned i = 0; i < 1000; i++) {
        memset(buf, 0x55, 4096);
        g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 4096, buf, 4096), ==, 0);
        zero_neighbours(blk);
    }
    blk_cleanup_all();
    unlink(path);
}

/* The last block ends behind the image, which stays as long as it is. */
static void test_partial_end(void)
{
    g_autofree char *path = new_image();
    uint8_t buf[512] = { 0x77 };
    BlockBackend *blk;
    struct stat st;

    g_assert_cmpint(truncate(path, 8192 + 1024), ==, 0);
    blk = open_drive(path, "");
    file_node(blk)->bs.align = file_node(blk)->bs.mem_align = 4096;
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 8192 + 512, buf, 512), ==, 0);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE_ZEROES, 0, 8192, NULL, 512), ==, 0);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 8192 - 512, buf, 512), ==, 0);
    g_assert_cmpint(stat(path, &st), ==, 0);
    g_assert_cmpint(st.st_size, ==, 8192 + 1024);
    buf[0] = 0;
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 8192 + 512, buf, 512), ==, 0);
    g_assert_cmphex(buf[0], ==, 0x77);
    blk_cleanup_all();
    unlink(path);
}

static void test_null(void)
{
    BlockBackend *blk;
    uint8_t buf[512];

    g_assert_null(try_drive("null-co://", "file.size=64k"));
    blk = blk_find_for_device("d");
    g_assert_cmpuint(blk_getlength(blk), ==, 65536);
    memset(buf, 0xff, 512);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, 512), ==, 0);
    g_assert_cmphex(buf[511], ==, 0);
    blk_cleanup_all();
}

/* The overlay's clusters: parts of them come from below, the image stays. */
static void test_snapshot(void)
{
    g_autofree char *path = new_image();
    BlockBackend *blk = open_drive(path, "snapshot=on");
    g_autofree uint8_t *buf = g_malloc(SIZE);
    g_autofree char *now = NULL;

    g_assert_false(blk_is_read_only(blk));
    memset(buf, 0, SIZE);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE, 0, 65536 - 512, buf, 1024), ==, 0);
    g_assert_cmpint(run_request(blk, BLOCK_OP_WRITE_ZEROES, 0, 200 * 1024, NULL, 512), ==, 0);
    memset(buf, 0xff, SIZE);
    g_assert_cmpint(run_request(blk, BLOCK_OP_READ, 0, 0, buf, SIZE), ==, 0);
    for (unsigned i = 0; i < SIZE; i++) {
        bool zero = (i >= 65024 && i < 66048) || (i >= 204800 && i < 205312);
        g_assert_cmphex(buf[i], ==, zero ? 0 : (uint8_t)(i / 512 + 1));
    }
    blk_cleanup_all();
    g_assert_true(g_file_get_contents(path, &now, NULL, NULL));
    g_assert_cmphex((uint8_t)now[65024], ==, 128);
    unlink(path);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/block/cache-modes", test_cache_modes);
    g_test_add_func("/block/option-errors", test_option_errors);
    g_test_add_func("/block/bad-files", test_bad_files);
    g_test_add_func("/block/probe", test_probe);
    g_test_add_func("/block/f18-shrink", test_shrink);
    g_test_add_func("/block/f14-file-limit", test_file_limit);
    g_test_add_func("/block/f17-flush-error", test_flush_error);
    g_test_add_func("/block/f20-locks", test_locks);
    g_test_add_func("/block/blockdev", test_blockdev);
    g_test_add_func("/block/blockdev-errors", test_blockdev_errors);
    g_test_add_func("/block/readers", test_readers);
    g_test_add_func("/block/odd-sizes", test_odd_sizes);
    g_test_add_func("/block/vectors", test_vectors);
    g_test_add_func("/block/join", test_join);
    g_test_add_func("/block/f19-many", test_many);
    g_test_add_func("/block/detect-zeroes", test_detect_zeroes);
    g_test_add_func("/block/partial-blocks", test_partial_blocks);
    g_test_add_func("/block/partial-end", test_partial_end);
    g_test_add_func("/block/null", test_null);
    g_test_add_func("/block/snapshot", test_snapshot);
    return g_test_run();
}
