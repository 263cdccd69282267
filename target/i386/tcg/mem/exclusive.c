/*
 * Exclusive sections: one vCPU alone in guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/mem/mmu.h"
#include "target/i386/tcg/sys/system.h"

#define TURN_US 1000        /* how long a vCPU runs while others wait */

void tcg_ask_others(TCGState *s, const TCGCPU *c)
{
    for (unsigned i = 0; i < s->nr_cpus; i++) {
        if (s->cpus[i] && s->cpus[i] != c) {
            tcg_poll_set(s->cpus[i], POLL_EXCLUSIVE);
        }
    }
}

/* With run_lock held: until nobody runs, and nobody begins to. c: who asks, or NULL. */
static void be_alone(TCGState *s, const TCGCPU *c)
{
    while (s->exclusive) {
        g_cond_wait(&s->run_cond, &s->run_lock);
    }
    s->exclusive = true;
    tcg_ask_others(s, c);
    while (s->running) {
        g_cond_wait(&s->run_cond, &s->run_lock);
    }
}

/* The guest may know: then nobody needs to interrupt c to flush its TLB. */
static void set_preempted(TCGCPU *c, bool preempted)
{
    if (c->steal_time_msr & 1) {
        c->pv_ops->set_preempted(c, preempted);
    }
}

/* With run_lock held: until nobody runs and all who came before have been. */
static void wait_turn(TCGCPU *c)
{
    TCGState *s = c->tcg;
    unsigned ticket = s->next_turn++;

    set_preempted(c, true);
    while (s->exclusive || s->running || ticket != s->turn) {
        if (!g_cond_wait_until(&s->run_cond, &s->run_lock,
                               g_get_monotonic_time() + TURN_US)) {
            tcg_ask_others(s, c);
        }
    }
    s->turn++;
    set_preempted(c, false);
}

/* Somebody logs writes: what told of them may not be here any more. */
static void drop_if_wanted(TCGCPU *c)
{
    if (atomic_load_explicit(&c->drop_tlb, memory_order_relaxed)) {
        atomic_store(&c->drop_tlb, false);
        tcg_tlb_flush_all(c);
    }
}

void tcg_run_begin(TCGCPU *c)
{
    TCGState *s = c->tcg;

    g_mutex_lock(&s->run_lock);
    if (s->take_turns) {
        wait_turn(c);
    }
    while (s->exclusive) {
        g_cond_wait(&s->run_cond, &s->run_lock);
    }
    s->running++;
    g_mutex_unlock(&s->run_lock);
    drop_if_wanted(c);
}

void tcg_run_end(TCGCPU *c)
{
    TCGState *s = c->tcg;

    g_mutex_lock(&s->run_lock);
    s->running--;
    g_cond_broadcast(&s->run_cond);
    g_mutex_unlock(&s->run_lock);
}

void tcg_exclusive_start(TCGCPU *c)
{
    TCGState *s = c->tcg;

    if (s->nr_cpus <= 1) {
        return;
    }
    g_mutex_lock(&s->run_lock);
    s->running--;
    g_cond_broadcast(&s->run_cond);
    be_alone(s, c);
    s->stats.exclusives++;
    g_mutex_unlock(&s->run_lock);
    drop_if_wanted(c);
}

void tcg_exclusive_end(TCGCPU *c)
{
    TCGState *s = c->tcg;

    if (s->nr_cpus <= 1) {
        return;
    }
    g_mutex_lock(&s->run_lock);
    s->exclusive = false;
    s->running++;
    g_cond_broadcast(&s->run_cond);
    g_mutex_unlock(&s->run_lock);
}

void tcg_drop_all_tlbs(TCGState *s)
{
    g_mutex_lock(&s->run_lock);
    be_alone(s, NULL);
    for (unsigned i = 0; i < s->nr_cpus; i++) {
        atomic_store(&s->cpus[i]->drop_tlb, true);
    }
    s->exclusive = false;
    g_cond_broadcast(&s->run_cond);
    g_mutex_unlock(&s->run_lock);
}
