/*
 * Sockets of network backends and chardevs: a name with several addresses.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <netdb.h>
#include <netinet/in.h>
#include <unistd.h>

#include "net/socket-addr.h"

/* "NAME" has these two ports of the loopback interface for its addresses. */
static uint16_t ports[2];
static struct sockaddr_in sins[2];
static struct addrinfo infos[2];

/* Whoever can tell takes its time. */
static struct { GMutex lock; GCond cond; bool waits; } slow;

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res);
void __wrap_freeaddrinfo(struct addrinfo *res);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res)
{
    g_assert_cmpstr(node, ==, "name");
    if (hints->ai_flags & AI_NUMERICHOST) {
        return EAI_NONAME;
    }
    g_mutex_lock(&slow.lock);
    while (slow.waits) {
        g_cond_wait(&slow.cond, &slow.lock);
    }
    g_mutex_unlock(&slow.lock);
    if (!ports[0]) {
        return EAI_AGAIN;
    }
    for (unsigned i = 0; i < 2; i++) {
        sins[i] = (struct sockaddr_in){
            .sin_family = AF_INET, .sin_port = htons(ports[i]),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
        infos[i] = (struct addrinfo){
            .ai_family = AF_INET, .ai_socktype = hints->ai_socktype,
            .ai_addr = (struct sockaddr *)&sins[i], .ai_addrlen = sizeof(sins[i]),
            .ai_next = i ? NULL : &infos[1],
        };
    }
    *res = infos;
    return 0;
}

void __wrap_freeaddrinfo(struct addrinfo *res)
{
    g_assert_true(res == infos);
}

/* A bound socket that listens or refuses, and its port. */
static int bound(bool listens, uint16_t *port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, len), ==, 0);
    g_assert_cmpint(listens ? listen(fd, 1) : 0, ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin, &len), ==, 0);
    *port = ntohs(sin.sin_port);
    return fd;
}

static NetAddr name = { .type = (char *)"inet", .host = (char *)"name", .port = (char *)"1" };

/* Connecting takes the first that answers, and says why the last did not. */
static void test_connect(void)
{
    for (unsigned good = 0; good < 3; good++) {
        int fds[2] = { bound(good == 0, &ports[0]), bound(good == 1, &ports[1]) };
        Error *err = NULL;
        int fd = net_addr_socket(NULL, &name, SOCK_STREAM, &err);

        if (good < 2) {
            NetAddr peer = { 0 };
            g_autofree char *port = g_strdup_printf("%u", ports[good]);

            g_assert_null(err);
            net_addr_of_peer(fd, &peer);
            g_assert_cmpstr(peer.port, ==, port);
            net_addr_clear(&peer);
            close(fd);
        } else {
            g_assert_cmpint(fd, ==, -1);
            g_assert_cmpstr(error_get_pretty(err), ==,
                            "can't connect socket: Connection refused");
            error_free(err);
        }
        close(fds[0]);
        close(fds[1]);
    }
}

/* Listening, too: the first may be taken. */
static void test_listen(void)
{
    uint16_t taken;
    int other = bound(true, &taken), spare = bound(false, &ports[1]);
    NetAddr own = { 0 };
    g_autofree char *port = g_strdup_printf("%u", ports[1]);
    int fd;

    ports[0] = taken;
    close(spare);
    fd = net_addr_socket(&name, NULL, SOCK_STREAM, NULL);
    g_assert_cmpint(fd, >=, 0);
    net_addr_of_socket(fd, &own);
    g_assert_cmpstr(own.port, ==, port);
    net_addr_clear(&own);
    close(fd);
    close(other);
}

/* Without waiting --------------------------------------------------------------- */

static void let_go(bool waits)
{
    g_mutex_lock(&slow.lock);
    slow.waits = waits;
    g_cond_signal(&slow.cond);
    g_mutex_unlock(&slow.lock);
}

typedef struct Outcome {
    int fd;
    char *err;
    bool told;
} Outcome;

static void told(int fd, Error *err, void *opaque)
{
    Outcome *o = opaque;

    g_assert_false(o->told);
    *o = (Outcome) { fd, err ? g_strdup(error_get_pretty(err)) : NULL, true };
    error_free(err);
}

static gboolean count(gpointer opaque)
{
    return ++*(unsigned *)opaque < 5;
}

static const SockTarget target = { "name", "1", AF_UNSPEC, "no way" };

static void test_nobody_waits(void)
{
    for (unsigned good = 0; good < 4; good++) {
        int fds[2] = { bound(good == 0, &ports[0]), bound(good == 1, &ports[1]) };
        Outcome o = { .fd = -1 };
        unsigned turns = 0;

        ports[0] = good == 3 ? 0 : ports[0];
        let_go(true);
        g_assert_nonnull(sock_connect(&target, told, &o, NULL));
        /* The loop goes round while the name is looked up. */
        g_idle_add(count, &turns);
        while (turns < 5) {
            g_main_context_iteration(NULL, TRUE);
        }
        g_assert_false(o.told);
        let_go(false);
        while (!o.told) {
            g_main_context_iteration(NULL, TRUE);
        }
        if (good < 2) {
            SockAddr peer;

            g_assert_true(sock_addr_of(o.fd, true, &peer));
            g_assert_cmpint(((struct sockaddr_in *)&peer.ss)->sin_port, ==, htons(ports[good]));
            close(o.fd);
        } else {
            g_assert_cmpint(o.fd, ==, -1);
            g_assert_true(g_str_has_prefix(o.err, good == 2 ? "no way: Connection refused" :
                                           "address resolution failed for name:1: "));
        }
        g_free(o.err);
        close(fds[0]);
        close(fds[1]);
    }
}

/* Given up while the name is looked up, and while the peer is asked. */
static void test_cancel(void)
{
    int fds[2] = { bound(true, &ports[0]), bound(true, &ports[1]) };

    for (unsigned late = 0; late < 2; late++) {
        Outcome o = { .fd = -1 };
        SockConnect *c;

        let_go(true);
        c = sock_connect(&target, told, &o, NULL);
        if (late) {
            let_go(false);
            g_main_context_iteration(NULL, TRUE);       /* the name has been looked up */
        }
        sock_connect_cancel(c);
        let_go(false);
        if (!late) {
            g_main_context_iteration(NULL, TRUE);       /* the thread's last word */
        }
        g_assert_false(o.told);
    }
    sock_connect_cancel(NULL);
    close(fds[0]);
    close(fds[1]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/socket-addr/connect", test_connect);
    g_test_add_func("/socket-addr/listen", test_listen);
    g_test_add_func("/socket-addr/nobody-waits", test_nobody_waits);
    g_test_add_func("/socket-addr/cancel", test_cancel);
    return g_test_run();
}
