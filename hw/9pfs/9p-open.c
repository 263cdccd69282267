/*
 * Descriptors of the 9P server: those of open files, which are closed and opened again when there
 * are too many, and those by which files are found for a while (a few for each thread).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "qemu/cutils.h"

/* How many there are -------------------------------------------------------------------- */

/* Close what nobody has used for the longest time. With lock. */
static bool close_idle(V9fsState *s)
{
    GList *last = g_queue_pop_tail_link(&s->idle);
    V9fsOpen *o = last ? last->data : NULL;

    if (!o) {
        return false;
    }
    o->lru.data = NULL;
    close(o->fd);
    o->fd = -1;
    s->nr_fds--;
    return true;
}

int v9fs_reserve_fd(V9fsState *s)
{
    int ret = 0;

    g_mutex_lock(&s->lock);
    if (s->nr_fds >= s->max_fds && !close_idle(s)) {
        ret = -ENFILE;
    } else {
        s->nr_fds++;
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

void v9fs_release_fd(V9fsState *s)
{
    g_mutex_lock(&s->lock);
    s->nr_fds--;
    g_mutex_unlock(&s->lock);
}

/* Open files -------------------------------------------------------------------------------- */

/* With lock. */
static void set_idle(V9fsState *s, V9fsOpen *o)
{
    if (o->fd >= 0 && !o->users && !o->pinned && !o->fid->node->gone) {
        o->lru.data = o;
        g_queue_push_head_link(&s->idle, &o->lru);
    }
}

static void set_busy(V9fsState *s, V9fsOpen *o)
{
    if (o->lru.data) {
        g_queue_unlink(&s->idle, &o->lru);
        o->lru.data = NULL;
    }
}

int v9fs_set_open(V9fsState *s, V9fsFid *fid, int fd, int flags, bool pinned)
{
    V9fsOpen *o = g_new0(V9fsOpen, 1);
    struct stat st;
    int ret = fstat(fd, &st) < 0 ? -errno : 0;

    *o = (V9fsOpen) { .fid = fid, .fd = fd, .flags = flags & ~(O_TRUNC | O_CREAT | O_EXCL),
                      .pinned = pinned };
    if (!ret) {
        o->folder = S_ISDIR(st.st_mode);
        o->dev = st.st_dev;
        o->ino = st.st_ino;
    }
    g_mutex_lock(&s->lock);
    if (fid->open) {
        ret = -EBUSY;
    }
    if (!ret) {
        fid->open = o;
        set_idle(s, o);
    }
    g_mutex_unlock(&s->lock);
    if (ret) {
        close(fd);
        v9fs_release_fd(s);
        g_free(o);
    }
    return ret;
}

void v9fs_open_free(V9fsState *s, V9fsOpen *o)
{
    set_busy(s, o);
    if (o->locked) {
        v9fs_locks_drop(s, o->fid);
    }
    if (o->fd >= 0) {
        close(o->fd);
        s->nr_fds--;
    }
    g_free(o);
}

/* The same file as before, or none. tree_lock held. */
static int open_again(V9fsState *s, V9fsFid *fid)
{
    g_autofree char *path = g_malloc(PATH_MAX);
    struct stat st;
    FsFile f;
    int fd = v9fs_node_path(s, fid->node, path);

    if (fd >= 0) {
        fd = fs_find(s->fs, path, &f);
    }
    if (fd < 0) {
        return fd == -ENOENT ? -ESTALE : fd;
    }
    fd = -ESTALE;
    if (fstat(f.fd, &st) == 0 && st.st_dev == fid->open->dev && st.st_ino == fid->open->ino) {
        fd = fs_open(s->fs, &f, fid->open->flags);
    }
    fs_release(&f);
    return fd;
}

/* The caller is one of its users; tree_lock held. */
static int make_open(V9fsState *s, V9fsFid *fid)
{
    int fd;

    g_mutex_lock(&s->reopen_lock);
    g_mutex_lock(&s->lock);
    fd = fid->open->fd;
    g_mutex_unlock(&s->lock);
    if (fd < 0) {
        fd = v9fs_reserve_fd(s);
        if (fd == 0) {
            fd = open_again(s, fid);
            if (fd < 0) {
                v9fs_release_fd(s);
            }
        }
        if (fd >= 0) {
            g_mutex_lock(&s->lock);
            fid->open->fd = fd;
            g_mutex_unlock(&s->lock);
        }
    }
    g_mutex_unlock(&s->reopen_lock);
    return fd;
}

/* What is open may be used: its descriptor, or -1. False: it is not open. */
static bool begin_use(V9fsState *s, V9fsFid *fid, int *fd)
{
    bool is_open;

    g_mutex_lock(&s->lock);
    is_open = fid->open != NULL;
    if (is_open) {
        fid->open->users++;
        set_busy(s, fid->open);
        *fd = fid->open->fd;
    }
    g_mutex_unlock(&s->lock);
    return is_open;
}

int v9fs_use(V9fsState *s, V9fsFid *fid)
{
    int fd;

    if (!begin_use(s, fid, &fd)) {
        return -EBADF;
    }
    if (fd < 0) {
        pthread_rwlock_rdlock(&s->tree_lock);
        fd = make_open(s, fid);
        pthread_rwlock_unlock(&s->tree_lock);
    }
    if (fd < 0) {
        v9fs_unuse(s, fid);
    }
    return fd;
}

void v9fs_unuse(V9fsState *s, V9fsFid *fid)
{
    g_mutex_lock(&s->lock);
    if (!--fid->open->users) {
        set_idle(s, fid->open);
    }
    g_mutex_unlock(&s->lock);
}

/* The first fid of the node that is open; have: with or without a descriptor. With lock. */
static V9fsFid *find_open(V9fsNode *node, bool have)
{
    for (V9fsFid *fid = node->fids; fid; fid = fid->next) {
        if (fid->open && (fid->open->fd >= 0) == have) {
            fid->refs++;
            return fid;
        }
    }
    return NULL;
}

void v9fs_pin(V9fsState *s, V9fsNode *node)
{
    V9fsFid *fid;
    int fd = 0;

    do {
        g_mutex_lock(&s->lock);
        fid = find_open(node, false);
        if (fid) {
            fid->open->users++;
        }
        g_mutex_unlock(&s->lock);
        if (fid) {
            fd = make_open(s, fid);
            v9fs_unuse(s, fid);
            v9fs_fid_put(s, fid);
        }
    } while (fid && fd >= 0);
    g_mutex_lock(&s->lock);
    for (fid = node->fids; fid; fid = fid->next) {
        if (fid->open) {
            set_busy(s, fid->open);
            fid->open->pinned = true;
        }
    }
    g_mutex_unlock(&s->lock);
}

/* Files for a while ------------------------------------------------------------------------- */

/* By another fid's descriptor: the name is gone, but the guest has the file open. */
static int find_by_open(V9fsState *s, V9fsNode *node, V9fsRef *ref)
{
    V9fsFid *fid;
    int fd;

    g_mutex_lock(&s->lock);
    fid = node->gone ? find_open(node, true) : NULL;
    g_mutex_unlock(&s->lock);
    if (!fid) {
        return -ENOENT;
    }
    fd = v9fs_use(s, fid);
    if (fd < 0) {
        v9fs_fid_put(s, fid);
        return fd;
    }
    *ref = (V9fsRef) { { fd, -1, "?" }, fid };
    return 0;
}

int v9fs_find(V9fsState *s, V9fsFid *fid, char *path, V9fsRef *ref)
{
    int ret;

    ref->used = NULL;
    pthread_rwlock_rdlock(&s->tree_lock);
    ret = v9fs_node_path(s, fid->node, path);
    if (!ret) {
        ret = fs_find(s->fs, path, &ref->f);
    }
    pthread_rwlock_unlock(&s->tree_lock);
    return ret == -ENOENT ? find_by_open(s, fid->node, ref) : ret;
}

void v9fs_unref(V9fsState *s, V9fsRef *ref)
{
    if (ref->used) {
        v9fs_unuse(s, ref->used);
        v9fs_fid_put(s, ref->used);
        return;
    }
    fs_release(&ref->f);
}

int v9fs_find_dir(V9fsState *s, V9fsFid *fid, char *path)
{
    int ret;

    if (fid->xattr) {
        return -EBADF;
    }
    ret = v9fs_node_path(s, fid->node, path);
    return ret ? ret : fs_find_dir(s->fs, path);
}

/* 9P2000: the type's upper bits are the mode's; the version changes with the contents. */
int v9fs_qid(V9fsState *s, const struct stat *st, V9fsQid *qid)
{
    qid->type = S_ISDIR(st->st_mode) ? 0x80 : S_ISLNK(st->st_mode) ? 0x02 : 0;
    qid->version = st->st_mtim.tv_sec ^ (uint32_t)st->st_mtim.tv_nsec ^ (st->st_size << 8);
    return fs_inode(s->fs, st, &qid->path);
}

uint32_t v9fs_iounit(const V9fsState *s, uint32_t blksize)
{
    uint32_t most = s->msize - 24;      /* an Rread or a Twrite, and a byte */

    return blksize && blksize <= most ? QEMU_ALIGN_DOWN(most, blksize) : most;
}
