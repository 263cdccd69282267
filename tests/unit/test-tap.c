/*
 * virtio-net over a TAP interface, in a network of the test's own: headers that
 * the kernel gets, offloads, an interface that goes. Needs root, else skipped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net-harness.h"

#define TAP "taptest0"
#define ETH_P_TEST 0x88b5

static bool usable;

/* A packet socket on the interface, which is set up. */
static int open_packet(void)
{
    struct ifreq ifr = { .ifr_flags = 0 };
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_TEST));
    struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_TEST) };

    strcpy(ifr.ifr_name, TAP);
    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(ioctl(fd, SIOCGIFFLAGS, &ifr), ==, 0);
    ifr.ifr_flags |= IFF_UP;
    g_assert_cmpint(ioctl(fd, SIOCSIFFLAGS, &ifr), ==, 0);
    ll.sll_ifindex = if_nametoindex(TAP);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&ll, sizeof(ll)), ==, 0);
    return fd;
}

static NT *start(gconstpointer legacy, uint64_t want)
{
    NT *n;

    if (!usable) {
        g_test_skip("needs a network namespace and /dev/net/tun");
        return NULL;
    }
    n = nt_new(legacy, "tap,id=n0,script=no,downscript=no,ifname=" TAP,
               "mac=52:54:00:01:02:03");
    n->peer = open_packet();
    nt_start(n, want);
    return n;
}

static void test_good(gconstpointer legacy)
{
    NT *n = start(legacy, NT_ALL_FEATURES);

    if (!n) {
        return;
    }
    g_assert_cmphex(vt_offered(n->t) & 1u << VIRTIO_NET_F_HOST_TSO4, !=, 0);
    for (int i = 0; i < 50; i++) {
        nt_assert_works(n);
    }
    nt_start(n, 0);
    for (int i = 0; i < 50; i++) {
        nt_assert_works(n);
    }
    nt_free(n);
}

/* N03: no header makes the kernel or us do anything but drop the frame. */
static void test_headers(gconstpointer legacy)
{
    NT *n = start(legacy, NT_ALL_FEATURES);
    uint8_t frame[400], got[NET_FRAME_MAX];
    static const uint16_t odd[] = { 0, 1, 13, 14, 54, 399, 400, 401, 0x7fff, 0xfffe, 0xffff };

    if (!n) {
        return;
    }
    nt_frame(frame, sizeof(frame), NULL, 0);
    for (unsigned i = 0; i < 4000; i++) {
        struct virtio_net_hdr hdr = {
            .flags = i % 3 ? VIRTIO_NET_HDR_F_NEEDS_CSUM : g_test_rand_int(),
            .gso_type = i % 5 ? (uint8_t[]){ 0, 1, 3, 4, 5, 0x81, 0x84, 0xff }[i % 8]
                              : g_test_rand_int(),
            .hdr_len = odd[g_test_rand_int_range(0, 11)],
            .gso_size = odd[g_test_rand_int_range(0, 11)],
            .csum_start = odd[g_test_rand_int_range(0, 11)],
            .csum_offset = odd[g_test_rand_int_range(0, 11)],
        };

        memcpy(frame + 12, i % 2 ? "\x08\0\x45" : "\x86\xdd\x60", 3);
        nt_send(n, &hdr, frame, sizeof(frame) - i % 380);
        g_assert_nonnull(vt_used(n->tx));
    }
    while (recv(n->peer, got, sizeof(got), 0) > 0) {
        continue;
    }
    nt_assert_works(n);
    nt_free(n);
}

/*
 * A frame whose checksum is left to the host is taken, when that was agreed. (The
 * sum itself is made where the frame leaves the host: see tests/system/test_net.py.)
 */
static void test_partial_checksum(gconstpointer legacy)
{
    NT *n = start(legacy, NT_ALL_FEATURES);
    struct virtio_net_hdr hdr = {
        .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 40, .csum_offset = 6,
    };
    uint8_t frame[60], got[100];

    if (!n) {
        return;
    }
    nt_frame(frame, sizeof(frame), NULL, 0);
    nt_send(n, &hdr, frame, sizeof(frame));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
    nt_start(n, 0);
    nt_send(n, &hdr, frame, sizeof(frame));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, -1);
    nt_assert_works(n);
    nt_free(n);
}

/* F30: deleted under us: the link goes, the loop sleeps, reset and exit work. */
static void test_gone(gconstpointer legacy)
{
    NT *n = start(legacy, NT_ALL_FEATURES);
    unsigned loops = 0;

    if (!n) {
        return;
    }
    nt_give(n, 4, NT_RX_SIZE);
    g_assert_cmpint(system("ip link del " TAP), ==, 0);
    VT_WAIT(n->t, vt_rd_sized(n->t, VT_CONFIG + 6, 2) == 0);
    while (g_main_context_iteration(NULL, FALSE) && loops < 100) {
        loops++;
    }
    g_assert_cmpuint(loops, <, 100);
    nt_start(n, NT_ALL_FEATURES);
    nt_send(n, NULL, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5", 14);
    g_assert_nonnull(vt_used(n->tx));
    nt_free(n);
}

int main(int argc, char **argv)
{
    int fd;

    g_test_init(&argc, &argv, NULL);
    if (unshare(CLONE_NEWNET) == 0) {
        fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
        usable = fd >= 0;
        if (usable) {
            close(fd);
        }
        /* No neighbour discovery between our frames. */
        fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY | O_CLOEXEC);
        usable &= fd < 0 || write(fd, "1", 1) == 1;
        if (fd >= 0) {
            close(fd);
        }
    }
    vt_add_test("/tap/good", test_good);
    vt_add_test("/tap/N03-headers", test_headers);
    vt_add_test("/tap/partial-checksum", test_partial_checksum);
    vt_add_test("/tap/F30-gone", test_gone);
    return g_test_run();
}
