/*
 * -netdev tap: frames to and from a TAP interface of the host.
 *
 * Frames go from and to the caller's buffers (guest memory) by one readv() or
 * writev() each, virtio-net header included; the kernel checks and uses
 * the header.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "bridge-helper.h"
#include "net-fd.h"
#include "qemu/confine.h"
#include "tap-script.h"

#define TUN_DEVICE "/dev/net/tun"
#define VHOST_DEVICE "/dev/vhost-net"
#define DEFAULT_SCRIPT "/etc/qemu-ifup"
#define DEFAULT_DOWNSCRIPT "/etc/qemu-ifdown"
/* What the kernel's header has without the count of merged buffers. */
#define BASIC_HDR_LEN 10

typedef struct TAPState {
    NetClientState nc;
    /* Options. */
    char *ifname;
    char *script;
    char *downscript;
    char *fd;
    char *fds;
    char *bridge, *helper;
    uint32_t num_queues;
    OnOffAuto vnet_hdr;
    OnOffAuto vhost;
    bool vhostforce;
    char *vhostfd;
    char *vhostfds;
    uint64_t sndbuf;

    NetFD queue[NET_MAX_QUEUES];
    unsigned nr_fds;            /* of queue[] */
    unsigned active;            /* attached: receive and send */
    unsigned hdr_len;
    NetVhost worker[NET_MAX_QUEUES];
    unsigned nr_workers;
    bool script_ran;
    WaitingScript down;
    char name[IFNAMSIZ];
} TAPState;

/* Traffic ------------------------------------------------------------------ */

/* The interface is gone for good: polling would only spin. */
static void tap_gone(NetFD *f)
{
    TAPState *s = downcast(f->nc, TAPState, nc);

    f->watch = false;
    net_fd_poll(f, false, false);
    if (!s->nc.carrier_off) {
        warn_report("netdev %s: interface %s has gone away", s->nc.obj.id, s->name);
        net_set_carrier(&s->nc, false);
    }
}

static void tap_readable(NetFD *f)
{
    net_notify_readable(f->nc, f->queue);
}

static void tap_writable(NetFD *f)
{
    net_fd_poll(f, f->want_in, false);
    net_notify_writable(f->nc, f->queue);
}

static int tap_send(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetFD *f = &downcast(nc, TAPState, nc)->queue[q];
    ssize_t n;

    do {
        n = writev(f->fd, iov, cnt);
    } while (n < 0 && errno == EINTR);
    if (n >= 0 || errno != EAGAIN) {
        /* A frame that the kernel refuses, or while the interface is down, is lost. */
        return 0;
    }
    net_fd_poll(f, f->want_in, true);
    return -EAGAIN;
}

static ssize_t tap_recv(NetClientState *nc, unsigned q, const struct iovec *iov, unsigned cnt)
{
    NetFD *f = &downcast(nc, TAPState, nc)->queue[q];
    ssize_t n;

    do {
        n = readv(f->fd, iov, cnt);
    } while (n < 0 && errno == EINTR);
    if (n > 0) {
        return n;
    }
    if (n == 0 || errno != EAGAIN) {
        tap_gone(f);
    }
    return -EAGAIN;
}

static void tap_set_receive(NetClientState *nc, unsigned q, bool on)
{
    NetFD *f = &downcast(nc, TAPState, nc)->queue[q];

    net_fd_poll(f, on && !nc->carrier_off, f->want_out);
}

static void tap_set_offload(NetClientState *nc, unsigned hdr_len, unsigned offloads)
{
    TAPState *s = downcast(nc, TAPState, nc);
    unsigned flags = 0;
    int len = hdr_len;

    flags |= offloads & NET_OFFLOAD_CSUM ? TUN_F_CSUM : 0;
    flags |= offloads & NET_OFFLOAD_TSO4 ? TUN_F_TSO4 : 0;
    flags |= offloads & NET_OFFLOAD_TSO6 ? TUN_F_TSO6 : 0;
    flags |= offloads & NET_OFFLOAD_ECN ? TUN_F_TSO_ECN : 0;
    s->hdr_len = hdr_len;
    for (unsigned i = 0; i < s->nr_fds; i++) {
        if (ioctl(s->queue[i].fd, TUNSETVNETHDRSZ, &len) < 0 ||
            ioctl(s->queue[i].fd, TUNSETOFFLOAD, flags) < 0) {
            tap_gone(&s->queue[i]);
        }
    }
}

static int tap_attach(NetFD *f, bool on)
{
    struct ifreq ifr = { .ifr_flags = on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE };

    return ioctl(f->fd, TUNSETQUEUE, &ifr) < 0 ? -errno : 0;
}

static int tap_set_queues(NetClientState *nc, unsigned n)
{
    TAPState *s = downcast(nc, TAPState, nc);

    if (s->nr_fds == 1) {
        return 0;
    }
    while (s->active < n) {
        int ret = tap_attach(&s->queue[s->active], true);

        if (ret < 0) {
            return ret;
        }
        s->active++;
    }
    while (s->active > n) {
        int ret = tap_attach(&s->queue[s->active - 1], false);

        if (ret < 0) {
            return ret;
        }
        s->active--;
    }
    return 0;
}

/* Opening ------------------------------------------------------------------ */

static bool is_no(const char *script)
{
    return !*script || !strcmp(script, "no");
}

static const char *downscript(const TAPState *s)
{
    return s->downscript ? s->downscript : DEFAULT_DOWNSCRIPT;
}

static void tap_add_queue(TAPState *s, int fd)
{
    s->queue[s->nr_fds] = (NetFD){
        .nc = &s->nc, .queue = s->nr_fds, .fd = fd,
        .in = tap_readable, .out = tap_writable, .gone = tap_gone,
    };
    s->nr_fds++;
}

/* What a descriptor from elsewhere is; its name and flags. */
static bool tap_query(TAPState *s, int fd, Error **errp)
{
    struct ifreq ifr = { .ifr_flags = 0 };

    if (ioctl(fd, TUNGETIFF, &ifr) < 0) {
        error_setg_errno(errp, errno, "Unable to query TUNGETIFF on FD %d", fd);
        return false;
    }
    if ((ifr.ifr_flags & (IFF_TAP | IFF_NO_PI)) != (IFF_TAP | IFF_NO_PI)) {
        error_setg(errp, "FD %d is not a TAP interface opened with IFF_TAP and IFF_NO_PI", fd);
        return false;
    }
    if (s->nr_fds > 1 && s->nc.vnet_hdr != !!(ifr.ifr_flags & IFF_VNET_HDR)) {
        error_setg(errp, "vnet_hdr setting is inconsistent between the file descriptors");
        return false;
    }
    s->nc.vnet_hdr = ifr.ifr_flags & IFF_VNET_HDR;
    memcpy(s->name, ifr.ifr_name, IFNAMSIZ);
    s->name[IFNAMSIZ - 1] = '\0';
    return true;
}

static bool tap_open_fds(TAPState *s, Error **errp)
{
    int fds[NET_MAX_QUEUES];
    unsigned n = 1;

    if (s->fd) {
        fds[0] = net_parse_fd(&s->nc, s->fd, errp);
        n = fds[0] >= 0;
    } else {
        n = net_parse_fds(&s->nc, s->fds, fds, errp);
    }
    for (unsigned i = 0; i < n; i++) {
        tap_add_queue(s, fds[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        if (!tap_query(s, fds[i], errp)) {
            return false;
        }
    }
    return n > 0;
}

static bool tap_open_helper(TAPState *s, Error **errp)
{
    int fd = bridge_helper_open(s->helper, s->bridge, errp);

    if (fd < 0) {
        return false;
    }
    tap_add_queue(s, fd);
    return tap_query(s, fd, errp);
}

static bool tap_open_queue(TAPState *s, Error **errp)
{
    const char *name = *s->name ? s->name : s->ifname ? s->ifname : "tap%d";
    struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };
    int fd = open(TUN_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        error_setg_errno(errp, confine_errno(TUN_DEVICE, true, errno),
                         "could not open " TUN_DEVICE);
        return false;
    }
    tap_add_queue(s, fd);
    if (s->vnet_hdr != ON_OFF_AUTO_OFF) {
        ifr.ifr_flags |= IFF_VNET_HDR;
        s->nc.vnet_hdr = true;
    }
    if (s->num_queues > 1) {
        ifr.ifr_flags |= IFF_MULTI_QUEUE;
    }
    memcpy(ifr.ifr_name, name, strlen(name) + 1);
    if (ioctl(fd, TUNSETIFF, &ifr) < 0) {
        error_setg_errno(errp, errno, "could not configure " TUN_DEVICE " (%s)",
                         ifr.ifr_name);
        return false;
    }
    memcpy(s->name, ifr.ifr_name, IFNAMSIZ);
    return true;
}

/* Without a limit the kernel's default for sockets applies, which is none for us. */
static bool tap_set_sndbuf(TAPState *s, Error **errp)
{
    int sndbuf = !s->sndbuf || s->sndbuf > INT_MAX ? INT_MAX : (int)s->sndbuf;

    for (unsigned i = 0; i < s->nr_fds; i++) {
        if (ioctl(s->queue[i].fd, TUNSETSNDBUF, &sndbuf) < 0 && s->sndbuf) {
            error_setg_errno(errp, errno, "TUNSETSNDBUF ioctl failed");
            return false;
        }
    }
    return true;
}

/* vhostforce=on and given descriptors stand for vhost=on, unless that says off. */
static bool tap_wants_vhost(const TAPState *s)
{
    return s->vhost == ON_OFF_AUTO_ON ||
           (s->vhost == ON_OFF_AUTO_AUTO && (s->vhostforce || s->vhostfd || s->vhostfds));
}

static bool tap_check_options(TAPState *s, Error **errp)
{
    if ((s->fd || s->fds) && (s->ifname || s->script || s->downscript || s->num_queues ||
                              s->vnet_hdr != ON_OFF_AUTO_AUTO || (s->fd && s->fds))) {
        error_setg(errp, "ifname=, script=, downscript=, vnet_hdr=, helper=, queues=, %s= are "
                   "invalid with %s=", s->fd ? "fds=, and vhostfds" : "and vhostfd",
                   s->fd ? "fd" : "fds");
        return false;
    }
    if (s->helper && (s->fd || s->fds || s->ifname || s->script || s->downscript ||
                      s->num_queues || s->vnet_hdr != ON_OFF_AUTO_AUTO || s->vhostfds)) {
        error_setg(errp, "fd=, fds=, ifname=, script=, downscript=, vnet_hdr=, queues=, and "
                   "vhostfds= are invalid with helper=");
        return false;
    }
    if (s->num_queues > NET_MAX_QUEUES) {
        error_setg(errp, "queues must be 1 to %d", NET_MAX_QUEUES);
        return false;
    }
    if (s->ifname && strlen(s->ifname) >= IFNAMSIZ) {
        error_setg(errp, "interface name '%s' is too long", s->ifname);
        return false;
    }
    if ((s->vhostfd || s->vhostfds) && !tap_wants_vhost(s)) {
        error_setg(errp, "vhostfd(s)= is not valid without vhost");
        return false;
    }
    return true;
}

/* vhost -------------------------------------------------------------------- */

static bool tap_parse_vhostfds(TAPState *s, int *fds, Error **errp)
{
    unsigned n;

    if (s->vhostfd) {
        fds[0] = net_parse_fd(&s->nc, s->vhostfd, errp);
        n = fds[0] >= 0;
    } else {
        n = net_parse_fds(&s->nc, s->vhostfds, fds, errp);
    }
    if (n && n != s->nr_fds) {
        error_setg(errp, "%u vhostfds do not fit %u pairs of queues", n, s->nr_fds);
        net_put_fds(fds, n);
        return false;
    }
    s->nr_workers = n;
    return n > 0;
}

/* Without the device it goes on without, unless the user insists. */
static bool tap_open_vhost_devices(TAPState *s, int *fds, Error **errp)
{
    for (unsigned i = 0; i < s->nr_fds; i++) {
        fds[i] = open(VHOST_DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fds[i] < 0) {
            int err = confine_errno(VHOST_DEVICE, true, errno);

            while (i) {
                close(fds[--i]);
            }
            if (s->vhostforce) {
                error_setg_errno(errp, err, "tap: open vhost char device failed");
            } else {
                warn_report("tap: open vhost char device failed: %s", confine_strerror(err));
            }
            return !s->vhostforce;
        }
    }
    s->nr_workers = s->nr_fds;
    return true;
}

static bool tap_open_vhost(TAPState *s, Error **errp)
{
    int fds[NET_MAX_QUEUES];

    if (!tap_wants_vhost(s)) {
        return true;
    }
    if (!(s->vhostfd || s->vhostfds ? tap_parse_vhostfds(s, fds, errp)
                                    : tap_open_vhost_devices(s, fds, errp))) {
        return false;
    }
    for (unsigned i = 0; i < s->nr_workers; i++) {
        s->worker[i] = (NetVhost){ .fd = fds[i], .backend = s->queue[i].fd };
    }
    if (s->nr_workers) {
        s->nc.vhost = s->worker;
        /* The workers do not tell when the interface goes. This queue is always attached. */
        s->queue[0].watch = true;
    }
    return true;
}

/* Beginning and end --------------------------------------------------------- */

static bool tap_open_interface(TAPState *s, Error **errp)
{
    unsigned n = MAX(s->num_queues, 1);

    s->num_queues = n;
    for (unsigned i = 0; i < n; i++) {
        if (!tap_open_queue(s, errp)) {
            return false;
        }
    }
    if (!s->script) {
        s->script = g_strdup(DEFAULT_SCRIPT);
    }
    if (!is_no(s->script)) {
        if (!tap_script_run(s->script, s->name, errp)) {
            return false;
        }
    }
    s->script_ran = true;
    return is_no(downscript(s)) || tap_script_prepare(&s->down, downscript(s), s->name, errp);
}

static bool tap_open(NetClientState *nc, Error **errp)
{
    TAPState *s = downcast(nc, TAPState, nc);

    if (!tap_check_options(s, errp) ||
        !(s->fd || s->fds ? tap_open_fds(s, errp) : s->helper ? tap_open_helper(s, errp) :
          tap_open_interface(s, errp)) || !tap_set_sndbuf(s, errp) || !tap_open_vhost(s, errp)) {
        return false;
    }
    nc->queues = s->nr_fds;
    s->active = s->nr_fds;
    if (nc->vnet_hdr) {
        nc->offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 |
                       NET_OFFLOAD_ECN;
        tap_set_offload(nc, BASIC_HDR_LEN, 0);
    }
    /* One queue is in use until the guest asks for more. */
    tap_set_queues(nc, 1);
    nc->info = g_strdup_printf("type=%s,ifname=%s", nc->obj.oc->name, s->name);
    return true;
}

static void tap_close(NetClientState *nc)
{
    TAPState *s = downcast(nc, TAPState, nc);

    if (s->script_ran) {
        const char *script = downscript(s);
        Error *err = NULL;

        if (!is_no(script) && !tap_script_finish(&s->down, script, &err)) {
            error_report_err(err);
        }
    }
    for (unsigned i = 0; i < s->nr_workers; i++) {
        close(s->worker[i].fd);
    }
    for (unsigned i = 0; i < s->nr_fds; i++) {
        net_fd_close(&s->queue[i]);
    }
}

static const Property tap_props[] = {
    DEFINE_PROP_STRING("ifname", TAPState, ifname, NULL, "name of the interface"),
    DEFINE_PROP_STRING("script", TAPState, script, NULL,
                       "program that sets the interface up (no: none; unset: "
                       DEFAULT_SCRIPT ")"),
    DEFINE_PROP_STRING("downscript", TAPState, downscript, NULL,
                       "program to run at the end (no: none; unset: " DEFAULT_DOWNSCRIPT ")"),
    DEFINE_PROP_STRING("fd", TAPState, fd, NULL, "descriptor of an open TAP interface"),
    DEFINE_PROP_STRING("fds", TAPState, fds, NULL,
                       "the same for several queues, separated by colons"),
    DEFINE_PROP_UINT32("queues", TAPState, num_queues, NULL, "pairs of queues (default: 1)"),
    DEFINE_PROP_ON_OFF_AUTO("vnet_hdr", TAPState, vnet_hdr, "auto",
                            "checksum and segmentation offloads"),
    DEFINE_PROP_SIZE("sndbuf", TAPState, sndbuf, "0", "limit of bytes on the way out (0: none)"),
    DEFINE_PROP_STRING("br", TAPState, bridge, NULL, "bridge for helper= (unset: br0)"),
    DEFINE_PROP_STRING("helper", TAPState, helper, NULL,
                       "program that opens an interface in a bridge"),
    DEFINE_PROP_ON_OFF_AUTO("vhost", TAPState, vhost, "auto",
                            "let the host's kernel move the frames (" VHOST_DEVICE ")"),
    DEFINE_PROP_BOOL("vhostforce", TAPState, vhostforce, "off", "vhost, or fail"),
    DEFINE_PROP_STRING("vhostfd", TAPState, vhostfd, NULL,
                       "descriptor of an open " VHOST_DEVICE),
    DEFINE_PROP_STRING("vhostfds", TAPState, vhostfds, NULL,
                       "the same for several queues, separated by colons"),
    DEFINE_PROP_IGNORED("poll-us", "accepted, without effect"),
    DEFINE_PROP_END
};

/* Of both classes; they differ in their options, and in how they open. */
#define TAP_HOOKS \
    .close = tap_close, .send = tap_send, .recv = tap_recv, .set_receive = tap_set_receive, \
    .set_offload = tap_set_offload, .set_queues = tap_set_queues

static const NetClientClass tap_class = {
    .oc = {
        .name = "tap",
        .parent = &netdev_base_class,
        .instance_size = sizeof(TAPState),
        .props = tap_props,
    },
    .open = tap_open,
    TAP_HOOKS,
};
DEFINE_CLASS(netdev_tap, &tap_class.oc);

/* -netdev bridge: tap by the helper, and nothing else. */
static bool bridge_open(NetClientState *nc, Error **errp)
{
    TAPState *s = downcast(nc, TAPState, nc);

    if (!s->helper) {
        s->helper = g_strdup(DEFAULT_BRIDGE_HELPER);
    }
    return tap_open(nc, errp);
}

static const Property bridge_props[] = {
    DEFINE_PROP_STRING("br", TAPState, bridge, NULL, "the bridge (unset: br0)"),
    DEFINE_PROP_STRING("helper", TAPState, helper, NULL,
                       "program that opens an interface in it (unset: "
                       DEFAULT_BRIDGE_HELPER ")"),
    DEFINE_PROP_END
};

static const NetClientClass bridge_class = {
    .oc = {
        .name = "bridge",
        .parent = &netdev_base_class,
        .instance_size = sizeof(TAPState),
        .props = bridge_props,
    },
    .open = bridge_open,
    TAP_HOOKS,
};
DEFINE_CLASS(netdev_bridge, &bridge_class.oc);
