/*
 * The 16550A at COM1 as a driver sees it: output reaches the chardev, input the
 * driver, interrupts line 4.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "libqtest.h"

enum { THR = 0x3f8, RBR = 0x3f8, IER = 0x3f9, IIR = 0x3fa, FCR = 0x3fa, LCR = 0x3fb,
       MCR = 0x3fc, LSR = 0x3fd, MSR = 0x3fe, SCR = 0x3ff };
#define LSR_DR      0x01
#define LSR_THRE    0x20
#define MCR_LOOP    0x10
#define MCR_OUT2    0x08
#define COM1_IRQ    4

static void test_output(void)
{
    g_autofree char *path = g_strdup_printf("%s/serial-%d", g_get_tmp_dir(), getpid());
    g_autofree char *args = g_strdup_printf("-M microvm,legacy=on -m 16M -chardev "
                                            "file,id=s0,path=%s -serial chardev:s0", path);
    QTestState *s = qtest_init(args);
    g_autofree char *text = NULL;
    gsize len = 0;

    for (const char *p = "hello\n"; *p; p++) {
        for (int i = 0; i < 1000 && !(qtest_inb(s, LSR) & LSR_THRE); i++) {
            qtest_clock_step(s, 1000000);
        }
        g_assert_cmphex(qtest_inb(s, LSR) & LSR_THRE, !=, 0);
        qtest_outb(s, THR, *p);
    }
    qtest_clock_step(s, 100000000);
    qtest_quit(s);
    g_assert_true(g_file_get_contents(path, &text, &len, NULL));
    g_assert_cmpstr(text, ==, "hello\n");
    g_unlink(path);
}

static void test_loopback(void)
{
    QTestState *s = qtest_init("-M microvm,legacy=on -m 16M -serial null");

    qtest_outb(s, SCR, 0xa5);
    g_assert_cmphex(qtest_inb(s, SCR), ==, 0xa5);
    qtest_outb(s, MCR, MCR_LOOP);
    qtest_outb(s, THR, 'x');
    for (int i = 0; i < 1000 && !(qtest_inb(s, LSR) & LSR_DR); i++) {
        qtest_clock_step(s, 1000000);
    }
    g_assert_cmphex(qtest_inb(s, RBR), ==, 'x');
    qtest_quit(s);
}

static void test_interrupt(void)
{
    QTestState *s = qtest_init("-M microvm,legacy=on -m 16M -serial null");

    qtest_irq_intercept_in(s, "ioapic");
    qtest_outb(s, MCR, MCR_OUT2);
    g_assert_false(qtest_get_irq(s, COM1_IRQ));
    /* The transmitter is empty: enabling its interrupt raises the line. */
    qtest_outb(s, IER, 0x02);
    g_assert_true(qtest_get_irq(s, COM1_IRQ));
    g_assert_cmphex(qtest_inb(s, IIR) & 0x0f, ==, 0x02);
    /* Reading IIR was the acknowledge. */
    g_assert_false(qtest_get_irq(s, COM1_IRQ));
    qtest_outb(s, IER, 0);
    qtest_quit(s);
}

/* Without legacy mode and without -serial there is no port. */
static void test_absent(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");

    g_assert_cmphex(qtest_inb(s, LSR), ==, 0xff);
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/output", test_output);
    g_test_add_func("/serial/loopback", test_loopback);
    g_test_add_func("/serial/interrupt", test_interrupt);
    g_test_add_func("/serial/absent", test_absent);
    return g_test_run();
}
