/*
 * How eager a loop is on a host with one CPU.
 *
 * There a loop that wakes up may take the CPU from the virtual CPU that woke it: the
 * guest has just begun to queue requests, the loop serves the first one, and so
 * on with each. SCHED_BATCH makes the waker go on until it sleeps or has had
 * its slice, and the loop finds all requests at once. The price is latency
 * while the guest computes, so only loops that find many requests are patient. Where
 * scheduling is denied to us (-sandbox on,resourcecontrol=deny) all stay eager.
 *
 * System calls: sched_getaffinity sched_getscheduler sched_setscheduler.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <sched.h>

#include "qemu/main-loop.h"

/* So many at a time are worth to wait for. */
#define MANY 4
/* A loop that finds less for PATIENCE times is eager from then on, and tries again after RETRY. */
#define PATIENCE 16
#define RETRY 1024

typedef enum LoopMode { LOOP_NEW, LOOP_FIXED, LOOP_EAGER, LOOP_PATIENT } LoopMode;

/* Whoever chose a policy for us meant it. */
static bool may_choose(void)
{
    cpu_set_t cpus;

    return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1 &&
           sched_getscheduler(0) == SCHED_OTHER;
}

static LoopMode change(LoopMode mode)
{
    struct sched_param param = { .sched_priority = 0 };
    int policy = mode == LOOP_PATIENT ? SCHED_BATCH : SCHED_OTHER;

    return sched_setscheduler(0, policy, &param) < 0 ? LOOP_FIXED : mode;
}

void qemu_loop_found_work(unsigned n)
{
    static __thread LoopMode mode;
    static __thread unsigned few;
    LoopMode want;

    if (mode == LOOP_NEW) {
        mode = may_choose() ? LOOP_EAGER : LOOP_FIXED;
    }
    if (mode == LOOP_FIXED || !n) {
        return;
    }
    few = n >= MANY ? 0 : few + 1;
    want = few % RETRY < PATIENCE ? LOOP_PATIENT : LOOP_EAGER;
    if (mode != want) {
        mode = change(want);
    }
}
