/*
 * What a driver does before a node is opened.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_BEGIN_H
#define BLOCK_BEGIN_H

#include "block/opening.h"
#include "blockdev.h"

/* Main thread, but for what new() begins. */
typedef struct BlockBeginOps {
    /*
     * What takes long about opening a node with these options begins in another thread, which
     * sets ready when it is done. A node that is not registered; NULL: nothing takes long.
     * open() of a node with the same options takes what there is.
     */
    BlockNode *(*new)(QemuOpts *opts, EventNotifier *ready);
    bool (*is_done)(BlockNode *begun);
    void (*free)(BlockNode *begun);     /* what was not taken is given up */
} BlockBeginOps;

#endif
