/*
 * Backends and nodes: who has what, policies, what monitors ask.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "bitmap.h"
#include "block/handover.h"
#include "job-internal.h"
#include "qemu/cutils.h"
#include "throttle-internal.h"

/* One process has one set of images, as it has one machine. Main thread. */
static struct {
    GPtrArray *nodes;           /* of BlockNode: those with a node name */
    GPtrArray *backends;        /* of BlockBackend */
    unsigned next_name;
} block_state;

#define NODE_NAME_MAX 31    /* characters */

/* Nodes -------------------------------------------------------------------- */

static void register_node(BlockNode *bs)
{
    if (!block_state.nodes) {
        block_state.nodes = g_ptr_array_new();
    }
    if (!bs->node_name) {
        bs->node_name = g_strdup_printf("#block%03u", block_state.next_name++);
    }
    g_ptr_array_add(block_state.nodes, bs);
}

static void unregister_node(BlockNode *bs)
{
    if (block_state.nodes) {
        g_ptr_array_remove(block_state.nodes, bs);
    }
}

BlockNode *block_find_node(const char *node_name)
{
    for (unsigned i = 0; block_state.nodes && i < block_state.nodes->len; i++) {
        BlockNode *bs = block_state.nodes->pdata[i];

        if (!strcmp(bs->node_name, node_name)) {
            return bs;
        }
    }
    return NULL;
}

BlockNode *block_get_node(const char *node_name, Error **errp)
{
    BlockNode *bs = block_find_node(node_name);

    if (!bs) {
        error_setg(errp, "Cannot find device='' nor node-name='%s'", node_name);
    }
    return bs && block_check_active(bs, errp) ? bs : NULL;
}

static const char *const discard_names[] = { "ignore", "unmap", "off", "on", NULL };
static const char *const detect_zeroes_names[] = { "off", "on", "unmap", NULL };

static const Property block_node_props[] = {
    DEFINE_PROP_STRING("node-name", BlockNode, node_name, NULL, "name of the node"),
    DEFINE_PROP_BOOL("read-only", BlockNode, read_only, "off", "never write"),
    DEFINE_PROP_BOOL("auto-read-only", BlockNode, auto_read_only, "off",
                     "fall back to read-only where writing is not allowed"),
    DEFINE_PROP_ENUM("discard", BlockNode, discard, &discard_names, "ignore",
                     "unmap: pass discards on"),
    DEFINE_PROP_ENUM("detect-zeroes", BlockNode, detect_zeroes,
                     &detect_zeroes_names, "off",
                     "turn writes of zeroes into write-zeroes"),
    DEFINE_PROP_BOOL("cache.direct", BlockNode, direct, "off", "bypass the host's page cache"),
    DEFINE_PROP_BOOL("cache.no-flush", BlockNode, no_flush, "off", "ignore flushes: unsafe"),
    DEFINE_PROP_BOOL("force-share", BlockNode, force_share, "off",
                     "tolerate other writers; read-only nodes"),
    DEFINE_PROP_END
};

const ObjectClass block_node_base_class = {
    .name = "block-node",
    .instance_size = sizeof(BlockNode),
    .props = block_node_props,
};

static bool check_node_name(const char *name, Error **errp)
{
    if (!qemu_check_id(name, NULL)) {
        error_setg(errp, "Invalid node-name: '%s'", name);
    } else if (blk_by_id(name)) {
        error_setg(errp, "node-name=%s is conflicting with a device id", name);
    } else if (block_find_node(name)) {
        error_setg(errp, "Duplicate nodes with node-name='%s'", name);
    } else if (strlen(name) > NODE_NAME_MAX) {
        error_setg(errp, "Node name too long");
    } else {
        return true;
    }
    return false;
}

static bool check_node(const BlockNode *bs, Error **errp)
{
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i] && block_driver(bs->child[i])->top_only) {
            error_setg(errp, "'%s' nodes stand on others, not below them",
                       bs->child[i]->obj.oc->name);
            return false;
        }
    }
    if (bs->node_name && !bs->is_twin && !check_node_name(bs->node_name, errp)) {
        return false;
    }
    if (bs->force_share && !bs->read_only) {
        error_setg(errp, "force-share=on can only be used with read-only images");
        return false;
    }
    return true;
}

void block_attach(BlockNode *bs, BlockChild slot, BlockNode *child, bool own)
{
    bs->child[slot] = child;
    bs->own[slot] = own;
    child->parent = bs;
}

void block_node_abandon(BlockNode *bs)
{
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i]) {
            bs->child[i]->parent = NULL;
            if (bs->own[i]) {
                block_node_close(bs->child[i]);
            }
        }
    }
    g_clear_pointer(&bs->opts, qemu_opts_free);
    object_free(&bs->obj);
}

bool block_node_open(BlockNode *bs, Error **errp)
{
    bs->align = BDRV_SECTOR_SIZE;
    bs->mem_align = BDRV_SECTOR_SIZE;
    bs->is_ro = bs->read_only;
    bs->inactive = block_opens_inactive(bs);
    bs->discard &= 1;           /* the long names and the short ones */
    if (!check_node(bs, errp) || !block_driver(bs)->open(bs, errp)) {
        block_node_abandon(bs);
        return false;
    }
    /* A file may end within a sector, whose rest reads as zeroes: file-io.c. */
    bs->length = QEMU_ALIGN_UP(bs->length, BDRV_SECTOR_SIZE);
    if (!bs->is_twin) {
        register_node(bs);
    }
    return true;
}

BlockNode *block_node_twin(BlockNode *bs, Error **errp)
{
    const BlockDriver *drv = block_driver(bs);
    BlockNode *user = bs->parent && bs->parent->backing != bs ? bs->parent : bs, *twin;

    if (!drv->copy_options || !user->is_ro) {
        error_setg(errp, "Node '%s' is busy: it is in use already", bs->node_name);
        return NULL;
    }
    twin = downcast(object_new(&drv->oc, NULL), BlockNode, obj);
    twin->node_name = g_strdup(bs->node_name);
    twin->is_twin = twin->read_only = true;
    twin->direct = bs->direct;
    twin->force_share = bs->force_share;
    twin->no_backing = bs->no_backing;
    drv->copy_options(twin, bs);
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        BlockNode *child = bs->child[i] ? block_node_twin(bs->child[i], errp) : NULL;

        if (child) {
            block_attach(twin, i, child, true);
        } else if (bs->child[i]) {
            block_node_abandon(twin);
            return NULL;
        }
    }
    if (!block_node_open(twin, errp)) {
        return NULL;
    }
    bs->twins++;
    return twin;
}

void block_node_close(BlockNode *bs)
{
    if (!bs) {
        return;
    }
    unregister_node(bs);
    if (bs->is_twin) {
        BlockNode *of = block_find_node(bs->node_name);

        if (of) {               /* else all nodes are being closed */
            of->twins--;
        }
    }
    block_engine_free(bs->engine);
    block_engine_free(bs->pool);
    if (block_driver(bs)->close) {
        block_driver(bs)->close(bs);
    }
    block_bitmaps_free(bs);
    block_node_abandon(bs);
}

bool block_set_perm(BlockNode *bs, unsigned perm, unsigned unshared,
                    Error **errp)
{
    const BlockDriver *drv = block_driver(bs);

    if (drv->set_perm) {
        return drv->set_perm(bs, perm, unshared, errp);
    }
    return !bs->file || block_set_perm(bs->file, perm, unshared, errp);
}

GMainContext *block_context(const BlockNode *bs)
{
    const BlockBackend *blk = block_top(bs)->blk;

    return blk ? blk->ctx : NULL;
}

/* Backends ----------------------------------------------------------------- */

BlockBackend *blk_new(const char *id, BlockNode *root)
{
    BlockBackend *blk = g_new0(BlockBackend, 1);

    if (!block_state.backends) {
        block_state.backends = g_ptr_array_new();
    }
    blk->id = g_strdup(id);
    blk->root = root;
    blk->writeback = true;
    blk->werror = ON_ERROR_ENOSPC;
    blk->rerror = ON_ERROR_REPORT;
    root->blk = blk;
    g_ptr_array_add(block_state.backends, blk);
    return blk;
}

void blk_free(BlockBackend *blk)
{
    block_job_abort(blk);
    if (blk->throttle) {
        throttle_leave(blk->throttle);
        g_free(blk->throttle);
    }
    g_ptr_array_remove(block_state.backends, blk);
    blk->root->blk = NULL;
    if (blk->root->is_twin) {
        block_node_close(blk->root);
    }
    g_free(blk->id);
    g_free(blk->dev_id);
    g_free(blk->serial);
    g_free(blk->if_name);
    g_free(blk);
}

BlockBackend *blk_by_id(const char *id)
{
    for (unsigned i = 0; block_state.backends && i < block_state.backends->len; i++) {
        BlockBackend *blk = block_state.backends->pdata[i];

        if (blk->id && !strcmp(blk->id, id)) {
            return blk;
        }
    }
    return NULL;
}

BlockBackend *blk_idle_twin(const char *node_name)
{
    for (unsigned i = 0; block_state.backends && i < block_state.backends->len; i++) {
        BlockBackend *blk = block_state.backends->pdata[i];

        if (blk->root->is_twin && !blk->dev_id && !strcmp(blk->root->node_name, node_name)) {
            return blk;
        }
    }
    return NULL;
}

/* The node of that name, or what stands on it; NULL: no such node. */
static BlockNode *top_node(const char *name)
{
    BlockNode *bs = block_find_node(name);

    return bs ? block_top(bs) : NULL;
}

BlockBackend *blk_find(const char *name)
{
    BlockBackend *blk = blk_by_id(name);
    BlockNode *bs;

    for (unsigned i = 0; !blk && block_state.backends && i < block_state.backends->len; i++) {
        BlockBackend *b = block_state.backends->pdata[i];

        if (b->dev_id && !strcmp(b->dev_id, name)) {
            blk = b;
        }
    }
    if (!blk && (bs = top_node(name))) {
        blk = bs->blk;
    }
    return blk;
}

BlockBackend *blk_get(const char *name, Error **errp)
{
    BlockBackend *blk = blk_find(name);

    if (!blk) {
        error_setg(errp, "Cannot find device='%s' nor node-name='%s'", name, name);
    }
    return blk && block_check_active(blk->root, errp) ? blk : NULL;
}

BlockBackend *blk_find_for_device(const char *name)
{
    BlockBackend *blk = blk_by_id(name);
    BlockNode *bs;

    if (blk) {
        return blk;
    }
    bs = block_find_node(name);
    if (bs && bs->is_ro && (bs->parent || (bs->blk && bs->blk->dev_id))) {
        blk = blk_idle_twin(name);
        bs = blk ? blk->root : block_node_twin(bs, NULL);
    }
    if (!bs || bs->parent || bs->busy) {
        return NULL;
    }
    return bs->blk ? bs->blk : blk_new(NULL, bs);
}

bool blk_attach(BlockBackend *blk, const char *dev_id, bool rw, bool share_rw,
                Error **errp)
{
    unsigned perm = BLOCK_PERM_READ | (rw ? BLOCK_PERM_WRITE : 0);
    unsigned unshared = share_rw ? 0 : BLOCK_PERM_WRITE;

    if (blk->dev_id) {
        error_setg(errp, "Drive '%s' is already in use by another device",
                   blk->id ? blk->id : blk->root->node_name);
        return false;
    }
    if (rw && blk->root->is_ro) {
        error_setg(errp, "Block node is read-only");
        return false;
    }
    if (!block_set_perm(blk->root, perm, unshared, errp)) {
        return false;
    }
    blk->dev_id = g_strdup(dev_id);
    blk->perm = perm;
    blk->unshared = unshared;
    return true;
}

void block_renew_engines(BlockNode *bs)
{
    g_clear_pointer(&bs->engine, block_engine_free);
    g_clear_pointer(&bs->pool, block_engine_free);
    if (block_driver(bs)->moved) {
        block_driver(bs)->moved(bs);
    }
    if (block_context(bs) && block_driver(bs)->prepare) {
        block_driver(bs)->prepare(bs);
    }
    for (unsigned i = 0; i < BLOCK_CHILDREN; i++) {
        if (bs->child[i]) {
            block_renew_engines(bs->child[i]);
        }
    }
}

void blk_set_context(BlockBackend *blk, GMainContext *ctx,
                     const BlockDevOps *ops, void *opaque)
{
    g_assert(!blk->in_flight);
    blk->ctx = ctx;
    if (blk->throttle) {
        throttle_set_context(blk->throttle, ctx);
    }
    block_renew_engines(blk_top(blk));
    blk->ops = ops;
    blk->opaque = opaque;
}

void blk_detach(BlockBackend *blk)
{
    blk_set_context(blk, NULL, NULL, NULL);
    /* Giving up permissions cannot fail. */
    block_set_perm(blk->root, BLOCK_PERM_READ, 0, NULL);
    g_clear_pointer(&blk->dev_id, g_free);
    if (!blk->id) {
        blk_free(blk);
    }
}

static void finish_nodes(void)
{
    for (unsigned i = 0; block_state.nodes && i < block_state.nodes->len; i++) {
        BlockNode *bs = block_state.nodes->pdata[i];

        if (block_driver(bs)->finish) {
            block_driver(bs)->finish(bs);
        }
    }
}

void blk_flush_all(void)
{
    block_nbd_end();
    block_job_abort_all();
    blk_sync_all();
    finish_nodes();
}

void blk_cleanup_all(void)
{
    blk_flush_all();
    while (block_state.backends && block_state.backends->len) {
        blk_free(block_state.backends->pdata[0]);
    }
    g_clear_pointer(&block_state.backends, g_ptr_array_unref);
    while (block_state.nodes && block_state.nodes->len) {
        block_node_close(block_top(block_state.nodes->pdata[0]));
    }
    g_clear_pointer(&block_state.nodes, g_ptr_array_unref);
}

/* Properties --------------------------------------------------------------- */

bool blk_is_read_only(const BlockBackend *blk)
{
    return blk->root->is_ro;
}

uint64_t blk_getlength(const BlockBackend *blk)
{
    return __atomic_load_n(&blk->root->length, __ATOMIC_ACQUIRE);
}

const char *blk_get_serial(const BlockBackend *blk)
{
    return blk->serial;
}

const char *blk_name(const BlockBackend *blk)
{
    return blk->id ? blk->id : "";
}

const char *blk_node_name(const BlockBackend *blk)
{
    return blk->root->node_name;
}

void blk_set_write_cache(BlockBackend *blk, bool writeback)
{
    __atomic_store_n(&blk->writeback, writeback, __ATOMIC_SEQ_CST);
}

bool blk_get_write_cache(const BlockBackend *blk)
{
    return __atomic_load_n(&blk->writeback, __ATOMIC_SEQ_CST);
}

bool blk_can_discard(const BlockBackend *blk)
{
    return blk->root->discard;
}

/* Errors ------------------------------------------------------------------- */

BlockErrorAction block_error_action(BlockOnError policy, int err)
{
    if (policy == ON_ERROR_ENOSPC) {
        policy = err == ENOSPC ? ON_ERROR_STOP : ON_ERROR_REPORT;
    }
    return policy == ON_ERROR_STOP ? BLOCK_ERROR_ACTION_STOP :
           policy == ON_ERROR_IGNORE ? BLOCK_ERROR_ACTION_IGNORE : BLOCK_ERROR_ACTION_REPORT;
}

BlockIoStatus block_io_status(int err)
{
    return err == ENOSPC ? BLOCK_IO_STATUS_NOSPACE : BLOCK_IO_STATUS_FAILED;
}

BlockErrorAction blk_error_action(BlockBackend *blk, BlockOp op, int err)
{
    BlockErrorAction action = block_error_action(op == BLOCK_OP_READ ? blk->rerror : blk->werror,
                                                 err);

    if (action == BLOCK_ERROR_ACTION_STOP) {
        __atomic_store_n(&blk->iostatus, block_io_status(err), __ATOMIC_SEQ_CST);
    }
    return action;
}

void blk_iostatus_reset(BlockBackend *blk)
{
    __atomic_store_n(&blk->iostatus, BLOCK_IO_STATUS_OK, __ATOMIC_SEQ_CST);
}

/* Monitor ------------------------------------------------------------------ */

/* blk: the backend whose root bs is, or NULL. */
static void fill_info(BlockInfo *info, const BlockNode *bs, const BlockBackend *blk)
{
    *info = (BlockInfo) {
        .node = bs,
        .id = blk ? blk_name(blk) : "",
        .node_name = bs->node_name,
        .driver = bs->obj.oc->name,
        .filename = bs->filename,
        .dev_id = blk ? blk->dev_id : NULL,
        .length = __atomic_load_n(&bs->length, __ATOMIC_RELAXED),
        .read_only = bs->is_ro,
        .writeback = blk ? blk_get_write_cache(blk) : true,
        .direct = bs->direct,
        .no_flush = bs->no_flush,
        .detect_zeroes = detect_zeroes_names[bs->detect_zeroes],
        .iostatus = blk ? __atomic_load_n(&blk->iostatus, __ATOMIC_SEQ_CST) :
                    BLOCK_IO_STATUS_OK,
    };
}

void blk_foreach(BlockInfoFn *fn, void *opaque)
{
    for (unsigned i = 0; block_state.backends && i < block_state.backends->len; i++) {
        BlockBackend *blk = block_state.backends->pdata[i];
        BlockInfo info;

        fill_info(&info, blk->root, blk);
        fn(blk, &info, opaque);
    }
}

void block_foreach_node(BlockInfoFn *fn, void *opaque)
{
    for (unsigned i = 0; block_state.nodes && i < block_state.nodes->len; i++) {
        BlockNode *bs = block_state.nodes->pdata[i];
        BlockInfo info;

        fill_info(&info, bs, bs->blk);
        fn(bs->blk, &info, opaque);
    }
}

void blk_get_stats(const BlockBackend *blk, BlockStats *stats)
{
    const BlockStats *s = &blk->stats;

    for (int op = 0; op < BLOCK_OP__MAX; op++) {
        stats->ops[op] = __atomic_load_n(&s->ops[op], __ATOMIC_RELAXED);
        stats->bytes[op] = __atomic_load_n(&s->bytes[op], __ATOMIC_RELAXED);
        stats->failed[op] = __atomic_load_n(&s->failed[op], __ATOMIC_RELAXED);
        stats->invalid[op] = __atomic_load_n(&s->invalid[op], __ATOMIC_RELAXED);
        stats->time_ns[op] = __atomic_load_n(&s->time_ns[op], __ATOMIC_RELAXED);
    }
    stats->wr_highest_offset = __atomic_load_n(&s->wr_highest_offset, __ATOMIC_RELAXED);
    stats->last_end = __atomic_load_n(&s->last_end, __ATOMIC_RELAXED);
}
