/*
 * A ring of records in shared memory.
 *
 * A record is a word (its type and length) and its bytes, in one piece and aligned to 4: what does
 * not fit before the end of the memory begins anew at its start, and a word says so. When all has
 * been taken the next record begins there, too, so that little traffic stays in few pages.
 *
 * Who sleeps says so and looks again; who changes something looks whether somebody sleeps. A
 * full fence between the two on both sides lets neither miss the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "frame-ring.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

#define WORD sizeof(uint32_t)
#define TYPE_SHIFT 24
#define LEN_MASK ((1u << TYPE_SHIFT) - 1)
/* In the place of a record: the next one is at the start of the memory. */
#define TO_START UINT32_MAX

static uint32_t record_size(uint32_t len)
{
    return WORD + ((len + 3) & ~3u);
}

static _Atomic uint32_t *word_at(const FrameRing *r, uint32_t pos)
{
    return (_Atomic uint32_t *)(void *)(r->data + (pos & (r->size - 1)));
}

static uint32_t to_end(const FrameRing *r)
{
    return r->size - (r->pos & (r->size - 1));
}

void frame_ring_init(FrameRing *r, FrameRingShared *shared, void *data, uint32_t size)
{
    *r = (FrameRing) { .shared = shared, .data = data, .size = size };
}

/* Who puts ------------------------------------------------------------------ */

uint8_t *frame_ring_reserve(FrameRing *r, uint32_t len)
{
    uint32_t used = r->pos - atomic_load_explicit(&r->shared->tail, memory_order_acquire);
    uint32_t need = record_size(len), rest = to_end(r);
    bool early = !used && r->size - rest >= MAX(need, r->size / 8);

    r->skip = early || rest < need ? rest : 0;
    if (used > r->size || need > r->size || r->skip + need > r->size - used) {
        return NULL;
    }
    return (uint8_t *)word_at(r, r->pos + r->skip) + WORD;
}

void frame_ring_commit(FrameRing *r, unsigned type, uint32_t len)
{
    if (r->skip) {
        atomic_store_explicit(word_at(r, r->pos), TO_START, memory_order_relaxed);
        r->pos += r->skip;
    }
    atomic_store_explicit(word_at(r, r->pos), type << TYPE_SHIFT | len, memory_order_relaxed);
    r->pos += record_size(len);
    atomic_store_explicit(&r->shared->head, r->pos, memory_order_release);
}

bool frame_ring_put(FrameRing *r, unsigned type, const void *data, uint32_t len)
{
    uint8_t *to = frame_ring_reserve(r, len);

    if (to) {
        memcpy(to, data, len);
        frame_ring_commit(r, type, len);
    }
    return to;
}

bool frame_ring_wants_frames(FrameRing *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&r->shared->wants_frames, memory_order_relaxed) &&
           atomic_exchange(&r->shared->wants_frames, 0);
}

/* The longest record fits then, wherever it has to be. */
static bool has_room(const FrameRing *r)
{
    return r->pos - atomic_load_explicit(&r->shared->tail, memory_order_acquire) <= r->size / 4;
}

bool frame_ring_await_room(FrameRing *r)
{
    atomic_store(&r->shared->wants_room, 1);
    atomic_thread_fence(memory_order_seq_cst);
    return has_room(r);
}

/* Who takes ----------------------------------------------------------------- */

static uint32_t waiting(const FrameRing *r)
{
    return atomic_load_explicit(&r->shared->head, memory_order_acquire) - r->pos;
}

ssize_t frame_ring_peek(FrameRing *r, uint32_t max, const uint8_t **data, unsigned *type)
{
    uint32_t used = waiting(r), word, len;

    if (!used) {
        return 0;
    }
    if (used > r->size || used % WORD) {
        return -EPROTO;
    }
    word = atomic_load_explicit(word_at(r, r->pos), memory_order_relaxed);
    if (word == TO_START) {
        uint32_t rest = to_end(r);

        if (rest >= used) {
            return -EPROTO;
        }
        r->pos += rest;
        used -= rest;
        word = atomic_load_explicit(word_at(r, r->pos), memory_order_relaxed);
    }
    len = word & LEN_MASK;
    if (!len || len > max || record_size(len) > MIN(used, to_end(r))) {
        return -EPROTO;
    }
    r->record = record_size(len);
    *type = word >> TYPE_SHIFT;
    *data = (const uint8_t *)word_at(r, r->pos) + WORD;
    return len;
}

void frame_ring_next(FrameRing *r)
{
    r->pos += r->record;
    r->record = 0;
    atomic_store_explicit(&r->shared->tail, r->pos, memory_order_release);
}

bool frame_ring_await_frames(FrameRing *r)
{
    atomic_store(&r->shared->wants_frames, 1);
    atomic_thread_fence(memory_order_seq_cst);
    return waiting(r);
}

bool frame_ring_wants_room(FrameRing *r)
{
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&r->shared->wants_room, memory_order_relaxed) &&
           waiting(r) <= r->size / 4 && atomic_exchange(&r->shared->wants_room, 0);
}

bool frame_ring_skip_to(FrameRing *r, uint32_t pos)
{
    uint32_t used = waiting(r);

    if (used > r->size || pos - r->pos > used || pos % WORD) {
        return false;
    }
    r->pos = pos;
    atomic_store_explicit(&r->shared->tail, pos, memory_order_release);
    return true;
}
