/*
 * The qtest protocol itself: every request, its answer, and nonsense.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <string.h>

#include "libqtest.h"

#define RAM 0x100000

static void check(QTestState *s, const char *line, const char *want)
{
    g_autofree char *answer = qtest_request(s, "%s", line);

    g_assert_cmpstr(answer, ==, want);
}

static void test_memory(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");
    uint8_t buf[300], back[300];

    check(s, "endianness", "OK little");
    check(s, "writeq 0x100000 0x1122334455667788", "OK");
    check(s, "readq 0x100000", "OK 0x1122334455667788");
    check(s, "readl 0x100000", "OK 0x0000000055667788");
    check(s, "readw 0x100002", "OK 0x0000000000005566");
    check(s, "readb 1048583", "OK 0x0000000000000011");
    check(s, "read 0x100000 0x3", "OK 0x887766");
    check(s, "write 0x100000 0x4 0xaabb", "OK");
    check(s, "read 0x100000 4", "OK 0xaabb0000");
    check(s, "write 0x100000 0x2 0x0102030405", "OK");
    check(s, "read 0x100000 4", "OK 0x01020000");
    check(s, "write 0x100000 0x2 x", "ERR invalid argument size");
    check(s, "read 0x100000 0", "ERR invalid argument size");
    check(s, "read 0x100000 0xffffffffffffffff", "ERR invalid argument size");
    check(s, "b64write 0x100000 0x3 YWJjZA==", "OK");
    check(s, "b64read 0x100000 0x4", "OK YWJjAA==");
    check(s, "memset 0x100000 0x2 0xff", "OK");
    check(s, "memset 0x100000 0x0 0x11", "OK");
    check(s, "read 0x100000 3", "OK 0xffff63");
    /* Beyond RAM: nobody answers, nothing breaks. */
    check(s, "readl 0x1000000", "OK 0x0000000000000000");
    check(s, "writel 0x1000000 5", "OK");
    check(s, "readq 0xfffffffffffffff8", "OK 0x0000000000000000");
    check(s, "read 0xfffffffffffffffe 0x4", "OK 0x00000000");

    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = i * 7;
    }
    qtest_memwrite(s, RAM + 3, buf, sizeof(buf));
    qtest_memread(s, RAM + 3, back, sizeof(back));
    g_assert_cmpmem(buf, sizeof(buf), back, sizeof(back));
    qtest_quit(s);
}

static void test_ports(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");

    /* Nobody there: all ones. */
    check(s, "inb 0x80", "OK 0x00ff");
    check(s, "inw 0x80", "OK 0xffff");
    check(s, "inl 0x80", "OK 0xffffffff");
    check(s, "outb 0x80 1", "OK");
    check(s, "outw 0xffff 0x1234", "OK");
    check(s, "outl 0x80 0x12345678", "OK");
    g_free(qtest_request(s, "outb 0x10000 1"));
    qtest_quit(s);
}

static void test_clock(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");

    g_assert_cmpint(qtest_clock_step(s, 0), ==, 0);
    g_usleep(20000);
    g_assert_cmpint(qtest_clock_step(s, 0), ==, 0);
    g_assert_cmpint(qtest_clock_step(s, 100), ==, 100);
    g_assert_cmpint(qtest_clock_set(s, 5000), ==, 5000);
    /* It never goes back. */
    g_assert_cmpint(qtest_clock_set(s, 10), ==, 5000);
    g_assert_cmpint(qtest_clock_step(s, INT64_MAX), ==, INT64_MAX);
    qtest_quit(s);
}

static void test_irqs(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");

    check(s, "irq_intercept_in nobody", "FAIL Unknown device");
    check(s, "irq_intercept_in ioapic", "OK");
    check(s, "irq_intercept_in ioapic", "OK");
    g_assert_false(qtest_get_irq(s, 4));
    check(s, "set_irq_in ioapic unnamed-gpio-in 4 1", "OK");
    check(s, "set_irq_in nobody unnamed-gpio-in 4 1", "FAIL Unknown device");
    check(s, "set_irq_in ioapic unnamed-gpio-in 999 1", "FAIL Unknown line");
    qtest_quit(s);
}

static void test_nonsense(void)
{
    QTestState *s = qtest_init("-M microvm -m 16M");
    static const char *const lines[] = {
        "readb", "writel 1", "read 1", "write 1 2", "memset 1", "set_irq_in ioapic",
        "b64write 1 1", "clock_set",
    };
    g_autofree char *noise = g_strnfill(1 << 20, 'x');

    check(s, "nosuch", "FAIL Unknown command 'nosuch'");
    check(s, "", "FAIL Unknown command ''");
    check(s, "module_load a b", "FAIL");
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        g_autofree char *answer = qtest_request(s, "%s", lines[i]);

        g_assert_true(g_str_has_prefix(answer, "FAIL "));
    }
    g_free(qtest_request(s, "%s", noise));
    check(s, "readb nonsense", "OK 0x0000000000000000");
    check(s, "endianness", "OK little");
    qtest_quit(s);
}

static void test_qmp(void)
{
    QTestState *s = qtest_init("-M none");
    g_autofree char *status = qtest_qmp(s, "{'execute':'query-status'}");
    g_autofree char *event = NULL;

    g_assert_nonnull(strstr(status, "\"running\": true"));
    g_free(qtest_qmp(s, "{'execute':'stop'}"));
    g_free(qtest_qmp(s, "{'execute':'nosuch'}{'execute':'cont'}"));
    event = qtest_qmp_event(s, "RESUME");
    qtest_quit(s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qtest/memory", test_memory);
    g_test_add_func("/qtest/ports", test_ports);
    g_test_add_func("/qtest/clock", test_clock);
    g_test_add_func("/qtest/irqs", test_irqs);
    g_test_add_func("/qtest/nonsense", test_nonsense);
    g_test_add_func("/qtest/qmp", test_qmp);
    return g_test_run();
}
