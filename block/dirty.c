/*
 * Which parts of a disk somebody has to look at.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dirty.h"

#include <glib.h>
#include <stdatomic.h>

#include "qemu/cutils.h"

struct BlockDirty {
    uint64_t chunks;
    unsigned chunk_bits;
    _Atomic uint64_t bits[];
};

BlockDirty *block_dirty_new(uint64_t length, unsigned chunk_bits)
{
    uint64_t chunks = length ? ((length - 1) >> chunk_bits) + 1 : 0;
    BlockDirty *d = g_try_malloc0(sizeof(BlockDirty) + DIV_ROUND_UP(chunks, 64) * 8);

    if (d) {
        d->chunks = chunks;
        d->chunk_bits = chunk_bits;
    }
    return d;
}

void block_dirty_free(BlockDirty *d)
{
    g_free(d);
}

uint64_t block_dirty_chunks(const BlockDirty *d)
{
    return d->chunks;
}

void block_dirty_mark(BlockDirty *d, uint64_t offset, uint64_t bytes)
{
    uint64_t last = bytes ? (offset + bytes - 1) >> d->chunk_bits : 0;

    for (uint64_t i = offset >> d->chunk_bits; bytes && i <= last && i < d->chunks; i++) {
        if (i % 64 == 0 && i + 63 <= last) {
            atomic_store(&d->bits[i / 64], i + 63 < d->chunks ? UINT64_MAX :
                         UINT64_MAX >> (63 - (d->chunks - 1) % 64));
            i += 63;
        } else {
            atomic_fetch_or(&d->bits[i / 64], 1ull << (i % 64));
        }
    }
}

void block_dirty_unmark(BlockDirty *d, uint64_t chunk)
{
    atomic_fetch_and(&d->bits[chunk / 64], ~(1ull << (chunk % 64)));
}

bool block_dirty_test(BlockDirty *d, uint64_t chunk)
{
    return chunk < d->chunks && atomic_load(&d->bits[chunk / 64]) >> (chunk % 64) & 1;
}

bool block_dirty_take(BlockDirty *d, uint64_t chunk)
{
    uint64_t bit = 1ull << (chunk % 64);

    return block_dirty_test(d, chunk) && (atomic_fetch_and(&d->bits[chunk / 64], ~bit) & bit);
}

uint64_t block_dirty_next(BlockDirty *d, uint64_t chunk, bool marked)
{
    while (chunk < d->chunks) {
        uint64_t word = atomic_load(&d->bits[chunk / 64]);

        word = (marked ? word : ~word) >> (chunk % 64);
        if (word) {
            return MIN(d->chunks, chunk + __builtin_ctzll(word));
        }
        chunk = QEMU_ALIGN_DOWN(chunk, 64) + 64;
    }
    return d->chunks;
}

uint64_t block_dirty_count(BlockDirty *d)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < DIV_ROUND_UP(d->chunks, 64); i++) {
        n += __builtin_popcountll(atomic_load(&d->bits[i]));
    }
    return n << d->chunk_bits;
}

void block_dirty_merge(BlockDirty *to, BlockDirty *from)
{
    for (uint64_t i = 0; (i = block_dirty_next(from, i, true)) < from->chunks;) {
        uint64_t end = block_dirty_next(from, i, false);

        block_dirty_mark(to, i << from->chunk_bits, (end - i) << from->chunk_bits);
        i = end;
    }
}
