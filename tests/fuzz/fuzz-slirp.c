/*
 * Fuzz target: the process of user networks as a guest sees it: frames, resets, the host's side of
 * forwards. Frames make sense so far that a stack looks at what is in them: checksums are right.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "machine.h"
#include "net/packet.h"
#include "net/slirp-internal.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"

#define MAX_STEPS 200
#define GUEST_MAC "\x52\x54\0\1\2\3"

typedef struct Net {
    FuzzInput in;
    SlirpStack *stack;
    UserNetShared *shared;
    FrameRing from_guest, to_guest;
    int wake, forward;          /* our ends */
    uint32_t theirs, ours;      /* of TCP: the next sequence numbers */
    uint8_t frame[NET_FRAME_MAX];
    size_t len;
} Net;

static bool outside;            /* there is none but this target's own */
static int streams = -1, datagrams = -1;    /* of servers there */

/* libslirp 4.7 leaves packets behind when a stack goes; the process that has one ends then. */
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return 1;
}

static uint64_t take(Net *n, unsigned bytes)
{
    return fuzz_take(&n->in, bytes);
}

/* Frames ----------------------------------------------------------------------- */

static void append(Net *n, const void *data, size_t len)
{
    len = MIN(len, sizeof(n->frame) - n->len);
    memcpy(n->frame + n->len, data, len);
    n->len += len;
}

static void append_16(Net *n, unsigned value)
{
    uint8_t be[2];

    store16(be, value);
    append(n, be, 2);
}

/* Up to 255 bytes of the input, or up to 64 KiB that nobody looks at. */
static void append_input(Net *n)
{
    size_t len = take(n, 1), more = len == 255 ? take(n, 2) : 0;
    const uint8_t *data = fuzz_take_bytes(&n->in, &len);

    append(n, data, len);
    more = MIN(more, sizeof(n->frame) - n->len);
    memset(n->frame + n->len, 0, more);
    n->len += more;
}

static void send_frame(Net *n)
{
    if (n->len) {
        frame_ring_put(&n->from_guest, USERNET_FRAME, n->frame, n->len);
        send(n->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    fuzz_settle();
}

/* The host, its name server, a forward, somebody outside, all, a neighbour. */
static const char *const addresses[] = {
    "\x0a\0\2\2", "\x0a\0\2\3", "\x0a\0\2\x64", "\x7f\0\0\1", "\xff\xff\xff\xff", "\x0a\0\2\xff",
    "\xe0\0\0\1", "\x0a\0\2\x0f",
};

static const char *const addresses6[] = {
    "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\2", "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\3",
    "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\2", "\xff\2\0\0\0\0\0\0\0\0\0\0\0\0\0\2",
};

static void begin(Net *n, unsigned type)
{
    n->len = 0;
    append(n, "\x52\x55\x0a\0\2\2" GUEST_MAC, 12);
    append_16(n, type);
}

/* An IP header; its lengths and sums are for end_ip(). */
static void begin_ip(Net *n, unsigned how, unsigned proto)
{
    bool ipv6 = how & 128;

    begin(n, ipv6 ? ETH_TYPE_IPV6 : ETH_TYPE_IP);
    if (ipv6) {
        const uint8_t head[8] = { 0x60, [6] = proto, 255 };

        append(n, head, sizeof(head));
        append(n, "\xfe\xc0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0f", 16);
        append(n, addresses6[how % G_N_ELEMENTS(addresses6)], 16);
    } else {
        const uint8_t head[12] = { 0x45, [8] = 64, proto };

        append(n, head, sizeof(head));
        append(n, how & 64 ? "\0\0\0" : "\x0a\0\2\x0f", 4);
        append(n, addresses[how % G_N_ELEMENTS(addresses)], 4);
    }
}

/* sum: where the transport's checksum is, behind the IP header; 0: there is none. */
static void end_ip(Net *n, size_t sum)
{
    uint8_t *ip = n->frame + ETH_HLEN;
    bool ipv6 = load16(n->frame + ETH_TYPE) == ETH_TYPE_IPV6;
    size_t header = ipv6 ? IP6_HLEN : IP_HLEN, len = n->len - ETH_HLEN - header;
    uint32_t pseudo = ipv6 ? sum16(ip + IP6_SOURCE, 32, ip[IP6_NEXT] + len)
                           : sum16(ip + IP_SOURCE, 8, ip[IP_PROTOCOL] + len);

    if (sum) {
        uint8_t *p = ip + header + sum;

        store16(p, 0);
        store16(p, ~sum16(ip + header, len,
                          !ipv6 && ip[IP_PROTOCOL] == IPPROTO_ICMP ? 0 : pseudo));
    }
    if (ipv6) {
        store16(ip + IP6_PAYLOAD, len);
    } else {
        store16(ip + IP_TOTAL, header + len);
        store16(ip + IP_HEADER_SUM, ~sum16(ip, header, 0));
    }
}

/* Kinds of them ------------------------------------------------------------------ */

static void raw(Net *n)
{
    n->len = 0;
    append_input(n);
    send_frame(n);
}

static void udp(Net *n)
{
    static const uint16_t ports[] = { 67, 69, 53, 1024, 547, 7, 123, 80 };
    unsigned how = take(n, 1), port = take(n, 1);
    size_t at;

    begin_ip(n, how, IPPROTO_UDP);
    at = n->len;
    append_16(n, port & 8 ? 68 : 2000 + (port >> 4));
    append_16(n, ports[port % G_N_ELEMENTS(ports)]);
    append(n, "\0\0\0", 4);
    append_input(n);
    store16(n->frame + at + UDP_LENGTH, how & 32 ? take(n, 2) : n->len - at);
    end_ip(n, UDP_CHECKSUM);
    send_frame(n);
}

/* Requests of a client that boots: an address, then files. */
static void dhcp(Net *n)
{
    unsigned how = take(n, 1);
    size_t at;

    begin_ip(n, 64 | 4, IPPROTO_UDP);
    at = n->len;
    append(n, "\0\x44\0\x43\0\0\0", 8);
    append(n, "\1\1\6\0abcd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 28);
    append(n, GUEST_MAC, 6);
    memset(n->frame + n->len, 0, 202);
    n->len += 202;
    append(n, how & 1 ? "\0\0\0" : "\x63\x82\x53\x63", 4);
    append(n, "\x35\1", 2);
    append(n, &(uint8_t) { how >> 1 & 15 }, 1);
    append_input(n);
    append(n, "\xff", how >> 7);
    store16(n->frame + at + UDP_LENGTH, n->len - at);
    end_ip(n, UDP_CHECKSUM);
    send_frame(n);
}

static void tftp(Net *n)
{
    static const char *const names[] = { "/a", "a", "../a", "b/a", "/none", "", "c", "/a/../a" };
    unsigned how = take(n, 1);
    const char *name = names[how >> 1 & 7];
    size_t at;

    begin_ip(n, how & 128, IPPROTO_UDP);
    at = n->len;
    append_16(n, 2000 + (how >> 6 & 1));
    append(n, "\0\x45\0\0\0", 6);
    append_16(n, how & 1 ? 1 : take(n, 1) % 8);
    append(n, name, strlen(name) + 1);
    append(n, "octet", how & 16 ? 6 : 0);
    append(n, "blksize\0001024\0tsize\0000", how & 32 ? 21 : 0);
    append_input(n);
    store16(n->frame + at + UDP_LENGTH, n->len - at);
    end_ip(n, UDP_CHECKSUM);
    send_frame(n);
}

/* One connection that can come to be, as far as it remembers what came back. */
static void tcp(Net *n)
{
    static const uint16_t ports[] = { 80, 4000, 81, 0 };
    unsigned how = take(n, 1), flags = take(n, 1), port = take(n, 1);
    uint32_t seq[2];
    size_t at;

    n->ours += port & 16 ? (int8_t)take(n, 1) : 0;
    begin_ip(n, how, IPPROTO_TCP);
    at = n->len;
    append_16(n, 3000 + (port >> 6));
    append_16(n, ports[port % G_N_ELEMENTS(ports)]);
    seq[0] = htonl(n->ours);
    seq[1] = htonl(n->theirs);
    append(n, seq, sizeof(seq));
    append_16(n, (port & 4 ? 0x6000 : port & 8 ? take(n, 1) << 8 : 0x5000) | flags);
    append_16(n, how & 16 ? take(n, 2) : 0x8000);
    append(n, "\0\0\0", 4);
    append(n, "\2\4\5\xb4", port & 4 ? 4 : 0);
    append_input(n);
    end_ip(n, TCP_CHECKSUM);
    n->ours += n->len - at - TCP_HLEN - (port & 4 ? 4 : 0) + (flags & 2) / 2 + (flags & 1);
    send_frame(n);
}

/* A piece of a datagram of either kind. */
static void fragment(Net *n)
{
    unsigned how = take(n, 1), where = take(n, 2);
    uint8_t *ip = n->frame + ETH_HLEN;

    begin_ip(n, how, how & 128 ? IP6_FRAGMENT : IPPROTO_UDP);
    if (how & 128) {
        append(n, &(uint8_t[]) { IPPROTO_UDP, 0 }, 2);
        append_16(n, where & 0xfff9);
        append(n, "\0\0\0", 3);
        append(n, &(uint8_t) { how >> 3 & 7 }, 1);
    } else {
        store16(ip + IP_FRAGMENT, (where & 1 ? IP_MF : 0) | where >> 3);
        store16(ip + IP_ID, how >> 3 & 7);
    }
    append_input(n);
    end_ip(n, 0);
    send_frame(n);
}

/* Errors, echoes, neighbours, routers. */
static void icmp(Net *n)
{
    unsigned how = take(n, 1);

    begin_ip(n, how, how & 128 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
    append(n, &(uint8_t[]) { take(n, 1), 0, 0, 0 }, 4);
    append_input(n);
    end_ip(n, 2);
    send_frame(n);
}

static void arp(Net *n)
{
    unsigned how = take(n, 1);

    begin(n, ETH_TYPE_ARP);
    append(n, "\0\1\x08\0\6\4\0", 7);
    append(n, &(uint8_t) { 1 + (how >> 6) }, 1);
    append(n, GUEST_MAC "\x0a\0\2\x0f\0\0\0\0\0\0", 16);
    append(n, addresses[how % G_N_ELEMENTS(addresses)], 4);
    append_input(n);
    send_frame(n);
}

/* The rest of the world ------------------------------------------------------------ */

/* What a stack's answer tells of its connection. */
static void read_frames(Net *n)
{
    unsigned type, max = take(n, 1);
    const uint8_t *data;
    ssize_t len = 0;

    while (max-- && (len = frame_ring_peek(&n->to_guest, NET_FRAME_MAX, &data, &type)) > 0) {
        size_t rest = 0;
        uint8_t proto = 0;
        const uint8_t *p = ip_payload(data, len, &proto, &rest);

        g_assert_cmpuint(type, <=, USERNET_LOG);
        if (type == USERNET_FRAME && p && proto == IPPROTO_TCP && rest >= TCP_HLEN) {
            n->theirs = (uint32_t)load16(p + 4) << 16 | load16(p + 6);
            n->theirs += rest - (p[TCP_OFFSET_FLAGS] >> 4) * 4 + (p[13] & 1) + (p[13] >> 1 & 1);
        }
        frame_ring_next(&n->to_guest);
    }
    g_assert_cmpint(len, >=, 0);
    frame_ring_wants_room(&n->to_guest);
}

static void reset_card(Net *n)
{
    atomic_store(&n->shared->reset_pos, n->from_guest.pos);
    atomic_fetch_add(&n->shared->resets, 1);
    send(n->wake, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    fuzz_settle();
    g_assert_cmpuint(n->shared->resets_done, ==, n->shared->resets);
    g_assert_true(frame_ring_skip_to(&n->to_guest, n->shared->done_pos));
}

static void let_time_pass(Net *n)
{
    unsigned how = take(n, 1);

    atomic_store(&n->shared->stopped, how >> 7);
    qemu_clock_advance_virtual(qemu_clock_get_ns(QEMU_CLOCK_VIRTUAL) + (1ll << how % 38));
    fuzz_settle();
}

static void use_forward(Net *n)
{
    unsigned how = take(n, 1);
    char buf[4096] = "";

    if (how & 1) {
        send(n->forward, buf, how * 16, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (how & 2) {
        recv(n->forward, buf, sizeof(buf), MSG_DONTWAIT);
    } else if (how & 4) {
        shutdown(n->forward, how & 8 ? SHUT_RD : SHUT_WR);
    }
    fuzz_settle();
}

static void change_forwards(Net *n)
{
    static const char *const rules[] = {
        "udp:127.0.0.1:0-:7", "tcp:127.0.0.1:0-10.0.2.15:80", "tcp::1-:2", "udp:127.0.0.1:2000-:9",
        "tcp:127.0.0.1:4000", "udp:127.0.0.1:2000", "tcp:127.0.0.1:4000-:3000", "::-:",
    };
    unsigned how = take(n, 1);
    size_t len = how & 64 ? take(n, 1) : 0;
    const uint8_t *data = fuzz_take_bytes(&n->in, &len);
    g_autofree char *own = g_strndup((const char *)data, len);
    char *text;

    if (outside || how & 128) {
        slirp_change_hostfwd(n->stack, len ? own : rules[how % 8], how & 8, NULL);
    }
    text = slirp_stack_connections(n->stack);
    g_assert_nonnull(text);
    free(text);
    fuzz_settle();
}

/* The host's servers: one takes a connection, one answers, with more than a frame holds or less. */
static void host_answers(Net *n)
{
    static char data[16384];
    unsigned how = take(n, 1);
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    int fd;

    while (recvfrom(datagrams, data, sizeof(data), MSG_DONTWAIT, (struct sockaddr *)&from,
                    &from_len) >= 0) {
        sendto(datagrams, data, how * 32, MSG_DONTWAIT, (struct sockaddr *)&from, from_len);
    }
    fd = accept4(streams, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        send(fd, data, how * 32, MSG_DONTWAIT | MSG_NOSIGNAL);
        fuzz_settle();
        close(fd);
    }
    fuzz_settle();
}

static void (*const steps[])(Net *n) = {
    udp, tcp, fragment, icmp, arp, dhcp, tftp, raw, read_frames, tcp, reset_card, let_time_pass,
    use_forward, change_forwards, host_answers, tcp,
};

/* Inputs ----------------------------------------------------------------------------- */

static bool set(Net *n, const char *name, const char *value)
{
    return property_set(&n->stack->o.nc.obj, name, value, NULL);
}

static void open_network(Net *n)
{
    unsigned how = take(n, 1);
    g_autofree char *folder = g_strdup_printf("%s/tftp", fuzz_folder());
    int wake[2], forward[2], memory = memfd_create("fuzz", MFD_CLOEXEC);
    uint8_t *p;

    g_assert_cmpint(ftruncate(memory, USERNET_MEMORY), ==, 0);
    p = mmap(NULL, USERNET_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    g_assert(p != MAP_FAILED);
    n->shared = (UserNetShared *)(void *)p;
    p += USERNET_HEADER;
    frame_ring_init(&n->from_guest, &n->shared->from_guest, p, USERNET_FROM_GUEST);
    frame_ring_init(&n->to_guest, &n->shared->to_guest, p + USERNET_FROM_GUEST, USERNET_TO_GUEST);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wake), ==, 0);
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, forward), ==, 0);
    n->wake = wake[0];
    n->forward = forward[0];
    n->stack = slirp_stack_new("n");
    g_assert_true(set(n, "tftp", how & 1 ? "" : folder) &&
                  set(n, "restrict", outside && !(how & 2) ? "off" : "on") &&
                  set(n, "max-connections", how & 4 ? "2" : "16") &&
                  set(n, "bootfile", "b") && set(n, "dnssearch", "example.org") &&
                  set(n, "guestfwd", "tcp:10.0.2.100:80-x"));
    g_assert_true(slirp_stack_open(n->stack, (const int[]) { memory, wake[1], forward[1] }, NULL));
}

static void drive(void *opaque)
{
    Net *n = opaque;

    open_network(n);
    for (unsigned i = 0; i < MAX_STEPS && n->in.p < n->in.end; i++) {
        steps[take(n, 1) % G_N_ELEMENTS(steps)](n);
    }
    slirp_stack_free(n->stack);
    close(n->wake);
    close(n->forward);
    munmap(n->shared, USERNET_MEMORY);
    fuzz_settle();
}

/* A network of this process's own, where 127.0.0.1 answers. */
static bool have_loopback(void)
{
    struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct ifreq other = { .ifr_ifindex = 2 };
    bool alone = fd >= 0 && ioctl(fd, SIOCGIFNAME, &other) < 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;

    if (fd >= 0) {
        close(fd);
    }
    return alone;
}

static int serve(int type, uint16_t port)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
    return fd;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    g_autofree char *folder = NULL, *file = NULL;

    fuzz_machine_new("acpi=off");
    folder = g_strdup_printf("%s/tftp", fuzz_folder());
    file = g_strdup_printf("%s/a", folder);
    g_assert_cmpint(mkdir(folder, 0700), ==, 0);
    g_assert_true(g_file_set_contents(file, "text", 4, NULL));
    outside = have_loopback();
    if (outside) {
        streams = serve(SOCK_STREAM, 4000);
        datagrams = serve(SOCK_DGRAM, 1024);
        g_assert_cmpint(listen(streams, 64), ==, 0);
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static Net n;

    n = (Net) { .in = { data, data + size } };
    fuzz_in_loop(drive, &n);
    return 0;
}
