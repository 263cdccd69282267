/*
 * Dirty bitmaps: the list that a node has, and what is done to it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "bitmap.h"

#include <string.h>

#include "qemu/cutils.h"
#include "transaction.h"

#define MIN_GRANULARITY 512u
#define MAX_GRANULARITY (1u << 31)

static GMutex lock;             /* nodes' lists of bitmaps; a leaf */

BlockBitmap *block_bitmap_find(BlockNode *bs, const char *name, Error **errp)
{
    for (BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        if (!strcmp(b->name, name)) {
            return b;
        }
    }
    error_setg(errp, "Dirty bitmap '%s' not found", name);
    return NULL;
}

bool block_bitmap_check(const BlockNode *bs, const BlockBitmap *b, bool change, Error **errp)
{
    if (b->busy) {
        error_setg(errp, "Bitmap '%s' is currently in use by another operation and cannot be used",
                   b->name);
    } else if (b->inconsistent) {
        error_setg(errp, "Bitmap '%s' is inconsistent and cannot be used", b->name);
    } else if (change && b->persistent && bs->is_ro) {
        error_setg(errp, "Bitmap '%s' is readonly and cannot be modified", b->name);
    } else {
        return true;
    }
    return false;
}

BlockBitmap *block_bitmap_new(BlockNode *bs, const char *name, BlockDirty *bits,
                              unsigned chunk_bits)
{
    BlockBitmap *b = g_new0(BlockBitmap, 1), **last = &bs->bitmaps;

    b->name = g_strdup(name);
    b->bits = bits;
    b->chunk_bits = chunk_bits;
    g_mutex_lock(&lock);
    while (*last) {
        last = &(*last)->next;
    }
    __atomic_store_n(last, b, __ATOMIC_RELEASE);
    g_mutex_unlock(&lock);
    return b;
}

static void bitmap_free(BlockNode *bs, BlockBitmap *b)
{
    BlockBitmap **at = &bs->bitmaps;

    g_mutex_lock(&lock);
    while (*at != b) {
        at = &(*at)->next;
    }
    __atomic_store_n(at, b->next, __ATOMIC_RELEASE);
    g_mutex_unlock(&lock);
    block_dirty_free(b->bits);
    g_free(b->name);
    g_free(b);
}

BlockDirty *block_bitmap_swap(BlockBitmap *b, BlockDirty *bits)
{
    BlockDirty *old = b->bits;

    g_mutex_lock(&lock);
    b->bits = bits;
    g_mutex_unlock(&lock);
    return old;
}

void block_bitmaps_resize(BlockNode *bs, uint64_t length)
{
    for (BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        BlockDirty *bits = b->bits ? block_dirty_new(length, b->chunk_bits) : NULL;

        if (bits) {
            block_dirty_merge(bits, b->bits);
            block_dirty_free(block_bitmap_swap(b, bits));
        }
    }
}

void block_bitmaps_free(BlockNode *bs)
{
    while (bs->bitmaps) {
        bitmap_free(bs, bs->bitmaps);
    }
}

void block_bitmaps_mark(BlockNode *bs, uint64_t offset, uint64_t bytes)
{
    if (!__atomic_load_n(&bs->bitmaps, __ATOMIC_ACQUIRE)) {
        return;
    }
    g_mutex_lock(&lock);
    for (BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        if (b->enabled && b->bits) {
            block_dirty_mark(b->bits, offset, bytes);
        }
    }
    g_mutex_unlock(&lock);
}

void block_foreach_bitmap(const BlockNode *bs, BlockBitmapInfoFn *fn, void *opaque)
{
    for (const BlockBitmap *b = bs->bitmaps; b; b = b->next) {
        BlockBitmapInfo info = {
            .name = b->name, .granularity = 1u << b->chunk_bits,
            .count = b->bits ? block_dirty_count(b->bits) : 0,
            .recording = b->enabled && !b->inconsistent, .busy = b->busy,
            .persistent = b->persistent, .inconsistent = b->inconsistent, .stored = b->stored,
            .in_use = b->inconsistent || !bs->is_ro,
        };

        fn(&info, opaque);
    }
}

/* Actions ---------------------------------------------------------------------------------- */

typedef struct BitmapAction {
    BlockAction action;
    BlockBitmapAction o;
    BlockNode *bs;
    BlockBitmap *b;             /* what it is about; NULL: not yet, or nothing was changed */
    BlockDirty *old;            /* clear, merge: its bits before */
    BlockBitmapName from[];
} BitmapAction;

static BlockNode *find_node(const char *name, Error **errp)
{
    BlockNode *bs = block_find_node(name);
    BlockBackend *blk = bs ? NULL : blk_get(name, errp);

    return blk ? blk->root : bs;
}

/* The node and the bitmap that an action changes. */
static bool find_bitmap(BitmapAction *a, Error **errp)
{
    BlockBitmap *b;

    a->bs = find_node(a->o.node, errp);
    b = a->bs ? block_bitmap_find(a->bs, a->o.name, errp) : NULL;
    if (!b || !block_bitmap_check(a->bs, b, true, errp)) {
        return false;
    }
    a->b = b;
    return true;
}

static uint64_t default_granularity(const BlockNode *bs)
{
    BlockImageInfo info;

    block_image_info(bs, &info);
    return info.cluster_size ? CLAMP(info.cluster_size, 4096, 65536) : 65536;
}

static bool check_new(const BitmapAction *a, uint64_t granularity, Error **errp)
{
    if (!*a->o.name) {
        error_setg(errp, "Bitmap name cannot be empty");
    } else if (strlen(a->o.name) > BITMAP_MAX_NAME) {
        error_setg(errp, "Bitmap name too long: %s", a->o.name);
    } else if (granularity < MIN_GRANULARITY || granularity > MAX_GRANULARITY ||
               (granularity & (granularity - 1))) {
        error_setg(errp, "Granularity must be a power of two between 512 and 2147483648");
    } else if (block_bitmap_find(a->bs, a->o.name, NULL)) {
        error_setg(errp, "Bitmap already exists: %s", a->o.name);
    } else if (a->o.persistent && !block_driver(a->bs)->can_store_bitmap) {
        error_setg(errp, "Cannot store dirty bitmaps in file '%s'", a->bs->filename);
    } else {
        return !a->o.persistent || block_driver(a->bs)->can_store_bitmap(a->bs, errp);
    }
    return false;
}

static bool add_prepare(BlockAction *action, Error **errp)
{
    BitmapAction *a = downcast(action, BitmapAction, action);
    uint64_t granularity = a->o.granularity;
    BlockDirty *bits;

    a->bs = find_node(a->o.node, errp);
    if (!a->bs) {
        return false;
    }
    granularity = granularity ? granularity : default_granularity(a->bs);
    if (!check_new(a, granularity, errp)) {
        return false;
    }
    bits = block_dirty_new(a->bs->length, __builtin_ctzll(granularity));
    if (!bits) {
        error_setg(errp, "Not enough memory for the bitmap");
        return false;
    }
    a->b = block_bitmap_new(a->bs, a->o.name, bits, __builtin_ctzll(granularity));
    a->b->persistent = a->o.persistent;
    a->b->enabled = a->o.enabled;
    return true;
}

static void add_abort(BlockAction *action)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    if (a->b) {
        bitmap_free(a->bs, a->b);
    }
}

static bool remove_prepare(BlockAction *action, Error **errp)
{
    BitmapAction *a = downcast(action, BitmapAction, action);
    BlockBitmap *b;

    a->bs = find_node(a->o.node, errp);
    b = a->bs ? block_bitmap_find(a->bs, a->o.name, errp) : NULL;
    if (!b || (!b->inconsistent && !block_bitmap_check(a->bs, b, true, errp))) {
        return false;
    }
    if (b->inconsistent && (b->busy || a->bs->is_ro)) {
        error_setg(errp, "Bitmap '%s' is readonly and cannot be modified", b->name);
        return false;
    }
    a->b = b;
    b->busy = true;
    return true;
}

static void remove_abort(BlockAction *action)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    if (a->b) {
        a->b->busy = false;
    }
}

static void remove_commit(BlockAction *action)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    bitmap_free(a->bs, a->b);
}

/* Bits that are the bitmap's from now on, marked as from is (NULL: nothing is). */
static bool take_new_bits(BitmapAction *a, BlockDirty *from, Error **errp)
{
    BlockDirty *bits = block_dirty_new(a->bs->length, a->b->chunk_bits);

    if (!bits) {
        error_setg(errp, "Not enough memory for the bitmap");
        return false;
    }
    if (from) {
        block_dirty_merge(bits, from);
    }
    a->old = block_bitmap_swap(a->b, bits);
    return true;
}

static bool clear_prepare(BlockAction *action, Error **errp)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    return find_bitmap(a, errp) && take_new_bits(a, NULL, errp);
}

static bool merge_one(BitmapAction *a, const BlockBitmapName *name, Error **errp)
{
    BlockNode *bs = name->node ? find_node(name->node, errp) : a->bs;
    BlockBitmap *from = bs ? block_bitmap_find(bs, name->name, errp) : NULL;

    if (!from || !block_bitmap_check(bs, from, false, errp)) {
        return false;
    }
    if (bs->length != a->bs->length) {
        error_setg(errp, "Bitmaps are of different sizes (destination size is %" G_GUINT64_FORMAT
                   ") and can't be merged", a->bs->length);
        return false;
    }
    block_dirty_merge(a->b->bits, from->bits);
    return true;
}

static bool merge_prepare(BlockAction *action, Error **errp)
{
    BitmapAction *a = downcast(action, BitmapAction, action);
    bool ok = find_bitmap(a, errp) && take_new_bits(a, a->b->bits, errp);

    for (unsigned i = 0; ok && i < a->o.n_from; i++) {
        ok = merge_one(a, &a->from[i], errp);
    }
    return ok;
}

static void bits_abort(BlockAction *action)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    if (a->old) {
        block_dirty_free(block_bitmap_swap(a->b, a->old));
    }
}

static void bits_commit(BlockAction *action)
{
    block_dirty_free(downcast(action, BitmapAction, action)->old);
}

static bool enable_prepare(BlockAction *action, Error **errp)
{
    BitmapAction *a = downcast(action, BitmapAction, action);
    bool was;

    if (!find_bitmap(a, errp)) {
        return false;
    }
    was = a->b->enabled;
    a->b->enabled = a->o.enabled;
    a->o.enabled = was;         /* what it is again, where the transaction fails */
    return true;
}

static void enable_abort(BlockAction *action)
{
    BitmapAction *a = downcast(action, BitmapAction, action);

    if (a->b) {
        a->b->enabled = a->o.enabled;
    }
}

BlockAction *block_action_bitmap(BlockBitmapVerb verb, const BlockBitmapAction *o)
{
    static const BlockActionOps ops[] = {
        [BITMAP_ADD] = { .prepare = add_prepare, .abort = add_abort },
        [BITMAP_REMOVE] = { .prepare = remove_prepare, .abort = remove_abort,
                            .commit = remove_commit },
        [BITMAP_CLEAR] = { .prepare = clear_prepare, .abort = bits_abort, .commit = bits_commit },
        [BITMAP_MERGE] = { .prepare = merge_prepare, .abort = bits_abort, .commit = bits_commit },
        [BITMAP_ENABLE] = { .prepare = enable_prepare, .abort = enable_abort },
    };
    BitmapAction *a = g_malloc0(sizeof(*a) + o->n_from * sizeof(*o->from));

    a->action.ops = &ops[verb];
    a->o = *o;
    for (unsigned i = 0; i < o->n_from; i++) {
        a->from[i] = o->from[i];
    }
    return &a->action;
}
