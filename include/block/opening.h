/*
 * Nodes whose opening takes long: what blockdev_add() would wait for, before it is called.
 *
 * Main thread with the machine lock.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_OPENING_H
#define BLOCK_OPENING_H

#include "block/block.h"

/*
 * What blockdev_add(opts) would wait for is begun, and fn is called in the main loop when it is
 * there, or cannot be had; blockdev_add() then takes it. NULL: there is nothing to wait for.
 */
typedef struct BlockOpening BlockOpening;
typedef void BlockOpeningFunc(void *opaque);
BlockOpening *block_opening_new(const QemuOpts *opts, BlockOpeningFunc *fn, void *opaque);
/* What has not been taken is given up. NULL is harmless. */
void block_opening_free(BlockOpening *opening);

#endif
