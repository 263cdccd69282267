/*
 * Clocks and timers: sorted lists behind one timerfd of the main loop.
 *
 * A timerfd, because GLib's own time-outs only know milliseconds. It is opened
 * by the first timer that is armed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "qemu/timer.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "qemu/main-loop.h"

/* Of one qemu_clock_advance_virtual(): a second's work, more or less. */
#define MAX_CALLBACKS 1000000

/* Timers belong to the one main loop of the process, as this does. */
static struct {
    GMutex lock;                    /* the lists and the timerfd; a leaf */
    QEMUTimer *armed[QEMU_CLOCK_MAX];   /* soonest first */
    int fd;                         /* 0: not opened yet */
    QEMUClockListener *listener;    /* of the virtual clock; main thread */
    /*
     * QEMU_CLOCK_VIRTUAL is host time plus an offset while it runs, and
     * stands at virtual_now otherwise: at 0 until the machine starts. Readers take
     * no lock: seq is odd while the three change (a seqlock; writers hold lock).
     */
    atomic_uint seq;
    atomic_bool running;
    atomic_bool manual;
    _Atomic int64_t offset;
    _Atomic int64_t virtual_now;
} timers;

static int64_t host_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NANOSECONDS_PER_SECOND + ts.tv_nsec;
}

int64_t qemu_clock_get_ns(QEMUClockType clock)
{
    unsigned seq;
    int64_t now;

    if (clock == QEMU_CLOCK_REALTIME) {
        return host_ns();
    }
    do {
        seq = atomic_load_explicit(&timers.seq, memory_order_acquire);
        now = timers.running ? host_ns() + timers.offset : timers.virtual_now;
        atomic_thread_fence(memory_order_acquire);
    } while ((seq & 1) || seq != atomic_load_explicit(&timers.seq, memory_order_relaxed));
    return now;
}

/* The first deadline in host time, or -1. Call with the lock held. */
static int64_t first_deadline(void)
{
    int64_t first = -1;

    for (int clock = 0; clock < QEMU_CLOCK_MAX; clock++) {
        const QEMUTimer *ts = timers.armed[clock];
        int64_t t;

        if (!ts || (clock == QEMU_CLOCK_VIRTUAL && !timers.running)) {
            continue;
        }
        t = clock == QEMU_CLOCK_VIRTUAL ? ts->expire - timers.offset : ts->expire;
        if (first < 0 || t < first) {
            first = t > 0 ? t : 1;
        }
    }
    return first;
}

static gboolean timerfd_ready(gint fd, GIOCondition cond, gpointer opaque);

/* Set the timerfd to the first deadline. Call with the lock held. */
static void rearm(void)
{
    int64_t first = first_deadline();
    struct itimerspec its = { 0 };

    if (!timers.fd) {
        if (first < 0) {
            return;
        }
        timers.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        if (timers.fd < 0) {
            g_error("timerfd_create: %s", strerror(errno));
        }
        qemu_fd_add(timers.fd, G_IO_IN, timerfd_ready, NULL);
    }
    if (first >= 0) {
        its.it_value.tv_sec = first / NANOSECONDS_PER_SECOND;
        its.it_value.tv_nsec = first % NANOSECONDS_PER_SECOND;
    }
    timerfd_settime(timers.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

/* Call with the lock held. True when ts was armed. */
static bool unlink_timer(QEMUTimer *ts)
{
    for (QEMUTimer **p = &timers.armed[ts->clock]; *p; p = &(*p)->next) {
        if (*p == ts) {
            *p = ts->next;
            ts->next = NULL;
            ts->expire = -1;
            return true;
        }
    }
    return false;
}

/*
 * Run what is due at now, in order; each callback may arm any timer again. The number of
 * callbacks.
 */
static unsigned run_expired(QEMUClockType clock, int64_t now)
{
    unsigned n = 0;

    g_mutex_lock(&timers.lock);
    while (timers.armed[clock] && timers.armed[clock]->expire <= now) {
        QEMUTimer *ts = timers.armed[clock];
        QEMUTimerCB *cb = ts->cb;
        void *opaque = ts->opaque;

        unlink_timer(ts);
        g_mutex_unlock(&timers.lock);
        cb(opaque);
        n++;
        g_mutex_lock(&timers.lock);
    }
    g_mutex_unlock(&timers.lock);
    return n;
}

static gboolean timerfd_ready(gint fd, GIOCondition cond, gpointer opaque)
{
    uint64_t count;

    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
        return G_SOURCE_CONTINUE;
    }
    run_expired(QEMU_CLOCK_REALTIME, qemu_clock_get_ns(QEMU_CLOCK_REALTIME));
    if (timers.running) {
        run_expired(QEMU_CLOCK_VIRTUAL, qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL));
    }
    g_mutex_lock(&timers.lock);
    rearm();
    g_mutex_unlock(&timers.lock);
    return G_SOURCE_CONTINUE;
}

void timer_init_ns(QEMUTimer *ts, QEMUClockType clock, QEMUTimerCB *cb,
                   void *opaque)
{
    *ts = (QEMUTimer) { .cb = cb, .opaque = opaque, .clock = clock, .expire = -1 };
}

void timer_mod_ns(QEMUTimer *ts, int64_t expire)
{
    QEMUTimer **p;
    bool was_first, is_first;

    g_mutex_lock(&timers.lock);
    was_first = timers.armed[ts->clock] == ts;
    unlink_timer(ts);
    ts->expire = expire > 0 ? expire : 0;
    for (p = &timers.armed[ts->clock]; *p && (*p)->expire <= ts->expire;) {
        p = &(*p)->next;
    }
    ts->next = *p;
    *p = ts;
    is_first = timers.armed[ts->clock] == ts;
    if (was_first || is_first) {
        rearm();
    }
    g_mutex_unlock(&timers.lock);
}

void timer_del(QEMUTimer *ts)
{
    g_mutex_lock(&timers.lock);
    unlink_timer(ts);   /* an early wake-up of the timerfd is harmless */
    g_mutex_unlock(&timers.lock);
}

bool timer_pending(const QEMUTimer *ts)
{
    return ts->expire >= 0;
}

static void begin_change(void)
{
    g_mutex_lock(&timers.lock);
    atomic_fetch_add(&timers.seq, 1);
}

static void end_change(void)
{
    atomic_fetch_add(&timers.seq, 1);
    rearm();
    g_mutex_unlock(&timers.lock);
}

void qemu_clock_enable_virtual(bool enable)
{
    int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

    if (timers.manual || timers.running == enable) {
        return;
    }
    begin_change();
    timers.virtual_now = now;
    timers.offset = now - host_ns();
    timers.running = enable;
    end_change();
    if (timers.listener) {
        timers.listener(enable);
    }
}

void qemu_clock_set_listener(QEMUClockListener *listener)
{
    timers.listener = listener;
}

void qemu_clock_set_virtual(int64_t ns)
{
    int64_t by;

    begin_change();
    by = ns - timers.virtual_now;
    for (QEMUTimer *ts = timers.armed[QEMU_CLOCK_VIRTUAL]; ts; ts = ts->next) {
        if (__builtin_add_overflow(ts->expire, by, &ts->expire)) {
            ts->expire = INT64_MAX;
        }
    }
    timers.virtual_now = ns;
    end_change();
}

void qemu_clock_virtual_manual(void)
{
    begin_change();
    timers.manual = true;
    timers.running = false;
    timers.virtual_now = 0;
    end_change();
}

int64_t qemu_clock_deadline_virtual(void)
{
    int64_t deadline;

    g_mutex_lock(&timers.lock);
    deadline = timers.armed[QEMU_CLOCK_VIRTUAL]
               ? timers.armed[QEMU_CLOCK_VIRTUAL]->expire : -1;
    g_mutex_unlock(&timers.lock);
    return deadline;
}

bool qemu_clock_advance_virtual(int64_t dest)
{
    unsigned left = MAX_CALLBACKS, n;
    int64_t next;

    for (;;) {
        next = qemu_clock_deadline_virtual();
        if (next < 0 || next > dest) {
            break;
        }
        if (!left) {
            return false;
        }
        begin_change();
        if (next > timers.virtual_now) {
            timers.virtual_now = next;
        }
        end_change();
        n = run_expired(QEMU_CLOCK_VIRTUAL, next);
        left -= MIN(n, left);
    }
    begin_change();
    if (dest > timers.virtual_now) {
        timers.virtual_now = dest;
    }
    end_change();
    return true;
}
