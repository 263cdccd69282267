/*
 * Pages whose code changes all the time, and for how long they are interpreted.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"

#define PAGE 0x123000u
#define OTHER 0x124000u

static TCGState *new_state(void)
{
    TCGState *s = g_new0(TCGState, 1);

    s->watch_storms = true;
    return s;
}

static void change(TCGState *s, uint64_t pa, unsigned times)
{
    while (times--) {
        tcg_storm_changed(s, pa);
    }
}

/* How many instructions there are interpreted one by one. */
static unsigned singles(TCGState *s, uint64_t pa)
{
    unsigned n = 0;

    while (tcg_storm_here(s, pa)) {
        n++;
    }
    return n;
}

/* As if all that has been counted had happened a second ago. */
static void wait_long(TCGState *s)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(s->storms); i++) {
        s->storms[i].since -= 1000000;
    }
}

/* Many changes within a short time; the host may be slow, though. */
static unsigned storm(TCGState *s, uint64_t pa)
{
    uint64_t before = s->stats.storms;

    for (unsigned tries = 0; tries < 10000 && s->stats.storms == before; tries++) {
        change(s, pa, 1);
    }
    return s->stats.storms - before;
}

static void test_few(void)
{
    g_autofree TCGState *s = new_state();

    for (unsigned i = 0; i < 50; i++) {
        change(s, PAGE, 100);
        g_assert_cmpuint(singles(s, PAGE), ==, 0);
        wait_long(s);
    }
    g_assert_cmpuint(s->stats.storms, ==, 0);
}

static void test_storms(void)
{
    g_autofree TCGState *s = new_state();
    unsigned first;

    g_assert_cmpuint(storm(s, PAGE), ==, 1);
    g_assert_false(tcg_storm_here(s, OTHER));
    first = singles(s, PAGE);
    g_assert_cmpuint(first, >, 1000);
    /* It goes on: longer, but not for ever. */
    for (unsigned i = 0; i < 20; i++) {
        g_assert_cmpuint(storm(s, PAGE), ==, 1);
        g_assert_cmpuint(singles(s, PAGE), <=, 32 * first);
    }
    /* After some rest it is a new one. */
    wait_long(s);
    g_assert_cmpuint(storm(s, PAGE), ==, 1);
    g_assert_cmpuint(singles(s, PAGE), ==, first);
}

static void test_off(void)
{
    g_autofree TCGState *s = new_state();

    s->watch_storms = false;
    change(s, PAGE, 100000);
    g_assert_cmpuint(singles(s, PAGE), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/storm/few", test_few);
    g_test_add_func("/storm/storms", test_storms);
    g_test_add_func("/storm/off", test_off);
    return g_test_run();
}
