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
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/ip-fragment.h"
#include "net/ip-reassembly.h"
#include "net/slirp-internal.h"
#include "slirp-harness.h"

#define LIMIT 20
#define LIMITED ",max-connections=20"

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

static void make_syn(const char *dst, unsigned from, unsigned port)
{
    make_ip(IPPROTO_TCP, GUEST_IP, dst, 20);
    memset(frame + 34, 0, 20);
    put16(frame + 34, from);
    put16(frame + 36, port);
    put16(frame + 46, 0x5000 | TCP_SYN);
    put16(frame + 48, 65535);
    put16(frame + 50, check_transport(frame));
}

static void send_syn(NT *n, const char *dst, unsigned from, unsigned port)
{
    make_syn(dst, from, port);
    slirp_send(n, frame, 60);
}

static void send_udp(NT *n, unsigned from, unsigned port, size_t len)
{
    make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, 8 + len);
    put16(frame + 34, from);
    put16(frame + 36, port);
    put16(frame + 38, 8 + len);
    put16(frame + 40, 0);
    memset(frame + 42, 'u', len);
    slirp_send(n, frame, MAX(42 + len, 60));
}

static void send_ping(NT *n, unsigned seq)
{
    make_ip(IPPROTO_ICMP, GUEST_IP, "\x08\x08\x08\x08", 16);
    memset(frame + 34, 0, 16);
    frame[34] = 8;
    put16(frame + 40, seq);
    put16(frame + 36, ~ip_sum(frame + 34, 16, 0));
    slirp_send(n, frame, 60);
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
    before = slirp_open_files();
    g_assert_cmpuint(before, >, 0);
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
    assert_alive(n);                        /* all before it have been looked at */
    g_assert_cmpuint(slirp_open_files(), <=, before + LIMIT);
    send_udp(n, 999, udp_port, 10);         /* has its socket */
    g_assert_true(came(n, udp));
    if (slirp_open_files() == before + LIMIT) {     /* pings may not be allowed at all */
        send_udp(n, 998, udp_port, 10);
        g_assert_false(came(n, udp));
    }
    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    g_assert_cmpuint(slirp_open_files(), ==, before);
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
    assert_alive(n);
    g_assert_cmpuint(rows(n, "TCP["), ==, LIMIT);
    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    g_assert_cmpuint(rows(n, "TCP["), ==, 0);
    /* The same segment again is no other stream: at the limit they are counted anew. */
    for (unsigned i = 0; i < LIMIT; i++) {
        send_syn(n, "\x0a\x00\x02\x64", 2000, 1234);
        assert_alive(n);
        g_assert_cmpuint(rows(n, "TCP["), ==, 1);
    }
    send_syn(n, "\x0a\x00\x02\x64", 2001, 1234);
    assert_alive(n);
    g_assert_cmpuint(rows(n, "TCP["), ==, 2);
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
    unsigned before = slirp_open_files();
    uint16_t port = forwarded_port();
    int fds[2 * LIMIT];

    assert_alive(n);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        fds[i] = connect_to(port);
        VT_WAIT(n->t, slirp_open_files() >= before + MIN(i + 1, LIMIT));
        drain(n);
    }
    send_syn(n, HOST_IP, 2000, 9);          /* not in its place */
    assert_alive(n);
    g_assert_cmpuint(slirp_open_files(), <=, before + LIMIT);
    /* The guest has opened nothing: a reset leaves them alone. */
    g_assert_cmpuint(rows(n, "TCP["), ==, LIMIT + 1);
    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    g_assert_cmpuint(rows(n, "TCP["), ==, LIMIT + 1);
    for (unsigned i = 0; i < G_N_ELEMENTS(fds); i++) {
        close(fds[i]);
    }
    nt_free(n);

    n = slirp_start(LIMITED ",hostfwd=tcp:127.0.0.1:0-:22");
    port = forwarded_port();
    send_udp(n, 1000, 9, 1);
    assert_alive(n);
    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
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

/* A stack in this process, with the card's side of its memory. */
static SlirpStack *own_stack(FrameRing *to_stack)
{
    int pair[2], fds[USERNET_FDS] = { memfd_create("stack", MFD_CLOEXEC) };
    SlirpStack *s = slirp_stack_new("own");

    g_assert_cmpint(ftruncate(fds[USERNET_FD_MEMORY], USERNET_MEMORY), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
    fds[USERNET_FD_WAKE] = pair[0];
    g_assert_true(slirp_stack_open(s, fds, NULL));
    frame_ring_init(to_stack, &s->shared->from_guest, s->from_guest.data, s->from_guest.size);
    return s;
}

/* One more socket changes what is polled for itself, not for all others. */
static void test_linear(void)
{
    uint16_t port;
    int server = host_socket(SOCK_STREAM, &port);
    FrameRing ring;
    SlirpStack *s = own_stack(&ring);

    poll_changes = 0;
    for (unsigned i = 0; i < 200; i++) {
        make_syn(HOST_IP, 2000 + i, port);
        g_assert_true(frame_ring_put(&ring, USERNET_FRAME, frame, 60));
        while (ring.pos != s->from_guest.pos) {
            g_main_context_iteration(NULL, FALSE);
        }
        g_main_context_iteration(NULL, FALSE);
    }
    g_assert_cmpuint(poll_changes, >=, 200);
    g_assert_cmpuint(poll_changes, <, 1000);
    slirp_stack_free(s);
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
        slirp_send(n, frame, MAX(34 + part, 60));
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
    slirp_send(n, frame, 60);
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
        gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;

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

/* IPv6: the guest sends, the host answers with one byte more. -------------------- */

#define GUEST_IP6 "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x15"
#define HOST_IP6 "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2"

/* An IPv6 packet with the checksum of its payload at sum; the frame's length. */
static size_t make_ip6(uint8_t *f, uint8_t next, const uint8_t *data, size_t len, size_t sum)
{
    memset(f, 0, 54);
    memcpy(f, "\x52\x56\0\0\0\2" GUEST_MAC "\x86\xdd\x60", 15);
    put16(f + 18, len);
    f[20] = next;
    f[21] = 255;
    memcpy(f + 22, GUEST_IP6 HOST_IP6, 32);
    memcpy(f + 54, data, len);
    put16(f + 54 + sum, 0);
    put16(f + 54 + sum, ~ip_sum(f + 54, len, ip_sum(f + 22, 32, next + len)));
    return 54 + len;
}

static void send_piece(const uint8_t *f, size_t len, void *opaque)
{
    slirp_send(opaque, f, MAX(len, 60));
}

static void advertise(NT *n)
{
    uint8_t advert[32] = { 136 };

    advert[4] = 0x60;
    memcpy(advert + 8, GUEST_IP6, 16);
    memcpy(advert + 24, "\2\1" GUEST_MAC, 8);
    send_piece(frame, make_ip6(frame, IPPROTO_ICMPV6, advert, sizeof(advert), 2), n);
}

/* The payload of the next UDP datagram to the guest is at reply + 62; its length, or 0. */
static size_t next_udp6(NT *n, IPReassembly *r)
{
    while (!nt_quiet(n)) {
        size_t len = next_frame(n);

        if (ip_is_fragment(reply, len)) {
            len = ip_reassemble(r, reply, len, 0, reply, sizeof(reply));
        }
        if (len > 62 && reply[20] == IPPROTO_ICMPV6 && reply[54] == 135) {
            advertise(n);
        } else if (len > 62 && reply[20] == IPPROTO_UDP && reply[12] == 0x86) {
            g_assert_cmphex(ip_sum(reply + 54, len - 54, ip_sum(reply + 22, 32,
                                   IPPROTO_UDP + len - 54)), ==, 0xffff);
            return len - 62;
        }
    }
    return 0;
}

static size_t exchange6(NT *n, int fd, uint16_t port, unsigned size)
{
    static uint8_t udp[5000], whole[6000], got[5000];
    struct sockaddr_in6 from;
    socklen_t from_len = sizeof(from);
    IPReassembly r = { 0 };
    gint64 end = g_get_monotonic_time() + 30 * G_USEC_PER_SEC;
    ssize_t len = -1;
    size_t answer = 0;

    put16(udp, 5000);
    put16(udp + 2, port);
    put16(udp + 4, 8 + size);
    memset(udp + 8, 'a' + size % 26, size);
    ip_fragment(whole, make_ip6(whole, IPPROTO_UDP, udp, 8 + size, 6), 1500, size, send_piece, n);
    while (!answer && g_get_monotonic_time() < end) {
        vt_poll(n->t);
        answer = next_udp6(n, &r);
        if (len < 0) {
            len = recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&from, &from_len);
            if (len >= 0) {
                g_assert_cmpmem(got, len, udp + 8, size);
                sendto(fd, got, len + 1, 0, (struct sockaddr *)&from, from_len);
            }
        }
    }
    ip_reassembly_clear(&r);
    return answer;
}

static void test_udp6_sizes(void)
{
    static const unsigned sizes[] = { 1, 1, 100, 1400, 1452, 1453, 4000, 1 };
    struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
    socklen_t len = sizeof(sin6);
    int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    NT *n;

    if (fd < 0 || bind(fd, (struct sockaddr *)&sin6, len) < 0) {
        g_test_skip("no IPv6 here");
        return;
    }
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin6, &len), ==, 0);
    n = slirp_start(",ipv6=on");
    vt_poll(n->t);
    for (unsigned i = 0; i < G_N_ELEMENTS(sizes); i++) {
        g_assert_cmpuint(exchange6(n, fd, ntohs(sin6.sin6_port), sizes[i]), ==, sizes[i] + 1);
    }
    nt_free(n);
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    slirp_confine(true);
    g_test_add_data_func("/slirp-limits/tcp", GINT_TO_POINTER(FLOOD_TCP), test_flood);
    g_test_add_data_func("/slirp-limits/udp", GINT_TO_POINTER(FLOOD_UDP), test_flood);
    g_test_add_data_func("/slirp-limits/ping", GINT_TO_POINTER(FLOOD_PING), test_flood);
    g_test_add_func("/slirp-limits/guestfwd", test_flood_guestfwd);
    g_test_add_func("/slirp-limits/hostfwd", test_flood_hostfwd);
    g_test_add_func("/slirp-limits/linear", test_linear);
    g_test_add_func("/slirp-limits/udp-sizes", test_udp_sizes);
    g_test_add_func("/slirp-limits/udp6-sizes", test_udp6_sizes);
    return g_test_run();
}
