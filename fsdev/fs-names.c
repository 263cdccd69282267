/*
 * Names in the folders of an export: making, moving and removing them.
 *
 * System calls: openat2, mkdirat, mknodat, symlinkat, linkat, renameat, unlinkat, fchownat, chmod,
 * write.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "qemu/cutils.h"

/*
 * Give a new file its owner and mode, or take it away again. Without a mapping to another place
 * it is made for nobody else first.
 */
static int finish(const FsExport *fs, FsFile *f, const FsCred *cred, bool folder)
{
    int ret;

    if (fs_is_mapped(fs)) {
        ret = fs_cred_set(fs, f, cred, true);
    } else {
        ret = fs_chown(fs, f, cred->uid, cred->gid);
        if (!ret || fs->model == FS_NONE) {
            ret = fs_chmod(fs, f, cred->mode);
            ret = ret == -EOPNOTSUPP ? 0 : ret;     /* a link */
        }
        ret = fs->model == FS_NONE ? 0 : ret;
    }
    if (ret < 0) {
        unlinkat(f->dir, f->name, folder ? AT_REMOVEDIR : 0);
    }
    return ret;
}

/* The same for what was made by its name. */
static int finish_by_name(const FsExport *fs, int dir, const char *name, const FsCred *cred,
                          bool folder)
{
    FsFile f;
    int ret = fs_find_in(fs, dir, name, &f);

    if (ret < 0) {
        return ret;
    }
    ret = finish(fs, &f, cred, folder);
    close(f.fd);
    return ret;
}

static int open_existing(const FsExport *fs, int dir, const char *name, int flags)
{
    FsFile f;
    int ret = fs_find_in(fs, dir, name, &f);

    if (ret < 0) {
        return ret;
    }
    ret = fs_open(fs, &f, flags);
    close(f.fd);
    return ret;
}

int fs_create(const FsExport *fs, int dir, const char *name, int flags, const FsCred *cred)
{
    FsFile f = { .dir = dir, .name = name };
    mode_t mode = fs_is_mapped(fs) ? fs->fmode : 0600;
    int ret;

    f.fd = fs_open_at(fs, dir, name, (flags & ~O_TRUNC) | O_CREAT | O_EXCL, mode);
    if (f.fd == -EEXIST && !(flags & O_EXCL)) {
        return open_existing(fs, dir, name, flags);
    }
    if (f.fd < 0) {
        return f.fd;
    }
    ret = finish(fs, &f, cred, false);
    if (ret < 0) {
        close(f.fd);
        return ret;
    }
    return f.fd;
}

int fs_mkdir(const FsExport *fs, int dir, const char *name, const FsCred *cred)
{
    if (mkdirat(dir, name, fs_is_mapped(fs) ? fs->dmode : 0700) < 0) {
        return -errno;
    }
    return finish_by_name(fs, dir, name, cred, true);
}

int fs_mknod(const FsExport *fs, int dir, const char *name, const FsCred *cred)
{
    bool mapped = fs_is_mapped(fs);

    if (S_ISDIR(cred->mode) || S_ISLNK(cred->mode)) {
        return -EINVAL;
    }
    if (mknodat(dir, name, mapped ? S_IFREG | fs->fmode : (cred->mode & S_IFMT) | 0600,
                mapped ? 0 : cred->rdev) < 0) {
        return -errno;
    }
    return finish_by_name(fs, dir, name, cred, false);
}

int fs_symlink(const FsExport *fs, int dir, const char *name, const char *target,
               const FsCred *cred)
{
    FsFile f = { .dir = dir, .name = name };
    int ret;

    if (!fs_is_mapped(fs)) {
        return symlinkat(target, dir, name) < 0 ? -errno
                                                : finish_by_name(fs, dir, name, cred, false);
    }
    f.fd = fs_open_at(fs, dir, name, O_WRONLY | O_CREAT | O_EXCL, fs->fmode);
    if (f.fd < 0) {
        return f.fd;
    }
    ret = qemu_write_full(f.fd, target, strlen(target));
    if (ret < 0) {
        unlinkat(dir, name, 0);
    } else {
        ret = finish(fs, &f, cred, false);
    }
    close(f.fd);
    return ret;
}

int fs_link(const FsExport *fs, const FsFile *old, int dir, const char *name)
{
    FdName file = fd_name(old->fd);
    int ret;

    if (linkat(AT_FDCWD, file.s, dir, name, AT_SYMLINK_FOLLOW) < 0) {
        return -errno;
    }
    ret = fs->model == FS_MAPPED_FILE ? fs_cred_link(fs, old, dir, name) : 0;
    if (ret < 0) {
        unlinkat(dir, name, 0);
    }
    return ret;
}

int fs_rename(const FsExport *fs, int old_dir, const char *old_name, int dir, const char *name)
{
    if (renameat(old_dir, old_name, dir, name) < 0) {
        return -errno;
    }
    return fs->model == FS_MAPPED_FILE ? fs_cred_rename(fs, old_dir, old_name, dir, name) : 0;
}

/* What is kept for files that are gone must not keep the folder. */
static void remove_meta(const FsExport *fs, int dir, const char *name)
{
    int fd = fs_open_at(fs, dir, name, O_PATH | O_DIRECTORY, 0);

    if (fd >= 0) {
        unlinkat(fd, VIRTFS_META_DIR, AT_REMOVEDIR);
        close(fd);
    }
}

int fs_unlink(const FsExport *fs, int dir, const char *name, bool folder)
{
    if (folder && fs->model == FS_MAPPED_FILE) {
        remove_meta(fs, dir, name);
    }
    if (unlinkat(dir, name, folder ? AT_REMOVEDIR : 0) < 0) {
        return -errno;
    }
    if (fs->model == FS_MAPPED_FILE) {
        fs_cred_unlink(fs, dir, name);
    }
    return 0;
}
