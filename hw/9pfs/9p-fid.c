/*
 * Fids, and the tree of names that they stand for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "9p-internal.h"

#include <errno.h>
#include <string.h>

/* A name has folders above it that no fid stands for: on the average not more than that. */
#define NODES_PER_FID 2

/* Nodes; all with lock ------------------------------------------------------------------ */

static guint node_hash(gconstpointer key)
{
    const V9fsNode *node = key;

    return g_str_hash(node->name) ^ g_direct_hash(node->parent);
}

static gboolean node_equal(gconstpointer a, gconstpointer b)
{
    const V9fsNode *x = a, *y = b;

    return x->parent == y->parent && !strcmp(x->name, y->name);
}

static V9fsNode *lookup(V9fsState *s, V9fsNode *parent, const char *name)
{
    V9fsNode key = { .parent = parent, .name = (char *)name };

    return g_hash_table_lookup(s->nodes, &key);
}

/* The last reference of a child is one less of its folder. */
static void node_drop(V9fsState *s, V9fsNode *node)
{
    while (node && !--node->refs) {
        V9fsNode *parent = node->parent;

        if (!node->gone && parent) {
            g_hash_table_remove(s->nodes, node);
        }
        g_free(node->name);
        g_free(node);
        s->nr_nodes--;
        node = parent;
    }
}

static void node_gone(V9fsState *s, V9fsNode *node)
{
    g_hash_table_remove(s->nodes, node);
    node->gone = true;
}

static V9fsNode *node_new(V9fsState *s, V9fsNode *parent, const char *name)
{
    V9fsNode *node = g_new0(V9fsNode, 1);

    node->parent = parent;
    node->name = g_strdup(name);
    s->nr_nodes++;
    return node;
}

V9fsNode *v9fs_node_child(V9fsState *s, V9fsNode *parent, const char *name)
{
    V9fsNode *node;

    g_mutex_lock(&s->lock);
    node = lookup(s, parent, name);
    if (!node && s->nr_nodes < NODES_PER_FID * s->max_fids) {
        node = node_new(s, parent, name);
        parent->refs++;
        g_hash_table_add(s->nodes, node);
    }
    if (node) {
        node->refs++;
    }
    g_mutex_unlock(&s->lock);
    return node;
}

V9fsNode *v9fs_node_ref(V9fsState *s, V9fsNode *node)
{
    g_mutex_lock(&s->lock);
    node->refs++;
    g_mutex_unlock(&s->lock);
    return node;
}

void v9fs_node_unref(V9fsState *s, V9fsNode *node)
{
    g_mutex_lock(&s->lock);
    node_drop(s, node);
    g_mutex_unlock(&s->lock);
}

/* From its end: each folder is before its file. */
int v9fs_node_path(V9fsState *s, V9fsNode *node, char *path)
{
    size_t at = PATH_MAX - 1;
    int ret = 0;

    path[at] = '\0';
    g_mutex_lock(&s->lock);
    for (; node->parent && !ret; node = node->parent) {
        size_t len = strlen(node->name), slash = path[at] != '\0';

        if (node->gone) {
            ret = -ENOENT;
        } else if (at < len + slash) {
            ret = -ENAMETOOLONG;
        } else {
            at -= len + slash;
            memcpy(path + at, node->name, len);
            if (slash) {
                path[at + len] = '/';
            }
        }
    }
    g_mutex_unlock(&s->lock);
    memmove(path, path + at, PATH_MAX - at);
    return ret;
}

V9fsNode *v9fs_node_known(V9fsState *s, V9fsNode *parent, const char *name)
{
    V9fsNode *node;

    g_mutex_lock(&s->lock);
    node = lookup(s, parent, name);
    g_mutex_unlock(&s->lock);
    return node;
}

void v9fs_node_removed(V9fsState *s, V9fsNode *parent, const char *name)
{
    V9fsNode *node;

    g_mutex_lock(&s->lock);
    node = lookup(s, parent, name);
    if (node) {
        node_gone(s, node);
    }
    g_mutex_unlock(&s->lock);
}

/* The host may have moved folders about: what would be below itself has no path. */
static bool is_below(const V9fsNode *node, const V9fsNode *above)
{
    while (node && node != above) {
        node = node->parent;
    }
    return node != NULL;
}

void v9fs_node_renamed(V9fsState *s, V9fsNode *old_parent, const char *old_name,
                       V9fsNode *parent, const char *name)
{
    V9fsNode *node, *target;

    g_mutex_lock(&s->lock);
    node = lookup(s, old_parent, old_name);
    target = lookup(s, parent, name);
    if (target && target != node) {
        node_gone(s, target);
    }
    if (node && is_below(parent, node)) {
        node_gone(s, node);
    } else if (node && target != node) {
        g_hash_table_remove(s->nodes, node);
        g_free(node->name);
        node->name = g_strdup(name);
        node->parent = parent;
        parent->refs++;
        g_hash_table_add(s->nodes, node);
        node_drop(s, old_parent);
    }
    g_mutex_unlock(&s->lock);
}

/* Fids ------------------------------------------------------------------------------------ */

/* With lock. */
static V9fsFid *fid_add(V9fsState *s, uint32_t id, V9fsNode *node, uint32_t uid,
                        V9fsXattr *xattr)
{
    V9fsFid *fid = g_new0(V9fsFid, 1);

    fid->id = id;
    fid->uid = uid;
    fid->refs = 1;
    fid->node = node;
    fid->xattr = xattr;
    fid->next = node->fids;
    if (fid->next) {
        fid->next->prev = fid;
    }
    node->fids = fid;
    g_hash_table_insert(s->fids, GUINT_TO_POINTER(id), fid);
    return fid;
}

/* With lock. */
static void fid_drop(V9fsState *s, V9fsFid *fid)
{
    if (--fid->refs) {
        return;
    }
    if (fid->prev) {
        fid->prev->next = fid->next;
    } else {
        fid->node->fids = fid->next;
    }
    if (fid->next) {
        fid->next->prev = fid->prev;
    }
    if (fid->open) {
        v9fs_open_free(s, fid->open);
    }
    if (fid->xattr) {
        v9fs_xattr_free(s, fid->xattr);
    }
    node_drop(s, fid->node);
    g_free(fid);
}

int v9fs_fid_new(V9fsState *s, uint32_t id, V9fsNode *node, uint32_t uid, V9fsXattr *xattr,
                 V9fsFid **fid)
{
    V9fsFid *new = NULL;
    int ret = 0;

    g_mutex_lock(&s->lock);
    if (g_hash_table_lookup(s->fids, GUINT_TO_POINTER(id))) {
        ret = -EINVAL;
    } else if (g_hash_table_size(s->fids) >= s->max_fids) {
        ret = -ENFILE;
    } else {
        new = fid_add(s, id, node, uid, xattr);
    }
    if (ret) {
        node_drop(s, node);
    } else if (fid) {
        new->refs++;
        *fid = new;
    }
    g_mutex_unlock(&s->lock);
    return ret;
}

int v9fs_fid_replace(V9fsState *s, V9fsFid *old, V9fsNode *node, V9fsXattr *xattr, V9fsFid **fid)
{
    V9fsFid *new;

    g_mutex_lock(&s->lock);
    if (g_hash_table_lookup(s->fids, GUINT_TO_POINTER(old->id)) != old || old->open) {
        node_drop(s, node);
        g_mutex_unlock(&s->lock);
        return -EINVAL;
    }
    new = fid_add(s, old->id, node, old->uid, xattr);
    fid_drop(s, old);
    if (fid) {
        new->refs++;
        *fid = new;
    }
    g_mutex_unlock(&s->lock);
    return 0;
}

V9fsFid *v9fs_fid_get(V9fsState *s, uint32_t id)
{
    V9fsFid *fid;

    g_mutex_lock(&s->lock);
    fid = g_hash_table_lookup(s->fids, GUINT_TO_POINTER(id));
    if (fid) {
        fid->refs++;
    }
    g_mutex_unlock(&s->lock);
    return fid;
}

void v9fs_fid_put(V9fsState *s, V9fsFid *fid)
{
    g_mutex_lock(&s->lock);
    fid_drop(s, fid);
    g_mutex_unlock(&s->lock);
}

V9fsFid *v9fs_fid_take(V9fsState *s, uint32_t id)
{
    V9fsFid *fid;

    g_mutex_lock(&s->lock);
    fid = g_hash_table_lookup(s->fids, GUINT_TO_POINTER(id));
    if (fid) {
        g_hash_table_remove(s->fids, GUINT_TO_POINTER(id));
    }
    g_mutex_unlock(&s->lock);
    return fid;
}

/* Life --------------------------------------------------------------------------------------- */

void v9fs_fids_init(V9fsState *s)
{
    pthread_rwlockattr_t attr;

    /* A rename is not kept waiting by all that come after it. */
    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&s->tree_lock, &attr);
    pthread_rwlockattr_destroy(&attr);
    g_mutex_init(&s->lock);
    g_mutex_init(&s->reopen_lock);
    g_queue_init(&s->idle);
    s->fids = g_hash_table_new(NULL, NULL);
    s->nodes = g_hash_table_new(node_hash, node_equal);
    s->nr_nodes = 0;
    s->root = node_new(s, NULL, "");
    s->root->refs = 1;
}

void v9fs_fids_cleanup(V9fsState *s)
{
    GHashTableIter iter;
    gpointer fid;

    v9fs_locks_cleanup(s);
    g_hash_table_iter_init(&iter, s->fids);
    while (g_hash_table_iter_next(&iter, NULL, &fid)) {
        fid_drop(s, fid);
    }
    node_drop(s, s->root);
    g_assert(!s->nr_nodes && !s->nr_fds && !s->xattr_bytes && !s->nr_locks);
    g_hash_table_unref(s->fids);
    g_hash_table_unref(s->nodes);
    g_mutex_clear(&s->reopen_lock);
    g_mutex_clear(&s->lock);
    pthread_rwlock_destroy(&s->tree_lock);
}
