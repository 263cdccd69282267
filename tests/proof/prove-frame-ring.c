/*
 * Proof: rings of 16 bytes that a hostile process shares, and changes while they are used. Any
 * positions of its own, any records up to one that is too long: what is peeked at, reserved and
 * written lies in the ring, whatever the words there say, and wherever the position is.
 *
 * Eva: 1000000 20
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stdatomic.h>
#include <stdint.h>

#include "__fc_builtin.h"

/* What is shared is read by read_shared(); who writes there writes for others. */
#define _Atomic
#define _Alignas(n)
#undef atomic_thread_fence
#undef atomic_load_explicit
#undef atomic_store_explicit
#undef atomic_store
#undef atomic_exchange
#define atomic_thread_fence(order) ((void)0)
#define atomic_load_explicit(p, order) read_shared(p)
#define atomic_store_explicit(p, value, order) (*(p) = (value))
#define atomic_store(p, value) (*(p) = (value))
#define atomic_exchange(p, value) (*(p) = (value), read_shared(p))

static uint32_t read_shared(const uint32_t *p);

#include "net/frame-ring.c"

#define SIZE 16u
#define WORDS (SIZE / 4)

static FrameRingShared shared;
static uint32_t ring[WORDS];
static uint32_t own, distance, words[2];
static unsigned at, len, place, choice[2];

/* Of the other side: how far its position is; then two words, which may be the same one. */
static uint32_t read_shared(const uint32_t *p)
{
    if (p == &shared.head) {
        return own + distance;
    }
    if (p == &shared.tail) {
        return own - distance;
    }
    if (p >= ring && p < ring + WORDS) {
        uint32_t in_ring = *p;      /* an access to it, which has to be allowed */

        return in_ring - in_ring + words[at++ & 1];
    }
    return Frama_C_unsigned_int_interval(0, UINT32_MAX);
}

/* A record of up to SIZE + 1 bytes, one that is much longer, or the way to the start. */
static uint32_t word_of(unsigned n)
{
    return n == SIZE + 2 ? LEN_MASK : n == SIZE + 3 ? TO_START : n;
}

static void take(FrameRing *r)
{
    const uint8_t *data;
    unsigned type;
    ssize_t got = frame_ring_peek(r, SIZE, &data, &type);

    if (got > 0) {
        volatile uint8_t first = data[0], last = data[got - 1];

        frame_ring_next(r);
    }
}

static void put(FrameRing *r)
{
    uint8_t *to = frame_ring_reserve(r, len);

    if (to) {
        to[0] = to[len - 1] = 1;
        frame_ring_commit(r, 1, len);
    }
}

int main(void)
{
    FrameRing r;

    place = Frama_C_unsigned_int_interval(0, 2 * WORDS - 1);
    distance = Frama_C_unsigned_int_interval(0, SIZE + 1);
    /*@ split place; */
    /*@ split distance; */
    frame_ring_init(&r, &shared, ring, SIZE);
    r.pos = own = place * 4 - SIZE;         /* around the end of the numbers */
    if (Frama_C_interval(0, 1)) {
        choice[0] = Frama_C_unsigned_int_interval(0, SIZE + 3);
        /*@ split choice[0]; */
        words[0] = word_of(choice[0]);
        if (words[0] == TO_START) {
            choice[1] = Frama_C_unsigned_int_interval(0, SIZE + 3);
            /*@ split choice[1]; */
            words[1] = word_of(choice[1]);
        }
        take(&r);
    } else {
        len = Frama_C_unsigned_int_interval(1, SIZE + 1);
        /*@ split len; */
        put(&r);
    }
    frame_ring_await_frames(&r);
    frame_ring_skip_to(&r, Frama_C_unsigned_int_interval(0, UINT32_MAX));
    return 0;
}
