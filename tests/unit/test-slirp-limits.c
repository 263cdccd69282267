/*
 * User networking: what a guest can make the process open, what a reset closes, what one more
 * connection costs, and datagrams of every size.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ip-reassembly.h"
#include "slirp-harness.h"

#define LIMIT 20
#define LIMITED ",max-connections=20"

static unsigned open_files(void)
{
    GDir *dir = g_dir_open("/proc/self/fd", 0, NULL);
    unsigned n = 0;

    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

/* A socket of the host on a free port of the loopback interface. */
static int host_socket(int type, uint16_t *port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, len), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin, &len), ==, 0);
    if (type == SOCK_STREAM) {
        g_assert_cmpint(listen(fd, 128), ==, 0);
    }
    *port = ntohs(sin.sin_port);
    return fd;
}

static void send_syn(NT *n, const char *dst, unsigned from, unsigned port)
{
    make_ip(IPPROTO_TCP, GUEST_IP, dst, 20);
    memset(frame + 34, 0, 20);
    put16(frame + 34, from);
    put16(frame + 36, port);
    put16(frame + 46, 0x5000 | TCP_SYN);
    put16(frame + 48, 65535);
    put16(frame + 50, check_transport(frame));
    nt_send(n, NULL, frame, 60);
}

static void send_udp(NT *n, unsigned from, unsigned port, size_t len)
{
    make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, 8 + len);
    put16(frame + 34, from);
    put16(frame + 36, port);
    put16(frame + 38, 8 + len);
    put16(frame + 40, 0);
    memset(frame + 42, 'u', len);
    nt_send(n, NULL, frame, MAX(42 + len, 60));
}

static void send_ping(NT *n, unsigned seq)
{
    make_ip(IPPROTO_ICMP, GUEST_IP, "\x08\x08\x08\x08", 16);
    memset(frame + 34, 0, 16);
    frame[34] = 8;
    put16(frame + 40, seq);
    put16(frame + 36, ~ip_sum(frame + 34, 16, 0));
    nt_send(n, NULL, frame, 60);
}

static bool came(NT *n, int fd)
{
    char buf[2000];

    for (int i = 0; i < 100; i++) {
        vt_poll(n->t);
        if (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
            return true;
        }
        g_usleep(1000);
    }
    return false;
}

static void drain(NT *n)
{
    while (!nt_quiet(n)) {
        next_frame(n);
    }
}

typedef enum Flood { FLOOD_TCP, FLOOD_UDP, FLOOD_PING } Flood;

/* No more than the limit, what is there goes on, and a reset closes it. */
static void test_flood(gconstpointer data)
{
    Flood flood = GPOINTER_TO_INT(data);
    uint16_t tcp_port, udp_port;
    int server = host_socket(SOCK_STREAM, &tcp_port), udp = host_socket(SOCK_DGRAM, &udp_port);
    NT *n = slirp_start(LIMITED);
    unsigned before;

    assert_alive(n);
    before = open_files();
    send_udp(n, 999, udp_port, 10);
    g_assert_true(came(n, udp));
    for (unsigned i = 0; i < 1000; i++) {
        if (flood == FLOOD_TCP) {
            send_syn(n, HOST_IP, 2000 + i, tcp_port);
        } else if (flood == FLOOD_UDP) {
            send_udp(n, 2000 + i, 9, 10);
        } else {
            send_ping(n, i);
        }
        drain(n);
    }
    g_assert_cmpuint(open_files(), <=, before + LIMIT);
    assert_alive(n);
    send_udp(n, 999, udp_port, 10);         /* has its socket */
    g_assert_true(came(n, udp));
    if (open_files() == before + LIMIT) {     /* pings may not be allowed at all */
        send_udp(n, 998, udp_port, 10);
        g_assert_false(came(n, udp));
    }
    nt_start(n, 0);
    g_assert_cmpuint(open_files(), ==, before);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    send_udp(n, 998, udp_port, 10);
    g_assert_true(came(n, udp));
    nt_free(n);
    close(server);
    close(udp);
}

static unsigned rows(NT *n, const char *start)
{
    unsigned count = 0;
    NetClientState *nc = net_find("n0");
    char *text = net_client_class(nc)->connections(nc);

    for (const char *p = text; (p = strstr(p, start)); p++) {
        count++;
    }
    free(text);
    return count;
}

/* Streams to guestfwd= have no descriptor, but memory. */
static void test_flood_guestfwd(void)
{
    NT *n = slirp_start(LIMITED ",guestfwd=tcp:10.0.2.100:1234-cmd:true");

    assert_alive(n);
    for (unsigned i = 0; i < 200; i++) {
        send_syn(n, "\x0a\x00\x02\x64", 2000 + i, 1234);
        drain(n);
    }
    g_assert_cmpuint(rows(n, "TCP["), ==, LIMIT);
    nt_start(n, 0);
    g_assert_cmpuint(rows(n, "TCP["), ==, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    send_syn(n, "\x0a\x00\x02\x64", 2000, 1234);
    g_assert_cmpuint(rows(n, "TCP["), ==, 1);
    nt_free(n);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    connect(fd, (struct sockaddr *)&sin, sizeof(sin));
    return fd;
}

/* The port that hostfwd=…:0 became. */
static uint16_t forwarded_port(void)
{
    NetClientState *nc = net_find("n0");
    char *text = net_client_class(nc)->connections(nc);
    const char *row = strstr(text, "[HOST_FORWARD]");
    unsigned fd, port = 0;

    g_assert_nonnull(row);
    g_assert_cmpint(sscanf(row, "[HOST_FORWARD] %u 127.0.0.1 %u", &fd, &port), ==, 2);
    free(text);
    return port;
}

/* Peers outside cannot have more either; the port stays, also in a reset. */
static void test_flood_hostfwd(void)
{
    NT *n = slirp_start(LIMITED ",hostfwd=tcp:127.0.0.1:0-:22");
    unsigned before = open_files();
    uint16_t port = forwarded_port();
    int fds[2 * LIMIT];

    assert_alive(n);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_to(port);
        vt_poll(n->t);
        drain(n);
    }
    for (unsigned i = 0; i < 50; i++) {
        g_usleep(1000);
        vt_poll(n->t);
    }
    g_assert_cmpuint(open_files(), <=, before + G_N_ELEMENTS(fds) + LIMIT);
    g_assert_cmpuint(open_files(), >, before + G_N_ELEMENTS(fds));
    send_syn(n, HOST_IP, 2000, 9);          /* not in its place */
    g_assert_cmpuint(open_files(), <=, before + G_N_ELEMENTS(fds) + LIMIT);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    nt_free(n);

    n = slirp_start(LIMITED ",hostfwd=tcp:127.0.0.1:0-:22");
    port = forwarded_port();
    send_udp(n, 1000, 9, 1);
    nt_start(n, 0);
    g_assert_cmpuint(forwarded_port(), ==, port);
    nt_free(n);
}

/* --wrap, see meson.build. */
gpointer __real_g_source_add_unix_fd(GSource *source, int fd, GIOCondition cond);
gpointer __wrap_g_source_add_unix_fd(GSource *source, int fd, GIOCondition cond);
void __real_g_source_modify_unix_fd(GSource *source, gpointer tag, GIOCondition cond);
void __wrap_g_source_modify_unix_fd(GSource *source, gpointer tag, GIOCondition cond);

static unsigned poll_changes;

gpointer __wrap_g_source_add_unix_fd(GSource *source, int fd, GIOCondition cond)
{
    poll_changes++;
    return __real_g_source_add_unix_fd(source, fd, cond);
}

void __wrap_g_source_modify_unix_fd(GSource *source, gpointer tag, GIOCondition cond)
{
    poll_changes++;
    __real_g_source_modify_unix_fd(source, tag, cond);
}

/* One more socket changes what is polled for itself, not for all others. */
static void test_linear(void)
{
    uint16_t port;
    int server = host_socket(SOCK_STREAM, &port);
    NT *n = slirp_start("");

    assert_alive(n);
    poll_changes = 0;
    for (unsigned i = 0; i < 200; i++) {
        send_syn(n, HOST_IP, 2000 + i, port);
        drain(n);
    }
    g_assert_cmpuint(poll_changes, >=, 200);
    g_assert_cmpuint(poll_changes, <, 1000);
    nt_free(n);
    close(server);
}

/* A guest that sends each datagram back with one byte more. --------------------- */

#define MTU_DATA 1480

static void send_fragments(NT *n, const uint8_t *udp, size_t len, unsigned id)
{
    for (size_t from = 0; from < len; from += MTU_DATA) {
        size_t part = MIN(MTU_DATA, len - from);

        make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, part);
        put16(frame + 18, id);
        put16(frame + 20, from / 8 | (from + part < len ? 0x2000 : 0));
        put16(frame + 24, 0);
        put16(frame + 24, ~ip_sum(frame + 14, 20, 0));
        memcpy(frame + 34, udp + from, part);
        nt_send(n, NULL, frame, MAX(34 + part, 60));
    }
}

static void echo(NT *n, size_t len)
{
    static uint8_t udp[5000];
    static unsigned id;
    size_t udp_len = (reply[38] << 8 | reply[39]) + 1;

    g_assert_cmpuint(len, >=, 34 + udp_len - 1);
    memcpy(udp, reply + 34, udp_len - 1);
    memcpy(udp, reply + 36, 2);
    memcpy(udp + 2, reply + 34, 2);
    put16(udp + 4, udp_len);
    put16(udp + 6, 0);
    udp[udp_len - 1] = '+';
    send_fragments(n, udp, udp_len, ++id);
}

static void answer_arp(NT *n)
{
    memcpy(frame, reply + 6, 6);
    memcpy(frame + 6, GUEST_MAC "\x08\x06" "\0\1\x08\0\6\4\0\2" GUEST_MAC GUEST_IP, 24 + 2);
    memcpy(frame + 32, reply + 22, 10);
    nt_send(n, NULL, frame, 60);
}

static void serve(NT *n, IPReassembly *r)
{
    while (!nt_quiet(n)) {
        size_t len = next_frame(n);

        if (ip_is_fragment(reply, len)) {
            len = ip_reassemble(r, reply, len, 0, reply, sizeof(reply));
        }
        if (len >= 42 && reply[12] == 8 && reply[13] == 6 && reply[21] == 1) {
            answer_arp(n);
        } else if (len >= 42 && reply[12] == 8 && reply[13] == 0 && reply[23] == IPPROTO_UDP &&
                   (reply[36] << 8 | reply[37]) == 7) {
            echo(n, len);
        }
    }
}

/* The very first waits for the guest's address; the large ones come in fragments. */
static void test_udp_sizes(void)
{
    static const unsigned sizes[] = { 1, 1, 100, 1400, 1472, 1473, 4000, 1 };
    static char sent[5000], got[5000];
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    g_autofree char *options = NULL;
    IPReassembly r = { 0 };
    uint16_t port, own;
    int fd = host_socket(SOCK_DGRAM, &port);
    NT *n;

    close(fd);
    options = g_strdup_printf(",hostfwd=udp:127.0.0.1:%u-:7", port);
    fd = host_socket(SOCK_DGRAM, &own);
    sin.sin_port = htons(port);
    n = slirp_start(options);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        ssize_t len = -1;
        gint64 end = g_get_monotonic_time() + 3 * G_USEC_PER_SEC;

        memset(sent, 'a' + i, sizes[i]);
        g_assert_cmpint(sendto(fd, sent, sizes[i], 0, (struct sockaddr *)&sin, sizeof(sin)), ==,
                        sizes[i]);
        while (len < 0 && g_get_monotonic_time() < end) {
            vt_poll(n->t);
            serve(n, &r);
            len = recv(fd, got, sizeof(got), MSG_DONTWAIT);
        }
        g_assert_cmpint(len, ==, sizes[i] + 1);
        g_assert_cmpmem(got, sizes[i], sent, sizes[i]);
        g_assert_cmpint(got[sizes[i]], ==, '+');
    }
    ip_reassembly_clear(&r);
    nt_free(n);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/slirp-limits/tcp", GINT_TO_POINTER(FLOOD_TCP), test_flood);
    g_test_add_data_func("/slirp-limits/udp", GINT_TO_POINTER(FLOOD_UDP), test_flood);
    g_test_add_data_func("/slirp-limits/ping", GINT_TO_POINTER(FLOOD_PING), test_flood);
    g_test_add_func("/slirp-limits/guestfwd", test_flood_guestfwd);
    g_test_add_func("/slirp-limits/hostfwd", test_flood_hostfwd);
    g_test_add_func("/slirp-limits/linear", test_linear);
    g_test_add_func("/slirp-limits/udp-sizes", test_udp_sizes);
    return g_test_run();
}
