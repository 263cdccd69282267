/*
 * blockdev-reopen: other options for nodes that are in use.
 *
 * What a node was given is kept: rows that may not change have to be given as they were, or not
 * at all where they were not.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "blockdev.h"
#include "job-internal.h"
#include "transaction.h"

typedef struct ReopenAction {
    BlockAction action;
    QemuOpts *opts;             /* what the client gave */
    BlockNode *bs, *want;       /* want has the rows; is never opened */
    BlockNode *backing;         /* the new one */
    BlockNode *old_backing;
    bool new_backing, own_backing, old_own, turned;
} ReopenAction;

/* What is compared ------------------------------------------------------------------------ */

static bool may_change(const char *name)
{
    static const char *const names[] = {
        "read-only", "auto-read-only", "discard", "detect-zeroes", "cache.no-flush", "node-name",
        NULL,
    };

    return g_strv_contains(names, name);
}

typedef struct Comparison {
    const Object *was, *want;
    const char *differs;
} Comparison;

static void compare(const Property *prop, void *opaque)
{
    Comparison *c = opaque;
    g_autofree char *was = prop->info->get ? prop->info->get(c->was, prop) : NULL;
    g_autofree char *want = prop->info->get ? prop->info->get(c->want, prop) : NULL;

    if (!c->differs && !may_change(prop->name) && g_strcmp0(was, want)) {
        c->differs = prop->name;
    }
}

static bool cannot_change(const char *name, Error **errp)
{
    error_setg(errp, "Cannot change the option '%s'", name);
    return false;
}

/* A node that has rows and nothing else. NULL with errp set. */
static BlockNode *rows_only(const BlockNode *bs, QemuOpts *opts, Error **errp)
{
    BlockNode *node = downcast(object_new(bs->obj.oc, NULL), BlockNode, obj);

    if (opts && !block_set_node_opts(node, opts, errp)) {
        block_node_abandon(node);
        return NULL;
    }
    return node;
}

static bool check_driver(const BlockNode *bs, QemuOpts *opts, Error **errp)
{
    g_autofree char *name = qemu_opt_take(opts, "driver");
    const BlockDriver *drv = block_find_driver(name, NULL, errp);

    return drv && (drv == block_driver(bs) || cannot_change("driver", errp));
}

/* opts have no driver and no children any more. */
static BlockNode *check_rows(const BlockNode *bs, QemuOpts *opts, Error **errp)
{
    BlockNode *want = rows_only(bs, opts, errp);
    Comparison c = { NULL };

    if (want) {
        BlockNode *was = rows_only(bs, bs->opts, NULL);

        c = (Comparison) { &was->obj, &want->obj, NULL };
        property_foreach(bs->obj.oc, compare, &c);
        block_node_abandon(was);
    }
    if (c.differs) {
        cannot_change(c.differs, errp);
        block_node_abandon(want);
        want = NULL;
    }
    return want;
}

static bool check_child(const BlockNode *bs, BlockChild slot, QemuOpts *opts, Error **errp);

/* A child that is described again has to be as it was. */
static bool check_described(const BlockNode *child, QemuOpts *opts, Error **errp)
{
    BlockNode *want = NULL;

    if (check_driver(child, opts, errp) && check_child(child, BLOCK_FILE, opts, errp) &&
        check_child(child, BLOCK_BACKING, opts, errp) &&
        check_child(child, BLOCK_DATA_FILE, opts, errp)) {
        want = check_rows(child, opts, errp);
    }
    if (want) {
        block_node_abandon(want);
    }
    return want;
}

static bool check_child(const BlockNode *bs, BlockChild slot, QemuOpts *opts, Error **errp)
{
    const char *name = block_child_names[slot];
    g_autofree char *prefix = g_strconcat(name, ".", NULL);
    g_autoptr(QemuOpts) described = block_take_prefixed(opts, prefix);
    g_autofree char *ref = qemu_opt_take(opts, name);
    const BlockNode *child = bs->child[slot];

    if (ref && g_strcmp0(ref, child ? child->node_name : "")) {
        return cannot_change(name, errp);
    }
    if (!described->opts->len) {
        return true;
    }
    if (!child) {
        return cannot_change(name, errp);
    }
    block_inherit_opts(opts, described);
    return check_described(child, described, errp);
}

/* Backing files ------------------------------------------------------------------------------ */

/* Nothing of the chain below backing is what stands above it. */
static bool check_loop(const BlockNode *bs, const BlockNode *backing, Error **errp)
{
    for (; backing; backing = backing->backing) {
        if (!block_check_chain(bs, backing, errp)) {
            return false;
        }
    }
    return true;
}

static bool find_backing(ReopenAction *a, const char *ref, Error **errp)
{
    g_autoptr(QemuOpts) opts = qemu_opts_new();
    BlockNode *found = block_find_node(ref);

    for (const BlockNode *bs = a->bs; bs; bs = bs->parent) {
        if (bs == found) {
            error_setg(errp, "Making '%s' a backing child of '%s' would create a cycle",
                       ref, a->bs->node_name);
            return false;
        }
    }
    qemu_opt_append(opts, "read-only", "on");
    a->backing = block_find_child(ref, opts, errp);
    a->own_backing = a->backing && a->backing->is_twin;
    if (!a->backing) {
        return false;
    }
    if (block_node_is_live(a->backing)) {
        error_setg(errp, "Node '%s' is busy: it is in use already", ref);
        return false;
    }
    if (a->own_backing && a->bs->own[BLOCK_BACKING] && block_is_below(a->bs, found)) {
        error_setg(errp, "Node '%s' is busy: it goes with the backing file", ref);
        return false;
    }
    return check_loop(a->bs, a->backing, errp) &&
           block_set_perm(a->backing, BLOCK_PERM_READ, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, errp);
}

static bool has_prefix(const QemuOpts *opts, const char *prefix)
{
    for (unsigned i = 0; i < opts->opts->len; i++) {
        if (g_str_has_prefix(g_array_index(opts->opts, QemuOpt, i).name, prefix)) {
            return true;
        }
    }
    return false;
}

/* "backing": another node, none, or the same. */
static bool check_backing(ReopenAction *a, Error **errp)
{
    const char *ref = qemu_opt_get(a->opts, "backing");
    BlockImageInfo info;

    block_image_info(a->bs, &info);
    if (ref && block_driver(a->bs)->has_backing &&
        g_strcmp0(ref, a->bs->backing ? a->bs->backing->node_name : "")) {
        g_autofree char *name = qemu_opt_take(a->opts, "backing");

        a->new_backing = true;
        return !*name || find_backing(a, name, errp);
    }
    if (!ref && !has_prefix(a->opts, "backing.") &&
        (a->bs->backing || info.backing_filename)) {
        error_setg(errp, "backing is missing for '%s'", a->bs->node_name);
        return false;
    }
    return check_child(a->bs, BLOCK_BACKING, a->opts, errp);
}

/* Within the transaction: bs loses what is below it, and gets this. */
static void change_backing(BlockNode *bs, BlockNode *backing, bool own)
{
    BlockNode *old = bs->backing;

    block_detach_child(bs, BLOCK_BACKING);
    if (old) {
        block_renew_engines(old);
    }
    if (backing) {
        block_attach(bs, BLOCK_BACKING, backing, own);
        block_renew_engines(backing);
    }
}

/* Read or written ---------------------------------------------------------------------------- */

/* A node that was opened by itself stays as its owner wanted it. */
static bool stays_read_only(const BlockNode *bs)
{
    const char *said = bs->opts ? qemu_opt_get(bs->opts, "read-only") : NULL;

    return bs->is_ro && !bs->auto_read_only && said && !strcmp(said, "on");
}

static bool check_read_only(const BlockNode *bs, bool read_only, Error **errp)
{
    bool ok = true;

    if (read_only == bs->is_ro) {
        return true;
    }
    if (read_only) {
        /* Its user writes. */
        ok = !(bs->blk && bs->blk->dev_id) && !(bs->parent && bs->parent->backing != bs &&
                                                !bs->parent->is_ro);
    }
    for (const BlockNode *f = bs->file; !read_only && f; f = f->file) {
        ok = ok && (f->parent->own[BLOCK_FILE] || !stays_read_only(f));
    }
    if (!ok) {
        error_setg(errp, "Block node is read-only");
    }
    return ok;
}

static bool turn(BlockNode *bs, bool read_only, Error **errp)
{
    unsigned unshared = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    unsigned perm = BLOCK_PERM_READ | (read_only ? 0 : unshared);

    if (!block_reopen(bs, read_only, errp)) {
        return false;
    }
    if (bs->parent || bs->blk) {
        if (!block_set_perm(bs, perm, unshared, errp)) {
            block_reopen(bs, !read_only, NULL);
            return false;
        }
    }
    return true;
}

/* The action --------------------------------------------------------------------------------- */

static bool check_free(const BlockNode *bs, Error **errp)
{
    const BlockNode *top = block_top(bs);

    if ((top->blk && top->blk->job) || bs->busy) {
        error_setg(errp, "Node '%s' is busy: block device is in use by block job", bs->node_name);
    } else if (bs->twins) {
        error_setg(errp, "Node '%s' is busy: it has several users", bs->node_name);
    } else {
        return true;
    }
    return false;
}

static bool find_node(ReopenAction *a, Error **errp)
{
    const char *name = qemu_opt_get(a->opts, "node-name");

    if (!name) {
        error_setg(errp, "node-name not specified");
        return false;
    }
    a->bs = block_find_node(name);
    if (!a->bs) {
        error_setg(errp, "Failed to find node with node-name='%s'", name);
    }
    return a->bs;
}

static bool reopen_prepare(BlockAction *action, Error **errp)
{
    ReopenAction *a = downcast(action, ReopenAction, action);
    BlockNode *bs;

    if (!find_node(a, errp) || !check_free(a->bs, errp)) {
        return false;
    }
    bs = a->bs;
    if (!check_driver(bs, a->opts, errp) ||
        !check_child(bs, BLOCK_FILE, a->opts, errp) ||
        !check_child(bs, BLOCK_DATA_FILE, a->opts, errp) || !check_backing(a, errp)) {
        return false;
    }
    a->want = check_rows(bs, a->opts, errp);
    if (!a->want || !block_check_detect_zeroes(a->opts, errp) ||
        !check_read_only(bs, a->want->read_only, errp)) {
        return false;
    }
    if (a->new_backing) {
        a->old_backing = bs->backing;
        a->old_own = bs->own[BLOCK_BACKING];
        change_backing(bs, a->backing, a->own_backing);
    }
    a->turned = a->want->read_only != bs->is_ro;
    if (a->turned && !turn(bs, a->want->read_only, errp)) {
        a->turned = false;
        return false;
    }
    return true;
}

static void reopen_commit(BlockAction *action)
{
    ReopenAction *a = downcast(action, ReopenAction, action);
    BlockNode *bs = a->bs, *want = a->want;

    bs->read_only = want->read_only;
    bs->auto_read_only = want->auto_read_only;
    bs->discard = want->discard & 1;    /* the long names and the short ones */
    bs->detect_zeroes = want->detect_zeroes;
    bs->no_flush = want->no_flush || (bs->file && bs->file->no_flush);
    qemu_opts_free(bs->opts);
    bs->opts = qemu_opts_clone(a->opts);
    if (a->new_backing) {
        bs->no_backing = !a->backing;
    }
    if (a->old_own) {
        block_node_close(a->old_backing);
    }
    block_node_abandon(want);
}

static void reopen_abort(BlockAction *action)
{
    ReopenAction *a = downcast(action, ReopenAction, action);

    if (a->turned) {
        turn(a->bs, !a->want->read_only, NULL);
    }
    if (a->new_backing && a->bs->backing == a->backing) {
        change_backing(a->bs, a->old_backing, a->old_own);
    }
    if (a->own_backing) {
        block_node_close(a->backing);
    }
    if (a->want) {
        block_node_abandon(a->want);
    }
}

static const BlockActionOps reopen_action = {
    .prepare = reopen_prepare, .commit = reopen_commit, .abort = reopen_abort,
};

BlockAction *block_action_reopen(QemuOpts *opts)
{
    ReopenAction *a = g_new0(ReopenAction, 1);

    a->action.ops = &reopen_action;
    a->opts = opts;
    return &a->action;
}
