/*
 * An image in memory that fails, and waits, when a test says so.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "fault-node.h"

#include <string.h>

typedef struct FaultNode {
    BlockNode bs;
    uint8_t *data;
} FaultNode;

struct Fault fault;

static bool fault_open(BlockNode *bs, Error **errp)
{
    bs->length = FAULT_SIZE;
    bs->filename = "fault";
    ((FaultNode *)bs)->data = g_malloc0(FAULT_SIZE);
    return true;
}

static void fault_close(BlockNode *bs)
{
    g_free(((FaultNode *)bs)->data);
}

static void count(unsigned *counter, bool it)
{
    __atomic_fetch_add(counter, it, __ATOMIC_SEQ_CST);
}

static int fault_run(BlockNode *bs, BlockRequest *req)
{
    uint8_t *p = ((FaultNode *)bs)->data + req->pos;

    while (__atomic_load_n(&fault.held, __ATOMIC_SEQ_CST)) {
        g_usleep(100);
    }
    count(&fault.seen[req->node_op], true);
    count(&fault.fua, req->node_flags & BLOCK_REQ_FUA);
    count(&fault.unmap, req->node_flags & BLOCK_REQ_MAY_UNMAP);
    if (fault.delay_us) {
        g_usleep(fault.delay_us);
    }
    if (fault.error[req->node_op]) {
        return -fault.error[req->node_op];
    }
    for (unsigned i = 0; i < req->niov; p += req->iov[i++].iov_len) {
        if (req->node_op == BLOCK_OP_READ) {
            memcpy(req->iov[i].iov_base, p, req->iov[i].iov_len);
        } else {
            memcpy(p, req->iov[i].iov_base, req->iov[i].iov_len);
        }
    }
    if (req->node_op == BLOCK_OP_WRITE_ZEROES) {
        memset(p, 0, req->bytes);
    }
    return 0;
}

static const BlockDriver block_fault = {
    .oc = { .name = "fault", .parent = &block_node_base_class,
            .instance_size = sizeof(FaultNode) },
    .is_protocol = true,
    .open = fault_open,
    .close = fault_close,
    .run = fault_run,
};

void fault_drive_new(const char *id)
{
    BlockNode *bs = (BlockNode *)object_new(&block_fault.oc, NULL);

    memset(&fault, 0, sizeof(fault));
    g_assert_true(block_node_open(bs, NULL));
    bs->discard = true;
    blk_new(id, bs);
}
