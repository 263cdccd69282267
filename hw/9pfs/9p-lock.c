/*
 * Record locks by 9P. Between its processes the guest's kernel decides, and says for which of them
 * it wants a lock; the one of a process may come before another one's is said to be gone. For
 * others on the host, and for other guests, all of those are one owner: a description of the file
 * that holds what any of them holds.
 *
 * System calls: openat2, fcntl.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { LOCK_SUCCESS, LOCK_BLOCKED, LOCK_ERROR, LOCK_GRACE };    /* Rlock's status */

/* A part of a file that a process of the guest has locked. */
typedef struct Lock {
    struct Lock *next;
    const V9fsFid *fid;         /* by which it came, and with which it goes */
    uint32_t client, pid;       /* whose it is; client: a hash of its name */
    int type;                   /* F_RDLCK, F_WRLCK, F_UNLCK: as the protocol has them */
    int64_t start, end;         /* the last byte */
} Lock;

/* A file with locks; all with V9fsState.lock. */
struct V9fsLockFile {
    struct V9fsLockFile *next;
    dev_t dev;
    ino_t ino;
    int fd;                     /* counted as an open one */
    Lock *locks;
};

typedef struct V9fsLockFile LockFile;

/* The guest's own locks ------------------------------------------------------------------- */

static bool same_owner(const Lock *a, const Lock *b)
{
    return a->client == b->client && a->pid == b->pid;
}

static bool overlap(const Lock *a, const Lock *b)
{
    return a->start <= b->end && a->end >= b->start;
}

static void add_lock(V9fsState *s, LockFile *f, const Lock *lock)
{
    Lock *l = g_new(Lock, 1);

    *l = *lock;
    l->next = f->locks;
    f->locks = l;
    s->nr_locks++;
}

/* What the owner of the part has there is gone. */
static void carve(V9fsState *s, LockFile *f, const Lock *part)
{
    for (Lock **p = &f->locks; *p;) {
        Lock *l = *p, rest = *l;

        if (!overlap(l, part) || !same_owner(l, part)) {
            p = &l->next;
            continue;
        }
        if (l->start < part->start) {
            l->end = part->start - 1;
            p = &l->next;
        } else {
            *p = l->next;
            s->nr_locks--;
            g_free(l);
        }
        if (rest.end > part->end) {
            rest.start = part->end + 1;
            add_lock(s, f, &rest);
        }
    }
}

/* The host's ---------------------------------------------------------------------------------- */

static struct flock host_lock(int type, int64_t start, int64_t end)
{
    return (struct flock) {
        .l_type = type, .l_whence = SEEK_SET, .l_start = start,
        .l_len = end == INT64_MAX ? 0 : end - start + 1,
    };
}

/* What nobody in the guest has there any more. */
static void host_unlock(const LockFile *f, int64_t start, int64_t end)
{
    while (start <= end) {
        int64_t free_until = end, taken_until = -1;     /* so far it is all the same */
        struct flock lock;

        for (const Lock *l = f->locks; l; l = l->next) {
            if (l->start <= start && l->end >= start) {
                taken_until = MAX(taken_until, l->end);
            } else if (l->start > start) {
                free_until = MIN(free_until, l->start - 1);
            }
        }
        if (taken_until < 0) {
            lock = host_lock(F_UNLCK, start, free_until);
            fcntl(f->fd, F_OFD_SETLK, &lock);
            taken_until = free_until;
        }
        if (taken_until == INT64_MAX) {
            return;
        }
        start = taken_until + 1;
    }
}

static LockFile *find_file(V9fsState *s, const V9fsOpen *o)
{
    LockFile *f = s->lock_files;

    while (f && (f->dev != o->dev || f->ino != o->ino)) {
        f = f->next;
    }
    return f;
}

/* A description of the file's own, for which there is room, so that it can hold all kinds. */
static LockFile *new_file(V9fsState *s, const V9fsOpen *o, int fd)
{
    FsFile file = { .fd = fd, .dir = -1, .name = "?" };
    int own = s->fs->readonly ? -1 : fs_open(s->fs, &file, O_RDWR);
    LockFile *f;

    own = own < 0 ? fs_open(s->fs, &file, o->flags & O_ACCMODE) : own;
    if (own < 0) {
        return NULL;
    }
    f = g_new0(LockFile, 1);
    *f = (LockFile) { .next = s->lock_files, .dev = o->dev, .ino = o->ino, .fd = own };
    s->lock_files = f;
    s->nr_fds++;
    return f;
}

static void drop_if_free(V9fsState *s, LockFile *f)
{
    LockFile **p = &s->lock_files;

    if (f->locks) {
        return;
    }
    while (*p != f) {
        p = &(*p)->next;
    }
    *p = f->next;
    close(f->fd);
    s->nr_fds--;
    g_free(f);
}

void v9fs_locks_drop(V9fsState *s, const V9fsFid *fid)
{
    for (LockFile *f = s->lock_files, *next; f; f = next) {
        next = f->next;
        for (Lock **p = &f->locks; *p;) {
            Lock *l = *p;

            if (l->fid != fid) {
                p = &l->next;
                continue;
            }
            *p = l->next;
            s->nr_locks--;
            host_unlock(f, l->start, l->end);
            g_free(l);
        }
        drop_if_free(s, f);
    }
}

/* By their descriptors' end: this may be a thread that locks nothing. */
void v9fs_locks_cleanup(V9fsState *s)
{
    LockFile *f;

    while ((f = s->lock_files)) {
        while (f->locks) {
            Lock *l = f->locks;

            f->locks = l->next;
            s->nr_locks--;
            g_free(l);
        }
        drop_if_free(s, f);
    }
}

/* Messages ------------------------------------------------------------------------------------ */

static int unlock(V9fsState *s, V9fsFid *fid, const Lock *want)
{
    LockFile *f = find_file(s, fid->open);

    if (f) {
        carve(s, f, want);
        host_unlock(f, want->start, want->end);
        drop_if_free(s, f);
    }
    return LOCK_SUCCESS;
}

/* Rlock's status, or negative errno. With lock, and room for a descriptor. */
static int lock_or_unlock(V9fsState *s, V9fsFid *fid, int fd, const Lock *want)
{
    struct flock lock = host_lock(want->type, want->start, want->end);
    LockFile *f;
    int ret;

    /* To take a part out of the middle of a lock makes two of it. */
    if (s->nr_locks + 2 > V9FS_LOCKS_MAX && (want->start || want->end < INT64_MAX)) {
        return -ENOLCK;
    }
    if (want->type == F_UNLCK) {
        return unlock(s, fid, want);
    }
    f = find_file(s, fid->open);
    f = f ? f : new_file(s, fid->open, fd);
    if (!f) {
        return -ENOLCK;
    }
    ret = fcntl(f->fd, F_OFD_SETLK, &lock) < 0 ? -errno : LOCK_SUCCESS;
    /* What cannot be written (a folder) the host locks for nobody's writing. */
    ret = ret == -EBADF ? LOCK_SUCCESS : ret;
    if (!ret) {
        carve(s, f, want);
        add_lock(s, f, want);
        fid->open->locked = true;
    }
    drop_if_free(s, f);
    return ret == -EAGAIN || ret == -EACCES ? LOCK_BLOCKED : ret;
}

/* Of a message's fields; false: there is no such part. */
static bool set_part(Lock *want, uint8_t type, uint64_t start, uint64_t len)
{
    if (type > F_UNLCK || start > INT64_MAX || len > INT64_MAX - start) {
        return false;
    }
    want->type = type;
    want->start = start;
    want->end = len ? start + len - 1 : INT64_MAX;
    return true;
}

int v9fs_lock(V9fsState *s, V9fsCall *c)
{
    Lock want = { 0 };
    uint32_t id, flags;
    uint64_t start, len;
    const char *client;
    uint8_t type;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dbdqqds", &id, &type, &flags, &start, &len, &want.pid, &client), fd;

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    want.fid = fid;
    want.client = g_str_hash(client);
    fd = set_part(&want, type, start, len) ? v9fs_use(s, fid) : -EINVAL;
    ret = fd < 0 ? fd : v9fs_reserve_fd(s);
    if (!ret) {
        g_mutex_lock(&s->lock);
        s->nr_fds--;
        ret = lock_or_unlock(s, fid, fd, &want);
        g_mutex_unlock(&s->lock);
    }
    if (fd >= 0) {
        v9fs_unuse(s, fid);
    }
    v9fs_fid_put(s, fid);
    return ret < 0 ? ret : v9fs_put(c, "b", ret);
}

/* Who is in the way, but for the guest's own. */
static void find_holder(V9fsState *s, V9fsFid *fid, int fd, Lock *want)
{
    struct flock lock = host_lock(want->type, want->start, want->end);
    const LockFile *f;

    g_mutex_lock(&s->lock);
    f = find_file(s, fid->open);
    if (fcntl(f ? f->fd : fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK) {
        want->type = F_UNLCK;
    } else {
        want->type = lock.l_type;
        want->start = lock.l_start;
        want->end = lock.l_len ? lock.l_start + lock.l_len - 1 : INT64_MAX;
        want->pid = 0;
    }
    g_mutex_unlock(&s->lock);
}

int v9fs_getlock(V9fsState *s, V9fsCall *c)
{
    Lock want = { 0 };
    uint32_t id;
    uint64_t start, len;
    const char *client;
    uint8_t type;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dbqqds", &id, &type, &start, &len, &want.pid, &client), fd;

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    want.client = g_str_hash(client);
    fd = set_part(&want, type, start, len) && type != F_UNLCK ? v9fs_use(s, fid) : -EINVAL;
    if (fd >= 0) {
        find_holder(s, fid, fd, &want);
        v9fs_unuse(s, fid);
        v9fs_put(c, "bqqds", want.type, (uint64_t)want.start,
                 want.end == INT64_MAX ? UINT64_C(0) : (uint64_t)(want.end - want.start + 1),
                 want.pid, client);
    }
    v9fs_fid_put(s, fid);
    return MIN(fd, 0);
}
