/*
 * What -rtc says: where the time of a real-time clock comes from.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef SYSEMU_RTC_H
#define SYSEMU_RTC_H

#include <stdbool.h>
#include <stdint.h>

typedef enum RTCClock {
    RTC_CLOCK_HOST,     /* the host's wall clock, with all its corrections */
    RTC_CLOCK_RT,       /* the host's monotonic clock */
    RTC_CLOCK_VM,       /* the machine's clock: stands while that is stopped */
} RTCClock;

/* All zero is the default: the host's clock, in UTC. */
typedef struct RTCConfig {
    RTCClock clock;
    bool localtime;     /* at the start: local time of the host */
    bool has_date;      /* at the start: date, not the host's time */
    int64_t date;       /* seconds since 1970 */
} RTCConfig;

#endif
