/*
 * What 9P says of files and changes of it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>

#define GETATTR_BASIC 0x7ff             /* what stat() has */

enum {                                  /* of Tsetattr's valid */
    SET_MODE = 1 << 0, SET_UID = 1 << 1, SET_GID = 1 << 2, SET_SIZE = 1 << 3,
    SET_ATIME = 1 << 4, SET_MTIME = 1 << 5, SET_CTIME = 1 << 6,
    SET_ATIME_GIVEN = 1 << 7, SET_MTIME_GIVEN = 1 << 8,
};

/* The message's first field is a fid: find its file. fid and ref are released by done(). */
static int begin(V9fsState *s, V9fsCall *c, V9fsFid **fid, V9fsRef *ref)
{
    uint32_t id;
    int ret = v9fs_get(c, "d", &id);

    if (ret) {
        return ret;
    }
    *fid = v9fs_fid_get(s, id);
    if (!*fid) {
        return -EBADF;
    }
    ret = (*fid)->xattr ? -EBADF : v9fs_find(s, *fid, c->scratch->path[0], ref);
    if (ret) {
        v9fs_fid_put(s, *fid);
    }
    return ret;
}

static int done(V9fsState *s, V9fsFid *fid, V9fsRef *ref, int ret)
{
    v9fs_unref(s, ref);
    v9fs_fid_put(s, fid);
    return ret;
}

static int put_attr(V9fsState *s, V9fsCall *c, const struct stat *st)
{
    V9fsQid qid;
    int ret = v9fs_qid(s, st, &qid);

    if (ret) {
        return ret;
    }
    v9fs_put(c, "qQdddqqqqq", (uint64_t)GETATTR_BASIC, &qid, st->st_mode, st->st_uid, st->st_gid,
             (uint64_t)st->st_nlink, (uint64_t)st->st_rdev, (uint64_t)st->st_size,
             (uint64_t)v9fs_iounit(s, st->st_blksize), (uint64_t)st->st_blocks);
    v9fs_put(c, "qqqqqq", (uint64_t)st->st_atim.tv_sec, (uint64_t)st->st_atim.tv_nsec,
             (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
             (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec);
    /* Of birth, generation and version of the data the host says nothing. */
    return v9fs_put(c, "qqqq", UINT64_C(0), UINT64_C(0), UINT64_C(0), UINT64_C(0));
}

int v9fs_getattr(V9fsState *s, V9fsCall *c)
{
    struct stat st;
    uint64_t mask;
    V9fsFid *fid;
    V9fsRef ref;
    int ret = begin(s, c, &fid, &ref);

    if (ret) {
        return ret;
    }
    ret = v9fs_get(c, "q", &mask);
    ret = ret ? ret : fs_stat(s->fs, &ref.f, &st);
    ret = ret ? ret : put_attr(s, c, &st);
    return done(s, fid, &ref, ret);
}

typedef struct Attr {
    uint32_t valid, mode, uid, gid;
    uint64_t size, atime, atime_ns, mtime, mtime_ns;
} Attr;

static struct timespec time_of(uint32_t valid, unsigned set, unsigned given, uint64_t sec,
                               uint64_t ns)
{
    return (struct timespec) {
        .tv_sec = sec,
        .tv_nsec = !(valid & set) ? UTIME_OMIT : !(valid & given) ? UTIME_NOW : (long)ns,
    };
}

/* What a change of the owner undoes comes after it, and times come last. */
static int set_attr(V9fsState *s, const FsFile *f, const Attr *a)
{
    struct timespec times[2] = {
        time_of(a->valid, SET_ATIME, SET_ATIME_GIVEN, a->atime, a->atime_ns),
        time_of(a->valid, SET_MTIME, SET_MTIME_GIVEN, a->mtime, a->mtime_ns),
    };
    int ret = 0;

    if ((a->valid & SET_ATIME_GIVEN && a->atime_ns > 999999999) ||
        (a->valid & SET_MTIME_GIVEN && a->mtime_ns > 999999999) || a->size > INT64_MAX) {
        return -EINVAL;
    }
    if (a->valid & SET_SIZE) {
        ret = fs_truncate(f, a->size);
        ret = ret ? ret : fs_drop_setid(s->fs, f);
    }
    if (!ret && a->valid & (SET_UID | SET_GID)) {
        ret = fs_chown(s->fs, f, a->valid & SET_UID ? a->uid : (uid_t)-1,
                       a->valid & SET_GID ? a->gid : (gid_t)-1);
    }
    if (!ret && a->valid & SET_MODE) {
        ret = fs_chmod(s->fs, f, a->mode);
    }
    if (!ret && a->valid & (SET_ATIME | SET_MTIME)) {
        ret = fs_utimens(f, times);
    }
    return ret;
}

/* Files that the guest has open lose set-id bits when they are written to. */
static void note_setid(V9fsState *s, V9fsNode *node)
{
    g_mutex_lock(&s->lock);
    for (V9fsFid *fid = node->fids; fid; fid = fid->next) {
        if (fid->open) {
            fid->open->setid = true;
        }
    }
    g_mutex_unlock(&s->lock);
}

int v9fs_setattr(V9fsState *s, V9fsCall *c)
{
    V9fsFid *fid;
    V9fsRef ref;
    Attr a;
    int ret = begin(s, c, &fid, &ref);

    if (ret) {
        return ret;
    }
    ret = v9fs_get(c, "ddddqqqqq", &a.valid, &a.mode, &a.uid, &a.gid, &a.size, &a.atime,
                   &a.atime_ns, &a.mtime, &a.mtime_ns);
    ret = ret ? ret : set_attr(s, &ref.f, &a);
    if (!ret && a.valid & SET_MODE && a.mode & (S_ISUID | S_ISGID)) {
        note_setid(s, fid->node);
    }
    return done(s, fid, &ref, ret);
}

int v9fs_statfs(V9fsState *s, V9fsCall *c)
{
    struct statfs st;
    V9fsFid *fid;
    V9fsRef ref;
    int ret = begin(s, c, &fid, &ref);

    if (ret) {
        return ret;
    }
    ret = fstatfs(ref.f.fd, &st) < 0 ? -errno : 0;
    if (!ret) {
        v9fs_put(c, "ddqqqqqqd", (uint32_t)st.f_type, (uint32_t)st.f_bsize,
                 (uint64_t)st.f_blocks, (uint64_t)st.f_bfree, (uint64_t)st.f_bavail,
                 (uint64_t)st.f_files, (uint64_t)st.f_ffree,
                 (uint64_t)(uint32_t)st.f_fsid.__val[0] |
                 (uint64_t)(uint32_t)st.f_fsid.__val[1] << 32, (uint32_t)st.f_namelen);
    }
    return done(s, fid, &ref, ret);
}

int v9fs_readlink(V9fsState *s, V9fsCall *c)
{
    char *target = c->scratch->path[1];
    V9fsFid *fid;
    V9fsRef ref;
    ssize_t len;
    int ret = begin(s, c, &fid, &ref);

    if (ret) {
        return ret;
    }
    len = fs_readlink(s->fs, &ref.f, target, PATH_MAX - 1);
    if (len >= 0) {
        target[len] = '\0';
        v9fs_put(c, "s", target);
    }
    return done(s, fid, &ref, MIN(len, 0));
}
