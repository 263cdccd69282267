/*
 * Rings of frames between processes: what is put comes out, and what the other side writes into
 * the memory is never believed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <glib.h>
#include <string.h>

#include "net/frame-ring.h"

#define SIZE 4096
#define LONGEST (SIZE / 4 - 4)

/* The memory ends where nothing may be touched any more: an array of its own. */
typedef struct Pair {
    FrameRingShared *shared;
    uint8_t *data;
    FrameRing put, take;
} Pair;

static uint32_t chance(void)
{
    return g_test_rand_int();
}

static void pair_init(Pair *p)
{
    p->shared = g_new0(FrameRingShared, 1);
    p->data = g_malloc0(SIZE);
    frame_ring_init(&p->put, p->shared, p->data, SIZE);
    frame_ring_init(&p->take, p->shared, p->data, SIZE);
}

static void pair_free(Pair *p)
{
    g_free(p->shared);
    g_free(p->data);
}

static uint32_t fill(uint8_t *buf, unsigned n)
{
    uint32_t len = 1 + n * 7919u % LONGEST;

    memset(buf, n, len);
    return len;
}

static void check_taken(FrameRing *r, unsigned n)
{
    uint8_t want[LONGEST];
    const uint8_t *data;
    unsigned type;
    ssize_t len = frame_ring_peek(r, LONGEST, &data, &type);

    g_assert_cmpint(len, ==, fill(want, n));
    g_assert_cmpmem(data, len, want, len);
    g_assert_cmpuint(type, ==, n % 3);
    frame_ring_next(r);
}

/* All sizes in all places, in order; positions go beyond 2^32. */
static void test_order(void)
{
    uint8_t buf[LONGEST];
    unsigned put = 0, taken = 0;
    const uint8_t *data;
    unsigned type;
    Pair p;

    pair_init(&p);
    p.put.pos = p.take.pos = 0u - 64 * SIZE;
    atomic_store(&p.shared->head, p.put.pos);
    atomic_store(&p.shared->tail, p.put.pos);
    while (taken < 20000) {
        if (chance() % 3) {
            put += frame_ring_put(&p.put, put % 3, buf, fill(buf, put));
        } else if (taken < put) {
            check_taken(&p.take, taken++);
        } else {
            g_assert_cmpint(frame_ring_peek(&p.take, LONGEST, &data, &type), ==, 0);
        }
    }
    pair_free(&p);
}

/* Full is full; with room for any record who puts hears of it, once. */
static void test_room(void)
{
    uint8_t buf[LONGEST] = { 0 };
    unsigned n = 0;
    const uint8_t *data;
    unsigned type;
    Pair p;

    pair_init(&p);
    for (unsigned round = 0; round < 50; round++) {
        while (frame_ring_put(&p.put, 0, buf, 1 + chance() % 300)) {
            n++;
        }
        g_assert_false(frame_ring_await_room(&p.put));
        while (!frame_ring_wants_room(&p.take)) {
            g_assert_cmpint(frame_ring_peek(&p.take, LONGEST, &data, &type), >, 0);
            frame_ring_next(&p.take);
        }
        g_assert_false(frame_ring_wants_room(&p.take));
        g_assert_true(frame_ring_put(&p.put, 0, buf, LONGEST));
    }
    g_assert_cmpuint(n, >, 50);
    pair_free(&p);
}

/* A ring that is emptied each time stays in the first part of its memory. */
static void test_few_pages(void)
{
    uint8_t buf[100] = { 1 };
    const uint8_t *data;
    unsigned type;
    Pair p;

    pair_init(&p);
    for (unsigned i = 0; i < 1000; i++) {
        g_assert_true(frame_ring_put(&p.put, 0, buf, sizeof(buf)));
        g_assert_cmpint(frame_ring_peek(&p.take, LONGEST, &data, &type), ==, sizeof(buf));
        frame_ring_next(&p.take);
    }
    for (unsigned i = SIZE / 4; i < SIZE; i++) {
        g_assert_cmpint(p.data[i], ==, 0);
    }
    pair_free(&p);
}

static void test_wake_ups(void)
{
    uint8_t byte = 0;
    Pair p;

    pair_init(&p);
    g_assert_false(frame_ring_await_frames(&p.take));
    frame_ring_put(&p.put, 0, &byte, 1);
    g_assert_true(frame_ring_wants_frames(&p.put));
    g_assert_false(frame_ring_wants_frames(&p.put));
    g_assert_true(frame_ring_await_frames(&p.take));
    g_assert_true(frame_ring_await_room(&p.put));
    pair_free(&p);
}

/* Whatever positions and words: what is read lies in the memory (and a sanitizer looks on). */
static void test_hostile_put(void)
{
    const uint8_t *data;
    unsigned type, errors = 0;
    Pair p;

    pair_init(&p);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t at = chance() % (SIZE / 4), word = chance();
        ssize_t len;

        word = i % 5 == 0 ? UINT32_MAX : i % 5 == 1 ? word : word % (2 * SIZE);
        memcpy(p.data + 4 * at, &word, 4);
        atomic_store(&p.shared->head, i % 7 ? p.take.pos + word % (SIZE + 64)
                                            : chance());
        len = frame_ring_peek(&p.take, LONGEST, &data, &type);
        if (len > 0) {
            g_assert(data >= p.data && data + len <= p.data + SIZE && len <= LONGEST);
            frame_ring_next(&p.take);
        } else if (len < 0) {
            g_assert_cmpint(len, ==, -EPROTO);
            errors++;
            p.take.pos = chance() & ~3;
        }
        frame_ring_skip_to(&p.take, chance());
        p.take.pos &= ~3u;
    }
    g_assert_cmpuint(errors, >, 1000);
    pair_free(&p);
}

static void test_hostile_take(void)
{
    uint8_t buf[LONGEST] = { 0 };
    unsigned put = 0;
    Pair p;

    pair_init(&p);
    for (unsigned i = 0; i < 200000; i++) {
        uint32_t len = 1 + chance() % LONGEST;
        uint8_t *to;

        atomic_store(&p.shared->tail, i % 3 ? p.put.pos - chance() % (SIZE + 64)
                                            : chance());
        to = frame_ring_reserve(&p.put, len);
        if (to) {
            g_assert(to >= p.data + 4 && to + len <= p.data + SIZE);
            memcpy(to, buf, len);
            frame_ring_commit(&p.put, 0, len);
            put++;
        }
    }
    g_assert_cmpuint(put, >, 1000);
    pair_free(&p);
}

/* A reset: what was put before is left out; a position that lies is told. */
static void test_skip(void)
{
    uint8_t byte = 7;
    uint32_t pos;
    const uint8_t *data;
    unsigned type;
    Pair p;

    pair_init(&p);
    frame_ring_put(&p.put, 0, &byte, 1);
    pos = p.put.pos;
    frame_ring_put(&p.put, 1, &byte, 1);
    g_assert_false(frame_ring_skip_to(&p.take, pos + SIZE));
    g_assert_false(frame_ring_skip_to(&p.take, pos + 1));
    g_assert_true(frame_ring_skip_to(&p.take, pos));
    g_assert_cmpint(frame_ring_peek(&p.take, LONGEST, &data, &type), ==, 1);
    g_assert_cmpuint(type, ==, 1);
    g_assert_false(frame_ring_skip_to(&p.take, 0));
    pair_free(&p);
}

#define PASSES 200000u

static gpointer put_all(gpointer opaque)
{
    Pair *p = opaque;

    for (uint32_t i = 1; i <= PASSES;) {
        if (frame_ring_put(&p->put, 0, &i, sizeof(i))) {
            i++;
        }
    }
    return NULL;
}

static void test_threads(void)
{
    GThread *thread;
    Pair p;

    pair_init(&p);
    thread = g_thread_new("put", put_all, &p);
    for (uint32_t i = 1, got; i <= PASSES;) {
        const uint8_t *data;
        unsigned type;
        ssize_t len = frame_ring_peek(&p.take, LONGEST, &data, &type);

        g_assert_cmpint(len, >=, 0);
        if (len) {
            memcpy(&got, data, sizeof(got));
            g_assert_cmpuint(got, ==, i++);
            frame_ring_next(&p.take);
        }
    }
    g_thread_join(thread);
    pair_free(&p);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/frame-ring/order", test_order);
    g_test_add_func("/frame-ring/room", test_room);
    g_test_add_func("/frame-ring/few-pages", test_few_pages);
    g_test_add_func("/frame-ring/wake-ups", test_wake_ups);
    g_test_add_func("/frame-ring/hostile-put", test_hostile_put);
    g_test_add_func("/frame-ring/hostile-take", test_hostile_take);
    g_test_add_func("/frame-ring/skip", test_skip);
    g_test_add_func("/frame-ring/threads", test_threads);
    return g_test_run();
}
