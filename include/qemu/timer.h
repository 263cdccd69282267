/*
 * Clocks and timers in nanoseconds.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef QEMU_TIMER_H
#define QEMU_TIMER_H

#include <stdbool.h>
#include <stdint.h>

typedef enum QEMUClockType {
    QEMU_CLOCK_REALTIME,    /* CLOCK_MONOTONIC */
    QEMU_CLOCK_VIRTUAL,     /* 0 at the machine's start; stands while it is stopped */
    QEMU_CLOCK_MAX
} QEMUClockType;

#define NANOSECONDS_PER_SECOND 1000000000LL

typedef void QEMUTimerCB(void *opaque);

/* Embedded in its owner; all fields are private. */
typedef struct QEMUTimer {
    QEMUTimerCB *cb;
    void *opaque;
    QEMUClockType clock;
    int64_t expire;         /* -1: not armed */
    struct QEMUTimer *next;
} QEMUTimer;

/* Current time in ns. Any thread, no lock. */
int64_t qemu_clock_get_ns(QEMUClockType clock);

/*
 * cb runs from the main loop with the machine lock held. A zeroed QEMUTimer
 * is not initialised. Timers may be armed and disarmed from any thread.
 */
void timer_init_ns(QEMUTimer *ts, QEMUClockType clock, QEMUTimerCB *cb,
                   void *opaque);
/* Arm (or re-arm) for the absolute time expire. */
void timer_mod_ns(QEMUTimer *ts, int64_t expire);
/* Disarm; harmless when not armed. Needed before the owner is freed. */
void timer_del(QEMUTimer *ts);
bool timer_pending(const QEMUTimer *ts);

/* Stop or continue QEMU_CLOCK_VIRTUAL with the machine. */
void qemu_clock_enable_virtual(bool enable);
/* Call listener whenever that has changed; there is one in a process. Main thread. */
typedef void QEMUClockListener(bool running);
void qemu_clock_set_listener(QEMUClockListener *listener);

/*
 * Where a saved machine's clock stood; the machine is stopped. Timers that are armed (the host's:
 * those of the machine come with it) keep the time that they have to wait.
 */
void qemu_clock_set_virtual(int64_t ns);

/*
 * For -accel qtest: QEMU_CLOCK_VIRTUAL stands at 0 and only moves by the next
 * call, which runs every timer due up to dest (absolute) in order. False: so many were due
 * that it has stopped on the way, to go on from there with the next call.
 */
void qemu_clock_virtual_manual(void);
bool qemu_clock_advance_virtual(int64_t dest);
/* The first deadline on QEMU_CLOCK_VIRTUAL, or -1. */
int64_t qemu_clock_deadline_virtual(void);

#endif
