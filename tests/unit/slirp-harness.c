/*
 * Being the guest of a user network, frame by frame.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "slirp-harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/usernet.h"
#include "qemu/confine.h"

uint8_t frame[SLIRP_FRAME_MAX], reply[SLIRP_FRAME_MAX];

/* The process of user networks is the same program, which is a test here. */
__attribute__((constructor)) static void be_process(int argc, char **argv)
{
    if (usernet_wanted(argv)) {
        usernet_main(NULL);
    }
}

pid_t slirp_process(void)
{
    char path[64];
    FILE *f;
    int pid = 0;

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
    f = fopen(path, "r");
    if (!f || fscanf(f, "%d", &pid) != 1) {
        pid = 0;
    }
    if (f) {
        fclose(f);
    }
    return pid;
}

unsigned slirp_open_files(void)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/fd", slirp_process());
    GDir *dir = g_dir_open(path, 0, NULL);
    unsigned n = 0;

    g_assert_nonnull(dir);
    while (g_dir_read_name(dir)) {
        n++;
    }
    g_dir_close(dir);
    return n;
}

void slirp_confine(bool programs)
{
    static ConfineOrders orders = { .dumpable = true };
    GPtrArray *folders = g_ptr_array_new();

    g_ptr_array_add(folders, (char *)g_get_tmp_dir());
    orders.folders = folders;
    orders.programs = programs;
    g_assert_true(confine_process_orders(&orders, NULL));
}

NT *slirp_start(const char *options)
{
    g_autofree char *netdev = g_strconcat(USER, options, NULL);
    NT *n = nt_new(NULL, netdev, "mac=52:54:00:01:02:03");

    nt_start(n, 0);
    nt_give(n, 60, NT_RX_SIZE);
    return n;
}

void slirp_send(NT *n, const void *data, size_t len)
{
    nt_send(n, NULL, data, len);
    VT_WAIT(n->t, n->tx->used->idx == n->tx->avail->idx);
}

static size_t frame_within(NT *n, gint64 ms)
{
    gint64 end = g_get_monotonic_time() + ms * 1000;
    size_t len;

    while (nt_quiet(n)) {
        if (g_get_monotonic_time() > end) {
            return 0;
        }
        g_usleep(200);
    }
    len = nt_receive(n, reply, sizeof(reply), NULL, NULL);
    nt_give(n, 1, NT_RX_SIZE);
    return len;
}

size_t next_frame(NT *n)
{
    return frame_within(n, 30000);
}

size_t maybe_frame(NT *n)
{
    return frame_within(n, 200);
}

uint16_t ip_sum(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++) {
        sum += i % 2 ? p[i] : p[i] << 8;
    }
    while (sum >> 16) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return sum;
}

void put16(uint8_t *p, unsigned val)
{
    p[0] = val >> 8;
    p[1] = val;
}

/* An Ethernet and IPv4 header for len bytes of payload; the frame's length. */
size_t make_ip(uint8_t proto, const char *src, const char *dst, size_t len)
{
    memset(frame, 0, 34);
    memcpy(frame, "\x52\x55\x0a\x00\x02\x02" GUEST_MAC "\x08", 13);
    frame[14] = 0x45;
    put16(frame + 16, 20 + len);
    frame[22] = 64;
    frame[23] = proto;
    memcpy(frame + 26, src, 4);
    memcpy(frame + 30, dst, 4);
    put16(frame + 24, ~ip_sum(frame + 14, 20, 0));
    return 34 + len;
}

/* The transport checksum of the IPv4 frame: 0 when right. */
uint16_t check_transport(const uint8_t *f)
{
    unsigned len = (f[16] << 8 | f[17]) - 20;

    return ~ip_sum(f + 34, len, ip_sum(f + 26, 8, f[23] + len));
}

void send_arp(NT *n)
{
    memset(frame, 0xff, 6);
    memcpy(frame + 6, GUEST_MAC "\x08\x06" "\0\1\x08\0\6\4\0\1" GUEST_MAC GUEST_IP "\0\0\0\0\0\0"
           HOST_IP, 36);
    slirp_send(n, frame, 60);
}

/* The stack answers ARP: it lives. Other frames may come before. */
void assert_alive(NT *n)
{
    size_t len;

    send_arp(n);
    do {
        len = next_frame(n);
        g_assert_cmpuint(len, >, 0);
    } while (reply[12] != 8 || reply[13] != 6 || reply[21] != 2);
    g_assert(!memcmp(reply + 28, HOST_IP, 4));
}

uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

void put32(uint8_t *p, uint32_t val)
{
    put16(p, val >> 16);
    put16(p + 2, val);
}
