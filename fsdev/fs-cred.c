/*
 * The owner, the mode and the device number that a guest gave a file of a mapped export: as QEMU
 * keeps them, so that its exports can be used.
 *
 * System calls: getxattr, setxattr, openat2, fstat, read, write, mkdirat, linkat, renameat,
 * unlinkat.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "qemu/cutils.h"
#include "qemu/le.h"

#define META_MAX 512            /* bytes of a file of mapped-file */

static FsCred cred_none(void)
{
    return (FsCred) { -1, -1, -1, -1 };
}

static void cred_apply(const FsCred *cred, struct stat *st)
{
    if (cred->uid != (uid_t)-1) {
        st->st_uid = cred->uid;
    }
    if (cred->gid != (gid_t)-1) {
        st->st_gid = cred->gid;
    }
    if (cred->mode != (mode_t)-1) {
        /* A folder is one, whatever is said of it; nothing else becomes one. */
        mode_t type = S_ISDIR(st->st_mode) || S_ISDIR(cred->mode) || !(cred->mode & S_IFMT)
                      ? st->st_mode : cred->mode;

        st->st_mode = (type & S_IFMT) | (cred->mode & 07777);
    }
    if (cred->rdev != (dev_t)-1) {
        st->st_rdev = cred->rdev;
    }
}

/* mapped-xattr ----------------------------------------------------------------------- */

static int xattr_get(const char *file, const char *name, unsigned size, uint64_t *value)
{
    uint8_t bytes[8];
    ssize_t len = getxattr(file, name, bytes, size);

    if (len == size) {
        *value = ld_le(bytes, size);
    }
    /* Where there can be no attributes there are none. */
    return len >= 0 || errno == ENODATA || errno == ENOTSUP || errno == EPERM || errno == ERANGE
           ? 0 : -errno;
}

static int xattr_cred_get(int fd, FsCred *cred)
{
    FdName file = fd_name(fd);
    uint64_t uid = -1, gid = -1, mode = -1, rdev = -1;
    int ret = xattr_get(file.s, "user.virtfs.mode", 4, &mode);

    ret = ret ? ret : xattr_get(file.s, "user.virtfs.uid", 4, &uid);
    ret = ret ? ret : xattr_get(file.s, "user.virtfs.gid", 4, &gid);
    /* Only devices have a number. */
    if (!ret && mode != UINT64_MAX && (S_ISCHR(mode) || S_ISBLK(mode))) {
        ret = xattr_get(file.s, "user.virtfs.rdev", 8, &rdev);
    }
    *cred = (FsCred) { uid, gid, mode, rdev };
    return ret;
}

static int xattr_set(const char *file, const char *name, unsigned size, uint64_t value)
{
    uint8_t bytes[8];

    st_le(bytes, value, size);
    return setxattr(file, name, bytes, size, 0) < 0 ? -errno : 0;
}

static int xattr_cred_set(int fd, const FsCred *cred)
{
    FdName file = fd_name(fd);
    int ret = 0;

    if (cred->uid != (uid_t)-1) {
        ret = xattr_set(file.s, "user.virtfs.uid", 4, cred->uid);
    }
    if (!ret && cred->gid != (gid_t)-1) {
        ret = xattr_set(file.s, "user.virtfs.gid", 4, cred->gid);
    }
    if (!ret && cred->mode != (mode_t)-1) {
        ret = xattr_set(file.s, "user.virtfs.mode", 4, cred->mode);
    }
    if (!ret && cred->rdev != (dev_t)-1) {
        ret = xattr_set(file.s, "user.virtfs.rdev", 8, cred->rdev);
    }
    return ret;
}

/* mapped-file ------------------------------------------------------------------------ */

/* The folder of a folder's files, or negative errno. */
static int meta_dir(const FsExport *fs, int dir, bool make)
{
    if (make && mkdirat(dir, VIRTFS_META_DIR, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    return fs_open_at(fs, dir, VIRTFS_META_DIR, O_PATH | O_DIRECTORY, 0);
}

/* Where the file's is: a folder that is to be closed, and the name there. */
static int meta_place(const FsExport *fs, const FsFile *f, bool make, const char **name)
{
    if (!*f->name) {
        *name = VIRTFS_META_ROOT;
        return fs_find_dir(fs, "");
    }
    *name = f->name;
    return f->dir < 0 ? -ENOENT : meta_dir(fs, f->dir, make);
}

static void meta_parse(char *text, FsCred *cred)
{
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long value;

        if (sscanf(line, "virtfs.uid=%lu", &value) == 1) {
            cred->uid = value;
        } else if (sscanf(line, "virtfs.gid=%lu", &value) == 1) {
            cred->gid = value;
        } else if (sscanf(line, "virtfs.mode=%lu", &value) == 1) {
            cred->mode = value;
        } else if (sscanf(line, "virtfs.rdev=%lu", &value) == 1) {
            cred->rdev = value;
        }
    }
}

static int file_cred_get(const FsExport *fs, const FsFile *f, FsCred *cred)
{
    char text[META_MAX];
    const char *name;
    int dir = meta_place(fs, f, false, &name), fd;
    FsFile meta;
    ssize_t len;

    *cred = cred_none();
    if (dir < 0) {
        return dir == -ENOENT ? 0 : dir;
    }
    fd = fs_find_in(fs, dir, name, &meta);
    close(dir);
    if (fd < 0) {
        return fd == -ENOENT ? 0 : fd;
    }
    fd = fs_open(fs, &meta, O_RDONLY);
    close(meta.fd);
    if (fd < 0) {
        return fd;
    }
    len = read(fd, text, sizeof(text) - 1);
    close(fd);
    text[MAX(len, 0)] = '\0';
    meta_parse(text, cred);
    return 0;
}

static void meta_line(GString *text, const char *key, uint64_t value, uint64_t none)
{
    if (value != none) {
        g_string_append_printf(text, "virtfs.%s=%" PRIu64 "\n", key, value);
    }
}

/* By way of a second file, so that nobody reads half of it. */
static int meta_write(const FsExport *fs, int dir, const char *name, const GString *text)
{
    char temp[sizeof(VIRTFS_META_DIR) + 12];    /* no guest's file is called so */
    int fd, ret;

    snprintf(temp, sizeof(temp), VIRTFS_META_DIR "%d", gettid());
    unlinkat(dir, temp, 0);
    fd = fs_open_at(fs, dir, temp, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        return fd;
    }
    ret = qemu_write_full(fd, text->str, text->len);
    close(fd);
    if (!ret && renameat(dir, temp, dir, name) < 0) {
        ret = -errno;
    }
    if (ret < 0) {
        unlinkat(dir, temp, 0);
    }
    return ret;
}

static int file_cred_set(const FsExport *fs, const FsFile *f, const FsCred *cred, bool new)
{
    g_autoptr(GString) text = g_string_new(NULL);
    FsCred all = cred_none();
    const char *name;
    int ret = new ? 0 : file_cred_get(fs, f, &all), dir;

    if (ret < 0) {
        return ret;
    }
    meta_line(text, "uid", cred->uid != (uid_t)-1 ? cred->uid : all.uid, (uid_t)-1);
    meta_line(text, "gid", cred->gid != (gid_t)-1 ? cred->gid : all.gid, (gid_t)-1);
    meta_line(text, "mode", cred->mode != (mode_t)-1 ? cred->mode : all.mode, (mode_t)-1);
    meta_line(text, "rdev", cred->rdev != (dev_t)-1 ? cred->rdev : all.rdev, (dev_t)-1);
    dir = meta_place(fs, f, true, &name);
    if (dir < 0) {
        return dir;
    }
    ret = meta_write(fs, dir, name, text);
    close(dir);
    return ret;
}

int fs_cred_link(const FsExport *fs, const FsFile *old, int dir, const char *name)
{
    int from = meta_dir(fs, old->dir, false), to, ret = 0;

    if (from < 0) {
        return from == -ENOENT ? 0 : from;
    }
    to = meta_dir(fs, dir, true);
    if (to >= 0) {
        unlinkat(to, name, 0);
    }
    if (to < 0 || (linkat(from, old->name, to, name, 0) < 0 && errno != ENOENT)) {
        ret = to < 0 ? to : -errno;
    }
    close(from);
    if (to >= 0) {
        close(to);
    }
    return ret;
}

int fs_cred_rename(const FsExport *fs, int old_dir, const char *old_name, int dir,
                   const char *name)
{
    int from = meta_dir(fs, old_dir, false), to, ret = 0;

    if (from < 0) {
        fs_cred_unlink(fs, dir, name);
        return from == -ENOENT ? 0 : from;
    }
    to = meta_dir(fs, dir, true);
    if (to < 0 || renameat(from, old_name, to, name) < 0) {
        ret = to < 0 ? to : -errno;
    }
    if (ret == -ENOENT && to >= 0) {
        unlinkat(to, name, 0);
        ret = 0;
    }
    close(from);
    if (to >= 0) {
        close(to);
    }
    return ret;
}

void fs_cred_unlink(const FsExport *fs, int dir, const char *name)
{
    int meta = meta_dir(fs, dir, false);

    if (meta >= 0) {
        unlinkat(meta, name, 0);
        close(meta);
    }
}

/* Both ------------------------------------------------------------------------------- */

int fs_cred_get(const FsExport *fs, const FsFile *f, struct stat *st)
{
    FsCred cred;
    int ret = fs->model == FS_MAPPED_XATTR ? xattr_cred_get(f->fd, &cred)
                                           : file_cred_get(fs, f, &cred);

    if (!ret) {
        cred_apply(&cred, st);
    }
    return ret;
}

int fs_cred_set(const FsExport *fs, const FsFile *f, const FsCred *cred, bool new)
{
    return fs->model == FS_MAPPED_XATTR ? xattr_cred_set(f->fd, cred)
                                        : file_cred_set(fs, f, cred, new);
}
