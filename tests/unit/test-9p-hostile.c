/*
 * The 9P server and guests that want out, or all of the host's memory. Names end with the number
 * of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "9p-harness.h"

#define SECRET "what no guest may see"

static unsigned fcntls;         /* calls of fcntl() */
int __real_fcntl64(int fd, int cmd, void *arg);
int __wrap_fcntl64(int fd, int cmd, void *arg);

int __wrap_fcntl64(int fd, int cmd, void *arg)
{
    fcntls++;
    return __real_fcntl64(fd, cmd, arg);
}

static char *beside(const NineClient *c, const char *name)
{
    return g_strconcat(c->dir, "-out/", name, NULL);
}

/* A file with SECRET in a folder beside the export. */
static void make_outside(const NineClient *c)
{
    g_autofree char *dir = g_strconcat(c->dir, "-out", NULL);
    g_autofree char *file = beside(c, "secret");

    g_assert_cmpint(g_mkdir(dir, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, SECRET, -1, NULL));
}

static void check_outside(const NineClient *c)
{
    g_autofree char *dir = g_strconcat(c->dir, "-out", NULL);
    g_autofree char *file = beside(c, "secret");
    g_autofree char *text = NULL;
    GDir *d = g_dir_open(dir, 0, NULL);

    g_assert_cmpstr(g_dir_read_name(d), ==, "secret");
    g_assert_null(g_dir_read_name(d));
    g_dir_close(d);
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    g_assert_cmpstr(text, ==, SECRET);
}

static void again(NineClient *c)
{
    nc_send(c, P9_TVERSION, "ds", 100000, "9P2000.L");
    nc_send(c, P9_TATTACH, "ddssd", NC_ROOT, ~0u, "user", "", 0);
    nc_create(c, 1, "file", O_RDWR, 0600);
    nc_walk(c, 2, "");
    nc_open(c, 2, O_RDONLY);
    nc_walk(c, 3, "file");
}

/* Every message, well-formed. */
static void make_message(NineClient *c, unsigned which)
{
    switch (which) {
    case 0: nc_make(c, P9_TSTATFS, "d", 3); break;
    case 1: nc_make(c, P9_TLOPEN, "dd", 3, O_RDWR); break;
    case 2: nc_make(c, P9_TLCREATE, "dsddd", 3, "new", O_RDWR, 0600, 0); break;
    case 3: nc_make(c, P9_TSYMLINK, "dssd", NC_ROOT, "link", "target", 0); break;
    case 4: nc_make(c, P9_TMKNOD, "dsdddd", NC_ROOT, "node", S_IFIFO | 0600, 0, 0, 0); break;
    case 5: nc_make(c, P9_TRENAME, "dds", 3, NC_ROOT, "other"); break;
    case 6: nc_make(c, P9_TREADLINK, "d", 3); break;
    case 7: nc_make(c, P9_TGETATTR, "dq", 3, UINT64_C(0x7ff)); break;
    case 8:
        nc_make(c, P9_TSETATTR, "dddddqqqqq", 3, 1 | 8, 0640, 0, 0, UINT64_C(10), UINT64_C(0),
                UINT64_C(0), UINT64_C(0), UINT64_C(0));
        break;
    case 9: nc_make(c, P9_TXATTRWALK, "dds", 3, 9, "user.x"); break;
    case 10: nc_make(c, P9_TXATTRCREATE, "dsqd", 3, "user.x", UINT64_C(5), 0); break;
    case 11: nc_make(c, P9_TREADDIR, "dqd", 2, UINT64_C(0), 1000); break;
    case 12: nc_make(c, P9_TFSYNC, "dd", 1, 1); break;
    case 13:
        nc_make(c, P9_TLOCK, "dbdqqds", 1, 1, 0, UINT64_C(0), UINT64_C(10), 5, "client");
        break;
    case 14: nc_make(c, P9_TGETLOCK, "dbqqds", 1, 1, UINT64_C(0), UINT64_C(10), 5, "client"); break;
    case 15: nc_make(c, P9_TLINK, "dds", NC_ROOT, 3, "hard"); break;
    case 16: nc_make(c, P9_TMKDIR, "dsdd", NC_ROOT, "dir", 0700, 0); break;
    case 17: nc_make(c, P9_TRENAMEAT, "dsds", NC_ROOT, "file", NC_ROOT, "other"); break;
    case 18: nc_make(c, P9_TUNLINKAT, "dsd", NC_ROOT, "file", 0); break;
    case 19: nc_make(c, P9_TVERSION, "ds", 8192, "9P2000.L"); break;
    case 20: nc_make(c, P9_TATTACH, "ddssd", 20, ~0u, "user", "", 0); break;
    case 21: nc_make(c, P9_TWALK, "ddwss", NC_ROOT, 21, 2, "a", "b"); break;
    case 22: nc_make(c, P9_TREAD, "dqd", 1, UINT64_C(0), 1000); break;
    case 23: nc_make(c, P9_TWRITE, "dqds", 1, UINT64_C(0), 7, "12345"); break;
    case 24: nc_make(c, P9_TCLUNK, "d", 3); break;
    case 25: nc_make(c, P9_TREMOVE, "d", 3); break;
    case 26: nc_make(c, P9_TAUTH, "dssd", 5, "user", "", 0); break;
    default: g_assert_not_reached();
    }
}

#define MESSAGES 27

/* Cut at each length, with a size that says so and one that does not; each byte another. */
static void test_parsing(void)
{
    NineClient *c = nc_new("security_model=mapped-xattr");

    make_outside(c);
    for (unsigned which = 0; which < MESSAGES; which++) {
        uint32_t len;

        make_message(c, which);
        len = c->t_len;
        for (uint32_t cut = 0; cut < len; cut++) {
            again(c);
            make_message(c, which);
            c->t_len = cut;
            g_assert_cmpint(nc_serve(c), ==, -1);
            if (cut >= 7) {
                make_message(c, which);
                c->t_len = cut;
                memcpy(c->t, &cut, 4);
                nc_serve(c);
            }
        }
        for (uint32_t at = 4; at < len; at++) {
            for (unsigned flip = 1; flip < 256; flip = flip * 4 + 3) {
                again(c);
                make_message(c, which);
                c->t[at] ^= flip;
                nc_serve(c);
            }
        }
        for (uint32_t size = 0; size < 4; size++) {
            make_message(c, which);
            memcpy(c->t, (uint32_t []) { size * 2 + (size == 3) * 0xfffffff0 }, 4);
            g_assert_cmpint(nc_serve(c), ==, -1);
        }
    }
    check_outside(c);
    nc_free(c);
}

/* P01: names that are none. */
static void test_names(void)
{
    g_autofree char *longest = g_strnfill(256, 'n');
    const char *const names[] = {
        "..", ".", "", "a/b", "/", "/etc", "../secret", "file/", longest,
    };
    NineClient *c = nc_new("security_model=none");

    make_outside(c);
    again(c);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        const char *n = names[i];
        int want = n == longest ? ENAMETOOLONG : EINVAL;

        g_assert_cmpint(nc_send(c, P9_TWALK, "ddws", NC_ROOT, 50, 1, n), ==, want);
        g_assert_cmpint(nc_send(c, P9_TLCREATE, "dsddd", NC_ROOT, n, O_RDWR, 0600, 0), ==, want);
        g_assert_cmpint(nc_send(c, P9_TSYMLINK, "dssd", NC_ROOT, n, "t", 0), ==, want);
        g_assert_cmpint(nc_send(c, P9_TMKNOD, "dsdddd", NC_ROOT, n, S_IFIFO, 0, 0, 0), ==, want);
        g_assert_cmpint(nc_send(c, P9_TRENAME, "dds", 3, NC_ROOT, n), ==, want);
        g_assert_cmpint(nc_send(c, P9_TLINK, "dds", NC_ROOT, 3, n), ==, want);
        g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, n, 0700, 0), ==, want);
        g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, "file", NC_ROOT, n), ==, want);
        g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, n, NC_ROOT, "x"), ==, want);
        g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, n, 0), ==, want);
        g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, n, 0x200), ==, want);
    }
    g_assert_cmpint(nc_send(c, P9_TWALK, "ddwwz", NC_ROOT, 50, 1, 3, "a\0b", (size_t)3), ==,
                    EINVAL);
    g_assert_cmpint(nc_walk(c, 50, "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"), ==, EINVAL);
    g_assert_cmpint(nc_walk(c, 51, "file"), ==, 0);
    check_outside(c);
    nc_free(c);
}

/* P02: links in the export lead nowhere. */
static void test_links(void)
{
    NineClient *c = nc_new("security_model=none");
    g_autofree char *out = g_strconcat(c->dir, "-out", NULL);
    g_autofree char *link = g_build_filename(c->dir, "link", NULL);
    g_autofree char *file = g_build_filename(c->dir, "filelink", NULL);
    g_autofree char *secret = beside(c, "secret");

    make_outside(c);
    g_assert_cmpint(symlink(out, link), ==, 0);
    g_assert_cmpint(symlink(secret, file), ==, 0);
    g_assert_cmpint(nc_walk(c, 1, "link/secret"), ==, ENOENT);
    g_assert_cmpint(nc_walk(c, 1, "link"), ==, 0);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY), ==, ELOOP);
    g_assert_cmpint(nc_send(c, P9_TWALK, "ddws", 1, 2, 1, "secret"), ==, ELOOP);
    g_assert_cmpint(nc_send(c, P9_TLCREATE, "dsddd", 1, "new", O_RDWR, 0600, 0), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", 1, "new", 0700, 0), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", 1, "secret", 0), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", 1, "secret", NC_ROOT, "x"), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, "link", 1, "x"), !=, 0);
    g_assert_cmpint(nc_walk(c, 3, "filelink"), ==, 0);
    g_assert_cmpint(nc_open(c, 3, O_RDWR), ==, ELOOP);
    g_assert_cmpint(nc_send(c, P9_TSETATTR, "dddddqqqqq", 3, 1, 0777, 0, 0, UINT64_C(0),
                            UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0)), ==, EOPNOTSUPP);
    g_assert_cmpint(nc_send(c, P9_TSETATTR, "dddddqqqqq", 3, 8, 0, 0, 0, UINT64_C(0),
                            UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0)), ==, EINVAL);
    /* Creating where a link is does not follow it. */
    g_assert_cmpint(nc_create(c, 4, "filelink", O_RDWR | O_TRUNC, 0600), ==, ELOOP);
    g_assert_cmpint(nc_send(c, P9_TLINK, "dds", NC_ROOT, 3, "hard"), ==, 0);
    g_assert_cmpint(nc_walk(c, 5, "hard"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TREADLINK, "d", 5), ==, 0);
    check_outside(c);
    nc_free(c);
}

/* Somebody on the host who swaps a folder with a link to the outside. */
static struct {
    char *folder, *link;
    atomic_bool stop;
} swap;

static gpointer swapper(gpointer data)
{
    while (!swap.stop) {
        g_assert_cmpint(renameat2(AT_FDCWD, swap.folder, AT_FDCWD, swap.link, RENAME_EXCHANGE),
                        ==, 0);
    }
    return NULL;
}

static void race_round(NineClient *c, unsigned i)
{
    if (nc_walk(c, 2, "d/secret") == 0) {
        if (nc_open(c, 2, i % 2 ? O_RDWR : O_RDONLY) == 0) {
            g_assert_cmpint(nc_read(c, 2, 0, 100), ==, 4);
            g_assert_cmpint(memcmp(c->p, "mine", 4), ==, 0);
        }
        nc_send(c, P9_TSETATTR, "dddddqqqqq", 2, 1, 0600 + i % 8, 0, 0, UINT64_C(0), UINT64_C(0),
                UINT64_C(0), UINT64_C(0), UINT64_C(0));
        nc_clunk(c, 2);
    }
    if (nc_walk(c, 3, "d") == 0) {
        nc_send(c, P9_TMKDIR, "dsdd", 3, "new", 0700, 0);
        nc_send(c, P9_TUNLINKAT, "dsd", 3, "new", 0x200);
        nc_send(c, P9_TLCREATE, "dsddd", 3, "file", O_RDWR | O_TRUNC, 0600, 0);
        nc_clunk(c, 3);
    }
    if (nc_walk(c, 4, "d") == 0) {
        nc_send(c, P9_TRENAMEAT, "dsds", 4, "file", 4, "moved");
        nc_send(c, P9_TUNLINKAT, "dsd", 4, "moved", 0);
        nc_clunk(c, 4);
    }
}

static void test_race(gconstpointer model)
{
    g_autofree char *options = g_strconcat("security_model=", model, NULL);
    NineClient *c = nc_new(options);
    g_autofree char *out = g_strconcat(c->dir, "-out", NULL);
    GThread *thread;

    make_outside(c);
    swap.folder = g_build_filename(c->dir, "d", NULL);
    swap.link = g_build_filename(c->dir, "l", NULL);
    g_assert_cmpint(symlink(out, swap.link), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, "d", 0700, 0), ==, 0);
    g_assert_cmpint(nc_walk(c, 1, "d"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TLCREATE, "dsddd", 1, "secret", O_RDWR, 0600, 0), ==, 0);
    g_assert_cmpint(nc_write(c, 1, 0, "mine", 4), ==, 4);
    swap.stop = false;
    thread = g_thread_new("swap", swapper, NULL);
    for (unsigned i = 0; i < 1500; i++) {
        race_round(c, i);
    }
    swap.stop = true;
    g_thread_join(thread);
    check_outside(c);
    g_free(swap.folder);
    g_free(swap.link);
    nc_free(c);
}

/* A folder that the host moves out is not there any more; what is open stays open. */
static void test_moved_out(void)
{
    NineClient *c = nc_new("security_model=none");
    g_autofree char *dir = g_build_filename(c->dir, "d", NULL);
    g_autofree char *moved = beside(c, "d");
    struct stat st;

    make_outside(c);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, "d", 0700, 0), ==, 0);
    g_assert_cmpint(nc_walk(c, 1, "d"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TLCREATE, "dsddd", 1, "file", O_RDWR, 0600, 0), ==, 0);
    g_assert_cmpint(nc_walk(c, 2, "d"), ==, 0);
    g_assert_cmpint(rename(dir, moved), ==, 0);
    g_assert_cmpint(nc_stat(c, 2, &st), ==, ENOENT);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", 2, "new", 0700, 0), ==, ENOENT);
    g_assert_cmpint(nc_write(c, 1, 0, "mine", 4), ==, 4);
    nc_free(c);
}

/* What is mounted later is not shared; what was there is. */
static void test_mounts(void)
{
    g_autofree char *dir = NULL, *before = NULL, *later = NULL, *secret = NULL;
    NineClient *c;

    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        g_test_skip("cannot mount");
        return;
    }
    for (unsigned i = 0; i < 2; i++) {
        dir = g_dir_make_tmp("9p-XXXXXX", NULL);
        before = g_build_filename(dir, "before", NULL);
        later = g_build_filename(dir, "later", NULL);
        g_assert_cmpint(g_mkdir(before, 0700) | g_mkdir(later, 0700), ==, 0);
        if (i) {
            g_assert_cmpint(mount("none", before, "tmpfs", 0, NULL), ==, 0);
        }
        c = nc_new_at(dir, i ? "security_model=none,multidevs=remap" : "security_model=none", 99);
        make_outside(c);
        secret = g_strconcat(dir, "-out", NULL);
        g_assert_cmpint(mount(secret, later, NULL, MS_BIND, NULL), ==, 0);
        g_assert_cmpint(nc_walk(c, 1, "before"), ==, 0);
        g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", 1, "new", 0700, 0), ==, 0);
        g_assert_cmpint(nc_walk(c, 2, "later"), ==, EXDEV);
        g_assert_cmpint(nc_walk(c, 2, "later/secret"), ==, EXDEV);
        check_outside(c);
        g_assert_cmpint(umount(later) | (i ? umount(before) : 0), ==, 0);
        nc_free(c);
        g_clear_pointer(&dir, g_free);
        g_clear_pointer(&before, g_free);
        g_clear_pointer(&later, g_free);
        g_clear_pointer(&secret, g_free);
    }
}

/* P04 */
static void test_readonly(void)
{
    g_autofree char *dir = g_dir_make_tmp("9p-XXXXXX", NULL);
    g_autofree char *file = g_build_filename(dir, "file", NULL);
    NineClient *c;

    g_assert_true(g_file_set_contents(file, "data", -1, NULL));
    c = nc_new_at(dir, "security_model=none,readonly=on", 100);
    g_assert_cmpint(nc_walk(c, 1, "file"), ==, 0);
    g_assert_cmpint(nc_walk(c, 3, "file"), ==, 0);
    g_assert_cmpint(nc_open(c, 1, O_RDWR), ==, EROFS);
    g_assert_cmpint(nc_open(c, 1, O_WRONLY), ==, EROFS);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY | O_TRUNC), ==, EROFS);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY), ==, 0);
    for (unsigned which = 0; which < MESSAGES; which++) {
        make_message(c, which);
        switch (c->t[4]) {
        case P9_TLCREATE: case P9_TSYMLINK: case P9_TMKNOD: case P9_TRENAME: case P9_TSETATTR:
        case P9_TXATTRCREATE: case P9_TLINK: case P9_TMKDIR: case P9_TRENAMEAT:
        case P9_TUNLINKAT: case P9_TWRITE: case P9_TREMOVE:
            if (c->t[4] == P9_TREMOVE) {
                nc_walk(c, 3, "file");
                make_message(c, which);
            }
            g_assert_cmpint(nc_serve(c), ==, EROFS);
        }
    }
    g_assert_cmpint(nc_read(c, 1, 0, 100), ==, 4);
    nc_free(c);
}

/* P06, and all else that takes memory or descriptors. */
static void test_bounds(void)
{
    g_autofree char *dir = g_dir_make_tmp("9p-XXXXXX", NULL);
    NineClient *c = nc_new_at(dir, "security_model=mapped-xattr", 2000);
    unsigned n = 0;
    int ret;

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    g_assert_cmpint(nc_walk(c, 3, "file"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TXATTRCREATE, "dsqd", 3, "user.x", UINT64_C(0xffffffff), 0), ==,
                    ENOSPC);
    g_assert_cmpint(nc_send(c, P9_TXATTRCREATE, "dsqd", 3, "user.x", UINT64_MAX, 0), ==, ENOSPC);
    do {
        g_assert_cmpint(nc_walk(c, 100 + n, "file"), ==, 0);
        ret = nc_send(c, P9_TXATTRCREATE, "dsqd", 100 + n, "user.x", UINT64_C(65536), 0);
        n++;
    } while (!ret);
    g_assert_cmpint(ret, ==, ENOSPC);
    g_assert_cmpuint(n, <=, V9FS_XATTR_ALL / 65536 + 1);
    g_assert_cmpint(nc_write(c, 100, 65535, "ab", 2), ==, -ENOSPC);
    g_assert_cmpint(nc_write(c, 100, UINT64_MAX, "ab", 2), ==, -ENOSPC);
    g_assert_cmpint(nc_read(c, 100, 0, 10), ==, -EBADF);
    g_assert_cmpint(nc_clunk(c, 100), ==, EINVAL);      /* not all was written */
    for (unsigned i = 1; i < n; i++) {
        nc_clunk(c, 100 + i);
    }
    for (n = 0; nc_walk(c, 5000 + n, "") == 0; n++) {
    }
    g_assert_cmpuint(n, <, 2000);
    g_assert_cmpint(nc_walk(c, 5000 + n, ""), ==, ENFILE);
    g_assert_cmpint(nc_clunk(c, 5000), ==, 0);
    g_assert_cmpint(nc_walk(c, 5000, ""), ==, 0);
    g_assert_cmpint(nc_walk(c, 5000, ""), !=, 0);
    nc_free(c);
}

/* Few fids, each far below folders that are no other's. */
static void test_deep(void)
{
    g_autofree char *dir = g_dir_make_tmp("9p-XXXXXX", NULL);
    NineClient *c = nc_new_at(dir, "security_model=none", 60);
    unsigned n, depth;
    int ret = 0;

    for (n = 0; n < 40 && !ret; n++) {
        g_autoptr(GString) path = g_string_new(NULL);

        for (depth = 0; depth < 10; depth++) {
            g_autofree char *real = NULL;

            g_string_append_printf(path, depth ? "/d" : "%u", n);
            real = g_build_filename(dir, path->str, NULL);
            g_assert_cmpint(g_mkdir(real, 0700), ==, 0);
        }
        ret = nc_walk(c, 1 + n, path->str);
    }
    g_assert_cmpint(ret, ==, ENOENT);           /* some of the way */
    g_assert_cmpuint(n, <=, 13);
    g_assert_cmpint(nc_clunk(c, 1), ==, 0);
    g_assert_cmpint(nc_walk(c, 1, "0/d/d/d/d/d/d/d/d/d"), ==, 0);
    nc_free(c);
}

/* A session's end while its locks hold: nobody asks the host about each of them. */
static void test_locks_at_end(void)
{
    NineClient *c = nc_new("security_model=none");

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpint(nc_send(c, P9_TLOCK, "dbdqqds", 1, 1, 0, (uint64_t)(4 * i), UINT64_C(1),
                                1, "guest"), ==, 0);
    }
    fcntls = 0;
    v9fs_reset(c->s);
    g_assert_cmpuint(fcntls, ==, 0);
    nc_free(c);
}

static void test_counts(void)
{
    NineClient *c = nc_new("security_model=none");

    again(c);
    g_assert_cmpint(nc_write(c, 1, 0, "data", 4), ==, 4);
    g_assert_cmpint(nc_read(c, 1, 0, ~0u), ==, 4);
    g_assert_cmpint(nc_read(c, 1, UINT64_MAX, 10), ==, -EINVAL);
    g_assert_cmpint(nc_read(c, 1, INT64_MAX, 0), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TWRITE, "dqd", 1, UINT64_C(0), 100), ==, -1);
    g_assert_cmpint(nc_send(c, P9_TWRITE, "dqd", 1, UINT64_C(0), ~0u), ==, -1);
    g_assert_cmpint(nc_write(c, 1, UINT64_MAX, "x", 1), ==, -EINVAL);
    g_assert_cmpint(nc_write(c, 1, INT64_MAX, "x", 1), ==, -EINVAL);
    g_assert_cmpint(nc_send(c, P9_TREADDIR, "dqd", 2, UINT64_MAX, 1000), ==, EINVAL);
    g_assert_cmpint(nc_send(c, P9_TREADDIR, "dqd", 2, UINT64_C(0), ~0u), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TREADDIR, "dqd", 1, UINT64_C(0), 1000), ==, ENOTDIR);
    g_assert_cmpint(nc_read(c, 3, 0, 10), ==, -EBADF);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY), ==, EBADF);
    nc_free(c);
}

/* CVE-2017-7493: what is kept of files is no file; nor is a link that stands in its place. */
static void test_metadata(void)
{
    NineClient *c = nc_new("security_model=mapped-file");
    g_autofree char *meta = g_build_filename(c->dir, ".virtfs_metadata", NULL);
    g_autofree char *out = g_strconcat(c->dir, "-out", NULL);

    make_outside(c);
    g_assert_cmpint(nc_walk(c, 1, ".virtfs_metadata"), ==, EINVAL);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, ".virtfs_metadata", 0700, 0), ==,
                    EINVAL);
    g_assert_cmpint(nc_walk(c, 1, ".virtfs_metadata_root"), ==, EINVAL);
    g_assert_cmpint(symlink(out, meta), ==, 0);
    g_assert_cmpint(nc_create(c, 2, "file", O_RDWR, 0600), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, "secret", 0), !=, 0);
    check_outside(c);
    nc_free(c);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/9p/parsing/P08", test_parsing);
    g_test_add_func("/9p/names/P01", test_names);
    g_test_add_func("/9p/links/P02", test_links);
    g_test_add_data_func("/9p/race/P02/none", "none", test_race);
    g_test_add_data_func("/9p/race/P02/mapped-file", "mapped-file", test_race);
    g_test_add_func("/9p/moved-out", test_moved_out);
    g_test_add_func("/9p/readonly/P04", test_readonly);
    g_test_add_func("/9p/bounds/P06", test_bounds);
    g_test_add_func("/9p/deep", test_deep);
    g_test_add_func("/9p/locks-at-end", test_locks_at_end);
    g_test_add_func("/9p/counts", test_counts);
    g_test_add_func("/9p/metadata/P10", test_metadata);
    g_test_add_func("/9p/mounts", test_mounts);
    return g_test_run();
}
