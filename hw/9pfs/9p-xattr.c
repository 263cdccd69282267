/*
 * Extended attributes by 9P: read and written as if they were files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "qemu/iov.h"

/* Zeroed, of all that there may be; NULL: too much. name is taken. */
static V9fsXattr *xattr_new(V9fsState *s, char *name, uint32_t size, int flags)
{
    V9fsXattr *x = NULL;

    g_mutex_lock(&s->lock);
    if (s->xattr_bytes + size + sizeof(*x) <= V9FS_XATTR_ALL) {
        s->xattr_bytes += size + sizeof(*x);
        x = g_new0(V9fsXattr, 1);
        *x = (V9fsXattr) { .name = name, .value = g_malloc0(MAX(size, 1)), .size = size,
                           .flags = flags };
    } else {
        g_free(name);
    }
    g_mutex_unlock(&s->lock);
    return x;
}

void v9fs_xattr_free(V9fsState *s, V9fsXattr *x)
{
    s->xattr_bytes -= x->size + sizeof(*x);
    g_free(x->name);
    g_free(x->value);
    g_free(x);
}

/* A fid for x, of the same file as from. */
static int add_fid(V9fsState *s, V9fsFid *from, uint32_t id, V9fsXattr *x)
{
    V9fsNode *node = v9fs_node_ref(s, from->node);
    int ret = id == from->id ? v9fs_fid_replace(s, from, node, x, NULL)
                             : v9fs_fid_new(s, id, node, from->uid, x, NULL);

    if (ret) {
        g_mutex_lock(&s->lock);
        v9fs_xattr_free(s, x);
        g_mutex_unlock(&s->lock);
    }
    return ret;
}

/* The value, or without a name the list of them, into the scratch area. */
static ssize_t fetch(V9fsState *s, V9fsCall *c, V9fsFid *fid, const char *name)
{
    char *buf = (char *)c->scratch->names;
    V9fsRef ref;
    ssize_t len = v9fs_find(s, fid, c->scratch->path[0], &ref);

    if (len < 0) {
        return len;
    }
    len = *name ? fs_getxattr(s->fs, &ref.f, name, buf, V9FS_XATTR_MAX)
                : fs_listxattr(s->fs, &ref.f, buf);
    v9fs_unref(s, &ref);
    return len;
}

int v9fs_xattrwalk(V9fsState *s, V9fsCall *c)
{
    uint32_t id, new_id;
    const char *name;
    V9fsXattr *x;
    V9fsFid *fid;
    ssize_t len = v9fs_get(c, "dds", &id, &new_id, &name);

    if (len) {
        return len;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    len = fid->xattr ? -EBADF : strlen(name) > XATTR_NAME_MAX ? -ERANGE : fetch(s, c, fid, name);
    if (len >= 0) {
        x = xattr_new(s, NULL, len, 0);
        if (x) {
            memcpy(x->value, c->scratch->names, len);
            x->filled = len;
            v9fs_put(c, "q", (uint64_t)len);
            len = add_fid(s, fid, new_id, x);
        } else {
            len = -ENOSPC;
        }
    }
    v9fs_fid_put(s, fid);
    return len;
}

int v9fs_xattrcreate(V9fsState *s, V9fsCall *c)
{
    uint32_t id, flags;
    uint64_t size;
    const char *name;
    V9fsXattr *x = NULL;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dsqd", &id, &name, &size, &flags);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    if (fid->xattr || flags & ~(XATTR_CREATE | XATTR_REPLACE) || !*name) {
        ret = fid->xattr ? -EBADF : -EINVAL;
    } else if (size > V9FS_XATTR_MAX || strlen(name) > XATTR_NAME_MAX) {
        ret = size > V9FS_XATTR_MAX ? -ENOSPC : -ERANGE;
    } else {
        x = xattr_new(s, g_strdup(name), size, flags);
        ret = x ? add_fid(s, fid, id, x) : -ENOSPC;
    }
    v9fs_fid_put(s, fid);
    return ret;
}

int v9fs_xattr_read(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint64_t offset, uint32_t count)
{
    V9fsXattr *x = fid->xattr;
    uint32_t room = v9fs_room(s, c, V9FS_READ_HEADER, count);

    if (x->name) {
        return -EBADF;
    }
    room = offset < x->size ? MIN(room, x->size - offset) : 0;
    v9fs_put(c, "d", room);
    c->payload = iov_from_buf(c->in_sg, c->in_num, V9FS_READ_HEADER, x->value + (room ? offset : 0),
                              room);
    return 0;
}

/* Two messages may fill in one value, at the same time: whatever it is then. */
int v9fs_xattr_write(V9fsState *s, V9fsCall *c, V9fsFid *fid, uint64_t offset, uint32_t count)
{
    V9fsXattr *x = fid->xattr;

    if (!x->name) {
        return -EBADF;
    }
    if (offset > x->size || count > x->size - offset) {
        return -ENOSPC;
    }
    count = iov_to_buf(c->out_sg, c->out_num, V9FS_WRITE_HEADER, x->value + offset, count);
    g_mutex_lock(&s->lock);
    x->filled = MAX(x->filled, offset + count);
    g_mutex_unlock(&s->lock);
    return v9fs_put(c, "d", count);
}

/* No value for one that must be there: it is removed (Linux' way to say so). */
int v9fs_xattr_finish(V9fsState *s, V9fsCall *c, V9fsFid *fid)
{
    V9fsXattr *x = fid->xattr;
    V9fsRef ref;
    int ret;

    if (!x->name || x->filled < x->size) {
        return x->name ? -EINVAL : 0;
    }
    ret = v9fs_find(s, fid, c->scratch->path[0], &ref);
    if (ret) {
        return ret;
    }
    if (!x->size && x->flags & XATTR_REPLACE) {
        ret = fs_removexattr(s->fs, &ref.f, x->name);
    } else {
        ret = fs_setxattr(s->fs, &ref.f, x->name, x->value, x->size, x->flags);
    }
    v9fs_unref(s, &ref);
    return ret;
}
