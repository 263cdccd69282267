/*
 * Which parts of a disk somebody has to look at: a bit for each chunk of it.
 *
 * Any thread, without a lock, but for making and freeing.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef BLOCK_DIRTY_H
#define BLOCK_DIRTY_H

#include <stdbool.h>
#include <stdint.h>

typedef struct BlockDirty BlockDirty;

/* Nothing is marked. A chunk has 1 << chunk_bits bytes. NULL: there is not that much memory. */
BlockDirty *block_dirty_new(uint64_t length, unsigned chunk_bits);
void block_dirty_free(BlockDirty *d);
uint64_t block_dirty_chunks(const BlockDirty *d);

/* All chunks that have any of these bytes. */
void block_dirty_mark(BlockDirty *d, uint64_t offset, uint64_t bytes);
/* What is marked in from is marked in to. */
void block_dirty_merge(BlockDirty *to, BlockDirty *from);
void block_dirty_unmark(BlockDirty *d, uint64_t chunk);
bool block_dirty_test(BlockDirty *d, uint64_t chunk);
/* True once for each mark: the caller sees to the chunk. */
bool block_dirty_take(BlockDirty *d, uint64_t chunk);
/* The first chunk from this one on that is marked, or is not; their number: none. */
uint64_t block_dirty_next(BlockDirty *d, uint64_t chunk, bool marked);
/* Bytes that are marked; whole chunks. */
uint64_t block_dirty_count(BlockDirty *d);

#endif
