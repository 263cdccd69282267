/*
 * The transports where the guest finds them: addresses, identity, what an empty
 * one answers, in both register layouts.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "libqtest.h"

#define BASE        0xd0000000ull
#define SIZE        0x200
#define TRANSPORTS  8

enum { MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR_ID = 0x0c,
       QUEUE_NUM_MAX = 0x34, QUEUE_NOTIFY = 0x50, INTERRUPT_STATUS = 0x60,
       STATUS = 0x70, CONFIG = 0x100 };

static void check_transports(QTestState *s, unsigned version)
{
    for (unsigned n = 0; n < TRANSPORTS; n++) {
        uint64_t base = BASE + n * SIZE;

        g_assert_cmphex(qtest_readl(s, base + MAGIC), ==, 0x74726976);
        g_assert_cmpuint(qtest_readl(s, base + VERSION), ==, version);
        g_assert_cmpuint(qtest_readl(s, base + DEVICE_ID), ==, 0);
    }
    /* Nothing before the first and behind the last. */
    g_assert_cmphex(qtest_readl(s, BASE - SIZE), ==, 0);
    g_assert_cmphex(qtest_readl(s, BASE + TRANSPORTS * SIZE), ==, 0);
}

/* Any access to any register of an empty transport changes and breaks nothing. */
static void hammer_empty(QTestState *s, unsigned version)
{
    qtest_irq_intercept_in(s, "ioapic");
    for (unsigned off = 0; off < SIZE; off += 4) {
        static const uint32_t values[] = { 0, 1, 0x80, 0xffffffff };

        for (unsigned i = 0; i < G_N_ELEMENTS(values); i++) {
            qtest_writel(s, BASE + off, values[i]);
        }
        qtest_writeb(s, BASE + off + 1, 0xff);
        qtest_writew(s, BASE + off + 2, 0xffff);
        qtest_writeq(s, BASE + (off & ~7u), ~0ull);
        qtest_readl(s, BASE + off);
        qtest_readb(s, BASE + off + 3);
    }
    check_transports(s, version);
    g_assert_cmphex(qtest_readl(s, BASE + QUEUE_NUM_MAX), ==, 0);
    g_assert_cmphex(qtest_readl(s, BASE + INTERRUPT_STATUS), ==, 0);
    for (unsigned n = 0; n < TRANSPORTS; n++) {
        g_assert_false(qtest_get_irq(s, 5 + n));
    }
}

static void test_modern(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M -global virtio-mmio.force-legacy=off");

    check_transports(s, 2);
    hammer_empty(s, 2);
    qtest_quit(s);
}

static void test_legacy(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M -global virtio-mmio.force-legacy=on");

    check_transports(s, 1);
    hammer_empty(s, 1);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/virtio-mmio/modern", test_modern);
    g_test_add_func("/virtio-mmio/legacy", test_legacy);
    return g_test_run();
}
