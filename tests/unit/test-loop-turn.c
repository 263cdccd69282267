/*
 * The main loop gets the machine lock in its turn, from a thread that takes it without pause.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "qemu/main-loop.h"

#define ROUNDS 50

static _Atomic unsigned turns;      /* of the loop */

/* Whether the main thread sleeps; with work queued it does so only to wait for the lock. */
static bool loop_waits(void)
{
    g_autofree char *path = g_strdup_printf("/proc/self/task/%d/stat", getpid());
    g_autofree char *stat = NULL;

    g_assert_true(g_file_get_contents(path, &stat, NULL, NULL));
    return g_str_has_prefix(strrchr(stat, ')'), ") S");
}

static gpointer eager_thread(gpointer unused)
{
    unsigned before;

    bql_lock();
    for (unsigned i = 0; i < ROUNDS; i++) {
        before = turns;
        while (!loop_waits()) {
            g_usleep(100);
        }
        bql_unlock();
        bql_lock();
        g_assert_cmpuint(turns, >, before);
    }
    bql_unlock();
    qemu_main_loop_quit();
    return NULL;
}

/* It may give the lock up for something slow, too: whoever takes it has to go again. */
static gboolean take_turn(gpointer unused)
{
    turns++;
    bql_unlock();
    bql_lock();
    turns++;
    return G_SOURCE_CONTINUE;
}

static void test_turn(void)
{
    GThread *thread;

    qemu_init_main_loop();
    g_idle_add(take_turn, NULL);
    thread = g_thread_new("eager", eager_thread, NULL);
    qemu_main_loop();
    g_thread_join(thread);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/loop/turn", test_turn);
    return g_test_run();
}
