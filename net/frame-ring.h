/*
 * A ring of records in memory that two processes share: one puts, the other takes, and neither
 * believes the other.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef NET_FRAME_RING_H
#define NET_FRAME_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* In the shared memory. Positions count bytes that ever went by, modulo 2^32. */
typedef struct FrameRingShared {
    _Alignas(64) _Atomic uint32_t head;     /* written by who puts */
    _Atomic uint32_t wants_room;            /* who puts sleeps; cleared by who takes */
    _Alignas(64) _Atomic uint32_t tail;     /* written by who takes */
    _Atomic uint32_t wants_frames;          /* who takes sleeps; cleared by who puts */
} FrameRingShared;

/* One side's view: its own position is here, where the other side cannot change it. */
typedef struct FrameRing {
    FrameRingShared *shared;
    uint8_t *data;          /* size bytes, aligned to 4 */
    uint32_t size;          /* a power of two */
    uint32_t pos;           /* own: head of who puts, tail of who takes */
    uint32_t skip;          /* between reserve and commit: left out at the end of data */
    uint32_t record;        /* between peek and next: bytes of the record, its header included */
} FrameRing;

void frame_ring_init(FrameRing *r, FrameRingShared *shared, void *data, uint32_t size);

/* Who puts ------------------------------------------------------------------ */

/* Room for len bytes in one piece, or NULL: it is full, or the other side lies. */
uint8_t *frame_ring_reserve(FrameRing *r, uint32_t len);
/* The reserved record is there: len > 0 bytes, no more than were reserved; type below 128. */
void frame_ring_commit(FrameRing *r, unsigned type, uint32_t len);
/* Both of them. False: there was no room. */
bool frame_ring_put(FrameRing *r, unsigned type, const void *data, uint32_t len);
/* Whether who takes has to be woken for what was put; it is asked for once. */
bool frame_ring_wants_frames(FrameRing *r);
/*
 * Ask to be woken when three quarters of the ring are free: room for a record of a third of it,
 * wherever it has to be. True: they are.
 */
bool frame_ring_await_room(FrameRing *r);

/* Who takes ----------------------------------------------------------------- */

/*
 * The oldest record's length and type; data is in the shared memory: to be read once. 0: there is
 * none. -EPROTO: who puts has written nonsense, or more than max bytes.
 */
ssize_t frame_ring_peek(FrameRing *r, uint32_t max, const uint8_t **data, unsigned *type);
/* The record of the last peek is not needed any more. */
void frame_ring_next(FrameRing *r);
/* Ask to be woken for a record. True: there is one, or nonsense. */
bool frame_ring_await_frames(FrameRing *r);
/* Whether who puts has to be woken because there is room again. */
bool frame_ring_wants_room(FrameRing *r);
/* Forget all records up to pos, a position of who puts. False: it is no such thing. */
bool frame_ring_skip_to(FrameRing *r, uint32_t pos);

#endif
