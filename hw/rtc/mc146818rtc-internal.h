/*
 * The real-time clock's registers and state, for its two files.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef HW_RTC_MC146818RTC_INTERNAL_H
#define HW_RTC_MC146818RTC_INTERNAL_H

#include "hw/boards.h"
#include "qemu/timer.h"

enum {
    RTC_SECONDS, RTC_SECONDS_ALARM, RTC_MINUTES, RTC_MINUTES_ALARM,
    RTC_HOURS, RTC_HOURS_ALARM, RTC_DAY_OF_WEEK, RTC_DAY_OF_MONTH,
    RTC_MONTH, RTC_YEAR, RTC_A, RTC_B, RTC_C, RTC_D,
    RTC_CENTURY = 0x32,
    RTC_BYTES = 128,
};

#define A_UIP           0x80    /* update in progress */
#define A_DV            0x70    /* divider */
#define A_DV_32KHZ      0x20
#define A_RS            0x0f    /* rate of the periodic interrupt */
#define DEFAULT_RATE    6       /* 1024 Hz */
#define B_SET           0x80    /* the time stands, to be set */
#define B_PIE           0x40
#define B_AIE           0x20
#define B_UIE           0x10
#define B_SQWE          0x08
#define B_DM            0x04    /* binary, not BCD */
#define B_24H           0x02
#define C_IRQF          0x80
#define C_PF            0x40    /* bits as of their enables in B */
#define C_AF            0x20
#define C_UF            0x10
#define C_FLAGS         (C_PF | C_AF | C_UF)
#define D_VRT           0x80    /* the battery is good */
#define HOURS_PM        0x80
#define ALARM_ANY       0xc0    /* this or more: any value matches */

#define SECOND          NANOSECONDS_PER_SECOND
#define CRYSTAL_HZ      32768
/* UIP is set eight cycles of the crystal before an update. */
#define UIP_NS          (8 * SECOND / CRYSTAL_HZ)
#define EVENT_DELAY_NS  SECOND
#define LOOK_AGAIN_NS   (60 * SECOND)   /* somebody may set the host's clock */

typedef enum LostTickPolicy { LOST_TICK_DISCARD, LOST_TICK_SLEW } LostTickPolicy;

typedef struct RTCState {
    DeviceState dev;
    int lost_tick_policy;

    MemoryRegion io;
    qemu_irq irq;
    QEMUTimer timer;
    uint8_t index;
    /* The time's bytes are valid while it stands. C: without IRQF. A: without UIP. */
    uint8_t reg[RTC_BYTES];
    int64_t phase;          /* divider less clock, ns */
    int64_t offset;         /* time less the divider's seconds, s */
    int weekday_shift;      /* the guest's day of the week less the calendar's */
    int64_t seen;           /* divider when flags were brought up to date */
    int64_t saved_divider;  /* when the machine was saved */
    uint64_t lost_ticks;    /* periodic interrupts still owed (slew) */
    int64_t first_offset;   /* of the time that -rtc gave */
    QEMUTimer event_timer;  /* tells of another offset */
} RTCState;

/*
 * The lower settings are for faster crystals; a PC has none, and guests that leave them
 * expect a clock that goes. The others test or reset the divider.
 */
static inline bool rtc_divides(const RTCState *s)
{
    return (s->reg[RTC_A] & A_DV) <= A_DV_32KHZ;
}

/* Does the time go on? */
static inline bool rtc_counts(const RTCState *s)
{
    return rtc_divides(s) && !(s->reg[RTC_B] & B_SET);
}

static inline int64_t rtc_time_at(const RTCState *s, int64_t now)
{
    return now / SECOND + s->offset;
}

/* mc146818rtc-time.c */
unsigned rtc_decode(const RTCState *s, uint8_t value);
unsigned rtc_decode_hours(const RTCState *s, uint8_t value);
/* The time's bytes, as of now. */
void rtc_show_time(RTCState *s, int64_t now);
/* The first time after t that matches, or -1. At most some 150 steps. */
int64_t rtc_next_alarm(const RTCState *s, int64_t t);

#endif
