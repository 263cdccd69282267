/*
 * Names in folders by 9P: made, moved, removed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define P9_DOTL_AT_REMOVEDIR 0x200

/* New names -------------------------------------------------------------------------------- */

typedef struct NewName {
    const char *name, *target;
    FsCred cred;
    int (*make)(const FsExport *fs, int dir, const struct NewName *new);
} NewName;

static int make_dir(const FsExport *fs, int dir, const NewName *new)
{
    return fs_mkdir(fs, dir, new->name, &new->cred);
}

static int make_node(const FsExport *fs, int dir, const NewName *new)
{
    return fs_mknod(fs, dir, new->name, &new->cred);
}

static int make_symlink(const FsExport *fs, int dir, const NewName *new)
{
    return fs_symlink(fs, dir, new->name, new->target, &new->cred);
}

/* With the folder that the fid stands for, and the fid's user. */
static int make(V9fsState *s, V9fsCall *c, uint32_t id, NewName *new)
{
    V9fsFid *fid = v9fs_fid_get(s, id);
    int ret = fid ? fs_check_name(s->fs, new->name) : -EBADF, dir;
    struct stat st;
    V9fsQid qid;
    FsFile f;

    if (!fid || ret) {
        goto out;
    }
    pthread_rwlock_rdlock(&s->tree_lock);
    dir = v9fs_find_dir(s, fid, c->scratch->path[0]);
    pthread_rwlock_unlock(&s->tree_lock);
    if (dir < 0) {
        ret = dir;
        goto out;
    }
    new->cred.uid = fid->uid;
    ret = new->make(s->fs, dir, new);
    ret = ret ? ret : fs_find_in(s->fs, dir, new->name, &f);
    if (!ret) {
        ret = fs_stat(s->fs, &f, &st);
        close(f.fd);
    }
    close(dir);
    ret = ret ? ret : v9fs_qid(s, &st, &qid);
    if (!ret) {
        v9fs_put(c, "Q", &qid);
    }
out:
    if (fid) {
        v9fs_fid_put(s, fid);
    }
    return ret;
}

int v9fs_mkdir(V9fsState *s, V9fsCall *c)
{
    NewName new = { .make = make_dir };
    uint32_t id, mode, gid;
    int ret = v9fs_get(c, "dsdd", &id, &new.name, &mode, &gid);

    new.cred = (FsCred) { .gid = gid, .mode = S_IFDIR | (mode & 07777) };
    return ret ? ret : make(s, c, id, &new);
}

int v9fs_mknod(V9fsState *s, V9fsCall *c)
{
    NewName new = { .make = make_node };
    uint32_t id, mode, major, minor, gid;
    int ret = v9fs_get(c, "dsdddd", &id, &new.name, &mode, &major, &minor, &gid);

    if (ret) {
        return ret;
    }
    if (!(mode & S_IFMT)) {
        mode |= S_IFREG;
    }
    new.cred = (FsCred) { .gid = gid, .mode = mode, .rdev = makedev(major, minor) };
    return make(s, c, id, &new);
}

int v9fs_symlink(V9fsState *s, V9fsCall *c)
{
    NewName new = { .make = make_symlink };
    uint32_t id, gid;
    int ret = v9fs_get(c, "dssd", &id, &new.name, &new.target, &gid);

    if (ret) {
        return ret;
    }
    if (!*new.target || strlen(new.target) >= PATH_MAX) {
        return *new.target ? -ENAMETOOLONG : -ENOENT;
    }
    new.cred = (FsCred) { .gid = gid, .mode = S_IFLNK | 0777 };
    return make(s, c, id, &new);
}

/* tree_lock held. */
static int link_in(V9fsState *s, V9fsCall *c, V9fsFid *fid, V9fsFid *old, const char *name)
{
    int dir = v9fs_find_dir(s, fid, c->scratch->path[0]), ret;
    char *path = c->scratch->path[1];
    FsFile f;

    if (dir < 0) {
        return dir;
    }
    ret = old->xattr ? -EBADF : v9fs_node_path(s, old->node, path);
    ret = ret ? ret : fs_find(s->fs, path, &f);
    if (!ret) {
        ret = fs_link(s->fs, &f, dir, name);
        fs_release(&f);
    }
    close(dir);
    return ret;
}

int v9fs_link(V9fsState *s, V9fsCall *c)
{
    uint32_t dir_id, id;
    const char *name;
    V9fsFid *fid, *old;
    int ret = v9fs_get(c, "dds", &dir_id, &id, &name);

    ret = ret ? ret : fs_check_name(s->fs, name);
    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, dir_id);
    old = v9fs_fid_get(s, id);
    if (fid && old) {
        pthread_rwlock_rdlock(&s->tree_lock);
        ret = link_in(s, c, fid, old, name);
        pthread_rwlock_unlock(&s->tree_lock);
    } else {
        ret = -EBADF;
    }
    if (fid) {
        v9fs_fid_put(s, fid);
    }
    if (old) {
        v9fs_fid_put(s, old);
    }
    return ret;
}

/* Names that change: tree_lock is held for writing --------------------------------------------- */

/* A folder with a name in it. */
typedef struct Place {
    V9fsNode *node;
    const char *name;
    int dir;                    /* -1: not open */
} Place;

static int place_open(V9fsState *s, V9fsCall *c, Place *p)
{
    char *path = c->scratch->path[0];
    int ret = fs_check_name(s->fs, p->name);

    ret = ret ? ret : v9fs_node_path(s, p->node, path);
    p->dir = ret ? -1 : fs_find_dir(s->fs, path);
    return ret ? ret : MIN(p->dir, 0);
}

static void place_close(Place *p)
{
    if (p->dir >= 0) {
        close(p->dir);
    }
}

static int remove_name(V9fsState *s, V9fsCall *c, Place *p, bool folder)
{
    V9fsNode *known = v9fs_node_known(s, p->node, p->name);
    int ret = place_open(s, c, p);

    if (!ret && known) {
        v9fs_pin(s, known);
    }
    ret = ret ? ret : fs_unlink(s->fs, p->dir, p->name, folder);
    if (!ret) {
        v9fs_node_removed(s, p->node, p->name);
    }
    place_close(p);
    return ret;
}

/* Two names of one file stay two when one is renamed to the other: rename(2). */
static bool same_file(V9fsState *s, const Place *a, const Place *b)
{
    struct stat x, y;
    FsFile f;
    bool ok;

    if (fs_find_in(s->fs, a->dir, a->name, &f) < 0) {
        return false;
    }
    ok = fstat(f.fd, &x) == 0;
    close(f.fd);
    if (!ok || fs_find_in(s->fs, b->dir, b->name, &f) < 0) {
        return false;
    }
    ok = fstat(f.fd, &y) == 0;
    close(f.fd);
    return ok && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

static int rename_name(V9fsState *s, V9fsCall *c, Place *from, Place *to)
{
    V9fsNode *known = v9fs_node_known(s, to->node, to->name);
    int ret = place_open(s, c, from);
    bool same = false;

    to->dir = -1;
    ret = ret ? ret : place_open(s, c, to);
    if (!ret && known) {
        same = same_file(s, from, to);
        v9fs_pin(s, known);
    }
    ret = ret ? ret : fs_rename(s->fs, from->dir, from->name, to->dir, to->name);
    if (!ret && !same) {
        v9fs_node_renamed(s, from->node, from->name, to->node, to->name);
    }
    place_close(from);
    place_close(to);
    return ret;
}

/* A copy of the fid's name, and its folder with a reference; -EBUSY: it is the root. */
static int own_place(V9fsState *s, V9fsFid *fid, Place *p, char **name)
{
    V9fsNode *node = fid->node;

    if (fid->xattr || !node->parent) {
        return fid->xattr ? -EBADF : -EBUSY;
    }
    if (node->gone) {
        return -ENOENT;
    }
    p->node = v9fs_node_ref(s, node->parent);
    p->name = *name = g_strdup(node->name);
    return 0;
}

int v9fs_unlinkat(V9fsState *s, V9fsCall *c)
{
    uint32_t id, flags;
    Place p;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dsd", &id, &p.name, &flags);

    if (ret) {
        return ret;
    }
    if (flags & ~P9_DOTL_AT_REMOVEDIR) {
        return -EINVAL;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    p.node = fid->node;
    pthread_rwlock_wrlock(&s->tree_lock);
    ret = fid->xattr ? -EBADF : remove_name(s, c, &p, flags & P9_DOTL_AT_REMOVEDIR);
    pthread_rwlock_unlock(&s->tree_lock);
    v9fs_fid_put(s, fid);
    return ret;
}

/* By the fid, which is gone in any case. */
int v9fs_remove(V9fsState *s, V9fsCall *c)
{
    g_autofree char *name = NULL;
    uint32_t id;
    V9fsFid *fid;
    Place p;
    int ret = v9fs_get(c, "d", &id);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_take(s, id);
    if (!fid) {
        return -EBADF;
    }
    pthread_rwlock_wrlock(&s->tree_lock);
    ret = s->fs->readonly ? -EROFS : own_place(s, fid, &p, &name);
    if (!ret) {
        ret = remove_name(s, c, &p, false);
        ret = ret == -EISDIR ? remove_name(s, c, &p, true) : ret;
        v9fs_node_unref(s, p.node);
    }
    pthread_rwlock_unlock(&s->tree_lock);
    v9fs_fid_put(s, fid);
    return ret;
}

int v9fs_renameat(V9fsState *s, V9fsCall *c)
{
    uint32_t old_id, id;
    Place from, to;
    V9fsFid *old_fid, *fid;
    int ret = v9fs_get(c, "dsds", &old_id, &from.name, &id, &to.name);

    if (ret) {
        return ret;
    }
    old_fid = v9fs_fid_get(s, old_id);
    fid = v9fs_fid_get(s, id);
    if (!old_fid || !fid || old_fid->xattr || fid->xattr) {
        ret = -EBADF;
    } else {
        from.node = old_fid->node;
        to.node = fid->node;
        pthread_rwlock_wrlock(&s->tree_lock);
        ret = rename_name(s, c, &from, &to);
        pthread_rwlock_unlock(&s->tree_lock);
    }
    if (old_fid) {
        v9fs_fid_put(s, old_fid);
    }
    if (fid) {
        v9fs_fid_put(s, fid);
    }
    return ret;
}

int v9fs_rename(V9fsState *s, V9fsCall *c)
{
    g_autofree char *name = NULL;
    uint32_t id, dir_id;
    Place from, to;
    V9fsFid *fid, *dir;
    int ret = v9fs_get(c, "dds", &id, &dir_id, &to.name);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    dir = v9fs_fid_get(s, dir_id);
    pthread_rwlock_wrlock(&s->tree_lock);
    ret = !fid || !dir || dir->xattr ? -EBADF : own_place(s, fid, &from, &name);
    if (!ret) {
        to.node = dir->node;
        ret = rename_name(s, c, &from, &to);
        v9fs_node_unref(s, from.node);
    }
    pthread_rwlock_unlock(&s->tree_lock);
    if (fid) {
        v9fs_fid_put(s, fid);
    }
    if (dir) {
        v9fs_fid_put(s, dir);
    }
    return ret;
}
