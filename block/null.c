/*
 * The "null-co" driver: a disk that takes everything and has nothing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "block-internal.h"
#include "qemu/cutils.h"
#include "qemu/iov.h"

typedef struct NullNode {
    BlockNode bs;
    uint64_t size;
    uint64_t latency_ns;
    bool read_zeroes;
} NullNode;

static bool null_open(BlockNode *bs, Error **errp)
{
    bs->length = downcast(bs, NullNode, bs)->size;
    bs->align = bs->mem_align = 1;
    bs->filename = "null-co://";
    return true;
}

static int null_run(BlockNode *bs, BlockRequest *req)
{
    NullNode *null = downcast(bs, NullNode, bs);

    if (null->latency_ns) {
        g_usleep(null->latency_ns / 1000);
    }
    /* Guests never see memory of ours, so zeroes even if nobody asked for them. */
    if (req->node_op == BLOCK_OP_READ) {
        iov_memset(req->iov, req->niov, 0, 0, req->bytes);
    }
    return 0;
}

static void null_submit(BlockNode *bs, BlockRequest *req)
{
    if (downcast(bs, NullNode, bs)->latency_ns) {
        BlockEngine *pool = block_pool(bs);

        pool->ops->submit(pool, req);
    } else {
        block_request_done(req, null_run(bs, req));
    }
}

static void null_copy_options(BlockNode *to, const BlockNode *from)
{
    downcast(to, NullNode, bs)->size = downcast(from, const NullNode, bs)->size;
    downcast(to, NullNode, bs)->latency_ns = downcast(from, const NullNode, bs)->latency_ns;
}

static int null_truncate(BlockNode *bs, uint64_t size)
{
    __atomic_store_n(&bs->length, size, __ATOMIC_RELEASE);
    return 0;
}

static const Property null_props[] = {
    DEFINE_PROP_SIZE("size", NullNode, size, "1073741824", "bytes"),
    DEFINE_PROP_UINT64("latency-ns", NullNode, latency_ns, "0", "time that a request takes"),
    DEFINE_PROP_BOOL("read-zeroes", NullNode, read_zeroes, "on", "accepted: always on"),
    DEFINE_PROP_IGNORED("filename", "accepted, without effect"),
    DEFINE_PROP_END
};

static const BlockDriver block_null = {
    .oc = {
        .name = "null-co",
        .alias = "null-aio",
        .desc = "A disk without contents",
        .parent = &block_node_base_class,
        .instance_size = sizeof(NullNode),
        .props = null_props,
    },
    .is_protocol = true,
    .copy_options = null_copy_options,
    .open = null_open,
    .submit = null_submit,
    .run = null_run,
    .truncate = null_truncate,
};
DEFINE_CLASS(block_null, &block_null.oc);
