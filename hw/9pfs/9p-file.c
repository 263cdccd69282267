/*
 * Open files by 9P: transfers go straight between the host's file and the guest's memory.
 *
 * System calls: preadv, pwritev, sync_file_range, fsync, fdatasync, getdents64, lseek.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "qemu/iov.h"

/*
 * Of Topen's flags, which are Linux' own on x86, those that mean something here: not O_DIRECT,
 * whose alignment the guest's buffers do not have.
 */
#define OPEN_FLAGS (O_ACCMODE | O_TRUNC | O_APPEND | O_DSYNC | O_SYNC | O_EXCL)
#define DIRENT_SIZE 24                  /* qid[13] offset[8] type[1] and the name's length[2] */

/* The fid that the message begins with, to be put; NULL: *ret tells why. */
static V9fsFid *get_fid(V9fsState *s, V9fsCall *c, int *ret)
{
    V9fsFid *fid = NULL;
    uint32_t id;

    *ret = v9fs_get(c, "d", &id);
    if (!*ret) {
        fid = v9fs_fid_get(s, id);
        *ret = fid ? 0 : -EBADF;
    }
    return fid;
}

/* Opening ------------------------------------------------------------------------------ */

static int put_opened(V9fsState *s, V9fsCall *c, const struct stat *st)
{
    V9fsQid qid;
    int ret = v9fs_qid(s, st, &qid);

    return ret ? ret : v9fs_put(c, "Qd", &qid, v9fs_iounit(s, st->st_blksize));
}

static int lopen(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint32_t flags)
{
    struct stat st;
    V9fsRef ref;
    int ret = v9fs_find(s, fid, c->scratch->path[0], &ref), fd;

    if (ret) {
        return ret;
    }
    ret = fs_stat(s->fs, &ref.f, &st);
    ret = ret ? ret : v9fs_reserve_fd(s);
    if (!ret) {
        fd = fs_open(s->fs, &ref.f, flags & OPEN_FLAGS & ~O_EXCL);
        if (fd < 0) {
            v9fs_release_fd(s);
        }
        ret = fd < 0 ? fd : v9fs_set_open(s, fid, fd, flags & OPEN_FLAGS, false);
    }
    if (!ret) {
        fid->open->setid = st.st_mode & (S_ISUID | S_ISGID);
    }
    v9fs_unref(s, &ref);
    return ret ? ret : put_opened(s, c, &st);
}

int v9fs_lopen(V9fsState *s, V9fsCall *c)
{
    uint32_t flags;
    int ret;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    ret = v9fs_get(c, "d", &flags);
    if (!ret && (fid->xattr || fid->open)) {
        ret = -EBADF;
    }
    if (!ret && s->fs->readonly && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC)) {
        ret = -EROFS;
    }
    ret = ret ? ret : lopen(s, c, fid, flags);
    v9fs_fid_put(s, fid);
    return ret;
}

typedef struct Create {
    const char *name;
    uint32_t flags, mode, gid;
} Create;

/* The fid of a folder becomes that of the file, for which there is room. tree_lock held. */
static int lcreate(V9fsState *s, V9fsCall *c, V9fsFid *fid, const Create *cr)
{
    FsCred cred = { fid->uid, cr->gid, S_IFREG | (cr->mode & 07777), 0 };
    int dir = v9fs_find_dir(s, fid, c->scratch->path[0]), fd, ret;
    V9fsNode *node;
    V9fsFid *file;
    struct stat st;
    FsFile f;

    if (dir < 0) {
        v9fs_release_fd(s);
        return dir;
    }
    fd = fs_create(s->fs, dir, cr->name, cr->flags & OPEN_FLAGS, &cred);
    f = (FsFile) { fd, dir, cr->name };
    ret = fd < 0 ? fd : fs_stat(s->fs, &f, &st);
    if (ret == 0) {
        node = v9fs_node_child(s, fid->node, cr->name);
        ret = node ? v9fs_fid_replace(s, fid, node, NULL, &file) : -ENFILE;
    }
    close(dir);
    if (ret < 0) {
        if (fd >= 0) {
            close(fd);
        }
        v9fs_release_fd(s);
        return ret;
    }
    /* A mode that does not let us write lets us not open it for that again. */
    ret = v9fs_set_open(s, file, fd, cr->flags & OPEN_FLAGS, !(st.st_mode & S_IWUSR));
    if (!ret) {
        file->open->setid = st.st_mode & (S_ISUID | S_ISGID);
    }
    v9fs_fid_put(s, file);
    return ret ? ret : put_opened(s, c, &st);
}

int v9fs_lcreate(V9fsState *s, V9fsCall *c)
{
    Create cr;
    int ret;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    ret = v9fs_get(c, "sddd", &cr.name, &cr.flags, &cr.mode, &cr.gid);
    ret = ret ? ret : fs_check_name(s->fs, cr.name);
    ret = ret ? ret : v9fs_reserve_fd(s);
    if (!ret) {
        pthread_rwlock_rdlock(&s->tree_lock);
        ret = lcreate(s, c, fid, &cr);
        pthread_rwlock_unlock(&s->tree_lock);
    }
    v9fs_fid_put(s, fid);
    return ret;
}

/* Transfers ------------------------------------------------------------------------------- */

int v9fs_read(V9fsState *s, V9fsCall *c)
{
    uint64_t offset;
    uint32_t count;
    unsigned n;
    ssize_t len;
    int ret;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    ret = v9fs_get(c, "qd", &offset, &count);
    if (ret || fid->xattr) {
        ret = ret ? ret : v9fs_xattr_read(s, c, fid, offset, count);
        v9fs_fid_put(s, fid);
        return ret;
    }
    ret = offset > INT64_MAX ? -EINVAL : v9fs_use(s, fid);
    if (ret >= 0) {
        n = iov_slice(c->scratch->iov, V9FS_IOV_MAX, c->in_sg, c->in_num, V9FS_READ_HEADER,
                      v9fs_room(s, c, V9FS_READ_HEADER, count));
        len = preadv(ret, c->scratch->iov, n, offset);
        ret = len < 0 ? -errno : 0;
        v9fs_unuse(s, fid);
        if (!ret) {
            v9fs_put(c, "d", (uint32_t)len);
            c->payload = len;
        }
    }
    v9fs_fid_put(s, fid);
    return ret;
}

/* What a write of a guest's user does to a file whose mode is the export's own. */
static int drop_setid(V9fsState *s, V9fsCall *c, V9fsFid *fid)
{
    V9fsRef ref;
    int ret = v9fs_find(s, fid, c->scratch->path[0], &ref);

    if (ret) {
        return ret;
    }
    ret = fs_drop_setid(s->fs, &ref.f);
    v9fs_unref(s, &ref);
    fid->open->setid = ret != 0;
    return ret;
}

static ssize_t write_file(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint64_t offset,
                          uint32_t count)
{
    int fd = v9fs_use(s, fid);
    ssize_t len;
    unsigned n;

    if (fd < 0) {
        return fd;
    }
    n = iov_slice(c->scratch->iov, V9FS_IOV_MAX, c->out_sg, c->out_num, V9FS_WRITE_HEADER, count);
    len = pwritev(fd, c->scratch->iov, n, offset);
    len = len < 0 ? -errno : len;
    if (len > 0 && fid->open->setid) {
        drop_setid(s, c, fid);
    }
    if (len > 0 && s->fs->writeout) {
        sync_file_range(fd, offset, len, SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE);
    }
    v9fs_unuse(s, fid);
    return len;
}

int v9fs_write(V9fsState *s, V9fsCall *c)
{
    uint64_t offset;
    uint32_t count;
    ssize_t len;
    int ret;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    ret = v9fs_get(c, "qd", &offset, &count);
    if (!ret && (count > s->msize || c->out_len < V9FS_WRITE_HEADER ||
                 count > c->out_len - V9FS_WRITE_HEADER)) {
        ret = V9FS_MALFORMED;
    }
    if (ret || fid->xattr) {
        ret = ret ? ret : v9fs_xattr_write(s, c, fid, offset, count);
        v9fs_fid_put(s, fid);
        return ret;
    }
    len = offset > (uint64_t)INT64_MAX - count ? -EINVAL : write_file(s, c, fid, offset, count);
    v9fs_fid_put(s, fid);
    return len < 0 ? len : v9fs_put(c, "d", (uint32_t)len);
}

int v9fs_fsync(V9fsState *s, V9fsCall *c)
{
    uint32_t data_only = 0;
    int ret, fd;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    if (c->in != c->in_end) {           /* older clients do not say */
        ret = v9fs_get(c, "d", &data_only);
    }
    fd = ret ? ret : fid->xattr ? -EBADF : v9fs_use(s, fid);
    if (fd >= 0) {
        ret = (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? -errno : 0;
        v9fs_unuse(s, fid);
    }
    v9fs_fid_put(s, fid);
    return fd < 0 ? fd : ret;
}

/* Folders ------------------------------------------------------------------------------------ */

struct host_dirent {                    /* getdents64(2) */
    uint64_t ino;
    int64_t off;
    uint16_t reclen;
    uint8_t type;
    char name[];
};

/* One name for the guest; false: there is no room for it. */
static bool put_name(V9fsState *s, V9fsCall *c, const struct host_dirent *d, dev_t dev,
                     uint32_t end)
{
    /* Of a mapped file only its attributes tell. */
    bool knows = s->fs->model < FS_MAPPED_XATTR || d->type == DT_DIR;
    struct stat st = { .st_dev = dev, .st_ino = d->ino };
    V9fsQid qid = { d->type == DT_DIR ? 0x80 : d->type == DT_LNK && knows ? 0x02 : 0, 0, 0 };

    if (c->out + DIRENT_SIZE + strlen(d->name) > end) {
        return false;
    }
    fs_inode(s->fs, &st, &qid.path);
    v9fs_put(c, "Qqbs", &qid, (uint64_t)d->off, knows ? d->type : DT_UNKNOWN, d->name);
    return true;
}

/* From the descriptor's position: until there is no room, no name left, or an error. */
static int put_names(V9fsState *s, V9fsCall *c, V9fsOpen *o, uint32_t end)
{
    uint8_t *names = c->scratch->names;
    uint32_t begin = c->out;
    ssize_t len;

    do {
        len = syscall(SYS_getdents64, o->fd, names, MIN(sizeof(c->scratch->names), end - begin));
        if (len < 0) {
            return -errno;
        }
        for (ssize_t at = 0; at < len;) {
            const struct host_dirent *d = (const void *)(names + at);

            if (!fs_is_hidden(s->fs, d->name) && !put_name(s, c, d, o->dev, end)) {
                return c->out > begin ? 0 : -EINVAL;
            }
            at += d->reclen;
        }
    } while (len && c->out == begin);   /* all were hidden */
    return 0;
}

/* Where the last name that was put is: behind it goes on what was read too far. */
static int readdir_at(V9fsState *s, V9fsCall *c, V9fsOpen *o, uint64_t offset, uint32_t count)
{
    uint32_t room = v9fs_room(s, c, V9FS_READ_HEADER, count);
    uint32_t head = c->out, len;
    int ret = 0;

    if (!o->folder) {
        return -ENOTDIR;
    }
    if ((int64_t)offset < 0 || lseek(o->fd, offset, SEEK_SET) < 0) {
        return -EINVAL;
    }
    v9fs_put(c, "d", 0);
    ret = put_names(s, c, o, MIN(c->out + room, V9FS_OUT_MAX));
    if (ret) {
        return ret;
    }
    len = c->out - head - 4;
    c->out = head;
    v9fs_put(c, "d", len);
    c->out += len;
    return 0;
}

int v9fs_readdir(V9fsState *s, V9fsCall *c)
{
    uint64_t offset;
    uint32_t count;
    int ret;
    V9fsFid *fid = get_fid(s, c, &ret);

    if (!fid) {
        return ret;
    }
    ret = v9fs_get(c, "qd", &offset, &count);
    if (!ret) {
        ret = fid->xattr ? -EBADF : v9fs_use(s, fid);
    }
    if (ret >= 0) {
        ret = readdir_at(s, c, fid->open, offset, count);
        v9fs_unuse(s, fid);
    }
    v9fs_fid_put(s, fid);
    return ret;
}
