/*
 * A guest that restarts: each time all processors are up within microseconds, and their
 * time never steps back, from one to the other or over the restart.
 *
 * Started by the word "lives" (with "smp4" for four processors, "many" for more lives).
 * It prints one verdict and ends at the last life.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

#define ROUNDS      20000
#define START_LIMIT 60000000000ull      /* TSC ticks: the host may be busy */

/* What lasts: in memory that a reset does not write. */
typedef struct Past {
    u64 magic;
    u32 life;
    u64 steps;              /* TSC before one that another processor had read */
    u64 worst;
    u64 kvm_clock;          /* ns, at the end of the last life */
} Past;
#define PAST    ((volatile Past *)0x3000000)
#define MAGIC   0x6c6976656c697665ull

static volatile u32 alive, finished;
static volatile u64 latest __attribute__((aligned(64)));
static volatile u32 pv_clock[8] __attribute__((aligned(32)));

static u64 ordered_tsc(void)
{
    __asm__ volatile("lfence" ::: "memory");
    return rdtsc();
}

/* No processor reads less than what any has read before. */
static void look_at_time(void)
{
    u64 seen = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now = ordered_tsc();

    if (now < seen) {
        __atomic_fetch_add(&PAST->steps, 1, __ATOMIC_SEQ_CST);
        PAST->worst = seen - now > PAST->worst ? seen - now : PAST->worst;
        return;
    }
    while (!__atomic_compare_exchange_n(&latest, &seen, now, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST) && seen < now) {
    }
}

static void other_life(void)
{
    __atomic_fetch_add(&alive, 1, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < ROUNDS; i++) {
        look_at_time();
    }
    __atomic_fetch_add(&finished, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        __asm__ volatile("cli; hlt");
    }
}

/* Until n have counted there; false: some never do. */
static bool wait_for_others(volatile u32 *count, u32 n)
{
    u64 end = rdtsc() + START_LIMIT;

    while (*count < n) {
        look_at_time();
        if (rdtsc() > end) {
            return false;
        }
    }
    return true;
}

/* KVM's clock of this processor, or 0. */
static u64 kvm_clock(void)
{
    if (!kvm_has(3)) {
        return 0;
    }
    wrmsr(0x4b564d01, (u64)pv_clock | 1);
    return *(volatile u64 *)&pv_clock[4];
}

static void verdict(const char *wrong, u64 value)
{
    print(wrong ? "not ok 1 - " : "ok 1 - lives");
    if (wrong) {
        print(wrong);
        print(", life ");
        print_hex(PAST->life);
        print(": ");
        print_hex(value);
    }
    print("\n1..1\n");
    outb(0xf4, wrong != NULL);
}

static void look_at_kvm_clock(void)
{
    u64 now = kvm_clock();

    if (!now || !option("tcg")) {
        return;
    }
    if (PAST->life == 1 && now > 60000000000ull) {
        verdict("KVM's clock does not start at 0", now);
    }
    if (now < PAST->kvm_clock) {
        verdict("KVM's clock steps back", PAST->kvm_clock - now);
    }
    if (rdtsc() > 60000000000ull) {
        verdict("the TSC does not start at 0", rdtsc());
    }
}

void lives(void)
{
    static const struct __attribute__((packed)) { u16 limit; u64 base; } no_idt;
    u32 others = option("smp4") ? 3 : 1;

    ap_first = other_life;
    start_others();
    if (PAST->magic != MAGIC) {
        *PAST = (Past) { .magic = MAGIC };
    }
    PAST->life++;
    look_at_kvm_clock();
    if (!wait_for_others(&alive, others)) {
        verdict("processors that came up", alive);
    }
    if (!wait_for_others(&finished, others)) {
        verdict("processors that ended", finished);
    }
    PAST->kvm_clock = kvm_clock();
    if (PAST->steps) {
        verdict("time steps back", PAST->worst);
    }
    if (PAST->life == (option("many") ? 50 : 4)) {
        verdict(NULL, 0);
    }
    __asm__ volatile("lidt %0; ud2" :: "m"(no_idt));
}
