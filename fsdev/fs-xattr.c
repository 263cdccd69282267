/*
 * Extended attributes of an export's files, as guests see them.
 *
 * System calls: getxattr, listxattr, setxattr, removexattr.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fs-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define OWN_PREFIX "user.virtfs."
#define ACL_PREFIX "system.posix_acl_"

/*
 * The attribute's name on the host, or NULL: there is none that a guest may have. What decides
 * about access stays the host's own, but for exports that keep the guest's apart, and for those
 * that are the guest's as they are. Caller frees.
 */
static char *host_name(const FsExport *fs, const char *name)
{
    if (g_str_has_prefix(name, ACL_PREFIX)) {
        return fs->model == FS_MAPPED_XATTR ? g_strconcat(OWN_PREFIX, name, NULL)
               : fs->model == FS_PASSTHROUGH ? g_strdup(name) : NULL;
    }
    if (!strcmp(name, "security.capability")) {
        return fs->model == FS_PASSTHROUGH ? g_strdup(name) : NULL;
    }
    if (!g_str_has_prefix(name, "user.") ||
        (fs_is_mapped(fs) && g_str_has_prefix(name, OWN_PREFIX))) {
        return NULL;
    }
    return g_strdup(name);
}

/* The other way round: what the guest calls it; NULL: it does not see it. */
static const char *guest_name(const FsExport *fs, const char *name)
{
    g_autofree char *back = NULL;

    if (fs->model == FS_MAPPED_XATTR && g_str_has_prefix(name, OWN_PREFIX ACL_PREFIX)) {
        return name + strlen(OWN_PREFIX);
    }
    back = host_name(fs, name);
    return back && !strcmp(back, name) ? name : NULL;
}

ssize_t fs_getxattr(const FsExport *fs, const FsFile *f, const char *name, void *buf, size_t size)
{
    g_autofree char *host = host_name(fs, name);
    FdName file = fd_name(f->fd);
    ssize_t len = host ? getxattr(file.s, host, buf, size) : -1;

    return len >= 0 ? len : host ? -errno : -EOPNOTSUPP;
}

ssize_t fs_listxattr(const FsExport *fs, const FsFile *f, char *buf)
{
    FdName file = fd_name(f->fd);
    ssize_t len = listxattr(file.s, buf, XATTR_LIST_MAX), out = 0;
    size_t step;

    if (len < 0) {
        return -errno;
    }
    for (ssize_t i = 0; i < len; i += step) {
        const char *name = guest_name(fs, buf + i);

        step = strlen(buf + i) + 1;
        if (name) {
            size_t n = strlen(name) + 1;

            memmove(buf + out, name, n);    /* never longer than what was read */
            out += n;
        }
    }
    return out;
}

int fs_setxattr(const FsExport *fs, const FsFile *f, const char *name, const void *value,
                size_t size, int flags)
{
    g_autofree char *host = host_name(fs, name);
    FdName file = fd_name(f->fd);

    if (!host) {
        return -EOPNOTSUPP;
    }
    return setxattr(file.s, host, value, size, flags) < 0 ? -errno : 0;
}

int fs_removexattr(const FsExport *fs, const FsFile *f, const char *name)
{
    g_autofree char *host = host_name(fs, name);
    FdName file = fd_name(f->fd);

    if (!host) {
        return -EOPNOTSUPP;
    }
    return removexattr(file.s, host) < 0 ? -errno : 0;
}
