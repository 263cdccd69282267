/*
 * Local APIC timer: one-shot, periodic and TSC-deadline mode.
 *
 * The count is never stepped: it is computed from QEMU_CLOCK_VIRTUAL when read.
 * The timer's input clock has 1 GHz, so a count is a nanosecond times the
 * divider. SDM volume 3A, "APIC Timer".
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "apic-internal.h"

/* Periodic interrupts never come closer than this, whatever the guest asks. */
#define MIN_PERIOD_NS   50000
/* Before this a re-armed deadline does not look at the TSC again. */
#define MIN_REARM_NS    1000
#define MAX_DELAY_NS    (INT64_MAX / 4)

static unsigned mode(const APICState *s)
{
    return (s->lvt[LVT_TIMER] >> LVT_TIMER_SHIFT) & 3;
}

/* The divider 2, 4 … 128, 1 of bits 3, 1 and 0, as a shift. */
static unsigned divide_shift(uint32_t reg)
{
    unsigned n = (reg & 3) | (reg & 8) >> 1;

    return (n + 1) & 7;
}

/* Up to 2^39 ns: nine minutes. */
static int64_t period_ns(const APICState *s)
{
    return (int64_t)s->timer_initial << divide_shift(s->timer_divide);
}

static void arm_locked(APICState *s, int64_t expire)
{
    s->timer_expire = expire;
    timer_mod_ns(&s->timer, expire);
}

static void disarm_locked(APICState *s)
{
    if (s->timer_expire >= 0) {
        s->timer_expire = -1;
        timer_del(&s->timer);
    }
}

static void interrupt(APICState *s)
{
    uint32_t lvt = s->lvt[LVT_TIMER];

    if (!(lvt & LVT_MASKED)) {
        apic_post(s, lvt & LVT_VECTOR, false);
    }
}

/* The first tick after now, on the grid of the period. */
static int64_t next_tick(const APICState *s, int64_t now)
{
    int64_t period = period_ns(s);
    int64_t step = period;

    if (step < MIN_PERIOD_NS) {
        step = (MIN_PERIOD_NS + period - 1) / period * period;
    }
    return s->timer_start + ((now - s->timer_start) / step + 1) * step;
}

/* Start (or go on) counting from timer_start. */
static void arm_count_locked(APICState *s, int64_t now)
{
    if (!s->timer_initial || mode(s) == TIMER_DEADLINE) {
        disarm_locked(s);
    } else if (mode(s) == TIMER_PERIODIC) {
        arm_locked(s, next_tick(s, now));
    } else {
        arm_locked(s, s->timer_start + period_ns(s));
    }
}

/* How long until the guest's TSC reaches the deadline; 0: it has. */
static int64_t tsc_delay_ns(const APICState *s)
{
    uint64_t tsc = s->ops->read_tsc(s->cpu);
    unsigned __int128 ns;

    if (tsc >= s->timer_tsc) {
        return 0;
    }
    ns = (unsigned __int128)(s->timer_tsc - tsc) * NANOSECONDS_PER_SECOND /
        s->features.tsc_hz + 1;
    return ns > MAX_DELAY_NS ? MAX_DELAY_NS : (int64_t)ns;
}

static void arm_deadline_locked(APICState *s, int64_t min_delay)
{
    int64_t delay = tsc_delay_ns(s);

    if (!delay) {
        disarm_locked(s);
        s->timer_tsc = 0;
        interrupt(s);
        return;
    }
    arm_locked(s, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + MAX(delay, min_delay));
}

static void expire_locked(APICState *s, int64_t now)
{
    switch (mode(s)) {
    case TIMER_DEADLINE:
        /* The two clocks may differ a little: the guest's TSC decides. */
        arm_deadline_locked(s, MIN_REARM_NS);
        break;
    case TIMER_PERIODIC:
        interrupt(s);
        arm_locked(s, next_tick(s, now));
        break;
    default:
        disarm_locked(s);
        interrupt(s);
        break;
    }
}

/*
 * The main loop may be late: what is due happens before the guest looks at the timer or
 * changes it, as in a one-shot that has ended and is made periodic. Returns the time.
 */
static int64_t settle_locked(APICState *s)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (s->timer_expire >= 0 && s->timer_expire <= now) {
        expire_locked(s, now);
    }
    return now;
}

void apic_timer_poll(APICState *s)
{
    if (s->timer_expire >= 0) {
        g_mutex_lock(&s->timer_lock);
        settle_locked(s);
        g_mutex_unlock(&s->timer_lock);
    }
}

static void timer_cb(void *opaque)
{
    apic_timer_poll(opaque);
}

int64_t apic_timer_deadline(APICState *s)
{
    return s->timer_expire;
}

void apic_timer_set_initial(APICState *s, uint32_t count)
{
    int64_t now;

    g_mutex_lock(&s->timer_lock);
    now = settle_locked(s);
    if (mode(s) != TIMER_DEADLINE) {
        s->timer_initial = count;
        s->timer_start = now;
        arm_count_locked(s, now);
    }
    g_mutex_unlock(&s->timer_lock);
}

static uint32_t current_locked(const APICState *s, int64_t now)
{
    int64_t elapsed = MAX(now - s->timer_start, 0);     /* what was loaded may begin later */
    int64_t period = period_ns(s);

    if (s->timer_expire < 0 || !period || mode(s) == TIMER_DEADLINE) {
        return 0;
    }
    if (mode(s) == TIMER_PERIODIC) {
        elapsed %= period;
    } else if (elapsed >= period) {
        return 0;
    }
    return (period - elapsed) >> divide_shift(s->timer_divide);
}

uint32_t apic_timer_current(APICState *s)
{
    uint32_t count;

    g_mutex_lock(&s->timer_lock);
    count = current_locked(s, settle_locked(s));
    g_mutex_unlock(&s->timer_lock);
    return count;
}

/* A running count goes on from where it is, at the new rate. */
void apic_timer_set_divide(APICState *s, uint32_t value)
{
    int64_t now;
    uint32_t count;

    g_mutex_lock(&s->timer_lock);
    now = settle_locked(s);
    count = current_locked(s, now);
    s->timer_divide = value & 0xb;
    if (s->timer_expire >= 0 && mode(s) != TIMER_DEADLINE) {
        s->timer_start = now - ((int64_t)(s->timer_initial - count) <<
                                divide_shift(s->timer_divide));
        arm_count_locked(s, now);
    }
    g_mutex_unlock(&s->timer_lock);
}

void apic_timer_set_lvt(APICState *s, uint32_t value)
{
    unsigned old_mode, new_mode;

    g_mutex_lock(&s->timer_lock);
    settle_locked(s);
    old_mode = mode(s);
    s->lvt[LVT_TIMER] = value;
    new_mode = mode(s);
    if (old_mode != new_mode &&
        (old_mode == TIMER_DEADLINE || new_mode == TIMER_DEADLINE)) {
        disarm_locked(s);
        s->timer_initial = 0;
        s->timer_tsc = 0;
    }
    g_mutex_unlock(&s->timer_lock);
}

void apic_timer_set_tsc_deadline(APICState *s, uint64_t tsc)
{
    g_mutex_lock(&s->timer_lock);
    settle_locked(s);
    if (mode(s) == TIMER_DEADLINE) {
        s->timer_tsc = tsc;
        if (tsc) {
            arm_deadline_locked(s, 0);
        } else {
            disarm_locked(s);
        }
    }
    g_mutex_unlock(&s->timer_lock);
}

/* Zero once it has passed, also when nobody has looked yet. */
uint64_t apic_timer_get_tsc_deadline(APICState *s)
{
    uint64_t tsc;

    apic_timer_poll(s);
    g_mutex_lock(&s->timer_lock);
    tsc = s->timer_tsc;
    g_mutex_unlock(&s->timer_lock);
    return tsc;
}

void apic_tsc_changed(APICState *s)
{
    g_mutex_lock(&s->timer_lock);
    if (mode(s) == TIMER_DEADLINE && s->timer_tsc) {
        arm_deadline_locked(s, 0);
    }
    g_mutex_unlock(&s->timer_lock);
}

/*
 * A deadline is armed by who has the TSC: apic_tsc_changed(). A one-shot at 0 is due: KVM keeps an
 * interrupt that a stopped CPU has not seen apart from IRR, and sends it again from there, too.
 */
void apic_timer_restore(APICState *s, uint32_t initial, uint32_t current, uint64_t deadline)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    g_mutex_lock(&s->timer_lock);
    s->timer_initial = initial;
    s->timer_tsc = mode(s) == TIMER_DEADLINE ? deadline : 0;
    if (mode(s) != TIMER_DEADLINE) {
        s->timer_start = now - ((int64_t)(initial - MIN(current, initial)) <<
                                divide_shift(s->timer_divide));
        arm_count_locked(s, now);
    }
    g_mutex_unlock(&s->timer_lock);
}

void apic_timer_reset(APICState *s)
{
    g_mutex_lock(&s->timer_lock);
    /* A load that was refused may have left anything. */
    s->timer_expire = -1;
    timer_del(&s->timer);
    s->timer_start = 0;
    s->timer_initial = 0;
    s->timer_divide = 0;
    s->timer_tsc = 0;
    g_mutex_unlock(&s->timer_lock);
}

void apic_timer_init(APICState *s)
{
    g_mutex_init(&s->timer_lock);
    timer_init_ns(&s->timer, QEMU_CLOCK_VIRTUAL, timer_cb, s);
    s->timer_expire = -1;
}

void apic_timer_cleanup(APICState *s)
{
    timer_del(&s->timer);
    g_mutex_clear(&s->timer_lock);
}
