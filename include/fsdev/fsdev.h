/*
 * Folders of the host that guests share: -fsdev local.
 *
 * An export is a folder and how the owner and the mode of a guest's files are kept in it. A file
 * is found by its path from the folder's descriptor (openat2): no component may be a symbolic
 * link, "..", or a mount that was not there when the export was made, so nothing outside can be
 * reached, whatever the guest or others rename meanwhile. Symbolic links are files to be read;
 * guests follow them on their own.
 *
 * Threads: exports are made in the main thread and never change. What takes descriptors is called
 * in threads that have called fs_thread_enter(), without any lock. Results are 0 (or a length, or
 * a descriptor) or a negative errno.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FSDEV_FSDEV_H
#define FSDEV_FSDEV_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "qemu/confine.h"
#include "qemu/object.h"

/* Where the guest's owner, mode and device number of a file are kept. */
typedef enum FsModel {
    FS_PASSTHROUGH,             /* they are the file's own */
    FS_NONE,                    /* the same; if a new file cannot have them, it has others */
    FS_MAPPED_XATTR,            /* in "user.virtfs." attributes of the file */
    FS_MAPPED_FILE,             /* in files in a folder ".virtfs_metadata" beside it */
} FsModel;

typedef struct FsExport {
    Object obj;
    /* Options. */
    char *path, *fmode_text, *dmode_text;
    char *writeout;             /* NULL: when the host's kernel likes */
    int model;                  /* FsModel */
    int multidevs;
    bool readonly;
    /* Private to fsdev/. */
    int root;                   /* O_PATH */
    int proc;                   /* /proc/self/fd */
    mode_t fmode, dmode;        /* mapped: of new files and folders on the host */
    GArray *mounts;             /* of uint64_t: mounts in the folder at the start; NULL: none */
    dev_t root_dev;
    GMutex devs_lock;           /* devs */
    GHashTable *devs;           /* multidevs=remap: (device, upper bits of inode) by number */
    bool warned;                /* of a second device; devs_lock */
} FsExport;

/* What a new file is to have. */
typedef struct FsCred {
    uid_t uid;
    gid_t gid;
    mode_t mode;                /* with its type where that is not clear */
    dev_t rdev;
} FsCred;

/* A file that was found. */
typedef struct FsFile {
    int fd;                     /* O_PATH, or an open one */
    int dir;                    /* O_PATH of its folder, where the model needs that; or -1 */
    const char *name;           /* there; "": the export's root */
} FsFile;

/* -fsdev. False with errp set. */
bool fsdev_add(QemuOpts *opts, Error **errp);
FsExport *fsdev_find(const char *id);
/* How many there are. */
unsigned fsdev_count(void);
/* "help": the options of a driver as text; caller frees. */
char *fsdev_help(void);

/* Threads --------------------------------------------------------------------- */

/*
 * The calling thread, which nothing has confined yet, is to work for the export: it has a current
 * folder of its own, /proc/self/fd, by which files that are only found can be changed, and keeps
 * the capabilities that files need.
 */
int fs_thread_enter(const FsExport *fs);
/*
 * thread_confine() for such a thread; besides, it opens and changes by name what is in the export's
 * folder, and nothing else of the host's.
 */
void fs_thread_confine(const FsExport *fs);

/* Names and paths ------------------------------------------------------------- */

/* Whether a guest may call a file so: 0 or negative errno. */
int fs_check_name(const FsExport *fs, const char *name);
/* The guest must not see it among a folder's names. */
bool fs_is_hidden(const FsExport *fs, const char *name);
/*
 * The file at path ("a/b"; "": the root), which stays the caller's and is changed: its last slash
 * becomes the end of the folder's. To be released.
 */
int fs_find(const FsExport *fs, char *path, FsFile *f);
void fs_release(FsFile *f);
/* The file name in a folder, which stays the caller's: only f->fd is to be closed. */
int fs_find_in(const FsExport *fs, int dir, const char *name, FsFile *f);
/* A folder to make and remove names in: an O_PATH descriptor. */
int fs_find_dir(const FsExport *fs, const char *path);

/* Files ------------------------------------------------------------------------ */

/* As the guest is to see it. */
int fs_stat(const FsExport *fs, const FsFile *f, struct stat *st);
/* A number for the inode that no other file of the export has. */
int fs_inode(FsExport *fs, const struct stat *st, uint64_t *number);
/* Open a regular file or a folder; nothing else is ever opened. */
int fs_open(const FsExport *fs, const FsFile *f, int flags);
ssize_t fs_readlink(const FsExport *fs, const FsFile *f, char *buf, size_t size);
int fs_chmod(const FsExport *fs, const FsFile *f, mode_t mode);
int fs_chown(const FsExport *fs, const FsFile *f, uid_t uid, gid_t gid);    /* -1: as it is */
int fs_truncate(const FsFile *f, off_t size);
int fs_utimens(const FsFile *f, const struct timespec times[2]);
/* A file was written to whose mode is the export's own: it loses its set-id bits. */
int fs_drop_setid(const FsExport *fs, const FsFile *f);

/* Names in a folder (dir: of fs_find_dir(); names checked) ----------------------- */

/* An open regular file; excl: that is new. */
int fs_create(const FsExport *fs, int dir, const char *name, int flags, const FsCred *cred);
int fs_mkdir(const FsExport *fs, int dir, const char *name, const FsCred *cred);
int fs_mknod(const FsExport *fs, int dir, const char *name, const FsCred *cred);
int fs_symlink(const FsExport *fs, int dir, const char *name, const char *target,
               const FsCred *cred);
int fs_link(const FsExport *fs, const FsFile *old, int dir, const char *name);
int fs_rename(const FsExport *fs, int old_dir, const char *old_name, int dir, const char *name);
int fs_unlink(const FsExport *fs, int dir, const char *name, bool folder);

/* Extended attributes ------------------------------------------------------------- */

/* Sizes as with getxattr(): size 0 asks for the length. */
ssize_t fs_getxattr(const FsExport *fs, const FsFile *f, const char *name, void *buf, size_t size);
/* Names, each with its NUL; buf has XATTR_LIST_MAX bytes. */
ssize_t fs_listxattr(const FsExport *fs, const FsFile *f, char *buf);
int fs_setxattr(const FsExport *fs, const FsFile *f, const char *name, const void *value,
                size_t size, int flags);
int fs_removexattr(const FsExport *fs, const FsFile *f, const char *name);

#endif
