/*
 * The filter "throttle": what passes it has the limits of a throttle-group.
 *
 * It stands at the top, where the guest's requests come from. What jobs read and write through it
 * does not wait: it is paid for by what the guest does next.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "job-internal.h"
#include "throttle-internal.h"

typedef struct ThrottleNode {
    BlockNode bs;
    char *group;
    ThrottleMember member;
} ThrottleNode;

static bool throttle_open(BlockNode *bs, Error **errp)
{
    ThrottleNode *t = downcast(bs, ThrottleNode, bs);

    if (!t->group) {
        error_setg(errp, "Parameter 'throttle-group' is missing");
        return false;
    }
    if (!throttle_group_find(t->group)) {
        error_setg(errp, "Throttle group '%s' does not exist", t->group);
        return false;
    }
    if (bs->file->is_ro && !bs->read_only && !bs->file->auto_read_only) {
        error_setg(errp, "Block node is read-only");
        return false;
    }
    bs->is_ro |= bs->file->is_ro;
    bs->length = bs->file->length;
    bs->align = bs->file->align;
    bs->mem_align = bs->file->mem_align;
    bs->filename = bs->file->filename;
    bs->direct = bs->file->direct;
    bs->no_flush |= bs->file->no_flush;
    t->member.node = bs;
    throttle_join(&t->member, throttle_group_get(t->group), block_context(bs));
    return true;
}

static void throttle_close(BlockNode *bs)
{
    throttle_leave(&downcast(bs, ThrottleNode, bs)->member);
}

static void throttle_node_submit(BlockNode *bs, BlockRequest *req)
{
    throttle_submit(&downcast(bs, ThrottleNode, bs)->member, req);
}

static int throttle_node_run(BlockNode *bs, BlockRequest *req)
{
    throttle_note(&downcast(bs, ThrottleNode, bs)->member, req);
    return block_run(bs->file, req);
}

static void throttle_moved(BlockNode *bs)
{
    throttle_set_context(&downcast(bs, ThrottleNode, bs)->member, block_context(bs));
}

static void throttle_drain(BlockNode *bs)
{
    throttle_release(&downcast(bs, ThrottleNode, bs)->member);
}

static int throttle_truncate(BlockNode *bs, uint64_t size)
{
    int ret = block_driver(bs->file)->truncate ?
              block_driver(bs->file)->truncate(bs->file, size) : -ENOTSUP;

    if (ret == 0) {
        __atomic_store_n(&bs->length, size, __ATOMIC_RELEASE);
    }
    return ret;
}

static bool throttle_reads_zero(BlockNode *bs, uint64_t pos, uint64_t bytes, uint64_t *n)
{
    return block_reads_zero(bs->file, pos, bytes, n);
}

static const Property throttle_props[] = {
    DEFINE_PROP_STRING("throttle-group", ThrottleNode, group, NULL,
                       "ID of the -object throttle-group"),
    DEFINE_PROP_END
};

static const BlockDriver block_throttle = {
    .oc = {
        .name = "throttle",
        .desc = "a disk with limits",
        .parent = &block_node_base_class,
        .instance_size = sizeof(ThrottleNode),
        .props = throttle_props,
    },
    .top_only = true,
    .open = throttle_open,
    .close = throttle_close,
    .submit = throttle_node_submit,
    .run = throttle_node_run,
    .truncate = throttle_truncate,
    .moved = throttle_moved,
    .drain = throttle_drain,
    .reads_zero = IMAGE_JOBS(throttle_reads_zero),
};
DEFINE_CLASS(block_throttle, &block_throttle.oc);
