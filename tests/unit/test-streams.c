/*
 * Who resumes whom (docs/devel/streams.rst): queues and muxes on a socket.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chardev/char-txq.h"
#include "qemu/main-loop.h"

#define LIMIT 1000

typedef struct Fe {
    CharBackend b;
    CharTxQueue tx;
    int room;
    size_t got;
    unsigned drained;
    bool inside;            /* of a call of the queue */
} Fe;

static int fe_can_read(void *opaque)
{
    return ((Fe *)opaque)->room;
}

static void fe_read(void *opaque, const uint8_t *buf, int size)
{
    ((Fe *)opaque)->got += size;
}

static void fe_drained(void *opaque)
{
    Fe *f = opaque;

    g_assert_false(f->inside);
    f->drained++;
}

static Chardev *socket_new(int *peer, const char *more)
{
    g_autofree char *text = NULL;
    g_autoptr(QemuOpts) opts = NULL;
    Error *err = NULL;
    Chardev *s;
    int fds[2];

    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    text = g_strdup_printf("socket,id=s,fd=%d%s", fds[0], more);
    opts = qemu_opts_parse(text, "backend", NULL);
    s = qemu_chr_new_from_opts(opts, &err);
    if (err) {
        g_error("%s: %s", text, error_get_pretty(err));
    }
    *peer = fds[1];
    return s;
}

static void fe_attach(Fe *f, Chardev *s)
{
    *f = (Fe) { .room = 100000 };
    g_assert_true(qemu_chr_fe_init(&f->b, s, NULL));
    qemu_chr_fe_set_handlers(&f->b, fe_can_read, fe_read, NULL, f);
    chr_txq_init(&f->tx, &f->b, LIMIT, fe_drained, f);
}

static void turn_loop(void)
{
    for (int i = 0; i < 20; i++) {
        g_main_context_iteration(NULL, FALSE);
    }
}

static void answer(Fe *f, size_t len)
{
    g_autofree char *text = g_malloc0(len);

    f->inside = true;
    chr_txq_put(&f->tx, text, len);
    f->inside = false;
}

static void flush(Fe *f)
{
    f->inside = true;
    chr_txq_flush(&f->tx);
    f->inside = false;
}

static size_t take_all(int peer)
{
    static char buf[1 << 16];
    size_t sum = 0;
    ssize_t n;

    do {
        turn_loop();
        n = recv(peer, buf, sizeof(buf), MSG_DONTWAIT);
        sum += n > 0 ? n : 0;
    } while (n > 0);
    return sum;
}

/* The peer takes all at once: nobody ever waited, but somebody was told to. */
static void test_full_and_gone(void)
{
    int peer;
    Chardev *s = socket_new(&peer, "");
    Fe f;

    fe_attach(&f, s);
    answer(&f, LIMIT);
    g_assert_false(chr_txq_full(&f.tx));
    answer(&f, 1);
    g_assert_true(chr_txq_full(&f.tx));
    flush(&f);
    g_assert_true(chr_txq_empty(&f.tx));
    g_assert_false(chr_txq_full(&f.tx));
    g_assert_cmpuint(f.drained, ==, 0);
    turn_loop();
    g_assert_cmpuint(f.drained, ==, 1);
    g_assert_cmpuint(take_all(peer), ==, LIMIT + 1);
    g_assert_cmpuint(f.drained, ==, 1);
    chr_txq_cleanup(&f.tx);
    qemu_chr_fe_deinit(&f.b);
    qemu_chr_cleanup();
    close(peer);
}

/* A slow peer gets every byte; one that goes makes room, too. */
static void test_slow(void)
{
    int peer;
    Chardev *s = socket_new(&peer, "");
    Fe f;

    fe_attach(&f, s);
    answer(&f, 5u << 20);
    flush(&f);
    g_assert_true(chr_txq_full(&f.tx));
    turn_loop();
    g_assert_cmpuint(f.drained, ==, 0);
    g_assert_cmpuint(take_all(peer), ==, 5u << 20);
    g_assert_cmpuint(f.drained, ==, 1);
    answer(&f, 5u << 20);
    flush(&f);
    g_assert_true(chr_txq_full(&f.tx));
    close(peer);
    turn_loop();
    g_assert_cmpuint(f.drained, ==, 2);
    g_assert_true(chr_txq_empty(&f.tx));
    chr_txq_cleanup(&f.tx);
    qemu_chr_fe_deinit(&f.b);
    qemu_chr_cleanup();
}

/* Nothing goes out while it is held, and the promise is kept afterwards. */
static void test_held(void)
{
    int peer;
    Chardev *s = socket_new(&peer, "");
    Fe f;

    fe_attach(&f, s);
    chr_txq_hold(&f.tx, true);
    answer(&f, 2 * LIMIT);
    flush(&f);
    g_assert_true(chr_txq_full(&f.tx));
    turn_loop();
    g_assert_cmpuint(take_all(peer), ==, 0);
    chr_txq_hold(&f.tx, false);
    g_assert_cmpuint(take_all(peer), ==, 2 * LIMIT);
    g_assert_cmpuint(f.drained, ==, 1);
    chr_txq_cleanup(&f.tx);
    qemu_chr_fe_deinit(&f.b);
    qemu_chr_cleanup();
    close(peer);
}

/* The frontend that took nothing goes: the next one's input is read again. */
static void test_mux_focus(void)
{
    static const char text[20000];
    int peer;
    Chardev *s = socket_new(&peer, ",mux=on");
    Fe deaf, other;

    fe_attach(&other, s);
    fe_attach(&deaf, s);
    deaf.room = 0;
    g_assert_cmpint(send(peer, text, sizeof(text), 0), ==, sizeof(text));
    turn_loop();
    g_assert_cmpuint(deaf.got + other.got, ==, 0);
    qemu_chr_fe_deinit(&deaf.b);
    turn_loop();
    g_assert_cmpuint(other.got, >, 10000);
    qemu_chr_fe_deinit(&other.b);
    qemu_chr_cleanup();
    close(peer);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    error_init("test");
    qemu_init_main_loop();
    g_test_add_func("/streams/full-and-gone", test_full_and_gone);
    g_test_add_func("/streams/slow", test_slow);
    g_test_add_func("/streams/held", test_held);
    g_test_add_func("/streams/mux-focus", test_mux_focus);
    return g_test_run();
}
