/*
 * Sockets of network backends: a name with several addresses.
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

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res);
void __wrap_freeaddrinfo(struct addrinfo *res);

int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **res)
{
    g_assert_cmpstr(node, ==, "name");
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

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/socket-addr/connect", test_connect);
    g_test_add_func("/socket-addr/listen", test_listen);
    return g_test_run();
}
