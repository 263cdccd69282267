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

#include <stdlib.h>
#include <time.h>

#include "hw/core/event.h"
#include "mc146818rtc-internal.h"

/* The divider -------------------------------------------------------------- */

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

static int64_t to_crystal(int64_t ns)
{
    return (__int128)ns * CRYSTAL_HZ / SECOND;
}

/* Crystal ticks between periodic interrupts, 0: none. The two slowest codes alias. */
static int64_t period(const RTCState *s)
{
    unsigned rate = s->reg[RTC_A] & A_RS;

    if (!rate || !rtc_divides(s)) {
        return 0;
    }
    return 1 << (rate < 3 ? rate + 6 : rate - 1);
}

/* Time and its bytes ------------------------------------------------------- */

/* Go on from the time that the bytes say. What no calendar has is carried over. */
static void take_time(RTCState *s, int64_t now)
{
    struct tm tm = {
        .tm_sec = rtc_decode(s, s->reg[RTC_SECONDS]),
        .tm_min = rtc_decode(s, s->reg[RTC_MINUTES]),
        .tm_hour = rtc_decode_hours(s, s->reg[RTC_HOURS]),
        .tm_mday = rtc_decode(s, s->reg[RTC_DAY_OF_MONTH]),
        .tm_mon = (int)rtc_decode(s, s->reg[RTC_MONTH]) - 1,
        .tm_year = (int)rtc_decode(s, s->reg[RTC_CENTURY]) * 100 - 1900 +
            (int)rtc_decode(s, s->reg[RTC_YEAR]),
    };
    int64_t offset = timegm(&tm) - now / SECOND;

    /* timegm() has computed the calendar's day of the week: 0 is Sunday, here 1. */
    s->weekday_shift = (rtc_decode(s, s->reg[RTC_DAY_OF_WEEK]) + 6 - tm.tm_wday) % 7;
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

/* Flags and the interrupt -------------------------------------------------- */

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
    int64_t before = rtc_time_at(s, s->seen);
    int64_t alarm;

    count_ticks(s, now);
    if (rtc_counts(s) && rtc_time_at(s, now) > before) {
        s->reg[RTC_C] |= C_UF;
        alarm = rtc_next_alarm(s, before);
        if (alarm >= 0 && alarm <= rtc_time_at(s, now)) {
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
    if ((flags & C_UF) && rtc_counts(s)) {
        next = MIN(next, (now / SECOND + 1) * SECOND);
    }
    if ((flags & C_AF) && rtc_counts(s)) {
        int64_t alarm = rtc_next_alarm(s, rtc_time_at(s, now));

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

/* Ports -------------------------------------------------------------------- */

/* A or B changes to value: time may stop, be taken over, start. */
static void write_control(RTCState *s, unsigned index, uint8_t value)
{
    int64_t now = divider(s);
    bool counted = rtc_counts(s), divided = rtc_divides(s);

    if (counted) {
        rtc_show_time(s, now);
    }
    s->reg[index] = value;
    if (s->reg[RTC_B] & B_SET) {
        s->reg[RTC_B] &= ~B_UIE;
    }
    if (!(s->reg[RTC_B] & B_PIE)) {
        s->lost_ticks = 0;
    }
    if (rtc_divides(s) && !divided) {   /* the first update comes after half a second */
        s->phase += SECOND / 2 - now % SECOND;
        now = divider(s);
        s->seen = now;
    }
    if (rtc_counts(s) && !counted) {
        take_time(s, now);
    }
    update_irq(s, now);
}

static void write_time(RTCState *s, unsigned index, uint8_t value)
{
    int64_t now = divider(s);

    if (rtc_counts(s)) {
        rtc_show_time(s, now);
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
            (rtc_counts(s) && SECOND - now % SECOND <= UIP_NS ? A_UIP : 0);
    case RTC_C:
        return read_flags(s, now);
    case RTC_D:
        return D_VRT;
    default:
        if (is_time(s->index) && rtc_counts(s)) {
            rtc_show_time(s, now);
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

/* Life cycle --------------------------------------------------------------- */

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
    s->weekday_shift = 0;
    s->seen = divider(s);
}

static bool rtc_realize(DeviceState *dev, Error **errp)
{
    RTCState *s = downcast(dev, RTCState, dev);

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
    RTCState *s = downcast(dev, RTCState, dev);

    timer_del(&s->timer);
    timer_del(&s->event_timer);
}

#define OFFSET_LIMIT (1LL << 40)        /* s */
#define DIVIDER_LIMIT (1LL << 62)       /* ns */

static bool time_is_sound(const RTCState *s)
{
    return s->offset >= -OFFSET_LIMIT && s->offset <= OFFSET_LIMIT &&
        s->phase >= -DIVIDER_LIMIT && s->phase <= DIVIDER_LIMIT && divider(s) >= 0 &&
        divider(s) <= DIVIDER_LIMIT && s->weekday_shift >= -6 && s->weekday_shift <= 6;
}

/*
 * The RESET pin takes the interrupts away and keeps the rest. That the time goes on is
 * what firmware would see to. What a load that was refused has left is no time.
 */
static void rtc_reset(DeviceState *dev)
{
    RTCState *s = downcast(dev, RTCState, dev);

    if (!time_is_sound(s)) {
        set_first_time(s);
    }
    s->index = 0;
    s->reg[RTC_C] = 0;
    write_control(s, RTC_B, s->reg[RTC_B] & ~(B_SET | B_PIE | B_AIE | B_UIE | B_SQWE));
    write_control(s, RTC_A, A_DV_32KHZ | DEFAULT_RATE);
    s->seen = divider(s);
}

static const char *const policy_names[] = { "discard", "slew", NULL };

STATE_NOT(RTCState, first_offset, "of this process's -rtc: events count from it");
STATE_NOT(RTCState, timer, "follows from the rest");
STATE_NOT(RTCState, event_timer, "of events for the host's clients");

static void rtc_pre_save(void *obj)
{
    RTCState *s = obj;

    s->saved_divider = divider(s);
}

/*
 * A clock that follows the host's has gone on meanwhile, the others stood. Periodic interrupts of
 * that time are not owed.
 */
static bool rtc_post_load(void *obj, Error **errp)
{
    RTCState *s = obj;
    bool ok = s->saved_divider >= 0 && s->saved_divider <= DIVIDER_LIMIT;

    if (ok && s->dev.machine->rtc.clock != RTC_CLOCK_HOST) {
        s->phase = s->saved_divider - clock_ns(s);
    }
    if (!ok || !time_is_sound(s)) {
        timer_del(&s->timer);
        error_setg(errp, "impossible time");
        return false;
    }
    s->seen = divider(s);
    update_irq(s, s->seen);
    return true;
}

static const StateField rtc_fields[] = {
    STATE_MAX(RTCState, index, RTC_BYTES - 1),
    STATE_ARRAY(RTCState, reg),
    STATE_INT(RTCState, phase),
    STATE_INT(RTCState, offset),
    STATE_INT(RTCState, weekday_shift),
    STATE_INT(RTCState, seen),
    STATE_INT(RTCState, lost_ticks),
    STATE_INT(RTCState, saved_divider),
    STATE_END
};

static const StateDesc rtc_state = {
    .version = 1,
    .fields = rtc_fields,
    .pre_save = rtc_pre_save,
    .post_load = rtc_post_load,
};

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
    .state = MACHINE_STATE(&rtc_state),
};
DEFINE_CLASS(mc146818_rtc, &rtc_class.oc);

DeviceState *mc146818_rtc_create(MachineState *ms, qemu_irq irq, Error **errp)
{
    DeviceState *dev = qdev_new(&rtc_class, NULL);

    downcast(dev, RTCState, dev)->irq = irq;
    if (!machine_apply_globals(ms, &dev->obj, errp) ||
        !qdev_realize(dev, ms, NULL, errp)) {
        object_free(&dev->obj);
        return NULL;
    }
    return dev;
}

MemoryRegion *mc146818_rtc_region(DeviceState *dev)
{
    return &downcast(dev, RTCState, dev)->io;
}
