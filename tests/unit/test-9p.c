/*
 * The 9P server: what honest guests ask for, in each model.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "9p-harness.h"

static const char *const models[] = { "passthrough", "none", "mapped-xattr", "mapped-file" };

/* passthrough is root's; others have no devices either. */
static bool can_run(const char *model)
{
    if (geteuid() == 0 || g_str_has_prefix(model, "mapped")) {
        return true;
    }
    g_test_skip("only root gives files away");
    return false;
}

static NineClient *new_model(const char *model)
{
    g_autofree char *options = g_strconcat("security_model=", model, NULL);

    return nc_new(options);
}

static void test_version(void)
{
    static const char *const others[] = { "9P2000.u", "9P2000", "", "9P2000.Lx" };
    NineClient *c = nc_new("security_model=none");

    for (unsigned i = 0; i < G_N_ELEMENTS(others); i++) {
        g_assert_cmpint(nc_send(c, P9_TVERSION, "ds", 8192, others[i]), ==, 0);
        g_assert_cmpuint(nc_take(c, 4), ==, 8192);
        g_assert_cmpuint(nc_take(c, 2), ==, 7);
        g_assert_cmpint(memcmp(c->p, "unknown", 7), ==, 0);
        g_assert_cmpint(nc_walk(c, 1, ""), ==, EPROTO);
    }
    g_assert_cmpint(nc_send(c, P9_TVERSION, "ds", 4095, "9P2000.L"), ==, EMSGSIZE);
    g_assert_cmpint(nc_send(c, P9_TVERSION, "ds", ~0u, "9P2000.L"), ==, 0);
    g_assert_cmpuint(nc_take(c, 4), ==, V9FS_MSIZE_MAX);
    /* A new session knows nothing of the old one. */
    g_assert_cmpint(nc_clunk(c, NC_ROOT), ==, EBADF);
    g_assert_cmpint(nc_send(c, P9_TAUTH, "dssd", 5, "u", "", 0), ==, EOPNOTSUPP);
    nc_free(c);
}

/* The guest's view is the same in all models. */
static void test_files(gconstpointer data)
{
    NineClient *c;
    struct stat st;

    if (!can_run(data)) {
        return;
    }
    c = new_model(data);

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0640), ==, 0);
    g_assert_cmpint(nc_write(c, 1, 0, "hello world", 11), ==, 11);
    g_assert_cmpint(nc_write(c, 1, 1 << 20, "x", 1), ==, 1);
    g_assert_cmpint(nc_read(c, 1, 6, 100), ==, 100);
    g_assert_cmpint(memcmp(c->p, "world\0", 6), ==, 0);
    g_assert_cmpint(nc_stat(c, 1, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0640);
    g_assert_cmpuint(st.st_size, ==, (1 << 20) + 1);
    g_assert_cmpint(nc_send(c, P9_TSETATTR, "dddddqqqqq", 1, 1 | 2 | 4 | 8, 04711, 7, 8,
                            UINT64_C(5), UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0)),
                    ==, 0);
    g_assert_cmpint(nc_stat(c, 1, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 04711);
    g_assert_cmpuint(st.st_uid, ==, 7);
    g_assert_cmpuint(st.st_gid, ==, 8);
    g_assert_cmpuint(st.st_size, ==, 5);
    /* CVE-2023-1386: what is written to is no longer set-id. */
    g_assert_cmpint(nc_write(c, 1, 0, "H", 1), ==, 1);
    g_assert_cmpint(nc_stat(c, 1, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFREG | 0711);
    g_assert_cmpint(nc_clunk(c, 1), ==, 0);
    g_assert_cmpint(nc_walk(c, 1, "file"), ==, 0);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY), ==, 0);
    g_assert_cmpint(nc_read(c, 1, 0, 100), ==, 5);
    g_assert_cmpint(memcmp(c->p, "Hello", 5), ==, 0);
    g_assert_cmpint(nc_write(c, 1, 0, "x", 1), ==, -EBADF);
    g_assert_cmpint(nc_send(c, P9_TFSYNC, "dd", 1, 0), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TFSYNC, "d", 1), ==, 0);
    nc_free(c);
}

static void test_kinds(gconstpointer data)
{
    NineClient *c;
    struct stat st;

    if (!can_run(data)) {
        return;
    }
    c = new_model(data);

    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, "dir", 01755, 3), ==, 0);
    g_assert_cmpuint(nc_take(c, 1), ==, 0x80);
    g_assert_cmpint(nc_walk(c, 1, "dir"), ==, 0);
    g_assert_cmpint(nc_stat(c, 1, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFDIR | 01755);
    g_assert_cmpuint(st.st_gid, ==, 3);
    g_assert_cmpint(nc_send(c, P9_TSYMLINK, "dssd", 1, "link", "/etc/passwd", 0), ==, 0);
    g_assert_cmpuint(nc_take(c, 1), ==, 0x02);
    g_assert_cmpint(nc_walk(c, 2, "dir/link"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TREADLINK, "d", 2), ==, 0);
    g_assert_cmpuint(nc_take(c, 2), ==, 11);
    g_assert_cmpint(memcmp(c->p, "/etc/passwd", 11), ==, 0);
    g_assert_cmpint(nc_stat(c, 2, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFLNK | 0777);
    g_assert_cmpint(nc_walk(c, 9, "dir/link/x"), !=, 0);
    g_assert_cmpint(nc_send(c, P9_TMKNOD, "dsdddd", 1, "null", S_IFCHR | 0666, 1, 3, 0), ==, 0);
    g_assert_cmpint(nc_walk(c, 3, "dir/null"), ==, 0);
    g_assert_cmpint(nc_stat(c, 3, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFCHR | 0666);
    g_assert_cmpuint(st.st_rdev, ==, makedev(1, 3));
    g_assert_cmpint(nc_send(c, P9_TMKNOD, "dsdddd", 1, "fifo", S_IFIFO | 0600, 0, 0, 0), ==, 0);
    g_assert_cmpint(nc_walk(c, 4, "dir/fifo"), ==, 0);
    g_assert_cmpint(nc_stat(c, 4, &st), ==, 0);
    g_assert_cmpuint(st.st_mode, ==, S_IFIFO | 0600);
    if (!g_str_has_prefix(data, "mapped")) {
        g_assert_cmpint(nc_open(c, 3, O_RDWR), ==, ENXIO);
        g_assert_cmpint(nc_open(c, 4, O_RDONLY), ==, ENXIO);
        g_assert_cmpint(nc_open(c, 2, O_RDONLY), ==, ELOOP);
    }
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, "dir", 0x200), ==, ENOTEMPTY);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", 1, "null", 0), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", 1, "link", 0), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TREMOVE, "d", 4), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, "dir", 0x200), ==, 0);
    nc_free(c);
}

/* Fids follow what they stand for, and so does what is kept of it. */
static void test_rename(gconstpointer data)
{
    NineClient *c = new_model(data);
    struct stat st, other;

    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, "a", 0700, 0), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TMKDIR, "dsdd", NC_ROOT, "z", 0700, 0), ==, 0);
    g_assert_cmpint(nc_create(c, 1, "one", O_RDWR, 0604), ==, 0);
    g_assert_cmpint(nc_create(c, 2, "two", O_RDWR, 0606), ==, 0);
    g_assert_cmpint(nc_write(c, 2, 0, "two", 3), ==, 3);
    g_assert_cmpint(nc_walk(c, 3, "a"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, "one", 3, "file"), ==, 0);
    g_assert_cmpint(nc_walk(c, 4, "a/file"), ==, 0);
    g_assert_cmpint(nc_walk(c, 5, "z"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TRENAME, "dds", 3, 5, "b"), ==, 0);
    g_assert_cmpint(nc_stat(c, 4, &st), ==, 0);
    g_assert_cmpuint(st.st_mode & 0777, ==, 0604);
    g_assert_cmpint(nc_walk(c, 6, "z/b/file"), ==, 0);
    g_assert_cmpint(nc_walk(c, 7, "a/file"), !=, 0);
    /* Over an open file, which lives on without a name. */
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", 3, "file", NC_ROOT, "two"), ==, 0);
    g_assert_cmpint(nc_stat(c, 4, &other), ==, 0);
    g_assert_cmpuint(other.st_ino, ==, st.st_ino);
    g_assert_cmpint(nc_read(c, 2, 0, 10), ==, 3);
    g_assert_cmpint(nc_stat(c, 2, &other), ==, 0);
    g_assert_cmpuint(other.st_size, ==, 3);
    g_assert_cmpuint(other.st_nlink, ==, 0);
    /* Two names of one file. */
    g_assert_cmpint(nc_send(c, P9_TLINK, "dds", NC_ROOT, 4, "hard"), ==, 0);
    g_assert_cmpint(nc_walk(c, 8, "hard"), ==, 0);
    g_assert_cmpint(nc_stat(c, 8, &other), ==, 0);
    g_assert_cmpuint(other.st_ino, ==, st.st_ino);
    g_assert_cmpuint(other.st_mode & 0777, ==, 0604);
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, "hard", NC_ROOT, "two"), ==, 0);
    g_assert_cmpint(nc_stat(c, 8, &other), ==, 0);
    g_assert_cmpint(nc_stat(c, 4, &other), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TRENAME, "dds", NC_ROOT, 5, "x"), ==, EBUSY);
    g_assert_cmpint(nc_send(c, P9_TRENAME, "dds", 5, 3, "x"), ==, EINVAL);
    nc_free(c);
}

static void test_unlinked(void)
{
    NineClient *c = nc_new("security_model=none");
    struct stat st;

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    g_assert_cmpint(nc_walk(c, 2, "file"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, "file", 0), ==, 0);
    g_assert_cmpint(nc_write(c, 1, 0, "data", 4), ==, 4);
    /* By the fid that is not open, too. */
    g_assert_cmpint(nc_stat(c, 2, &st), ==, 0);
    g_assert_cmpuint(st.st_size, ==, 4);
    g_assert_cmpint(nc_send(c, P9_TSETATTR, "dddddqqqqq", 2, 8, 0, 0, 0, UINT64_C(2), UINT64_C(0),
                            UINT64_C(0), UINT64_C(0), UINT64_C(0)), ==, 0);
    g_assert_cmpint(nc_read(c, 1, 0, 10), ==, 2);
    /* Another file of that name is another. */
    g_assert_cmpint(nc_create(c, 3, "file", O_RDWR, 0600), ==, 0);
    g_assert_cmpint(nc_stat(c, 2, &st), ==, 0);
    g_assert_cmpuint(st.st_size, ==, 2);
    g_assert_cmpint(nc_clunk(c, 1), ==, 0);
    g_assert_cmpint(nc_stat(c, 2, &st), ==, ENOENT);
    nc_free(c);
}

static void test_readdir(gconstpointer data)
{
    NineClient *c = new_model(data);
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    uint64_t offset = 0;
    uint32_t len, counts[] = { 60, 300, 4000, 70000 };

    for (unsigned i = 0; i < 200; i++) {
        g_autofree char *name = g_strdup_printf("%*u", 1 + i % 40, i);

        g_assert_cmpint(nc_create(c, 1, name, O_RDWR, 0600), ==, 0);
        g_assert_cmpint(nc_clunk(c, 1), ==, 0);
    }
    g_assert_cmpint(nc_walk(c, 1, ""), ==, 0);
    g_assert_cmpint(nc_open(c, 1, O_RDONLY | O_DIRECTORY), ==, 0);
    for (unsigned round = 0;; round++) {
        g_assert_cmpint(nc_send(c, P9_TREADDIR, "dqd", 1, offset, counts[round % 4]), ==, 0);
        len = nc_take(c, 4);
        g_assert_cmpuint(len, <=, counts[round % 4]);
        g_assert_cmpuint(c->r_len, ==, 11 + len);
        if (!len) {
            break;
        }
        while (c->p < c->r + c->r_len) {
            nc_take(c, 5);
            nc_take(c, 8);
            offset = nc_take(c, 8);
            nc_take(c, 1);
            len = nc_take(c, 2);
            g_assert_true(g_hash_table_add(seen, g_strndup((const char *)c->p, len)));
            c->p += len;
        }
    }
    g_assert_cmpuint(g_hash_table_size(seen), ==, 202);     /* with "." and ".." */
    g_assert_cmpint(nc_send(c, P9_TREADDIR, "dqd", 1, UINT64_C(0), 20), ==, EINVAL);
    g_assert_cmpint(nc_read(c, 1, 0, 100), ==, -EISDIR);
    nc_free(c);
}

static int set_xattr(NineClient *c, const char *name, const void *value, size_t len,
                     unsigned flags)
{
    g_assert_cmpint(nc_walk(c, 50, "file"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TXATTRCREATE, "dsqd", 50, name, (uint64_t)len, flags), ==, 0);
    if (len) {
        g_assert_cmpint(nc_write(c, 50, 0, value, len), ==, (int)len);
    }
    return nc_clunk(c, 50);
}

/* The value, or the list, is at c->p. */
static int get_xattr(NineClient *c, const char *name)
{
    int ret, len;

    g_assert_cmpint(nc_walk(c, 50, "file"), ==, 0);
    ret = nc_send(c, P9_TXATTRWALK, "dds", 50, 51, name);
    len = ret ? 0 : (int)nc_take(c, 8);
    g_assert_cmpint(nc_clunk(c, 50), ==, 0);
    if (ret) {
        return -ret;
    }
    g_assert_cmpint(nc_clunk(c, 51), ==, 0);
    g_assert_cmpint(nc_walk(c, 50, "file"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TXATTRWALK, "dds", 50, 50, name), ==, 0);
    g_assert_cmpint(nc_read(c, 50, 0, 70000), ==, len);
    g_assert_cmpint(nc_send(c, P9_TCLUNK, "d", 50), ==, 0);
    return len;
}

static void test_xattr(gconstpointer data)
{
    NineClient *c = new_model(data);
    int ret;

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    g_assert_cmpint(get_xattr(c, "user.a"), ==, -ENODATA);
    ret = set_xattr(c, "user.a", "value", 5, 0);
    if (ret == EOPNOTSUPP) {
        g_test_skip("no attributes in the folder for temporary files");
        nc_free(c);
        return;
    }
    g_assert_cmpint(ret, ==, 0);
    g_assert_cmpint(get_xattr(c, "user.a"), ==, 5);
    g_assert_cmpint(get_xattr(c, ""), ==, 7);
    g_assert_cmpint(set_xattr(c, "user.a", "v", 1, XATTR_CREATE), ==, EEXIST);
    g_assert_cmpint(set_xattr(c, "user.empty", "", 0, 0), ==, 0);
    g_assert_cmpint(get_xattr(c, "user.empty"), ==, 0);
    g_assert_cmpint(set_xattr(c, "user.a", "", 0, XATTR_REPLACE), ==, 0);
    g_assert_cmpint(get_xattr(c, "user.a"), ==, -ENODATA);
    g_assert_cmpint(get_xattr(c, "trusted.x"), ==, -EOPNOTSUPP);
    if (g_str_has_prefix(data, "mapped")) {
        g_assert_cmpint(get_xattr(c, "user.virtfs.uid"), ==, -EOPNOTSUPP);
        g_assert_cmpint(set_xattr(c, "user.virtfs.mode", "1234", 4, 0), ==, EOPNOTSUPP);
    }
    nc_free(c);
}

/* More files than descriptors. */
static void test_many_open(void)
{
    g_autofree char *dir = g_dir_make_tmp("9p-XXXXXX", NULL);
    unsigned n = 1500;
    struct rlimit old, low;
    NineClient *c;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    low = (struct rlimit) { 300, old.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    c = nc_new_at(dir, "security_model=none", 5000);
    for (unsigned i = 1; i <= n; i++) {
        g_autofree char *name = g_strdup_printf("%u", i);

        g_assert_cmpint(nc_create(c, NC_ROOT + i, name, O_RDWR, 0600), ==, 0);
        g_assert_cmpint(nc_write(c, NC_ROOT + i, 0, &i, 4), ==, 4);
    }
    /* Renamed while they are closed; removed: those have to stay open, which has a limit. */
    g_assert_cmpint(nc_send(c, P9_TRENAMEAT, "dsds", NC_ROOT, "1", NC_ROOT, "new"), ==, 0);
    g_assert_cmpint(nc_send(c, P9_TUNLINKAT, "dsd", NC_ROOT, "2", 0), ==, 0);
    for (unsigned i = 1; i <= n; i++) {
        g_assert_cmpint(nc_read(c, NC_ROOT + i, 0, 4), ==, 4);
        g_assert_cmpint(memcmp(c->p, &i, 4), ==, 0);
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    nc_free(c);
}

static int set_lock(NineClient *c, uint32_t fid, unsigned type, uint64_t start, uint64_t len,
                    unsigned pid)
{
    int ret = nc_send(c, P9_TLOCK, "dbdqqds", fid, type, 1, start, len, pid, "guest");

    return ret ? -ret : (int)nc_take(c, 1);
}

/* The type that is in the way, and where it begins. */
static unsigned get_lock(NineClient *c, uint32_t fid, unsigned type, uint64_t start,
                         uint64_t *found)
{
    g_assert_cmpint(nc_send(c, P9_TGETLOCK, "dbqqds", fid, type, start, UINT64_C(1), 99, "guest"),
                    ==, 0);
    type = nc_take(c, 1);
    *found = nc_take(c, 8);
    return type;
}

/* The host's view: F_UNLCK where an exclusive lock of that byte would be granted. */
static int host_sees(const char *path, off_t start)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = 1 };
    int fd = open(path, O_RDWR);

    g_assert_cmpint(fcntl(fd, F_OFD_GETLK, &lock), ==, 0);
    close(fd);
    return lock.l_type;
}

enum { GRANTED, BLOCKED };

/* Between the guest's processes, between guests, and with the host. */
static void test_locks(void)
{
    NineClient *c = nc_new("security_model=none");
    g_autofree char *path = g_build_filename(c->dir, "file", NULL);
    NineClient *other;
    uint64_t at;

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    g_assert_cmpint(nc_walk(c, 2, "file"), ==, 0);
    g_assert_cmpint(nc_open(c, 2, O_RDONLY), ==, 0);
    other = nc_new_at(c->dir, "security_model=none", 100);
    g_assert_cmpint(nc_walk(other, 1, "file"), ==, 0);
    g_assert_cmpint(nc_open(other, 1, O_RDWR), ==, 0);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 0, 100, 10), ==, GRANTED);
    /* The same process by another fid; another guest. */
    g_assert_cmpint(set_lock(c, 2, F_WRLCK, 0, 100, 10), ==, GRANTED);
    g_assert_cmpint(set_lock(other, 1, F_RDLCK, 99, 0, 10), ==, BLOCKED);
    g_assert_cmpint(set_lock(other, 1, F_RDLCK, 100, 0, 10), ==, GRANTED);
    g_assert_cmpint(host_sees(path, 50), ==, F_WRLCK);
    g_assert_cmpint(host_sees(path, 1000), ==, F_RDLCK);
    g_assert_cmpint(get_lock(c, 1, F_WRLCK, 50, &at), ==, F_UNLCK);
    g_assert_cmpint(get_lock(other, 1, F_RDLCK, 50, &at), ==, F_WRLCK);
    g_assert_cmpuint(at, ==, 0);
    g_assert_cmpint(get_lock(c, 1, F_WRLCK, 5000, &at), ==, F_RDLCK);
    g_assert_cmpint(get_lock(c, 1, F_RDLCK, 5000, &at), ==, F_UNLCK);
    /* Out of the middle. */
    g_assert_cmpint(set_lock(c, 1, F_UNLCK, 40, 20, 10), ==, GRANTED);
    g_assert_cmpint(host_sees(path, 39), ==, F_WRLCK);
    g_assert_cmpint(host_sees(path, 40), ==, F_UNLCK);
    g_assert_cmpint(host_sees(path, 59), ==, F_UNLCK);
    g_assert_cmpint(host_sees(path, 60), ==, F_WRLCK);
    /* What one process lets go another one still has. */
    g_assert_cmpint(set_lock(c, 1, F_RDLCK, 40, 20, 10), ==, GRANTED);
    g_assert_cmpint(set_lock(c, 2, F_RDLCK, 45, 5, 11), ==, GRANTED);
    g_assert_cmpint(set_lock(other, 1, F_WRLCK, 45, 1, 11), ==, BLOCKED);
    g_assert_cmpint(set_lock(c, 1, F_UNLCK, 0, 0, 10), ==, GRANTED);
    g_assert_cmpint(host_sees(path, 44), ==, F_UNLCK);
    g_assert_cmpint(host_sees(path, 45), ==, F_RDLCK);
    g_assert_cmpint(host_sees(path, 49), ==, F_RDLCK);
    g_assert_cmpint(host_sees(path, 50), ==, F_UNLCK);
    /* Linux' kernel gives a lock to the next one before it tells us that it was given back. */
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 80, 1, 10), ==, GRANTED);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 80, 1, 12), ==, GRANTED);
    g_assert_cmpint(set_lock(c, 1, F_UNLCK, 80, 1, 10), ==, GRANTED);
    g_assert_cmpint(host_sees(path, 80), ==, F_WRLCK);
    g_assert_cmpint(set_lock(c, 1, F_UNLCK, 80, 1, 12), ==, GRANTED);
    g_assert_cmpint(host_sees(path, 80), ==, F_UNLCK);
    /* They go with the fid by which they came. */
    g_assert_cmpint(nc_clunk(c, 1), ==, 0);
    g_assert_cmpint(host_sees(path, 45), ==, F_RDLCK);
    g_assert_cmpint(nc_clunk(c, 2), ==, 0);
    g_assert_cmpint(host_sees(path, 45), ==, F_UNLCK);
    g_assert_cmpint(host_sees(path, 100), ==, F_RDLCK);
    g_assert_cmpint(nc_send(other, P9_TVERSION, "ds", 8192, "9P2000.L"), ==, 0);
    g_assert_cmpint(host_sees(path, 100), ==, F_UNLCK);
    v9fs_free(other->s);
    g_free(other->scratch);
    g_free(other->dir);
    g_free(other);
    nc_free(c);
}

static void test_lock_bounds(void)
{
    NineClient *c = nc_new("security_model=none");
    unsigned n = 0;

    g_assert_cmpint(nc_create(c, 1, "file", O_RDWR, 0600), ==, 0);
    while (set_lock(c, 1, F_WRLCK, 4 * n, 1, 1) == GRANTED) {
        n++;
    }
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 4 * n, 1, 1), ==, -ENOLCK);
    g_assert_cmpuint(n, >, V9FS_LOCKS_MAX / 2);
    g_assert_cmpuint(n, <=, V9FS_LOCKS_MAX);
    g_assert_cmpint(set_lock(c, 1, F_UNLCK, 0, 0, 1), ==, GRANTED);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 0, 1, 1), ==, GRANTED);
    g_assert_cmpint(set_lock(c, 1, 3, 0, 1, 1), ==, -EINVAL);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, UINT64_MAX, 1, 1), ==, -EINVAL);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, 1, INT64_MAX, 1), ==, -EINVAL);
    g_assert_cmpint(set_lock(c, 1, F_WRLCK, INT64_MAX, 0, 2), ==, GRANTED);
    g_assert_cmpint(set_lock(c, NC_ROOT, F_WRLCK, 0, 0, 1), ==, -EBADF);
    /* A folder, for the guest's own processes. */
    g_assert_cmpint(nc_walk(c, 2, ""), ==, 0);
    g_assert_cmpint(nc_open(c, 2, O_RDONLY), ==, 0);
    g_assert_cmpint(set_lock(c, 2, F_WRLCK, 0, 0, 1), ==, GRANTED);
    nc_free(c);
}

static void add(const char *name, GTestDataFunc fn)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(models); i++) {
        g_autofree char *path = g_strconcat("/9p/", name, "/", models[i], NULL);

        g_test_add_data_func(path, models[i], fn);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/9p/version", test_version);
    add("files", test_files);
    add("kinds", test_kinds);
    add("rename", test_rename);
    add("readdir", test_readdir);
    add("xattr", test_xattr);
    g_test_add_func("/9p/unlinked", test_unlinked);
    g_test_add_func("/9p/many-open", test_many_open);
    g_test_add_func("/9p/locks", test_locks);
    g_test_add_func("/9p/lock-bounds", test_lock_bounds);
    return g_test_run();
}
