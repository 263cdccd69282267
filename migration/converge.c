/*
 * Auto-converge: a guest that writes faster than pages can be sent gets less of its CPUs' time.
 *
 * CPUs run for 10 ms, then stand still until their share of the time is what it is to be.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/cutils.h"
#include "qemu/main-loop.h"
#include "sysemu/cpus.h"

#define RUN_NS 10000000

static void hold(Migration *m, bool on)
{
    m->held = on;
    if (runstate_is_running(m->ms)) {
        if (on) {
            hold_all_vcpus(m->ms);
        } else {
            resume_all_vcpus(m->ms);
        }
    }
}

static void throttle_tick(void *opaque)
{
    Migration *m = opaque;
    unsigned percent = atomic_load(&m->throttle);

    hold(m, !m->held);
    timer_mod_ns(&m->throttle_timer, qemu_clock_get_ns(QEMU_CLOCK_REALTIME) +
                 (m->held ? RUN_NS * (int64_t)percent / (100 - percent) : RUN_NS));
}

static void throttle_begin(void *opaque)
{
    Migration *m = opaque;

    if (m->thread && m->status == MIGRATION_ACTIVE && !timer_pending(&m->throttle_timer)) {
        throttle_tick(m);
    }
}

/* More than half of what was sent has been written again meanwhile: it would go on for ever. */
void converge(Migration *m, uint64_t bytes)
{
    unsigned percent = atomic_load(&m->throttle);
    double rate = atomic_load(&m->dirty_rate) * (double)FORMAT_PAGE;

    if (!m->caps[MIGRATION_CAP_AUTO_CONVERGE] || rate * 2 < atomic_load(&m->bandwidth) ||
        !bytes) {
        return;
    }
    percent = percent ? percent + m->params.throttle_increment : m->params.throttle_initial;
    atomic_store(&m->throttle, MIN(percent, m->params.throttle_max));
    qemu_bh_schedule_oneshot(throttle_begin, m);
}

void converge_init(Migration *m)
{
    timer_init_ns(&m->throttle_timer, QEMU_CLOCK_REALTIME, throttle_tick, m);
}

void converge_end(Migration *m)
{
    timer_del(&m->throttle_timer);
    if (m->held) {
        hold(m, false);
    }
}
