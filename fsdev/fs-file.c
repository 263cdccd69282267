/*
 * Files of an export that were found: what they are, opening them, changing what is said of them.
 *
 * System calls: fstat, openat2, readlinkat, read, chmod, fchownat, truncate, utimensat, capget,
 * capset, fgetxattr, fsetxattr; landlock_*, prctl once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qemu/landlock.h"

int fs_stat(const FsExport *fs, const FsFile *f, struct stat *st)
{
    if (fstat(f->fd, st) < 0) {
        return -errno;
    }
    if (fs->multidevs == MULTIDEVS_FORBID && st->st_dev != fs->root_dev) {
        return -ENODEV;
    }
    return fs_is_mapped(fs) ? fs_cred_get(fs, f, st) : 0;
}

/* Inodes --------------------------------------------------------------------------- */

#define INODE_BITS 48           /* of a number that are the inode's own */

/* Numbers of pairs of a device and the upper bits of an inode; the first is 0 (the root's). */
static int pair_number(FsExport *fs, uint64_t dev, uint64_t upper, uint64_t *number)
{
    uint64_t key[2] = { dev, upper };
    g_autoptr(GBytes) bytes = g_bytes_new(key, sizeof(key));
    gpointer value;
    int ret = 0;

    g_mutex_lock(&fs->devs_lock);
    if (g_hash_table_lookup_extended(fs->devs, bytes, NULL, &value)) {
        *number = GPOINTER_TO_UINT(value);
    } else if (g_hash_table_size(fs->devs) >> (64 - INODE_BITS)) {
        ret = -ENFILE;
    } else {
        *number = g_hash_table_size(fs->devs);
        g_hash_table_insert(fs->devs, g_bytes_ref(bytes), GUINT_TO_POINTER(*number));
    }
    g_mutex_unlock(&fs->devs_lock);
    return ret;
}

void fs_claim_first_number(FsExport *fs)
{
    uint64_t number;

    pair_number(fs, fs->root_dev, 0, &number);
}

static void warn_of_devices(FsExport *fs)
{
    g_mutex_lock(&fs->devs_lock);
    if (!fs->warned) {
        warn_report("-fsdev id=%s: the folder has files of several devices, whose numbers may be "
                    "the same: use multidevs=remap", fs->obj.id);
    }
    fs->warned = true;
    g_mutex_unlock(&fs->devs_lock);
}

int fs_inode(FsExport *fs, const struct stat *st, uint64_t *number)
{
    uint64_t upper = st->st_ino >> INODE_BITS, pair = 0;
    int ret;

    *number = st->st_ino;
    if (fs->multidevs != MULTIDEVS_REMAP) {
        if (st->st_dev != fs->root_dev && fs->multidevs == MULTIDEVS_WARN) {
            warn_of_devices(fs);
        }
        return 0;
    }
    ret = pair_number(fs, st->st_dev, upper, &pair);
    *number = (pair << INODE_BITS) | (st->st_ino & ((1ull << INODE_BITS) - 1));
    return ret;
}

/* Opening ---------------------------------------------------------------------------- */

int fs_open(const FsExport *fs, const FsFile *f, int flags)
{
    struct open_how how = { .flags = flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };
    FdName file = fd_name(f->fd);
    struct stat st;
    int fd;

    if (fstat(f->fd, &st) < 0) {
        return -errno;
    }
    /* To open something else may do something, or never end. */
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
    }
    if (S_ISDIR(st.st_mode) && (flags & O_ACCMODE) != O_RDONLY) {
        return -EISDIR;
    }
    fd = syscall(SYS_openat2, AT_FDCWD, file.s, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* A link of a mapped export is a file with the path in it. */
ssize_t fs_readlink(const FsExport *fs, const FsFile *f, char *buf, size_t size)
{
    struct stat st;
    ssize_t len;
    int fd;

    if (fstat(f->fd, &st) < 0) {
        return -errno;
    }
    if (S_ISLNK(st.st_mode)) {
        len = readlinkat(f->fd, "", buf, size);
        return len < 0 ? -errno : len;
    }
    fd = fs_is_mapped(fs) ? fs_stat(fs, f, &st) : 0;
    if (fd < 0 || !S_ISLNK(st.st_mode)) {
        return fd < 0 ? fd : -EINVAL;
    }
    fd = fs_open(fs, f, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    len = read(fd, buf, size);
    len = len < 0 ? -errno : len;
    close(fd);
    return len;
}

/* Attributes --------------------------------------------------------------------------- */

/*
 * Without CAP_FSETID the host's kernel takes set-id bits off what is written to, as it should;
 * and does not let them be set for a group that we are not in.
 */
static void set_fsetid(bool on)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct now[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &header, now) < 0 || !(now[0].permitted & (1u << CAP_FSETID))) {
        return;
    }
    now[0].effective = on ? now[0].effective | (1u << CAP_FSETID)
                          : now[0].effective & ~(1u << CAP_FSETID);
    syscall(SYS_capset, &header, now);
}

int fs_chmod(const FsExport *fs, const FsFile *f, mode_t mode)
{
    FdName file = fd_name(f->fd);
    struct stat st;
    int ret;

    ret = fs_stat(fs, f, &st);
    if (ret < 0 || S_ISLNK(st.st_mode)) {
        return ret < 0 ? ret : -EOPNOTSUPP;
    }
    if (fs_is_mapped(fs)) {
        FsCred cred = { -1, -1, (st.st_mode & S_IFMT) | (mode & 07777), -1 };

        return fs_cred_set(fs, f, &cred, false);
    }
    if (mode & (S_ISUID | S_ISGID)) {
        set_fsetid(true);
    }
    ret = chmod(file.s, mode & 07777) < 0 ? -errno : 0;
    if (mode & (S_ISUID | S_ISGID)) {
        set_fsetid(false);
    }
    return ret;
}

int fs_chown(const FsExport *fs, const FsFile *f, uid_t uid, gid_t gid)
{
    FsCred cred = { uid, gid, -1, -1 };

    if (fs_is_mapped(fs)) {
        return fs_cred_set(fs, f, &cred, false);
    }
    return fchownat(f->fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int fs_truncate(const FsFile *f, off_t size)
{
    FdName file = fd_name(f->fd);
    struct stat st;

    if (fstat(f->fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    return truncate(file.s, size) < 0 ? -errno : 0;
}

int fs_utimens(const FsFile *f, const struct timespec times[2])
{
    FdName file = fd_name(f->fd);

    return utimensat(AT_FDCWD, file.s, times, 0) < 0 ? -errno : 0;
}

int fs_drop_setid(const FsExport *fs, const FsFile *f)
{
    struct stat st;
    int ret = fs_is_mapped(fs) ? fs_stat(fs, f, &st) : -ENOTSUP;
    mode_t drop = S_ISUID;

    if (ret < 0) {
        return ret == -ENOTSUP ? 0 : ret;
    }
    drop |= st.st_mode & S_IXGRP ? S_ISGID : 0;
    return st.st_mode & drop ? fs_chmod(fs, f, st.st_mode & ~drop) : 0;
}

/* Threads ------------------------------------------------------------------------------- */

static uint64_t needed_capabilities(const FsExport *fs)
{
    uint64_t caps = 1ull << CAP_DAC_READ_SEARCH;

    if (!fs->readonly) {
        caps |= 1ull << CAP_DAC_OVERRIDE | 1ull << CAP_FOWNER;
    }
    if (!fs->readonly && !fs_is_mapped(fs)) {
        caps |= 1ull << CAP_CHOWN | 1ull << CAP_FSETID | 1ull << CAP_MKNOD | 1ull << CAP_SETFCAP;
    }
    return caps;
}

int fs_thread_enter(const FsExport *fs)
{
    if (unshare(CLONE_FS) < 0 || fchdir(fs->proc) < 0) {
        return -errno;
    }
    umask(0);
    thread_keep_capabilities(needed_capabilities(fs));
    set_fsetid(false);
    return 0;
}

/* openat2() is in the list, and a capability reads any file: rules keep both to the folder. */
static void limit_files(const FsExport *fs)
{
    int rules = landlock_knows_moves() ? landlock_new() : -ENOSYS;

    if (rules < 0) {
        return;     /* the main thread has told of that */
    }
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (landlock_allow_fd(rules, fs->root, fs->readonly ? FILES_READ : FILES_ALL) == 0) {
        landlock_enter(rules);
    } else {
        close(rules);
    }
}

void fs_thread_confine(const FsExport *fs)
{
    if (thread_confine_due()) {
        limit_files(fs);
        thread_confine(&fsdev_filter);
    }
}
