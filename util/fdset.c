/*
 * Descriptor sets (-add-fd, add-fd).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/fdset.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "qemu/confine.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"

#define FDSET_PATH "/dev/fdset/"

/* Of the process, as descriptors are; made by the first member. */
static GArray *members;

static void member_clear(gpointer data)
{
    FDSetMember *m = data;

    close(m->fd);
    g_free(m->opaque);
}

static int64_t lowest_free_set(void)
{
    int64_t set = 0;

    /* Members are sorted by set. */
    for (guint i = 0; i < members->len; i++) {
        int64_t used = g_array_index(members, FDSetMember, i).set;

        if (used > set) {
            break;
        }
        set = used + 1;
    }
    return set;
}

int64_t fdset_add(int64_t set, int fd, const char *opaque)
{
    FDSetMember m = { .set = set, .fd = fd, .opaque = g_strdup(opaque) };
    guint i = 0;

    if (!members) {
        members = g_array_new(FALSE, FALSE, sizeof(FDSetMember));
        g_array_set_clear_func(members, member_clear);
    }
    if (set < 0) {
        m.set = lowest_free_set();
    }
    while (i < members->len && g_array_index(members, FDSetMember, i).set <= m.set) {
        i++;
    }
    g_array_insert_val(members, i, m);
    return m.set;
}

bool fdset_remove(int64_t set, int fd)
{
    bool found = false;

    for (guint i = members ? members->len : 0; i-- > 0;) {
        const FDSetMember *m = &g_array_index(members, FDSetMember, i);

        if (m->set == set && (fd < 0 || m->fd == fd)) {
            g_array_remove_index(members, i);
            found = true;
        }
    }
    return found;
}

const GArray *fdset_members(void)
{
    return members;
}

/* The member of the set that flags ask for, or -1 with errno. */
static int find_member(int64_t set, int flags)
{
    int second_best = -1;

    errno = ENOENT;
    for (guint i = 0; members && i < members->len; i++) {
        const FDSetMember *m = &g_array_index(members, FDSetMember, i);
        int mode;

        if (m->set != set) {
            continue;
        }
        mode = fcntl(m->fd, F_GETFL) & O_ACCMODE;
        if (mode == (flags & O_ACCMODE)) {
            return m->fd;
        }
        if (mode == O_RDWR && second_best < 0) {
            second_best = m->fd;
        }
        errno = EACCES;
    }
    return second_best;
}

/* What open() does besides opening, as far as a descriptor can be given it. */
static int apply_flags(int fd, int flags)
{
    const int settable = O_APPEND | O_NONBLOCK | O_DIRECT;
    int now = fcntl(fd, F_GETFL);
    struct stat st;

    if (now < 0 || fcntl(fd, F_SETFL, (now & ~settable) | (flags & settable)) < 0) {
        return -1;
    }
    if ((flags & O_TRUNC) && !fstat(fd, &st) && S_ISREG(st.st_mode)) {
        return ftruncate(fd, 0);
    }
    return 0;
}

static int open_from_set(int64_t set, int flags)
{
    int fd = find_member(set, flags);

    if (fd >= 0) {
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    if (fd >= 0 && apply_flags(fd, flags) < 0) {
        int err = errno;

        close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int qemu_open(const char *path, int flags, mode_t mode)
{
    int no_wait = qemu_main_loop_running() ? O_NONBLOCK & ~flags : 0, fd;
    bool write = (flags & O_ACCMODE) != O_RDONLY;
    uint64_t set;

    if (g_str_has_prefix(path, FDSET_PATH) &&
        !qemu_strtou64(path + strlen(FDSET_PATH), &set) && set <= INT64_MAX) {
        return open_from_set(set, flags);
    }
    fd = open(path, flags | no_wait | O_CLOEXEC, mode);
    if (fd >= 0 && no_wait) {
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    }
    if (fd >= 0) {
        confine_need_path(path, write ? CONFINE_AGAIN_WRITE : CONFINE_AGAIN_READ);
    } else {
        errno = confine_errno(path, write, errno);
    }
    return fd;
}
