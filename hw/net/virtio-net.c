/*
 * virtio-net-device: an Ethernet card (virtio 1.2, section 5.1).
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <stddef.h>
#include <string.h>

#include "qemu/cutils.h"
#include "virtio-net.h"

#define CTRL_QUEUE_SIZE 64
#define QUEUE_SIZE_MIN 64
/* Section 5.1.4: what config space may say. */
#define MTU_MIN 68
#define MTU_MAX 65535
#define SPEED_UNKNOWN 0xffffffffu
#define DUPLEX_UNKNOWN 0xff
#define BIT64(n) (1ull << (n))

/* Queues ------------------------------------------------------------------- */

/* Where the control queue stands depends on what the driver knows. */
static unsigned ctrl_index(const VirtIONet *n)
{
    return net_has(n, VIRTIO_NET_F_MQ) ? 2 * n->max_pairs : 2;
}

static void virtio_net_handle(VirtIODevice *vdev, VirtQueue *vq)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);
    unsigned i = virtio_queue_index(vq);

    if (net_has(n, VIRTIO_NET_F_CTRL_VQ) && i == ctrl_index(n)) {
        virtio_net_ctrl(n, vq);
    } else if (i / 2 < n->cur_pairs) {
        if (i % 2) {
            virtio_net_tx(&n->pairs[i / 2]);
        } else {
            virtio_net_rx(&n->pairs[i / 2]);
        }
    }
}

/* Who serves the queues, the device being run or not. */
static void virtio_net_update_workers(VirtIONet *n, bool run)
{
    virtio_net_vhost_update(n, run);
    virtio_net_user_update(n, run);
}

static void net_readable(void *opaque, unsigned q)
{
    VirtIONet *n = opaque;

    if (q < n->cur_pairs && virtio_queue_live(n->pairs[q].rx)) {
        virtio_net_rx(&n->pairs[q]);
    } else {
        net_set_receive(&n->nic, q, false);
    }
}

static void net_writable(void *opaque, unsigned q)
{
    VirtIONet *n = opaque;

    if (q < n->cur_pairs && virtio_queue_live(n->pairs[q].tx)) {
        virtio_net_tx(&n->pairs[q]);
    }
}

static void net_link_changed(void *opaque)
{
    VirtIONet *n = opaque;
    bool up = net_link_up(&n->nic);

    if (up && net_has(n, VIRTIO_NET_F_GUEST_ANNOUNCE)) {
        /* Another port of another switch, maybe. */
        n->announce = true;
    }
    virtio_notify_config(&n->vdev);
    /* Receiving begins again; what waits to be sent goes, or is lost. */
    for (unsigned i = 0; i < n->cur_pairs; i++) {
        virtio_queue_kick(n->pairs[i].rx);
        virtio_queue_kick(n->pairs[i].tx);
    }
    virtio_net_update_workers(n, true);
}

static void net_announce(void *opaque)
{
    VirtIONet *n = opaque;

    if (net_link_up(&n->nic) && net_has(n, VIRTIO_NET_F_GUEST_ANNOUNCE)) {
        n->announce = true;
        virtio_notify_config(&n->vdev);
    }
}

static const NICOps nic_ops = {
    .readable = net_readable,
    .writable = net_writable,
    .link_changed = net_link_changed,
    .rx_filter = virtio_net_rx_filter,
    .announce = net_announce,
};

static void virtio_net_start(VirtIODevice *vdev)
{
    virtio_net_update_workers(downcast(vdev, VirtIONet, vdev), true);
}

static void virtio_net_stop(VirtIODevice *vdev)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    virtio_net_update_workers(n, false);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        net_set_receive(&n->nic, i, false);
        virtio_net_rx_stop(&n->pairs[i]);
        virtio_net_tx_stop(&n->pairs[i]);
    }
}

bool virtio_net_set_pairs(VirtIONet *n, unsigned pairs)
{
    if (net_set_queues(&n->nic, pairs) < 0) {
        return false;
    }
    for (unsigned i = pairs; i < n->cur_pairs; i++) {
        net_set_receive(&n->nic, i, false);
    }
    for (unsigned i = n->cur_pairs; i < pairs; i++) {
        virtio_queue_kick(n->pairs[i].rx);
        virtio_queue_kick(n->pairs[i].tx);
    }
    n->cur_pairs = pairs;
    virtio_net_update_workers(n, true);
    return true;
}

/* Features ----------------------------------------------------------------- */

void virtio_net_apply_offloads(VirtIONet *n)
{
    static const struct { unsigned feature, offload; } map[] = {
        { VIRTIO_NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM },
        { VIRTIO_NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4 },
        { VIRTIO_NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6 },
        { VIRTIO_NET_F_GUEST_ECN, NET_OFFLOAD_ECN },
    };
    unsigned offloads = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(map); i++) {
        if (n->guest_offloads >> map[i].feature & 1) {
            offloads |= map[i].offload;
        }
    }
    /* Version 1 drivers, and the control queue, can choose what makes no sense. */
    if (!(offloads & NET_OFFLOAD_CSUM)) {
        offloads = 0;
    } else if (!(offloads & (NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6))) {
        offloads &= ~NET_OFFLOAD_ECN;
    }
    net_set_offload(&n->nic, n->hdr_len, offloads);
}

/* Section 5.1.3.1: f without the bits that need another one (of those named) and have none. */
static uint64_t without_unmet(uint64_t f)
{
    static const struct { unsigned bit; uint64_t needs; } rows[] = {
        { VIRTIO_NET_F_GUEST_TSO4, BIT64(VIRTIO_NET_F_GUEST_CSUM) },
        { VIRTIO_NET_F_GUEST_TSO6, BIT64(VIRTIO_NET_F_GUEST_CSUM) },
        { VIRTIO_NET_F_GUEST_ECN,
          BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(VIRTIO_NET_F_GUEST_TSO6) },
        { VIRTIO_NET_F_HOST_TSO4, BIT64(VIRTIO_NET_F_CSUM) },
        { VIRTIO_NET_F_HOST_TSO6, BIT64(VIRTIO_NET_F_CSUM) },
        { VIRTIO_NET_F_HOST_ECN,
          BIT64(VIRTIO_NET_F_HOST_TSO4) | BIT64(VIRTIO_NET_F_HOST_TSO6) },
        { VIRTIO_NET_F_CTRL_RX, BIT64(VIRTIO_NET_F_CTRL_VQ) },
        { VIRTIO_NET_F_CTRL_VLAN, BIT64(VIRTIO_NET_F_CTRL_VQ) },
        { VIRTIO_NET_F_GUEST_ANNOUNCE, BIT64(VIRTIO_NET_F_CTRL_VQ) },
        { VIRTIO_NET_F_MQ, BIT64(VIRTIO_NET_F_CTRL_VQ) },
        { VIRTIO_NET_F_CTRL_MAC_ADDR, BIT64(VIRTIO_NET_F_CTRL_VQ) },
        { VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, BIT64(VIRTIO_NET_F_CTRL_VQ) },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!(f & rows[i].needs)) {
            f &= ~BIT64(rows[i].bit);
        }
    }
    return f;
}

static uint64_t virtio_net_get_features(VirtIODevice *vdev, bool modern)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);
    unsigned able = n->nic.nc && n->backend_hdr ? n->nic.nc->offloads : 0;
    bool csum = n->csum && (able & NET_OFFLOAD_CSUM);
    bool gcsum = n->guest_csum && (able & NET_OFFLOAD_CSUM);
    bool gso = csum && n->gso;
    bool htso4 = gso && n->host_tso4 && (able & NET_OFFLOAD_TSO4);
    bool htso6 = gso && n->host_tso6 && (able & NET_OFFLOAD_TSO6);
    bool gtso4 = gcsum && n->guest_tso4 && (able & NET_OFFLOAD_TSO4);
    bool gtso6 = gcsum && n->guest_tso6 && (able & NET_OFFLOAD_TSO6);
    bool ecn = able & NET_OFFLOAD_ECN;
    const struct { unsigned bit; bool on; } rows[] = {
        { VIRTIO_NET_F_MAC, true },
        { VIRTIO_NET_F_STATUS, n->status_prop },
        { VIRTIO_NET_F_MRG_RXBUF, n->mrg_rxbuf },
        { VIRTIO_NET_F_CSUM, csum },
        { VIRTIO_NET_F_HOST_TSO4, htso4 },
        { VIRTIO_NET_F_HOST_TSO6, htso6 },
        { VIRTIO_NET_F_HOST_ECN, (htso4 || htso6) && n->host_ecn && ecn },
        { VIRTIO_NET_F_GUEST_CSUM, gcsum },
        { VIRTIO_NET_F_GUEST_TSO4, gtso4 },
        { VIRTIO_NET_F_GUEST_TSO6, gtso6 },
        { VIRTIO_NET_F_GUEST_ECN, (gtso4 || gtso6) && n->guest_ecn && ecn },
        { VIRTIO_NET_F_CTRL_VQ, n->ctrl_vq },
        { VIRTIO_NET_F_CTRL_RX, n->ctrl_vq && n->ctrl_rx },
        { VIRTIO_NET_F_CTRL_RX_EXTRA, n->ctrl_vq && n->ctrl_rx && n->ctrl_rx_extra },
        { VIRTIO_NET_F_CTRL_VLAN, n->ctrl_vq && n->ctrl_vlan },
        { VIRTIO_NET_F_CTRL_MAC_ADDR, n->ctrl_vq && n->ctrl_mac_addr },
        { VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, n->ctrl_vq && gcsum && n->ctrl_guest_offloads },
        { VIRTIO_NET_F_GUEST_ANNOUNCE,
          n->ctrl_vq && n->status_prop && n->guest_announce },
        { VIRTIO_NET_F_MQ, n->ctrl_vq && n->max_pairs > 1 },
        { VIRTIO_NET_F_MTU, n->host_mtu != 0 },
        { VIRTIO_NET_F_SPEED_DUPLEX, modern && (n->speed >= 0 || n->duplex) },
    };
    uint64_t f = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        f |= rows[i].on ? BIT64(rows[i].bit) : 0;
    }
    /* A back end may have one of them and not what it needs: testpmd has ECN without TSO. */
    return without_unmet(virtio_net_user_features(n, f));
}

static bool virtio_net_validate_features(VirtIODevice *vdev, uint64_t f)
{
    return f == without_unmet(f);
}

static void virtio_net_set_features(VirtIODevice *vdev)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);
    bool long_hdr = !vdev->legacy || net_has(n, VIRTIO_NET_F_MRG_RXBUF);

    n->hdr_len = long_hdr ? sizeof(struct virtio_net_hdr_mrg_rxbuf)
                          : sizeof(struct virtio_net_hdr);
    n->guest_offloads = vdev->features & NET_GUEST_OFFLOADS;
    virtio_net_apply_offloads(n);
}

/* Configuration space ------------------------------------------------------ */

static void virtio_net_get_config(VirtIODevice *vdev, void *config)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);
    struct virtio_net_config cfg = { .max_virtqueue_pairs = n->max_pairs };

    memcpy(cfg.mac, n->filter.mac, 6);
    cfg.status = net_link_up(&n->nic) || !n->nic.nc ? VIRTIO_NET_S_LINK_UP : 0;
    if (n->announce) {
        cfg.status |= VIRTIO_NET_S_ANNOUNCE;
    }
    cfg.mtu = n->host_mtu;
    cfg.speed = n->speed >= 0 ? (uint32_t)n->speed : SPEED_UNKNOWN;
    cfg.duplex = !n->duplex ? DUPLEX_UNKNOWN : !strcmp(n->duplex, "full");
    memcpy(config, &cfg, vdev->config_len);
}

/* Version 1 drivers set the address here. */
static void virtio_net_set_config(VirtIODevice *vdev, unsigned offset, const void *data,
                                  unsigned len)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    if (vdev->legacy && !net_has(n, VIRTIO_NET_F_CTRL_MAC_ADDR) && offset + len <= 6) {
        memcpy(n->filter.mac + offset, data, len);
    }
}

/* Device ------------------------------------------------------------------- */

static void virtio_net_reset(VirtIODevice *vdev)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    for (unsigned i = 0; i < n->max_pairs; i++) {
        n->pairs[i].nr_stash = 0;
        n->pairs[i].stash_len = 0;
        n->pairs[i].rx_frame = 0;
        n->pairs[i].rx_want = 0;
        n->pairs[i].tx_waiting = NULL;
    }
    virtio_net_filter_reset(n);
    net_nic_reset(&n->nic);
    virtio_net_user_reset(n);
    n->announce = false;
    n->guest_offloads = 0;
    n->hdr_len = sizeof(struct virtio_net_hdr);
    virtio_net_apply_offloads(n);
    virtio_net_set_pairs(n, 1);
}

static bool check_queue_size(const char *name, unsigned size, Error **errp)
{
    if (size < QUEUE_SIZE_MIN || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1))) {
        error_setg(errp, "Invalid %s (= %u), must be a power of 2 between %d and %d.", name,
                   size, QUEUE_SIZE_MIN, VIRTQUEUE_MAX_SIZE);
        return false;
    }
    return true;
}

static bool check_props(VirtIONet *n, Error **errp)
{
    if (!check_queue_size("rx_queue_size", n->rx_queue_size, errp) ||
        !check_queue_size("tx_queue_size", n->tx_queue_size, errp)) {
        return false;
    }
    if (n->host_mtu && n->host_mtu < MTU_MIN) {
        error_setg(errp, "Invalid host_mtu (= %u), must be %d to %d", n->host_mtu, MTU_MIN,
                   MTU_MAX);
        return false;
    }
    if (n->duplex && strcmp(n->duplex, "half") && strcmp(n->duplex, "full")) {
        error_setg(errp, "'duplex' must be 'half' or 'full'");
        return false;
    }
    if (n->speed < -1) {
        error_setg(errp, "'speed' must be between 0 and INT_MAX");
        return false;
    }
    if (n->mac.a[0] & 1) {
        error_setg(errp, "the address of a network card cannot be a multicast address");
        return false;
    }
    return true;
}

static bool virtio_net_realize(VirtIODevice *vdev, Error **errp)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    if (!check_props(n, errp)) {
        return false;
    }
    net_default_mac(&n->mac);
    n->backend_hdr = n->nic.nc && n->nic.nc->vnet_hdr;
    /* A backend with several queues means it: mq=on is only said to be sure. */
    n->max_pairs = n->nic.nc ? n->nic.nc->queues : 1;
    n->cur_pairs = 1;
    if (!virtio_net_vhost_init(n, errp) || !virtio_net_user_init(n, errp)) {
        return false;
    }
    n->pairs = g_new0(NetQueuePair, n->max_pairs);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        NetQueuePair *p = &n->pairs[i];

        p->n = n;
        p->index = i;
        p->rx = virtio_add_queue(vdev, n->rx_queue_size, sizeof(VirtQueueElement),
                                 virtio_net_handle);
        p->tx = virtio_add_queue(vdev, n->tx_queue_size, sizeof(VirtQueueElement),
                                 virtio_net_handle);
        p->spill = g_malloc(NET_FRAME_MAX);
    }
    virtio_add_queue(vdev, CTRL_QUEUE_SIZE, sizeof(VirtQueueElement), virtio_net_handle);
    vdev->config_len = offsetof(struct virtio_net_config, rss_max_key_size);
    n->nic.opaque = n;
    n->nic.name = vdev->dev.obj.id;
    n->nic.ops = &nic_ops;
    virtio_net_reset(vdev);
    if (!n->nic.nc) {
        warn_report("nic %s has no peer", qdev_name(&vdev->dev));
    }
    return true;
}

static void virtio_net_unrealize(VirtIODevice *vdev)
{
    VirtIONet *n = downcast(vdev, VirtIONet, vdev);

    virtio_net_vhost_cleanup(n);
    virtio_net_user_cleanup(n);
    net_nic_detach(&n->nic);
    for (unsigned i = 0; i < n->max_pairs; i++) {
        g_free(n->pairs[i].spill);
    }
    g_clear_pointer(&n->pairs, g_free);
    g_clear_pointer(&n->bounce, g_free);
    n->max_pairs = n->cur_pairs = 0;
}

#define NET_BOOL(name, field, def, help) DEFINE_PROP_BOOL(name, VirtIONet, field, def, help)

static const Property virtio_net_props[] = {
    DEFINE_PROP_NETDEV("netdev", VirtIONet, nic),
    DEFINE_PROP_MACADDR("mac", VirtIONet, mac),
    NET_BOOL("csum", csum, "on", "transmit: offer checksum offload"),
    NET_BOOL("guest_csum", guest_csum, "on", "receive: offer checksum offload"),
    NET_BOOL("gso", gso, "on", "transmit: offer segmentation offload"),
    NET_BOOL("guest_tso4", guest_tso4, "on", "receive: large TCP segments, IPv4"),
    NET_BOOL("guest_tso6", guest_tso6, "on", "receive: large TCP segments, IPv6"),
    NET_BOOL("guest_ecn", guest_ecn, "on", "receive: large TCP segments with ECN"),
    NET_BOOL("host_tso4", host_tso4, "on", "transmit: large TCP segments, IPv4"),
    NET_BOOL("host_tso6", host_tso6, "on", "transmit: large TCP segments, IPv6"),
    NET_BOOL("host_ecn", host_ecn, "on", "transmit: large TCP segments with ECN"),
    NET_BOOL("mrg_rxbuf", mrg_rxbuf, "on", "offer mergeable receive buffers"),
    NET_BOOL("status", status_prop, "on", "offer the link status"),
    NET_BOOL("ctrl_vq", ctrl_vq, "on", "offer the control queue"),
    NET_BOOL("ctrl_rx", ctrl_rx, "on", "offer receive modes"),
    NET_BOOL("ctrl_vlan", ctrl_vlan, "on", "offer VLAN filtering"),
    NET_BOOL("ctrl_rx_extra", ctrl_rx_extra, "on", "offer more receive modes"),
    NET_BOOL("ctrl_mac_addr", ctrl_mac_addr, "on", "offer to set the address"),
    NET_BOOL("ctrl_guest_offloads", ctrl_guest_offloads, "on", "offer to switch offloads"),
    NET_BOOL("guest_announce", guest_announce, "on", "offer announcements"),
    NET_BOOL("mq", mq, "off", "several queues: as many as the netdev has"),
    DEFINE_PROP_UINT16("rx_queue_size", VirtIONet, rx_queue_size, "256",
                       "entries of receive queues"),
    DEFINE_PROP_UINT16("tx_queue_size", VirtIONet, tx_queue_size, "256",
                       "entries of transmit queues"),
    DEFINE_PROP_UINT16("host_mtu", VirtIONet, host_mtu, "0", "MTU to recommend (0: none)"),
    DEFINE_PROP_INT32("speed", VirtIONet, speed, "-1", "Mbit/s to report (-1: unknown)"),
    DEFINE_PROP_STRING("duplex", VirtIONet, duplex, NULL, "half or full"),
    DEFINE_PROP_IGNORED("guest_ufo", "accepted: there is no UFO"),
    DEFINE_PROP_IGNORED("host_ufo", "accepted: there is no UFO"),
    DEFINE_PROP_IGNORED("bootindex", "accepted, without effect"),
    DEFINE_PROP_IGNORED("tx", "accepted, without effect"),
    DEFINE_PROP_IGNORED("x-txtimer", "accepted, without effect"),
    DEFINE_PROP_IGNORED("x-txburst", "accepted, without effect"),
    DEFINE_PROP_END
};

STATE_NOT(VirtIONet, max_pairs, "the back end's: compared");
STATE_NOT(VirtIONet, pairs, "frames under way are lost; buffers go back to their queues");
STATE_NOT(VirtIONet, vhost, "workers of the host's are not saved");
STATE_NOT(VirtIONet, user, "workers of the host's are not saved");
STATE_NOT(VirtIONet, user_queues, "workers of the host's are not saved");
STATE_NOT(VirtIONet, bounce, "room for a frame");
STATE_NOT(VirtIONet, hdr_len, "of the agreed features");
STATE_NOT(VirtIONet, backend_hdr, "the back end's");
STATE_NOT(VirtIONet, filter_told, "of events for the host's clients");

static const char *virtio_net_blocker(const void *obj)
{
    const VirtIONet *n = obj;

    return n->vhost ? "with vhost=on does not support migration" :
        n->user ? "with vhost-user does not support migration" : NULL;
}

static bool virtio_net_post_load(void *obj, Error **errp)
{
    VirtIONet *n = obj;

    if (!n->saved_pairs || n->saved_pairs > n->max_pairs ||
        (n->guest_offloads & ~(n->vdev.features & NET_GUEST_OFFLOADS))) {
        error_setg(errp, "impossible filter, offloads or number of queues");
        return false;
    }
    virtio_net_apply_offloads(n);
    if (!virtio_net_set_pairs(n, n->saved_pairs)) {
        error_setg(errp, "the back end cannot have %u queue pairs", n->saved_pairs);
        return false;
    }
    return true;
}

static void virtio_net_pre_save(void *obj)
{
    VirtIONet *n = obj;

    n->saved_pairs = n->cur_pairs;
}

static const StateField filter_fields[] = {
    STATE_BOOL(NetFilter, promisc),
    STATE_BOOL(NetFilter, allmulti),
    STATE_BOOL(NetFilter, alluni),
    STATE_BOOL(NetFilter, nomulti),
    STATE_BOOL(NetFilter, nouni),
    STATE_BOOL(NetFilter, nobcast),
    STATE_BOOL(NetFilter, uni_overflow),
    STATE_BOOL(NetFilter, multi_overflow),
    STATE_MAX(NetFilter, nr_uni, NET_MAC_TABLE),
    STATE_MAX(NetFilter, nr_multi, NET_MAC_TABLE),
    STATE_BYTES(NetFilter, uni),
    STATE_BYTES(NetFilter, multi),
    STATE_ARRAY(NetFilter, mac),
    STATE_ARRAY(NetFilter, vlans),
    STATE_END
};

static const StateField virtio_net_fields[] = {
    STATE_INT(VirtIONet, saved_pairs),
    STATE_BOOL(VirtIONet, announce),
    STATE_INT(VirtIONet, guest_offloads),
    STATE_STRUCT(VirtIONet, filter, filter_fields),
    STATE_END
};

static const StateDesc virtio_net_state = {
    .version = 1,
    .fields = virtio_net_fields,
    .blocker = virtio_net_blocker,
    .pre_save = virtio_net_pre_save,
    .post_load = virtio_net_post_load,
};

static const VirtioDeviceClass virtio_net_class = {
    .dc = {
        .oc = {
            .name = "virtio-net-device",
            .alias = "virtio-net",
            .desc = "virtio network card",
            .parent = &virtio_device_base_class,
            .instance_size = sizeof(VirtIONet),
            .props = virtio_net_props,
        },
        VIRTIO_DEVICE_HOOKS,
        .state = MACHINE_STATE(&virtio_net_state),
    },
    .device_id = VIRTIO_ID_NET,
    .in_order = true,
    .realize = virtio_net_realize,
    .unrealize = virtio_net_unrealize,
    .get_features = virtio_net_get_features,
    .validate_features = virtio_net_validate_features,
    .set_features = virtio_net_set_features,
    .get_config = virtio_net_get_config,
    .set_config = virtio_net_set_config,
    .start = virtio_net_start,
    .stop = virtio_net_stop,
    .reset = virtio_net_reset,
};
DEFINE_CLASS(virtio_net, &virtio_net_class.dc.oc);
