/*
 * Do a machine's clocks ever step back, from one processor to another? A thread on each
 * reads them in turns, beside the highest value that any has read before.
 *
 * Usage: linux-clocks SECONDS. Exit status 1 when one did.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static uint64_t read_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

static uint64_t read_raw(void)
{
    return read_clock(CLOCK_MONOTONIC_RAW);
}

static uint64_t read_realtime(void)
{
    return read_clock(CLOCK_REALTIME);
}

static uint64_t read_tsc(void)
{
    uint64_t tsc;

    _mm_lfence();
    tsc = __rdtsc();
    _mm_lfence();
    return tsc;
}

static struct {
    const char *name;
    uint64_t (*read)(void);
    _Atomic uint64_t highest __attribute__((aligned(64)));
    _Atomic uint64_t steps, worst;
} clocks[] = {
    { .name = "CLOCK_MONOTONIC", .read = read_monotonic },
    { .name = "CLOCK_MONOTONIC_RAW", .read = read_raw },
    { .name = "CLOCK_REALTIME", .read = read_realtime },
    { .name = "RDTSC", .read = read_tsc },
};

static atomic_bool stop;
static atomic_ulong rounds;

static void look(unsigned i)
{
    uint64_t seen = atomic_load(&clocks[i].highest), now = clocks[i].read();

    if (now < seen) {
        clocks[i].steps++;
        if (seen - now > clocks[i].worst) {
            clocks[i].worst = seen - now;
        }
        return;
    }
    while (seen < now && !atomic_compare_exchange_weak(&clocks[i].highest, &seen, now)) {
    }
}

static void *watch(void *cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((uintptr_t)cpu, &set);
    if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set)) {
        exit(2);
    }
    while (!stop) {
        for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
            look(i);
        }
        rounds++;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned cpus = sysconf(_SC_NPROCESSORS_ONLN), wrong = 0;
    pthread_t threads[cpus];

    for (uintptr_t i = 0; i < cpus; i++) {
        if (pthread_create(&threads[i], NULL, watch, (void *)i)) {
            return 2;
        }
    }
    usleep(atof(argc > 1 ? argv[1] : "1") * 1000000);
    stop = true;
    for (unsigned i = 0; i < cpus; i++) {
        pthread_join(threads[i], NULL);
    }
    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        if (clocks[i].steps) {
            printf("%s stepped back %" PRIu64 " times, by up to %" PRIu64 "\n",
                   clocks[i].name, clocks[i].steps, clocks[i].worst);
            wrong = 1;
        }
    }
    printf("%u processors, %lu rounds\n", cpus, rounds);
    return wrong;
}
