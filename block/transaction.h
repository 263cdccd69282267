/*
 * How actions of a transaction are made.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_TRANSACTION_H
#define BLOCK_TRANSACTION_H

#include "block/action.h"

/*
 * All on the main thread, while no disk has anything in flight: prepare() of each action in their
 * order, then commit() of each, or else abort() of those that were prepared, and of the one that
 * failed, backwards.
 */
typedef struct BlockActionOps {
    bool (*prepare)(BlockAction *a, Error **errp);
    void (*commit)(BlockAction *a);     /* may be NULL */
    void (*abort)(BlockAction *a);      /* may be NULL */
    BlockJob *(*job)(BlockAction *a);   /* that it starts by commit(); NULL: it makes none */
} BlockActionOps;

/* Actions embed it; it is freed by g_free(). */
struct BlockAction {
    const BlockActionOps *ops;
};

#endif
