/*
 * 8259A pair: initialisation, priorities, EOI, rotation, cascade, ELCR.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "hw/intc/i8259.h"

typedef struct Wire {
    PICState *pic;
    int level;
    unsigned rises;
} Wire;

static void intr(void *opaque, int n, int level)
{
    Wire *w = opaque;

    w->rises += level && !w->level;
    w->level = level;
}

static void out(Wire *w, unsigned chip, unsigned a0, uint8_t value)
{
    MemoryRegion *mr = pic_region(w->pic, chip);

    mr->ops->write(mr->opaque, a0, value, 1);
}

static uint8_t in(Wire *w, unsigned chip, unsigned a0)
{
    MemoryRegion *mr = pic_region(w->pic, chip);

    return mr->ops->read(mr->opaque, a0, 1);
}

static void elcr(Wire *w, unsigned chip, uint8_t value)
{
    MemoryRegion *mr = pic_elcr_region(w->pic);

    mr->ops->write(mr->opaque, chip, value, 1);
}

static void line(Wire *w, unsigned n, int level)
{
    qemu_set_irq(pic_irq(w->pic, n), level);
}

static void pulse(Wire *w, unsigned n)
{
    line(w, n, 1);
    line(w, n, 0);
}

/* Vectors 0x20 and 0x28, nothing masked. */
static void init(Wire *w, uint8_t icw4)
{
    for (unsigned chip = 0; chip < 2; chip++) {
        out(w, chip, 0, 0x11);
        out(w, chip, 1, 0x20 + 8 * chip);
        out(w, chip, 1, chip ? 2 : 4);
        out(w, chip, 1, icw4);
    }
}

static Wire *wire_new(void)
{
    Wire *w = g_new0(Wire, 1);

    w->pic = pic_new((qemu_irq) { .handler = intr, .opaque = w });
    init(w, 0x01);
    return w;
}

static void wire_free(Wire *w)
{
    pic_free(w->pic);
    g_free(w);
}

static void test_init(void)
{
    Wire *w = wire_new();

    out(w, 0, 1, 0xfb);                 /* how Linux probes for a PIC */
    g_assert_cmphex(in(w, 0, 1), ==, 0xfb);
    g_assert_cmphex(in(w, 1, 1), ==, 0);
    out(w, 0, 0, 0x13);                 /* single, with ICW4: no ICW3 */
    g_assert_cmphex(in(w, 0, 1), ==, 0);    /* ICW1 clears the mask */
    out(w, 0, 1, 0x40);
    out(w, 0, 1, 0x01);
    out(w, 0, 1, 0x55);
    g_assert_cmphex(in(w, 0, 1), ==, 0x55);
    out(w, 0, 1, 0);
    line(w, 2, 1);                      /* input 2 is nobody's */
    g_assert_cmpint(w->level, ==, 0);
    pulse(w, 3);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x43);
    out(w, 0, 0, 0x12);                 /* single, no ICW4 */
    out(w, 0, 1, 0x47);                 /* low bits of ICW2 are not ours */
    out(w, 0, 1, 0x0f);
    g_assert_cmphex(in(w, 0, 1), ==, 0x0f);
    pulse(w, 4);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x44);
    wire_free(w);
}

static void test_priority(void)
{
    Wire *w = wire_new();

    pulse(w, 5);
    pulse(w, 3);
    g_assert_cmpint(w->level, ==, 1);
    g_assert_cmphex(in(w, 0, 0), ==, 0x28);     /* IRR */
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x23);
    g_assert_cmpint(w->level, ==, 0);           /* 5 waits for 3 */
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0x08);     /* ISR */
    pulse(w, 1);
    g_assert_cmpint(w->level, ==, 1);           /* 1 nests */
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x21);
    out(w, 0, 0, 0x20);                         /* ends 1 */
    g_assert_cmphex(in(w, 0, 0), ==, 0x08);
    out(w, 0, 0, 0x63);                         /* specific: 3 */
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x25);
    out(w, 0, 0, 0x20);
    g_assert_cmphex(in(w, 0, 0), ==, 0);
    out(w, 0, 0, 0x20);                         /* nothing to end */
    g_assert_cmpint(w->level, ==, 0);
    wire_free(w);
}

static void test_mask(void)
{
    Wire *w = wire_new();

    out(w, 0, 1, 0x10);
    pulse(w, 4);
    g_assert_cmpint(w->level, ==, 0);
    out(w, 0, 1, 0x00);                 /* the edge was kept */
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x24);
    wire_free(w);
}

static void test_cascade(void)
{
    Wire *w = wire_new();

    pulse(w, 12);
    pulse(w, 9);
    g_assert_cmphex(in(w, 0, 0), ==, 0x04);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x29);
    pulse(w, 3);                        /* below the cascade: waits */
    g_assert_cmpint(w->level, ==, 0);
    pulse(w, 8);                        /* above 9, but 2 is in service */
    g_assert_cmpint(w->level, ==, 0);
    out(w, 1, 0, 0x20);
    out(w, 0, 0, 0x20);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x28);
    out(w, 1, 0, 0x20);
    out(w, 0, 0, 0x20);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x2c);
    out(w, 1, 0, 0x20);
    out(w, 0, 0, 0x62);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x23);
    wire_free(w);
}

/* Special fully nested: the slave may interrupt its own handler. */
static void test_special_nested(void)
{
    Wire *w = wire_new();

    init(w, 0x11);
    pulse(w, 9);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x29);
    pulse(w, 10);
    g_assert_cmpint(w->level, ==, 0);
    pulse(w, 8);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x28);
    wire_free(w);
}

static void test_spurious(void)
{
    Wire *w = wire_new();

    elcr(w, 0, 0x20);
    elcr(w, 1, 0x04);
    line(w, 5, 1);
    line(w, 5, 0);
    g_assert_cmpint(w->level, ==, 0);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x27);
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0);        /* not in service */
    pulse(w, 9);
    out(w, 1, 1, 0x02);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x27);
    wire_free(w);
}

static void test_level(void)
{
    Wire *w = wire_new();
    MemoryRegion *mr = pic_elcr_region(w->pic);

    elcr(w, 0, 0xff);
    elcr(w, 1, 0xff);
    g_assert_cmphex(mr->ops->read(mr->opaque, 0, 1), ==, 0xf8);
    g_assert_cmphex(mr->ops->read(mr->opaque, 1, 1), ==, 0xde);
    line(w, 11, 1);
    for (unsigned i = 0; i < 3; i++) {  /* again and again, as long as high */
        g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x2b);
        g_assert_cmpint(w->level, ==, 0);
        out(w, 1, 0, 0x20);
        out(w, 0, 0, 0x20);
        g_assert_cmpint(w->level, ==, 1);
    }
    line(w, 11, 0);
    g_assert_cmpint(w->level, ==, 0);
    /* Initialisation forgets edges, not levels. */
    line(w, 10, 1);
    pulse(w, 8);
    init(w, 0x01);
    g_assert_cmphex(in(w, 1, 0), ==, 0x04);
    wire_free(w);
}

static void test_rotation(void)
{
    Wire *w = wire_new();

    out(w, 0, 0, 0xc3);                 /* 3 is lowest, 4 highest */
    pulse(w, 0);
    pulse(w, 4);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x24);
    out(w, 0, 0, 0xa0);                 /* non-specific EOI, rotate: 4 lowest */
    pulse(w, 4);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x20);
    out(w, 0, 0, 0xe0);                 /* specific EOI 0, rotate */
    pulse(w, 0);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x24);
    out(w, 0, 0, 0x40);                 /* no operation */
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0x10);
    wire_free(w);
}

static void test_auto_eoi(void)
{
    Wire *w = wire_new();

    init(w, 0x03);
    pulse(w, 1);
    pulse(w, 1);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x21);
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0);
    out(w, 0, 0, 0x80);                 /* rotate in automatic EOI mode */
    pulse(w, 1);
    pulse(w, 3);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x21);
    pulse(w, 1);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x23);
    wire_free(w);
}

static void test_special_mask(void)
{
    Wire *w = wire_new();

    pulse(w, 1);
    pic_acknowledge(w->pic);
    out(w, 0, 1, 0x02);
    out(w, 0, 0, 0x68);                 /* lower ones may come, 1 is masked */
    pulse(w, 6);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x26);
    out(w, 0, 0, 0x20);                 /* ends 6, not the masked 1 */
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0x02);
    out(w, 0, 0, 0x48);                 /* normal again */
    pulse(w, 6);
    g_assert_cmpint(w->level, ==, 0);
    wire_free(w);
}

static void test_poll(void)
{
    Wire *w = wire_new();

    out(w, 0, 0, 0x0c);
    g_assert_cmphex(in(w, 0, 0), ==, 0x07);
    pulse(w, 6);
    out(w, 0, 0, 0x0c);
    g_assert_cmphex(in(w, 0, 0), ==, 0x86);
    g_assert_cmpint(w->level, ==, 0);
    out(w, 0, 0, 0x0b);
    g_assert_cmphex(in(w, 0, 0), ==, 0x40);
    wire_free(w);
}

/* All bytes to all ports, lines wiggling: alive, and usable after ICW1. */
static void test_sweep(void)
{
    Wire *w = wire_new();
    g_autofree char *text = NULL;

    for (unsigned i = 0; i < 256 * 256; i++) {
        out(w, i >> 8 & 1, i >> 9 & 1, i);
        elcr(w, i & 1, i >> 3);
        line(w, i * 7 % 16, i >> 4 & 1);
        in(w, i & 1, i >> 1 & 1);
        g_assert_cmpint(pic_acknowledge(w->pic), <, 256);
    }
    pic_reset(w->pic);
    for (unsigned i = 0; i < 16; i++) {
        line(w, i, 0);
    }
    init(w, 0x01);
    pulse(w, 14);
    g_assert_cmphex(pic_acknowledge(w->pic), ==, 0x2e);
    text = pic_dump(w->pic);
    g_assert_nonnull(strstr(text, "pic1: irr=00 imr=00 isr=40"));
    wire_free(w);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8259/init", test_init);
    g_test_add_func("/i8259/priority", test_priority);
    g_test_add_func("/i8259/mask", test_mask);
    g_test_add_func("/i8259/cascade", test_cascade);
    g_test_add_func("/i8259/special-nested", test_special_nested);
    g_test_add_func("/i8259/spurious", test_spurious);
    g_test_add_func("/i8259/level", test_level);
    g_test_add_func("/i8259/rotation", test_rotation);
    g_test_add_func("/i8259/auto-eoi", test_auto_eoi);
    g_test_add_func("/i8259/special-mask", test_special_mask);
    g_test_add_func("/i8259/poll", test_poll);
    g_test_add_func("/i8259/sweep", test_sweep);
    return g_test_run();
}
