/*
 * virtio-net: the control queue (virtio 1.2, section 5.1.6.5) and the filter
 * of received frames that it sets.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <linux/if_ether.h>
#include <string.h>

#include "hw/core/event.h"
#include "qemu/iov.h"
#include "qemu/log.h"
#include "virtio-net.h"

/* What a command reads of its request: nothing is read twice. */
typedef struct CtrlReader {
    const VirtQueueElement *elem;
    size_t pos;
} CtrlReader;

static bool ctrl_read(CtrlReader *r, void *buf, size_t len)
{
    size_t n = iov_to_buf(r->elem->out_sg, r->elem->out_num, r->pos, buf, len);

    r->pos += n;
    return n == len;
}

static size_t ctrl_left(const CtrlReader *r)
{
    return r->elem->out_len - r->pos;
}

/* Receive modes ------------------------------------------------------------ */

static bool ctrl_rx_mode(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    bool *const modes[] = {
        [VIRTIO_NET_CTRL_RX_PROMISC] = &n->filter.promisc,
        [VIRTIO_NET_CTRL_RX_ALLMULTI] = &n->filter.allmulti,
        [VIRTIO_NET_CTRL_RX_ALLUNI] = &n->filter.alluni,
        [VIRTIO_NET_CTRL_RX_NOMULTI] = &n->filter.nomulti,
        [VIRTIO_NET_CTRL_RX_NOUNI] = &n->filter.nouni,
        [VIRTIO_NET_CTRL_RX_NOBCAST] = &n->filter.nobcast,
    };
    bool extra = cmd >= VIRTIO_NET_CTRL_RX_ALLUNI;
    uint8_t on;

    if (cmd >= G_N_ELEMENTS(modes) || !ctrl_read(r, &on, 1) ||
        !net_has(n, extra ? VIRTIO_NET_F_CTRL_RX_EXTRA : VIRTIO_NET_F_CTRL_RX)) {
        return false;
    }
    *modes[cmd] = on;
    return true;
}

/* One list of addresses; more than the table has are counted as "all". */
static bool ctrl_read_macs(CtrlReader *r, uint8_t table[][6], uint32_t *count, bool *overflow)
{
    uint32_t entries;

    *count = 0;
    *overflow = false;
    if (!ctrl_read(r, &entries, sizeof(entries)) || entries > ctrl_left(r) / 6) {
        return false;
    }
    if (entries > NET_MAC_TABLE) {
        *overflow = true;
        r->pos += (size_t)entries * 6;
        return true;
    }
    *count = entries;
    return ctrl_read(r, table, (size_t)entries * 6);
}

static bool ctrl_mac(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    NetFilter f = n->filter;

    if (cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET) {
        if (!net_has(n, VIRTIO_NET_F_CTRL_MAC_ADDR) || ctrl_left(r) != 6) {
            return false;
        }
        return ctrl_read(r, n->filter.mac, 6);
    }
    if (cmd != VIRTIO_NET_CTRL_MAC_TABLE_SET || !net_has(n, VIRTIO_NET_F_CTRL_RX) ||
        !ctrl_read_macs(r, f.uni, &f.nr_uni, &f.uni_overflow) ||
        !ctrl_read_macs(r, f.multi, &f.nr_multi, &f.multi_overflow) || ctrl_left(r)) {
        return false;
    }
    n->filter = f;
    return true;
}

static bool ctrl_vlan(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    uint16_t id;

    if (!net_has(n, VIRTIO_NET_F_CTRL_VLAN) || !ctrl_read(r, &id, sizeof(id)) || id >= 4096) {
        return false;
    }
    if (cmd == VIRTIO_NET_CTRL_VLAN_ADD) {
        n->filter.vlans[id / 32] |= 1u << id % 32;
    } else if (cmd == VIRTIO_NET_CTRL_VLAN_DEL) {
        n->filter.vlans[id / 32] &= ~(1u << id % 32);
    } else {
        return false;
    }
    return true;
}

/* Others ------------------------------------------------------------------- */

static bool ctrl_announce(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    if (cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK || !net_has(n, VIRTIO_NET_F_GUEST_ANNOUNCE) ||
        !n->announce) {
        return false;
    }
    n->announce = false;
    return true;
}

static bool ctrl_mq(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    uint16_t pairs;

    return cmd == VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET && net_has(n, VIRTIO_NET_F_MQ) &&
           ctrl_read(r, &pairs, sizeof(pairs)) && pairs >= 1 && pairs <= n->max_pairs &&
           virtio_net_set_pairs(n, pairs);
}

static bool ctrl_guest_offloads(VirtIONet *n, uint8_t cmd, CtrlReader *r)
{
    uint64_t offloads;

    if (cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET ||
        !net_has(n, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
        !ctrl_read(r, &offloads, sizeof(offloads)) ||
        (offloads & ~(n->vdev.features & NET_GUEST_OFFLOADS))) {
        return false;
    }
    n->guest_offloads = offloads;
    virtio_net_apply_offloads(n);
    return true;
}

/* Once, until somebody asks how the filter is now. */
static bool filter_changed(VirtIONet *n, bool changed)
{
    if (changed && !n->filter_told) {
        g_autofree char *path = qdev_get_path(&n->vdev.dev);

        n->filter_told = true;
        machine_event(n->vdev.dev.machine, "NIC_RX_FILTER_CHANGED", (EventField []) {
            EVENT_STR("name", n->vdev.dev.obj.id), EVENT_STR("path", path) }, 2);
    }
    return changed;
}

static bool ctrl_command(VirtIONet *n, CtrlReader *r)
{
    struct virtio_net_ctrl_hdr hdr;

    if (!ctrl_read(r, &hdr, sizeof(hdr))) {
        return false;
    }
    switch (hdr.class) {
    case VIRTIO_NET_CTRL_RX:
        return filter_changed(n, ctrl_rx_mode(n, hdr.cmd, r));
    case VIRTIO_NET_CTRL_MAC:
        return filter_changed(n, ctrl_mac(n, hdr.cmd, r));
    case VIRTIO_NET_CTRL_VLAN:
        return filter_changed(n, ctrl_vlan(n, hdr.cmd, r));
    case VIRTIO_NET_CTRL_ANNOUNCE:
        return ctrl_announce(n, hdr.cmd, r);
    case VIRTIO_NET_CTRL_MQ:
        return ctrl_mq(n, hdr.cmd, r);
    case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
        return ctrl_guest_offloads(n, hdr.cmd, r);
    default:
        return false;
    }
}

/* False when the driver broke the rules. */
static bool ctrl_serve(VirtIONet *n, VirtQueue *vq, VirtQueueElement *elem)
{
    CtrlReader r = { .elem = elem };
    uint8_t ack;

    if (elem->out_len < sizeof(struct virtio_net_ctrl_hdr) || !elem->in_len) {
        virtio_error(&n->vdev, "control request without command or room for the answer");
        virtqueue_detach(vq, elem);
        return false;
    }
    ack = ctrl_command(n, &r) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
    if (ack != VIRTIO_NET_OK) {
        qemu_log_mask(LOG_GUEST_ERROR, "%s: control command refused\n",
                      qdev_name(&n->vdev.dev));
    }
    iov_from_buf(elem->in_sg, elem->in_num, 0, &ack, 1);
    virtqueue_push(vq, elem, 1);
    virtio_notify(vq);
    return true;
}

/* At most a queue full: a driver that never stops must not keep the loop. */
void virtio_net_ctrl(VirtIONet *n, VirtQueue *vq)
{
    VirtQueueElement *elem;

    for (unsigned room = virtio_queue_size(vq); room; room--) {
        elem = virtqueue_pop(vq);
        if (!elem || !ctrl_serve(n, vq, elem)) {
            return;
        }
    }
    virtio_queue_kick(vq);
}

/* The filter --------------------------------------------------------------- */

void virtio_net_filter_reset(VirtIONet *n)
{
    /* Until a driver says otherwise, everything is passed on. */
    n->filter = (NetFilter){ .promisc = true };
    memcpy(n->filter.mac, n->mac.a, 6);
}

static NetRxState rx_state(bool none, bool all)
{
    return none ? NET_RX_NONE : all ? NET_RX_ALL : NET_RX_NORMAL;
}

void virtio_net_rx_filter(void *opaque, NetRxFilter *out)
{
    VirtIONet *n = opaque;
    const NetFilter *f = &n->filter;

    *out = (NetRxFilter) {
        .promiscuous = f->promisc, .broadcast_allowed = !f->nobcast,
        .unicast_overflow = f->uni_overflow, .multicast_overflow = f->multi_overflow,
        .unicast = rx_state(f->nouni, f->alluni),
        .multicast = rx_state(f->nomulti, f->allmulti),
        .vlan = rx_state(false, !net_has(n, VIRTIO_NET_F_CTRL_VLAN)),
        .main_mac = f->mac, .unicast_table = f->uni[0], .multicast_table = f->multi[0],
        .nr_unicast = f->nr_uni, .nr_multicast = f->nr_multi, .vlans = f->vlans,
        .told = &n->filter_told,
    };
}

static bool in_table(const uint8_t table[][6], uint32_t count, const uint8_t *mac)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!memcmp(table[i], mac, 6)) {
            return true;
        }
    }
    return false;
}

static bool vlan_accepted(const VirtIONet *n, const uint8_t *frame, size_t len)
{
    unsigned id;

    if (!net_has(n, VIRTIO_NET_F_CTRL_VLAN) || len < ETH_HLEN + 4 ||
        (frame[12] << 8 | frame[13]) != ETH_P_8021Q) {
        return true;
    }
    id = (frame[14] << 8 | frame[15]) & 0xfff;
    return n->filter.vlans[id / 32] >> id % 32 & 1;
}

bool virtio_net_filter_accepts(const VirtIONet *n, const uint8_t *frame, size_t len)
{
    static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
    const NetFilter *f = &n->filter;

    if (f->promisc) {
        return true;
    }
    if (!vlan_accepted(n, frame, len)) {
        return false;
    }
    if (!memcmp(frame, broadcast, 6)) {
        return !f->nobcast;
    }
    if (frame[0] & 1) {
        return !f->nomulti && (f->allmulti || f->multi_overflow ||
                               in_table(f->multi, f->nr_multi, frame));
    }
    return !f->nouni && (f->alluni || f->uni_overflow || !memcmp(frame, f->mac, 6) ||
                         in_table(f->uni, f->nr_uni, frame));
}
