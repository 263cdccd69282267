/*
 * Image locks: one byte per permission, by open file description.
 *
 * Byte 100 + n of the file is read-locked while permission n is in use, byte
 * 200 + n while it is not shared. The same bytes are used by QEMU and its tools,
 * so all of them keep out of each other's way.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "file-posix.h"

#define PERM_BASE   100
#define SHARED_BASE 200
#define NR_PERMS    4

static const char *const perm_names[NR_PERMS] = {
    "consistent read", "write", "write unchanged", "resize",
};

static int lock_byte(int fd, int64_t byte, short type)
{
    struct flock fl = {
        .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };
    int ret;

    do {
        ret = fcntl(fd, F_OFD_SETLK, &fl);
    } while (ret < 0 && errno == EINTR);
    return ret < 0 ? -errno : 0;
}

/* Does any other open file hold the byte? */
static bool byte_is_held(int fd, int64_t byte)
{
    struct flock fl = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1,
    };

    return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type != F_UNLCK;
}

/* Take the bytes of want that are not in have; 0 or negative errno. */
static int take(int fd, int64_t base, unsigned have, unsigned want)
{
    for (int i = 0; i < NR_PERMS; i++) {
        if (want & ~have & (1u << i)) {
            int ret = lock_byte(fd, base + i, F_RDLCK);

            if (ret < 0) {
                return ret;
            }
        }
    }
    return 0;
}

static void drop(int fd, int64_t base, unsigned have, unsigned want)
{
    for (int i = 0; i < NR_PERMS; i++) {
        if (have & ~want & (1u << i)) {
            lock_byte(fd, base + i, F_UNLCK);
        }
    }
}

static bool conflict(int fd, const char *filename, FileLocks want, Error **errp)
{
    for (int i = 0; i < NR_PERMS; i++) {
        unsigned bit = 1u << i;
        bool used = (want.perm & bit) && byte_is_held(fd, SHARED_BASE + i);
        bool shared = (want.unshared & bit) && byte_is_held(fd, PERM_BASE + i);

        if (used || shared) {
            error_setg(errp, "Failed to get %s\"%s\" lock",
                       used ? "" : "shared ", perm_names[i]);
            error_append_hint(errp, "Is another process using the image [%s]?\n",
                              filename);
            return true;
        }
    }
    return false;
}

bool file_lock_set(int fd, const char *filename, FileLocks *held,
                   FileLocks want, Error **errp)
{
    int ret = take(fd, PERM_BASE, held->perm, want.perm);

    if (ret == 0) {
        ret = take(fd, SHARED_BASE, held->unshared, want.unshared);
    }
    /* Ours first, then a look at the others': two that start together both see it. */
    if (ret < 0 || conflict(fd, filename, want, errp)) {
        drop(fd, PERM_BASE, want.perm, held->perm);
        drop(fd, SHARED_BASE, want.unshared, held->unshared);
        if (ret < 0) {
            error_setg_errno(errp, -ret, "Failed to lock '%s'", filename);
        }
        return false;
    }
    drop(fd, PERM_BASE, held->perm, want.perm);
    drop(fd, SHARED_BASE, held->unshared, want.unshared);
    *held = want;
    return true;
}
