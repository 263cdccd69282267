/*
 * Real-time clock: the calendar in its four formats, setting it, update, alarm and
 * periodic flags and interrupts, lost ticks, reset, hostile values.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>
#include <time.h>

#include "hw/boards.h"
#include "hw/core/event.h"
#include "hw/rtc/mc146818rtc.h"
#include "qemu/timer.h"

#define MS      1000000LL
#define SECOND  NANOSECONDS_PER_SECOND

enum { SEC, SEC_AL, MIN_, MIN_AL, HOUR, HOUR_AL, WDAY, MDAY, MON, YEAR, A, B, C, D,
       CENTURY = 0x32 };

typedef struct Fixture {
    MachineState *ms;
    DeviceState *rtc;
    int level;
    unsigned rises;
} Fixture;

static unsigned events;
static int64_t event_offset;

static void irq8(void *opaque, int n, int level)
{
    Fixture *f = opaque;

    f->rises += level && !f->level;
    f->level = level;
}

static void on_event(MachineState *ms, const char *event, const EventField *fields,
                     unsigned n)
{
    g_assert_cmpstr(event, ==, "RTC_CHANGE");
    g_assert_cmpstr(fields[0].name, ==, "offset");
    events++;
    event_offset = fields[0].num;
}

static Fixture *fixture_new(const RTCConfig *config, bool slew)
{
    Fixture *f = g_new0(Fixture, 1);

    f->ms = (MachineState *)object_new(object_class_by_name(machine_classes, "none"), NULL);
    f->ms->rtc = *config;
    f->ms->event_fn = on_event;
    if (slew) {
        GlobalProperty *g = g_new0(GlobalProperty, 1);

        g->driver = g_strdup("mc146818rtc");
        g->property = g_strdup("lost_tick_policy");
        g->value = g_strdup("slew");
        g_ptr_array_add(f->ms->globals, g);
    }
    f->rtc = mc146818_rtc_create(f->ms, (qemu_irq) { .handler = irq8, .opaque = f }, NULL);
    g_assert_nonnull(f->rtc);
    qdev_reset_all(f->ms);
    return f;
}

/* 2024-02-28 23:59:58, a Wednesday, on the manual clock. */
static Fixture *fixture_leap(void)
{
    return fixture_new(&(RTCConfig) { .clock = RTC_CLOCK_VM, .has_date = true,
                                      .date = 1709164798 }, false);
}

static void fixture_free(Fixture *f)
{
    qdev_unrealize(f->rtc);
    object_free(&f->ms->obj);
    g_free(f);
}

static void set(Fixture *f, unsigned reg, uint8_t value)
{
    MemoryRegion *mr = mc146818_rtc_region(f->rtc);

    mr->ops->write(mr->opaque, 0, reg, 1);
    mr->ops->write(mr->opaque, 1, value, 1);
}

static uint8_t get(Fixture *f, unsigned reg)
{
    MemoryRegion *mr = mc146818_rtc_region(f->rtc);

    mr->ops->write(mr->opaque, 0, reg | 0x80, 1);   /* bit 7 is not of the index */
    return mr->ops->read(mr->opaque, 1, 1);
}

static void wait_ns(int64_t ns)
{
    qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + ns);
}

static void assert_time(Fixture *f, const char *expected)
{
    g_autofree char *text = g_strdup_printf(
        "%02x%02x-%02x-%02x %02x:%02x:%02x %x", get(f, CENTURY), get(f, YEAR), get(f, MON),
        get(f, MDAY), get(f, HOUR), get(f, MIN_), get(f, SEC), get(f, WDAY));

    g_assert_cmpstr(text, ==, expected);
}

static void test_calendar(void)
{
    Fixture *f = fixture_leap();

    g_assert_cmphex(get(f, A), ==, 0x26);
    g_assert_cmphex(get(f, B), ==, 0x02);
    g_assert_cmphex(get(f, D), ==, 0x80);
    assert_time(f, "2024-02-28 23:59:58 4");
    wait_ns(2 * SECOND - 1);
    assert_time(f, "2024-02-28 23:59:59 4");
    wait_ns(1);
    assert_time(f, "2024-02-29 00:00:00 5");
    wait_ns(86400 * SECOND);
    assert_time(f, "2024-03-01 00:00:00 6");
    set(f, CENTURY, 0x18);
    set(f, YEAR, 0x57);
    assert_time(f, "1857-03-01 00:00:00 6");
    fixture_free(f);
}

static void test_formats(void)
{
    Fixture *f = fixture_leap();

    set(f, B, 0x06);                            /* binary */
    assert_time(f, "1418-02-1c 17:3b:3a 4");
    set(f, B, 0x00);                            /* BCD, 12 hours */
    assert_time(f, "2024-02-28 91:59:58 4");
    wait_ns(2 * SECOND);
    assert_time(f, "2024-02-29 12:00:00 5");
    set(f, HOUR, 0x92);                         /* noon */
    set(f, B, 0x02);
    assert_time(f, "2024-02-29 12:00:00 5");
    set(f, B, 0x04);                            /* binary, 12 hours */
    assert_time(f, "1418-02-1d 8c:00:00 5");
    fixture_free(f);
}

static void test_uip(void)
{
    Fixture *f = fixture_leap();

    wait_ns(SECOND - 244141);
    g_assert_cmphex(get(f, A), ==, 0x26);
    wait_ns(1);
    g_assert_cmphex(get(f, A), ==, 0xa6);
    set(f, B, 0x82);                            /* no update while it is set */
    g_assert_cmphex(get(f, A), ==, 0x26);
    set(f, B, 0x02);
    wait_ns(244140);
    g_assert_cmphex(get(f, A), ==, 0x26);
    fixture_free(f);
}

/* By SET the divider goes on: the new time keeps the old one's fractions. */
static void test_set(void)
{
    static const uint8_t bytes[][2] = {
        { SEC, 0x30 }, { MIN_, 0x15 }, { HOUR, 0x07 }, { WDAY, 0x03 }, { MDAY, 0x31 },
        { MON, 0x12 }, { YEAR, 0x99 }, { CENTURY, 0x19 },
    };
    Fixture *f = fixture_leap();

    wait_ns(SECOND / 4);
    set(f, B, 0x92);                            /* UIE goes with it */
    g_assert_cmphex(get(f, B), ==, 0x82);
    for (unsigned i = 0; i < G_N_ELEMENTS(bytes); i++) {
        set(f, bytes[i][0], bytes[i][1]);
        wait_ns(3 * SECOND);
        g_assert_cmphex(get(f, bytes[i][0]), ==, bytes[i][1]);
    }
    set(f, B, 0x02);
    assert_time(f, "1999-12-31 07:15:30 3");    /* a Friday; the guest knows better */
    wait_ns(3 * SECOND / 4 - 1);
    assert_time(f, "1999-12-31 07:15:30 3");
    wait_ns(1);
    assert_time(f, "1999-12-31 07:15:31 3");
    set(f, HOUR, 0x23);                         /* without SET */
    assert_time(f, "1999-12-31 23:15:31 3");
    wait_ns(3600 * SECOND);
    assert_time(f, "2000-01-01 00:15:31 4");
    fixture_free(f);
}

/* Half a second after the divider's reset the first update comes. */
static void test_divider(void)
{
    Fixture *f = fixture_leap();

    wait_ns(SECOND / 10);
    set(f, A, 0x76);
    wait_ns(10 * SECOND);
    assert_time(f, "2024-02-28 23:59:58 4");
    g_assert_cmphex(get(f, A), ==, 0x76);
    set(f, A, 0x26);
    wait_ns(SECOND / 2 - 1);
    assert_time(f, "2024-02-28 23:59:58 4");
    wait_ns(1);
    assert_time(f, "2024-02-28 23:59:59 4");
    fixture_free(f);
}

/* What only says that another crystal is there neither stops the clock nor sets it. */
static void test_divider_bits(void)
{
    for (unsigned dv = 0; dv < 8; dv++) {
        Fixture *f = fixture_leap();

        wait_ns(SECOND / 10);
        set(f, A, dv << 4 | 6);
        wait_ns(9 * SECOND / 10);
        assert_time(f, dv <= 2 ? "2024-02-28 23:59:59 4" : "2024-02-28 23:59:58 4");
        g_assert_cmphex(get(f, C), ==, dv <= 2 ? 0x50 : 0x40);
        set(f, A, 0x26);
        wait_ns(SECOND / 2);
        assert_time(f, "2024-02-28 23:59:59 4");
        fixture_free(f);
    }
}

static void test_update(void)
{
    Fixture *f = fixture_leap();

    set(f, SEC_AL, 0x99);                       /* no alarm at midnight */
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, -1);     /* nothing runs */
    wait_ns(5 * SECOND);
    g_assert_cmphex(get(f, C), ==, 0x50);       /* without enables: no IRQF */
    g_assert_cmphex(get(f, C), ==, 0x00);
    g_assert_cmpuint(f->rises, ==, 0);
    set(f, B, 0x12);
    wait_ns(SECOND - 1);
    g_assert_cmpint(f->level, ==, 0);
    wait_ns(1);
    g_assert_cmpint(f->level, ==, 1);
    wait_ns(3 * SECOND);
    g_assert_cmpuint(f->rises, ==, 1);          /* one until it is acknowledged */
    g_assert_cmpint(qemu_clock_deadline_virtual(), ==, -1);
    g_assert_cmphex(get(f, C), ==, 0xd0);
    g_assert_cmpint(f->level, ==, 0);
    wait_ns(SECOND);
    g_assert_cmpuint(f->rises, ==, 2);
    set(f, B, 0x02);
    g_assert_cmpint(f->level, ==, 0);
    g_assert_cmphex(get(f, C), ==, 0x50);
    fixture_free(f);
}

static void set_alarm(Fixture *f, uint8_t hour, uint8_t minute, uint8_t second)
{
    set(f, HOUR_AL, hour);
    set(f, MIN_AL, minute);
    set(f, SEC_AL, second);
    get(f, C);
}

static void test_alarm(void)
{
    Fixture *f = fixture_leap();                /* 23:59:58 */

    set(f, B, 0x22);
    set_alarm(f, 0x00, 0x01, 0x30);
    wait_ns(92 * SECOND - 1);
    g_assert_cmpuint(f->rises, ==, 0);
    wait_ns(1);
    g_assert_cmpuint(f->rises, ==, 1);
    g_assert_cmphex(get(f, C) & 0xb0, ==, 0xb0);
    wait_ns(86400 * SECOND - 1);
    g_assert_cmpuint(f->rises, ==, 1);
    wait_ns(1);
    g_assert_cmpuint(f->rises, ==, 2);
    set_alarm(f, 0xff, 0xc0, 0x05);             /* once a minute; it is :30 */
    wait_ns(35 * SECOND - 1);
    g_assert_cmpuint(f->rises, ==, 2);
    wait_ns(1);
    g_assert_cmpuint(f->rises, ==, 3);
    set_alarm(f, 0xff, 0x60, 0xff);             /* never */
    wait_ns(86400 * SECOND);
    g_assert_cmphex(get(f, C), ==, 0x50);
    set(f, B, 0x20);                            /* 12 hours: 3 pm */
    set_alarm(f, 0x83, 0xff, 0xff);
    wait_ns(86400 * SECOND);
    g_assert_cmphex(get(f, HOUR), ==, 0x12);
    g_assert_cmpuint(f->rises, ==, 4);
    set(f, B, 0x02);
    get(f, C);
    wait_ns(86400 * SECOND);                    /* seen without a timer */
    set_alarm(f, 0x15, 0x30, 0x00);
    wait_ns(86400 * SECOND);
    g_assert_cmphex(get(f, C), ==, 0x70);
    fixture_free(f);
}

static void test_periodic(void)
{
    static const struct {
        uint8_t rate;
        unsigned hz;
    } rows[] = { { 1, 256 }, { 2, 128 }, { 3, 8192 }, { 6, 1024 }, { 15, 2 } };
    Fixture *f = fixture_leap();

    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        set(f, A, 0x20 | rows[i].rate);
        set(f, B, 0x42);
        get(f, C);
        f->rises = 0;
        for (unsigned n = 0; n < rows[i].hz * 2; n++) {
            wait_ns(SECOND / rows[i].hz + 1);
            g_assert_cmphex(get(f, C) & 0xc0, ==, 0xc0);
        }
        g_assert_cmpuint(f->rises, ==, rows[i].hz * 2);
        wait_ns(SECOND);
        g_assert_cmpuint(f->rises, ==, rows[i].hz * 2 + 1);
    }
    get(f, C);
    set(f, A, 0x20);                            /* no rate */
    wait_ns(SECOND);
    g_assert_cmphex(get(f, C), ==, 0x10);
    set(f, B, 0xc2);                            /* SET does not stop it */
    set(f, A, 0x2f);
    wait_ns(SECOND);
    g_assert_cmphex(get(f, C), ==, 0xc0);
    fixture_free(f);
}

static void test_slew(void)
{
    const RTCConfig config = { .clock = RTC_CLOCK_VM };
    Fixture *f = fixture_new(&config, true);

    set(f, B, 0x42);
    set(f, A, 0x2f);
    get(f, C);
    wait_ns(5 * SECOND);                        /* ten ticks */
    for (unsigned n = 1; n <= 10; n++) {
        g_assert_cmpuint(f->rises, ==, n);
        g_assert_cmpint(f->level, ==, 1);
        g_assert_cmphex(get(f, C) & 0xc0, ==, 0xc0);
    }
    g_assert_cmpint(f->level, ==, 0);
    wait_ns(2 * SECOND);
    set(f, B, 0x02);                            /* nobody wants them any more */
    get(f, C);
    set(f, B, 0x42);
    g_assert_cmpint(f->level, ==, 0);
    fixture_free(f);
}

static void test_reset(void)
{
    Fixture *f = fixture_leap();

    set(f, 0x40, 0x5a);
    set(f, 0x7f, 0xa5);
    set(f, B, 0x72);
    wait_ns(SECOND);
    g_assert_cmpint(f->level, ==, 1);
    set(f, B, 0xf2);
    set(f, A, 0x70);
    qdev_reset_all(f->ms);
    g_assert_cmpint(f->level, ==, 0);
    g_assert_cmphex(get(f, B), ==, 0x02);
    g_assert_cmphex(get(f, A), ==, 0x26);
    g_assert_cmphex(get(f, C), ==, 0x00);
    g_assert_cmphex(get(f, 0x40), ==, 0x5a);
    g_assert_cmphex(get(f, 0x7f), ==, 0xa5);
    assert_time(f, "2024-02-28 23:59:59 4");
    wait_ns(SECOND);
    assert_time(f, "2024-02-29 00:00:00 5");
    fixture_free(f);
}

/* Nonsense is kept as long as the time stands; then it is some time, or another. */
static void test_nonsense(void)
{
    Fixture *f = fixture_leap();
    GRand *rand = g_rand_new_with_seed(1);

    set(f, B, 0x82);
    for (unsigned reg = SEC; reg <= YEAR; reg++) {
        set(f, reg, 0xff);
    }
    set(f, CENTURY, 0xff);
    set(f, B, 0x02);
    for (unsigned i = 0; i < 200000; i++) {
        set(f, g_rand_int(rand), g_rand_int(rand));
        get(f, g_rand_int(rand));
        wait_ns(i % 16 ? 0 : g_rand_int_range(rand, 0, 1 << 30));
    }
    set(f, B, 0x02);
    set(f, A, 0x26);
    get(f, SEC);
    set(f, MON, 0x00);
    fixture_free(f);
    g_rand_free(rand);
}

static void test_event(void)
{
    Fixture *f = fixture_new(&(RTCConfig) { .clock = RTC_CLOCK_VM }, false);
    uint8_t hour = get(f, HOUR);

    events = 0;
    set(f, SEC, get(f, SEC));
    g_assert_cmpuint(events, ==, 0);
    set(f, HOUR, hour == 0x05 ? 0x06 : 0x05);
    set(f, HOUR, hour == 0x09 ? 0x08 : hour == 0x19 ? 0x18 : hour ^ 1);
    for (unsigned i = 0; i < 300 && !events; i++) {
        g_usleep(10 * 1000);
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(events, ==, 1);            /* the last alone */
    g_assert_cmpint(ABS(event_offset), ==, 3600);
    fixture_free(f);
}

/* Seconds since 1970 that the clock shows. */
static int64_t shown(Fixture *f)
{
    struct tm tm = { .tm_isdst = 0 };

    set(f, B, 0x06);
    do {
        tm.tm_sec = get(f, SEC);
        tm.tm_min = get(f, MIN_);
        tm.tm_hour = get(f, HOUR);
        tm.tm_mday = get(f, MDAY);
        tm.tm_mon = get(f, MON) - 1;
        tm.tm_year = get(f, CENTURY) * 100 + get(f, YEAR) - 1900;
    } while (tm.tm_sec != get(f, SEC));
    return timegm(&tm);
}

static void test_sources(void)
{
    Fixture *f;

    g_setenv("TZ", "XYZ-5:30", true);
    tzset();
    for (int clock = RTC_CLOCK_HOST; clock <= RTC_CLOCK_VM; clock++) {
        f = fixture_new(&(RTCConfig) { .clock = clock }, false);
        g_assert_cmpint(ABS(shown(f) - time(NULL)), <=, 1);
        fixture_free(f);
        f = fixture_new(&(RTCConfig) { .clock = clock, .localtime = true }, false);
        g_assert_cmpint(ABS(shown(f) - time(NULL) - 19800), <=, 1);
        fixture_free(f);
        f = fixture_new(&(RTCConfig) { .clock = clock, .has_date = true,
                                       .date = 951782399 }, false);
        g_assert_cmpint(shown(f), ==, 951782399);
        fixture_free(f);
    }
}

/* Puts value where a load would: whether the load is then good. */
static bool load(Fixture *f, const char *name, int64_t value)
{
    const StateDesc *state = device_get_class(f->rtc)->state;
    const StateField *row = state->fields;

    while (strcmp(row->name, name)) {
        row++;
    }
    memcpy((char *)f->rtc + row->offset, &value, row->size);
    return state->post_load(f->rtc, NULL);
}

/* No time is loaded that could not be saved again, and a reset forgets what was refused. */
static void test_loaded(void)
{
    static const struct {
        const char *name;
        int64_t value;
    } wrong[] = {
        { "offset", INT64_MIN }, { "offset", 1LL << 41 }, { "phase", INT64_MIN },
        { "phase", INT64_MAX }, { "phase", -(1LL << 61) }, { "weekday_shift", INT32_MIN },
        { "saved_divider", -1 }, { "saved_divider", INT64_MAX },
    };
    Fixture *f = fixture_new(&(RTCConfig) { .clock = RTC_CLOCK_HOST }, false);

    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        g_assert_false(load(f, wrong[i].name, wrong[i].value));
        qdev_reset_all(f->ms);
        g_assert_true(load(f, "saved_divider", 0));
    }
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_clock_virtual_manual();
    g_test_add_func("/rtc/calendar", test_calendar);
    g_test_add_func("/rtc/formats", test_formats);
    g_test_add_func("/rtc/uip", test_uip);
    g_test_add_func("/rtc/set", test_set);
    g_test_add_func("/rtc/divider", test_divider);
    g_test_add_func("/rtc/divider-bits", test_divider_bits);
    g_test_add_func("/rtc/update", test_update);
    g_test_add_func("/rtc/alarm", test_alarm);
    g_test_add_func("/rtc/periodic", test_periodic);
    g_test_add_func("/rtc/slew", test_slew);
    g_test_add_func("/rtc/reset", test_reset);
    g_test_add_func("/rtc/nonsense", test_nonsense);
    g_test_add_func("/rtc/loaded", test_loaded);
    g_test_add_func("/rtc/event", test_event);
    g_test_add_func("/rtc/sources", test_sources);
    return g_test_run();
}
