/*
 * The real-time clock's bytes: what the time is in them, and when the alarm's match.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <time.h>

#include "mc146818rtc-internal.h"

static uint8_t encode(const RTCState *s, unsigned value)
{
    return s->reg[RTC_B] & B_DM ? value : value / 10 << 4 | value % 10;
}

/* Digits above nine are the guest's mistake; they just count for more. */
unsigned rtc_decode(const RTCState *s, uint8_t value)
{
    return s->reg[RTC_B] & B_DM ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hours(const RTCState *s, unsigned hours)
{
    unsigned clock_face = hours % 12 ? hours % 12 : 12;

    if (s->reg[RTC_B] & B_24H) {
        return encode(s, hours);
    }
    return encode(s, clock_face) | (hours >= 12 ? HOURS_PM : 0);
}

unsigned rtc_decode_hours(const RTCState *s, uint8_t value)
{
    if (s->reg[RTC_B] & B_24H) {
        return rtc_decode(s, value);
    }
    return rtc_decode(s, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

/* The time's bytes, as of now. */
void rtc_show_time(RTCState *s, int64_t now)
{
    time_t t = rtc_time_at(s, now);
    struct tm tm = { 0 };

    gmtime_r(&t, &tm);
    s->reg[RTC_SECONDS] = encode(s, tm.tm_sec);
    s->reg[RTC_MINUTES] = encode(s, tm.tm_min);
    s->reg[RTC_HOURS] = encode_hours(s, tm.tm_hour);
    s->reg[RTC_DAY_OF_WEEK] = encode(s, (tm.tm_wday + s->weekday_shift) % 7 + 1);
    s->reg[RTC_DAY_OF_MONTH] = encode(s, tm.tm_mday);
    s->reg[RTC_MONTH] = encode(s, tm.tm_mon + 1);
    s->reg[RTC_YEAR] = encode(s, (tm.tm_year + 1900) % 100);
    s->reg[RTC_CENTURY] = encode(s, (tm.tm_year + 1900) / 100);
}

/* Alarm -------------------------------------------------------------------- */

static bool alarm_matches(unsigned alarm, unsigned value)
{
    return alarm >= ALARM_ANY || alarm == value;
}

/* The alarm's parts in binary, or ALARM_ANY; false when they never match. */
static bool alarm_parts(const RTCState *s, unsigned part[3])
{
    static const struct {
        uint8_t index;
        uint8_t limit;
    } rows[3] = {
        { RTC_HOURS_ALARM, 24 }, { RTC_MINUTES_ALARM, 60 }, { RTC_SECONDS_ALARM, 60 },
    };

    for (unsigned i = 0; i < 3; i++) {
        uint8_t value = s->reg[rows[i].index];

        if (value >= ALARM_ANY) {
            part[i] = ALARM_ANY;
            continue;
        }
        part[i] = i ? rtc_decode(s, value) : rtc_decode_hours(s, value);
        if (part[i] >= rows[i].limit) {
            return false;
        }
    }
    return true;
}

/* The first time after t that matches, or -1. At most some 150 steps. */
int64_t rtc_next_alarm(const RTCState *s, int64_t t)
{
    unsigned part[3];

    if (!alarm_parts(s, part)) {
        return -1;
    }
    for (t++;;) {
        int64_t of_day = ((t % 86400) + 86400) % 86400;

        if (!alarm_matches(part[0], of_day / 3600)) {
            t += 3600 - of_day % 3600;
        } else if (!alarm_matches(part[1], of_day / 60 % 60)) {
            t += 60 - of_day % 60;
        } else if (!alarm_matches(part[2], of_day % 60)) {
            t++;
        } else {
            return t;
        }
    }
}
