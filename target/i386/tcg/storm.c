/*
 * Pages whose code changes all the time. Decoding and translating it again for each change would
 * use up the room of all other code, which goes when there is none left; so for some thousand
 * instructions they are interpreted one by one, longer each time that it goes on like that.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"

#define WINDOW_US 20000         /* a change a second is nothing to speak of: */
#define CHANGES 128             /* so many within this time are a storm */
#define SINGLES 20000           /* instructions one by one, then; 32 times as many at most */
#define LONGEST 5

static TCGStorm *storm_of(TCGState *s, uint64_t pa)
{
    return &s->storms[(pa >> TCG_PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 58];
}

void tcg_storm_changed(TCGState *s, uint64_t pa)
{
    TCGStorm *storm = storm_of(s, pa);
    int64_t now;

    if (!s->watch_storms) {
        return;
    }
    now = g_get_monotonic_time();
    if (atomic_load(&storm->pa) != pa || now - atomic_load(&storm->since) > WINDOW_US) {
        storm->changes = storm->level = 0;
        atomic_store(&storm->singles, 0);
        atomic_store(&storm->since, now);
        atomic_store(&storm->pa, pa);
    }
    if (++storm->changes == CHANGES) {
        s->stats.storms++;
        storm->changes = 0;
        atomic_store(&storm->singles, SINGLES << storm->level);
        storm->level = MIN(storm->level + 1, LONGEST);
    }
}

bool tcg_storm_here(TCGState *s, uint64_t pa)
{
    TCGStorm *storm = storm_of(s, pa);
    unsigned left;

    if (atomic_load_explicit(&storm->pa, memory_order_relaxed) != pa) {
        return false;
    }
    left = atomic_load(&storm->singles);
    while (left && !atomic_compare_exchange_weak(&storm->singles, &left, left - 1)) {
    }
    if (left == 1) {
        atomic_store(&storm->since, g_get_monotonic_time());
    }
    return left;
}
