/*
 * -netdev hubport: cards and back ends that see each other's frames, as at a hub of the old days.
 *
 * A port has a card as any back end has, or another back end (netdev=). What comes in at one port
 * goes out at all others with the same number; who cannot take it now loses it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <string.h>

#include "frame-queue.h"
#include "net/net.h"
#include "qemu/iov.h"

/* Frames of one back end between two looks at the rest of the world. */
#define BATCH 256
/* The header that back ends with offloads have, all zero: nothing is left to be done. */
#define HDR_LEN 10

typedef struct HubPort {
    NetClientState nc;          /* the back end of a card */
    uint32_t hubid;
    NICState nic;               /* the card of another back end */
    FrameQueue queue;           /* to the card */
    bool receive;               /* it waits for frames */
    guint idle;                 /* source that tells it, or 0 */
    guint more;                 /* source that goes on with the other back end, or 0 */
    uint8_t *buf;               /* HDR_LEN and a frame */
} HubPort;

/* Out of a port ----------------------------------------------------------------------------- */

static gboolean tell_card(gpointer opaque)
{
    HubPort *s = opaque;

    s->idle = 0;
    if (s->receive && !frame_queue_empty(&s->queue)) {
        net_notify_readable(&s->nc, 0);
    }
    return G_SOURCE_REMOVE;
}

/* Later: this may be inside of another card's request. */
static void tell_card_soon(HubPort *s)
{
    if (s->receive && !s->idle && !frame_queue_empty(&s->queue)) {
        s->idle = g_idle_add_full(G_PRIORITY_DEFAULT, tell_card, s, NULL);
    }
}

static ssize_t hub_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    return frame_queue_get(&downcast(nc, HubPort, nc)->queue, iov, cnt);
}

static bool is_hubport(const NetClientState *nc)
{
    return net_client_class(nc)->recv == hub_recv;
}

typedef struct Frame {
    const HubPort *from;
    uint8_t *buf;               /* behind HDR_LEN zeroes */
    size_t len;
} Frame;

static void put_out(NetClientState *nc, void *opaque)
{
    const Frame *f = opaque;
    HubPort *s = downcast(nc, HubPort, nc);
    struct iovec iov = { f->buf, f->len };

    if (!is_hubport(nc) || s == f->from || s->hubid != f->from->hubid) {
        return;
    }
    if (s->nic.nc && s->nic.nc->vnet_hdr) {
        iov = (struct iovec) { f->buf - HDR_LEN, f->len + HDR_LEN };
    }
    if (s->nic.nc) {
        net_send(&s->nic, 0, &iov, 1);
    } else if (nc->nic && net_link_up(nc->nic) && frame_queue_put(&s->queue, f->buf, f->len)) {
        tell_card_soon(s);
    }
}

/* Into a port ------------------------------------------------------------------------------- */

static int hub_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    HubPort *s = downcast(nc, HubPort, nc);
    Frame f = { s, s->buf + HDR_LEN, iov_size(iov, cnt) };

    if (f.len <= NET_FRAME_MAX) {
        iov_to_buf(iov, cnt, 0, f.buf, f.len);
        memset(s->buf, 0, HDR_LEN);
        net_foreach(put_out, &f);
    }
    return 0;
}

static gboolean backend_more(gpointer opaque);

static void backend_readable(void *opaque, unsigned q)
{
    HubPort *s = opaque;
    unsigned hdr = s->nic.nc->vnet_hdr ? HDR_LEN : 0;
    struct iovec iov = { s->buf + HDR_LEN - hdr, NET_FRAME_MAX };

    for (unsigned i = 0; i < BATCH; i++) {
        ssize_t n = net_recv(&s->nic, q, &iov, 1);
        Frame f = { s, s->buf + HDR_LEN, MIN(n, (ssize_t)NET_FRAME_MAX) - hdr };

        if (n < 0) {
            return;
        }
        if (n >= hdr + NET_ETH_HLEN) {
            memset(s->buf, 0, HDR_LEN);
            net_foreach(put_out, &f);
        }
    }
    if (!s->more) {
        s->more = g_idle_add_full(G_PRIORITY_DEFAULT, backend_more, s, NULL);
    }
}

static gboolean backend_more(gpointer opaque)
{
    HubPort *s = opaque;

    s->more = 0;
    if (s->nic.nc) {
        backend_readable(s, 0);
    }
    return G_SOURCE_REMOVE;
}

static void backend_nothing(void *opaque)
{
}

static void backend_writable(void *opaque, unsigned q)
{
}

static const NICOps backend_ops = {
    .readable = backend_readable, .writable = backend_writable, .link_changed = backend_nothing,
};

static void hub_set_receive(NetClientState *nc, unsigned q, bool on)
{
    HubPort *s = downcast(nc, HubPort, nc);

    s->receive = on;
    tell_card_soon(s);
}

static void hub_reset(NetClientState *nc)
{
    frame_queue_clear(&downcast(nc, HubPort, nc)->queue);
}

/* Life ---------------------------------------------------------------------------------------- */

static bool hub_open(NetClientState *nc, Error **errp)
{
    HubPort *s = downcast(nc, HubPort, nc);
    NetClientState *other = s->nic.nc;

    if (s->hubid > INT32_MAX) {
        error_setg(errp, "Parameter 'hubid' is missing");
        return false;
    }
    if (other && other->vhost_user) {
        error_setg(errp, "the queues of '%s' are another process's: it has no place at a hub",
                   other->obj.id);
        return false;
    }
    s->buf = g_malloc0(HDR_LEN + NET_FRAME_MAX);
    nc->info = g_strdup_printf("type=hubport,hubid=%u", s->hubid);
    if (other) {
        nc->own_nic = &s->nic;
        s->nic.ops = &backend_ops;
        s->nic.opaque = s;
        s->nic.name = nc->obj.id;
        s->nic.port = nc;
        net_set_offload(&s->nic, HDR_LEN, 0);
        net_set_queues(&s->nic, 1);
        net_set_receive(&s->nic, 0, true);
    }
    return true;
}

static void hub_close(NetClientState *nc)
{
    HubPort *s = downcast(nc, HubPort, nc);

    if (s->nic.nc && s->buf) {
        net_set_receive(&s->nic, 0, false);
    }
    if (s->idle) {
        g_source_remove(s->idle);
    }
    if (s->more) {
        g_source_remove(s->more);
    }
    frame_queue_clear(&s->queue);
    g_free(s->buf);
}

static const Property hub_props[] = {
    DEFINE_PROP_UINT32("hubid", HubPort, hubid, "4294967295", "number of the hub"),
    DEFINE_PROP_NETDEV("netdev", HubPort, nic),
    DEFINE_PROP_END
};

static const NetClientClass hubport_class = {
    .oc = {
        .name = "hubport",
        .parent = &netdev_base_class,
        .instance_size = sizeof(HubPort),
        .props = hub_props,
    },
    .open = hub_open,
    .close = hub_close,
    .reset = hub_reset,
    .send = hub_send,
    .recv = hub_recv,
    .set_receive = hub_set_receive,
};
DEFINE_CLASS(netdev_hubport, &hubport_class.oc);
