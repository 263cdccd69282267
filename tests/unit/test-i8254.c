/*
 * 8254: modes, access modes, latches, read-back, gate 2, hostile counts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "hw/timer/i8254.h"
#include "qemu/timer.h"

typedef struct Fixture {
    PITState *pit;
    int level;
    unsigned rises;
} Fixture;

static void irq0(void *opaque, int n, int level)
{
    Fixture *f = opaque;

    f->rises += level && !f->level;
    f->level = level;
}

static Fixture *fixture_new(void)
{
    Fixture *f = g_new0(Fixture, 1);

    f->pit = pit_new((qemu_irq) { .handler = irq0, .opaque = f });
    return f;
}

static void fixture_free(Fixture *f)
{
    pit_free(f->pit);
    g_free(f);
}

static void out(Fixture *f, unsigned port, uint8_t value)
{
    MemoryRegion *mr = pit_region(f->pit);

    mr->ops->write(mr->opaque, port, value, 1);
}

static uint8_t in(Fixture *f, unsigned port)
{
    MemoryRegion *mr = pit_region(f->pit);

    return mr->ops->read(mr->opaque, port, 1);
}

static void out61(Fixture *f, uint8_t value)
{
    MemoryRegion *mr = pit_port_b_region(f->pit);

    mr->ops->write(mr->opaque, 0, value, 1);
}

static uint8_t in61(Fixture *f)
{
    MemoryRegion *mr = pit_port_b_region(f->pit);

    return mr->ops->read(mr->opaque, 0, 1);
}

/* Move the clock to the first nanosecond of the n-th tick from now's tick. */
static void ticks(unsigned n)
{
    __int128 tick = (__int128)qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) * PIT_FREQ /
        NANOSECONDS_PER_SECOND + n;

    qemu_clock_advance_virtual((tick * NANOSECONDS_PER_SECOND + PIT_FREQ - 1) /
                               PIT_FREQ);
}

static void program(Fixture *f, unsigned ch, uint8_t control, uint16_t count)
{
    out(f, 3, ch << 6 | 0x30 | control);
    out(f, ch, count);
    out(f, ch, count >> 8);
}

static uint16_t word(Fixture *f, unsigned ch)
{
    uint16_t value;

    out(f, 3, ch << 6);     /* latch */
    value = in(f, ch);
    return value | in(f, ch) << 8;
}

static uint8_t status(Fixture *f, unsigned ch)
{
    out(f, 3, 0xe0 | 2 << ch);
    return in(f, ch);
}

static void test_mode0(void)
{
    Fixture *f = fixture_new();

    f->rises = 0;
    program(f, 0, 0, 1000);
    g_assert_cmpint(f->level, ==, 0);
    ticks(400);
    g_assert_cmpuint(word(f, 0), ==, 600);
    g_assert_cmphex(status(f, 0), ==, 0x30);
    ticks(599);
    g_assert_cmpuint(f->rises, ==, 0);
    ticks(1);
    g_assert_cmpuint(f->rises, ==, 1);
    g_assert_cmpint(f->level, ==, 1);
    g_assert_cmphex(status(f, 0), ==, 0xb0);
    ticks(10);
    g_assert_cmpuint(word(f, 0), ==, 65526);    /* goes on */
    ticks(1000000);
    g_assert_cmpuint(f->rises, ==, 1);
    out(f, 3, 0x30);
    g_assert_cmpint(f->level, ==, 0);
    out(f, 0, 5);                               /* half a count: stands */
    ticks(100);
    g_assert_cmpuint(f->rises, ==, 1);
    fixture_free(f);
}

static void test_mode2(void)
{
    Fixture *f = fixture_new();

    program(f, 0, 4, 11932);            /* 100 Hz */
    f->rises = 0;
    g_assert_cmpuint(word(f, 0), ==, 11932);
    ticks(11931);
    g_assert_cmpuint(word(f, 0), ==, 1);
    g_assert_cmphex(status(f, 0), ==, 0x34);    /* low for the last tick */
    g_assert_cmpuint(f->rises, ==, 0);
    ticks(1);
    g_assert_cmphex(status(f, 0), ==, 0xb4);
    g_assert_cmpuint(f->rises, ==, 1);
    for (unsigned i = 0; i < 50; i++) {
        ticks(11932);
    }
    g_assert_cmpuint(f->rises, ==, 51);
    /* A new count waits for the end of the period. */
    ticks(932);
    out(f, 0, 0xe8);
    out(f, 0, 0x03);
    g_assert_cmpuint(word(f, 0), ==, 11000);
    g_assert_cmphex(status(f, 0) & 0x40, ==, 0x40);     /* null count */
    ticks(10999);
    g_assert_cmpuint(f->rises, ==, 51);
    ticks(1);
    g_assert_cmpuint(f->rises, ==, 52);
    g_assert_cmpuint(word(f, 0), ==, 1000);
    g_assert_cmphex(status(f, 0) & 0x40, ==, 0);
    ticks(1000);
    g_assert_cmpuint(f->rises, ==, 53);
    fixture_free(f);
}

static void test_mode3(void)
{
    Fixture *f = fixture_new();

    program(f, 0, 6, 1000);
    f->rises = 0;
    ticks(100);
    g_assert_cmpuint(word(f, 0), ==, 800);      /* by two */
    ticks(399);
    g_assert_cmphex(status(f, 0) & 0x80, ==, 0x80);
    ticks(1);
    g_assert_cmphex(status(f, 0) & 0x80, ==, 0);
    g_assert_cmpuint(word(f, 0), ==, 1000);
    ticks(500);
    g_assert_cmpuint(f->rises, ==, 1);
    ticks(1000);
    g_assert_cmpuint(f->rises, ==, 2);
    program(f, 0, 6, 0);                        /* 65536: 18.2 Hz */
    f->rises = 0;
    ticks(65535);
    g_assert_cmpuint(f->rises, ==, 0);
    ticks(1);
    g_assert_cmpuint(f->rises, ==, 1);
    program(f, 2, 6, 5);                        /* odd: high for three of five */
    out61(f, 1);
    for (unsigned i = 0; i < 10; i++) {
        g_assert_cmphex(in61(f) & 0x20, ==, i % 5 < 3 ? 0x20 : 0);
        ticks(1);
    }
    fixture_free(f);
}

static void test_mode4(void)
{
    Fixture *f = fixture_new();

    program(f, 0, 8, 100);
    f->rises = 0;
    g_assert_cmpint(f->level, ==, 1);
    ticks(100);
    g_assert_cmphex(status(f, 0) & 0x80, ==, 0);
    ticks(1);
    g_assert_cmphex(status(f, 0) & 0x80, ==, 0x80);
    g_assert_cmpuint(f->rises, ==, 1);
    ticks(100000);
    g_assert_cmpuint(f->rises, ==, 1);
    fixture_free(f);
}

/* Channel 2 the way kernels time their TSC with it. */
static void test_gate_mode0(void)
{
    Fixture *f = fixture_new();

    out61(f, 0);
    program(f, 2, 0, 1000);
    ticks(5000);
    g_assert_cmphex(in61(f) & 0x23, ==, 0);
    g_assert_cmpuint(word(f, 2), ==, 1000);     /* held */
    out61(f, 3);
    g_assert_cmphex(in61(f) & 3, ==, 3);
    ticks(600);
    out61(f, 2);
    ticks(5000);
    g_assert_cmpuint(word(f, 2), ==, 400);
    out61(f, 1);
    ticks(399);
    g_assert_cmphex(in61(f) & 0x20, ==, 0);
    ticks(1);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    fixture_free(f);
}

static void test_gate_modes(void)
{
    Fixture *f = fixture_new();

    out61(f, 0);
    program(f, 2, 2, 100);              /* mode 1: one-shot by the gate */
    ticks(1000);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    out61(f, 1);
    g_assert_cmphex(in61(f) & 0x20, ==, 0);
    ticks(50);
    out61(f, 0);
    out61(f, 1);                        /* again */
    ticks(99);
    g_assert_cmphex(in61(f) & 0x20, ==, 0);
    ticks(1);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    out61(f, 0);
    out(f, 3, 0xb2);
    out61(f, 1);                        /* a trigger without a count */
    ticks(100000);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    out61(f, 0);
    program(f, 2, 6, 100);              /* mode 3: a low gate makes it high */
    ticks(75);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    out61(f, 1);
    ticks(75);
    g_assert_cmphex(in61(f) & 0x20, ==, 0);
    out61(f, 0);
    g_assert_cmphex(in61(f) & 0x20, ==, 0x20);
    fixture_free(f);
}

static void test_access_modes(void)
{
    Fixture *f = fixture_new();

    out(f, 3, 0x10);                    /* low byte only, mode 0 */
    out(f, 0, 200);
    ticks(50);
    g_assert_cmpuint(in(f, 0), ==, 150);
    g_assert_cmpuint(in(f, 0), ==, 150);
    out(f, 3, 0x20);                    /* high byte only */
    out(f, 0, 0x10);
    ticks(1);
    g_assert_cmphex(in(f, 0), ==, 0x0f);
    out(f, 3, 0x00);                    /* latch: one byte then */
    ticks(0x100);
    g_assert_cmphex(in(f, 0), ==, 0x0f);
    g_assert_cmphex(in(f, 0), ==, 0x0e);
    program(f, 0, 0, 0x1234);           /* both, unlatched */
    g_assert_cmphex(in(f, 0), ==, 0x34);
    g_assert_cmphex(in(f, 0), ==, 0x12);
    g_assert_cmphex(in(f, 0), ==, 0x34);
    out(f, 3, 0x00);
    ticks(0x34);
    out(f, 3, 0x00);                    /* a second latch changes nothing */
    g_assert_cmphex(in(f, 0), ==, 0x34);
    g_assert_cmphex(in(f, 0), ==, 0x12);
    g_assert_cmphex(in(f, 3), ==, 0xff);
    fixture_free(f);
}

static void test_read_back(void)
{
    Fixture *f = fixture_new();

    program(f, 0, 4, 1000);
    program(f, 2, 0, 2000);             /* gate low: 2000 */
    out(f, 3, 0xc2 | 8);                /* count and status of 0 and 2 */
    ticks(10);
    g_assert_cmphex(in(f, 0), ==, 0xb4);        /* status first */
    g_assert_cmpuint(in(f, 0), ==, 1000 & 0xff);
    g_assert_cmpuint(in(f, 0), ==, 1000 >> 8);
    g_assert_cmphex(in(f, 2), ==, 0x30);
    g_assert_cmpuint(in(f, 2), ==, 2000 & 0xff);
    g_assert_cmpuint(in(f, 2), ==, 2000 >> 8);
    g_assert_cmpuint(in(f, 0), ==, 990 & 0xff);     /* live again */
    out(f, 3, 0xb0);
    g_assert_cmphex(status(f, 2), ==, 0x70);    /* null count */
    fixture_free(f);
}

static void test_bcd(void)
{
    Fixture *f = fixture_new();

    program(f, 0, 1, 0x1000);
    ticks(1);
    g_assert_cmphex(word(f, 0), ==, 0x0999);
    ticks(1000);
    g_assert_cmphex(word(f, 0), ==, 0x9999);
    program(f, 0, 5, 0);                /* 10000 */
    g_assert_cmphex(word(f, 0), ==, 0);
    ticks(1);
    g_assert_cmphex(word(f, 0), ==, 0x9999);
    program(f, 0, 5, 0xffff);           /* no digits: alive */
    ticks(20000);
    word(f, 0);
    fixture_free(f);
}

/* The smallest counts must not make the host spin, the rate is limited. */
static void test_hostile(void)
{
    Fixture *f = fixture_new();

    for (unsigned mode = 0; mode < 16; mode++) {
        for (unsigned count = 0; count < 4; count++) {
            program(f, 0, mode, count);
            f->rises = 0;
            ticks(119318);              /* 100 ms */
            g_assert_cmpuint(f->rises, <=, 2000);
            word(f, 0);
            status(f, 0);
        }
    }
    for (unsigned i = 0; i < 0x40000; i++) {
        out(f, i & 3, i >> 2);
        in(f, i >> 5 & 3);
        out61(f, i >> 7);
        in61(f);
        if (i % 64 == 0) {
            ticks(i & 0x3ff);
        }
    }
    pit_reset(f->pit);
    f->rises = 0;
    ticks(1000000);
    g_assert_cmpuint(f->rises, ==, 0);  /* silent until programmed */
    fixture_free(f);
}

static void test_refresh(void)
{
    Fixture *f = fixture_new();
    unsigned toggles = 0;
    uint8_t last = in61(f) & 0x10;

    for (unsigned i = 0; i < 1000; i++) {
        uint8_t now;

        qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 1000);
        now = in61(f) & 0x10;
        toggles += now != last;
        last = now;
    }
    g_assert_cmpuint(toggles, >=, 65);  /* a millisecond has 66 of 15 us */
    g_assert_cmpuint(toggles, <=, 67);
    fixture_free(f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_clock_virtual_manual();
    g_test_add_func("/i8254/mode0", test_mode0);
    g_test_add_func("/i8254/mode2", test_mode2);
    g_test_add_func("/i8254/mode3", test_mode3);
    g_test_add_func("/i8254/mode4", test_mode4);
    g_test_add_func("/i8254/gate/mode0", test_gate_mode0);
    g_test_add_func("/i8254/gate/other-modes", test_gate_modes);
    g_test_add_func("/i8254/access-modes", test_access_modes);
    g_test_add_func("/i8254/read-back", test_read_back);
    g_test_add_func("/i8254/bcd", test_bcd);
    g_test_add_func("/i8254/hostile", test_hostile);
    g_test_add_func("/i8254/refresh", test_refresh);
    return g_test_run();
}
