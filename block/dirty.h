/*
 * What a disk has written since somebody looked.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_DIRTY_H
#define BLOCK_DIRTY_H

#include <stdint.h>

typedef struct BlockDirty BlockDirty;

/* Any thread. */
void block_dirty_mark(BlockDirty *d, uint64_t offset, uint64_t bytes);

#endif
