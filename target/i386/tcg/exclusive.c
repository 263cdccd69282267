/*
 * Exclusive sections: one vCPU alone in guest code.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "target/i386/tcg/block.h"
#include "target/i386/tcg/system.h"

void tcg_run_begin(TCGCPU *c)
{
    TCGState *s = c->tcg;

    g_mutex_lock(&s->run_lock);
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
    for (unsigned i = 0; i < s->nr_cpus; i++) {
        if (s->cpus[i] != c) {
            tcg_poll_set(s->cpus[i], POLL_EXCLUSIVE);
        }
    }
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
