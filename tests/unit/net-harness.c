/*
 * Driving a virtio-net device by hand.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "net-harness.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define QUEUE_SIZE 64

NT *nt_new(gconstpointer legacy, const char *netdev, const char *device)
{
    const ObjectClass *oc = object_class_by_name(device_classes, "virtio-net-device");
    g_autofree char *options = g_strconcat("netdev=n0", device ? "," : "", device, NULL);
    g_autoptr(QemuOpts) opts = qemu_opts_parse(netdev, "type", NULL);
    NT *n = g_new0(NT, 1);
    Error *err = NULL;

    n->peer = -1;
    n->t = vt_new(legacy != NULL);
    if (!net_client_new(opts, &err)) {
        g_error("%s: %s", netdev, error_get_pretty(err));
    }
    vt_plug(n->t, (const DeviceClass *)oc, options);
    return n;
}

NT *nt_new_pair(gconstpointer legacy, int type, const char *device)
{
    g_autofree char *netdev = NULL;
    int fds[2];
    NT *n;

    g_assert_cmpint(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, fds), ==, 0);
    netdev = g_strdup_printf("socket,id=n0,fd=%d", fds[0]);
    n = nt_new(legacy, netdev, device);
    n->peer = fds[1];
    return n;
}

void nt_start(NT *n, uint64_t want)
{
    bool mrg;

    vt_negotiate(n->t, want);
    mrg = want & vt_offered(n->t) & 1ull << VIRTIO_NET_F_MRG_RXBUF;
    n->hdr = n->t->legacy && !mrg ? sizeof(struct virtio_net_hdr)
                                  : sizeof(struct virtio_net_hdr_mrg_rxbuf);
    n->rx = vt_setup_queue(n->t, 0, QUEUE_SIZE);
    n->tx = vt_setup_queue(n->t, 1, QUEUE_SIZE);
    n->ctrl = vt_setup_queue(n->t, 2, QUEUE_SIZE);
    n->nr_rx = 0;
    vt_driver_ok(n->t);
}

void nt_free(NT *n)
{
    vt_free(n->t);
    net_cleanup();
    if (n->peer >= 0) {
        close(n->peer);
    }
    g_free(n);
}

void nt_give(NT *n, unsigned count, unsigned size)
{
    while (count--) {
        VTBuf buf = { NT_RX_BUF + (n->nr_rx++ % QUEUE_SIZE) * 0x11000ull, size, true };

        vt_add(n->rx, &buf, 1);
    }
    vt_kick(n->t, n->rx);
}

void nt_send(NT *n, const struct virtio_net_hdr *hdr, const void *frame, size_t len)
{
    uint8_t *ram = n->t->ram + NT_TX_BUF;
    VTBuf bufs[] = { { NT_TX_BUF, n->hdr, false }, { NT_TX_BUF + n->hdr, len, false } };

    memset(ram, 0, n->hdr);
    if (hdr) {
        memcpy(ram, hdr, sizeof(*hdr));
    }
    memcpy(ram + n->hdr, frame, len);
    vt_add(n->tx, bufs, len ? 2 : 1);
    vt_kick(n->t, n->tx);
}

size_t nt_receive(NT *n, void *frame, size_t max, struct virtio_net_hdr_mrg_rxbuf *hdr,
                  unsigned *buffers)
{
    struct virtio_net_hdr_mrg_rxbuf h = { .num_buffers = 1 };
    size_t total = 0;
    unsigned count = 1;

    for (unsigned i = 0; i < count; i++) {
        const struct vring_used_elem *used = NULL;
        const struct vring_desc *desc;
        const uint8_t *data;
        size_t skip = i ? 0 : n->hdr, len;

        /* Those behind the first are there at once. */
        g_assert(!i || n->rx->used->idx != n->rx->last_used);
        VT_WAIT(n->t, (used = vt_used(n->rx)) != NULL);
        desc = &n->rx->desc[used->id];
        data = n->t->ram + desc->addr;
        g_assert_cmpuint(used->len, <=, desc->len);
        g_assert_cmpuint(used->len, >=, skip);
        if (!i) {
            memcpy(&h, data, n->hdr);
            count = n->hdr == sizeof(h) ? h.num_buffers : 1;
            g_assert_cmpuint(count, >=, 1);
        }
        /* Section 5.1.6.4.1: all but the last are full. */
        g_assert(i + 1 == count || used->len == desc->len);
        len = used->len - skip;
        g_assert_cmpuint(total + len, <=, max);
        memcpy((uint8_t *)frame + total, data + skip, len);
        total += len;
    }
    if (hdr) {
        *hdr = h;
    }
    if (buffers) {
        *buffers = count;
    }
    return total;
}

bool nt_quiet(NT *n)
{
    vt_poll(n->t);
    return n->rx->used->idx == n->rx->last_used;
}

int nt_ctrl(NT *n, unsigned cmd_class, unsigned cmd, const void *data, size_t len)
{
    uint8_t *ram = n->t->ram + NT_CTRL_BUF;
    VTBuf bufs[] = { { NT_CTRL_BUF, 2, false }, { NT_CTRL_BUF + 2, len, false },
                     { NT_CTRL_BUF + 0x7000, 1, true } };

    ram[0] = cmd_class;
    ram[1] = cmd;
    ram[0x7000] = 0xee;
    if (len) {
        memcpy(ram + 2, data, len);
    } else {
        bufs[1] = bufs[2];
    }
    vt_add(n->ctrl, bufs, len ? 3 : 2);
    vt_kick(n->t, n->ctrl);
    return vt_used(n->ctrl) ? ram[0x7000] : -1;
}

void nt_frame(uint8_t *frame, size_t len, const uint8_t *dst, uint8_t seed)
{
    memset(frame, 0xff, 6);
    if (dst) {
        memcpy(frame, dst, 6);
    }
    memcpy(frame + 6, "\x02\x01\x02\x03\x04\x05\x88\xb5", 8);
    for (size_t i = 14; i < len; i++) {
        frame[i] = seed + i * 7 + i / 256;
    }
}

void nt_assert_works(NT *n)
{
    uint8_t frame[300], got[400];

    nt_frame(frame, sizeof(frame), NULL, 5);
    nt_send(n, NULL, frame, sizeof(frame));
    g_assert_cmpint(recv(n->peer, got, sizeof(got), 0), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
    nt_give(n, 1, NT_RX_SIZE);
    nt_frame(frame, sizeof(frame), NULL, 99);
    g_assert_cmpint(send(n->peer, frame, sizeof(frame), 0), ==, sizeof(frame));
    g_assert_cmpuint(nt_receive(n, got, sizeof(got), NULL, NULL), ==, sizeof(frame));
    g_assert(!memcmp(frame, got, sizeof(frame)));
}
