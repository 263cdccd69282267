/*
 * The way to a file: from the export's descriptor, and no other.
 *
 * System calls: openat2, statx.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Mounts --------------------------------------------------------------------------- */

static uint64_t mount_of(int fd)
{
    struct statx stx;

    return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &stx) < 0 ? UINT64_MAX : stx.stx_mnt_id;
}

/*
 * Without mounts in the folder none may be crossed; with some, a file has to be in one of them.
 * proc(5): the first word of a line is a mount's number, the fifth its place.
 */
static void look_for_mounts(FsExport *fs, const char *path)
{
    g_autofree char *below = g_str_has_suffix(path, "/") ? g_strdup(path)
                                                         : g_strconcat(path, "/", NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    uint64_t own = mount_of(fs->root);

    if (!g_file_get_contents("/proc/self/mountinfo", &text, NULL, NULL)) {
        return;
    }
    lines = g_strsplit(text, "\n", -1);
    for (char **line = lines; *line; line++) {
        g_auto(GStrv) words = g_strsplit(*line, " ", 6);
        g_autofree char *place = g_strv_length(words) > 5 ? g_strcompress(words[4]) : NULL;
        uint64_t id = place ? g_ascii_strtoull(words[0], NULL, 10) : own;

        if (id == own || !g_str_has_prefix(place, below)) {
            continue;
        }
        if (!fs->mounts) {
            fs->mounts = g_array_new(FALSE, FALSE, sizeof(uint64_t));
            g_array_append_val(fs->mounts, own);
        }
        g_array_append_val(fs->mounts, id);
    }
}

static bool mount_allowed(const FsExport *fs, int fd)
{
    uint64_t id = mount_of(fd);

    for (guint i = 0; i < fs->mounts->len; i++) {
        if (g_array_index(fs->mounts, uint64_t, i) == id) {
            return true;
        }
    }
    return false;
}

/* Opening ---------------------------------------------------------------------------- */

int fs_open_at(const FsExport *fs, int dir, const char *path, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .mode = mode,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS |
                   (fs->mounts ? 0 : RESOLVE_NO_XDEV),
    };
    int fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

    if (fd < 0) {
        return -errno;
    }
    if (fs->mounts && !mount_allowed(fs, fd)) {
        close(fd);
        return -EXDEV;
    }
    return fd;
}

bool fs_open_root(FsExport *fs, Error **errp)
{
    g_autofree char *path = realpath(fs->path, NULL);
    struct stat st;
    int fd;

    fs->root = open(fs->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fs->root < 0 || !path || fstat(fs->root, &st) < 0) {
        error_setg_errno(errp, errno, "cannot open the folder '%s'", fs->path);
        return false;
    }
    fs->root_dev = st.st_dev;
    fs->proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fs->proc < 0) {
        error_setg_errno(errp, errno, "cannot open /proc/self/fd");
        return false;
    }
    look_for_mounts(fs, path);
    fd = fs_open_at(fs, fs->root, ".", O_PATH, 0);
    if (fd < 0) {
        error_setg_errno(errp, -fd, "the host's kernel does not find files safely (openat2, "
                         "since Linux 5.6)");
        return false;
    }
    close(fd);
    return true;
}

void fs_close_root(FsExport *fs)
{
    if (fs->root >= 0) {
        close(fs->root);
    }
    if (fs->proc >= 0) {
        close(fs->proc);
    }
    if (fs->mounts) {
        g_array_unref(fs->mounts);
    }
}

/* Names -------------------------------------------------------------------------------- */

bool fs_is_hidden(const FsExport *fs, const char *name)
{
    return fs->model == FS_MAPPED_FILE && g_str_has_prefix(name, VIRTFS_META_DIR);
}

int fs_check_name(const FsExport *fs, const char *name)
{
    if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ||
        fs_is_hidden(fs, name)) {
        return -EINVAL;
    }
    return strlen(name) > NAME_MAX ? -ENAMETOOLONG : 0;
}

int fs_find_dir(const FsExport *fs, const char *path)
{
    return fs_open_at(fs, fs->root, *path ? path : ".", O_PATH | O_DIRECTORY, 0);
}

int fs_find_in(const FsExport *fs, int dir, const char *name, FsFile *f)
{
    f->fd = fs_open_at(fs, dir, name, O_PATH, 0);
    f->dir = dir;
    f->name = name;
    return f->fd < 0 ? f->fd : 0;
}

int fs_find(const FsExport *fs, char *path, FsFile *f)
{
    char *slash = strrchr(path, '/');
    int ret;

    *f = (FsFile) { -1, -1, slash ? slash + 1 : path };
    if (fs->model != FS_MAPPED_FILE || !*path) {
        f->fd = fs_open_at(fs, fs->root, *path ? path : ".", O_PATH, 0);
        return f->fd < 0 ? f->fd : 0;
    }
    if (slash) {
        *slash = '\0';
    }
    f->dir = fs_find_dir(fs, slash ? path : "");
    if (f->dir < 0) {
        return f->dir;
    }
    ret = fs_find_in(fs, f->dir, f->name, f);
    if (ret < 0) {
        close(f->dir);
    }
    return ret;
}

void fs_release(FsFile *f)
{
    close(f->fd);
    if (f->dir >= 0) {
        close(f->dir);
    }
}
