/*
 * MC146818 real-time clock, as a PC has it: 32768 Hz crystal, century in byte 0x32.
 *
 * Nothing runs while no interrupt is enabled: time and flags are computed when the guest
 * looks. The divider, the chain that makes seconds of the crystal's ticks, is a count of
 * nanoseconds; its whole seconds plus an offset are the time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/rtc/mc146818rtc.h"

#include <time.h>

#include "hw/boards.h"
#include "hw/core/event.h"
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
    uint64_t lost_ticks;    /* periodic interrupts still owed (slew) */
    int64_t first_offset;   /* of the time that -rtc gave */
    QEMUTimer event_timer;  /* tells of another offset */
} RTCState;

/* ---- The divider ---- */

static int64_t wall_clock_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * SECOND + ts.tv_nsec;
}

static QEMUClockType timer_clock(const RTCState *s)
{
    return s->dev.machine->rtc.clock == RTC_CLOCK_VM ? QEMU_CLOCK_VIRTUAL
                                                     : QEMU_CLOCK_REALTIME;
}

static int64_t clock_ns(const RTCState *s)
{
    return s->dev.machine->rtc.clock == RTC_CLOCK_HOST
           ? wall_clock_ns() : qemu_clock_get_ns(timer_clock(s));
}

static int64_t divider(const RTCState *s)
{
    return clock_ns(s) + s->phase;
}

/*
 * The lower settings are for faster crystals; a PC has none, and guests that leave them
 * expect a clock that goes. The others test or reset the divider.
 */
static bool divides(const RTCState *s)
{
    return (s->reg[RTC_A] & A_DV) <= A_DV_32KHZ;
}

/* Does the time go on? */
static bool counts(const RTCState *s)
{
    return divides(s) && !(s->reg[RTC_B] & B_SET);
}

static int64_t time_at(const RTCState *s, int64_t now)
{
    return now / SECOND + s->offset;
}

static int64_t to_crystal(int64_t ns)
{
    return (__int128)ns * CRYSTAL_HZ / SECOND;
}

/* Crystal ticks between periodic interrupts, 0: none. The two slowest codes alias. */
static int64_t period(const RTCState *s)
{
    unsigned rate = s->reg[RTC_A] & A_RS;

    if (!rate || !divides(s)) {
        return 0;
    }
    return 1 << (rate < 3 ? rate + 6 : rate - 1);
}

/* ---- Time and its bytes ---- */

static uint8_t encode(const RTCState *s, unsigned value)
{
    return s->reg[RTC_B] & B_DM ? value : value / 10 << 4 | value % 10;
}

/* Digits above nine are the guest's mistake; they just count for more. */
static unsigned decode(const RTCState *s, uint8_t value)
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

static unsigned decode_hours(const RTCState *s, uint8_t value)
{
    if (s->reg[RTC_B] & B_24H) {
        return decode(s, value);
    }
    return decode(s, value & ~HOURS_PM) % 12 + (value & HOURS_PM ? 12 : 0);
}

/* The time's bytes, as of now. */
static void show_time(RTCState *s, int64_t now)
{
    time_t t = time_at(s, now);
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

/* Go on from the time that the bytes say. What no calendar has is carried over. */
static void take_time(RTCState *s, int64_t now)
{
    struct tm tm = {
        .tm_sec = decode(s, s->reg[RTC_SECONDS]),
        .tm_min = decode(s, s->reg[RTC_MINUTES]),
        .tm_hour = decode_hours(s, s->reg[RTC_HOURS]),
        .tm_mday = decode(s, s->reg[RTC_DAY_OF_MONTH]),
        .tm_mon = (int)decode(s, s->reg[RTC_MONTH]) - 1,
        .tm_year = (int)decode(s, s->reg[RTC_CENTURY]) * 100 - 1900 +
            (int)decode(s, s->reg[RTC_YEAR]),
    };
    int64_t offset = timegm(&tm) - now / SECOND;

    /* timegm() has computed the calendar's day of the week: 0 is Sunday, here 1. */
    s->weekday_shift = (decode(s, s->reg[RTC_DAY_OF_WEEK]) + 6 - tm.tm_wday) % 7;
    if (offset != s->offset && !timer_pending(&s->event_timer)) {
        timer_mod_ns(&s->event_timer,
                     qemu_clock_get_ns(QEMU_CLOCK_REALTIME) + EVENT_DELAY_NS);
    }
    s->offset = offset;
}

/* Late and seldom: a guest sets its clock byte by byte, and as often as it likes. */
static void tell_of_change(void *opaque)
{
    RTCState *s = opaque;

    machine_event(s->dev.machine, "RTC_CHANGE", (EventField []) {
        EVENT_INT("offset", s->offset - s->first_offset) }, 1);
}

static bool is_time(unsigned index)
{
    return index == RTC_CENTURY || index == RTC_SECONDS || index == RTC_MINUTES ||
        (index >= RTC_HOURS && index <= RTC_YEAR && index != RTC_HOURS_ALARM);
}

/* ---- Alarm ---- */

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
        part[i] = i ? decode(s, value) : decode_hours(s, value);
        if (part[i] >= rows[i].limit) {
            return false;
        }
    }
    return true;
}

/* The first time after t that matches, or -1. At most some 150 steps. */
static int64_t next_alarm(const RTCState *s, int64_t t)
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

/* ---- Flags and the interrupt ---- */

static void count_ticks(RTCState *s, int64_t now)
{
    int64_t step = period(s);
    int64_t ticks = step ? to_crystal(now) / step - to_crystal(s->seen) / step : 0;

    if (ticks <= 0) {
        return;
    }
    if (s->lost_tick_policy == LOST_TICK_SLEW && (s->reg[RTC_B] & B_PIE)) {
        s->lost_ticks += ticks - !(s->reg[RTC_C] & C_PF);
    }
    s->reg[RTC_C] |= C_PF;
}

/* Set the flags of all that has happened since the last time. */
static void catch_up(RTCState *s, int64_t now)
{
    int64_t before = time_at(s, s->seen);
    int64_t alarm;

    count_ticks(s, now);
    if (counts(s) && time_at(s, now) > before) {
        s->reg[RTC_C] |= C_UF;
        alarm = next_alarm(s, before);
        if (alarm >= 0 && alarm <= time_at(s, now)) {
            s->reg[RTC_C] |= C_AF;
        }
    }
    s->seen = now;
}

/* Flags whose being set would interrupt, and that are not. */
static uint8_t awaited(const RTCState *s)
{
    return s->reg[RTC_B] & ~s->reg[RTC_C] & C_FLAGS;
}

/* The divider at the next interrupt, or -1. */
static int64_t next_interrupt(const RTCState *s, int64_t now)
{
    uint8_t flags = awaited(s);
    int64_t step = period(s);
    int64_t next = INT64_MAX;

    if ((flags & C_PF) && step) {
        __int128 tick = (to_crystal(now) / step + 1) * step;

        next = (tick * SECOND + CRYSTAL_HZ - 1) / CRYSTAL_HZ;
    }
    if ((flags & C_UF) && counts(s)) {
        next = MIN(next, (now / SECOND + 1) * SECOND);
    }
    if ((flags & C_AF) && counts(s)) {
        int64_t alarm = next_alarm(s, time_at(s, now));

        next = alarm < 0 ? next : MIN(next, (alarm - s->offset) * SECOND);
    }
    return next == INT64_MAX ? -1 : next;
}

/* After any change: the line, and the timer for the next one. */
static void update_irq(RTCState *s, int64_t now)
{
    int64_t next = -1;

    qemu_set_irq(s->irq, (s->reg[RTC_B] & s->reg[RTC_C] & C_FLAGS) != 0);
    if (awaited(s)) {
        next = next_interrupt(s, now);
    }
    if (next < 0) {
        timer_del(&s->timer);
    } else {
        timer_mod_ns(&s->timer, qemu_clock_get_ns(timer_clock(s)) +
                     MIN(next - now, LOOK_AGAIN_NS));
    }
}

static void timer_cb(void *opaque)
{
    RTCState *s = opaque;
    int64_t now = divider(s);

    catch_up(s, now);
    update_irq(s, now);
}

/* ---- Ports ---- */

/* A or B changes to value: time may stop, be taken over, start. */
static void write_control(RTCState *s, unsigned index, uint8_t value)
{
    int64_t now = divider(s);
    bool counted = counts(s), divided = divides(s);

    if (counted) {
        show_time(s, now);
    }
    s->reg[index] = value;
    if (s->reg[RTC_B] & B_SET) {
        s->reg[RTC_B] &= ~B_UIE;
    }
    if (!(s->reg[RTC_B] & B_PIE)) {
        s->lost_ticks = 0;
    }
    if (divides(s) && !divided) {   /* the first update comes after half a second */
        s->phase += SECOND / 2 - now % SECOND;
        now = divider(s);
        s->seen = now;
    }
    if (counts(s) && !counted) {
        take_time(s, now);
    }
    update_irq(s, now);
}

static void write_time(RTCState *s, unsigned index, uint8_t value)
{
    int64_t now = divider(s);

    if (counts(s)) {
        show_time(s, now);
        s->reg[index] = value;
        take_time(s, now);
    } else {
        s->reg[index] = value;
    }
}

static void write_register(RTCState *s, uint8_t value)
{
    int64_t now = divider(s);

    catch_up(s, now);
    switch (s->index) {
    case RTC_A:
        write_control(s, RTC_A, value & ~A_UIP);
        break;
    case RTC_B:
        write_control(s, RTC_B, value);
        break;
    case RTC_C:
    case RTC_D:
        break;
    default:
        if (is_time(s->index)) {
            write_time(s, s->index, value);
        } else {
            s->reg[s->index] = value;
        }
        update_irq(s, now);     /* the alarm may be nearer or farther */
    }
}

static uint8_t read_flags(RTCState *s, int64_t now)
{
    uint8_t flags = s->reg[RTC_C];

    if (s->reg[RTC_B] & flags & C_FLAGS) {
        flags |= C_IRQF;
    }
    s->reg[RTC_C] = 0;
    update_irq(s, now);
    if (s->lost_ticks) {        /* the line has been low: this is a new edge */
        s->lost_ticks--;
        s->reg[RTC_C] = C_PF;
        update_irq(s, now);
    }
    return flags;
}

static uint8_t read_register(RTCState *s)
{
    int64_t now = divider(s);

    catch_up(s, now);
    switch (s->index) {
    case RTC_A:
        return s->reg[RTC_A] |
            (counts(s) && SECOND - now % SECOND <= UIP_NS ? A_UIP : 0);
    case RTC_C:
        return read_flags(s, now);
    case RTC_D:
        return D_VRT;
    default:
        if (is_time(s->index) && counts(s)) {
            show_time(s, now);
        }
        return s->reg[s->index];
    }
}

/* Bit 7 of the index is no business of the clock: PCs mask NMIs by it. */
static void rtc_write(void *opaque, hwaddr addr, uint64_t data, unsigned size)
{
    RTCState *s = opaque;

    if (addr == 0) {
        s->index = data % RTC_BYTES;
    } else {
        write_register(s, data);
    }
}

static uint64_t rtc_read(void *opaque, hwaddr addr, unsigned size)
{
    return addr == 0 ? 0xff : read_register(opaque);
}

static const MemoryRegionOps rtc_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .valid = { .min_access_size = 1, .max_access_size = 2, .unaligned = true },
    .impl = { .min_access_size = 1, .max_access_size = 1 },
};

/* ---- Life cycle ---- */

static void set_first_time(RTCState *s)
{
    const RTCConfig *config = &s->dev.machine->rtc;
    int64_t wall = wall_clock_ns();
    time_t host = wall / SECOND;
    struct tm tm;

    if (config->has_date) {         /* a full second of it */
        s->phase = -(clock_ns(s) % SECOND);
        s->offset = config->date - divider(s) / SECOND;
    } else {
        s->phase = wall % SECOND - clock_ns(s) % SECOND;
        s->offset = host - divider(s) / SECOND;
        if (config->localtime && localtime_r(&host, &tm)) {
            s->offset += tm.tm_gmtoff;
        }
    }
    s->first_offset = s->offset;
    s->seen = divider(s);
}

static bool rtc_realize(DeviceState *dev, Error **errp)
{
    RTCState *s = (RTCState *)dev;

    timer_init_ns(&s->timer, timer_clock(s), timer_cb, s);
    timer_init_ns(&s->event_timer, QEMU_CLOCK_REALTIME, tell_of_change, s);
    memory_region_init_io(&s->io, &rtc_ops, s, "rtc", 2);
    s->reg[RTC_A] = A_DV_32KHZ | DEFAULT_RATE;
    s->reg[RTC_B] = B_24H;
    set_first_time(s);
    return true;
}

static void rtc_unrealize(DeviceState *dev)
{
    RTCState *s = (RTCState *)dev;

    timer_del(&s->timer);
    timer_del(&s->event_timer);
}

/*
 * The RESET pin takes the interrupts away and keeps the rest. That the time goes on is
 * what firmware would see to.
 */
static void rtc_reset(DeviceState *dev)
{
    RTCState *s = (RTCState *)dev;

    s->index = 0;
    s->reg[RTC_C] = 0;
    write_control(s, RTC_B, s->reg[RTC_B] & ~(B_SET | B_PIE | B_AIE | B_UIE | B_SQWE));
    write_control(s, RTC_A, A_DV_32KHZ | DEFAULT_RATE);
    s->seen = divider(s);
}

static const char *const policy_names[] = { "discard", "slew", NULL };

static const Property rtc_props[] = {
    DEFINE_PROP_ENUM("lost_tick_policy", RTCState, lost_tick_policy, policy_names, "discard",
                     "slew: periodic interrupts that came too fast are made up for"),
    DEFINE_PROP_END
};

static const DeviceClass rtc_class = {
    .oc = {
        .name = TYPE_MC146818_RTC,
        .desc = "real-time clock of a PC",
        .instance_size = sizeof(RTCState),
        .props = rtc_props,
    },
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
};
DEFINE_CLASS(mc146818_rtc, &rtc_class.oc);

DeviceState *mc146818_rtc_create(MachineState *ms, qemu_irq irq, Error **errp)
{
    DeviceState *dev = qdev_new(&rtc_class, NULL);

    ((RTCState *)dev)->irq = irq;
    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !qdev_realize(dev, ms, NULL, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}

MemoryRegion *mc146818_rtc_region(DeviceState *dev)
{
    return &((RTCState *)dev)->io;
}
