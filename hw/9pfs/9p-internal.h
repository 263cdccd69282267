/*
 * What the files of the 9P server share: fids, the tree of names, open files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_9PFS_9P_INTERNAL_H
#define HW_9PFS_9P_INTERNAL_H

#include "9p.h"

/* A result beside errnos: the message cannot be parsed. */
#define V9FS_MALFORMED (-4096)

typedef struct V9fsFid V9fsFid;

/*
 * A name that a fid stands for, with its folders'. All fids of a path share one, so a rename of
 * the guest's moves them all, and what is below. refs: fids, children, callers.
 */
typedef struct V9fsNode {
    struct V9fsNode *parent;            /* NULL: the export's root */
    char *name;
    V9fsFid *fids;
    unsigned refs;
    bool gone;                          /* removed by the guest: it has no path any more */
} V9fsNode;

/* An open file. */
typedef struct V9fsOpen {
    V9fsFid *fid;
    int fd;                             /* -1: closed to make room, to be opened again */
    int flags;
    unsigned users;                     /* messages that use it */
    bool folder;
    _Atomic bool setid;                 /* mapped: it may have set-id bits */
    bool pinned;                        /* cannot be opened again */
    bool locked;                        /* locks have come by it */
    dev_t dev;
    ino_t ino;
    GList lru;                          /* in V9fsState.idle, if data is not NULL */
} V9fsOpen;

/* An attribute, or the list of them, that is being read or written. */
typedef struct V9fsXattr {
    char *name;                         /* NULL: it is read */
    uint8_t *value;
    uint32_t size, filled;
    int flags;
} V9fsXattr;

struct V9fsFid {
    uint32_t id;
    uint32_t uid;                       /* of new files */
    unsigned refs;                      /* the table's, messages' */
    V9fsNode *node;                     /* never changes */
    V9fsFid *next, *prev;               /* of the node */
    V9fsOpen *open;                     /* set once; NULL: it is not open */
    V9fsXattr *xattr;                   /* set at birth; NULL: it is a file */
};

struct V9fsState {
    FsExport *fs;
    unsigned max_fids, max_fds;
    uint32_t msize;                     /* 0: no version agreed yet */
    /* Held to find a path and to use it; to write: while paths change. Before lock. */
    pthread_rwlock_t tree_lock;         /* names of files against each other */
    GMutex reopen_lock;                 /* who opens a file again. Before lock */
    GMutex lock;                        /* all below. A leaf */
    GHashTable *fids;                   /* by id */
    GHashTable *nodes;                  /* those that are not gone, by parent and name */
    unsigned nr_nodes;
    V9fsNode *root;
    unsigned nr_fds;
    GQueue idle;                        /* open files nobody uses, the last used one first */
    size_t xattr_bytes;
    struct V9fsLockFile *lock_files;    /* linked by next */
    unsigned nr_locks;
};

typedef int V9fsOp(V9fsState *s, V9fsCall *c);

/* 9p-msg.c ----------------------------------------------------------------------------- */

/* Where the file is and what it was: qid[13]. */
typedef struct V9fsQid {
    uint8_t type;
    uint32_t version;
    uint64_t path;
} V9fsQid;

/*
 * Take fields off the message: b, w, d, q are numbers of 1, 2, 4, 8 bytes (uint8_t *, …), s a
 * string (const char **, in the scratch area). 0, V9FS_MALFORMED, or -EINVAL: a NUL in a string.
 */
int v9fs_get(V9fsCall *c, const char *format, ...);
/* Append to the answer: b, w, d, q as numbers; s a string; Q a const V9fsQid *. Returns 0. */
int v9fs_put(V9fsCall *c, const char *format, ...);
/* How many bytes of data an answer with so many before them can have: of those wanted. */
uint32_t v9fs_room(const V9fsState *s, const V9fsCall *c, uint32_t before, uint32_t wanted);

/* 9p-fid.c ------------------------------------------------------------------------------- */

/*
 * A new fid of id for the node, whose reference it takes in any case, and for the attribute (or
 * NULL), which it owns if all is well; replace: instead of one that is not open. 0, -EINVAL (there
 * is one, or none any more) or -ENFILE. *fid (may be NULL) gets a reference.
 */
int v9fs_fid_new(V9fsState *s, uint32_t id, V9fsNode *node, uint32_t uid, V9fsXattr *xattr,
                 V9fsFid **fid);
int v9fs_fid_replace(V9fsState *s, V9fsFid *old, V9fsNode *node, V9fsXattr *xattr, V9fsFid **fid);
/* With a reference; NULL: there is none. */
V9fsFid *v9fs_fid_get(V9fsState *s, uint32_t id);
void v9fs_fid_put(V9fsState *s, V9fsFid *fid);
/* Take it out of the table, whose reference the caller gets. */
V9fsFid *v9fs_fid_take(V9fsState *s, uint32_t id);
void v9fs_fids_init(V9fsState *s);
void v9fs_fids_cleanup(V9fsState *s);

/* The node called name in parent, with a reference; NULL: there are too many. */
V9fsNode *v9fs_node_child(V9fsState *s, V9fsNode *parent, const char *name);
V9fsNode *v9fs_node_ref(V9fsState *s, V9fsNode *node);
void v9fs_node_unref(V9fsState *s, V9fsNode *node);
/* "a/b" into path[PATH_MAX]. */
int v9fs_node_path(V9fsState *s, V9fsNode *node, char *path);
/* The guest removed, or renamed, a name. tree_lock for writing. */
void v9fs_node_removed(V9fsState *s, V9fsNode *parent, const char *name);
void v9fs_node_renamed(V9fsState *s, V9fsNode *old_parent, const char *old_name,
                       V9fsNode *parent, const char *name);
/* Whether a fid stands for this name: its node without a reference, under tree_lock; or NULL. */
V9fsNode *v9fs_node_known(V9fsState *s, V9fsNode *parent, const char *name);

/* 9p-open.c -------------------------------------------------------------------------------- */

/* Room for one more descriptor: 0 or -ENFILE. / It was closed, or not needed. */
int v9fs_reserve_fd(V9fsState *s);
void v9fs_release_fd(V9fsState *s);
/* The fid is open as fd now, for which there is room. -EBUSY: it is already (fd is closed). */
int v9fs_set_open(V9fsState *s, V9fsFid *fid, int fd, int flags, bool pinned);
/* The descriptor for a while, opened again if need be; negative errno: it is not open. */
int v9fs_use(V9fsState *s, V9fsFid *fid);
void v9fs_unuse(V9fsState *s, V9fsFid *fid);
/* Called with lock: the file is closed with its fid. */
void v9fs_open_free(V9fsState *s, V9fsOpen *o);
/* Its name is about to go: what is open of the node stays open. tree_lock for writing. */
void v9fs_pin(V9fsState *s, V9fsNode *node);

/* A fid's file on the host, for a while. */
typedef struct V9fsRef {
    FsFile f;
    V9fsFid *used;              /* whose descriptor it is; NULL: our own */
} V9fsRef;

/* path: PATH_MAX bytes that stay until v9fs_unref(). tree_lock is not held. */
int v9fs_find(V9fsState *s, V9fsFid *fid, char *path, V9fsRef *ref);
void v9fs_unref(V9fsState *s, V9fsRef *ref);
/* The fid's folder, to change names in: a descriptor. tree_lock held. */
int v9fs_find_dir(V9fsState *s, V9fsFid *fid, char *path);
int v9fs_qid(V9fsState *s, const struct stat *st, V9fsQid *qid);
/* Best size of transfers, for a file with such blocks. */
uint32_t v9fs_iounit(const V9fsState *s, uint32_t blksize);

/* 9p-lock.c ---------------------------------------------------------------------------------- */

/* Those that came by the fid go with it; with lock. */
void v9fs_locks_drop(V9fsState *s, const V9fsFid *fid);
/* All go; nobody serves. */
void v9fs_locks_cleanup(V9fsState *s);

/* Messages, by file -------------------------------------------------------------------------- */

/* 9p-session.c */
V9fsOp v9fs_version, v9fs_attach, v9fs_walk, v9fs_clunk;
/* 9p-attr.c */
V9fsOp v9fs_getattr, v9fs_setattr, v9fs_statfs, v9fs_readlink;
/* 9p-xattr.c */
V9fsOp v9fs_xattrwalk, v9fs_xattrcreate;
int v9fs_xattr_read(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint64_t offset, uint32_t count);
int v9fs_xattr_write(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint64_t offset, uint32_t count);
/* The fid goes: what was written is set. */
int v9fs_xattr_finish(V9fsState *s, V9fsCall *c, V9fsFid *fid);
void v9fs_xattr_free(V9fsState *s, V9fsXattr *x);
/* 9p-file.c */
V9fsOp v9fs_lopen, v9fs_lcreate, v9fs_read, v9fs_write, v9fs_fsync, v9fs_readdir;
/* 9p-lock.c */
V9fsOp v9fs_lock, v9fs_getlock;
/* 9p-names.c */
V9fsOp v9fs_mkdir, v9fs_mknod, v9fs_symlink, v9fs_link, v9fs_rename, v9fs_renameat,
       v9fs_unlinkat, v9fs_remove;

#endif
