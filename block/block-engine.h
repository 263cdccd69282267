/*
 * Engines: who waits for the host.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BLOCK_ENGINE_H
#define BLOCK_BLOCK_ENGINE_H

#include "block-internal.h"

/* What stands on bs and on nothing else's behalf: the node that a disk has. */
static inline BlockNode *block_top(const BlockNode *bs)
{
    while (bs->parent) {
        bs = bs->parent;
    }
    return (BlockNode *)bs;
}

typedef struct BlockEngineOps {
    void (*submit)(BlockEngine *e, BlockRequest *req);
    /* Hand over what submit() collected. */
    void (*kick)(BlockEngine *e);
    /* Deliver completions; with wait, at least one (something is in flight). */
    void (*poll)(BlockEngine *e, bool wait);
    void (*free)(BlockEngine *e);
} BlockEngineOps;

struct BlockEngine {
    const BlockEngineOps *ops;
    BlockNode *bs;
    unsigned in_flight;         /* loop only */
};

/* Worker threads that call the driver's run(). Never fails. */
BlockEngine *block_threads_new(BlockNode *bs);
/* A ring for fd; NULL when the host has no io_uring (errno in *err). */
BlockEngine *block_io_uring_new(BlockNode *bs, int fd, int *err);
static inline void block_engine_free(BlockEngine *e)
{
    if (e) {
        e->ops->free(e);
    }
}
/* bs's worker threads, made at first use. */
BlockEngine *block_pool(BlockNode *bs);
/* Of bs and all below it: new ones. Main thread, nothing is in flight. */
void block_renew_engines(BlockNode *bs);

#endif
