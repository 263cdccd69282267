/*
 * The 16550A, driven through its registers: every register, the interrupts by
 * their priorities, and flow control on both sides.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hw/char/serial.h"
#include "hw/isa/isa.h"
#include "qemu/main-loop.h"

typedef struct UT {
    SerialState s;
    Chardev *chr;
    int peer;           /* the far end of a socket pair, or -1 */
    int level;
    int edges;
} UT;

static void irq_handler(void *opaque, int n, int level)
{
    UT *t = opaque;

    t->edges += level && !t->level;
    t->level = level;
}

static uint8_t in(UT *t, unsigned reg)
{
    return t->s.io.ops->read(t->s.io.opaque, reg, 1);
}

static void out(UT *t, unsigned reg, uint8_t val)
{
    t->s.io.ops->write(t->s.io.opaque, reg, val, 1);
}

static Chardev *make_chardev(const char *text)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse(text, "backend", NULL);
    Error *err = NULL;
    Chardev *s = qemu_chr_new_from_opts(opts, &err);

    g_assert_null(err);
    g_assert_nonnull(s);
    return s;
}

static UT *ut_new_on(const char *chardev, int peer)
{
    UT *t = g_new0(UT, 1);

    t->peer = peer;
    t->chr = make_chardev(chardev);
    t->s.baudbase = 115200;
    g_assert_true(qemu_chr_fe_init(&t->s.chr, t->chr, NULL));
    serial_realize(&t->s, (qemu_irq){ irq_handler, t, 0, NULL }, "serial");
    out(t, 4, 0x08);
    return t;
}

static UT *ut_new(void)
{
    return ut_new_on("ringbuf,id=c", -1);
}

static UT *ut_new_socket(void)
{
    g_autofree char *text = NULL;
    int fds[2], small = 1;
    UT *t;

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    text = g_strdup_printf("socket,id=c,fd=%d", fds[0]);
    t = ut_new_on(text, fds[1]);
    return t;
}

static void ut_free(UT *t)
{
    serial_unrealize(&t->s);
    qemu_chr_fe_deinit(&t->s.chr);
    g_assert_true(qemu_chr_remove(t->chr, NULL));
    if (t->peer >= 0) {
        close(t->peer);
    }
    g_free(t);
}

/* As the peer: what the port takes of text now. */
static int type(UT *t, const char *text)
{
    int n = MIN(qemu_chr_be_can_write(t->chr), (int)strlen(text));

    if (n > 0) {
        qemu_chr_be_write(t->chr, (const uint8_t *)text, n);
    }
    return n;
}

static char *printed(UT *t)
{
    char buf[256];
    ssize_t n = qemu_chr_ringbuf_read(t->chr, (uint8_t *)buf, sizeof(buf));

    return g_strndup(buf, n);
}

static void run_loop(void)
{
    while (g_main_context_iteration(NULL, FALSE)) {
    }
}

static void test_reset_values(void)
{
    UT *t = ut_new();

    serial_reset(&t->s);
    g_assert_cmphex(in(t, 1), ==, 0x00);
    g_assert_cmphex(in(t, 2), ==, 0x01);
    g_assert_cmphex(in(t, 3), ==, 0x00);
    g_assert_cmphex(in(t, 4), ==, 0x00);
    g_assert_cmphex(in(t, 5), ==, 0x60);
    g_assert_cmphex(in(t, 6), ==, 0xb0);
    g_assert_cmpint(t->level, ==, 0);
    ut_free(t);
}

static void test_plain_registers(void)
{
    UT *t = ut_new();

    for (int v = 0; v < 256; v++) {
        out(t, 7, v);
        g_assert_cmphex(in(t, 7), ==, v);
        out(t, 3, v & 0x7f);
        g_assert_cmphex(in(t, 3), ==, v & 0x7f);
        out(t, 1, v);
        g_assert_cmphex(in(t, 1), ==, v & 0x0f);
        out(t, 4, v & 0x0f);
        g_assert_cmphex(in(t, 4), ==, v & 0x0f);
    }
    /* The upper bits of MCR are fixed; LSR and MSR cannot be written. */
    out(t, 4, 0xff);
    g_assert_cmphex(in(t, 4), ==, 0x1f);
    out(t, 4, 0);
    in(t, 6);
    out(t, 5, 0xff);
    out(t, 6, 0xff);
    g_assert_cmphex(in(t, 5), ==, 0x60);
    g_assert_cmphex(in(t, 6), ==, 0xb0);
    ut_free(t);
}

static void test_divisor(void)
{
    UT *t = ut_new();
    g_autofree char *text = NULL;

    out(t, 3, 0x83);
    out(t, 0, 0x34);
    out(t, 1, 0x12);
    g_assert_cmphex(in(t, 0), ==, 0x34);
    g_assert_cmphex(in(t, 1), ==, 0x12);
    out(t, 3, 0x03);
    g_assert_cmphex(in(t, 1), ==, 0x00);
    out(t, 0, 'x');
    text = printed(t);
    g_assert_cmpstr(text, ==, "x");
    ut_free(t);
}

static void test_transmit(void)
{
    UT *t = ut_new();
    g_autofree char *text = NULL;

    for (const char *p = "hello"; *p; p++) {
        g_assert_cmphex(in(t, 5) & 0x60, ==, 0x60);
        out(t, 0, *p);
    }
    text = printed(t);
    g_assert_cmpstr(text, ==, "hello");
    ut_free(t);
}

static void test_receive_16450(void)
{
    UT *t = ut_new();

    g_assert_cmpint(type(t, "ab"), ==, 1);
    g_assert_cmphex(in(t, 5), ==, 0x61);
    g_assert_cmpint(type(t, "b"), ==, 0);
    g_assert_cmphex(in(t, 0), ==, 'a');
    g_assert_cmphex(in(t, 5), ==, 0x60);
    g_assert_cmpint(type(t, "b"), ==, 1);
    g_assert_cmphex(in(t, 0), ==, 'b');
    ut_free(t);
}

static void test_receive_fifo(void)
{
    UT *t = ut_new();

    out(t, 2, 0x01);
    g_assert_cmphex(in(t, 2), ==, 0xc1);
    g_assert_cmpint(type(t, "0123456789abcdefXYZ"), ==, 16);
    g_assert_cmpint(type(t, "X"), ==, 0);
    for (const char *p = "0123456789abcdef"; *p; p++) {
        g_assert_cmphex(in(t, 5), ==, 0x61);
        g_assert_cmphex(in(t, 0), ==, *p);
    }
    g_assert_cmphex(in(t, 5), ==, 0x60);
    /* FCR empties it; so does turning it off. */
    type(t, "zz");
    out(t, 2, 0x03);
    g_assert_cmphex(in(t, 5), ==, 0x60);
    type(t, "zz");
    out(t, 2, 0x00);
    g_assert_cmphex(in(t, 5), ==, 0x60);
    g_assert_cmphex(in(t, 2), ==, 0x01);
    ut_free(t);
}

static void test_trigger_and_timeout(void)
{
    static const int levels[4] = { 1, 4, 8, 14 };
    UT *t = ut_new();

    out(t, 3, 0x83);
    out(t, 0, 1);
    out(t, 1, 0);
    out(t, 3, 0x03);
    for (int i = 0; i < 4; i++) {
        out(t, 2, i << 6 | 0x07);
        out(t, 1, 0x01);
        for (int n = 1; n < levels[i]; n++) {
            type(t, "x");
            g_assert_cmphex(in(t, 2), ==, 0xc1);
            g_assert_cmpint(t->level, ==, 0);
        }
        if (levels[i] > 1) {
            /* Four characters at 115200 8N1 are 347 us. */
            qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 300000);
            g_assert_cmphex(in(t, 2), ==, 0xc1);
            qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + 60000);
            g_assert_cmphex(in(t, 2), ==, 0xcc);
            g_assert_cmpint(t->level, ==, 1);
            /* Reading a character ends the timeout. */
            in(t, 0);
            g_assert_cmphex(in(t, 2), ==, 0xc1);
            type(t, "x");
        }
        type(t, "x");
        g_assert_cmphex(in(t, 2), ==, 0xc4);
        g_assert_cmpint(t->level, ==, 1);
        while (in(t, 5) & 1) {
            in(t, 0);
        }
        g_assert_cmphex(in(t, 2), ==, 0xc1);
        g_assert_cmpint(t->level, ==, 0);
    }
    ut_free(t);
}

/* All sources at once, taken away from the top. */
static void test_priorities(void)
{
    UT *t = ut_new();

    out(t, 4, 0x18);
    out(t, 4, 0x08);                /* leaving loopback: deltas of CTS, DSR */
    out(t, 0, 'x');                 /* THRE */
    type(t, "a");
    qemu_chr_be_event(t->chr, CHR_EVENT_BREAK);     /* overruns, too */
    out(t, 1, 0x0f);
    g_assert_cmpint(t->level, ==, 1);
    g_assert_cmphex(in(t, 2), ==, 0x06);
    g_assert_cmphex(in(t, 5) & 0x1e, ==, 0x12);
    g_assert_cmphex(in(t, 2), ==, 0x04);
    in(t, 0);
    g_assert_cmphex(in(t, 2), ==, 0x02);
    g_assert_cmpint(t->level, ==, 1);
    /* Seeing THRE took it away. */
    g_assert_cmphex(in(t, 2), ==, 0x00);
    g_assert_cmphex(in(t, 6) & 0x0f, !=, 0);
    g_assert_cmphex(in(t, 2), ==, 0x01);
    g_assert_cmpint(t->level, ==, 0);
    ut_free(t);
}

static void test_thre_interrupt(void)
{
    UT *t = ut_new();

    out(t, 1, 0x02);
    g_assert_cmpint(t->level, ==, 1);
    g_assert_cmphex(in(t, 2), ==, 0x02);
    g_assert_cmpint(t->level, ==, 0);
    g_assert_cmphex(in(t, 2), ==, 0x01);
    /* Off and on again raises it anew: Linux tests for that. */
    out(t, 1, 0x00);
    out(t, 1, 0x02);
    g_assert_cmphex(in(t, 2), ==, 0x02);
    /* Every byte that went out is an edge. */
    t->edges = 0;
    out(t, 0, 'a');
    out(t, 0, 'b');
    g_assert_cmpint(t->edges, ==, 2);
    /* Setting other bits leaves it alone. */
    in(t, 2);
    out(t, 1, 0x03);
    g_assert_cmphex(in(t, 2), ==, 0x01);
    ut_free(t);
}

static void test_out2_gates(void)
{
    UT *t = ut_new();

    out(t, 4, 0x00);
    out(t, 1, 0x02);
    g_assert_cmpint(t->level, ==, 0);
    out(t, 4, 0x08);
    g_assert_cmpint(t->level, ==, 1);
    out(t, 4, 0x00);
    g_assert_cmpint(t->level, ==, 0);
    ut_free(t);
}

static void test_loopback_modem(void)
{
    UT *t = ut_new();

    out(t, 4, 0x10);
    g_assert_cmphex(in(t, 6) & 0xf0, ==, 0x00);
    for (int v = 0; v < 16; v++) {
        uint8_t want = (v & 1) << 5 | (v & 2) << 3 | (v & 4) << 4 | (v & 8) << 4;

        out(t, 4, 0x10 | v);
        g_assert_cmphex(in(t, 6) & 0xf0, ==, want);
        g_assert_cmphex(in(t, 6) & 0x0f, ==, 0);
    }
    /* Deltas: all but RI on any change, RI when it goes away. */
    out(t, 4, 0x1f);
    g_assert_cmphex(in(t, 6), ==, 0xf0);
    out(t, 4, 0x10);
    g_assert_cmphex(in(t, 6), ==, 0x0f);
    out(t, 4, 0x14);
    g_assert_cmphex(in(t, 6), ==, 0x40);
    ut_free(t);
}

static void test_loopback_data(void)
{
    UT *t = ut_new();
    g_autofree char *text = NULL;

    out(t, 4, 0x18);
    out(t, 1, 0x01);
    out(t, 0, 0x5a);
    g_assert_cmpint(t->level, ==, 1);
    g_assert_cmphex(in(t, 0), ==, 0x5a);
    g_assert_cmpint(t->level, ==, 0);
    /* The peer is cut off and must wait. */
    g_assert_cmpint(type(t, "x"), ==, 0);
    /* 16450: the second byte overruns the first. */
    out(t, 0, 1);
    out(t, 0, 2);
    g_assert_cmphex(in(t, 5) & 0x1f, ==, 0x03);
    g_assert_cmphex(in(t, 5) & 0x1f, ==, 0x01);
    g_assert_cmphex(in(t, 0), ==, 2);
    /* FIFO: the 17th byte is lost. */
    out(t, 2, 0x01);
    for (int i = 0; i < 17; i++) {
        out(t, 0, i);
    }
    g_assert_cmphex(in(t, 5) & 0x1f, ==, 0x03);
    for (int i = 0; i < 16; i++) {
        g_assert_cmphex(in(t, 0), ==, i);
    }
    g_assert_cmphex(in(t, 5) & 0x1f, ==, 0x00);
    /* A break sent comes back. */
    out(t, 3, 0x43);
    g_assert_cmphex(in(t, 5) & 0x91, ==, 0x91);
    text = printed(t);
    g_assert_cmpstr(text, ==, "");
    ut_free(t);
}

/* In the FIFO an error shows with its own character. */
static void test_break_in_fifo(void)
{
    UT *t = ut_new();

    out(t, 2, 0x01);
    out(t, 1, 0x04);
    type(t, "a");
    qemu_chr_be_event(t->chr, CHR_EVENT_BREAK);
    type(t, "b");
    g_assert_cmphex(in(t, 5), ==, 0xe1);
    g_assert_cmpint(t->level, ==, 0);
    in(t, 0);
    g_assert_cmpint(t->level, ==, 1);
    g_assert_cmphex(in(t, 2), ==, 0xc6);
    g_assert_cmphex(in(t, 5), ==, 0xf1);
    g_assert_cmpint(t->level, ==, 0);
    g_assert_cmphex(in(t, 0), ==, 0x00);
    g_assert_cmphex(in(t, 5), ==, 0x61);
    g_assert_cmphex(in(t, 0), ==, 'b');
    ut_free(t);
}

/* A peer that does not read: THRE stays clear, and nothing is lost. */
static void test_slow_reader(void)
{
    UT *t = ut_new_socket();
    unsigned sent = 0, got = 0;

    out(t, 1, 0x02);
    in(t, 2);
    while (in(t, 5) & 0x20) {
        out(t, 0, sent++ & 0xff);
        in(t, 2);
        g_assert_cmpuint(sent, <, 1000000);
    }
    /* A guest that goes on all the same. */
    for (int i = 0; i < 1000; i++) {
        out(t, 0, sent++ & 0xff);
    }
    g_assert_cmphex(in(t, 5) & 0x60, ==, 0);
    g_assert_cmpint(t->level, ==, 0);
    while (got < sent) {
        uint8_t buf[4096];
        ssize_t n = read(t->peer, buf, sizeof(buf));

        g_assert_cmpint(n, >, 0);
        for (ssize_t i = 0; i < n; i++, got++) {
            g_assert_cmphex(buf[i], ==, got & 0xff);
        }
        run_loop();
    }
    run_loop();
    g_assert_cmphex(in(t, 5) & 0x60, ==, 0x60);
    g_assert_cmpint(t->level, ==, 1);
    g_assert_null(t->s.tx.buf);
    ut_free(t);
}

/* C09: the peer leaves while a write waits for it. */
static void test_peer_leaves(void)
{
    UT *t = ut_new_socket();

    while (in(t, 5) & 0x20) {
        out(t, 0, 'x');
    }
    close(t->peer);
    t->peer = -1;
    run_loop();
    g_assert_cmphex(in(t, 5) & 0x20, ==, 0x20);
    g_assert_false(t->chr->be_open);
    out(t, 0, 'y');
    g_assert_cmphex(in(t, 5) & 0x20, ==, 0x20);
    ut_free(t);
    /* The same with the port going first. */
    t = ut_new_socket();
    while (in(t, 5) & 0x20) {
        out(t, 0, 'x');
    }
    ut_free(t);
    run_loop();
}

/* C04: much input, nobody reads it; then all of it arrives. */
static void test_back_pressure(void)
{
    UT *t = ut_new_socket();
    size_t queued = 0, got = 0;
    uint8_t block[4096];

    memset(block, 'i', sizeof(block));
    fcntl(t->peer, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 1000; i++) {
        ssize_t n = write(t->peer, block, sizeof(block));

        queued += n > 0 ? n : 0;
        run_loop();
    }
    /* One in RBR, the rest in the socket. */
    g_assert_cmpuint(queued, <, 4 * 1024 * 1024);
    g_assert_cmpuint(t->s.rx.len, ==, 1);
    out(t, 2, 0x01);
    got = 0;
    run_loop();
    while (in(t, 5) & 1) {
        g_assert_cmphex(in(t, 0), ==, 'i');
        got++;
        if (!(in(t, 5) & 1)) {
            run_loop();
        }
    }
    /* What was in RBR when the FIFO was switched on is gone, as in the chip. */
    g_assert_cmpuint(got, ==, queued - 1);
    ut_free(t);
}

/* FCR gives up what the peer has not read; the peer still gets it. */
static void test_tx_reset(void)
{
    UT *t = ut_new_socket();
    unsigned sent = 0, got = 0;
    uint8_t buf[4096];

    out(t, 2, 0x01);
    while (in(t, 5) & 0x20) {
        out(t, 0, 'x');
        sent++;
    }
    out(t, 2, 0x05);
    g_assert_cmphex(in(t, 5) & 0x60, ==, 0x60);
    while (got < sent) {
        got += read(t->peer, buf, sizeof(buf));
        run_loop();
    }
    g_assert_cmpuint(got, ==, sent);
    ut_free(t);
}

/* C06: divisors of 0 and 0xffff arm no timer of 0 ns and divide by nothing. */
static void test_bad_divisor(void)
{
    static const uint8_t bytes[] = { 0x00, 0xff };
    UT *t = ut_new();

    for (int i = 0; i < 2; i++) {
        int64_t now = qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL);

        out(t, 3, 0x80);
        out(t, 0, bytes[i]);
        out(t, 1, bytes[i]);
        out(t, 3, 0x1f);
        out(t, 2, 0xc7);
        out(t, 1, 0x0f);
        type(t, "x");
        g_assert_cmpint(t->s.rx_timeout.expire, >, now);
        g_assert_cmpint(t->s.rx_timeout.expire, <=, now + 20000000);
        out(t, 0, 'y');
        qemu_clock_advance_virtual(now + 20000000);
        in(t, 2);
        in(t, 0);
    }
    t->s.baudbase = 0;
    type(t, "x");
    ut_free(t);
}

/* C07: every value in every register, with and without DLAB. */
static void test_all_values(void)
{
    UT *t = ut_new();

    for (int dlab = 0; dlab < 2; dlab++) {
        for (int reg = 0; reg < 8; reg++) {
            for (int v = 0; v < 256; v++) {
                out(t, 3, dlab << 7);
                out(t, reg, v);
                type(t, "q");
                for (int r = 0; r < 8; r++) {
                    in(t, r);
                }
            }
        }
    }
    serial_reset(&t->s);
    g_assert_cmphex(in(t, 5), ==, 0x60);
    ut_free(t);
}

/* Accesses through the I/O space: cut into bytes, eight ports and no more. */
static void test_port_decoding(void)
{
    UT *t = ut_new();
    MemoryRegion root;
    AddressSpace as;
    uint64_t val;

    memory_region_init(&root, "io", 0x10000);
    memory_region_add_subregion(&root, 0x3f8, &t->s.io);
    address_space_init(&as, &root, "I/O", true);
    g_assert_true(address_space_seal(&as, NULL));
    val = 0xa55a;
    g_assert_true(address_space_rw_locked(&as, 0x3fe, &val, 2, true));
    g_assert_cmphex(in(t, 7), ==, 0xa5);
    val = 0;
    g_assert_true(address_space_rw_locked(&as, 0x3fe, &val, 2, false));
    g_assert_cmphex(val & 0xffff, ==, 0xa5b0);
    val = 0;
    g_assert_true(address_space_rw_locked(&as, 0x3fb, &val, 4, false));
    g_assert_cmphex(val, ==, 0xb0600800);
    g_assert_false(address_space_rw_locked(&as, 0x400, &val, 1, false));
    g_assert_false(address_space_rw_locked(&as, 0x3f7, &val, 1, false));
    /* rep outsb of 64 KiB to THR. */
    for (int i = 0; i < 65536; i++) {
        val = i;
        address_space_rw_locked(&as, 0x3f8, &val, 1, true);
    }
    g_assert_cmphex(in(t, 5), ==, 0x60);
    address_space_destroy(&as);
    ut_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qemu_init_main_loop();
    qemu_clock_virtual_manual();
    g_test_add_func("/serial/reset-values", test_reset_values);
    g_test_add_func("/serial/registers", test_plain_registers);
    g_test_add_func("/serial/divisor", test_divisor);
    g_test_add_func("/serial/transmit", test_transmit);
    g_test_add_func("/serial/receive-16450", test_receive_16450);
    g_test_add_func("/serial/receive-fifo", test_receive_fifo);
    g_test_add_func("/serial/trigger-and-timeout", test_trigger_and_timeout);
    g_test_add_func("/serial/priorities", test_priorities);
    g_test_add_func("/serial/thre-interrupt", test_thre_interrupt);
    g_test_add_func("/serial/out2-gates", test_out2_gates);
    g_test_add_func("/serial/loopback-modem", test_loopback_modem);
    g_test_add_func("/serial/loopback-data", test_loopback_data);
    g_test_add_func("/serial/break-in-fifo", test_break_in_fifo);
    g_test_add_func("/serial/slow-reader", test_slow_reader);
    g_test_add_func("/serial/peer-leaves", test_peer_leaves);
    g_test_add_func("/serial/back-pressure", test_back_pressure);
    g_test_add_func("/serial/tx-reset", test_tx_reset);
    g_test_add_func("/serial/bad-divisor", test_bad_divisor);
    g_test_add_func("/serial/all-values", test_all_values);
    g_test_add_func("/serial/port-decoding", test_port_decoding);
    return g_test_run();
}
