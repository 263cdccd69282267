/*
 * What the files of fsdev/ share.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FSDEV_FS_INTERNAL_H
#define FSDEV_FS_INTERNAL_H

#include <linux/openat2.h>
#include <stdio.h>

#include "fsdev/fsdev.h"

#define VIRTFS_META_DIR  ".virtfs_metadata"
#define VIRTFS_META_ROOT ".virtfs_metadata_root"

enum { MULTIDEVS_WARN, MULTIDEVS_REMAP, MULTIDEVS_FORBID };

/* "12": the descriptor's name in /proc/self/fd, for calls that take paths only. */
typedef struct FdName {
    char s[12];
} FdName;

static inline FdName fd_name(int fd)
{
    FdName name;

    snprintf(name.s, sizeof(name.s), "%d", fd);
    return name;
}

static inline bool fs_is_mapped(const FsExport *fs)
{
    return fs->model == FS_MAPPED_XATTR || fs->model == FS_MAPPED_FILE;
}

/* Of fsdev/worker-calls.inc. */
extern const ThreadFilter fsdev_filter;

/* fs-path.c --------------------------------------------------------------------- */

/* Open the export's folder and look for mounts in it. False with errp set. */
bool fs_open_root(FsExport *fs, Error **errp);
void fs_close_root(FsExport *fs);
/* openat2() below dir: no link, no way out; the last component is never followed. */
int fs_open_at(const FsExport *fs, int dir, const char *path, int flags, mode_t mode);

/* fs-file.c ---------------------------------------------------------------------- */

/* multidevs=remap: the root's device has inodes' own numbers. */
void fs_claim_first_number(FsExport *fs);

/* fs-cred.c (mapped) -------------------------------------------------------------- */

/* What is kept for the file goes into st. */
int fs_cred_get(const FsExport *fs, const FsFile *f, struct stat *st);
/* Members that are -1 stay as they are; new: nothing is kept for the file yet. */
int fs_cred_set(const FsExport *fs, const FsFile *f, const FsCred *cred, bool new);
/* mapped-file: a name was given to the file, moved, removed. */
int fs_cred_link(const FsExport *fs, const FsFile *old, int dir, const char *name);
int fs_cred_rename(const FsExport *fs, int old_dir, const char *old_name, int dir,
                   const char *name);
void fs_cred_unlink(const FsExport *fs, int dir, const char *name);

#endif
