/*
 * Waking a CPU that sleeps, and calling one out of guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

void tcg_wake(TCGCPU *c)
{
    if (atomic_load(&c->asleep)) {
        syscall(SYS_futex, &c->poll, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    }
}

void tcg_vcpu_kick(CPUState *cpu)
{
    TCGCPU *c = (TCGCPU *)__atomic_load_n(&cpu->accel, __ATOMIC_SEQ_CST);

    if (c) {
        tcg_poll_set(c, POLL_EXIT);
        tcg_wake(c);
    }
}
