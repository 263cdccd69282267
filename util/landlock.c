/*
 * Landlock: rules about files, made and entered by the system calls themselves.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Later than the headers of some hosts: the third version of the interface. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)

/* What a file can have, too; the rest is for folders. */
#define OF_FILES (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
                  LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE)

#define ALL_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ALL_WRITE (LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_TRUNCATE | \
                   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | \
                   LANDLOCK_ACCESS_FS_REMOVE_FILE)

/* What version of Landlock tells apart; the rest is not asked about. */
static uint64_t known_rights(void)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t first = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;

    return version < 1 ? 0 : version < 2 ? first :
           version < 3 ? first | LANDLOCK_ACCESS_FS_REFER :
           first | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE;
}

int landlock_new(void)
{
    struct landlock_ruleset_attr attr = { .handled_access_fs = known_rights() };
    int fd;

    if (!attr.handled_access_fs) {
        return -errno;
    }
    fd = syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    return fd < 0 ? -errno : fd;
}

bool landlock_knows_moves(void)
{
    return known_rights() & LANDLOCK_ACCESS_FS_REFER;
}

static uint64_t rights_of(unsigned rights)
{
    if (rights & FILES_ALL) {
        return ~(uint64_t)LANDLOCK_ACCESS_FS_EXECUTE;
    }
    return (rights & FILES_READ ? ALL_READ : 0) | (rights & FILES_WRITE ? ALL_WRITE : 0) |
           (rights & FILES_REMOVE ? LANDLOCK_ACCESS_FS_REMOVE_FILE : 0);
}

int landlock_allow_fd(int rules, int fd, unsigned rights)
{
    struct landlock_path_beneath_attr attr = {
        .allowed_access = rights_of(rights) & known_rights(), .parent_fd = fd,
    };
    struct stat st;

    if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode)) {
        attr.allowed_access &= OF_FILES;
    }
    return attr.allowed_access &&
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &attr, 0) < 0 ? -errno
                                                                                        : 0;
}

int landlock_allow(int rules, const char *path, unsigned rights)
{
    int fd = open(path, O_PATH | O_CLOEXEC), ret;

    if (fd < 0) {
        return -errno;
    }
    ret = landlock_allow_fd(rules, fd, rights);
    close(fd);
    return ret;
}

int landlock_enter(int rules)
{
    int ret = syscall(SYS_landlock_restrict_self, rules, 0) < 0 ? -errno : 0;

    close(rules);
    return ret;
}
