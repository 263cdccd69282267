/*
 * How eager loops are: what they ask of the scheduler where there is one CPU, and
 * that they leave it alone elsewhere.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <sched.h>

#include "qemu/main-loop.h"

/* The calling thread has one CPU from now on. */
static void take_one_cpu(void)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    g_assert_cmpint(sched_setaffinity(0, sizeof(one), &one), ==, 0);
}

static void found(unsigned n, unsigned times)
{
    while (times--) {
        qemu_loop_found_work(n);
    }
}

static gpointer one_cpu_loop(gpointer unused)
{
    take_one_cpu();
    found(0, 10);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_OTHER);
    found(32, 1);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_BATCH);
    /* One request at a time: not worth to wait. Looks that find nothing do not count. */
    found(1, 15);
    found(0, 10);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_BATCH);
    found(1, 1);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_OTHER);
    /* Eager loops see one at a time of many too: now and then they are patient. */
    found(1, 1007);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_OTHER);
    found(1, 1);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_BATCH);
    found(4, 1);
    found(1, 15);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_BATCH);
    found(1, 1);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_OTHER);
    return NULL;
}

static gpointer chosen_loop(gpointer unused)
{
    struct sched_param param = { .sched_priority = 0 };

    take_one_cpu();
    g_assert_cmpint(sched_setscheduler(0, SCHED_IDLE, &param), ==, 0);
    found(32, 1);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_IDLE);
    return NULL;
}

static gpointer free_loop(gpointer unused)
{
    found(32, 10);
    g_assert_cmpint(sched_getscheduler(0), ==, SCHED_OTHER);
    return NULL;
}

static void run_loop(gconstpointer loop)
{
    g_thread_join(g_thread_new("loop", (GThreadFunc)loop, NULL));
}

int main(int argc, char **argv)
{
    cpu_set_t cpus;

    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/loop/one-cpu", one_cpu_loop, run_loop);
    g_test_add_data_func("/loop/chosen-policy", chosen_loop, run_loop);
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1) {
        g_test_add_data_func("/loop/several-cpus", free_loop, run_loop);
    }
    return g_test_run();
}
