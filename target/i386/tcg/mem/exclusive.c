/*
 * Exclusive sections: one vCPU alone in guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/sys/system.h"

#define TURN_US 1000        /* how long a vCPU runs while others wait */

static void ask_others(TCGCPU *c)
{
    TCGState *s = c->tcg;

    for (unsigned i = 0; i < s->nr_cpus; i++) {
        if (s->cpus[i] && s->cpus[i] != c) {
            tcg_poll_set(s->cpus[i], POLL_EXCLUSIVE);
        }
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
            ask_others(c);
        }
    }
    s->turn++;
    set_preempted(c, false);
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
    while (s->exclusive) {
        g_cond_wait(&s->run_cond, &s->run_lock);
    }
    s->exclusive = true;
    ask_others(c);
    while (s->running) {
        g_cond_wait(&s->run_cond, &s->run_lock);
    }
    s->stats.exclusives++;
    g_mutex_unlock(&s->run_lock);
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
