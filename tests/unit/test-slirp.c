/*
 * User networking from the guest's side: what the stack answers, and frames
 * that would harm it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "chardev/char.h"
#include "net/slirp-filter.h"
#include "slirp-harness.h"

static void test_arp(void)
{
    NT *n = slirp_start("");

    assert_alive(n);
    g_assert(!memcmp(reply, GUEST_MAC, 6));
    nt_free(n);
}

static void test_dhcp(void)
{
    NT *n = slirp_start("");
    uint8_t *bootp = frame + 42;
    size_t len = make_ip(IPPROTO_UDP, "\0\0\0\0", "\xff\xff\xff\xff", 8 + 300);

    memset(frame + 34, 0, 308);
    put16(frame + 34, 68);
    put16(frame + 36, 67);
    put16(frame + 38, 308);
    memcpy(bootp, "\1\1\6\0" "abcd", 8);
    memcpy(bootp + 28, GUEST_MAC, 6);
    memcpy(bootp + 236, "\x63\x82\x53\x63" "\x35\1\1" "\xff", 8);
    slirp_send(n, frame, len);
    g_assert_cmpuint(next_frame(n), >, 42 + 240);
    g_assert_cmpint(reply[42], ==, 2);
    g_assert(!memcmp(reply + 42 + 4, "abcd", 4));
    g_assert(!memcmp(reply + 42 + 16, GUEST_IP, 4));
    g_assert(!memcmp(reply + 42 + 236, "\x63\x82\x53\x63" "\x35\1\2", 7));
    g_assert_nonnull(memmem(reply, 590, "visitor", 7));
    nt_free(n);
}

/* To a server on the host, and its answer. */
static void test_udp(void)
{
    struct sockaddr_in sin = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t sin_len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    NT *n = slirp_start("");
    char got[100];
    ssize_t len;

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, sin_len), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&sin, &sin_len), ==, 0);
    assert_alive(n);
    make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, 8 + 5);
    put16(frame + 34, 4000);
    memcpy(frame + 36, &sin.sin_port, 2);
    put16(frame + 38, 13);
    memcpy(frame + 40, "\0\0hello", 7);
    slirp_send(n, frame, 60);
    VT_WAIT(n->t, (len = recvfrom(fd, got, sizeof(got), 0, (struct sockaddr *)&sin,
                                  &sin_len)) > 0);
    g_assert_cmpint(len, ==, 5);
    g_assert(!memcmp(got, "hello", 5));
    g_assert_cmpint(sendto(fd, "answer", 6, 0, (struct sockaddr *)&sin, sin_len), ==, 6);
    g_assert_cmpuint(next_frame(n), ==, 48);
    g_assert(!memcmp(reply + 42, "answer", 6));
    g_assert_cmphex(check_transport(reply), ==, 0);
    close(fd);
    nt_free(n);
}

/* Ask for a file by TFTP; the answer's payload is in the reply from byte 42 on. */
static size_t tftp_read(NT *n, const char *name)
{
    size_t len = 2 + strlen(name) + 1 + sizeof("octet");

    make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, 8 + len);
    put16(frame + 34, 2000);
    put16(frame + 36, 69);
    put16(frame + 38, 8 + len);
    put16(frame + 40, 0);
    memset(frame + 42, 0, 60);
    frame[43] = 1;
    memcpy(frame + 44, name, strlen(name));
    memcpy(frame + 44 + strlen(name) + 1, "octet", 5);
    slirp_send(n, frame, MAX(42 + len, 60));
    return next_frame(n);
}

static void assert_tftp(NT *n, const char *name, const char *text)
{
    g_assert_cmpuint(tftp_read(n, name), >=, 42 + 4);
    if (text) {
        g_assert_cmpmem(reply + 42, 4, "\0\3\0\1", 4);
        g_assert_cmpmem(reply + 46, strlen(text), text, strlen(text));
    } else {
        g_assert_cmpmem(reply + 42, 2, "\0\5", 2);
    }
    g_assert_cmphex(check_transport(reply), ==, 0);
}

/* Files of the folder, and no others: not by "..", a link, the number of a descriptor. */
static void test_tftp(void)
{
    static const char *const names[] = { "hello", "inner", "outer", "up", "self", "fifo" };
    g_autofree char *top = g_dir_make_tmp("tftp-XXXXXX", NULL);
    g_autofree char *dir = g_build_filename(top, "d", NULL);
    g_autofree char *secret = g_build_filename(top, "secret", NULL);
    g_autofree char *options = g_strdup_printf(",tftp=%s", dir);
    char *file[G_N_ELEMENTS(names)];
    NT *n;

    g_assert_cmpint(mkdir(dir, 0700), ==, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        file[i] = g_build_filename(dir, names[i], NULL);
    }
    g_assert(g_file_set_contents(secret, "not for the guest", -1, NULL));
    g_assert(g_file_set_contents(file[0], "to the guest", -1, NULL));
    g_assert_cmpint(symlink("hello", file[1]), ==, 0);
    g_assert_cmpint(symlink(secret, file[2]), ==, 0);
    g_assert_cmpint(symlink("../secret", file[3]), ==, 0);
    g_assert_cmpint(symlink("/proc/self/exe", file[4]), ==, 0);
    g_assert_cmpint(mkfifo(file[5], 0600), ==, 0);
    n = slirp_start(options);
    assert_alive(n);
    assert_tftp(n, "hello", "to the guest");
    assert_tftp(n, "/hello", "to the guest");
    assert_tftp(n, "inner", "to the guest");
    assert_tftp(n, "absent", NULL);
    assert_tftp(n, "../secret", NULL);
    assert_tftp(n, "../../../../etc/passwd", NULL);
    for (unsigned i = 2; i < G_N_ELEMENTS(names); i++) {
        assert_tftp(n, names[i], NULL);
    }
    for (unsigned i = 0; i < 64; i++) {
        g_autofree char *number = g_strdup_printf("%u", i);

        assert_tftp(n, number, NULL);
        assert_tftp(n, "hello", "to the guest");
    }
    nt_free(n);
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        unlink(file[i]);
        g_free(file[i]);
    }
    unlink(secret);
    g_assert_cmpint(rmdir(dir), ==, 0);
    g_assert_cmpint(rmdir(top), ==, 0);
}

/* The urgent flag goes, and the checksum stays right. */
static void test_urgent(void)
{
    for (unsigned i = 0; i < 2000; i++) {
        unsigned payload = i % 100;
        size_t len = make_ip(IPPROTO_TCP, GUEST_IP, HOST_IP, 20 + payload);

        for (size_t j = 34; j < len; j++) {
            frame[j] = g_test_rand_int();
        }
        frame[46] = 0x50;
        put16(frame + 50, 0);
        put16(frame + 50, check_transport(frame));
        g_assert_cmphex(check_transport(frame), ==, 0);
        memcpy(reply, frame, len);
        g_assert(slirp_filter_frame(frame, len));
        g_assert_cmphex(frame[47], ==, reply[47] & ~0x20);
        g_assert_cmphex(check_transport(frame), ==, 0);
        if (!(reply[47] & 0x20)) {
            g_assert(!memcmp(frame, reply, len));
        }
    }
}

/* Fragments do not pass, nor do headers that are cut off; IPv6 is looked at, too. */
static void test_filter(void)
{
    for (unsigned offset = 0; offset < 0x4000; offset += 0x7f) {
        size_t total = make_ip(IPPROTO_UDP, GUEST_IP, HOST_IP, 64);

        put16(frame + 20, offset);
        g_assert_cmpint(slirp_filter_frame(frame, total), ==, offset == 0);
    }
    for (unsigned len = 0; len < 34 + 40; len++) {
        make_ip(IPPROTO_TCP, GUEST_IP, HOST_IP, 40);
        memset(frame + 34, 0, 40);
        g_assert_cmpint(slirp_filter_frame(frame, len), ==, false);
    }
    g_assert(slirp_filter_frame(frame, 34 + 40));
    memcpy(frame + 12, "\x86\xdd", 2);
    memset(frame + 14, 0, 60);
    frame[20] = IPPROTO_TCP;
    frame[14 + 40 + 13] = 0xff;
    g_assert(slirp_filter_frame(frame, 14 + 60));
    g_assert_cmphex(frame[14 + 40 + 13], ==, 0xdf);
    g_assert(!slirp_filter_frame(frame, 14 + 59));
}

/* N12, N14: every prefix of frames of every kind, with one byte changed. */
static void test_truncated(void)
{
    static const uint8_t protos[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_IGMP };
    static const uint16_t ports[] = { 67, 69, 53, 113, 21, 6667, 445 };
    NT *n = slirp_start("");

    assert_alive(n);
    for (unsigned i = 0; i < 6000; i++) {
        size_t len = make_ip(protos[i % 4], GUEST_IP, HOST_IP, 20 + i % 400);

        for (size_t j = 34; j < len; j++) {
            frame[j] = g_test_rand_int();
        }
        put16(frame + 36, ports[i % 7]);
        if (protos[i % 4] == IPPROTO_UDP) {
            put16(frame + 38, i % 3 ? len - 34 : (uint16_t)g_test_rand_int());
            put16(frame + 40, 0);
        }
        if (i % 5 == 0) {
            frame[g_test_rand_int_range(12, 34)] = g_test_rand_int();
        } else if (i % 5 == 1) {
            memcpy(frame + 12, "\x08\x06", 2);
        }
        if (i % 2) {
            len = g_test_rand_int_range(14, len + 1);
        }
        slirp_send(n, frame, len);
        while (!nt_quiet(n)) {
            next_frame(n);
        }
    }
    assert_alive(n);
    nt_free(n);
}

/* N11: fragments that overlap, repeat, never end, or end beyond 64 KiB. */
static void test_fragments(void)
{
    NT *n = slirp_start("");

    assert_alive(n);
    for (unsigned i = 0; i < 6000; i++) {
        size_t len = make_ip(i % 3 ? IPPROTO_UDP : IPPROTO_ICMP, GUEST_IP, HOST_IP,
                             g_test_rand_int_range(0, 1400));

        put16(frame + 18, i / 40);
        put16(frame + 20, (i % 7 ? 0x2000 : 0) |
              (i % 5 ? g_test_rand_int_range(0, 300) : g_test_rand_int_range(8000, 8192)));
        put16(frame + 24, 0);
        put16(frame + 24, ~ip_sum(frame + 14, 20, 0));
        slirp_send(n, frame, len < 60 ? 60 : len);
        while (!nt_quiet(n)) {
            next_frame(n);
        }
    }
    assert_alive(n);
    nt_free(n);
}

/* TCP to an address that leads to a chardev, one segment at a time. ------------ */

#define SERVER_IP "\x0a\x00\x02\x64"
#define SEGMENT 1000

/* What the guest has sent of its stream that was acknowledged, and the other's start. */
typedef struct Stream {
    uint32_t acked, other;
} Stream;

/* Send flags and len bytes of a pattern from where the stream is. */
static void send_segment(NT *n, const Stream *st, unsigned flags, size_t len)
{
    size_t total = make_ip(IPPROTO_TCP, GUEST_IP, SERVER_IP, 20 + len);

    memset(frame + 34, 0, 20);
    put16(frame + 34, 5000);
    put16(frame + 36, 1234);
    put32(frame + 38, flags & TCP_SYN ? 0 : 1 + st->acked);
    put32(frame + 42, st->other);
    put16(frame + 46, 0x5000 | flags);
    put16(frame + 48, 65535);
    for (size_t i = 0; i < len; i++) {
        frame[54 + i] = (st->acked + i) % 251;
    }
    put16(frame + 50, check_transport(frame));
    slirp_send(n, frame, MAX(total, 60));
}

/* One segment of data, in less than a second; false: nobody took it. */
static bool send_data(NT *n, Stream *st)
{
    gint64 start = g_get_monotonic_time();

    send_segment(n, st, TCP_ACK, SEGMENT);
    g_assert_cmpint(g_get_monotonic_time() - start, <, G_USEC_PER_SEC);
    while (maybe_frame(n)) {
        if (reply[23] == IPPROTO_TCP && get32(reply + 42) == 1 + st->acked + SEGMENT) {
            st->acked += SEGMENT;
            return true;
        }
    }
    return false;
}

/* Everything up to end comes out, and is what was sent. */
static size_t read_stream(NT *n, int fd, size_t pos, size_t end)
{
    uint8_t got[4096];
    ssize_t len;

    while (pos < end) {
        VT_WAIT(n->t, (len = recv(fd, got, sizeof(got), MSG_DONTWAIT)) > 0);
        for (ssize_t i = 0; i < len; i++, pos++) {
            g_assert_cmpuint(got[i], ==, pos % 251);
        }
    }
    return pos;
}

/* What the chardev's peer says comes to the guest. */
static void receive_data(NT *n, Stream *st, int fd, const char *text)
{
    size_t len = strlen(text);

    g_assert_cmpint(send(fd, text, len, 0), ==, len);
    do {
        g_assert_cmpuint(next_frame(n), >=, 54);
    } while (reply[23] != IPPROTO_TCP || (reply[16] << 8 | reply[17]) != 40 + (int)len);
    g_assert_cmpmem(reply + 54, len, text, len);
    st->other += len;
    send_segment(n, st, TCP_ACK, 0);
}

static int connect_chardev(const char *path)
{
    g_autofree char *options = g_strdup_printf("socket,id=c0,path=%s,server=on,wait=off", path);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, "backend", NULL);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    g_assert_nonnull(qemu_chr_new_from_opts(opts, NULL));
    g_strlcpy(un.sun_path, path, sizeof(un.sun_path));
    g_assert_cmpint(connect(fd, (struct sockaddr *)&un, sizeof(un)), ==, 0);
    return fd;
}

/* A peer that does not read holds up its connection, not the emulator; nothing is lost. */
static void test_guestfwd_slow(void)
{
    g_autofree char *dir = g_dir_make_tmp("guestfwd-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(dir, "sock", NULL);
    int fd = connect_chardev(path);
    NT *n = nt_new(NULL, USER ",guestfwd=tcp:10.0.2.100:1234-chardev:c0",
                   "mac=52:54:00:01:02:03");
    Stream st = { 0 };
    size_t got = 0;

    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    assert_alive(n);
    send_segment(n, &st, TCP_SYN, 0);
    g_assert_cmpuint(next_frame(n), >=, 54);
    g_assert_cmphex(reply[47], ==, TCP_SYN | TCP_ACK);
    st.other = get32(reply + 38) + 1;
    send_segment(n, &st, TCP_ACK, 0);
    receive_data(n, &st, fd, "hello");
    for (unsigned round = 0; round < 2; round++) {
        while (send_data(n, &st)) {
            g_assert_cmpuint(st.acked - got, <, 4u << 20);
        }
        assert_alive(n);
        got = read_stream(n, fd, got, st.acked);
        g_assert_cmpuint(got, ==, st.acked);
        g_assert(send_data(n, &st));
        receive_data(n, &st, fd, "again");
    }
    send_segment(n, &st, TCP_ACK | TCP_FIN, 0);
    g_assert_cmpuint(read_stream(n, fd, got, st.acked), ==, st.acked);
    nt_free(n);
    qemu_chr_cleanup();
    close(fd);
    rmdir(dir);
}

/* The guest does not fetch frames for a while: bounded, and then all is well. */
static void test_not_fetched(void)
{
    NT *n = nt_new(NULL, USER, NULL);

    nt_start(n, 0);
    for (int i = 0; i < 30000; i++) {
        send_arp(n);
    }
    nt_give(n, 60, NT_RX_SIZE);
    while (maybe_frame(n)) {
        continue;
    }
    assert_alive(n);
    nt_free(n);
}

static char *user_error(const char *options)
{
    g_autoptr(QemuOpts) opts = qemu_opts_parse(options, "type", NULL);
    Error *err = NULL;
    char *text;

    g_assert_null(net_client_new(opts, &err));
    text = g_strdup(error_get_pretty(err));
    error_free(err);
    return text;
}

static void test_options(void)
{
    static const char *const rows[][2] = {
        { "user", "Parameter 'id' is missing" },
        { "bogus,id=x", "Parameter 'type' does not accept value 'bogus'" },
        { "user,id=x,foo=1", "Invalid parameter 'foo'" },
        { "user,id=x,net=zz", "Failed to parse netmask" },
        { "user,id=x,net=10.0.0.0/33", "Invalid netmask provided (must be in range 4-32)" },
        { "user,id=x,host=1.2.3.4", "Host doesn't belong to network" },
        { "user,id=x,dns=10.0.2.2", "DNS must be different from host" },
        { "user,id=x,dhcpstart=10.0.2.3", "DHCP must be different from host and DNS" },
        { "user,id=x,ipv4=off,ipv6=off", "IPv4 and IPv6 disabled" },
        { "user,id=x,hostfwd=foo", "Invalid host forwarding rule 'foo' (No : separators)" },
        { "user,id=x,hostfwd=tcp:foo",
          "Invalid host forwarding rule 'tcp:foo' (Missing : separator)" },
        { "user,id=x,hostfwd=sctp::1-:2",
          "Invalid host forwarding rule 'sctp::1-:2' (Bad protocol name)" },
        { "user,id=x,hostfwd=tcp::99999-:2",
          "Invalid host forwarding rule 'tcp::99999-:2' (Bad host port)" },
        { "user,id=x,guestfwd=foo", "Invalid guest forwarding rule 'foo'" },
        { "user,id=x,smb=/tmp", "smb= is not supported" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *text = user_error(rows[i][0]);

        g_assert_cmpstr(text, ==, rows[i][1]);
    }
    g_assert_null(net_find("x"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    slirp_confine(false);
    g_test_add_func("/slirp/arp", test_arp);
    g_test_add_func("/slirp/dhcp", test_dhcp);
    g_test_add_func("/slirp/udp", test_udp);
    g_test_add_func("/slirp/tftp", test_tftp);
    g_test_add_func("/slirp/urgent", test_urgent);
    g_test_add_func("/slirp/filter", test_filter);
    g_test_add_func("/slirp/N12-truncated", test_truncated);
    g_test_add_func("/slirp/N11-fragments", test_fragments);
    g_test_add_func("/slirp/guestfwd-slow", test_guestfwd_slow);
    g_test_add_func("/slirp/not-fetched", test_not_fetched);
    g_test_add_func("/slirp/options", test_options);
    return g_test_run();
}
