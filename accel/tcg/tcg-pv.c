/*
 * What KVM offers its guests beyond a processor: hypercalls and steal time (Linux,
 * Documentation/virt/kvm/x86/hypercalls.rst and msr.rst).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "tcg-int.h"

#include <sched.h>
#include <time.h>

#include "target/i386/apic.h"
#include "target/i386/tcg/mem/mmu.h"

enum {
    KVM_HC_VAPIC_POLL_IRQ = 1, KVM_HC_KICK_CPU = 5, KVM_HC_SEND_IPI = 10,
    KVM_HC_SCHED_YIELD = 11,
};
#define KVM_ENOSYS 1000
#define IPI_VECTOR 0xffu
#define IPI_MODE   0x700u
#define IPI_NMI    0x400u

/* How often a running CPU's steal time is brought up to date. */
#define STEAL_PERIOD_NS 1000000

/* Hypercalls --------------------------------------------------------------- */

static TCGCPU *find_cpu(TCGCPU *c, uint64_t apic_id)
{
    for (unsigned i = 0; i < c->tcg->nr_cpus; i++) {
        if (x86_cpu(c->tcg->cpus[i]->cs)->apic_id == apic_id) {
            return c->tcg->cpus[i];
        }
    }
    return NULL;
}

/* HLT ends, or does not begin, even with interrupts off. */
static void kick(TCGCPU *c)
{
    atomic_store(&c->pv_unhalted, true);
    tcg_poll_set(c, POLL_IRQ);
    tcg_wake(c);
}

/* To the CPUs of a bitmap that begins at an APIC id; how many took it. */
static uint64_t send_ipis(TCGCPU *c, const uint64_t *args)
{
    bool wide = c->code_size == CODE64;
    unsigned bits = wide ? 64 : 32;
    uint32_t icr = args[3];
    uint64_t taken = 0;

    if ((icr & IPI_MODE) && (icr & IPI_MODE) != IPI_NMI) {
        return (uint64_t)-1;
    }
    for (unsigned i = 0; i < 2 * bits; i++) {
        if ((args[i / bits] >> (i % bits)) & 1) {
            taken += apic_send_ipi_to(c->apic, (uint32_t)args[2] + i,
                                      icr & (IPI_MODE | IPI_VECTOR));
        }
    }
    return taken;
}

uint64_t tcg_hypercall(TCGCPU *c, uint64_t nr, const uint64_t *args)
{
    TCGCPU *other;

    switch (nr) {
    case KVM_HC_VAPIC_POLL_IRQ:
        return 0;
    case KVM_HC_KICK_CPU:
        other = tcg_has(c, X86_FEATURE_KVM_PV_UNHALT) ? find_cpu(c, args[1]) : NULL;
        if (other) {
            kick(other);
        }
        return tcg_has(c, X86_FEATURE_KVM_PV_UNHALT) ? 0 : (uint64_t)-KVM_ENOSYS;
    case KVM_HC_SEND_IPI:
        return tcg_has(c, X86_FEATURE_KVM_PV_IPI) ? send_ipis(c, args) : (uint64_t)-KVM_ENOSYS;
    case KVM_HC_SCHED_YIELD:
        if (!tcg_has(c, X86_FEATURE_KVM_PV_SCHED_YIELD)) {
            return (uint64_t)-KVM_ENOSYS;
        }
        sched_yield();
        return 0;
    default:
        return (uint64_t)-KVM_ENOSYS;
    }
}

/* Steal time: what this thread wanted to run and did not ------------------- */

/* struct kvm_steal_time, as far as we use it. */
typedef struct StealTime {
    uint64_t steal;
    uint32_t version;
    uint32_t flags;
    uint8_t preempted;
    uint8_t padding[43];
} StealTime;

#define PREEMPTED           (1u << 0)
#define PREEMPTED_FLUSH_TLB (1u << 1)   /* by another vCPU: before we run again */

static int64_t clock_ns(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Guest memory, or NULL: the guest wants none of it. */
static StealTime *steal_area(TCGCPU *c)
{
    return c->steal_time_msr & 1
           ? address_space_map(c->mem, c->steal_time_msr & ~63ull, sizeof(StealTime)) : NULL;
}

void tcg_set_preempted(TCGCPU *c, bool preempted)
{
    StealTime *p = steal_area(c);
    uint8_t old;

    if (p) {
        old = __atomic_exchange_n(&p->preempted, preempted ? PREEMPTED : 0, __ATOMIC_SEQ_CST);
        if (!preempted && (old & PREEMPTED_FLUSH_TLB) && tcg_has(c, X86_FEATURE_KVM_PV_TLB_FLUSH)) {
            tcg_tlb_flush_all(c);
        }
    }
}

void tcg_steal_begin(TCGCPU *c)
{
    c->steal_wall = clock_ns(CLOCK_MONOTONIC);
    c->steal_cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

void tcg_steal_update(TCGCPU *c)
{
    int64_t now = clock_ns(CLOCK_MONOTONIC), cpu, lost;
    StealTime *p;
    uint32_t v;

    if (now - c->steal_wall < STEAL_PERIOD_NS) {
        return;
    }
    cpu = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    lost = (now - c->steal_wall) - (cpu - c->steal_cpu);
    c->steal_wall = now;
    c->steal_cpu = cpu;
    p = steal_area(c);
    if (!p || lost <= 0) {
        return;
    }
    /* Odd while it changes; the guest reads again. */
    v = __atomic_load_n(&p->version, __ATOMIC_RELAXED) | 1;
    __atomic_store_n(&p->version, v, __ATOMIC_RELEASE);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    p->steal += lost;
    __atomic_store_n(&p->version, v + 1, __ATOMIC_RELEASE);
}
