/*
 * 9P sessions: their beginning, fids that come and go.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <string.h>

/* Whoever carries the messages lets no other be served meanwhile. */
int v9fs_version(V9fsState *s, V9fsCall *c)
{
    const char *version;
    uint32_t msize;
    int ret = v9fs_get(c, "ds", &msize, &version);

    if (ret) {
        return ret;
    }
    v9fs_reset(s);
    if (strcmp(version, "9P2000.L")) {
        return v9fs_put(c, "ds", MIN(msize, V9FS_MSIZE_MAX), "unknown");
    }
    if (msize < V9FS_MSIZE_MIN) {
        return -EMSGSIZE;
    }
    s->msize = MIN(msize, V9FS_MSIZE_MAX);
    return v9fs_put(c, "ds", s->msize, "9P2000.L");
}

int v9fs_attach(V9fsState *s, V9fsCall *c)
{
    const char *uname, *aname;
    uint32_t id, afid, uid;
    V9fsFid *fid;
    V9fsRef ref;
    struct stat st;
    V9fsQid qid;
    int ret = v9fs_get(c, "ddssd", &id, &afid, &uname, &aname, &uid);

    ret = ret ? ret : v9fs_fid_new(s, id, v9fs_node_ref(s, s->root), uid, NULL, &fid);
    if (ret) {
        return ret;
    }
    ret = v9fs_find(s, fid, c->scratch->path[0], &ref);
    if (!ret) {
        ret = fs_stat(s->fs, &ref.f, &st);
        v9fs_unref(s, &ref);
    }
    ret = ret ? ret : v9fs_qid(s, &st, &qid);
    v9fs_fid_put(s, fid);
    if (ret) {
        fid = v9fs_fid_take(s, id);
        if (fid) {
            v9fs_fid_put(s, fid);
        }
        return ret;
    }
    return v9fs_put(c, "Q", &qid);
}

/* One step: the qid of name in *node, which becomes that. tree_lock held. */
static int walk_step(V9fsState *s, V9fsCall *c, V9fsNode **node, const char *name, V9fsQid *qid)
{
    char *path = c->scratch->path[0];
    V9fsNode *child;
    struct stat st;
    FsFile f;
    int ret = fs_check_name(s->fs, name);

    if (ret) {
        return ret;
    }
    child = v9fs_node_child(s, *node, name);
    if (!child) {
        return -ENFILE;
    }
    v9fs_node_unref(s, *node);
    *node = child;
    ret = v9fs_node_path(s, child, path);
    ret = ret ? ret : fs_find(s->fs, path, &f);
    if (ret < 0) {
        return ret;
    }
    ret = fs_stat(s->fs, &f, &st);
    fs_release(&f);
    return ret ? ret : v9fs_qid(s, &st, qid);
}

static int walk(V9fsState *s, V9fsCall *c, V9fsFid *from, uint32_t id)
{
    V9fsNode *node = v9fs_node_ref(s, from->node);
    V9fsQid qids[V9FS_WALK_MAX];
    uint16_t names, done;
    int ret = v9fs_get(c, "w", &names);

    if (!ret && (names > V9FS_WALK_MAX || from->xattr)) {
        ret = from->xattr ? -EBADF : -EINVAL;
    }
    for (done = 0; !ret && done < names; done++) {
        const char *name;

        ret = v9fs_get(c, "s", &name);
        ret = ret ? ret : walk_step(s, c, &node, name, &qids[done]);
        if (ret) {
            break;
        }
    }
    if (ret && (!done || ret == V9FS_MALFORMED)) {
        v9fs_node_unref(s, node);
        return ret;
    }
    if (ret) {
        v9fs_node_unref(s, node);       /* some of the way, and no new fid */
    } else {
        ret = id == from->id ? v9fs_fid_replace(s, from, node, NULL, NULL)
                             : v9fs_fid_new(s, id, node, from->uid, NULL, NULL);
        if (ret) {
            return ret;
        }
    }
    v9fs_put(c, "w", done);
    for (unsigned i = 0; i < done; i++) {
        v9fs_put(c, "Q", &qids[i]);
    }
    return 0;
}

int v9fs_walk(V9fsState *s, V9fsCall *c)
{
    uint32_t id, new_id;
    V9fsFid *fid;
    int ret = v9fs_get(c, "dd", &id, &new_id);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_get(s, id);
    if (!fid) {
        return -EBADF;
    }
    pthread_rwlock_rdlock(&s->tree_lock);
    ret = walk(s, c, fid, new_id);
    pthread_rwlock_unlock(&s->tree_lock);
    v9fs_fid_put(s, fid);
    return ret;
}

int v9fs_clunk(V9fsState *s, V9fsCall *c)
{
    uint32_t id;
    V9fsFid *fid;
    int ret = v9fs_get(c, "d", &id);

    if (ret) {
        return ret;
    }
    fid = v9fs_fid_take(s, id);
    if (!fid) {
        return -EBADF;
    }
    ret = fid->xattr ? v9fs_xattr_finish(s, c, fid) : 0;
    v9fs_fid_put(s, fid);
    return ret;
}
