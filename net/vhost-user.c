/*
 * -netdev vhost-user: another process moves the frames of a card, right in the guest's memory.
 *
 * This is only the way to it, and the name: the card lends its queues to the back end
 * (hw/net/vhost-user-net.c). As long as it does not, frames are dropped.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>

#include "chardev/char-peer.h"
#include "net/net.h"

typedef struct NetVhostUser {
    NetClientState nc;
    CharBackend chr;
    uint32_t queues;
} NetVhostUser;

static int vhost_user_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    return 0;
}

static ssize_t vhost_user_recv(NetClientState *nc, unsigned q, const struct iovec *iov,
                               unsigned cnt)
{
    return -EAGAIN;
}

static void vhost_user_set_receive(NetClientState *nc, unsigned q, bool on)
{
}

/* The back end learns what was agreed with the driver. */
static void vhost_user_set_offload(NetClientState *nc, unsigned hdr_len, unsigned offloads)
{
}

static int vhost_user_set_queues(NetClientState *nc, unsigned n)
{
    return 0;
}

static bool vhost_user_open(NetClientState *nc, Error **errp)
{
    NetVhostUser *s = downcast(nc, NetVhostUser, nc);

    if (!s->chr.chr) {
        error_setg(errp, "Parameter 'chardev' is missing");
        return false;
    }
    if (!qemu_chr_passes_fds(s->chr.chr)) {
        error_setg(errp, "chardev \"%s\" does not support FD passing", s->chr.chr->obj.id);
        return false;
    }
    if (s->queues < 1 || s->queues > NET_MAX_QUEUES) {
        error_setg(errp, "vhost-user number of queues must be in range [1, %d]", NET_MAX_QUEUES);
        return false;
    }
    nc->queues = s->queues;
    nc->vnet_hdr = true;
    nc->offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 | NET_OFFLOAD_ECN;
    nc->vhost_user = &s->chr;
    nc->info = g_strdup_printf("type=vhost-user,chardev=%s", s->chr.chr->obj.id);
    return true;
}

static void vhost_user_close(NetClientState *nc)
{
}

static const Property vhost_user_props[] = {
    DEFINE_PROP_CHR("chardev", NetVhostUser, chr),
    DEFINE_PROP_UINT32("queues", NetVhostUser, queues, "1", "pairs of queues"),
    DEFINE_PROP_IGNORED("vhostforce", "accepted: always on"),
    DEFINE_PROP_END
};

static const NetClientClass vhost_user_class = {
    .oc = {
        .name = "vhost-user",
        .parent = &netdev_base_class,
        .instance_size = sizeof(NetVhostUser),
        .props = vhost_user_props,
    },
    .open = vhost_user_open,
    .close = vhost_user_close,
    .send = vhost_user_send,
    .recv = vhost_user_recv,
    .set_receive = vhost_user_set_receive,
    .set_offload = vhost_user_set_offload,
    .set_queues = vhost_user_set_queues,
};
DEFINE_CLASS(netdev_vhost_user, &vhost_user_class.oc);
