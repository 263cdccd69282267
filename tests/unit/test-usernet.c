/*
 * A process of user networks that a guest has taken over: whatever it says, the machine goes on
 * without the network, and says so once.
 *
 * The process is this program, executed anew: what it does is what the test wants.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net-harness.h"
#include "net/usernet.h"
#include "qemu/socket.h"

#define MODE "TEST_USERNET"

/* The process ------------------------------------------------------------------- */

static UserNetRequest req;
static UserNetShared *shared;
static int wake;

static void say(uint32_t status, const void *text, size_t len)
{
    static UserNetAnswer a;

    a.status = status;
    memcpy(a.text, text, len);
    send(USERNET_SOCKET, &a, sizeof(a.status) + len, MSG_NOSIGNAL);
}

static bool is(const char *mode)
{
    return !strcmp(getenv(MODE), mode);
}

/* At each reset of the card. */
static void misbehave(void)
{
    uint8_t *ring = (uint8_t *)shared + USERNET_HEADER + USERNET_FROM_GUEST;
    uint32_t word = 0x00ffffff;

    atomic_store(&shared->done_pos, is("reset") ? 0x12345678 : 0);
    atomic_store(&shared->resets_done, atomic_load(&shared->resets));
    if (is("head")) {
        atomic_store(&shared->to_guest.head, 0x7fffffff);
    } else if (is("length")) {
        memcpy(ring, &word, sizeof(word));
        atomic_store(&shared->to_guest.head, 64);
    } else if (is("tail")) {
        atomic_store(&shared->from_guest.tail, 0x12345678);
    } else if (is("speak")) {
        say(USERNET_OK, "hello", 5);
    } else if (is("deaf")) {
        close(wake);
    } else if (is("die")) {
        abort();
    }
    send(wake, "", 1, MSG_NOSIGNAL);
}

static void add_network(const int *fds)
{
    wake = fds[USERNET_FD_WAKE];
    shared = mmap(NULL, USERNET_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED,
                  fds[USERNET_FD_MEMORY], 0);
    g_assert_cmpint(ftruncate(fds[USERNET_FD_MEMORY], 0), <, 0);    /* nobody can */
}

static void say_without_end(void)
{
    static UserNetAnswer a = { .status = USERNET_MORE };

    while (send(USERNET_SOCKET, &a, sizeof(a), MSG_NOSIGNAL) > 0) {
        continue;
    }
}

static void answer(void)
{
    if (is("short")) {
        send(USERNET_SOCKET, "", 1, MSG_NOSIGNAL);
    } else if (is("endless")) {
        say_without_end();
    } else if (is("empty")) {   /* not as long as answers may be, but then for how long? */
        say(USERNET_MORE, "", 0);
        say(USERNET_OK, "", 0);
    } else if (is("refuse")) {
        say(USERNET_ERROR, "a\x1b[2J\nb\xff", 8);
    } else if (is("odd")) {
        say(77, "odd", 3);
    } else {
        say(USERNET_OK, "", 0);
    }
}

__attribute__((constructor)) static void be_process(int argc, char **argv)
{
    int fds[USERNET_MAX_FDS];
    struct pollfd p[2] = { { .fd = USERNET_SOCKET, .events = POLLIN }, { .fd = -1 } };

    if (!usernet_wanted(argv)) {
        return;
    }
    while (poll(p, 2, -1) > 0) {
        unsigned n = USERNET_MAX_FDS;
        char byte;

        if (p[1].revents && recv(wake, &byte, 1, MSG_DONTWAIT) > 0) {
            misbehave();
        }
        if (!p[0].revents) {
            continue;
        }
        if (recv_with_fds(USERNET_SOCKET, &req, sizeof(req), fds, &n) <= 0) {
            _exit(0);
        }
        if (req.op == USERNET_ADD) {
            add_network(fds);
            p[1] = (struct pollfd) { .fd = wake, .events = POLLIN };
        }
        answer();
    }
}

/* The machine ------------------------------------------------------------------- */

static bool down(void)
{
    return net_find("n0")->carrier_off;
}

static void test_broken(gconstpointer mode)
{
    uint8_t frame[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    bool tail = !strcmp(mode, "tail");
    NT *n;

    g_setenv(MODE, mode, TRUE);
    n = nt_new(NULL, "user,id=n0", NULL);
    nt_start(n, 0);
    nt_give(n, 8, NT_RX_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        nt_send(n, NULL, frame, sizeof(frame));
    }
    if (tail) {     /* it harms itself: the guest's frames wait, until the card is reset */
        vt_poll(n->t);
        nt_send(n, NULL, frame, sizeof(frame));
        g_assert_false(down());
        usernet_give_up("was ended by the test");
    }
    VT_WAIT(n->t, down());
    /* Nobody waits for it, and nothing is asked. */
    nt_send(n, NULL, frame, sizeof(frame));
    VT_WAIT(n->t, n->tx->used->idx == n->tx->avail->idx);
    g_assert_null(net_client_class(net_find("n0"))->connections(net_find("n0")));
    g_assert_false(net_client_class(net_find("n0"))->change_hostfwd(
        net_find("n0"), "tcp::1-:1", true, NULL));
    nt_start(n, 0);
    nt_free(n);
}

static void test_answers(void)
{
    static const char *const rows[][2] = {
        { "short", "the process of user networks does not answer" },
        { "endless", "the process of user networks does not answer" },
        { "empty", "the process of user networks does not answer" },
        { "refuse", "a?[2J?b\xef\xbf\xbd" },
        { "odd", "odd" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(QemuOpts) opts = qemu_opts_parse("user,id=n0", "type", NULL);
        Error *err = NULL;

        g_setenv(MODE, rows[i][0], TRUE);
        g_assert_null(net_client_new(opts, &err));
        g_assert_cmpstr(error_get_pretty(err), ==, rows[i][1]);
        error_free(err);
        usernet_give_up("was ended by the test");
    }
}

int main(int argc, char **argv)
{
    static const char *const modes[] = { "head", "length", "reset", "tail", "speak", "deaf",
                                         "die" };

    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/usernet/answers", test_answers);
    for (size_t i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autofree char *path = g_strdup_printf("/usernet/%s", modes[i]);

        g_test_add_data_func(path, modes[i], test_broken);
    }
    return g_test_run();
}
