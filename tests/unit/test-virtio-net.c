/*
 * virtio-net against drivers and peers that lie. N: the number of the case.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "net-harness.h"

#define BIT(n) (1ull << (n))

static const uint8_t MAC[6] = { 0x52, 0x54, 0, 1, 2, 3 };
#define MAC_OPTION "mac=52:54:00:01:02:03"

#define START_TYPE(type, want) \
    NT *n = nt_new_pair(legacy, type, MAC_OPTION); \
    nt_start(n, want)
#define START(want) START_TYPE(SOCK_DGRAM, want)

/* Traffic ------------------------------------------------------------------ */

static void test_good(gconstpointer legacy)
{
    START(NT_ALL_FEATURES);
    for (int i = 0; i < 200; i++) {
        nt_assert_works(n);
    }
    nt_start(n, 0);
    for (int i = 0; i < 200; i++) {
        nt_assert_works(n);
    }
    nt_free(n);
}

static void test_config(gconstpointer legacy)
{
    NT *n = nt_new_pair(legacy, SOCK_DGRAM, MAC_OPTION ",host_mtu=1400");
    uint64_t f = vt_offered(n->t);

    /* The backend carries no headers, so there is nothing to offload to. */
    g_assert_cmphex(f & (BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |
                         BIT(VIRTIO_NET_F_HOST_TSO4) | BIT(VIRTIO_NET_F_GUEST_TSO4) |
                         BIT(VIRTIO_NET_F_MQ)), ==, 0);
    g_assert_cmphex(f & BIT(VIRTIO_NET_F_MTU), !=, 0);
    for (int i = 0; i < 6; i++) {
        g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + i, 1), ==, MAC[i]);
    }
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 1);
    g_assert_cmpuint(vt_rd_sized(n->t, VT_CONFIG + 8, 2), ==, 1);
    g_assert_cmpuint(vt_rd_sized(n->t, VT_CONFIG + 10, 2), ==, 1400);
    nt_start(n, NT_ALL_FEATURES);
    nt_assert_works(n);
    nt_free(n);
}

/* 2.2.2: features whose conditions are not met. */
static void test_feature_conditions(gconstpointer legacy)
{
    START(0);
    vt_wr(n->t, VT_STATUS, 0);
    vt_wr(n->t, VT_STATUS, 3);
    vt_wr(n->t, VT_DRIVER_FEATURES_SEL, 0);
    vt_wr(n->t, VT_DRIVER_FEATURES, 1u << VIRTIO_NET_F_CTRL_RX);
    vt_wr(n->t, VT_DRIVER_FEATURES_SEL, 1);
    vt_wr(n->t, VT_DRIVER_FEATURES, 1);
    vt_wr(n->t, VT_STATUS, 11);
    g_assert_cmphex(vt_rd(n->t, VT_STATUS), ==, 3);
    nt_free(n);
}

/* 5.1.6.4.1: 5000 bytes into buffers of 1526. */
static void test_merge(gconstpointer legacy)
{
    struct virtio_net_hdr_mrg_rxbuf hdr;
    uint8_t frame[5000], got[6000];
    unsigned buffers;

    START(BIT(VIRTIO_NET_F_MRG_RXBUF));
    for (int i = 0; i < 50; i++) {
        nt_give(n, 5, NT_RX_SIZE);
        nt_frame(frame, sizeof(frame), NULL, i);
        g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), &hdr, &buffers), ==, sizeof(frame));
        g_assert(!memcmp(frame, got, sizeof(frame)));
        g_assert_cmpuint(buffers, ==, 4);
        g_assert_cmphex(hdr.hdr.flags | hdr.hdr.gso_type, ==, 0);
        /* A small one after it takes one. */
        g_assert_cmpint(send(n->peer, frame, 60, 0), ==, 60);
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, &buffers), ==, 60);
        g_assert_cmpuint(buffers, ==, 1);
    }
    nt_free(n);
}

/* The frame comes before the buffers for all of it do. */
static void test_merge_late(gconstpointer legacy)
{
    uint8_t frame[5000], got[6000];

    START(BIT(VIRTIO_NET_F_MRG_RXBUF));
    nt_give(n, 2, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 1);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert(nt_quiet(n));
    nt_give(n, 1, NT_RX_SIZE);
    g_assert(nt_quiet(n));
    nt_give(n, 1, NT_RX_SIZE);
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
    /* And once more with a reset in between: the frame is lost, nothing else. */
    nt_give(n, 2, NT_RX_SIZE);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert(nt_quiet(n));
    nt_start(n, BIT(VIRTIO_NET_F_MRG_RXBUF));
    nt_assert_works(n);
    nt_free(n);
}

/* Without merging a frame has one buffer, or none. */
static void test_no_merge(gconstpointer legacy)
{
    uint8_t frame[2000], got[2000];

    START(0);
    nt_give(n, 4, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 1);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert(nt_quiet(n));
    g_assert_cmpint(send(n->peer, frame, 1500, 0), ==, 1500);
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, 1500);
    nt_free(n);
}

/* Buffers in one-byte pieces (2.7.4.1), and a chain as long as the queue. */
static void test_split_buffers(gconstpointer legacy)
{
    uint8_t frame[54], got[100];
    VTBuf bufs[64];

    START(0);
    nt_frame(frame, sizeof(frame), NULL, 3);
    memset(n->t->ram + NT_TX_BUF, 0, n->hdr);
    memcpy(n->t->ram + NT_TX_BUF + n->hdr, frame, 64 - n->hdr);
    for (int i = 0; i < 64; i++) {
        bufs[i] = (VTBuf){ NT_TX_BUF + i, 1, false };
    }
    vt_add(n->tx, bufs, 64);
    vt_kick(n->t, n->tx);
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, 64 - n->hdr);
    g_assert(!memcmp(frame, got, 64 - n->hdr));
    for (int i = 0; i < 64; i++) {
        bufs[i] = (VTBuf){ NT_RX_BUF + i * 2, i < 63 ? 1 : 2000, true };
    }
    vt_add(n->rx, bufs, 64);
    vt_kick(n->t, n->rx);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    VT_WAIT(n->t, n->rx->used->idx == 1);
    g_assert_cmpuint(n->rx->used->ring[0].len, ==, n->hdr + sizeof(frame));
    for (unsigned i = 0; i < sizeof(frame) && n->hdr + i < 63; i++) {
        g_assert_cmphex(n->t->ram[NT_RX_BUF + (n->hdr + i) * 2], ==, frame[i]);
    }
    nt_free(n);
}

/* Transmission ------------------------------------------------------------- */

/* N01: too short for header or frame. */
static void test_tx_short(gconstpointer legacy)
{
    for (unsigned len = 1; len < 30; len++) {
        START(0);
        VTBuf buf = { NT_TX_BUF, len, false };

        vt_add(n->tx, &buf, 1);
        vt_kick(n->t, n->tx);
        if (len < n->hdr) {
            vt_assert_needs_reset(n->t);
            nt_start(n, 0);
        } else {
            uint8_t got[64];

            g_assert_nonnull(vt_used(n->tx));
            g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==,
                            len >= n->hdr + 14 ? (int)(len - n->hdr) : -1);
        }
        nt_assert_works(n);
        nt_free(n);
    }
}

static void test_tx_writable(gconstpointer legacy)
{
    START(0);
    VTBuf buf = { NT_TX_BUF, 100, true };

    vt_add(n->tx, &buf, 1);
    vt_kick(n->t, n->tx);
    vt_assert_needs_reset(n->t);
    nt_start(n, 0);
    nt_assert_works(n);
    nt_free(n);
}

/* N02: far too long. */
static void test_tx_huge(gconstpointer legacy)
{
    VTBuf bufs[60];
    uint8_t got[16];

    START(0);
    for (int i = 0; i < 60; i++) {
        bufs[i] = (VTBuf){ 0x1000, 15 << 20, false };
    }
    vt_add(n->tx, bufs, 60);
    vt_kick(n->t, n->tx);
    g_assert_nonnull(vt_used(n->tx));
    bufs[0].len = NET_FRAME_MAX + 1;
    vt_add(n->tx, bufs, 1);
    vt_kick(n->t, n->tx);
    g_assert_nonnull(vt_used(n->tx));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, -1);
    nt_assert_works(n);
    nt_free(n);
}

/* N03, where the backend takes no headers: they are ignored or the frame goes. */
static void test_tx_header(gconstpointer legacy)
{
    uint8_t frame[100], got[200];

    START(0);
    nt_frame(frame, sizeof(frame), NULL, 0);
    for (unsigned i = 0; i < 256; i++) {
        struct virtio_net_hdr hdr = { i, 255 - i, 0xffff, i * 257, 0xffff, i * 255 };

        nt_send(n, &hdr, frame, sizeof(frame));
        g_assert_nonnull(vt_used(n->tx));
        recv(n->peer, got, sizeof(got), 0);
    }
    nt_assert_works(n);
    nt_free(n);
}

/* F31: the peer does not read; nothing is lost and nothing spins. */
static void test_tx_full(gconstpointer legacy)
{
    uint8_t frame[1000], got[1000];
    unsigned sent = 0, arrived = 0;

    START(0);
    while (n->tx->used->idx == (uint16_t)sent && sent < 5000) {
        nt_frame(frame, sizeof(frame), NULL, sent++);
        nt_send(n, NULL, frame, sizeof(frame));
    }
    g_assert_cmpuint(sent, <, 5000);
    while (recv(n->peer, got, sizeof(got), 0) == sizeof(got)) {
        nt_frame(frame, sizeof(frame), NULL, arrived++);
        g_assert(!memcmp(got, frame, sizeof(got)));
        vt_poll(n->t);
    }
    g_assert_cmpuint(arrived, ==, sent);
    /* A reset while a frame waits. */
    do {
        sent = n->tx->used->idx;
        nt_send(n, NULL, frame, sizeof(frame));
    } while (n->tx->used->idx != sent);
    vt_wr(n->t, VT_STATUS, 0);
    while (recv(n->peer, got, sizeof(got), 0) > 0) {
        continue;
    }
    nt_start(n, 0);
    nt_assert_works(n);
    nt_free(n);
}

/* Reception ---------------------------------------------------------------- */

static void test_rx_bad_buffers(gconstpointer legacy)
{
    const VTBuf bad[] = { { NT_RX_BUF, 9, true }, { NT_RX_BUF, 2000, false },
                          { NT_RX_BUF, 1, true } };
    uint8_t frame[60];

    nt_frame(frame, sizeof(frame), NULL, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        START(i & 1 ? BIT(VIRTIO_NET_F_MRG_RXBUF) : 0);
        vt_add(n->rx, &bad[i], 1);
        vt_kick(n->t, n->rx);
        g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
        vt_assert_needs_reset(n->t);
        g_assert_cmpint(recv(n->peer, frame, sizeof(frame), 0), ==, -1);
        nt_start(n, 0);
        nt_give(n, 1, NT_RX_SIZE);
        vt_poll(n->t);
        nt_receive(n, frame, sizeof(frame), NULL, NULL);
        nt_assert_works(n);
        nt_free(n);
    }
}

/* N06: more frames than buffers. */
static void test_rx_flood(gconstpointer legacy)
{
    uint8_t frame[64], got[100];
    unsigned sent = 0;

    START(BIT(VIRTIO_NET_F_MRG_RXBUF));
    nt_give(n, 3, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 0);
    for (int i = 0; i < 20000; i++) {
        sent += send(n->peer, frame, sizeof(frame), 0) > 0;
        vt_poll(n->t);
    }
    for (int i = 0; i < 3; i++) {
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    }
    g_assert(nt_quiet(n));
    for (unsigned i = 3; i < sent; i++) {
        nt_give(n, 1, NT_RX_SIZE);
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    }
    nt_assert_works(n);
    nt_free(n);
}

/* 5.1.4.1: what is longer than the MTU that was agreed does not come. */
static void test_rx_mtu(gconstpointer legacy)
{
    static const struct { unsigned len; bool tagged, comes; } rows[] = {
        { 1414, false, true }, { 1415, false, false }, { 1418, true, true },
        { 1419, true, false }, { 1500, false, false },
    };
    NT *n = nt_new_pair(legacy, SOCK_DGRAM, MAC_OPTION ",host_mtu=1400");
    uint8_t frame[1500], got[1500];

    for (unsigned i = 0; i < 2 * G_N_ELEMENTS(rows); i++) {
        unsigned row = i % G_N_ELEMENTS(rows);
        bool agreed = i == row;

        nt_start(n, NT_ALL_FEATURES & ~(agreed ? 0 : BIT(VIRTIO_NET_F_MTU)));
        nt_give(n, 4, NT_RX_SIZE);
        nt_frame(frame, rows[row].len, NULL, 0);
        if (rows[row].tagged) {
            memcpy(frame + 12, "\x81\0\0\1", 4);
        }
        g_assert_cmpint(send(n->peer, frame, rows[row].len, 0), ==, rows[row].len);
        g_assert(nt_quiet(n) == (agreed && !rows[row].comes));
        if (!nt_quiet(n)) {
            g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, rows[row].len);
        }
    }
    nt_free(n);
}

/* N07: shorter than a header. */
static void test_rx_short(gconstpointer legacy)
{
    uint8_t frame[20] = { 0xff }, got[100];

    START(NT_ALL_FEATURES);
    nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1);
    nt_give(n, 8, NT_RX_SIZE);
    for (int len = 0; len < 14; len++) {
        g_assert_cmpint(send(n->peer, frame, len, 0), ==, len);
    }
    g_assert(nt_quiet(n));
    nt_frame(frame, 14, NULL, 0);
    g_assert_cmpint(send(n->peer, frame, 14, 0), ==, 14);
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, 14);
    nt_free(n);
}

/* F33 */
static void test_link(gconstpointer legacy)
{
    uint8_t frame[60], got[100];
    uint32_t irqs;

    START(NT_ALL_FEATURES);
    nt_give(n, 4, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 0);
    g_assert(net_set_link("n0", false, NULL));
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 0);
    irqs = vt_rd(n->t, VT_ISR);
    g_assert_cmphex(irqs & 2, ==, 2);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    nt_send(n, NULL, frame, sizeof(frame));
    g_assert_nonnull(vt_used(n->tx));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, -1);
    g_assert(net_set_link("n0", true, NULL));
    /* The frame sent meanwhile may come or not; later ones must. */
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 3);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0), ==, 0);
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_ANNOUNCE, 0, NULL, 0), ==, 1);
    vt_poll(n->t);
    while (vt_used(n->rx)) {
        continue;
    }
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    nt_free(n);
}

/* With the link down what comes from the host must not keep the loop awake. */
static void test_link_down_input(gconstpointer legacy)
{
    uint8_t frame[60];
    unsigned loops = 0;

    START(NT_ALL_FEATURES);
    nt_give(n, 4, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 0);
    g_assert(net_set_link("n0", false, NULL));
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    while (g_main_context_iteration(NULL, FALSE) && loops < 100) {
        loops++;
    }
    g_assert_cmpuint(loops, <, 100);
    g_assert(nt_quiet(n));
    g_assert(net_set_link("n0", true, NULL));
    vt_poll(n->t);
    while (vt_used(n->rx)) {
        continue;
    }
    nt_assert_works(n);
    nt_free(n);
}

/* Frames that wait for the peer are lost with the link: the driver has its buffers back. */
static void test_link_down_output(gconstpointer legacy)
{
    uint8_t frame[1000], got[1000];
    unsigned sent = 0;

    START(0);
    nt_frame(frame, sizeof(frame), NULL, 0);
    while (n->tx->used->idx == (uint16_t)sent && sent < 5000) {
        sent++;
        nt_send(n, NULL, frame, sizeof(frame));
    }
    g_assert_cmpuint(sent, <, 5000);
    g_assert(net_set_link("n0", false, NULL));
    VT_WAIT(n->t, n->tx->used->idx == (uint16_t)sent);
    g_assert(net_set_link("n0", true, NULL));
    while (recv(n->peer, got, sizeof(got), 0) > 0) {
        continue;
    }
    nt_assert_works(n);
    nt_free(n);
}

/* Control queue ------------------------------------------------------------ */

static bool arrives(NT *n, const uint8_t *dst, int vlan)
{
    uint8_t frame[60], got[100];

    nt_frame(frame, sizeof(frame), dst, 0);
    if (vlan >= 0) {
        memcpy(frame + 12, (uint8_t[]){ 0x81, 0, 0xe0 | vlan >> 8, vlan }, 4);
    }
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    vt_poll(n->t);
    if (nt_quiet(n)) {
        return false;
    }
    nt_receive(n, got, sizeof(got), NULL, NULL);
    nt_give(n, 1, NT_RX_SIZE);
    return true;
}

static void test_filter(gconstpointer legacy)
{
    static const uint8_t other[6] = { 2, 9, 9, 9, 9, 9 }, group[6] = { 1, 0, 0x5e, 0, 0, 1 };
    uint8_t table[20] = { 1, 0, 0, 0, 2, 9, 9, 9, 9, 9, 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1 };
    uint16_t vlan = 7;

    START(NT_ALL_FEATURES);
    nt_give(n, 8, NT_RX_SIZE);
    g_assert(arrives(n, other, -1) && arrives(n, group, -1));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1), ==, 0);
    g_assert(arrives(n, MAC, -1) && arrives(n, NULL, -1));
    g_assert(!arrives(n, other, -1) && !arrives(n, group, -1));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "\1", 1), ==, 0);
    g_assert(arrives(n, group, -1));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "", 1), ==, 0);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
                            sizeof(table)), ==, 0);
    g_assert(arrives(n, other, -1) && arrives(n, group, -1));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_NOBCAST, "\1", 1), ==, 0);
    g_assert(!arrives(n, NULL, -1));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
                            "\2\0\0\0\0\7", 6), ==, 0);
    g_assert(!arrives(n, MAC, -1) && arrives(n, (const uint8_t *)"\2\0\0\0\0\7", -1));
    g_assert(!arrives(n, other, 7));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), ==, 0);
    g_assert(arrives(n, other, 7) && !arrives(n, other, 8));
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_DEL, &vlan, 2), ==, 0);
    g_assert(!arrives(n, other, 7));
    /* A reset lets all pass again, and brings the address back. */
    nt_start(n, NT_ALL_FEATURES);
    nt_give(n, 8, NT_RX_SIZE);
    g_assert(arrives(n, other, -1) && arrives(n, NULL, -1));
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 5, 1), ==, MAC[5]);
    nt_free(n);
}

static unsigned filter_events;

static void count_events(MachineState *ms, const char *event, const struct EventField *fields,
                         unsigned n)
{
    filter_events += !strcmp(event, "NIC_RX_FILTER_CHANGED");
}

static void get_filter(NetClientState *nc, void *opaque)
{
    NetRxFilter *f = opaque;

    nc->nic->ops->rx_filter(nc->nic->opaque, f);
    *f->told = false;
}

/* What query-rx-filter tells, and its event: once for each time that somebody looked. */
static void test_filter_told(gconstpointer legacy)
{
    uint8_t table[14] = { 1, 0, 0, 0, 2, 9, 9, 9, 9, 9, 0, 0, 0, 0 };
    uint16_t vlan = 77;
    NetRxFilter f;

    START(NT_ALL_FEATURES);
    n->t->ms->event_fn = count_events;
    filter_events = 0;
    net_foreach(get_filter, &f);
    g_assert(f.promiscuous && f.broadcast_allowed && f.vlan == NET_RX_NORMAL);
    g_assert_cmpmem(f.main_mac, 6, MAC, 6);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "", 1), ==, 0);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, "\1", 1), ==, 0);
    g_assert_cmpuint(filter_events, ==, 1);
    net_foreach(get_filter, &f);
    g_assert(!f.promiscuous && f.multicast == NET_RX_ALL && f.unicast == NET_RX_NORMAL);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table,
                            sizeof(table)), ==, 0);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_VLAN, VIRTIO_NET_CTRL_VLAN_ADD, &vlan, 2), ==, 0);
    g_assert_cmpuint(filter_events, ==, 2);
    net_foreach(get_filter, &f);
    g_assert(f.nr_unicast == 1 && f.nr_multicast == 0 && !f.unicast_overflow);
    g_assert_cmpmem(f.unicast_table, 6, table + 4, 6);
    g_assert_cmphex(f.vlans[77 / 32], ==, 1u << 77 % 32);
    /* What is refused changes nothing. */
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, 1, table, 7), ==, 1);
    g_assert_cmpuint(filter_events, ==, 2);
    n->t->ms->event_fn = NULL;
    nt_free(n);
}

/* N08 */
static void test_ctrl_hostile(gconstpointer legacy)
{
    uint8_t table[4 + 6 * 200 + 4] = { 200 };
    uint32_t many[] = { 0xffffffff, 0x2aaaaaab, 0x55555556, 1 };
    uint64_t offloads = ~0ull;
    uint16_t vlan = 4096, pairs = 2;

    START(NT_ALL_FEATURES);
    for (unsigned c = 0; c < 256; c += 5) {
        g_assert_cmpint(nt_ctrl(n, c, 0xff, "\1\2\3", 3), ==, 1);
        g_assert_cmpint(nt_ctrl(n, c, 0, NULL, 0), ==, 1);
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(many); i++) {
        g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, 0, &many[i], 4), ==, 1);
    }
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, 0, table, sizeof(table)), ==, 0);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, 0, table, sizeof(table) - 1), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MAC, 1, table, 7), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_VLAN, 0, &vlan, 2), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_VLAN, 0, &vlan, 1), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_MQ, 0, &pairs, 2), ==, 1);
    g_assert_cmpint(nt_ctrl(n, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &offloads, 8), ==, 1);
    nt_assert_works(n);
    nt_free(n);
}

static void test_ctrl_broken(gconstpointer legacy)
{
    const VTBuf bad[][2] = {
        { { NT_CTRL_BUF, 1, false }, { NT_CTRL_BUF + 64, 1, true } },
        { { NT_CTRL_BUF, 8, false }, { NT_CTRL_BUF + 64, 8, false } },
        { { NT_CTRL_BUF, 8, true }, { NT_CTRL_BUF + 64, 8, true } },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
        START(NT_ALL_FEATURES);
        vt_add(n->ctrl, bad[i], 2);
        vt_kick(n->t, n->ctrl);
        vt_assert_needs_reset(n->t);
        nt_start(n, NT_ALL_FEATURES);
        nt_assert_works(n);
        nt_free(n);
    }
}

/*
 * A driver that has another command whenever one is done must not keep the loop: here
 * the event of each command makes the next one available.
 */
static NT *endless;
static unsigned endless_commands;

static void command_again(MachineState *ms, const char *event, const struct EventField *fields,
                          unsigned nr)
{
    NetRxFilter f;

    if (++endless_commands < 5000) {
        vt_avail(endless->ctrl, endless_commands % 8 * 2);
    }
    net_foreach(get_filter, &f);
}

static void test_ctrl_endless(gconstpointer legacy)
{
    VTBuf bufs[] = { { NT_CTRL_BUF, 3, false }, { NT_CTRL_BUF + 64, 1, true } };
    NetRxFilter f;

    START(NT_ALL_FEATURES);
    endless = n;
    endless_commands = 0;
    net_foreach(get_filter, &f);
    memcpy(n->t->ram + NT_CTRL_BUF, "\0\0\1", 3);
    n->t->ms->event_fn = command_again;
    /* Eight pairs of descriptors, of which one begins. */
    for (unsigned i = 0; i < 8; i++) {
        vt_desc(n->ctrl, 2 * i, bufs[0].addr, bufs[0].len, VRING_DESC_F_NEXT, 2 * i + 1);
        vt_desc(n->ctrl, 2 * i + 1, bufs[1].addr, bufs[1].len, VRING_DESC_F_WRITE, 0);
    }
    vt_avail(n->ctrl, 0);
    vt_wr(n->t, VT_QUEUE_NOTIFY, n->ctrl->index);
    g_main_context_iteration(NULL, FALSE);
    g_assert_cmpuint(endless_commands, >, 0);
    g_assert_cmpuint(endless_commands, <=, 64);
    VT_WAIT(n->t, endless_commands == 5000);
    n->t->ms->event_fn = NULL;
    g_assert_cmpuint(n->ctrl->used->idx, ==, 5000);
    nt_free(n);
}

/*
 * The same for frames and buffers: another processor of the guest adds one just before the
 * device, that has found the queue empty, looks a last time. (--wrap, see meson.build.)
 */
bool __real_virtio_queue_empty(VirtQueue *vq);
bool __wrap_virtio_queue_empty(VirtQueue *vq);

static VTRing *endless_ring;
static unsigned endless_left;

bool __wrap_virtio_queue_empty(VirtQueue *vq)
{
    if (endless_left && virtio_queue_index(vq) == endless_ring->index) {
        endless_left--;
        vt_avail(endless_ring, 0);
    }
    return __real_virtio_queue_empty(vq);
}

static void run_endless(NT *n, VTRing *ring, unsigned limit)
{
    unsigned total = 0;

    endless_ring = ring;
    endless_left = 1500;
    vt_wr(n->t, VT_QUEUE_NOTIFY, ring->index);
    while (endless_left) {
        uint16_t before = ring->used->idx, done;

        g_main_context_iteration(NULL, FALSE);
        done = ring->used->idx - before;
        g_assert_cmpuint(done, <=, limit);
        total += done;
    }
    vt_poll(n->t);
    g_assert_cmpuint(total, >, 1000);
}

static void test_tx_endless(gconstpointer legacy)
{
    START(0);
    vt_desc(n->tx, 0, NT_TX_BUF, n->hdr + 5, 0, 0);     /* too short for a frame: dropped */
    run_endless(n, n->tx, 256);
    nt_free(n);
}

static void test_rx_endless(gconstpointer legacy)
{
    static uint8_t stream[2000][4 + 60];

    START_TYPE(SOCK_STREAM, 0);
    vt_desc(n->rx, 0, NT_RX_BUF, NT_RX_SIZE, VRING_DESC_F_WRITE, 0);
    for (unsigned i = 0; i < G_N_ELEMENTS(stream); i++) {
        stream[i][3] = 60;
        nt_frame(stream[i] + 4, 60, NULL, i);
    }
    g_assert_cmpint(send(n->peer, stream, sizeof(stream), 0), ==, sizeof(stream));
    run_endless(n, n->rx, 64);
    nt_free(n);
}

/* Datagrams ---------------------------------------------------------------- */

static int bind_udp(struct sockaddr_in *sin)
{
    socklen_t len = sizeof(*sin);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    g_assert_cmpint(bind(fd, (struct sockaddr *)sin, sizeof(*sin)), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)sin, &len), ==, 0);
    return fd;
}

/* The host says that nobody listens: somebody may do so later. */
static void test_udp_refused(gconstpointer legacy)
{
    struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    }, peer = own;
    g_autofree char *netdev = NULL;
    uint8_t frame[100], got[200];
    NT *n;

    close(bind_udp(&own));
    close(bind_udp(&peer));
    netdev = g_strdup_printf("socket,id=n0,udp=127.0.0.1:%u,localaddr=127.0.0.1:%u",
                             ntohs(peer.sin_port), ntohs(own.sin_port));
    n = nt_new(legacy, netdev, MAC_OPTION);
    nt_start(n, NT_ALL_FEATURES);
    nt_give(n, 4, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 1);
    for (unsigned i = 0; i < 3; i++) {
        nt_send(n, NULL, frame, sizeof(frame));
        vt_poll(n->t);
    }
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 1);
    n->peer = bind_udp(&peer);
    g_assert_cmpint(connect(n->peer, (struct sockaddr *)&own, sizeof(own)), ==, 0);
    /* An error that is still to be told may cost this one. */
    nt_send(n, NULL, frame, sizeof(frame));
    vt_poll(n->t);
    while (recv(n->peer, got, sizeof(got), 0) > 0) {
        continue;
    }
    nt_assert_works(n);
    nt_free(n);
}

/* Streams ------------------------------------------------------------------ */

static void send_all(int fd, const void *data, size_t len)
{
    g_assert_cmpint(send(fd, data, len, 0), ==, len);
}

/* Of a pair of UNIX sockets one is there first; the other may go and come again. */
static void test_dgram_unix(gconstpointer legacy)
{
    g_autofree char *dir = g_dir_make_tmp("dgram-XXXXXX", NULL);
    g_autofree char *ours = g_build_filename(dir, "a", NULL);
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    g_autofree char *netdev = NULL;
    uint8_t frame[100];
    NT *n;

    g_snprintf(un.sun_path, sizeof(un.sun_path), "%s/b", dir);
    netdev = g_strdup_printf("dgram,id=n0,local.type=unix,local.path=%s,remote.type=unix,"
                             "remote.path=%s", ours, un.sun_path);
    n = nt_new(legacy, netdev, MAC_OPTION);
    nt_start(n, 0);
    nt_frame(frame, sizeof(frame), NULL, 5);
    for (unsigned i = 0; i < 3; i++) {
        if (i != 1) {   /* the second takes the first one's place unnoticed */
            nt_send(n, NULL, frame, sizeof(frame));     /* to nobody */
            g_assert_nonnull(vt_used(n->tx));
        }
        n->peer = socket(AF_UNIX, SOCK_DGRAM, 0);
        g_assert_cmpint(bind(n->peer, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        nt_send(n, NULL, frame, sizeof(frame));
        g_assert_cmpint(recv(n->peer, frame, sizeof(frame), MSG_DONTWAIT), ==, sizeof(frame));
        g_strlcpy(un.sun_path, ours, sizeof(un.sun_path));
        g_assert_cmpint(connect(n->peer, (struct sockaddr *)&un, sizeof(un)), ==, 0);
        nt_assert_works(n);
        close(n->peer);
        g_snprintf(un.sun_path, sizeof(un.sun_path), "%s/b", dir);
        unlink(un.sun_path);
    }
    n->peer = -1;
    nt_free(n);
    g_assert_cmpint(rmdir(dir), ==, 0);
}

static void test_stream(gconstpointer legacy)
{
    uint8_t frame[1000], got[2000];
    uint32_t prefix = htonl(sizeof(frame));

    START_TYPE(SOCK_STREAM, 0);
    nt_give(n, 40, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 9);
    /* In pieces: half a length, the rest, half a frame, the rest and ten more. */
    send_all(n->peer, &prefix, 2);
    g_assert(nt_quiet(n));
    send_all(n->peer, (char *)&prefix + 2, 2);
    send_all(n->peer, frame, 500);
    g_assert(nt_quiet(n));
    send_all(n->peer, frame + 500, 500);
    for (int i = 0; i < 10; i++) {
        send_all(n->peer, &prefix, 4);
        send_all(n->peer, frame, sizeof(frame));
    }
    for (int i = 0; i < 11; i++) {
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
        g_assert(!memcmp(got, frame, sizeof(frame)));
    }
    nt_send(n, NULL, frame, sizeof(frame));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, 4 + sizeof(frame));
    g_assert(!memcmp(got, &prefix, 4) && !memcmp(got + 4, frame, sizeof(frame)));
    /* A length from hell closes the connection; the guest loses its link. */
    send_all(n->peer, "\xff\xff\xff\xff", 4);
    vt_poll(n->t);
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, 0);
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2), ==, 0);
    nt_free(n);
}

/* Frames that arrived together, buffers that come one by one. */
static void test_stream_buffered(gconstpointer legacy)
{
    uint8_t frame[100], got[200], all[300][4 + sizeof(frame)];
    uint32_t prefix = htonl(sizeof(frame));

    START_TYPE(SOCK_STREAM, 0);
    nt_frame(frame, sizeof(frame), NULL, 9);
    for (int i = 0; i < 300; i++) {
        memcpy(all[i], &prefix, 4);
        memcpy(all[i] + 4, frame, sizeof(frame));
    }
    send_all(n->peer, all, sizeof(all));
    for (int i = 0; i < 300; i++) {
        nt_give(n, 1, NT_RX_SIZE);
        g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    }
    nt_free(n);
}

/* A peer that reads slowly gets every byte once. */
static void test_stream_slow(gconstpointer legacy)
{
    g_autofree uint8_t *frame = g_malloc(60000), *got = g_malloc(200000);
    size_t want = 0, have = 0;
    unsigned sent = 0;
    ssize_t len;

    START_TYPE(SOCK_STREAM, 0);
    nt_frame(frame, 60000, NULL, 9);
    while (n->tx->used->idx == (uint16_t)sent && sent < 1000) {
        nt_send(n, NULL, frame, 60000);
        want += 60004;
        sent++;
    }
    g_assert_cmpuint(sent, <, 1000);
    while (have < want && (len = recv(n->peer, got, 5000, 0)) > 0) {
        for (ssize_t i = 0; i < len; i++) {
            size_t pos = (have + i) % 60004;

            g_assert(pos < 4 || got[i] == frame[pos - 4]);
        }
        have += len;
        vt_poll(n->t);
    }
    g_assert_cmpuint(have, ==, want);
    nt_free(n);
}

/* F36: a peer comes while there is no descriptor for it. */
static void test_stream_no_descriptor(gconstpointer legacy)
{
    struct sockaddr_in sin = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    g_autofree char *netdev = NULL;
    struct rlimit old, low;
    unsigned loops = 0;
    NT *n;
    int fd;

    close(bind_udp(&sin));
    netdev = g_strdup_printf("socket,id=n0,listen=127.0.0.1:%u", ntohs(sin.sin_port));
    n = nt_new(legacy, netdev, MAC_OPTION);
    n->peer = socket(AF_INET, SOCK_STREAM, 0);
    nt_start(n, NT_ALL_FEATURES);
    g_assert_cmpint(connect(n->peer, (struct sockaddr *)&sin, sizeof(sin)), ==, 0);
    fd = dup(0);
    close(fd);
    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &old), ==, 0);
    low = (struct rlimit){ fd, old.rlim_max };
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &low), ==, 0);
    while (g_main_context_iteration(NULL, FALSE) && loops < 100) {
        loops++;
    }
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &old), ==, 0);
    g_assert_cmpuint(loops, <, 100);
    g_assert_cmphex(vt_rd_sized(n->t, VT_CONFIG + 6, 2) & 1, ==, 0);
    VT_WAIT(n->t, vt_rd_sized(n->t, VT_CONFIG + 6, 2) & 1);
    nt_free(n);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vt_add_test("/virtio-net/good", test_good);
    vt_add_test("/virtio-net/config", test_config);
    vt_add_modern_test("/virtio-net/feature-conditions", test_feature_conditions);
    vt_add_test("/virtio-net/merge", test_merge);
    vt_add_test("/virtio-net/merge-late", test_merge_late);
    vt_add_test("/virtio-net/no-merge", test_no_merge);
    vt_add_test("/virtio-net/split-buffers", test_split_buffers);
    vt_add_test("/virtio-net/N01-short", test_tx_short);
    vt_add_test("/virtio-net/N01-writable", test_tx_writable);
    vt_add_test("/virtio-net/N02-huge", test_tx_huge);
    vt_add_test("/virtio-net/N03-header", test_tx_header);
    vt_add_test("/virtio-net/F31-full", test_tx_full);
    vt_add_test("/virtio-net/rx-bad-buffers", test_rx_bad_buffers);
    vt_add_test("/virtio-net/N06-flood", test_rx_flood);
    vt_add_test("/virtio-net/N07-short", test_rx_short);
    vt_add_test("/virtio-net/rx-mtu", test_rx_mtu);
    vt_add_test("/virtio-net/F33-link", test_link);
    vt_add_test("/virtio-net/link-down-input", test_link_down_input);
    vt_add_test("/virtio-net/link-down-output", test_link_down_output);
    vt_add_test("/virtio-net/filter", test_filter);
    vt_add_test("/virtio-net/filter-told", test_filter_told);
    vt_add_test("/virtio-net/N08-ctrl", test_ctrl_hostile);
    vt_add_test("/virtio-net/N08-ctrl-broken", test_ctrl_broken);
    vt_add_test("/virtio-net/ctrl-endless", test_ctrl_endless);
    vt_add_test("/virtio-net/tx-endless", test_tx_endless);
    vt_add_test("/virtio-net/rx-endless", test_rx_endless);
    vt_add_test("/virtio-net/udp-refused", test_udp_refused);
    vt_add_test("/virtio-net/dgram-unix", test_dgram_unix);
    vt_add_test("/virtio-net/stream", test_stream);
    vt_add_test("/virtio-net/stream-buffered", test_stream_buffered);
    vt_add_test("/virtio-net/stream-slow", test_stream_slow);
    vt_add_modern_test("/virtio-net/F36-stream-no-descriptor", test_stream_no_descriptor);
    return g_test_run();
}
