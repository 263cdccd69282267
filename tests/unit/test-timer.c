/*
 * Clocks and timers, stepped by hand and in real time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "qemu/main-loop.h"
#include "qemu/timer.h"

static GString *fired;

static void cb(void *opaque)
{
    g_string_append(fired, opaque);
}

static QEMUTimer periodic;

static void periodic_cb(void *opaque)
{
    g_string_append(fired, "p");
    timer_mod_ns(&periodic, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 10);
}

static void quit_cb(void *opaque)
{
    qemu_main_loop_quit();
}

/* First: needs the running clock. */
static void test_real_time(void)
{
    QEMUTimer t;
    int64_t start, now;

    /* The machine has not started. */
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, 0);
    g_usleep(2000);
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, 0);
    qemu_clock_enable_virtual(true);
    start = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    g_assert_cmpint(start, <, 1000000000);
    timer_init_ns(&t, QEMU_CLOCK_VIRTUAL, quit_cb, NULL);
    timer_mod_ns(&t, start + 2000000);
    g_assert_true(timer_pending(&t));
    qemu_main_loop();
    now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    g_assert_cmpint(now - start, >=, 2000000);
    g_assert_false(timer_pending(&t));

    qemu_clock_enable_virtual(false);
    now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);
    g_usleep(2000);
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, now);
    qemu_clock_enable_virtual(true);
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), <, now + 1000000000);
}

static void test_manual(void)
{
    QEMUTimer a, b, c;

    fired = g_string_new(NULL);
    qemu_clock_virtual_manual();
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, 0);
    timer_init_ns(&a, QEMU_CLOCK_VIRTUAL, cb, (void *)"a");
    timer_init_ns(&b, QEMU_CLOCK_VIRTUAL, cb, (void *)"b");
    timer_init_ns(&c, QEMU_CLOCK_VIRTUAL, cb, (void *)"c");
    timer_init_ns(&periodic, QEMU_CLOCK_VIRTUAL, periodic_cb, NULL);
    timer_mod_ns(&b, 200);
    timer_mod_ns(&a, 100);
    timer_mod_ns(&c, 150);
    timer_del(&c);
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, 100);
    qemu_clock_advance_virtual(99);
    g_assert_cmpstr(fired->str, ==, "");
    qemu_clock_advance_virtual(250);
    g_assert_cmpstr(fired->str, ==, "ab");
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, 250);
    timer_mod_ns(&periodic, 255);
    qemu_clock_advance_virtual(280);
    g_assert_cmpstr(fired->str, ==, "abppp");
    timer_del(&periodic);
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, -1);
    /* A timer in the past, and one before time 0, fire at the next step. */
    timer_mod_ns(&a, 10);
    timer_mod_ns(&b, -10);
    qemu_clock_advance_virtual(280);
    g_assert_cmpstr(fired->str, ==, "abpppba");
    /* Work without end is done piece by piece; the clock is never beyond what was done. */
    timer_mod_ns(&periodic, 290);
    g_assert_false(qemu_clock_advance_virtual(INT64_MAX));
    g_assert_cmpint(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL), ==, 280 + 10 * 1000000);
    g_assert_cmpuint(fired->len, ==, 7 + 1000000);
    g_assert_true(qemu_clock_advance_virtual(280 + 10 * 1000001));
    timer_del(&periodic);
    /* A clock that is set, forth or back, leaves the time that timers have to wait. */
    timer_mod_ns(&a, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 20);
    timer_mod_ns(&b, INT64_MAX);
    qemu_clock_set_virtual(5);
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, 25);
    qemu_clock_set_virtual(1000);
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, 1020);
    timer_del(&a);
    g_assert_cmpint(qemu_clock_deadline_virtual(), >, INT64_MAX / 2);
    timer_del(&b);
    g_string_free(fired, TRUE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    g_test_add_func("/timer/real-time", test_real_time);
    g_test_add_func("/timer/manual", test_manual);
    return g_test_run();
}
